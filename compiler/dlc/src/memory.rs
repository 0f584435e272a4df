//! How much memory the code of a model may take.

use clap::Args;
use driver::MemoryLimit;
use sema::FieldSpec;
use shape::Dim;
use std::collections::BTreeMap;
use tensor::Tensor;

#[derive(Args)]
pub struct MemoryArguments {
    /// What one call may take, as 512M or 2G: arguments, results and temporaries. Where that is too little, values are
    /// computed again for the derivatives instead of being kept; the bits of all results stay the same
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    max_memory: Option<u64>,
}

impl MemoryArguments {
    /// `sizes` are those of dimensions that the build leaves open.
    pub fn limit(&self, sizes: BTreeMap<String, i64>) -> Option<MemoryLimit> {
        self.max_memory.map(|bytes| MemoryLimit { bytes, sizes })
    }
}

/// Sizes of dimensions that arrays show: those that are the whole of an axis.
pub fn sizes_of(fields: &[FieldSpec], arrays: &BTreeMap<String, Tensor>) -> BTreeMap<String, i64> {
    let mut sizes = BTreeMap::new();
    for field in fields {
        let Some(array) = arrays.get(&field.name).filter(|array| array.rank() == field.ty.rank()) else {
            continue;
        };
        for (dim, size) in field.ty.shape.iter().zip(array.shape()) {
            if let Some(symbol) = Dim::as_symbol(dim) {
                sizes.entry(symbol.to_string()).or_insert(*size as i64);
            }
        }
    }
    sizes
}

fn bytes(text: &str) -> Result<u64, String> {
    let unit = text.trim_end_matches(['B', 'b', 'i']).chars().last().map(|unit| unit.to_ascii_uppercase());
    let shift = match unit {
        Some('K') => 10,
        Some('M') => 20,
        Some('G') => 30,
        Some('T') => 40,
        _ => 0,
    };
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    let rest = text[digits.len()..].to_ascii_uppercase();
    let known = ["", "B", "K", "M", "G", "T", "KB", "MB", "GB", "TB", "KIB", "MIB", "GIB", "TIB"];
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes
        .filter(|_| known.contains(&rest.as_str()))
        .ok_or_else(|| format!("`{text}` is not a size such as 512M or 2G"))
}

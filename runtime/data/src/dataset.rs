//! Named arrays with the same number of rows.

use base::Diagnostic;
use indexmap::IndexMap;
use tensor::{Fnv64, Tensor};

#[derive(Clone, PartialEq, Debug)]
pub struct Dataset {
    /// In the order of their declaration; the first axis of each counts the rows.
    pub fields: IndexMap<String, Tensor>,
    pub rows: usize,
    /// For each field that held words: the words in sorted order. A value of the field is a word's place here.
    pub tables: IndexMap<String, Vec<String>>,
}

impl Dataset {
    /// `source` is what messages call the origin.
    pub fn new(source: &str, fields: IndexMap<String, Tensor>) -> Result<Dataset, Diagnostic> {
        let Some((first_name, first)) = fields.first() else {
            return Err(Diagnostic::error("E0631", format!("{source} is asked for no field")));
        };
        let rows = first.row_count();
        for (name, tensor) in &fields {
            if tensor.rank() == 0 {
                let message = format!("`{name}` of {source} is a single number, without rows");
                return Err(Diagnostic::error("E0632", message));
            }
            if tensor.row_count() != rows {
                let message = format!(
                    "the fields of {source} differ in length: `{first_name}` has {rows} rows, `{name}` has {}",
                    tensor.row_count()
                );
                return Err(Diagnostic::error("E0632", message));
            }
        }
        if rows == 0 {
            return Err(Diagnostic::error("E0620", format!("{source} has no rows")));
        }
        Ok(Dataset { fields, rows, tables: IndexMap::new() })
    }

    pub fn field(&self, name: &str) -> Option<&Tensor> {
        self.fields.get(name)
    }

    /// FNV-1a-64 over names, dtypes, shapes, elements and tables: what a checkpoint remembers of its data.
    pub fn content_hash(&self) -> u64 {
        let mut hash = Fnv64::new().number(self.fields.len() as u64);
        for (name, tensor) in &self.fields {
            hash = hash.text(name).text(tensor.dtype().name()).number(tensor.rank() as u64);
            hash = tensor.shape().iter().fold(hash, |hash, dim| hash.number(*dim as u64));
            hash = if cfg!(target_endian = "big") {
                hash.bytes(&tensor.to_little_endian())
            } else {
                hash.bytes(tensor.bytes())
            };
        }
        for (name, table) in &self.tables {
            hash = hash.text(name).number(table.len() as u64);
            hash = table.iter().fold(hash, |hash, word| hash.text(word));
        }
        hash.finish()
    }
}

/// Gives every row the wanted shape, row-major; `None` keeps what is there.
pub(crate) fn shape_rows(
    source: &str,
    field: &str,
    tensor: Tensor,
    row_shape: Option<&[usize]>,
) -> Result<Tensor, Diagnostic> {
    let Some(wanted) = row_shape else { return Ok(tensor) };
    if tensor.rank() == 0 {
        return Ok(tensor); // refused by `Dataset::new`, which knows what to say
    }
    let found = &tensor.shape()[1..];
    if tensor::element_count(found) != tensor::element_count(wanted) {
        return Err(Diagnostic::error(
            "E0610",
            format!(
                "a row of the field `{field}` of {source} has the shape {}, which cannot become {}",
                tensor::shape_text(found),
                tensor::shape_text(wanted)
            ),
        )
        .help("equal numbers of elements are reshaped row by row; here they differ"));
    }
    let shape: Vec<usize> = std::iter::once(tensor.row_count()).chain(wanted.iter().copied()).collect();
    tensor.reshape(shape)
}

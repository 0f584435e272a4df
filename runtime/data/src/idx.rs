//! IDX files, in which MNIST and its kin come: two zeros, a byte for the dtype, a byte for the rank, the dimensions and
//! then the values, all big-endian.

use crate::{ArrayField, Dataset, arrays::insert};
use base::Diagnostic;
use indexmap::IndexMap;
use std::path::Path;
use tensor::{DType, Limits, Tensor, element_count, file, shape_text};

/// One idx file a field.
pub fn read_idx(files: &[(&Path, ArrayField)], limits: &Limits) -> Result<Dataset, Diagnostic> {
    let mut fields = IndexMap::new();
    for (path, field) in files {
        let name = format!("`{}`", path.display());
        let tensor = parse_idx(&name, &file::read(path, limits)?, limits)?;
        insert(&name, &mut fields, field, tensor)?;
    }
    let names: Vec<String> = files.iter().map(|(path, _)| format!("`{}`", path.display())).collect();
    Dataset::new(&names.join(", "), fields)
}

/// The array of a file's bytes; `name` is what messages call the file.
pub fn parse_idx(name: &str, bytes: &[u8], limits: &Limits) -> Result<Tensor, Diagnostic> {
    let wrong = |what: String| Diagnostic::error("E0640", format!("{name} is not an idx file: {what}"));
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(wrong("it is compressed".into()).help("unpack it first, with `gunzip`"));
    }
    let Some((&[zero, also_zero, code, rank], rest)) = bytes.split_first_chunk::<4>() else {
        return Err(wrong(format!("it has {} bytes, fewer than a header", bytes.len())));
    };
    if (zero, also_zero) != (0, 0) {
        return Err(wrong(format!("it begins with the bytes {zero} {also_zero}, not with two zeros")));
    }
    let dtype = match code {
        0x08 => DType::U8,
        0x09 => DType::I8,
        0x0b => DType::I16,
        0x0c => DType::I32,
        0x0d => DType::F32,
        0x0e => DType::F64,
        _ => return Err(wrong(format!("its dtype has the number {code:#04x}, which none has"))),
    };
    let rank = usize::from(rank);
    if rank > limits.rank {
        return Err(wrong(format!("it has {rank} axes, more than the limit of {}", limits.rank)));
    }
    let Some((dims, data)) = rest.split_at_checked(4 * rank) else {
        return Err(wrong(format!("it ends within the sizes of its {rank} axes")));
    };
    // The chunks are of four bytes, and usize holds u32.
    let (dims, _) = dims.as_chunks::<4>();
    let shape: Vec<usize> = dims.iter().map(|dim| u32::from_be_bytes(*dim) as usize).collect();
    let needed = element_count(&shape).and_then(|count| count.checked_mul(dtype.size()));
    if needed != Some(data.len()) {
        return Err(wrong(format!(
            "{} values of {dtype} do not fill {} bytes",
            shape_text(&shape),
            data.len()
        )));
    }
    if data.len() as u64 > limits.expanded_bytes {
        let message =
            format!("{name} holds {} bytes, more than the limit of {}", data.len(), limits.expanded_bytes);
        return Err(Diagnostic::error("E0602", message));
    }
    let little: Vec<u8> =
        data.chunks_exact(dtype.size()).flat_map(|value| value.iter().rev().copied()).collect();
    Tensor::from_bytes(dtype, shape, &little)
}

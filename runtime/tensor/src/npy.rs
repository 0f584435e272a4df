//! NumPy's file of one array: magic, version, a header written as a Python dictionary, the elements.
//! Read: versions 1 to 3, C and Fortran order, either byte order. Written: version 1 (2 where the header is long), C order,
//! little-endian. u16 and u32, which the language lacks, are read as the next wider signed dtype, u64 as i64 where it fits.

mod header;

use crate::{DType, Limits, Tensor, element_count, file, shape_text};
use base::Diagnostic;
use header::{Header, Kind};
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Header and data are aligned to this many bytes, as NumPy does it.
const ALIGNMENT: usize = 64;

pub fn read(path: &Path, limits: &Limits) -> Result<Tensor, Diagnostic> {
    parse(&file::read(path, limits)?, &path.display().to_string(), limits)
}

pub fn write(path: &Path, tensor: &Tensor) -> Result<(), Diagnostic> {
    file::write_atomically(path, &to_bytes(tensor)?)
}

/// The array in `bytes`; `name` is what messages call the file.
pub fn parse(bytes: &[u8], name: &str, limits: &Limits) -> Result<Tensor, Diagnostic> {
    let broken =
        |what: String| Diagnostic::error("E0603", format!("`{name}` is not a readable npy file: {what}"));
    let (header, data) = split(bytes, limits).map_err(&broken)?;
    let header = Header::parse(header).map_err(&broken)?;
    if header.shape.len() > limits.rank {
        return Err(Diagnostic::error(
            "E0602",
            format!("`{name}` has {} axes, more than the limit of {}", header.shape.len(), limits.rank),
        ));
    }
    let element = Stored::of(&header).ok_or_else(|| {
        Diagnostic::error(
            "E0604",
            format!("`{name}` holds elements of NumPy type `{}`, which has no dtype here", header.descr),
        )
        .help("save it as one of f2 f4 f8 i1 i2 i4 i8 u1 or bool")
    })?;
    let needed = element_count(&header.shape).and_then(|count| count.checked_mul(element.size));
    if needed != Some(data.len()) {
        let has = data.len();
        let shape = shape_text(&header.shape);
        return Err(Diagnostic::error(
            "E0605",
            match needed {
                Some(needed) => {
                    format!(
                        "`{name}` has {has} bytes of elements, but its shape {shape} of `{}` needs {needed}",
                        header.descr
                    )
                }
                None => format!("`{name}` states the shape {shape}, which no memory holds"),
            },
        ));
    }
    let mut ordered;
    let mut elements = data;
    if header.fortran_order && header.shape.iter().filter(|dim| **dim > 1).count() > 1 {
        ordered = row_major(data, &header.shape, element.size);
        elements = &ordered;
    }
    if header.big_endian && element.size > 1 {
        ordered = elements.to_vec();
        ordered.chunks_exact_mut(element.size).for_each(<[u8]>::reverse);
        elements = &ordered;
    }
    element
        .to_tensor(header.shape, elements)
        .map_err(|error| Diagnostic { message: format!("`{name}`: {}", error.message), ..error })
}

/// The same bytes for equal tensors.
pub fn to_bytes(tensor: &Tensor) -> Result<Vec<u8>, Diagnostic> {
    let descr = match tensor.dtype() {
        DType::F64 => "<f8",
        DType::F32 => "<f4",
        DType::F16 => "<f2",
        DType::I64 => "<i8",
        DType::I32 => "<i4",
        DType::I16 => "<i2",
        DType::I8 => "|i1",
        DType::U8 => "|u1",
        DType::Bool => "|b1",
        DType::BF16 => {
            return Err(
                Diagnostic::error("E0609", "npy has no element type for bf16").help("cast to f32 first")
            );
        }
    };
    let dims: Vec<String> = tensor.shape().iter().map(usize::to_string).collect();
    // A Python tuple of one needs its comma.
    let shape = if dims.len() == 1 { format!("({},)", dims[0]) } else { format!("({})", dims.join(", ")) };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let long = header.len() + MAGIC.len() + 4 + ALIGNMENT > usize::from(u16::MAX);
    let fixed = MAGIC.len() + 2 + if long { 4 } else { 2 };
    let padded = (fixed + header.len() + 1).next_multiple_of(ALIGNMENT) - fixed;
    header.extend(std::iter::repeat_n(' ', padded - 1 - header.len()));
    header.push('\n');

    let mut bytes = Vec::with_capacity(fixed + padded + tensor.bytes().len());
    bytes.extend_from_slice(MAGIC);
    if long {
        bytes.extend_from_slice(&[2, 0]);
        bytes.extend_from_slice(&(padded as u32).to_le_bytes());
    } else {
        bytes.extend_from_slice(&[1, 0]);
        bytes.extend_from_slice(&(padded as u16).to_le_bytes());
    }
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&tensor.to_little_endian());
    Ok(bytes)
}

/// Header text and the bytes after it.
fn split<'a>(bytes: &'a [u8], limits: &Limits) -> Result<(&'a str, &'a [u8]), String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("it does not begin with NumPy's magic bytes")?;
    let (version, rest) = rest.split_at_checked(2).ok_or("it ends within the version, at byte 6")?;
    let (length, rest) = match version[0] {
        1 => {
            let (length, rest) =
                rest.split_first_chunk::<2>().ok_or("it ends within the header's length, at byte 8")?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 | 3 => {
            let (length, rest) =
                rest.split_first_chunk::<4>().ok_or("it ends within the header's length, at byte 8")?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        other => return Err(format!("format version {other} is not known")),
    };
    if length > limits.header_bytes {
        return Err(format!(
            "its header of {length} bytes is longer than the limit of {}",
            limits.header_bytes
        ));
    }
    let (header, data) = rest
        .split_at_checked(length)
        .ok_or_else(|| format!("its header should have {length} bytes, but {} follow", rest.len()))?;
    let header = std::str::from_utf8(header)
        .map_err(|error| format!("the header is not text at byte {}", error.valid_up_to()))?;
    Ok((header, data))
}

/// How elements lie in the file and what they become.
struct Stored {
    size: usize,
    becomes: DType,
    unsigned: bool,
}

impl Stored {
    fn of(header: &Header) -> Option<Stored> {
        let (becomes, unsigned) = match (header.kind, header.size) {
            (Kind::Float, 8) => (DType::F64, false),
            (Kind::Float, 4) => (DType::F32, false),
            (Kind::Float, 2) => (DType::F16, false),
            (Kind::Signed, 8) => (DType::I64, false),
            (Kind::Signed, 4) => (DType::I32, false),
            (Kind::Signed, 2) => (DType::I16, false),
            (Kind::Signed, 1) => (DType::I8, false),
            (Kind::Unsigned, 1) => (DType::U8, false),
            (Kind::Unsigned, 2) => (DType::I32, true),
            (Kind::Unsigned, 4 | 8) => (DType::I64, true),
            (Kind::Bool, 1) => (DType::Bool, false),
            _ => return None,
        };
        Some(Stored { size: header.size, becomes, unsigned })
    }

    fn to_tensor(&self, shape: Vec<usize>, bytes: &[u8]) -> Result<Tensor, Diagnostic> {
        if self.unsigned {
            return widen_unsigned(shape, bytes, self.size, self.becomes);
        }
        Tensor::from_bytes(self.becomes, shape, bytes)
    }
}

/// Little-endian unsigned numbers as a signed dtype that holds them.
pub(crate) fn widen_unsigned(
    shape: Vec<usize>,
    bytes: &[u8],
    size: usize,
    becomes: DType,
) -> Result<Tensor, Diagnostic> {
    let mut tensor = Tensor::zeros(becomes, shape)?;
    for (index, chunk) in bytes.chunks_exact(size).enumerate() {
        let number = chunk.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let number = i64::try_from(number).map_err(|_| {
            Diagnostic::error(
                "E0611",
                format!("the unsigned value {number} of element {index} does not fit i64"),
            )
        })?;
        if let Some(numbers) = tensor.as_mut_slice::<i64>() {
            numbers[index] = number;
        } else if let Some(numbers) = tensor.as_mut_slice::<i32>() {
            // u16 always fits.
            numbers[index] = number as i32;
        }
    }
    Ok(tensor)
}

/// Column-major elements in row-major order. `data` holds exactly the elements of `shape`.
fn row_major(data: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = size;
    for dim in shape {
        strides.push(stride);
        stride *= dim;
    }
    let mut ordered = Vec::with_capacity(data.len());
    let mut place = vec![0; shape.len()];
    let mut from = 0;
    while ordered.len() < data.len() {
        ordered.extend_from_slice(&data[from..from + size]);
        for axis in (0..shape.len()).rev() {
            place[axis] += 1;
            from += strides[axis];
            if place[axis] < shape[axis] {
                break;
            }
            place[axis] = 0;
            from -= strides[axis] * shape[axis];
        }
    }
    ordered
}

#[cfg(test)]
mod tests;

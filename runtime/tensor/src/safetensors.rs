//! Weights files: safetensors, a JSON header and the elements of all tensors.

use crate::{DType, Limits, Tensor, file, npy::widen_unsigned};
use ::safetensors::{Dtype as Stored, SafeTensors};
use base::Diagnostic;
use std::{collections::BTreeMap, path::Path};

/// Tensors by name, and the texts of `__metadata__`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Weights {
    pub tensors: BTreeMap<String, Tensor>,
    pub metadata: BTreeMap<String, String>,
}

impl Weights {
    pub fn read(path: &Path, limits: &Limits) -> Result<Weights, Diagnostic> {
        Weights::parse(&file::read(path, limits)?, &path.display().to_string(), limits)
    }

    pub fn write(&self, path: &Path) -> Result<(), Diagnostic> {
        file::write_atomically(path, &self.to_bytes()?)
    }

    /// All tensors in `bytes`; `name` is what messages call the file.
    pub fn parse(bytes: &[u8], name: &str, limits: &Limits) -> Result<Weights, Diagnostic> {
        let beyond = |what: String| Diagnostic::error("E0703", format!("`{name}` {what}"));
        if let Some((length, _)) = bytes.split_first_chunk::<8>() {
            let length = u64::from_le_bytes(*length);
            if length > limits.header_bytes as u64 {
                return Err(beyond(format!(
                    "states a header of {length} bytes, more than the limit of {}",
                    limits.header_bytes
                )));
            }
        }
        let broken = |what: String| {
            Diagnostic::error("E0701", format!("`{name}` is not a readable safetensors file: {what}"))
        };
        let (header_bytes, header) =
            SafeTensors::read_metadata(bytes).map_err(|error| broken(error.to_string()))?;
        // The library has checked that the header fits and that the offsets tile the rest exactly.
        let data = bytes.get(8 + header_bytes..).unwrap_or_default();
        let infos: BTreeMap<String, _> = header.tensors().into_iter().collect();
        if infos.len() > limits.tensors {
            return Err(beyond(format!(
                "has {} tensors, more than the limit of {}",
                infos.len(),
                limits.tensors
            )));
        }
        let mut weights = Weights::default();
        for (tensor_name, info) in infos {
            if tensor_name.len() > limits.name_bytes {
                return Err(beyond(format!("has a tensor whose name is {} bytes long", tensor_name.len())));
            }
            if info.shape.len() > limits.rank {
                return Err(beyond(format!(
                    "has {} axes in `{tensor_name}`, more than the limit of {}",
                    info.shape.len(),
                    limits.rank
                )));
            }
            let elements = data.get(info.data_offsets.0..info.data_offsets.1).unwrap_or_default();
            let tensor = tensor_of(info.dtype, &info.shape, elements).map_err(|error| Diagnostic {
                message: format!("`{name}`: `{tensor_name}`: {}", error.message),
                ..error
            })?;
            weights.tensors.insert(tensor_name, tensor);
        }
        weights.metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        Ok(weights)
    }

    /// The same bytes for equal weights. The header is written here because the library's order of `__metadata__` is
    /// that of a hash map. Tensors lie by falling element size, then by name, so that all of them are aligned.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Diagnostic> {
        let mut order: Vec<(&String, &Tensor)> = self.tensors.iter().collect();
        order.sort_by_key(|(name, tensor)| (std::cmp::Reverse(tensor.dtype().size()), *name));
        let mut entries = Vec::with_capacity(order.len() + 1);
        if !self.metadata.is_empty() {
            entries.push(format!("\"__metadata__\":{}", serde_json::json!(self.metadata)));
        }
        let mut offset = 0;
        for (name, tensor) in &order {
            if *name == "__metadata__" {
                return Err(Diagnostic::error(
                    "E0704",
                    "no tensor can be stored under the name `__metadata__`",
                ));
            }
            let end = offset + tensor.bytes().len();
            entries.push(format!(
                "{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{offset},{end}]}}",
                serde_json::json!(name),
                stored_name(tensor.dtype()),
                serde_json::json!(tensor.shape()),
            ));
            offset = end;
        }
        let mut header = format!("{{{}}}", entries.join(","));
        // Padded so that the elements begin at a multiple of 8.
        header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
        let mut bytes = Vec::with_capacity(8 + header.len() + offset);
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        for (_, tensor) in &order {
            bytes.extend_from_slice(&tensor.to_little_endian());
        }
        Ok(bytes)
    }
}

fn stored_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F64 => "F64",
        DType::F32 => "F32",
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::I64 => "I64",
        DType::I32 => "I32",
        DType::I16 => "I16",
        DType::I8 => "I8",
        DType::U8 => "U8",
        DType::Bool => "BOOL",
    }
}

fn tensor_of(stored: Stored, shape: &[usize], bytes: &[u8]) -> Result<Tensor, Diagnostic> {
    let dtype = match stored {
        Stored::F64 => DType::F64,
        Stored::F32 => DType::F32,
        Stored::F16 => DType::F16,
        Stored::BF16 => DType::BF16,
        Stored::I64 => DType::I64,
        Stored::I32 => DType::I32,
        Stored::I16 => DType::I16,
        Stored::I8 => DType::I8,
        Stored::U8 => DType::U8,
        Stored::BOOL => DType::Bool,
        Stored::U16 => return widen_unsigned(shape.to_vec(), bytes, 2, DType::I32),
        Stored::U32 => return widen_unsigned(shape.to_vec(), bytes, 4, DType::I64),
        Stored::U64 => return widen_unsigned(shape.to_vec(), bytes, 8, DType::I64),
        other => {
            return Err(Diagnostic::error("E0702", format!("elements of type {other:?} have no dtype here")));
        }
    };
    Tensor::from_bytes(dtype, shape, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights() -> Weights {
        let mut weights = Weights::default();
        for (index, dtype) in DType::ALL.into_iter().enumerate() {
            let tensor = Tensor::from_vec([2, 2], [0i64, 1, 1, 0]).unwrap().cast(dtype).unwrap();
            weights.tensors.insert(format!("block.{index}.\"w\""), tensor);
        }
        weights.tensors.insert("scalar".into(), Tensor::from_vec([], [7.5f64]).unwrap());
        weights.tensors.insert("empty".into(), Tensor::zeros(DType::F32, [0, 3]).unwrap());
        for key in ["zeta", "alpha", "format"] {
            weights.metadata.insert(key.into(), format!("{key} \"quoted\" ü"));
        }
        weights
    }

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn round_trip() {
        let bytes = weights().to_bytes().unwrap();
        assert_eq!(bytes, weights().to_bytes().unwrap());
        assert_eq!(Weights::parse(&bytes, "w", &Limits::default()).unwrap(), weights());
        let none = Weights::default();
        assert_eq!(Weights::parse(&none.to_bytes().unwrap(), "w", &Limits::default()).unwrap(), none);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        weights().write(&path).unwrap();
        // Saving over the file that was read must not harm it.
        Weights::read(&path, &Limits::default()).unwrap().write(&path).unwrap();
        assert_eq!(Weights::read(&path, &Limits::default()).unwrap(), weights());
    }

    #[test]
    fn every_tensor_is_aligned() {
        let bytes = weights().to_bytes().unwrap();
        let (header_bytes, header) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header_bytes % 8, 0);
        for (name, tensor) in &weights().tensors {
            assert_eq!(header.info(name).unwrap().data_offsets.0 % tensor.dtype().size(), 0, "{name}");
        }
    }

    #[test]
    fn refusals() {
        let one = |dtype: &str, shape: &str, offsets: &str| {
            format!("{{\"a\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}")
        };
        let cases = [
            (b"".to_vec(), "E0701"),
            (u64::MAX.to_le_bytes().to_vec(), "E0703"),
            (1000u64.to_le_bytes().to_vec(), "E0701"),
            (file("{", b""), "E0701"),
            (file(&one("F32", "[1]", "[0,4]"), &[0; 3]), "E0701"),
            (file(&one("F32", "[1]", "[0,4]"), &[0; 5]), "E0701"),
            (file(&one("F32", "[2]", "[0,4]"), &[0; 4]), "E0701"),
            (file(&one("F32", "[1]", "[4,8]"), &[0; 8]), "E0701"),
            (file(&one("F32", "[4294967296,4294967296,4]", "[0,0]"), b""), "E0701"),
            (file(&one("F32", "[-1]", "[0,4]"), &[0; 4]), "E0701"),
            (file(&one("F8_E4M3", "[1]", "[0,1]"), &[0; 1]), "E0702"),
            (file(&one("BOOL", "[1]", "[0,1]"), &[2]), "E0605"),
            (file(&one("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), &[0; 4]), "E0703"),
        ];
        for (bytes, code) in cases {
            let error = Weights::parse(&bytes, "w.safetensors", &Limits::default()).unwrap_err();
            assert_eq!(error.code, code, "{}", error.message);
            assert!(error.message.contains("w.safetensors"), "{}", error.message);
        }
        let mut reserved = Weights::default();
        reserved.tensors.insert("__metadata__".into(), Tensor::zeros(DType::F32, [1]).unwrap());
        assert_eq!(reserved.to_bytes().unwrap_err().code, "E0704");
        // The header would have the name twice.
        reserved.metadata.insert("made by".into(), "a test".into());
        assert_eq!(reserved.to_bytes().unwrap_err().code, "E0704");
    }

    #[test]
    fn limits_hold_on_both_sides() {
        let bytes = weights().to_bytes().unwrap();
        let count = weights().tensors.len();
        assert!(Weights::parse(&bytes, "w", &Limits { tensors: count, ..Limits::default() }).is_ok());
        for limits in [
            Limits { tensors: count - 1, ..Limits::default() },
            Limits { name_bytes: 5, ..Limits::default() },
            Limits { rank: 1, ..Limits::default() },
            Limits { header_bytes: 100, ..Limits::default() },
        ] {
            assert_eq!(Weights::parse(&bytes, "w", &limits).unwrap_err().code, "E0703");
        }
    }

    #[test]
    fn unsigned_numbers_widen() {
        let header = "{\"a\":{\"dtype\":\"U32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
        let read = Weights::parse(&file(header, &[0xff; 4]), "w", &Limits::default()).unwrap();
        assert_eq!(read.tensors["a"].as_i64().unwrap(), [0xffff_ffff]);
    }
}

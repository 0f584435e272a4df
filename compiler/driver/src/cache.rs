//! Compiled objects by the hash of what they are made of.

use llvm::{Object, Part};
use std::{
    fmt::{self, Write},
    hash::{DefaultHasher, Hasher},
};
use tensor::Fnv64;

/// A store of bytes by key. What cannot be stored is compiled again, so failures stay silent.
pub trait Cache {
    fn load(&self, key: &str) -> Option<Vec<u8>>;
    fn store(&self, key: &str, bytes: &[u8]);
}

pub struct NoCache;

impl Cache for NoCache {
    fn load(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn store(&self, _: &str, _: &[u8]) {}
}

/// The key of a kernel module compiled with these options: every constant and every formula counts.
pub(crate) fn key(
    module: &kernel::Module,
    manifest: &abi::Manifest,
    interface: Option<Option<&[u8]>>,
    options: &llvm::Options,
) -> String {
    let mut hash = TextHash { fnv: Fnv64::new(), sip: DefaultHasher::new() };
    // Writing to a hash does not fail.
    let _ = write!(hash, "{} {:?} {:?} {module:?}", crate::VERSION, options.target, options.opt_level);
    let _ = match interface {
        None => write!(hash, " bare"),
        Some(weights) => {
            let weights = Fnv64::new().bytes(weights.unwrap_or_default()).finish();
            write!(hash, " interface {weights:016x} {manifest:?}")
        }
    };
    format!("{:016x}{:016x}", hash.fnv.finish(), hash.sip.finish())
}

/// Two unlike hashes, so that a chance collision of one of them changes nothing.
struct TextHash {
    fnv: Fnv64,
    sip: DefaultHasher,
}

impl Write for TextHash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.fnv = self.fnv.bytes(text.as_bytes());
        self.sip.write(text.as_bytes());
        Ok(())
    }
}

const MAGIC: &[u8; 8] = b"dlcobj01";

/// A hash of what follows, then each part's name and bytes with their lengths.
pub(crate) fn pack(object: &Object) -> Vec<u8> {
    let mut body = Vec::new();
    for part in &object.parts {
        for bytes in [part.name.as_bytes(), &part.bytes] {
            body.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            body.extend_from_slice(bytes);
        }
    }
    let mut packed = MAGIC.to_vec();
    packed.extend_from_slice(&Fnv64::new().bytes(&body).finish().to_le_bytes());
    packed.extend_from_slice(&body);
    packed
}

/// `None` for anything but what [`pack`] wrote, whole.
pub(crate) fn unpack(packed: &[u8]) -> Option<Object> {
    let (hash, mut body) = packed.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
    if u64::from_le_bytes(*hash) != Fnv64::new().bytes(body).finish() {
        return None;
    }
    let mut parts = Vec::new();
    while !body.is_empty() {
        let mut take = || {
            let (length, rest) = body.split_first_chunk::<8>()?;
            let (bytes, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
            body = rest;
            Some(bytes.to_vec())
        };
        let name = String::from_utf8(take()?).ok()?;
        parts.push(Part { name, bytes: take()? });
    }
    Some(Object { parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_noticed() {
        let part = |name: &str, bytes: &[u8]| Part { name: name.into(), bytes: bytes.into() };
        let object = Object { parts: vec![part("a.o", b"1234"), part("plans.o", b"")] };
        let packed = pack(&object);
        assert_eq!(unpack(&packed), Some(object));
        for position in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[position] ^= 1;
            assert_eq!(unpack(&damaged), None, "byte {position}");
            assert_eq!(unpack(&packed[..position]), None, "cut at {position}");
        }
    }
}

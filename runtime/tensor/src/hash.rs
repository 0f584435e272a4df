//! FNV-1a, 64 bits: keys of random streams and the fingerprint of data sets. Not for security.

/// A running FNV-1a hash. A change of any single bit changes the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fnv64 {
    state: u64,
}

impl Fnv64 {
    pub fn new() -> Fnv64 {
        Fnv64 { state: 0xcbf2_9ce4_8422_2325 }
    }

    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Fnv64 {
        for byte in bytes {
            self.state = (self.state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self
    }

    /// Eight bytes, the lowest first.
    #[must_use]
    pub fn number(self, number: u64) -> Fnv64 {
        self.bytes(&number.to_le_bytes())
    }

    /// The length and then the bytes, so that "ab", "c" and "a", "bc" differ.
    #[must_use]
    pub fn text(self, text: &str) -> Fnv64 {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }

    pub fn finish(self) -> u64 {
        self.state
    }
}

impl Default for Fnv64 {
    fn default() -> Self {
        Fnv64::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors() {
        assert_eq!(Fnv64::new().bytes(b"").finish(), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Fnv64::new().bytes(b"a").finish(), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Fnv64::new().bytes(b"foobar").finish(), 0x8594_4171_f739_67e8);
    }
}

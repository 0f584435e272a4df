//! How much an untrusted file may ask for.

/// Bounds on what reading a file may cost. Each one broken is an error, never a truncation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of a file that is read whole.
    pub file_bytes: u64,
    /// Bytes of all arrays of one file after decompression, and of arrays made by `synthetic`.
    pub expanded_bytes: u64,
    /// Expanded by compressed bytes, once more than [`Limits::FREE_EXPANSION`] are asked for.
    pub compression_ratio: u64,
    /// Arrays in one file.
    pub tensors: usize,
    /// Axes of one array.
    pub rank: usize,
    /// Bytes of an array's name.
    pub name_bytes: usize,
    /// Bytes of the header of an npy or safetensors file.
    pub header_bytes: usize,
    /// Bytes of one line of a table of text.
    pub line_bytes: usize,
    /// Pixels of one picture.
    pub image_pixels: u64,
    /// Bytes of data that are held in memory: of more, tables of text and folders of pictures are read as they are
    /// needed. No error.
    pub held_bytes: u64,
}

impl Limits {
    /// Small archives may compress as well as they like: arrays of zeros do. What is read from them is copied once or twice.
    pub const FREE_EXPANSION: u64 = 8 << 20;
}

impl Limits {
    /// Bytes that a file of this length may expand to.
    pub fn expansion_of(&self, file_bytes: u64) -> u64 {
        let by_ratio = file_bytes.saturating_mul(self.compression_ratio).max(Limits::FREE_EXPANSION);
        self.expanded_bytes.min(by_ratio)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            file_bytes: 64 << 30,
            expanded_bytes: 4 << 30,
            compression_ratio: 100,
            tensors: 1_000_000,
            rank: 8,
            name_bytes: 4096,
            header_bytes: 100_000_000,
            line_bytes: 4 << 20,
            image_pixels: 64 << 20,
            held_bytes: 512 << 20,
        }
    }
}

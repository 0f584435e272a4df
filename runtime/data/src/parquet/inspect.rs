//! What a parquet file says about its own sizes, held against the file before anything is decoded: the decoder allocates
//! by the file's word.

use parquet::{
    basic::{Compression, Encoding},
    file::metadata::{ColumnChunkMetaData, ParquetMetaData},
};
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};
use tensor::Limits;

/// Nesting of what describes the file; a valid file has about six levels.
const DEEPEST: usize = 16;
/// Bytes of the description of one page.
const LONGEST_HEADER: u64 = 1 << 20;
/// Structures of a file's description: these, and one for each so many bytes of it.
const STRUCTURES: usize = 4096;
const BYTES_OF_STRUCTURE: usize = 8;

/// Parts of a page's description, by the numbers of their fields in the format's definition.
const KIND: &[i16] = &[1];
const UNCOMPRESSED: &[i16] = &[2];
const COMPRESSED: &[i16] = &[3];
const DICTIONARY_VALUES: &[i16] = &[7, 1];
const VALUES: [&[i16]; 2] = [&[5, 1], &[8, 1]];
const ENCODINGS: [&[i16]; 3] = [&[5, 2], &[7, 2], &[8, 4]];
const LEVEL_BYTES: [&[i16]; 2] = [&[8, 5], &[8, 6]];
const IS_COMPRESSED: &[i16] = &[8, 7];

const DICTIONARY_PAGE: i64 = 2;

/// The description at the end of the file: every list and text has the bytes that its length asks for.
pub fn footer(file: &mut File, length: u64, limits: &Limits) -> Result<(), String> {
    let mut tail = [0; 8];
    let start = length.checked_sub(12).ok_or("it is shorter than the marks at its ends")?;
    read_at(file, start + 4, &mut tail)?;
    let (&size, magic) = tail.split_first_chunk::<4>().ok_or("it has no end")?;
    if magic != b"PAR1" {
        return Err("it does not end with PAR1".into());
    }
    let size = u64::from(u32::from_le_bytes(size));
    if size > start.min(limits.header_bytes as u64) {
        return Err(format!("its description of {size} bytes is longer than the file or the limit"));
    }
    let mut bytes = vec![0; usize::try_from(size).map_err(|_| "its description is too long")?];
    read_at(file, length - 8 - size, &mut bytes)?;
    let mut walk = Walk::new(&bytes, limits.tensors.saturating_mul(4));
    walk.structure(&mut Vec::new(), &mut |_, _| {}).ok_or_else(|| "its description contradicts itself".into())
}

/// All pages of a column: what they say lies within the file, and they expand to no more than `left` bytes.
pub fn column(
    file: &mut File,
    length: u64,
    metadata: &ParquetMetaData,
    place: usize,
    left: &mut u64,
) -> Result<(), String> {
    for group in metadata.row_groups() {
        if place >= group.num_columns() {
            return Err("a group of rows lacks columns".into());
        }
        let mut values = u64::try_from(group.num_rows()).map_err(|_| "a group has fewer rows than none")?;
        pages(file, length, group.column(place), &mut values, left)?;
    }
    Ok(())
}

fn pages(
    file: &mut File,
    length: u64,
    column: &ColumnChunkMetaData,
    values: &mut u64,
    left: &mut u64,
) -> Result<(), String> {
    let positive =
        |number: i64| u64::try_from(number).map_err(|_| "a column lies before the file".to_string());
    let mut at = positive(column.data_page_offset())?;
    if let Some(dictionary) = column.dictionary_page_offset() {
        at = at.min(positive(dictionary)?);
    }
    let end = at.checked_add(positive(column.compressed_size())?).filter(|end| *end <= length);
    let end = end.ok_or("a column lies beyond the end of the file")?;
    let mut header = Vec::new();
    while at < end {
        header.resize(
            usize::try_from((end - at).min(LONGEST_HEADER)).unwrap_or(0).min(header.len().max(512)),
            0,
        );
        read_at(file, at, &mut header)?;
        let mut page = Page::default();
        let mut walk = Walk::new(&header, STRUCTURES);
        let whole = walk.structure(&mut Vec::new(), &mut |path, number| page.take(path, number));
        let size = walk.at as u64;
        if whole.is_none() {
            // Descriptions are short, so at first little is read.
            let more = (end - at).min(LONGEST_HEADER);
            if (header.len() as u64) < more {
                header.resize(usize::try_from(more).unwrap_or(0), 0);
                continue;
            }
            return Err("a page's description contradicts itself".into());
        }
        at += size;
        let (packed, unpacked) = page.check(end - at, values)?;
        *left = left.checked_sub(unpacked).ok_or("its pages expand beyond the limit")?;
        if matches!(column.compression(), Compression::GZIP(_)) && page.is_compressed {
            let levels = page.level_bytes.min(packed);
            inflates(file, at + levels, packed - levels, unpacked)?;
        }
        at += packed;
    }
    Ok(())
}

/// What a page says of itself.
struct Page {
    kind: i64,
    unpacked: i64,
    packed: i64,
    dictionary_values: i64,
    values: i64,
    encoding: i64,
    level_bytes: u64,
    is_compressed: bool,
}

impl Default for Page {
    fn default() -> Self {
        Page {
            kind: -1,
            unpacked: -1,
            packed: -1,
            dictionary_values: 0,
            values: 0,
            encoding: 0,
            level_bytes: 0,
            is_compressed: true,
        }
    }
}

impl Page {
    fn take(&mut self, path: &[i16], number: i64) {
        match path {
            KIND => self.kind = number,
            UNCOMPRESSED => self.unpacked = number,
            COMPRESSED => self.packed = number,
            DICTIONARY_VALUES => self.dictionary_values = number,
            IS_COMPRESSED => self.is_compressed = number != 0,
            path if VALUES.contains(&path) => self.values = number,
            path if ENCODINGS.contains(&path) => self.encoding = number,
            path if LEVEL_BYTES.contains(&path) => {
                self.level_bytes = self.level_bytes.saturating_add(u64::try_from(number).unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }

    /// Packed and unpacked size. `room` bytes of the column are left, and so many `values`.
    fn check(&self, room: u64, values: &mut u64) -> Result<(u64, u64), String> {
        let size = |number: i64| u64::try_from(number).map_err(|_| "a page has no size".to_string());
        let (packed, unpacked) = (size(self.packed)?, size(self.unpacked)?);
        if packed > room {
            return Err("a page is longer than its column".into());
        }
        if self.level_bytes > packed || self.level_bytes > unpacked {
            return Err("a page is shorter than its parts".into());
        }
        // Of the other encodings the decoder takes sizes from within the page.
        let known = [Encoding::PLAIN, Encoding::PLAIN_DICTIONARY, Encoding::RLE, Encoding::RLE_DICTIONARY];
        if !known.iter().any(|known| *known as i64 == self.encoding) {
            return Err("a page is encoded neither plainly nor by a dictionary".into());
        }
        if self.kind == DICTIONARY_PAGE {
            if size(self.dictionary_values)? > unpacked {
                return Err("a dictionary has more values than bytes".into());
            }
        } else {
            let left = values.checked_sub(size(self.values)?);
            *values = left.ok_or("a column has more values than its group has rows")?;
        }
        Ok((packed, unpacked))
    }
}

/// Whether what is packed expands to no more than is stated.
fn inflates(file: &mut File, at: u64, packed: u64, unpacked: u64) -> Result<(), String> {
    file.seek(SeekFrom::Start(at)).map_err(|error| error.to_string())?;
    let mut stream = flate2::read::MultiGzDecoder::new(file.take(packed)).take(unpacked.saturating_add(1));
    match std::io::copy(&mut stream, &mut std::io::sink()) {
        Ok(bytes) if bytes <= unpacked => Ok(()),
        Ok(_) => Err("a page expands to more than it says".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn read_at(file: &mut File, at: u64, into: &mut [u8]) -> Result<(), String> {
    file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(into)).map_err(|error| error.to_string())
}

/// Through a structure in the compact form of Thrift, without keeping anything of it.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    structures: usize,
}

/// The types of the compact form.
mod kind {
    pub const TRUE: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const BYTE: u8 = 3;
    pub const I16: u8 = 4;
    pub const I64: u8 = 6;
    pub const DOUBLE: u8 = 7;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const SET: u8 = 10;
    pub const MAP: u8 = 11;
    pub const STRUCT: u8 = 12;
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], most: usize) -> Walk<'a> {
        let structures = STRUCTURES.saturating_add(bytes.len() / BYTES_OF_STRUCTURE).min(most);
        Walk { bytes, at: 0, structures }
    }

    /// `found` gets every number and truth value that stands in structures alone, with the path of its fields.
    fn structure(&mut self, path: &mut Vec<i16>, found: &mut impl FnMut(&[i16], i64)) -> Option<()> {
        self.structures = self.structures.checked_sub(1)?;
        if path.len() >= DEEPEST {
            return None;
        }
        let mut last = 0i16;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            last = match head >> 4 {
                0 => i16::try_from(self.number()?).ok()?,
                delta => last.checked_add(i16::from(delta))?,
            };
            path.push(last);
            match head & 15 {
                truth @ (kind::TRUE | kind::FALSE) => found(path, i64::from(truth == kind::TRUE)),
                kind::I16..=kind::I64 => {
                    let number = self.number()?;
                    found(path, number);
                }
                other => self.value(other, path, found)?,
            }
            path.pop();
        }
    }

    fn value(&mut self, kind: u8, path: &mut Vec<i16>, found: &mut impl FnMut(&[i16], i64)) -> Option<()> {
        match kind {
            kind::TRUE | kind::FALSE | kind::BYTE => self.skip(1),
            kind::I16..=kind::I64 => self.number().map(drop),
            kind::DOUBLE => self.skip(8),
            kind::BINARY => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.skip(length)
            }
            kind::LIST | kind::SET => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                self.elements(count, &[head & 15], path)
            }
            kind::MAP => match self.varint()? {
                0 => Some(()),
                count => {
                    let kinds = self.byte()?;
                    self.elements(count, &[kinds >> 4, kinds & 15], path)
                }
            },
            kind::STRUCT => self.structure(path, found),
            _ => None,
        }
    }

    /// Each element takes a byte at least, so that a count cannot be larger than what follows it.
    fn elements(&mut self, count: u64, kinds: &[u8], path: &mut Vec<i16>) -> Option<()> {
        if count > (self.bytes.len() - self.at) as u64 {
            return None;
        }
        // A place that no field has: what stands in lists is nobody's.
        path.push(i16::MIN);
        for _ in 0..count {
            for kind in kinds {
                if path.len() > DEEPEST {
                    return None;
                }
                self.value(*kind, path, &mut |_: &[i16], _: i64| {})?;
            }
        }
        path.pop();
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(number);
            }
        }
        None
    }

    fn number(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
    }
}

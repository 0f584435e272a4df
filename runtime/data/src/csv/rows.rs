//! A table that stays in its file: rows are read as they are asked for, by the index that the first reading made.

use super::{
    Csv,
    header::Layout,
    index::RowIndex,
    lines::Lines,
    read::{Content, Gathered, scan, twice},
};
use crate::{
    FieldInfo,
    source::{RowSource, reused},
};
use base::Diagnostic;
use csv::ByteRecord;
use indexmap::IndexMap;
use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    ops::Range,
    path::Path,
    time::SystemTime,
};
use tensor::{Tensor, file};

/// Reads the table once: into memory where its values are few enough, else only to know it.
pub fn open(spec: &Csv, path: &Path) -> Result<Box<dyn RowSource>, Diagnostic> {
    let name = path.display().to_string();
    let (file, length) = file::open(path)?;
    let stamp = Stamp::of(&file).map_err(|error| file::unreadable(path, &error))?;
    let scanned = scan(spec, &name, &file, Some(length), spec.limits.held_bytes)?;
    let hash = match scanned.content {
        Content::Held(dataset) => return Ok(Box::new(dataset)),
        Content::Streamed(hash) => hash,
    };
    let mut rows = CsvRows {
        spec: spec.clone(),
        places: Vec::new(),
        fields: Vec::new(),
        tables: IndexMap::new(),
        layout: scanned.layout,
        index: scanned.index,
        quoted: scanned.quoted,
        file: Positioned::new(file),
        stamp,
        name,
        hash,
    };
    for (field, (places, table)) in rows.spec.fields.iter_mut().zip(scanned.fields) {
        if rows.fields.iter().any(|known| known.name == field.name) {
            return Err(twice(&format!("`{}`", rows.name), &field.name));
        }
        if let Some(table) = &table {
            rows.tables.insert(field.name.clone(), table.clone());
        }
        field.table = table;
        let row_shape = Gathered::new(field, places.clone(), &rows.name)?.row_shape(&rows.name)?;
        rows.fields.push(FieldInfo { name: field.name.clone(), dtype: field.dtype, row_shape });
        rows.places.push(places);
    }
    rows.unchanged()?;
    Ok(Box::new(rows))
}

struct CsvRows {
    /// With the tables of words that were found.
    spec: Csv,
    /// Of each field, its columns.
    places: Vec<Vec<usize>>,
    fields: Vec<FieldInfo>,
    tables: IndexMap<String, Vec<String>>,
    layout: Layout,
    index: RowIndex,
    quoted: bool,
    file: Positioned,
    stamp: Stamp,
    name: String,
    hash: u64,
}

/// What tells that a file was changed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

/// A file that is read at places of one's choice.
#[cfg(unix)]
struct Positioned(File);

#[cfg(not(unix))]
struct Positioned(std::sync::Mutex<File>);

/// Parts of a file, one after the other.
struct Parts<'a> {
    file: &'a Positioned,
    parts: VecDeque<Range<u64>>,
}

impl RowSource for CsvRows {
    fn rows(&self) -> usize {
        self.index.rows()
    }

    fn fields(&self) -> Vec<FieldInfo> {
        self.fields.clone()
    }

    fn tables(&self) -> &IndexMap<String, Vec<String>> {
        &self.tables
    }

    fn content_hash(&self) -> u64 {
        self.hash
    }

    fn is_held(&self) -> bool {
        false
    }

    fn gather(
        &self,
        wanted: &[usize],
        rows: &[usize],
        _: Option<u64>,
        batch: &mut Vec<Tensor>,
    ) -> Result<(), Diagnostic> {
        assert!(rows.iter().all(|row| *row < self.rows()), "a row outside of the file");
        // In the order of the file, so that neighbours are read at once and the disk's head goes one way.
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_unstable_by_key(|place| (rows[*place], *place));
        let sorted: Vec<usize> = order.iter().map(|place| rows[*place]).collect();
        let mut gathered = wanted
            .iter()
            .map(|field| Gathered::new(&self.spec.fields[*field], self.places[*field].clone(), &self.name))
            .collect::<Result<Vec<_>, Diagnostic>>()?;
        // The first reading found all of it in order, so that any fault is another file's.
        self.take(&sorted, &mut gathered).map_err(|_| self.changed())?;
        self.unchanged()?;
        let mut back = vec![0; rows.len()];
        order.iter().enumerate().for_each(|(from, to)| back[*to] = from);
        let mut old = std::mem::take(batch).into_iter();
        for (field, mut values) in wanted.iter().zip(gathered) {
            let info = &self.fields[*field];
            let shape = std::iter::once(rows.len()).chain(info.row_shape.iter().copied()).collect::<Vec<_>>();
            let values = values.numbers()?.reshape(shape)?;
            let mut target = reused(old.next(), info.dtype, rows.len(), &info.row_shape)?;
            values.gather_rows_into(&back, &mut target);
            batch.push(target);
        }
        Ok(())
    }
}

impl CsvRows {
    /// The values of these rows, which ascend and may repeat.
    fn take(&self, sorted: &[usize], gathered: &mut [Gathered]) -> Result<(), Diagnostic> {
        let mut blocks: Vec<usize> = sorted.iter().map(|row| self.index.block_of(*row)).collect();
        blocks.dedup();
        if self.quoted {
            let parts = blocks.iter().map(|block| self.index.bytes_of(*block)).collect();
            let rows = blocks.iter().flat_map(|block| self.index.rows_of(*block));
            return self.parse(Parts { file: &self.file, parts }, rows, sorted, gathered);
        }
        let mut unique = sorted.to_vec();
        unique.dedup();
        let lines = self.lines(&blocks, &unique)?;
        self.parse(&lines[..], unique.iter().copied(), sorted, gathered)
    }

    /// The lines of these rows alone. Without quotation marks lines end where they seem to, which is found much faster than
    /// values are.
    fn lines(&self, blocks: &[usize], unique: &[usize]) -> Result<Vec<u8>, Diagnostic> {
        let (mut found, mut bytes) = (Vec::new(), Vec::new());
        let mut wanted = unique.iter().peekable();
        for block in blocks {
            let range = self.index.bytes_of(*block);
            bytes.resize(usize::try_from(range.end - range.start).map_err(|_| self.changed())?, 0);
            let parts = VecDeque::from([range]);
            Parts { file: &self.file, parts }.read_exact(&mut bytes).map_err(|_| self.changed())?;
            let mut row = self.index.rows_of(*block).start;
            let mut at = 0;
            while at < bytes.len() {
                let end =
                    memchr::memchr2(b'\n', b'\r', &bytes[at..]).map_or(bytes.len(), |length| at + length);
                // An empty line is none.
                if end > at {
                    if wanted.next_if(|wanted| **wanted == row).is_some() {
                        found.extend_from_slice(&bytes[at..end]);
                        found.push(b'\n');
                    }
                    row += 1;
                }
                at = end + 1;
                if wanted.peek().is_none_or(|wanted| !self.index.rows_of(*block).contains(wanted)) {
                    break;
                }
            }
        }
        if wanted.peek().is_some() { Err(self.changed()) } else { Ok(found) }
    }

    /// Takes what `sorted` wants of the given lines, which are those of the rows `given`.
    fn parse(
        &self,
        source: impl Read,
        given: impl Iterator<Item = usize>,
        sorted: &[usize],
        gathered: &mut [Gathered],
    ) -> Result<(), Diagnostic> {
        let mut lines = Lines::new(&self.spec, &self.name, source);
        let mut line = ByteRecord::new();
        let mut sorted = sorted.iter().peekable();
        for row in given {
            if sorted.peek().is_none() {
                return Ok(());
            }
            let found = lines.next(&mut line)?;
            if !found || line.len() != self.layout.width {
                return Err(self.changed());
            }
            while sorted.next_if(|wanted| **wanted == row).is_some() {
                for field in gathered.iter_mut() {
                    field.take(&self.layout, &line, 0)?;
                }
            }
        }
        if sorted.peek().is_some() { Err(self.changed()) } else { Ok(()) }
    }

    fn unchanged(&self) -> Result<(), Diagnostic> {
        match self.file.stamp() {
            Ok(stamp) if stamp == self.stamp => Ok(()),
            _ => Err(self.changed()),
        }
    }

    fn changed(&self) -> Diagnostic {
        Diagnostic::error("E0646", format!("`{}` was changed while it was read", self.name))
            .help("leave the file as it is until training ends, or train on a copy")
    }
}

impl Stamp {
    fn of(file: &File) -> io::Result<Stamp> {
        let metadata = file.metadata()?;
        Ok(Stamp { length: metadata.len(), modified: metadata.modified().ok() })
    }
}

#[cfg(unix)]
impl Positioned {
    fn new(file: File) -> Positioned {
        Positioned(file)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, into, at)
    }

    fn stamp(&self) -> io::Result<Stamp> {
        Stamp::of(&self.0)
    }
}

#[cfg(not(unix))]
impl Positioned {
    fn new(file: File) -> Positioned {
        Positioned(std::sync::Mutex::new(file))
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        use std::io::{Seek, SeekFrom};
        // The place is set anew each time, so that a panic elsewhere leaves nothing behind.
        let mut file = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        file.read(into)
    }

    fn stamp(&self) -> io::Result<Stamp> {
        Stamp::of(&self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Read for Parts<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(part) = self.parts.front_mut().filter(|_| filled < into.len()) {
            let length = (part.end - part.start).min((into.len() - filled) as u64) as usize;
            let read = self.file.read_at(&mut into[filled..filled + length], part.start)?;
            if read == 0 && length > 0 {
                break;
            }
            part.start += read as u64;
            filled += read;
            if part.start == part.end {
                self.parts.pop_front();
            }
        }
        Ok(filled)
    }
}

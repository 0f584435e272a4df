//! The lines of a table, none of which may be longer than the limit.

use super::Csv;
use base::Diagnostic;
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::io::{self, Read};

/// What the parser takes from the file at a time.
const BUFFER: usize = 1 << 16;

pub struct Lines<'a, R> {
    reader: Reader<Bounded<R>>,
    file: &'a str,
    limit: usize,
}

/// Ends in an error where so much is read before a line ends: the parser would keep all of it, and a place for each value.
struct Bounded<R> {
    source: R,
    /// Bytes that may be handed out before the line has to be at its end.
    left: usize,
    exceeded: bool,
    quoted: bool,
}

impl<'a, R: Read> Lines<'a, R> {
    pub fn new(spec: &Csv, file: &'a str, source: R) -> Lines<'a, R> {
        let limit = spec.limits.line_bytes;
        let source = Bounded { source, left: limit.saturating_add(BUFFER), exceeded: false, quoted: false };
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(spec.delimiter).buffer_capacity(BUFFER);
        Lines { reader: builder.from_reader(source), file, limit }
    }

    /// Whether there was a further line.
    pub fn next(&mut self, line: &mut ByteRecord) -> Result<bool, Diagnostic> {
        let found = self.reader.read_byte_record(line);
        let source = self.reader.get_mut();
        // What is in the buffer already belongs to the lines to come.
        source.left = self.limit.saturating_add(BUFFER);
        if source.exceeded || line.as_slice().len() > self.limit {
            return Err(self.too_long());
        }
        let unreadable = |error| Diagnostic::error("E0628", format!("cannot read `{}`: {error}", self.file));
        let found = found.map_err(unreadable)?;
        Ok(found)
    }

    /// Whether there was a quotation mark: then lines may end elsewhere than where they seem to.
    pub fn quoted(&self) -> bool {
        self.reader.get_ref().quoted
    }

    /// How far the file is read.
    pub fn position(&self) -> u64 {
        self.reader.position().byte()
    }

    fn too_long(&self) -> Diagnostic {
        let line = self.reader.position().line();
        Diagnostic::error(
            "E0602",
            format!(
                "`{}`, line {line}: the line is longer than the limit of {} bytes",
                self.file, self.limit
            ),
        )
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(into)?;
        self.quoted = self.quoted || into[..read].contains(&b'"');
        match self.left.checked_sub(read) {
            Some(left) => self.left = left,
            None => {
                self.exceeded = true;
                return Err(io::Error::other("a line beyond the limit"));
            }
        }
        Ok(read)
    }
}

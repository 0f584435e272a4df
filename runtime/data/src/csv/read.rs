//! Lines to arrays.

use super::{
    Csv, CsvField,
    header::Layout,
    index::RowIndex,
    lines::Lines,
    value::{self, Fault, Number},
};
use crate::{
    Dataset,
    dataset::{ContentHash, hash_elements, shape_rows},
};
use base::{Diagnostic, did_you_mean};
use csv::ByteRecord;
use indexmap::IndexMap;
use std::io::Read;
use tensor::{DType, Fnv64, Tensor};

/// Rows after which values leave the store of their parser.
const FLUSH: usize = 1024;

/// Bytes after which what is to come is judged by what came.
const PROBE: u64 = 4 << 20;

/// A table after one reading from its beginning to its end.
pub struct Scan {
    pub layout: Layout,
    pub index: RowIndex,
    /// Of each field: its columns, and the words that it numbers.
    pub fields: Vec<(Vec<usize>, Option<Vec<String>>)>,
    pub content: Content,
    /// Whether there is a quotation mark anywhere.
    pub quoted: bool,
}

pub enum Content {
    Held(Dataset),
    /// More than was to be held; what is left is the content's hash.
    Streamed(u64),
}

/// Reads all lines, and holds their values up to `held_bytes`. Where the length of the source is known, none are held of
/// one that will have many more.
pub fn scan(
    spec: &Csv,
    file: &str,
    source: impl Read,
    length: Option<u64>,
    held_bytes: u64,
) -> Result<Scan, Diagnostic> {
    let mut lines = Lines::new(spec, file, source);
    let mut line = ByteRecord::new();
    if !lines.next(&mut line)? {
        return Err(Diagnostic::error("E0620", format!("`{file}` is empty")));
    }
    if line.len() > spec.limits.tensors {
        return Err(Diagnostic::error(
            "E0602",
            format!("`{file}` has {} columns, more than the limit of {}", line.len(), spec.limits.tensors),
        ));
    }
    let layout = Layout::of(spec, &line, file)?;
    let mut gathered = Vec::with_capacity(spec.fields.len());
    for field in &spec.fields {
        gathered.push(Gathered::new(field, layout.places(field, file)?, file)?);
    }
    let mut more = if layout.has_header { lines.next(&mut line)? } else { true };
    let mut index = RowIndex::default();
    let mut left = Some(held_bytes);
    while more {
        let position = line.position();
        let number = position.map_or(0, csv::Position::line);
        if line.len() != layout.width {
            return Err(Diagnostic::error(
                "E0621",
                format!("`{file}`, line {number}: {} values, where line 1 has {}", line.len(), layout.width),
            ));
        }
        for field in &mut gathered {
            field.take(&layout, &line, number)?;
        }
        index.push(position.map_or(0, csv::Position::byte), file)?;
        if index.rows().is_multiple_of(FLUSH) {
            flush(&mut gathered, &mut left)?;
            if let (Some(room), Some(length)) = (left, length) {
                let read = lines.position();
                // In wide numbers: a product of two lengths.
                let expected = u128::from(held_bytes - room) * u128::from(length) / u128::from(read.max(1));
                if read > PROBE && expected > u128::from(held_bytes) * 5 / 4 {
                    left = None;
                    gathered.iter_mut().for_each(Gathered::let_go);
                }
            }
        }
        more = lines.next(&mut line)?;
    }
    index.end(lines.position());
    let quoted = lines.quoted();
    if index.rows() == 0 {
        return Err(Diagnostic::error("E0620", format!("`{file}` has a header but no rows")));
    }
    flush(&mut gathered, &mut left)?;
    let content = match left {
        Some(_) => Content::Held(held(file, &mut gathered, index.rows())?),
        None => Content::Streamed(hash_of(file, &mut gathered, index.rows())?),
    };
    let mut fields = Vec::with_capacity(gathered.len());
    for field in gathered {
        fields.push((field.places, field.table));
    }
    Ok(Scan { layout, index, fields, content, quoted })
}

/// Moves values on, to be held while `left` bytes allow it.
fn flush(gathered: &mut [Gathered], left: &mut Option<u64>) -> Result<(), Diagnostic> {
    for field in gathered.iter_mut() {
        let bytes = field.flush(left.is_some())?;
        *left = left.and_then(|left| left.checked_sub(bytes));
    }
    if left.is_none() {
        gathered.iter_mut().for_each(Gathered::let_go);
    }
    Ok(())
}

fn held(file: &str, gathered: &mut [Gathered], rows: usize) -> Result<Dataset, Diagnostic> {
    let source = format!("`{file}`");
    let (mut fields, mut tables) = (IndexMap::new(), IndexMap::new());
    for field in gathered {
        let (name, row_shape) = (field.field.name.clone(), field.field.row_shape.clone());
        let tensor = field.whole(rows)?;
        let tensor = shape_rows(&source, &name, tensor, row_shape.as_deref())?;
        if let Some(table) = &field.table {
            tables.insert(name.clone(), table.clone());
        }
        if fields.insert(name.clone(), tensor).is_some() {
            return Err(twice(&source, &name));
        }
    }
    Ok(Dataset { tables, ..Dataset::new(&source, fields)? })
}

/// As of a held data set with the same values.
fn hash_of(file: &str, gathered: &mut [Gathered], rows: usize) -> Result<u64, Diagnostic> {
    let mut content = ContentHash::new();
    for field in gathered.iter_mut() {
        let row_shape = field.row_shape(file)?;
        field.number_words()?;
        let hash = field.hash.finish();
        content.field(&field.field.name, field.field.dtype, rows, &row_shape, hash);
    }
    for field in gathered.iter() {
        field.table.iter().for_each(|table| content.table(&field.field.name, table));
    }
    Ok(content.finish())
}

pub fn twice(source: &str, name: &str) -> Diagnostic {
    Diagnostic::error("E0631", format!("{source} is asked for the field `{name}` twice"))
}

/// A field while its lines come in.
pub struct Gathered<'a> {
    field: &'a CsvField,
    places: Vec<usize>,
    file: &'a str,
    values: Values,
    /// What was flushed, to be held.
    chunks: Vec<Chunk>,
    /// Of what was flushed and let go.
    hash: Fnv64,
    /// The words in the order of their final ids, after the end.
    table: Option<Vec<String>>,
}

enum Chunk {
    Numbers(Tensor),
    /// By the order in which words were seen.
    Words(Vec<u32>),
}

enum Values {
    F32(Vec<f32>),
    Float(Vec<f64>),
    Integer(Vec<i64>),
    /// An integer field before its first value, which decides between numbers and words.
    Undecided,
    Words(Words),
}

/// Words and, for each value so far, which of them it is.
#[derive(Default)]
struct Words {
    /// In order of appearance, or the given table.
    seen: IndexMap<String, ()>,
    ids: Vec<u32>,
    /// Nothing may be added: the words come from an earlier reading.
    closed: bool,
    /// The line of the first word, 0 for none.
    first_line: u64,
}

impl Values {
    fn of(field: &CsvField, file: &str) -> Result<Values, Diagnostic> {
        let Some(table) = &field.table else {
            return Ok(match field.dtype {
                DType::F32 => Values::F32(Vec::new()),
                DType::F64 | DType::F16 | DType::BF16 => Values::Float(Vec::new()),
                DType::Bool => Values::Integer(Vec::new()),
                DType::I64 | DType::I32 | DType::I16 | DType::I8 | DType::U8 => Values::Undecided,
            });
        };
        if field.dtype.integer_range().is_none() {
            return Err(Diagnostic::error(
                "E0623",
                format!(
                    "field `{}` of `{file}` has a table of words, which {} cannot number",
                    field.name, field.dtype
                ),
            ));
        }
        let seen = table.iter().map(|word| (word.clone(), ())).collect();
        Ok(Values::Words(Words { seen, ids: Vec::new(), closed: true, first_line: 0 }))
    }
}

impl<'a> Gathered<'a> {
    pub fn new(field: &'a CsvField, places: Vec<usize>, file: &'a str) -> Result<Gathered<'a>, Diagnostic> {
        let values = Values::of(field, file)?;
        Ok(Gathered { field, places, file, values, chunks: Vec::new(), hash: Fnv64::new(), table: None })
    }

    /// The values of a line, which has this number in the file.
    pub fn take(&mut self, layout: &Layout, line: &ByteRecord, number: u64) -> Result<(), Diagnostic> {
        for index in 0..self.places.len() {
            let place = self.places[index];
            let cell = value::trimmed(line.get(place).unwrap_or_default());
            if let Values::Undecided = self.values {
                let words =
                    !value::is_number(cell) && !value::is_missing(cell) && self.field.steps.is_empty();
                self.values = if words {
                    Values::Words(Words { first_line: number, ..Words::default() })
                } else {
                    Values::Integer(Vec::new())
                };
            }
            if let Values::Words(words) = &mut self.values {
                if let Err(fault) = words.push(cell) {
                    return Err(self.word_fault(layout, &fault, cell, place, number));
                }
                continue;
            }
            let parsed = value::parse(cell, self.field.dtype, &self.field.steps)
                .map_err(|fault| self.number_fault(layout, fault, cell, place, number))?;
            match (&mut self.values, parsed) {
                // The value is an f32's, so nothing is lost.
                (Values::F32(values), Number::Float(value)) => values.push(value as f32),
                (Values::Float(values), Number::Float(value)) => values.push(value),
                (Values::Integer(values), Number::Integer(value)) => values.push(value),
                _ => unreachable!("the store is chosen by the same dtype that the parser gets"),
            }
        }
        Ok(())
    }

    /// Moves the values on as the field's dtype has them, to be held or only hashed. Tells how many bytes they take.
    fn flush(&mut self, hold: bool) -> Result<u64, Diagnostic> {
        let chunk = match &mut self.values {
            Values::Undecided => return Ok(0),
            Values::Words(words) => Chunk::Words(std::mem::take(&mut words.ids)),
            _ => Chunk::Numbers(self.numbers()?),
        };
        let bytes = match &chunk {
            Chunk::Words(ids) => ids.len() * size_of::<u32>(),
            Chunk::Numbers(tensor) => tensor.bytes().len(),
        };
        self.chunks.push(chunk);
        if !hold {
            self.let_go();
        }
        Ok(bytes as u64)
    }

    /// Hashes what was held so far.
    fn let_go(&mut self) {
        for chunk in std::mem::take(&mut self.chunks) {
            self.hash = match (&chunk, &self.values) {
                (Chunk::Numbers(tensor), _) => hash_elements(self.hash, tensor),
                (Chunk::Words(ids), Values::Words(words)) => {
                    let known = ids.iter().filter_map(|id| words.seen.get_index(*id as usize));
                    known.fold(self.hash, |hash, (word, ())| hash.text(word))
                }
                (Chunk::Words(_), _) => self.hash, // only words are flushed as words
            };
        }
    }

    /// The values taken since the last time, in the field's dtype; words by the given table.
    pub fn numbers(&mut self) -> Result<Tensor, Diagnostic> {
        let dtype = self.field.dtype;
        match &mut self.values {
            Values::F32(values) => drained(values, dtype),
            Values::Float(values) => drained(values, dtype),
            Values::Integer(values) => drained(values, dtype),
            Values::Undecided => Tensor::zeros(dtype, [0]),
            Values::Words(words) => {
                let ids: Vec<i64> = words.ids.drain(..).map(i64::from).collect();
                Tensor::from_vec([ids.len()], ids)?.cast(dtype)
            }
        }
    }

    /// Everything that was held, piece by piece, so that it does not lie in memory twice.
    fn whole(&mut self, rows: usize) -> Result<Tensor, Diagnostic> {
        let ranks = self.number_words()?;
        let dtype = self.field.dtype;
        let mut whole = Tensor::zeros(dtype, self.shape(rows))?;
        let mut rest = whole.bytes_mut();
        for chunk in std::mem::take(&mut self.chunks) {
            let tensor = match chunk {
                Chunk::Numbers(tensor) => tensor,
                Chunk::Words(ids) => {
                    let ids: Vec<i64> = ids.into_iter().map(|id| ranks[id as usize]).collect();
                    Tensor::from_vec([ids.len()], ids)?.cast(dtype)?
                }
            };
            let (target, after) = rest.split_at_mut(tensor.bytes().len());
            target.copy_from_slice(tensor.bytes());
            rest = after;
        }
        Ok(whole)
    }

    /// Settles which word has which id; by the order in which words were seen, what their ids are.
    fn number_words(&mut self) -> Result<Vec<i64>, Diagnostic> {
        let Values::Words(words) = &mut self.values else { return Ok(Vec::new()) };
        let (ranks, table) = std::mem::take(words).finish();
        let dtype = self.field.dtype;
        let high = dtype.integer_range().map_or(0, |(_, high)| high);
        if table.len() as i64 - 1 > high {
            return Err(Diagnostic::error(
                "E0626",
                format!(
                    "field `{}` of `{}` has {} different words, more than {dtype} can number",
                    self.field.name,
                    self.file,
                    table.len()
                ),
            ));
        }
        self.table = Some(table);
        Ok(ranks)
    }

    /// Of so many rows, before they take the shape that the model wants.
    fn shape(&self, rows: usize) -> Vec<usize> {
        match &self.field.columns {
            super::Columns::One(_) => vec![rows],
            _ => vec![rows, self.places.len()],
        }
    }

    /// Of one row, as the model wants it.
    pub fn row_shape(&self, file: &str) -> Result<Vec<usize>, Diagnostic> {
        let row = Tensor::zeros(self.field.dtype, self.shape(1))?;
        let row = shape_rows(&format!("`{file}`"), &self.field.name, row, self.field.row_shape.as_deref())?;
        Ok(row.shape()[1..].to_vec())
    }

    fn at(&self, layout: &Layout, place: usize, line: u64) -> String {
        format!("`{}`, line {line}, {}", self.file, layout.call(place))
    }

    fn number_fault(
        &self,
        layout: &Layout,
        fault: Fault,
        cell: &[u8],
        place: usize,
        line: u64,
    ) -> Diagnostic {
        let (at, dtype, cell) = (self.at(layout, place, line), self.field.dtype, shown(cell));
        match fault {
            Fault::Missing => missing(&at, &cell),
            Fault::Text => {
                let error =
                    Diagnostic::error("E0623", format!("{at}: `{cell}` is text, where {dtype} is expected"));
                if line == 1 {
                    return error.help("if line 1 holds names, ask for the columns by name");
                }
                error
            }
            Fault::Fraction => {
                Diagnostic::error("E0626", format!("{at}: {cell} has a fraction, where {dtype} is expected"))
                    .help(format!(
                        "declare the field `{}` with a floating dtype, or round the column",
                        self.field.name
                    ))
            }
            Fault::Range => {
                Diagnostic::error("E0626", format!("{at}: {cell} is out of the range of {dtype}"))
            }
        }
    }

    fn word_fault(
        &self,
        layout: &Layout,
        fault: &WordFault,
        cell: &[u8],
        place: usize,
        line: u64,
    ) -> Diagnostic {
        let (at, cell) = (self.at(layout, place, line), shown(cell));
        match fault {
            WordFault::Missing => missing(&at, &cell),
            WordFault::NotText => Diagnostic::error("E0628", format!("{at}: `{cell}` is not UTF-8"))
                .help("save the file as UTF-8"),
            WordFault::Number(0) => Diagnostic::error(
                "E0623",
                format!("{at}: the number {cell}, where a word of the table is expected"),
            ),
            WordFault::Number(first) => Diagnostic::error(
                "E0623",
                format!("{at}: the number {cell} among words (the first word is in line {first})"),
            )
            .help("words become ids only where every value of the field is one"),
            WordFault::TooMany => {
                Diagnostic::error("E0626", format!("{at}: more different words than can be numbered"))
            }
            WordFault::Unknown(near) => Diagnostic::error(
                "E0636",
                format!("{at}: the word `{cell}` was not in the data that gave the ids"),
            )
            .maybe_help(near.as_ref().map(|near| format!("did you mean `{near}`?"))),
        }
    }
}

enum WordFault {
    Missing,
    NotText,
    /// With the line of the first word.
    Number(u64),
    TooMany,
    /// With the nearest known word.
    Unknown(Option<String>),
}

impl Words {
    fn push(&mut self, cell: &[u8]) -> Result<(), WordFault> {
        // A given table may know "NA" as a word.
        let word = std::str::from_utf8(cell).map_err(|_| WordFault::NotText)?;
        if let Some(id) = self.seen.get_index_of(word) {
            self.ids.push(id as u32);
            return Ok(());
        }
        if value::is_missing(cell) {
            return Err(WordFault::Missing);
        }
        if value::is_number(cell) {
            return Err(WordFault::Number(self.first_line));
        }
        if self.closed {
            let near = did_you_mean(word, self.seen.keys().map(String::as_str));
            return Err(WordFault::Unknown(near.map(str::to_string)));
        }
        let id = u32::try_from(self.seen.len()).map_err(|_| WordFault::TooMany)?;
        self.seen.insert(word.to_string(), ());
        self.ids.push(id);
        Ok(())
    }

    /// The id of each word by the order in which it was seen, and the words in the order of their ids.
    fn finish(self) -> (Vec<i64>, Vec<String>) {
        let mut order: Vec<usize> = (0..self.seen.len()).collect();
        let words: Vec<String> = self.seen.into_keys().collect();
        // A given table keeps its order, which is that of its ids.
        if !self.closed {
            order.sort_by(|left, right| words[*left].cmp(&words[*right]));
        }
        let mut rank = vec![0i64; words.len()];
        for (place, word) in order.iter().enumerate() {
            rank[*word] = place as i64;
        }
        (rank, order.into_iter().map(|word| words[word].clone()).collect())
    }
}

/// The store's values as an array; the store's memory stays for the next ones.
fn drained<T: tensor::Element>(values: &mut Vec<T>, dtype: DType) -> Result<Tensor, Diagnostic> {
    let tensor = Tensor::from_vec([values.len()], &values[..])?;
    values.clear();
    if tensor.dtype() == dtype { Ok(tensor) } else { tensor.cast(dtype) }
}

fn missing(at: &str, cell: &str) -> Diagnostic {
    let what = if cell.is_empty() {
        "the value is missing".into()
    } else {
        format!("`{cell}` stands for a missing value")
    };
    Diagnostic::error("E0622", format!("{at}: {what}")).help("fill in or remove the row before training")
}

/// A cell for a message: as text, and not longer than a line.
fn shown(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(cell);
    let short: String = text.chars().take(40).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if short.len() < text.len() { short + "…" } else { short }
}

//! Lines to arrays.

use super::{
    Csv, CsvField,
    header::Layout,
    value::{self, Fault, Number},
};
use crate::{Dataset, dataset::shape_rows};
use base::{Diagnostic, did_you_mean};
use csv::{ByteRecord, ReaderBuilder};
use indexmap::IndexMap;
use std::io::Read;
use tensor::{DType, Tensor};

pub fn read(spec: &Csv, file: &str, source: impl Read) -> Result<Dataset, Diagnostic> {
    let mut lines =
        ReaderBuilder::new().has_headers(false).flexible(true).delimiter(spec.delimiter).from_reader(source);
    let mut line = ByteRecord::new();
    let unreadable = |error: csv::Error| Diagnostic::error("E0628", format!("cannot read `{file}`: {error}"));
    if !lines.read_byte_record(&mut line).map_err(unreadable)? {
        return Err(Diagnostic::error("E0620", format!("`{file}` is empty")));
    }
    let layout = Layout::of(spec, &line, file)?;
    let mut gathered = Vec::with_capacity(spec.fields.len());
    for field in &spec.fields {
        let places = layout.places(field, file)?;
        gathered.push(Gathered { field, places, layout: &layout, file, values: Values::of(field, file)? });
    }
    let mut more =
        if layout.has_header { lines.read_byte_record(&mut line).map_err(unreadable)? } else { true };
    let mut rows = 0;
    while more {
        let number = line.position().map_or(0, csv::Position::line);
        if line.len() != layout.width {
            return Err(Diagnostic::error(
                "E0621",
                format!("`{file}`, line {number}: {} values, where line 1 has {}", line.len(), layout.width),
            ));
        }
        for field in &mut gathered {
            field.take(&line, number)?;
        }
        rows += 1;
        more = lines.read_byte_record(&mut line).map_err(unreadable)?;
    }
    if rows == 0 {
        return Err(Diagnostic::error("E0620", format!("`{file}` has a header but no rows")));
    }
    let source = format!("`{file}`");
    let (mut fields, mut tables) = (IndexMap::new(), IndexMap::new());
    for field in gathered {
        let (name, row_shape) = (field.field.name.clone(), field.field.row_shape.clone());
        let (tensor, table) = field.finish(rows)?;
        let tensor = shape_rows(&source, &name, tensor, row_shape.as_deref())?;
        if let Some(table) = table {
            tables.insert(name.clone(), table);
        }
        if fields.insert(name.clone(), tensor).is_some() {
            return Err(Diagnostic::error(
                "E0631",
                format!("{source} is asked for the field `{name}` twice"),
            ));
        }
    }
    Ok(Dataset { tables, ..Dataset::new(&source, fields)? })
}

/// A field while its lines come in.
struct Gathered<'a> {
    field: &'a CsvField,
    places: Vec<usize>,
    layout: &'a Layout,
    file: &'a str,
    values: Values,
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

impl Gathered<'_> {
    fn take(&mut self, line: &ByteRecord, number: u64) -> Result<(), Diagnostic> {
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
                    return Err(self.word_fault(&fault, cell, place, number));
                }
                continue;
            }
            let parsed = value::parse(cell, self.field.dtype, &self.field.steps)
                .map_err(|fault| self.number_fault(fault, cell, place, number))?;
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

    fn finish(self, rows: usize) -> Result<(Tensor, Option<Vec<String>>), Diagnostic> {
        let shape = match &self.field.columns {
            super::Columns::One(_) => vec![rows],
            _ => vec![rows, self.places.len()],
        };
        let dtype = self.field.dtype;
        match self.values {
            Values::F32(values) => Ok((Tensor::from_vec(shape, values)?, None)),
            Values::Float(values) => Ok((Tensor::from_vec(shape, values)?.cast(dtype)?, None)),
            Values::Integer(values) => Ok((Tensor::from_vec(shape, values)?.cast(dtype)?, None)),
            Values::Undecided => Ok((Tensor::zeros(dtype, shape)?, None)),
            Values::Words(words) => {
                let (ids, table) = words.finish();
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
                Ok((Tensor::from_vec(shape, ids)?.cast(dtype)?, Some(table)))
            }
        }
    }

    fn at(&self, place: usize, line: u64) -> String {
        format!("`{}`, line {line}, {}", self.file, self.layout.call(place))
    }

    fn number_fault(&self, fault: Fault, cell: &[u8], place: usize, line: u64) -> Diagnostic {
        let (at, dtype, cell) = (self.at(place, line), self.field.dtype, shown(cell));
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

    fn word_fault(&self, fault: &WordFault, cell: &[u8], place: usize, line: u64) -> Diagnostic {
        let (at, cell) = (self.at(place, line), shown(cell));
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

    /// Ids by sorted order, and that order.
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
        let ids = self.ids.iter().map(|id| rank[*id as usize]).collect();
        (ids, order.into_iter().map(|word| words[word].clone()).collect())
    }
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

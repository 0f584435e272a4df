//! Tables of text. Values are parsed straight to the dtype that the model wants, or go through f64 where there is
//! arithmetic on them.

mod header;
mod index;
mod lines;
mod read;
mod rows;
mod value;

pub(crate) use header::Layout;

use crate::{Dataset, RowSource, Step};
use base::Diagnostic;
use std::{io::Read, ops::Range, path::Path};
use tensor::{DType, Limits, file};

/// What to read from a table.
#[derive(Clone, PartialEq, Debug)]
pub struct Csv {
    pub fields: Vec<CsvField>,
    /// Between the values of a line.
    pub delimiter: u8,
    /// Whether the first line holds names. `None` finds out: yes where a column is asked for by its name, else yes where
    /// nothing in the line is a number.
    pub header: Option<bool>,
    pub limits: Limits,
}

#[derive(Clone, PartialEq, Debug)]
pub struct CsvField {
    pub name: String,
    pub columns: Columns,
    pub dtype: DType,
    /// Shape of one row; `None` takes [] of `column` and [n] of `columns`.
    pub row_shape: Option<Vec<usize>>,
    /// The sorted words of an earlier reading, so that ids keep their meaning. A word that is not among them is an error.
    pub table: Option<Vec<String>>,
    /// Done with every value, which then has to be a number.
    pub steps: Vec<Step>,
}

/// Which columns, in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Columns {
    /// `column(…)`: a number a row.
    One(Column),
    /// `columns(a, b, …)`: a vector a row.
    Listed(Vec<Column>),
    /// `columns(0..64)`, the end excluded.
    Indices(Range<usize>),
    /// `columns("v1".."v20")`, both ends included, in the file's order.
    Names(String, String),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Column {
    /// From 0.
    Index(usize),
    Name(String),
}

impl Csv {
    pub fn new(fields: Vec<CsvField>) -> Csv {
        Csv { fields, delimiter: b',', header: None, limits: Limits::default() }
    }

    /// All rows, in memory.
    pub fn read(&self, path: &Path) -> Result<Dataset, Diagnostic> {
        let (file, _) = file::open(path)?;
        self.read_from(&path.display().to_string(), file)
    }

    /// `name` is what messages call the source.
    pub fn read_from(&self, name: &str, source: impl Read) -> Result<Dataset, Diagnostic> {
        match read::scan(self, name, source, None, self.limits.expanded_bytes)?.content {
            read::Content::Held(dataset) => Ok(dataset),
            read::Content::Streamed(_) => Err(Diagnostic::error(
                "E0602",
                format!("`{name}` becomes more than the limit of {} bytes", self.limits.expanded_bytes),
            )),
        }
    }

    /// Values that take up to [`Limits::held_bytes`] are held in memory. Of a larger table the file is read once to check it, then
    /// row by row as they are asked for; in memory is an index of less than a hundredth of the file.
    pub fn open(&self, path: &Path) -> Result<Box<dyn RowSource>, Diagnostic> {
        rows::open(self, path)
    }
}

impl CsvField {
    pub fn new(name: impl Into<String>, columns: Columns, dtype: DType) -> CsvField {
        CsvField { name: name.into(), columns, dtype, row_shape: None, table: None, steps: Vec::new() }
    }
}

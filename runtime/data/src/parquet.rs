//! Parquet files with flat columns of numbers, booleans or words. A field takes columns as it does of a table of text.

mod inspect;

use crate::{CsvField, Dataset, csv::Layout, dataset::shape_rows, steps::apply_all};
use base::Diagnostic;
use indexmap::IndexMap;
use parquet::{
    basic::{ConvertedType, Type as Physical},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, DataType},
    file::{
        metadata::ParquetMetaData,
        reader::{FileReader, SerializedFileReader},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};
use tensor::{DType, Limits, Tensor, file};

/// Rows that are decoded at a time.
const CHUNK: usize = 1 << 14;

/// Reads the columns of each field. A field's `table` numbers words as an earlier reading did.
pub fn read_parquet(path: &Path, fields: &[CsvField], limits: &Limits) -> Result<Dataset, Diagnostic> {
    let name = path.display().to_string();
    let (mut opened, length) = file::open(path)?;
    if length > limits.file_bytes {
        let message = format!("`{name}` has {length} bytes, more than the limit of {}", limits.file_bytes);
        return Err(Diagnostic::error("E0602", message));
    }
    inspect::footer(&mut opened, length, limits).map_err(|what| broken(&name, &what))?;
    // The decoder asserts what it expects of well-formed files; of this one nothing is known.
    catch_unwind(AssertUnwindSafe(|| read(&name, opened, length, fields, limits)))
        .unwrap_or_else(|_| Err(broken(&name, &"its parts contradict each other")))
}

fn read(
    name: &str,
    mut opened: File,
    length: u64,
    fields: &[CsvField],
    limits: &Limits,
) -> Result<Dataset, Diagnostic> {
    let unreadable = |error| broken(name, &error);
    let file = SerializedFileReader::new(opened.try_clone().map_err(|error| unreadable(error.to_string()))?)
        .map_err(|error| broken(name, &error))?;
    let metadata = file.metadata();
    let schema = metadata.file_metadata().schema_descr();
    let names = schema.columns().iter().map(|column| column.path().string()).collect();
    let layout = Layout::of_names(names);
    let rows = usize::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
    if rows == 0 {
        return Err(Diagnostic::error("E0620", format!("`{name}` has no rows")));
    }
    let (mut made, mut tables) = (IndexMap::new(), IndexMap::new());
    let mut left = limits.expansion_of(length);
    let mut pages_left = left;
    for field in fields {
        let places = layout.places(field, name)?;
        let mut columns = Vec::with_capacity(places.len());
        for place in &places {
            inspect::column(&mut opened, length, metadata, *place, &mut pages_left).map_err(unreadable)?;
            let column = Reading { name, layout: &layout, place: *place, rows };
            columns.push(column.read(&file, metadata, &mut left)?);
        }
        let shape = match &field.columns {
            crate::Columns::One(_) => vec![rows],
            _ => vec![rows, places.len()],
        };
        let (tensor, table) = field_of(name, field, shape, &columns)?;
        if let Some(table) = table {
            tables.insert(field.name.clone(), table);
        }
        let tensor = shape_rows(&format!("`{name}`"), &field.name, tensor, field.row_shape.as_deref())?;
        if made.insert(field.name.clone(), tensor).is_some() {
            return Err(Diagnostic::error(
                "E0631",
                format!("`{name}` is asked for the field `{}` twice", field.name),
            ));
        }
    }
    Ok(Dataset { tables, ..Dataset::new(&format!("`{name}`"), made)? })
}

/// A whole column.
enum Values {
    Float(Vec<f64>),
    Integer(Vec<i64>),
    Words(Vec<String>),
}

/// A column while it is read, and where its faults lie.
struct Reading<'a> {
    name: &'a str,
    layout: &'a Layout,
    place: usize,
    rows: usize,
}

impl Reading<'_> {
    /// `left` is what the limit still allows in bytes.
    fn read(
        &self,
        file: &SerializedFileReader<File>,
        metadata: &ParquetMetaData,
        left: &mut u64,
    ) -> Result<Values, Diagnostic> {
        let column = metadata.file_metadata().schema_descr().column(self.place);
        let what = column.converted_type();
        let nested = column.max_rep_level() > 0 || column.path().parts().len() > 1;
        let plain = !matches!(what, ConvertedType::DECIMAL | ConvertedType::INTERVAL);
        let mut values = match column.physical_type() {
            _ if nested || !plain => return Err(self.unsupported(&what)),
            Physical::BOOLEAN | Physical::INT32 | Physical::INT64 => Values::Integer(Vec::new()),
            Physical::FLOAT | Physical::DOUBLE => Values::Float(Vec::new()),
            Physical::BYTE_ARRAY => Values::Words(Vec::new()),
            other @ (Physical::INT96 | Physical::FIXED_LEN_BYTE_ARRAY) => {
                return Err(self.unsupported(&other));
            }
        };
        let is_nullable = column.max_def_level() > 0;
        for group in 0..metadata.num_row_groups() {
            let group = file.get_row_group(group).map_err(|error| broken(self.name, &error))?;
            let reader = group.get_column_reader(self.place).map_err(|error| broken(self.name, &error))?;
            let first = values.len();
            match (reader, &mut values) {
                (ColumnReader::BoolColumnReader(reader), Values::Integer(all)) => {
                    self.chunks(reader, first, is_nullable, left, |value: bool| {
                        all.push(value.into());
                        Ok(())
                    })?;
                }
                (ColumnReader::Int32ColumnReader(reader), Values::Integer(all)) => {
                    self.chunks(reader, first, is_nullable, left, |value: i32| {
                        let unsigned = what == ConvertedType::UINT_32;
                        all.push(if unsigned { value.cast_unsigned().into() } else { value.into() });
                        Ok(())
                    })?;
                }
                (ColumnReader::Int64ColumnReader(reader), Values::Integer(all)) => {
                    self.chunks(reader, first, is_nullable, left, |value: i64| {
                        if what == ConvertedType::UINT_64 && value < 0 {
                            return Err(format!("{} is out of the range of i64", value.cast_unsigned()));
                        }
                        all.push(value);
                        Ok(())
                    })?;
                }
                (ColumnReader::FloatColumnReader(reader), Values::Float(all)) => {
                    self.chunks(reader, first, is_nullable, left, |value: f32| {
                        all.push(value.into());
                        Ok(())
                    })?;
                }
                (ColumnReader::DoubleColumnReader(reader), Values::Float(all)) => {
                    self.chunks(reader, first, is_nullable, left, |value: f64| {
                        all.push(value);
                        Ok(())
                    })?;
                }
                (ColumnReader::ByteArrayColumnReader(reader), Values::Words(all)) => {
                    self.chunks(reader, first, is_nullable, left, |value: ByteArray| {
                        let word = std::str::from_utf8(value.data());
                        let word = word.map_err(|_| "the word is not UTF-8".to_string())?;
                        all.push(word.to_string());
                        Ok(())
                    })?;
                }
                _ => return Err(broken(self.name, &"a column changes its type")),
            }
        }
        let found = values.len();
        if found != self.rows {
            let message =
                format!("{} has {found} values in {} rows", self.layout.call(self.place), self.rows);
            return Err(broken(self.name, &message));
        }
        Ok(values)
    }

    /// Takes the values of one row group, whose first row is `first`.
    fn chunks<T: DataType>(
        &self,
        mut reader: ColumnReaderImpl<T>,
        first: usize,
        is_nullable: bool,
        left: &mut u64,
        mut push: impl FnMut(T::T) -> Result<(), String>,
    ) -> Result<(), Diagnostic>
    where
        T::T: Weight,
    {
        let mut row = first;
        loop {
            let (mut values, mut levels) = (Vec::new(), Vec::new());
            let levels_of = is_nullable.then_some(&mut levels);
            let (records, present, _) = reader
                .read_records(CHUNK, levels_of, None, &mut values)
                .map_err(|error| broken(self.name, &error))?;
            if records == 0 {
                return Ok(());
            }
            if present != records {
                let gap = levels.iter().position(|level| *level == 0).unwrap_or(0);
                return Err(Diagnostic::error(
                    "E0622",
                    format!("{}: the value is missing", self.at(row.saturating_add(gap))),
                )
                .help("fill in or remove the row before training"));
            }
            for (index, value) in values.into_iter().enumerate() {
                *left = left.checked_sub(value.bytes()).ok_or_else(|| {
                    Diagnostic::error("E0602", format!("`{}` expands beyond the limit", self.name))
                })?;
                push(value).map_err(|what| {
                    Diagnostic::error("E0626", format!("{}: {what}", self.at(row.saturating_add(index))))
                })?;
            }
            row = row.saturating_add(records);
        }
    }

    /// Rows are counted from 0.
    fn at(&self, row: usize) -> String {
        format!("`{}`, row {row}, {}", self.name, self.layout.call(self.place))
    }

    fn unsupported(&self, what: &dyn std::fmt::Display) -> Diagnostic {
        Diagnostic::error(
            "E0643",
            format!(
                "`{}`, {}: the type {what} cannot become a field",
                self.name,
                self.layout.call(self.place)
            ),
        )
        .help("fields take flat columns of numbers, booleans or words")
    }
}

/// Bytes that a value takes in memory, at least.
trait Weight {
    fn bytes(&self) -> u64;
}

macro_rules! number {
    ($($number:ty)*) => {
        $(impl Weight for $number {
            /// Numbers are kept as f64 or i64.
            fn bytes(&self) -> u64 {
                8
            }
        })*
    };
}

number!(bool i32 i64 f32 f64);

impl Weight for ByteArray {
    fn bytes(&self) -> u64 {
        // The text, and what the allocator and the place in the list take.
        64 + self.data().len() as u64
    }
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::Float(values) => values.len(),
            Values::Integer(values) => values.len(),
            Values::Words(values) => values.len(),
        }
    }
}

/// The columns side by side, and the words that they hold.
fn field_of(
    name: &str,
    field: &CsvField,
    shape: Vec<usize>,
    columns: &[Values],
) -> Result<(Tensor, Option<Vec<String>>), Diagnostic> {
    let rows = shape.first().copied().unwrap_or(0);
    let words = columns.iter().filter(|column| matches!(column, Values::Words(_))).count();
    if words > 0 {
        if words < columns.len() || field.dtype.integer_range().is_none() || !field.steps.is_empty() {
            return Err(Diagnostic::error(
                "E0623",
                format!(
                    "the field `{}` of `{name}` has words, where {} is expected",
                    field.name, field.dtype
                ),
            )
            .help("words become ids in an integer field, all of whose columns hold words"));
        }
        return ids(name, field, shape, columns).map(|(ids, table)| (ids, Some(table)));
    }
    let floats = field.dtype.is_float() || columns.iter().any(|column| matches!(column, Values::Float(_)));
    let tensor = if floats {
        let value = |row: usize, column: &Values| match column {
            Values::Float(values) => values[row],
            Values::Integer(values) => values[row] as f64,
            Values::Words(_) => f64::NAN, // there are none, as checked above
        };
        let all: Vec<f64> =
            (0..rows).flat_map(|row| columns.iter().map(move |column| value(row, column))).collect();
        Tensor::from_vec(shape, all)?
    } else {
        let value = |row: usize, column: &Values| match column {
            Values::Integer(values) => values[row],
            Values::Float(_) | Values::Words(_) => 0, // there are none, as checked above
        };
        let all: Vec<i64> =
            (0..rows).flat_map(|row| columns.iter().map(move |column| value(row, column))).collect();
        Tensor::from_vec(shape, all)?
    };
    let tensor = apply_all(&field.steps, tensor, field.dtype).map_err(|error| Diagnostic {
        message: format!("the field `{}` of `{name}`: {}", field.name, error.message),
        ..error
    })?;
    if let Some(index) = not_finite(&tensor) {
        let row = index / (tensor.len() / rows.max(1)).max(1);
        return Err(Diagnostic::error(
            "E0622",
            format!("`{name}`, row {row}: the field `{}` has a value that is not finite", field.name),
        ));
    }
    Ok((tensor, None))
}

fn not_finite(tensor: &Tensor) -> Option<usize> {
    match tensor.dtype() {
        DType::F32 => tensor.as_f32()?.iter().position(|value| !value.is_finite()),
        dtype if dtype.is_float() => tensor.to_f64_vec().iter().position(|value| !value.is_finite()),
        _ => None,
    }
}

fn ids(
    name: &str,
    field: &CsvField,
    shape: Vec<usize>,
    columns: &[Values],
) -> Result<(Tensor, Vec<String>), Diagnostic> {
    let columns: Vec<&Vec<String>> = columns
        .iter()
        .filter_map(|column| match column {
            Values::Words(words) => Some(words),
            _ => None,
        })
        .collect();
    let table: Vec<String> = match &field.table {
        Some(table) => table.clone(),
        None => {
            let words: BTreeSet<&String> = columns.iter().copied().flatten().collect();
            words.into_iter().cloned().collect()
        }
    };
    let places: BTreeMap<&str, i64> =
        table.iter().enumerate().map(|(id, word)| (word.as_str(), id as i64)).collect();
    let rows = shape.first().copied().unwrap_or(0);
    let mut ids = Vec::with_capacity(rows.saturating_mul(columns.len()));
    for row in 0..rows {
        for column in &columns {
            let word = column[row].as_str();
            ids.push(*places.get(word).ok_or_else(|| {
                let near = base::did_you_mean(word, table.iter().map(String::as_str));
                Diagnostic::error(
                    "E0636",
                    format!("`{name}`, row {row}: a word was not in the data that gave the ids"),
                )
                .maybe_help(near.map(|near| format!("did you mean `{near}`?")))
            })?);
        }
    }
    let high = field.dtype.integer_range().map_or(-1, |(_, high)| high);
    if table.len() as i64 - 1 > high {
        return Err(Diagnostic::error(
            "E0626",
            format!(
                "field `{}` of `{name}` has {} different words, more than {} can number",
                field.name,
                table.len(),
                field.dtype
            ),
        ));
    }
    Ok((Tensor::from_vec(shape, ids)?.cast(field.dtype)?, table))
}

fn broken(name: &str, what: &dyn std::fmt::Display) -> Diagnostic {
    let mut text = what.to_string();
    if let Some(at) = text.char_indices().nth(200).map(|(at, _)| at) {
        text.truncate(at);
    }
    Diagnostic::error("E0644", format!("`{name}` cannot be read as parquet: {text}"))
}

//! From the columns that are asked for to their places in a line.

use super::{Column, Columns, Csv, CsvField, value};
use base::{Diagnostic, did_you_mean};
use csv::ByteRecord;

/// What the first line says.
pub struct Layout {
    pub has_header: bool,
    /// Values in every line.
    pub width: usize,
    /// Names, where there is a header.
    names: Vec<String>,
}

impl Layout {
    pub fn of(spec: &Csv, first: &ByteRecord, file: &str) -> Result<Layout, Diagnostic> {
        let by_name = spec.fields.iter().any(|field| match &field.columns {
            Columns::One(column) => matches!(column, Column::Name(_)),
            Columns::Listed(columns) => columns.iter().any(|column| matches!(column, Column::Name(_))),
            Columns::Indices(_) => false,
            Columns::Names(..) => true,
        });
        let numbers = || first.iter().any(|cell| value::is_number(value::trimmed(cell)));
        if by_name && spec.header == Some(false) {
            return Err(Diagnostic::error(
                "E0624",
                format!("`{file}` is read without a header, so its columns have no names"),
            )
            .help("ask for columns by their numbers, from 0"));
        }
        let has_header = spec.header.unwrap_or_else(|| by_name || !numbers());
        let names = if has_header {
            first.iter().map(|cell| String::from_utf8_lossy(value::trimmed(cell)).into_owned()).collect()
        } else {
            Vec::new()
        };
        Ok(Layout { has_header, width: first.len(), names })
    }

    /// Of a file that knows the names of its columns.
    pub fn of_names(names: Vec<String>) -> Layout {
        Layout { has_header: true, width: names.len(), names }
    }

    /// The places of a field's columns, at least one.
    pub fn places(&self, field: &CsvField, file: &str) -> Result<Vec<usize>, Diagnostic> {
        let places = match &field.columns {
            Columns::One(column) => vec![self.place(column, field, file)?],
            Columns::Listed(columns) => {
                columns.iter().map(|column| self.place(column, field, file)).collect::<Result<_, _>>()?
            }
            Columns::Indices(range) => {
                if range.end > self.width {
                    return Err(self.beyond(range.end.saturating_sub(1), field, file));
                }
                range.clone().collect()
            }
            Columns::Names(from, to) => {
                let (start, end) = (self.named(from, field, file)?, self.named(to, field, file)?);
                if start > end {
                    return Err(Diagnostic::error(
                        "E0629",
                        format!(
                            "field `{}`: in `{file}` the column `{to}` stands before `{from}`",
                            field.name
                        ),
                    )
                    .help(format!("write \"{to}\"..\"{from}\"")));
                }
                (start..=end).collect()
            }
        };
        if places.is_empty() {
            return Err(Diagnostic::error(
                "E0629",
                format!("field `{}` asks for no column of `{file}`", field.name),
            ));
        }
        Ok(places)
    }

    /// A column as messages call it: by its name, or by its number from 0.
    pub fn call(&self, place: usize) -> String {
        match self.names.get(place) {
            Some(name) => format!("column `{name}`"),
            None => format!("column {place}"),
        }
    }

    fn place(&self, column: &Column, field: &CsvField, file: &str) -> Result<usize, Diagnostic> {
        match column {
            Column::Index(index) if *index < self.width => Ok(*index),
            Column::Index(index) => Err(self.beyond(*index, field, file)),
            Column::Name(name) => self.named(name, field, file),
        }
    }

    fn named(&self, wanted: &str, field: &CsvField, file: &str) -> Result<usize, Diagnostic> {
        let mut found = self.names.iter().enumerate().filter(|(_, name)| *name == wanted);
        match (found.next(), found.next()) {
            (Some((place, _)), None) => Ok(place),
            (Some((first, _)), Some((second, _))) => Err(Diagnostic::error(
                "E0624",
                format!("field `{}`: `{file}` has two columns `{wanted}`, {first} and {second}", field.name),
            )
            .help("ask for the column by its number, from 0")),
            (None, _) => {
                let missing = Diagnostic::error(
                    "E0624",
                    format!(
                        "field `{}`: `{file}` has no column `{wanted}` in its header (line 1)",
                        field.name
                    ),
                );
                if self.names.iter().any(|name| value::is_number(name.as_bytes())) {
                    return Err(missing
                        .note("line 1 holds numbers, so the file seems to have no header")
                        .help("ask for columns by their numbers, from 0"));
                }
                let near = did_you_mean(wanted, self.names.iter().map(String::as_str));
                let listed: Vec<&str> = self.names.iter().map(String::as_str).take(20).collect();
                let more = if self.names.len() > listed.len() { ", …" } else { "" };
                Err(missing
                    .note(format!("the columns are {}{more}", listed.join(", ")))
                    .maybe_help(near.map(|near| format!("did you mean `{near}`?"))))
            }
        }
    }

    fn beyond(&self, index: usize, field: &CsvField, file: &str) -> Diagnostic {
        Diagnostic::error(
            "E0625",
            format!(
                "field `{}` asks for column {index}, but `{file}` has {} columns",
                field.name, self.width
            ),
        )
        .help(format!("columns are counted from 0, so the last one is {}", self.width.saturating_sub(1)))
    }
}

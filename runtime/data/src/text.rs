//! A text as windows of symbols, for models that predict the next one.

use crate::Dataset;
use base::Diagnostic;
use indexmap::IndexMap;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use tensor::{DType, Limits, Tensor, file};

/// Windows of one length, one after the other without overlap; what is left at the end is not read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    /// Symbols in a window.
    pub window: usize,
    pub fields: Vec<TextField>,
    /// The characters of an earlier reading in the order of their ids. One that is not among them is an error.
    pub table: Option<Vec<String>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextField {
    pub name: String,
    /// Moved on by one symbol: what each symbol of the window is followed by.
    pub next: bool,
    pub dtype: DType,
}

impl Text {
    pub fn read(&self, path: &Path, limits: &Limits) -> Result<Dataset, Diagnostic> {
        // A character becomes four bytes or more.
        let most = Limits { file_bytes: limits.file_bytes.min(limits.expanded_bytes / 4), ..*limits };
        self.read_bytes(&path.display().to_string(), &file::read(path, &most)?, limits)
    }

    /// `name` is what messages call the source.
    pub fn read_bytes(&self, name: &str, bytes: &[u8], limits: &Limits) -> Result<Dataset, Diagnostic> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let line = before.matches('\n').count() + 1;
            Diagnostic::error("E0628", format!("`{name}`, line {line}: the bytes are not UTF-8"))
                .help("save the file as UTF-8")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let symbols: Vec<char> = match &self.table {
            Some(table) => table.iter().filter_map(|symbol| symbol.chars().next()).collect(),
            None => text.chars().collect::<BTreeSet<char>>().into_iter().collect(),
        };
        let ids = self.ids(name, text, &symbols)?;
        // A window needs the symbol after it, where some field is moved on.
        let after = usize::from(self.fields.iter().any(|field| field.next));
        let windows = ids.len().saturating_sub(after).checked_div(self.window).unwrap_or(0);
        if windows == 0 {
            return Err(Diagnostic::error(
                "E0620",
                format!(
                    "`{name}` has {} characters, too few for one window of {}",
                    ids.len(),
                    self.window.saturating_add(after)
                ),
            ));
        }
        let (mut fields, mut tables) = (IndexMap::new(), IndexMap::new());
        let table: Vec<String> = symbols.iter().map(char::to_string).collect();
        let mut total = 0u64;
        for field in &self.fields {
            total = total.saturating_add((windows * self.window) as u64 * field.dtype.size() as u64);
            if total > limits.expanded_bytes {
                return Err(Diagnostic::error(
                    "E0602",
                    format!(
                        "`{name}` becomes more than the limit of {} bytes of windows",
                        limits.expanded_bytes
                    ),
                ));
            }
            let high = field.dtype.integer_range().map_or(-1, |(_, high)| high);
            if symbols.len() as i64 - 1 > high {
                return Err(Diagnostic::error(
                    "E0626",
                    format!(
                        "`{name}` has {} different characters, more than {} can number for the field `{}`",
                        symbols.len(),
                        field.dtype,
                        field.name
                    ),
                ));
            }
            let start = usize::from(field.next);
            let values = ids[start..start + windows * self.window].to_vec();
            let tensor = Tensor::from_vec([windows, self.window], values)?.cast(field.dtype)?;
            tables.insert(field.name.clone(), table.clone());
            if fields.insert(field.name.clone(), tensor).is_some() {
                return Err(Diagnostic::error(
                    "E0631",
                    format!("`{name}` is asked for the field `{}` twice", field.name),
                ));
            }
        }
        Ok(Dataset { tables, ..Dataset::new(&format!("`{name}`"), fields)? })
    }

    fn ids(&self, name: &str, text: &str, symbols: &[char]) -> Result<Vec<i32>, Diagnostic> {
        // There are fewer characters than 2^21.
        let places: BTreeMap<char, i32> =
            symbols.iter().enumerate().map(|(id, symbol)| (*symbol, id as i32)).collect();
        let mut ids = Vec::with_capacity(text.len());
        let mut line = 1usize;
        for symbol in text.chars() {
            let Some(id) = places.get(&symbol) else {
                let shown = symbol.escape_debug();
                return Err(Diagnostic::error(
                    "E0636",
                    format!(
                        "`{name}`, line {line}: the character `{shown}` was not in the data that gave the ids"
                    ),
                ));
            };
            line += usize::from(symbol == '\n');
            ids.push(*id);
        }
        Ok(ids)
    }
}

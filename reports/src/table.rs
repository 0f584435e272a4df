//! Tables, shown and as CSV: a page shows what one reads, the file six digits and more columns.

use crate::{
    html::{Element, begins_protocol, el},
    number,
};
use std::fmt::Write;

/// One entry of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    shown: String,
    raw: String,
    class: &'static str,
}

impl Entry {
    /// `raw` stands in the file.
    pub fn new(shown: impl Into<String>, raw: impl Into<String>) -> Entry {
        Entry { shown: shown.into(), raw: raw.into(), class: "" }
    }

    pub fn text(text: impl Into<String>) -> Entry {
        let text = text.into();
        // A program that opens the file must not take a text for a formula.
        let raw = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.clone() };
        Entry::new(text, raw)
    }

    /// A number as `show` has it; a dash where it is not known.
    pub fn number(value: Option<f64>, show: impl Fn(f64) -> String) -> Entry {
        match value {
            Some(value) => Entry::new(show(value), number::plain(value)),
            None => Entry::new("–", ""),
        }
    }

    pub fn count(value: Option<u64>) -> Entry {
        value.map_or_else(|| Entry::new("–", ""), |value| Entry::new(value.to_string(), value.to_string()))
    }

    /// How it stands out: a class of the style sheet.
    pub fn marked(self, class: &'static str) -> Entry {
        Entry { class, ..self }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Text,
    Number,
    /// Too much to be shown.
    InFile,
}

/// Rows under heads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    caption: String,
    heads: Vec<(String, Kind)>,
    rows: Vec<(Vec<Entry>, &'static str)>,
}

/// Rows that a page shows at most; the file has all.
const MOST_ROWS: usize = 150;

impl Table {
    pub fn new(caption: impl Into<String>) -> Table {
        Table { caption: caption.into(), ..Table::default() }
    }

    #[must_use]
    pub fn texts<const N: usize>(self, heads: [&str; N]) -> Table {
        self.heads(heads, Kind::Text)
    }

    #[must_use]
    pub fn numbers<const N: usize>(self, heads: [&str; N]) -> Table {
        self.heads(heads, Kind::Number)
    }

    /// Columns of the file alone.
    #[must_use]
    pub fn in_file<const N: usize>(self, heads: [&str; N]) -> Table {
        self.heads(heads, Kind::InFile)
    }

    fn heads<const N: usize>(mut self, heads: [&str; N], kind: Kind) -> Table {
        self.heads.extend(heads.map(|head| (head.to_string(), kind)));
        self
    }

    pub fn row(&mut self, entries: Vec<Entry>) {
        self.row_as("", entries);
    }

    /// A row that stands out by a class of the style sheet.
    pub fn row_as(&mut self, class: &'static str, entries: Vec<Entry>) {
        debug_assert_eq!(entries.len(), self.heads.len(), "{}", self.caption);
        self.rows.push((entries, class));
    }

    /// In a box of its own that scrolls where it is too wide.
    pub fn html(&self) -> Element {
        // A column that says nothing only makes the others narrow.
        let says = |index: usize| {
            let known = |(entries, _): &(Vec<Entry>, &str)| {
                entries.get(index).is_some_and(|entry| !["", "–"].contains(&entry.shown.as_str()))
            };
            index == 0 || self.rows.iter().any(known)
        };
        let shown: Vec<bool> = self
            .heads
            .iter()
            .enumerate()
            .map(|(index, (_, kind))| *kind != Kind::InFile && says(index))
            .collect();
        let shown = |index: usize| shown.get(index).copied().unwrap_or_default();
        let numeric = |index: usize| self.heads.get(index).is_some_and(|(_, kind)| *kind == Kind::Number);
        let heads =
            self.heads.iter().enumerate().filter(|(index, _)| shown(*index)).map(|(index, (head, _))| {
                let cell = el("th").attr("scope", "col").text(head.clone());
                if numeric(index) { cell } else { cell.class("t") }
            });
        let mut body = el("tbody");
        for (entries, class) in self.rows.iter().take(MOST_ROWS) {
            let cells =
                entries.iter().enumerate().filter(|(index, _)| shown(*index)).map(|(index, entry)| {
                    let cell = if index == 0 { el("th").attr("scope", "row") } else { el("td") };
                    let class = [if numeric(index) || index == 0 { "" } else { "t" }, entry.class];
                    let class: Vec<&str> = class.into_iter().filter(|class| !class.is_empty()).collect();
                    let cell = if class.is_empty() { cell } else { cell.class(class.join(" ")) };
                    cell.text(entry.shown.clone())
                });
            let row = el("tr").children(cells);
            body = body.child(if class.is_empty() { row } else { row.class(*class) });
        }
        let mut caption = self.caption.clone();
        if self.rows.len() > MOST_ROWS {
            let _ = write!(caption, " (the first {MOST_ROWS} of {} rows; the file has all)", self.rows.len());
        }
        let table = el("table")
            .child(el("caption").text(caption))
            .child(el("thead").child(el("tr").children(heads)))
            .child(body);
        el("div")
            .class("scroll")
            .attr("tabindex", "0")
            .attr("role", "region")
            .attr("aria-label", self.caption.clone())
            .child(table)
    }

    /// All columns, separated by commas.
    pub fn csv(&self) -> String {
        let mut text = String::new();
        let heads = self.heads.iter().map(|(head, _)| head.as_str());
        line(&mut text, heads);
        for (entries, _) in &self.rows {
            line(&mut text, entries.iter().map(|entry| entry.raw.as_str()));
        }
        text
    }
}

fn line<'t>(text: &mut String, fields: impl Iterator<Item = &'t str>) {
    for (index, field) in fields.enumerate() {
        if index > 0 {
            text.push(',');
        }
        if field.contains([',', '"', '\n', '\r']) {
            let _ = write!(text, "\"{}\"", field.replace('"', "\"\""));
        } else {
            text.push_str(field);
        }
    }
    text.push('\n');
}

/// Text as the address of a file that lies within the page.
pub(crate) fn data_address(media: &str, text: &str) -> String {
    let mut address = format!("data:{media};charset=utf-8,");
    for (at, character) in text.char_indices() {
        let plain = character.is_ascii_alphanumeric() || "-._~,;:!*()/@".contains(character);
        if plain && !begins_protocol(&text[at..]) {
            address.push(character);
        } else {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                let _ = write!(address, "%{byte:02X}");
            }
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_full_values_and_no_formulas() {
        let mut table = Table::new("c").texts(["arm", "why"]).numbers(["seconds"]).in_file(["n"]);
        let entries = vec![
            Entry::text("=1+1"),
            Entry::text("a,\"b\""),
            Entry::number(Some(1.0 / 3.0), crate::number::short),
            Entry::count(Some(7)),
        ];
        table.row(entries);
        assert_eq!(table.csv(), "arm,why,seconds,n\n'=1+1,\"a,\"\"b\"\"\",0.333333,7\n");
        let shown = table.html().document();
        assert!(shown.contains(">0.333</td>") && shown.contains("<th scope=\"row\">=1+1</th>"), "{shown}");
        assert!(!shown.contains(">7<"), "{shown}");
        assert_eq!(data_address("text/csv", "a b\nhttp%"), "data:text/csv;charset=utf-8,a%20b%0A%68ttp%25");
    }
}

//! Standard output. A reader that has gone away is no fault.

use crate::fault::Fault;
use base::Diagnostic;
use std::io::{ErrorKind, Write};

pub fn print(text: &str) -> Result<(), Fault> {
    write(text.as_bytes())
}

pub fn write(bytes: &[u8]) -> Result<(), Fault> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // As `head` expects: enough has been read.
        Err(fault) if fault.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(fault) => {
            Err(Diagnostic::error("E0820", format!("cannot write to standard output: {fault}")).into())
        }
    }
}

/// For people, beside the results; silent where nobody listens.
pub fn note(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// JSON with a final line break.
pub fn json(value: &serde_json::Value) -> Result<(), Fault> {
    print(&format!("{value:#}\n"))
}

/// Columns of text: the first flush left, numbers flush right. The first row is the head.
pub fn table(rows: &[Vec<String>], right: &[bool]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..right.len()).map(width).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).zip(right).map(|((cell, width), right)| {
            if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
        if number == 0 {
            let rule: usize = widths.iter().sum::<usize>() + 2 * (widths.len().max(1) - 1);
            text += &"─".repeat(rule);
            text.push('\n');
        }
    }
    text
}

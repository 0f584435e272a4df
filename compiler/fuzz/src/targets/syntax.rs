//! Lexer and parser: any text gives tokens and a tree; places lie inside the text.

use base::{Diagnostic, SourceFile, SourceMap, Span};

pub fn run(text: &str) -> Result<bool, String> {
    let mut sources = SourceMap::new();
    let source = sources.add("input.model", text);
    let mut last = 0;
    for (kind, span) in grammar::tokens(&source) {
        inside(&source, span).map_err(|why| format!("token {}: {why}", kind.label()))?;
        if span.lo < last {
            return Err(format!("token {} goes back to {}", kind.label(), span.lo));
        }
        last = span.lo;
    }
    let (file, faults) = grammar::parse(&source);
    places(&source, &faults)?;
    for item in &file.items {
        inside(&source, item.span)?;
    }
    Ok(faults.is_empty())
}

/// Every fault has a code, words, and a place that can be shown.
pub fn places(source: &SourceFile, faults: &[Diagnostic]) -> Result<(), String> {
    for fault in faults {
        if fault.message.is_empty() || !fault.code.starts_with(['E', 'W']) {
            return Err(format!("{} says nothing", fault.code));
        }
        for span in fault.span.iter().chain(fault.labels.iter().map(|label| &label.span)) {
            inside(source, *span).map_err(|why| format!("{}: {why}", fault.code))?;
        }
    }
    Ok(())
}

/// Spans of other files are of the library.
fn inside(source: &SourceFile, span: Span) -> Result<(), String> {
    let (lo, hi) = (span.lo as usize, span.hi as usize);
    if span.file != source.id || source.text.get(lo..hi).is_some() {
        return Ok(());
    }
    Err(format!("{lo}..{hi} is no place in a text of {} bytes", source.text.len()))
}

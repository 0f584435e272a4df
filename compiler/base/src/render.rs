//! The one renderer of diagnostics: a picture for people, a line for editors and scripts.

use crate::{Diagnostic, Severity, SourceMap, Span};
use ariadne::{CharSet, Config, IndexType, Label, Report, ReportKind};
use std::fmt::Write;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Color {
    Never,
    Always,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Source excerpts with labels.
    Human,
    /// `file:line:column: error[E0301]: message`.
    Short,
}

/// What ariadne needs to know of a place: file name and byte range.
type Place = (String, std::ops::Range<usize>);

fn place(sources: &SourceMap, span: Span) -> Place {
    let file = sources.get(span.file);
    let length = file.map_or(0, |file| file.text.len());
    let lo = (span.lo as usize).min(length);
    (file.map_or("?".into(), |file| file.name.to_string()), lo..(span.hi as usize).clamp(lo, length))
}

/// All of them, in order, each ending in a line break.
pub fn render_all(diagnostics: &[Diagnostic], sources: &SourceMap, format: Format, color: Color) -> String {
    diagnostics.iter().map(|diagnostic| render(diagnostic, sources, format, color)).collect()
}

/// One diagnostic as text, ending in a line break.
pub fn render(diagnostic: &Diagnostic, sources: &SourceMap, format: Format, color: Color) -> String {
    let (word, kind) = match diagnostic.severity {
        Severity::Error => ("error", ReportKind::Error),
        Severity::Warning => ("warning", ReportKind::Warning),
        Severity::Note => ("note", ReportKind::Advice),
    };
    match (format, diagnostic.span) {
        (Format::Short, span) => {
            let place = span.map_or(String::new(), |span| sources.place(span) + ": ");
            format!("{place}{word}[{}]: {}\n", diagnostic.code, diagnostic.message)
        }
        (Format::Human, None) => without_source(diagnostic, color),
        (Format::Human, Some(span)) => with_source(diagnostic, sources, span, kind, color),
    }
}

/// `Error[E0301]: message`.
fn head(diagnostic: &Diagnostic, color: Color) -> String {
    let (word, ansi) = match diagnostic.severity {
        Severity::Error => ("Error", "\x1b[31m"),
        Severity::Warning => ("Warning", "\x1b[33m"),
        Severity::Note => ("Note", "\x1b[36m"),
    };
    let (on, off) = if color == Color::Always { (ansi, "\x1b[0m") } else { ("", "") };
    format!("{on}{word}[{}]:{off} {}", diagnostic.code, diagnostic.message)
}

fn without_source(diagnostic: &Diagnostic, color: Color) -> String {
    let mut text = head(diagnostic, color) + "\n";
    for note in &diagnostic.notes {
        let _ = writeln!(text, "  Note: {note}");
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(text, "  Help: {help}");
    }
    text
}

fn with_source(
    diagnostic: &Diagnostic,
    sources: &SourceMap,
    span: Span,
    kind: ReportKind<'static>,
    color: Color,
) -> String {
    let config = Config::default()
        .with_color(color == Color::Always)
        .with_char_set(CharSet::Unicode)
        .with_index_type(IndexType::Byte);
    let mut report = Report::build(kind, place(sources, span))
        .with_config(config)
        .with_code(diagnostic.code)
        .with_message(&diagnostic.message);
    if diagnostic.labels.is_empty() {
        report = report.with_label(Label::new(place(sources, span)));
    }
    // In the order of the text, the fault's own file first: otherwise one file would be shown in several pieces.
    let mut labels: Vec<_> = diagnostic.labels.iter().enumerate().collect();
    labels.sort_by_key(|(_, label)| (label.span.file != span.file, label.span));
    for (order, label) in labels {
        report = report.with_label(
            Label::new(place(sources, label.span)).with_message(&label.text).with_order(order as i32),
        );
    }
    for note in &diagnostic.notes {
        report = report.with_note(note);
    }
    if let Some(help) = &diagnostic.help {
        report = report.with_help(help);
    }
    let cache =
        ariadne::sources(sources.files().iter().map(|file| (file.name.to_string(), file.text.clone())));
    let mut bytes = Vec::new();
    if report.finish().write(cache, &mut bytes).is_err() {
        return format!("{}\n", diagnostic.message);
    }
    // The head is ours, `Error[E0301]: …`, coloured as the library colours it.
    let text = String::from_utf8_lossy(&bytes);
    let body = text.split_once('\n').map_or("", |(_, body)| body);
    let text = format!("{}\n{body}", head(diagnostic, color));
    // Trailing blanks would make committed snapshots differ from what editors save.
    text.lines().map(|line| line.trim_end().to_string() + "\n").collect()
}

//! The one renderer of diagnostics: a picture for people, a line for editors and scripts.

use crate::{Diagnostic, Severity, SourceFile, SourceMap, Span, excerpt::Excerpt};
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
    let spans: Vec<Span> = diagnostic.labels.iter().map(|label| label.span).chain([span]).collect();
    let excerpts: Vec<Excerpt> = sources
        .files()
        .iter()
        .map(|file| {
            let here: Vec<Span> = spans.iter().copied().filter(|span| span.file == file.id).collect();
            Excerpt::new(&file.text, &here)
        })
        .collect();
    let place = |span: Span| {
        let (name, range) = place(sources, span);
        match excerpts.get(span.file.0 as usize) {
            Some(excerpt) => (name, excerpt.offset(range.start)..excerpt.offset(range.end)),
            None => (name, range),
        }
    };
    let mut report = Report::build(kind, place(span))
        .with_config(config)
        .with_code(diagnostic.code)
        .with_message(&diagnostic.message);
    if diagnostic.labels.is_empty() {
        report = report.with_label(Label::new(place(span)));
    }
    // In the order of the text, the fault's own file first: otherwise one file would be shown in several pieces.
    let mut labels: Vec<_> = diagnostic.labels.iter().collect();
    labels.sort_by_key(|label| (label.span.file != span.file, label.span));
    for (order, label) in labels.into_iter().enumerate() {
        report = report
            .with_label(Label::new(place(label.span)).with_message(&label.text).with_order(order as i32));
    }
    for note in &diagnostic.notes {
        report = report.with_note(note);
    }
    if let Some(help) = &diagnostic.help {
        report = report.with_help(help);
    }
    let shown = sources.files().iter().zip(&excerpts);
    let cache = ariadne::sources(shown.map(|(file, excerpt)| (file.name.to_string(), excerpt.text.as_str())));
    let mut bytes = Vec::new();
    if report.finish().write(cache, &mut bytes).is_err() {
        return format!("{}\n", diagnostic.message);
    }
    // The head is ours, `Error[E0301]: …`, coloured as the library colours it.
    let text = String::from_utf8_lossy(&bytes);
    let body = text.split_once('\n').map_or("", |(_, body)| body);
    let text = format!("{}\n{}", head(diagnostic, color), true_column(body, sources, span, &excerpts));
    // Trailing blanks would make committed snapshots differ from what editors save.
    text.lines().map(|line| line.trim_end().to_string() + "\n").collect()
}

/// Where a line is cut, the place in the heading would count the columns that are shown.
fn true_column(body: &str, sources: &SourceMap, span: Span, excerpts: &[Excerpt]) -> String {
    let (Some(file), Some(excerpt)) = (sources.get(span.file), excerpts.get(span.file.0 as usize)) else {
        return body.into();
    };
    let cut = SourceFile { id: file.id, name: file.name.clone(), text: excerpt.text.as_str().into() };
    let (line, shown) = cut.line_column(excerpt.offset(span.lo as usize) as u32);
    let (_, column) = file.line_column(span.lo);
    body.replace(&format!("{}:{line}:{shown} ", file.name), &format!("{}:{line}:{column} ", file.name))
}

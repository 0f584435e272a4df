//! Sources with faults, and sources without. Each fault is annotated below its line, and drawn in a `.stderr` beside:
//!
//! ```text
//! model M(x: f32[b, 4], w: f32[5, 8]) -> (y: f32[b, 8]) { y = x @ w }
//! //                                                          ^^^^^ E0301
//! ```
//!
//! `//<<<< E0106` marks a place that begins with the line, `// nowhere E0212` a fault without a place.

use crate::corpus::{Case, blessing, folder, golden, models};
use base::{Color, Diagnostic, Format, render_all};
use driver::{Failure, Options, Session};
use libtest_mimic::{Failed, Trial};
use std::fs;

/// A fault as annotated: line, first column and code; lines and columns count from 1.
type Place = Option<(usize, usize, usize)>;

pub fn error(case: &Case) -> Result<(), Failed> {
    let session = case.session(Options::native())?;
    let faults = faults(case, &session)?;
    let found: Vec<(Place, &str)> = faults.iter().map(|fault| (place(&session, fault), fault.code)).collect();
    if blessing() && annotated(&case.text, &found) != case.text {
        // Annotations move lines, so what is drawn is what the annotated text gives.
        let case = Case { path: case.path.clone(), text: annotated(&case.text, &found) };
        fs::write(&case.path, &case.text)?;
        return error(&case);
    }
    let text = render_all(&faults, &session.sources, Format::Human, Color::Never);
    let mut expected = annotations(&case.text);
    let mut found: Vec<(Place, String)> =
        found.into_iter().map(|(place, code)| (place, code.to_string())).collect();
    expected.sort();
    found.sort();
    if expected.is_empty() || expected != found {
        return Err(format!("annotated are\n    {expected:?}\nbut found are\n    {found:?}\n{text}").into());
    }
    fixes_mend(case, &session, &faults)?;
    golden(&case.path.with_extension("stderr"), &text)
}

/// With its fix applied, a fault is gone.
fn fixes_mend(case: &Case, session: &Session, found: &[Diagnostic]) -> Result<(), Failed> {
    for fault in found.iter().filter(|fault| !fault.fix.is_empty()) {
        // A used file stays as it is here.
        if fault.fix.iter().any(|edit| edit.span.file != session.source.id) {
            continue;
        }
        let mut edits: Vec<_> = fault.fix.iter().collect();
        edits.sort_by_key(|edit| edit.span);
        let mut text = case.text.clone();
        for edit in edits.into_iter().rev() {
            text.replace_range(edit.span.lo as usize..edit.span.hi as usize, &edit.text);
        }
        let mended = Case { path: case.path.clone(), text };
        let again = faults(&mended, &mended.session(Options::native())?)?;
        if again.iter().any(|other| other.code == fault.code && other.message == fault.message) {
            return Err(format!("the fix of {} leaves it:\n{}", fault.message, mended.text).into());
        }
    }
    Ok(())
}

/// `// build` asks for the entry points of a model too, which finds what `check` leaves alone.
fn faults(case: &Case, session: &Session) -> Result<Vec<Diagnostic>, Failed> {
    match case.directive("build") {
        None => Ok(session.check()),
        Some(model) => match session.build(Some(model).filter(|model| !model.is_empty()), true) {
            Ok((_, faults)) | Err(Failure::Faults(faults)) => Ok(faults),
            Err(Failure::Bug(bug)) => Err(bug.message.into()),
        },
    }
}

pub fn check(case: &Case) -> Result<(), Failed> {
    let session = case.session(Options::native())?;
    let faults = session.check();
    if faults.is_empty() {
        return Ok(());
    }
    Err(render_all(&faults, &session.sources, Format::Human, Color::Never).into())
}

/// The models that ship with the compiler: what `check` says of each stands in `cases/shipped`.
pub fn shipped() -> Vec<Trial> {
    let trial = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Trial::test(format!("shipped::{name}"), move || {
            let case = Case { text: fs::read_to_string(&path)?, path };
            let session = case.session(Options::native())?;
            let text = render_all(&session.check(), &session.sources, Format::Human, Color::Never);
            golden(&folder().join("shipped").join(name).with_extension("stderr"), &text)
        })
    };
    models("").into_iter().map(trial).collect()
}

fn place(session: &Session, fault: &Diagnostic) -> Place {
    // What lies in an imported file cannot be annotated here.
    let span = fault.span.filter(|span| span.file == session.source.id)?;
    let file = &session.source;
    let (line, column) = file.line_column(span.lo);
    let (last_line, last) = file.line_column(span.hi);
    // Carets end with the line.
    let in_line = file.text.lines().nth(line - 1).map_or(0, |text| text.chars().count());
    let end = if last_line == line { last } else { in_line + 1 };
    Some((line, column, end.saturating_sub(column).max(1)))
}

fn annotations(text: &str) -> Vec<(Place, String)> {
    let mut found = Vec::new();
    let mut target = 0;
    for (index, line) in text.lines().enumerate() {
        match annotation(line) {
            Some((column, length, code)) => found.push((Some((target, column, length)), code.to_string())),
            None => target = index + 1,
        }
        if let Some(code) = line.strip_prefix("// nowhere ") {
            found.push((None, code.trim().to_string()));
        }
    }
    found
}

/// The text with these annotations in place of those it has.
fn annotated(text: &str, found: &[(Place, &str)]) -> String {
    let mut lines = Vec::new();
    // Annotations are numbered by the lines as they stand, so that those are counted while being left out.
    for (index, line) in text.lines().enumerate() {
        if annotation(line).is_some() || line.starts_with("// nowhere ") {
            continue;
        }
        lines.push(line.to_string());
        for (place, code) in found {
            let Some((at, column, length)) = *place else { continue };
            if at == index + 1 {
                lines.push(match column {
                    1 | 2 => format!("//{} {code}", "<".repeat(length)),
                    _ => format!("//{}{} {code}", " ".repeat(column - 3), "^".repeat(length)),
                });
            }
        }
    }
    let nowhere = found.iter().filter(|(place, _)| place.is_none());
    lines.extend(nowhere.map(|(_, code)| format!("// nowhere {code}")));
    lines.join("\n") + "\n"
}

/// Column, length and code of an annotation line.
fn annotation(line: &str) -> Option<(usize, usize, &str)> {
    let body = line.strip_prefix("//")?;
    let (mark, column, marks) = match body.strip_prefix('<') {
        Some(_) => ('<', 1, body),
        None => {
            let marks = body.trim_start_matches(' ');
            ('^', 3 + body.len() - marks.len(), marks)
        }
    };
    let code = marks.trim_start_matches(mark);
    let length = marks.len() - code.len();
    let code = code.trim();
    (length > 0 && (code.starts_with('E') || code.starts_with('W'))).then_some((column, length, code))
}

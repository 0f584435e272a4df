//! One mistake gives one error, at its place: whole models and library files, damaged in one spot at a time.
#![allow(clippy::unwrap_used, reason = "a test")]

use base::{Color, Diagnostic, Format, SourceFile, SourceMap, Span, render_all};
use grammar::ast::File;
use std::{fs, ops::Range, path::Path};

/// Of each kind of damage to a file, so many spots are tried; all of them where `DLC_TEST_DAMAGE=all` says so.
const SPOTS: usize = 3;

struct Library {
    sources: SourceMap,
    files: Vec<File>,
    names: Vec<String>,
}

fn library() -> Library {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/std");
    let mut paths: Vec<_> = fs::read_dir(models).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut library = Library { sources: SourceMap::new(), files: Vec::new(), names: Vec::new() };
    for path in paths {
        let name = format!("std/{}", path.file_name().unwrap().to_string_lossy());
        let source = library.sources.add(name.clone(), fs::read_to_string(&path).unwrap());
        let (file, faults) = grammar::parse(&source);
        assert!(faults.is_empty(), "{name} parses");
        library.files.push(file);
        library.names.push(name);
    }
    library
}

/// What `check` says of a text; `own` is the position of a library file that the text takes the place of.
fn check(
    library: &Library,
    name: &str,
    text: &str,
    own: Option<usize>,
) -> (Vec<Diagnostic>, SourceMap, SourceFile) {
    let mut sources = library.sources.clone();
    let source = sources.add(name, text);
    let (main, syntax) = grammar::parse(&source);
    let mut std: Vec<&File> = library.files.iter().collect();
    if let Some(position) = own {
        std[position] = &main;
    }
    let mut checked = Vec::new();
    let program = sema::Program::new(&main, &[], &std, &mut checked);
    checked.extend(sema::check(&program, &sema::Options::default()));
    let mut faults = sema::merged(&syntax, checked);
    faults.retain(Diagnostic::is_error);
    (faults, sources, source)
}

/// A change of the text in one place.
struct Damage {
    what: &'static str,
    at: Range<usize>,
    by: String,
}

/// Words and numbers of the text outside of comments and strings.
fn words(text: &str) -> Vec<Range<usize>> {
    let (bytes, mut found, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b'/' if text[at..].starts_with("//") => {
                at = text[at..].find('\n').map_or(text.len(), |end| at + end)
            }
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' && bytes[at] != b'\n' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
                while at < bytes.len()
                    && (bytes[at].is_ascii_alphanumeric()
                        || bytes[at] == b'_'
                        || bytes[at] == b'.' && bytes[start].is_ascii_digit())
                {
                    at += 1;
                }
                found.push(start..at);
            }
            _ => at += 1,
        }
    }
    found
}

const WORDS: &[&str] = &[
    "if",
    "else",
    "where",
    "in",
    "as",
    "repeat",
    "remat",
    "require",
    "assert",
    "and",
    "or",
    "not",
    "pi",
    "inf",
    "nan",
    "true",
    "false",
    "fn",
    "layer",
    "model",
    "train",
    "test",
    "bench",
    "optimizer",
    "use",
    "const",
    "param",
    "state",
    "float",
    "int",
    "dim",
    "bool",
    "within",
    "weights",
    "from",
];

fn damages(text: &str) -> Vec<Damage> {
    let mut found = Vec::new();
    for at in words(text) {
        let word = &text[at.clone()];
        let after = text[at.end..].trim_start();
        let before = text[..at.start].trim_end();
        if let Ok(number) = word.parse::<i64>() {
            // Numbers in brackets and in calls are sizes, as a rule.
            if before.ends_with(['[', ',', '(', ':']) && after.starts_with([']', ',', ')']) {
                found.push(Damage { what: "size", at, by: (number + 1).to_string() });
            }
            continue;
        }
        match word {
            "f32" => found.push(Damage { what: "dtype", at, by: "i32".into() }),
            "i32" | "bool" => found.push(Damage { what: "dtype", at, by: "f32".into() }),
            _ if WORDS.contains(&word) || word.starts_with(|c: char| c.is_ascii_digit()) => {}
            // What is declared may have any name, as far as the word itself goes.
            _ if ["fn", "layer", "model", "optimizer"].iter().any(|word| before.ends_with(word)) => {}
            _ if after.starts_with('=') && !after.starts_with("==")
                || after.starts_with(':')
                || after.starts_with("<-") => {}
            _ => found.push(Damage { what: "name", at: at.end..at.end, by: "q".into() }),
        }
    }
    found.extend(arguments(text).into_iter().map(|at| Damage { what: "argument", at, by: String::new() }));
    found
}

/// Arguments of calls with at least two, each with one comma beside it.
fn arguments(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    // Of each bracket that is open: whether it is a call, and where its arguments begin.
    let mut open: Vec<(bool, Vec<usize>)> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'/' if text[at..].starts_with("//") => {
                at = text[at..].find('\n').map_or(text.len(), |end| at + end)
            }
            b'"' => at += text[at + 1..].find('"').map_or(0, |end| end + 1),
            b'(' | b'[' | b'{' => {
                let before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
                let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
                let declares =
                    ["fn ", "layer ", "model ", "train ", "optimizer ", "    ("].iter().any(|word| {
                        text[line..at + 1].trim_start().starts_with(word.trim_start())
                            && !text[line..at].contains(['=', '{'])
                    });
                open.push((bytes[at] == b'(' && before && !declares, vec![at + 1]));
            }
            b',' => open.iter_mut().last().into_iter().for_each(|(_, starts)| starts.push(at + 1)),
            b')' | b']' | b'}' => {
                if let Some((true, mut starts)) = open.pop()
                    && starts.len() > 1
                {
                    starts.push(at + 1);
                    for (index, pair) in starts.windows(2).enumerate() {
                        // The last one goes with the comma before it.
                        let last = index + 2 == starts.len();
                        found.push(if last { pair[0] - 1..pair[1] - 1 } else { pair[0]..pair[1] });
                    }
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// How many errors a damage may give. A declared dtype that is exchanged contradicts each caller and its own default, at
/// most 4 of them as a rule, else as many as the file has `calls` of the item; a size that is off by one may be read at two
/// places, each of which then fails by itself.
fn echoes(what: &str, library: bool, calls: usize) -> usize {
    match what {
        "dtype" if library => calls.max(4),
        "size" if library => 2,
        _ => 1,
    }
}

fn line(text: &str, at: usize) -> usize {
    text[..at.min(text.len())].matches('\n').count()
}

/// The lines of the item that a line is part of.
fn item(text: &str, within: usize) -> Range<usize> {
    let begins = |line: &str| line.starts_with(|c: char| c.is_ascii_alphabetic());
    let all: Vec<&str> = text.lines().collect();
    let first = (0..=within).rev().find(|at| begins(all[*at])).unwrap_or(0);
    let last = (within + 1..all.len()).find(|at| begins(all[*at])).unwrap_or(all.len());
    first..last
}

/// How often the text outside of an item calls it.
fn calls(text: &str, item: &Range<usize>) -> usize {
    let head = text.lines().nth(item.start).unwrap_or_default();
    let Some(name) = words(head).get(1).map(|at| &head[at.clone()]) else { return 0 };
    let called = |at: &Range<usize>| text[at.clone()] == *name && text[at.end..].starts_with('(');
    words(text).iter().filter(|at| called(at) && !item.contains(&line(text, at.start))).count()
}

/// Whether a fault points at these lines or at those beside them.
fn near(fault: &Diagnostic, source: &SourceFile, lines: &Range<usize>) -> bool {
    let touches = |span: &Span| {
        let text = &source.text;
        span.file == source.id
            && line(text, span.lo as usize) <= lines.end + 1
            && line(text, span.hi as usize) + 1 >= lines.start
    };
    fault.span.iter().chain(fault.labels.iter().map(|label| &label.span)).any(touches)
}

#[test]
fn one_mistake_gives_one_error_at_its_place() {
    let run = || {
        let library = library();
        let mut files: Vec<(String, Option<usize>, String)> = Vec::new();
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
        let mut paths: Vec<_> = fs::read_dir(models).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "model"));
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap().to_string_lossy().to_string();
            files.push((name, None, fs::read_to_string(&path).unwrap()));
        }
        for (position, name) in library.names.iter().enumerate() {
            files.push((name.clone(), Some(position), library.sources.files()[position].text.to_string()));
        }
        let all = std::env::var("DLC_TEST_DAMAGE").is_ok_and(|value| value == "all");
        let only = std::env::var("DLC_TEST_DAMAGE_FILE").ok();
        let (mut tried, mut told, mut next_to, mut failures) = (0, 0, 0, Vec::new());
        for (name, own, text) in &files {
            if only.as_ref().is_some_and(|only| !name.contains(only.as_str()))
                || !check(&library, name, text, *own).0.is_empty()
            {
                continue;
            }
            let damages = damages(text);
            for what in ["name", "size", "dtype", "argument"] {
                let of_kind: Vec<&Damage> = damages.iter().filter(|damage| damage.what == what).collect();
                let step = if all { 1 } else { of_kind.len().div_ceil(SPOTS).max(1) };
                for damage in of_kind.into_iter().step_by(step) {
                    let mut damaged = text.clone();
                    damaged.replace_range(damage.at.clone(), &damage.by);
                    let (faults, sources, source) = check(&library, name, &damaged, *own);
                    tried += 1;
                    told += usize::from(!faults.is_empty());
                    let lines = line(text, damage.at.start)..line(text, damage.at.end);
                    let around = item(text, lines.start);
                    let close = faults.iter().all(|fault| near(fault, &source, &around));
                    next_to += usize::from(faults.iter().all(|fault| near(fault, &source, &lines)));
                    let fine =
                        close && faults.len() <= echoes(damage.what, own.is_some(), calls(text, &around));
                    if !fine {
                        let shown = render_all(&faults, &sources, Format::Human, Color::Never);
                        let place = lines.start + 1;
                        let kept = &text[damage.at.clone()];
                        failures.push(format!(
                            "{name}:{place}: {what} `{kept}` → `{}`, {} errors\n{shown}",
                            damage.by,
                            faults.len()
                        ));
                    }
                }
            }
        }
        println!(
            "{tried} damages, {told} with errors, {next_to} told next to them, {} not well",
            failures.len()
        );
        assert!(failures.is_empty(), "{}\n{} of {tried}", failures.join("\n"), failures.len());
        assert!(
            only.is_some() || told * 2 > tried && tried > 200,
            "{tried} damages, of which {told} are errors"
        );
    };
    // The checker recurses; tests give it the stack that the driver gives it.
    std::thread::Builder::new().stack_size(256 << 20).spawn(run).unwrap().join().unwrap();
}

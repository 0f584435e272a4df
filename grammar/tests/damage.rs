//! Whatever the text: no panic, and few errors for one mistake.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use base::{FileId, SourceFile};

fn source(text: &str) -> SourceFile {
    SourceFile { id: FileId(0), name: "test.model".into(), text: text.into() }
}

fn samples() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "model"));
    paths.sort();
    assert!(paths.len() >= 10);
    paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn one_changed_token() {
    let (mut runs, mut several, mut none) = (0, 0, 0);
    for text in samples() {
        for (_, span) in grammar::tokens(&source(&text)) {
            let (lo, hi) = (span.lo as usize, span.hi as usize);
            if lo == hi {
                continue;
            }
            let twice = format!("{0} {0}", &text[lo..hi]);
            for with in ["", twice.as_str(), "(", ")", "{", "}", "=", "if", "$", ",", "\n"] {
                let damaged = format!("{}{with}{}", &text[..lo], &text[hi..]);
                let (_, errors) = grammar::parse(&source(&damaged));
                let shown = || {
                    errors
                        .iter()
                        .map(|error| format!("{:?} {}\n", error.span, error.message))
                        .collect::<String>()
                };
                assert!(errors.len() <= 4, "{with:?} at {lo}:\n{}\n{damaged}", shown());
                runs += 1;
                several += usize::from(errors.len() > 1);
                none += usize::from(errors.is_empty());
                assert!(errors.iter().all(|error| error.code.starts_with("E01") && error.span.is_some()));
            }
        }
    }
    println!("{runs} runs, {several} with several errors, {none} with none");
    assert!(runs > 10_000);
    assert!(several * 10 < runs, "{several} of {runs} changes gave more than one error");
}

#[test]
fn every_prefix() {
    for text in samples() {
        for at in (0..text.len()).filter(|&at| text.is_char_boundary(at)) {
            grammar::parse(&source(&text[..at]));
        }
    }
}

#[test]
fn random_text() {
    let pieces = [
        "(", ")", "[", "]", "{", "}", ",", ":", ".", "..", "=", "<-", "->", "|>", "+", "-", "*", "^", "~=",
        "\n", " ", "\n\n", ";", "if", "else", "where", "in", "as", "repeat", "not", "fn f", "layer",
        "model M", "param", "state s", "train T", "use a", "test", "sum", "sum[k]", "1", "0.5", "1e9",
        "\"s\"", "\"", "'", "x", "é", "\u{0}", "//", "///", "// c\n", "/// d\n", "within", "from", "\\", "$",
        "\r", "\u{feff}", "日本",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    for _ in 0..20_000 {
        let length = next(40);
        let text: String = (0..length).map(|_| pieces[next(pieces.len())]).collect();
        let (file, errors) = grammar::parse(&source(&text));
        grammar::ast::dump(&file);
        grammar::tokens(&source(&text));
        assert!(errors.iter().filter_map(|error| error.span).all(|span| span.hi as usize <= text.len()));
        if let Ok(printed) = grammar::format(&source(&text)) {
            assert!(errors.is_empty());
            assert_eq!(
                grammar::ast::dump(&grammar::parse(&source(&printed)).0),
                grammar::ast::dump(&file),
                "{text:?}"
            );
            assert_eq!(grammar::format(&source(&printed)).unwrap(), printed, "{text:?}");
        }
    }
    for _ in 0..2_000 {
        let bytes: Vec<u8> = (0..next(200)).map(|_| next(256) as u8).collect();
        grammar::parse(&source(&String::from_utf8_lossy(&bytes)));
    }
}

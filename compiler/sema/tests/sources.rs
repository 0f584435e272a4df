//! Where data come from, as the checker reads it; no file is opened.
#![allow(clippy::unwrap_used, reason = "a test")]

use base::SourceMap;
use sema::{Origin, Source, Step};

/// A model with one input of this type, trained on this source.
fn read(input: &str, source: &str) -> (Option<Source>, Vec<base::Diagnostic>) {
    let text = format!(
        "model M(x: {input}) -> (y: f32[b, 1]) {{
    y = zeros([b, 2]) |> dense(1)
}}
train M(target: i32[b, 4]) {{
    data = {source}
    loss = mean(y)
    optimizer = sgd(lr: 0.1)
}}
"
    );
    let mut sources = SourceMap::new();
    let (file, faults) = grammar::parse(&sources.add("m.model", text));
    assert!(faults.is_empty(), "{faults:?}");
    let std = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/std");
    let mut paths: Vec<_> = std::fs::read_dir(std).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let files: Vec<_> = paths
        .iter()
        .map(|path| {
            let source =
                sources.add(path.to_string_lossy().to_string(), std::fs::read_to_string(path).unwrap());
            grammar::parse(&source).0
        })
        .collect();
    let mut faults = Vec::new();
    let program = sema::Program::new(&file, &[], &files.iter().collect::<Vec<_>>(), &mut faults);
    let (built, more) = sema::build(&program, None, &sema::Options::default(), true);
    faults.extend(more);
    (built.and_then(|built| built.train).and_then(|train| train.source), faults)
}

fn whole(input: &str, source: &str) -> Source {
    let (read, faults) = read(input, source);
    // Warnings are of no concern: the model need not read what the source gives.
    let errors: Vec<_> = faults.iter().filter(|fault| fault.is_error()).collect();
    assert!(errors.is_empty(), "{source}: {errors:?}");
    read.unwrap()
}

#[test]
fn arithmetic_becomes_steps() {
    use Step::{Add, Divide, Multiply};
    let cases = [
        ("columns(0..4) / 16", vec![Divide(16.0)]),
        ("columns(0..4) * 0.5 + 1", vec![Multiply(0.5), Add(1.0)]),
        ("(columns(0..4) - 3) / (2 * 4)", vec![Add(-3.0), Divide(8.0)]),
        ("1 - columns(0..4)", vec![Multiply(-1.0), Add(1.0)]),
        ("2 * -columns(0..4)", vec![Multiply(-1.0), Multiply(2.0)]),
        ("columns(0..4)", vec![]),
    ];
    for (field, steps) in cases {
        let source = whole("f32[b, 4]", &format!("csv(\"a.csv\", x: {field})"));
        assert_eq!(source.fields[0].steps, steps, "{field}");
        assert!(matches!(source.fields[0].origin, Origin::Indices { from: 0, to: 4 }), "{field}");
    }
    let source = whole("f32[b, 28, 28]", "idx(\"mnist\", x: \"train-images\" / 255)");
    assert_eq!(source.fields[0].steps, [Divide(255.0)]);
}

#[test]
fn every_source_with_its_fields() {
    let text = whole("i32[b, t]", "text(\"a.txt\", tokenizer: chars(), x: window(4), target: next())");
    assert!(matches!(text.fields[0].origin, Origin::Window(4)));
    assert!(matches!(text.fields[1].origin, Origin::Next));
    let images = whole("f32[b, 3, 8, 6]", "images(\"photos\", x: crop(8, 6) * 2 - 1)");
    assert!(matches!(images.fields[0].origin, Origin::Picture { height: 8, width: 6, crop: true }));
    assert_eq!(images.fields[0].steps, [Step::Multiply(2.0), Step::Add(-1.0)]);
    assert!(matches!(whole("i32[b]", "images(\"photos\", x: folder())").fields[0].origin, Origin::Folder));
    whole("f32[b]", "parquet(\"a.parquet\", x: column(\"a\"))");
}

#[test]
fn refusals() {
    let cases = [
        ("f32[b, 4]", "csv(\"a.csv\", x: columns(0..4) / 0)", "divided by 0"),
        ("f32[b, 4]", "csv(\"a.csv\", x: 1 / columns(0..4))", "no `/`"),
        ("f32[b, 4]", "csv(\"a.csv\", x: columns(0..4) ^ 2)", "no `^`"),
        ("f32[b, 4]", "csv(\"a.csv\", x: column(0) + column(1))", "between one column and numbers"),
        ("f32[b, 4]", "csv(\"a.csv\", x: columns(0..4) * true)", "finite numbers"),
        ("f32[b, 4]", "csv(\"a.csv\", x: 1 + 2)", "between one column and numbers"),
        ("f32[b, 4]", "cvs(\"a.csv\", x: column(0))", "no data source `cvs`"),
        ("i32[b, 4]", "text(\"a.txt\", x: window(4) * 2)", "counted or drawn"),
        ("i32[b, 4]", "text(\"a.txt\", x: next())", "windows of one length"),
        ("i32[b, 4]", "text(\"a.txt\", x: window(4), target: window(5))", "windows of one length"),
        ("i32[b, 4]", "text(\"a.txt\", x: window(5))", "[batch, 5]"),
        ("f32[b, 4]", "text(\"a.txt\", x: window(4))", "integers of the shape [batch, 4]"),
        ("f32[b, 3, 8, 8]", "images(\"photos\", x: resize(8, 9))", "[batch, 3, 8, 9]"),
        ("f32[b, 1, 8, 8]", "images(\"photos\", x: resize(8))", "[batch, 3, 8, 8]"),
        ("i32[b, 4]", "images(\"photos\", x: folder())", "integers of the shape [batch]"),
        ("f32[b, 3, 8, 8]", "images(\"photos\", x: resize(0, 8))", "at least 1"),
        ("f32[b, 3, 8, 8]", "images(\"photos\", x: resize(8, 10_000_000))", "at most"),
        ("f32[b, 3, 8, 8]", "images(\"photos\", x: column(0))", "`resize(…)`, `crop(…)` or `folder()`"),
    ];
    for (input, source, part) in cases {
        let (_, faults) = read(input, source);
        let told: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        assert!(told.iter().any(|message| message.contains(part)), "{source}: {told:?}");
    }
    let (_, faults) = read("i32[b, 4]", "text(\"a.txt\", tokenizer: bpe(\"v\"), x: window(4))");
    assert_eq!(faults[0].code, "E0501");
}

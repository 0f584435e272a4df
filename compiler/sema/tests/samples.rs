//! The shipped models through the checker, with the library as it stands.
#![allow(clippy::unwrap_used, reason = "a test")]

use base::{Color, Format, SourceMap, render_all};
use graph::verify::verify;
use std::{fs, path::Path};

struct Checked {
    text: String,
    built: Option<sema::Built>,
}

fn check(model: &str, options: &sema::Options) -> Checked {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let mut sources = SourceMap::new();
    let mut std_files: Vec<_> =
        fs::read_dir(models.join("std")).unwrap().map(|entry| entry.unwrap().path()).collect();
    std_files.sort();
    let mut parse = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().to_string();
        let source = sources.add(name, fs::read_to_string(path).unwrap());
        let (file, diagnostics) = grammar::parse(&source);
        assert!(
            diagnostics.is_empty(),
            "{}",
            render_all(&diagnostics, &sources, Format::Human, Color::Never)
        );
        file
    };
    let main = parse(&models.join(model));
    let std: Vec<_> = std_files.iter().map(|path| parse(path)).collect();
    let std: Vec<&grammar::ast::File> = std.iter().collect();
    let mut diagnostics = Vec::new();
    let program = sema::Program::new(&main, &[], &std, &mut diagnostics);
    diagnostics.extend(sema::check(&program, options));
    let text = render_all(&diagnostics, &sources, Format::Human, Color::Never);
    let (built, _) = sema::build(&program, None, options, true);
    Checked { text, built }
}

/// The checker recurses; tests give it the stack that the driver gives it.
fn with_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 << 20).spawn(test).unwrap().join().unwrap();
}

#[test]
fn models_that_are_whole_check_and_build() {
    with_stack(|| {
        for model in ["linear.model", "fraud.model", "digits.model", "char_lstm.model"] {
            let checked = check(model, &sema::Options::default());
            assert_eq!(checked.text, "", "{model}");
            let built = checked.built.unwrap();
            verify(&built.module).unwrap();
            let names: Vec<&str> = built.entries.iter().map(|(name, _)| *name).collect();
            for entry in ["run", "init", "step", "grad", "eval", "eval_finish"] {
                assert!(names.contains(&entry), "{model} has {names:?}");
            }
        }
    });
}

#[test]
fn digits_has_the_weights_that_its_source_names() {
    with_stack(|| {
        let built = check("digits.model", &sema::Options::default()).built.unwrap();
        let names: Vec<&str> = built.weights.iter().map(|weight| weight.name.as_str()).collect();
        let block = |name: &str| {
            ["conv2d.w", "conv2d.b", "batch_norm.scale", "batch_norm.bias"].map(|w| format!("{name}.{w}"))
        };
        let mut wanted: Vec<String> = block("conv_block").into_iter().chain(block("conv_block_1")).collect();
        wanted.extend(["dense.w".into(), "dense.b".into()]);
        assert_eq!(names, wanted);
    });
}

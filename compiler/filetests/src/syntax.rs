//! Stages that know only syntax. `parse`: the tree beside the case. `fmt`: the text before and after, in one file.

use crate::corpus::{Case, blessing, golden, models, same};
use base::{Color, Format, SourceMap, render_all};
use driver::{Options, Stage};
use libtest_mimic::{Failed, Trial};
use std::path::PathBuf;

const AFTER: &str = "// ---- after\n";

pub fn parse(case: &Case) -> Result<(), Failed> {
    let session = case.session(Options::native())?;
    let (_, faults) = grammar::parse(&session.source);
    if !faults.is_empty() {
        return Err(render_all(&faults, &session.sources, Format::Human, Color::Never).into());
    }
    let tree = session.syntax_text(Stage::Ast).ok_or("no tree")?;
    golden(&case.path.with_extension("ast"), &tree)
}

pub fn format(case: &Case) -> Result<(), Failed> {
    let (before, after) = case.text.split_once(AFTER).unwrap_or((&case.text, ""));
    let formatted = formatted(before)?;
    if blessing() {
        return Ok(std::fs::write(&case.path, format!("{before}{AFTER}{formatted}"))?);
    }
    same(after, &formatted)?;
    same(&formatted, &self::formatted(&formatted)?)
}

/// Everything that ships is in canonical form.
pub fn shipped() -> Vec<Trial> {
    let trial = |path: PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Trial::test(format!("canonical::{name}"), move || {
            golden(&path, &formatted(&std::fs::read_to_string(&path)?)?)
        })
    };
    models("").into_iter().chain(models("std")).map(trial).collect()
}

fn formatted(text: &str) -> Result<String, Failed> {
    let mut sources = SourceMap::new();
    let source = sources.add("case.model", text);
    grammar::format(&source)
        .map_err(|faults| render_all(&faults, &sources, Format::Human, Color::Never).into())
}

//! What is known of an arm without timing it.

use super::suite::Suite;
use crate::fault::Fault;
use base::SourceMap;
use bench_suite::{Arms, FactsLine, Line};
use grammar::ast::ItemKind;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
};

pub fn facts(suite: &Suite, arms: &Arms) -> Result<Vec<Line>, Fault> {
    let (own, others) = (sources(suite), suite.model_lines());
    let line = |arm: &bench_suite::Arm| {
        let ours = arm.command.last().is_some_and(|word| word == "arm");
        let packages = packages(&arm.install);
        let install_bytes = if ours {
            env::current_exe().and_then(fs::metadata).ok().map(|data| data.len())
        } else {
            Some(packages).filter(|names| !names.is_empty()).and_then(|names| suite.installed_bytes(&names))
        };
        let python = arm.command.iter().any(|word| Path::new(word).extension().is_some_and(|it| it == "py"));
        let described = || others.get(&arm.described_in).cloned().unwrap_or_default();
        Line::Facts(FactsLine {
            arm: arm.name.clone(),
            install_bytes,
            model_lines: if ours { own.clone() } else { described() },
            // Of what is built by cargo, Python only finds the program.
            needs_python: Some(python && !arm.install.starts_with("cargo ")),
            dynamic_sizes: arm.dynamic_sizes,
        })
    };
    Ok(arms.list.iter().map(line).collect())
}

/// Lines of our sources by the models of the registry.
fn sources(suite: &Suite) -> BTreeMap<String, u64> {
    let (Ok(registry), Ok(root)) = (suite.registry(), suite.root()) else { return BTreeMap::new() };
    let counted = registry.models.iter().filter_map(|(name, model)| {
        let text = fs::read_to_string(root.join(&model.source)).ok()?;
        Some((name.clone(), lines(&text, model.model.as_deref())))
    });
    counted.collect()
}

/// Lines of a model and of what it uses of its file, without empty ones and comments. What trains or measures it counts no
/// more than in other frameworks.
fn lines(text: &str, model: Option<&str>) -> u64 {
    let mut sources = SourceMap::new();
    let source = sources.add("source.model", text);
    let file = grammar::parse(&source).0;
    let mut items: BTreeMap<&str, &str> = BTreeMap::new();
    let mut waiting: Vec<&str> = Vec::new();
    for item in &file.items {
        let name = match &item.kind {
            ItemKind::Const { name, .. } => name,
            ItemKind::Def(def) => &def.name,
            _ => continue,
        };
        let code = text.get(item.span.lo as usize..item.span.hi as usize).unwrap_or_default();
        let is_model = code.starts_with("model ");
        if is_model && model.is_none_or(|wanted| wanted == name.text) {
            waiting.push(&name.text);
        }
        items.insert(&name.text, code);
    }
    let mut reached = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        let Some(code) = items.get(name).filter(|_| reached.insert(name)) else { continue };
        let words = code.split(|it: char| !it.is_alphanumeric() && it != '_');
        waiting.extend(words.filter_map(|word| items.get_key_value(word)).map(|(name, _)| *name));
    }
    let codes = reached.iter().filter_map(|name| items.get(name)).flat_map(|code| code.lines());
    let counted = codes.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    counted.count() as u64
}

/// `pip install keras 'jax[cpu]'`: what comes after.
fn packages(install: &str) -> Vec<String> {
    let words = install.strip_prefix("pip install ").unwrap_or_default().split_whitespace();
    words.map(|word| word.trim_matches(['\'', '"']).to_string()).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn packages_of_an_install_line() {
        assert_eq!(super::packages("pip install keras 'jax[cpu]'"), ["keras", "jax[cpu]"]);
        assert!(super::packages("apt-get install nothing").is_empty());
    }

    #[test]
    fn lines_of_a_model_and_what_it_uses() {
        let text = "/// A block.\nlayer block(c: dim)(x: f32[n, d]) -> f32[n, c] {\n\n    // One map.\n    x |> dense(c) |> bent\n}\n\n\
                    fn bent(x) = x * wide\nconst wide = 3\nconst other = 4\n\n\
                    model Small(x: f32[n, 2]) -> (y: f32[n, 2]) { y = x |> dense(2) }\n\n\
                    model Large(x: f32[n, 2]) -> (y: f32[n, 5]) {\n    y = x |> block(5)\n}\n\n\
                    train Large { loss = mean(y) }\n";
        assert_eq!(super::lines(text, Some("Small")), 1);
        assert_eq!(super::lines(text, Some("Large")), 3 + 3 + 2);
        assert_eq!(super::lines(text, None), 1 + 3 + 3 + 2);
    }
}

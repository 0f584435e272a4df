//! What is known of an arm without timing it.

use super::suite::Suite;
use crate::fault::Fault;
use bench_suite::{Arms, FactsLine, Line};
use std::{collections::BTreeMap, env, fs, path::Path};

pub fn facts(suite: &Suite, arms: &Arms) -> Result<Vec<Line>, Fault> {
    let sources = sources(suite);
    let line = |arm: &bench_suite::Arm| {
        let ours = arm.command.last().is_some_and(|word| word == "arm");
        let packages = packages(&arm.install);
        let install_bytes = if ours {
            env::current_exe().and_then(fs::metadata).ok().map(|data| data.len())
        } else {
            Some(packages).filter(|names| !names.is_empty()).and_then(|names| suite.installed_bytes(&names))
        };
        let python = arm.command.iter().any(|word| Path::new(word).extension().is_some_and(|it| it == "py"));
        Line::Facts(FactsLine {
            arm: arm.name.clone(),
            install_bytes,
            model_lines: if ours { sources.clone() } else { BTreeMap::new() },
            needs_python: Some(python),
        })
    };
    Ok(arms.list.iter().map(line).collect())
}

/// Lines of our sources by the models of the registry, without what is for other models or for training.
fn sources(suite: &Suite) -> BTreeMap<String, u64> {
    let (Ok(registry), Ok(root)) = (suite.registry(), suite.root()) else { return BTreeMap::new() };
    let counted = registry.models.iter().filter_map(|(name, model)| {
        let text = fs::read_to_string(root.join(&model.source)).ok()?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
        Some((name.clone(), lines.count() as u64))
    });
    counted.collect()
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
}

//! From source to kernels the compiler is a function: no files, environment, clock, threads or output of its own.

use super::Findings;
use crate::Tree;

/// What decides about a program. `llvm` links with the system's linker, `driver` times passes when asked.
const PURE: &[&str] = &[
    "grammar/",
    "compiler/base/",
    "compiler/shape/",
    "compiler/sema/",
    "compiler/graph/",
    "compiler/autodiff/",
    "compiler/passes/",
    "compiler/kernel/",
    "compiler/lower/",
];
const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "thread::spawn",
    "Instant::now",
    "SystemTime",
    "println!",
    "eprintln!",
];

pub fn check(tree: &Tree, findings: &mut Findings) {
    let sources = tree
        .ending(".rs")
        .filter(|file| PURE.iter().any(|folder| file.path.starts_with(&format!("{folder}src/"))));
    for file in sources {
        let code = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in
            code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            if let Some(word) = OUTSIDE.iter().find(|word| line.contains(**word)) {
                findings.errors.push(format!(
                    "{}:{}: `{word}` in a crate that is a function of its input",
                    file.path,
                    number + 1
                ));
            }
        }
    }
}

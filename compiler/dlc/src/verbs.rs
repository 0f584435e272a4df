//! One file a verb.

pub mod arm;
pub mod bench;
pub mod check;
pub mod compile;
pub mod doctor;
pub mod eval;
pub mod explain;
pub mod fmt;
pub mod grad;
pub mod inspect;
pub mod report;
pub mod run;
pub mod test;
pub mod train;

use crate::fault::Fault;

/// Verbs that are designed and not built.
const LATER: &[&str] =
    &["new", "import", "export", "lsp", "serve", "zoo", "tune", "repl", "doc", "completions", "man"];

const BUILT: &[&str] = &[
    "check", "fmt", "explain", "inspect", "compile", "run", "grad", "train", "eval", "report", "test",
    "bench", "doctor", "help",
];

/// A word that is no verb of this version.
pub fn later(words: &[String]) -> Result<(), Fault> {
    let word = words.first().map_or("", String::as_str);
    if LATER.contains(&word) {
        return Err(Fault::Usage(format!("`dlc {word}` is not supported yet")));
    }
    let near = base::did_you_mean(word, BUILT.iter().copied());
    let hint = near.map_or(String::new(), |near| format!("; did you mean `dlc {near}`?"));
    Err(Fault::Usage(format!("there is no verb `{word}`{hint}")))
}

//! The command below each figure: what measures its rows anew and draws the page of them.

use super::Page;
use crate::{
    arms::OURS,
    results::{Measured, Mode},
};
use std::collections::BTreeSet;

/// A file of its own: what a results file already holds is not measured again.
const ANEW: &str = "again.jsonl";

impl Page<'_> {
    /// Of rows: their own command where they have one in common.
    pub(super) fn command<'m>(&self, rows: impl IntoIterator<Item = &'m Measured>) -> String {
        let rows: Vec<&Measured> = rows.into_iter().collect();
        let own: BTreeSet<&str> = rows.iter().filter_map(|row| row.arm.command.as_deref()).collect();
        if let (1, Some(command)) = (own.len(), own.first()) {
            return self.anew(command);
        }
        let cells = || rows.iter().map(|row| &row.cell);
        let named = |name: &str, values: &mut dyn Iterator<Item = String>| {
            let values = distinct(values);
            if values.is_empty() { String::new() } else { format!(" --{name} {}", quoted(&values.join(","))) }
        };
        let others = distinct(&mut rows.iter().map(|row| row.arm.arm.clone()).filter(|arm| arm != OURS));
        let others = if others.is_empty() { vec![OURS.to_string()] } else { others };
        let mut command = String::from("dlc bench");
        command += &named("models", &mut cells().map(|cell| cell.model.clone()));
        command += &named("mode", &mut cells().map(|cell| cell.mode.name().to_string()));
        command += &named("batch", &mut cells().filter_map(|cell| cell.batch).map(|batch| batch.to_string()));
        command +=
            &named("threads", &mut cells().filter_map(|cell| cell.threads).map(|count| count.to_string()));
        command +=
            &named("precision", &mut cells().map(|cell| cell.precision.clone()).filter(|name| name != "f32"));
        command += &named("against", &mut others.into_iter());
        // A registry fixes one value of a size, and its series has the others.
        let sizes = cells().filter(|cell| cell.mode != Mode::Server).map(|cell| cell.sizes.clone());
        if distinct(&mut sizes.into_iter()).len() > 1 {
            command += " --series";
        }
        if !own.is_empty() && own.iter().all(|command| command.contains(" --quick")) {
            command += " --quick";
        }
        self.anew(&command)
    }

    /// A command that measures, then the page of what it gives.
    pub(super) fn anew(&self, command: &str) -> String {
        match command.starts_with("dlc bench") && !command.contains(" --out") {
            true => format!("{command} --out {ANEW}\ndlc report {ANEW} -o {}", quoted(&self.options.output)),
            false => format!("{command}\n{}", self.whole()),
        }
    }

    /// What makes this very page.
    pub(super) fn whole(&self) -> String {
        let inputs: Vec<String> = self.options.inputs.iter().map(|input| quoted(input)).collect();
        format!("dlc report {} -o {}", inputs.join(" "), quoted(&self.options.output))
    }
}

/// Each once, in order.
fn distinct(values: &mut dyn Iterator<Item = String>) -> Vec<String> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

/// As a shell takes it for one word.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=@+%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

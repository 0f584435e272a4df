//! What every code means: sections of the Markdown files in `explain/`, one a range of codes.

pub struct Explanation {
    pub code: &'static str,
    pub title: &'static str,
    /// Markdown: words, then examples in fences.
    pub text: &'static str,
}

const FILES: &[&str] = &[
    include_str!("../explain/syntax.md"),
    include_str!("../explain/names.md"),
    include_str!("../explain/shapes.md"),
    include_str!("../explain/settings.md"),
    include_str!("../explain/unsupported.md"),
    include_str!("../explain/data.md"),
    include_str!("../explain/weights.md"),
    include_str!("../explain/running.md"),
    include_str!("../explain/code.md"),
    include_str!("../explain/measuring.md"),
    include_str!("../explain/reports.md"),
    include_str!("../explain/warnings.md"),
];

/// In the order of the codes.
pub fn all() -> Vec<Explanation> {
    FILES.iter().flat_map(|file| sections(file)).collect()
}

pub fn find(code: &str) -> Option<Explanation> {
    all().into_iter().find(|entry| entry.code == code)
}

/// A section begins with `# E0301: title`.
fn sections(file: &'static str) -> impl Iterator<Item = Explanation> {
    let parts = file.split("\n# ").filter_map(|part| {
        let part = part.strip_prefix("# ").unwrap_or(part);
        let (head, text) = part.split_once('\n')?;
        let (code, title) = head.split_once(": ")?;
        Some(Explanation { code, title, text })
    });
    parts.collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use driver::{NoFiles, Options, Session};
    use std::collections::BTreeSet;

    /// The examples of an entry: what kind of text, whether it is the right one, the text.
    fn examples(entry: &Explanation) -> Vec<(&str, bool, &str)> {
        let mut examples = Vec::new();
        let mut rest = entry.text;
        while let Some(at) = rest.find("```") {
            let (head, body) = rest[at + 3..].split_once('\n').expect("a fence ends its line");
            let (text, after) = body.split_once("```").expect("a fence is closed");
            let (kind, side) = head.split_once(' ').expect("a fence says its kind and side");
            assert!(["wrong", "right"].contains(&side), "{}: {head}", entry.code);
            examples.push((kind, side == "right", text));
            rest = after;
        }
        examples
    }

    #[test]
    fn every_entry_has_a_wrong_and_a_right_example() {
        let mut codes = BTreeSet::new();
        for entry in all() {
            assert!(codes.insert(entry.code), "{} is explained twice", entry.code);
            let sides: Vec<bool> = examples(&entry).iter().map(|(_, right, _)| *right).collect();
            assert_eq!(sides, [false, true], "{}", entry.code);
        }
        assert!(codes.len() > 100, "all files are read");
    }

    #[test]
    fn examples_in_the_language_give_what_they_claim() {
        let mut failures = Vec::new();
        for entry in all() {
            for (kind, right, text) in examples(&entry) {
                if kind != "model" {
                    continue;
                }
                let session = Session::new("example.model", text, &NoFiles, Options::native());
                let mut faults = session.check();
                if faults.is_empty() && !right {
                    faults = match session.build(None, false) {
                        Err(driver::Failure::Faults(faults)) => faults,
                        _ => Vec::new(),
                    };
                }
                let codes: Vec<&str> = faults.iter().map(|fault| fault.code).collect();
                let fine = if right { !base::has_errors(&faults) } else { codes.contains(&entry.code) };
                if !fine {
                    let side = if right { "right" } else { "wrong" };
                    failures.push(format!("{} {side}: {codes:?}\n{text}", entry.code));
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}

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

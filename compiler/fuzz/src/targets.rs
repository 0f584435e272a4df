//! What reads text, and what it promises.

mod dims;
mod format;
mod graph_text;
mod model;
mod syntax;

pub struct Target {
    pub name: &'static str,
    /// Of the files that seeds come from.
    pub extension: &'static str,
    /// Whether the text is accepted, or which promise is broken.
    pub run: fn(&str) -> Result<bool, String>,
}

pub const TARGETS: &[Target] = &[
    Target { name: "parser", extension: "model", run: syntax::run },
    Target { name: "formatter", extension: "model", run: format::run },
    Target { name: "checker", extension: "model", run: model::run },
    Target { name: "graph", extension: "graph", run: graph_text::run },
    Target { name: "shape", extension: "dims", run: dims::run },
];

pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

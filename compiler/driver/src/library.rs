//! The standard library: source text inside the binary, parsed once a process.

use base::SourceMap;
use grammar::ast;
use std::sync::OnceLock;

/// Name and text of each file, sorted by name.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/library.rs"));

pub struct Library {
    /// Begins every session's sources, so that places in the library mean the same in all of them.
    pub sources: SourceMap,
    pub files: Vec<ast::File>,
    /// Empty: a test of this crate says so.
    pub faults: Vec<base::Diagnostic>,
}

pub fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut library = Library { sources: SourceMap::new(), files: Vec::new(), faults: Vec::new() };
        for (name, text) in FILES {
            let source = library.sources.add(*name, *text);
            let (file, mut faults) = grammar::parse(&source);
            library.files.push(file);
            library.faults.append(&mut faults);
        }
        library
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_library_parses() {
        let library = super::library();
        assert_eq!(library.faults, []);
        assert!(!library.files.is_empty(), "models/std holds the library");
    }
}

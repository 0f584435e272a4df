//! The files that a source uses, and those that they use: each is read once, paths are relative to the file that uses.

use crate::Files;
use base::{Diagnostic, SourceMap, Span};
use grammar::ast;

/// Files of one build.
const MAX_FILES: usize = 256;
/// Bytes of all used files together.
const MAX_BYTES: usize = 32 << 20;

/// A file that others use.
pub(crate) struct UsedFile {
    pub tree: ast::File,
    /// The `use` items that mean it.
    pub used_at: Vec<Span>,
}

#[derive(Default)]
pub(crate) struct UsedFiles {
    pub files: Vec<UsedFile>,
    /// What does not parse.
    pub syntax: Vec<Diagnostic>,
    /// What cannot be had: files that are not there, circles, limits.
    pub faults: Vec<Diagnostic>,
}

/// Reads everything that `main` needs. `name` is what messages call it.
pub(crate) fn load(name: &str, main: &ast::File, files: &dyn Files, sources: &mut SourceMap) -> UsedFiles {
    let (folder, file) = name.rfind('/').map_or(("", name), |slash| name.split_at(slash + 1));
    let mut loader = Loader {
        files,
        sources,
        folder,
        known: Vec::new(),
        path: vec![(file.to_string(), Span::default())],
        bytes: 0,
        full: false,
        found: UsedFiles::default(),
    };
    loader.uses_of(main, "");
    loader.found
}

struct Loader<'a> {
    files: &'a dyn Files,
    sources: &'a mut SourceMap,
    /// Of the source, as messages say it: what it uses lies there or below.
    folder: &'a str,
    /// Paths of `found.files`, and where each was used first.
    known: Vec<(String, Span)>,
    /// The files being read, outermost first, each with the `use` that led to it.
    path: Vec<(String, Span)>,
    bytes: usize,
    /// A limit is passed and told.
    full: bool,
    found: UsedFiles,
}

impl Loader<'_> {
    /// `folder` is where the file lies, relative to the source.
    fn uses_of(&mut self, file: &ast::File, folder: &str) {
        for item in &file.items {
            let ast::ItemKind::Use { path, .. } = &item.kind else { continue };
            let words: Vec<&str> = path.iter().map(|word| word.text.as_str()).collect();
            let place = path.iter().map(|word| word.span).reduce(Span::to).unwrap_or(item.span);
            self.used(&format!("{folder}{}.model", words.join("/")), item.span, place);
        }
    }

    fn used(&mut self, path: &str, item: Span, place: Span) {
        if let Some(first) = self.path.iter().position(|(known, _)| known == path) {
            return self.circle(first, path, place);
        }
        if let Some(known) = self.known.iter().position(|(known, _)| known == path) {
            self.found.files[known].used_at.push(item);
            return;
        }
        let fault = match self.files.read(path) {
            Ok(Some(text)) => {
                self.bytes = self.bytes.saturating_add(text.len());
                if self.full {
                    return;
                }
                self.full = self.known.len() + 1 >= MAX_FILES || self.bytes > MAX_BYTES;
                if self.known.len() + 1 >= MAX_FILES {
                    Diagnostic::error("E0402", format!("a source uses at most {} files", MAX_FILES - 1))
                        .label(place, "one too many")
                } else if self.bytes > MAX_BYTES {
                    let message = format!("used files hold at most {} MiB together", MAX_BYTES >> 20);
                    Diagnostic::error("E0402", message).label(place, "the limit is passed here")
                } else {
                    return self.read(path, text, item, place);
                }
            }
            Ok(None) => Diagnostic::error("E0203", format!("there is no file `{path}` to use"))
                .label(place, "named here")
                .help("paths are relative to the file that uses; the standard library needs no `use`"),
            Err(reason) => Diagnostic::error("E0203", format!("`{path}` cannot be read: {reason}"))
                .label(place, "used here"),
        };
        self.found.faults.push(fault);
    }

    fn read(&mut self, path: &str, text: String, item: Span, place: Span) {
        let source = self.sources.add(format!("{}{path}", self.folder), text);
        let (tree, mut faults) = grammar::parse(&source);
        self.found.syntax.append(&mut faults);
        self.known.push((path.to_string(), place));
        // Its place in the list is kept while what it uses is read.
        let empty = ast::File { items: Vec::new(), span: tree.span };
        let position = self.found.files.len();
        self.found.files.push(UsedFile { tree: empty, used_at: vec![item] });
        self.path.push((path.to_string(), place));
        let folder = path.rfind('/').map_or("", |slash| &path[..=slash]);
        self.uses_of(&tree, folder);
        self.path.pop();
        self.found.files[position].tree = tree;
    }

    /// `path` is being read already, as `self.path[first]`.
    fn circle(&mut self, first: usize, path: &str, place: Span) {
        let round: Vec<&str> =
            self.path[first..].iter().map(|(path, _)| path.as_str()).chain([path]).collect();
        let message = match round.len() {
            2 => format!("`{path}` uses itself"),
            _ => format!("these files use each other in a circle: {}", round.join(" → ")),
        };
        let mut diagnostic =
            Diagnostic::error("E0213", message).label(place, format!("`{path}` is used again here"));
        for (path, place) in &self.path[first + 1..] {
            diagnostic = diagnostic.label(*place, format!("`{path}` is used here"));
        }
        let help = "move what both need into a file that uses neither";
        self.found.faults.push(if round.len() == 2 { diagnostic } else { diagnostic.help(help) });
    }
}

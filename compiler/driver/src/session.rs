//! One source with everything that belongs to it: what it imports, the library, the settings of a build.

use crate::{
    Failure, Options, library,
    uses::{self, UsedFile},
    with_big_stack,
};
use base::{Diagnostic, SourceFile, SourceMap, has_errors};
use grammar::ast;
use sema::{BenchItem, Built, Imported, Program, TestCase};

/// How a session reads the files that a source imports.
pub trait Files: Sync {
    /// The text of a file beside the source or below, by its relative path with `/`; `Ok(None)` where there is none.
    fn read(&self, path: &str) -> Result<Option<String>, String>;
}

/// For sources without a place, such as standard input: nothing can be imported.
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<Option<String>, String> {
        Ok(None)
    }
}

pub struct Session {
    pub sources: SourceMap,
    pub source: SourceFile,
    pub options: Options,
    pub(crate) main: ast::File,
    used: Vec<UsedFile>,
    syntax: Vec<Diagnostic>,
    /// Files that could not be had.
    loading: Vec<Diagnostic>,
    /// For a file of the library: its position.
    of_library: Option<usize>,
}

impl Session {
    /// Parses `text` and what it imports. `name` is what messages call it.
    pub fn new(name: &str, text: &str, files: &dyn Files, options: Options) -> Session {
        let mut sources = library().sources.clone();
        let source = sources.add(name, text);
        let (main, mut syntax) = grammar::parse(&source);
        let used = uses::load(name, &main, files, &mut sources);
        syntax.extend(used.syntax);
        let mut options = options;
        options.sema.half = matches!(options.float, kernel::DType::F16 | kernel::DType::BF16);
        Session {
            sources,
            source,
            options,
            main,
            used: used.files,
            syntax,
            loading: used.faults,
            of_library: None,
        }
    }

    /// One session for each file of the standard library, for its own tests.
    pub fn of_library(options: &Options) -> Vec<Session> {
        let library = library();
        let files = library.files.iter().zip(library.sources.files()).enumerate();
        files
            .map(|(position, (file, source))| Session {
                sources: library.sources.clone(),
                source: source.clone(),
                options: options.clone(),
                main: file.clone(),
                used: Vec::new(),
                syntax: Vec::new(),
                loading: Vec::new(),
                of_library: Some(position),
            })
            .collect()
    }

    /// Every fault of the file and of what it imports, in the order of the text.
    pub fn check(&self) -> Vec<Diagnostic> {
        let checked = self.with_program(sema::check);
        let mut all = sema::merged(&self.syntax, checked);
        all.extend(self.loading.iter().cloned());
        if has_errors(&all) {
            all.retain(Diagnostic::is_error);
        }
        all.sort_by_key(|fault| (fault.span.map(|span| (span.file != self.source.id, span)), fault.code));
        all.dedup();
        all
    }

    /// The entry points of a model, with warnings.
    pub fn build(&self, model: Option<&str>, with_train: bool) -> Result<(Built, Vec<Diagnostic>), Failure> {
        self.build_with(&self.options.sema, model, with_train)
    }

    pub(crate) fn build_with(
        &self,
        options: &sema::Options,
        model: Option<&str>,
        with_train: bool,
    ) -> Result<(Built, Vec<Diagnostic>), Failure> {
        if has_errors(&self.syntax) || has_errors(&self.loading) {
            return Err(Failure::Faults(self.check()));
        }
        let (built, faults) =
            self.with_program(|program, _| sema::build(program, model, options, with_train));
        match built {
            Some(built) => Ok((built, faults)),
            None => Err(Failure::Faults(faults)),
        }
    }

    /// The file's `test` items.
    pub fn test_cases(&self) -> Result<Vec<TestCase>, Failure> {
        if has_errors(&self.syntax) || has_errors(&self.loading) {
            return Err(Failure::Faults(self.check()));
        }
        let (cases, faults) = self.with_program(sema::test_cases);
        if has_errors(&faults) { Err(Failure::Faults(faults)) } else { Ok(cases) }
    }

    /// The file's `bench` items.
    pub fn benches(&self) -> Result<Vec<BenchItem>, Failure> {
        if has_errors(&self.syntax) || has_errors(&self.loading) {
            return Err(Failure::Faults(self.check()));
        }
        let (items, faults) = self.with_program(sema::benches);
        if has_errors(&faults) { Err(Failure::Faults(faults)) } else { Ok(items) }
    }

    /// The trees of the file and of what it uses.
    pub(crate) fn files_of_user(&self) -> impl Iterator<Item = &ast::File> {
        std::iter::once(&self.main).chain(self.used.iter().map(|file| &file.tree))
    }

    /// Whether a place is in the file or what it imports, and not in the library.
    pub fn is_of_user(&self, span: base::Span) -> bool {
        library().sources.get(span.file).is_none()
    }

    /// `file:line:column` of a place.
    pub fn place(&self, span: base::Span) -> String {
        self.sources.place(span)
    }

    /// Names of the file's models, in its order.
    pub fn models(&self) -> Vec<String> {
        let defs = self.main.items.iter().filter_map(|item| match &item.kind {
            ast::ItemKind::Def(def) if def.kind == ast::DefKind::Model => Some(def.name.text.clone()),
            _ => None,
        });
        defs.collect()
    }

    fn with_program<T>(&self, work: impl FnOnce(&Program<'_>, &sema::Options) -> T + Send) -> T
    where
        T: Findings + Send,
    {
        with_big_stack(|| {
            let mut faults = Vec::new();
            let std: Vec<&ast::File> = library().files.iter().collect();
            // A file of the library is the one that the library holds, so that it may use what only the library may.
            let main = self.of_library.map_or(&self.main, |position| &library().files[position]);
            let used: Vec<Imported<'_>> =
                self.used.iter().map(|file| Imported { tree: &file.tree, used_at: &file.used_at }).collect();
            let program = Program::new(main, &used, &std, &mut faults);
            let mut result = work(&program, &self.options.sema);
            result.precede(faults);
            result
        })
    }
}

/// What a question to the checker gives; faults of the declarations come before it.
trait Findings {
    fn precede(&mut self, faults: Vec<Diagnostic>);
}

impl Findings for Vec<Diagnostic> {
    fn precede(&mut self, mut faults: Vec<Diagnostic>) {
        faults.append(self);
        *self = faults;
    }
}

impl Findings for (Option<Built>, Vec<Diagnostic>) {
    fn precede(&mut self, faults: Vec<Diagnostic>) {
        if has_errors(&faults) {
            self.0 = None;
        }
        self.1.precede(faults);
    }
}

impl<T> Findings for (Vec<T>, Vec<Diagnostic>) {
    fn precede(&mut self, faults: Vec<Diagnostic>) {
        self.1.precede(faults);
    }
}

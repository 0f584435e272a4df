//! What the files declare, by name: the user's file first, then what it imports, then the standard library.

use base::{Diagnostic, Span, did_you_mean};
use grammar::ast;
use indexmap::IndexMap;

/// Anything declared at the top of a file.
#[derive(Clone, Copy, Debug)]
pub enum Item<'p> {
    Def(&'p ast::Def),
    Const(&'p ast::Name, &'p Option<ast::Type>, &'p ast::Expr),
}

impl Item<'_> {
    fn span(&self) -> Span {
        match self {
            Item::Def(def) => def.name.span,
            Item::Const(name, ..) => name.span,
        }
    }
}

/// One file's names, and which other files they come from.
#[derive(Debug, Default)]
pub struct Scope<'p> {
    pub items: IndexMap<&'p str, Item<'p>>,
}

/// All parsed files of a build. `files[0]` is the user's, the rest of `user` are imports by path, `std` the library's.
#[derive(Debug)]
pub struct Program<'p> {
    pub main: &'p ast::File,
    pub user: Scope<'p>,
    pub std: Scope<'p>,
    /// Items of imported files that the main file does not name, for bodies that live there.
    pub imported: Vec<(base::FileId, Scope<'p>)>,
    pub trains: Vec<Train<'p>>,
    pub tests: Vec<(&'p ast::Text, &'p ast::Block, Span)>,
    pub weights: Vec<(&'p ast::Name, Span)>,
    pub benches: Vec<&'p ast::Name>,
    /// Names that a `use` could not bring: reported there, silent where they are used.
    pub missing: Vec<&'p str>,
}

#[derive(Clone, Copy, Debug)]
pub struct Train<'p> {
    pub model: &'p ast::Name,
    pub fields: &'p [ast::Param],
    pub settings: &'p [ast::Setting],
    pub span: Span,
}

fn collect<'p>(file: &'p ast::File, diagnostics: &mut Vec<Diagnostic>) -> Scope<'p> {
    let mut scope = Scope::default();
    for item in &file.items {
        let (name, entry) = match &item.kind {
            ast::ItemKind::Def(def) => (&def.name, Item::Def(def)),
            ast::ItemKind::Const { name, ty, value } => (name, Item::Const(name, ty, value)),
            _ => continue,
        };
        if let Some(first) = scope.items.get(name.text.as_str()) {
            diagnostics.push(
                Diagnostic::error("E0202", format!("`{}` is declared twice", name.text))
                    .label(name.span, "declared again here")
                    .label(first.span(), "first declared here"),
            );
            continue;
        }
        scope.items.insert(&name.text, entry);
    }
    scope
}

impl<'p> Program<'p> {
    /// Collects names. `imports` are the files that `use` items name, by their dotted path.
    pub fn new(
        main: &'p ast::File,
        imports: &[(String, &'p ast::File)],
        std: &[&'p ast::File],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Program<'p> {
        let mut user = collect(main, diagnostics);
        let mut imported = Vec::new();
        for (_, file) in imports {
            imported.push((file.span.file, collect(file, diagnostics)));
        }
        let mut missing: Vec<&'p str> = Vec::new();
        for item in &main.items {
            let ast::ItemKind::Use { path, imports: names } = &item.kind else { continue };
            let dotted: Vec<&str> = path.iter().map(|name| name.text.as_str()).collect();
            let dotted = dotted.join(".");
            let Some(position) = imports.iter().position(|(path, _)| *path == dotted) else {
                diagnostics.push(
                    Diagnostic::error(
                        "E0203",
                        format!("there is no file `{}.model` to use", dotted.replace('.', "/")),
                    )
                    .label(item.span, "named here")
                    .help("paths are relative to this file; the standard library needs no `use`"),
                );
                missing.extend(names.iter().map(bound));
                continue;
            };
            for import in names {
                let source = &imported[position].1;
                let Some(found) = source.items.get(import.name.text.as_str()).copied() else {
                    let near = did_you_mean(&import.name.text, source.items.keys().copied());
                    diagnostics.push(
                        Diagnostic::error("E0204", format!("`{dotted}` declares no `{}`", import.name.text))
                            .label(import.name.span, "not found there")
                            .maybe_help(near.map(|near| format!("did you mean `{near}`?"))),
                    );
                    missing.push(bound(import));
                    continue;
                };
                let name = import.alias.as_ref().unwrap_or(&import.name);
                if user.items.insert(&name.text, found).is_some() {
                    diagnostics.push(
                        Diagnostic::error("E0202", format!("`{}` is declared twice", name.text))
                            .label(name.span, "imported here, but declared in this file too"),
                    );
                }
            }
        }
        let mut library = Scope::default();
        for file in std {
            library.items.extend(collect(file, diagnostics).items);
        }
        let mut program = Program {
            main,
            user,
            std: library,
            imported,
            trains: Vec::new(),
            tests: Vec::new(),
            weights: Vec::new(),
            benches: Vec::new(),
            missing,
        };
        for item in &main.items {
            match &item.kind {
                ast::ItemKind::Train { model, fields, settings } => {
                    program.trains.push(Train { model, fields, settings, span: item.span });
                }
                ast::ItemKind::Test { title, body } => program.tests.push((title, body, item.span)),
                ast::ItemKind::Weights { model, .. } => program.weights.push((model, item.span)),
                ast::ItemKind::Bench { model, .. } => program.benches.push(model),
                _ => {}
            }
        }
        program
    }

    /// The item that a name means in a given file.
    pub fn find(&self, file: base::FileId, name: &str) -> Option<Item<'p>> {
        let own = if file == self.main.span.file {
            self.user.items.get(name)
        } else {
            self.imported.iter().find(|(id, _)| *id == file).and_then(|(_, scope)| scope.items.get(name))
        };
        own.or_else(|| self.std.items.get(name)).copied()
    }

    pub fn is_std(&self, def: &ast::Def) -> bool {
        matches!(self.std.items.get(def.name.text.as_str()), Some(Item::Def(found)) if std::ptr::eq(*found, def))
    }

    pub fn models(&self) -> impl Iterator<Item = &'p ast::Def> {
        self.main.items.iter().filter_map(|item| match &item.kind {
            ast::ItemKind::Def(def) if def.kind == ast::DefKind::Model => Some(def),
            _ => None,
        })
    }

    /// All names that could have been meant in the user's file.
    pub fn names(&self) -> impl Iterator<Item = &'p str> {
        self.user.items.keys().chain(self.std.items.keys()).copied()
    }
}

/// The name that an import binds in the file.
fn bound(import: &ast::Import) -> &str {
    &import.alias.as_ref().unwrap_or(&import.name).text
}

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
#[derive(Clone, Debug, Default)]
pub struct Scope<'p> {
    pub items: IndexMap<&'p str, Item<'p>>,
}

/// A file that others use.
#[derive(Clone, Copy, Debug)]
pub struct Imported<'p> {
    pub tree: &'p ast::File,
    /// The `use` items that mean it, in whichever files.
    pub used_at: &'p [Span],
}

/// All parsed files of a build: the user's, what it uses, the library's.
#[derive(Debug)]
pub struct Program<'p> {
    pub main: &'p ast::File,
    pub user: Scope<'p>,
    pub std: Scope<'p>,
    /// The names in each used file: its own and those that it uses itself.
    pub imported: Vec<(base::FileId, Scope<'p>)>,
    pub trains: Vec<Train<'p>>,
    pub tests: Vec<(&'p ast::Text, &'p ast::Block, Span)>,
    pub weights: Vec<&'p ast::Name>,
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

/// Takes the names that the `use` items of a file bring into its scope.
fn bring<'p>(
    file: &'p ast::File,
    scope: &mut Scope<'p>,
    imports: &[Imported<'p>],
    declared: &[Scope<'p>],
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<&'p str> {
    let mut missing = Vec::new();
    for item in &file.items {
        let ast::ItemKind::Use { path, imports: names } = &item.kind else { continue };
        let Some(position) = imports.iter().position(|import| import.used_at.contains(&item.span)) else {
            // Whoever reads the files has said why this one is not there.
            missing.extend(names.iter().map(bound));
            continue;
        };
        let dotted: Vec<&str> = path.iter().map(|name| name.text.as_str()).collect();
        let dotted = dotted.join(".");
        for import in names {
            let source = &declared[position];
            let Some(found) = source.items.get(import.name.text.as_str()).copied() else {
                diagnostics.push(not_declared(&dotted, imports[position].tree, source, &import.name));
                missing.push(bound(import));
                continue;
            };
            let name = import.alias.as_ref().unwrap_or(&import.name);
            if let Some(first) = scope.items.get(name.text.as_str()) {
                let mut diagnostic = Diagnostic::error("E0202", format!("`{}` is declared twice", name.text))
                    .label(name.span, "brought here, but the name is taken");
                // The other one stands in this file too, unless it was brought as well.
                if first.span().file == name.span.file {
                    diagnostic = diagnostic.label(first.span(), "first declared here");
                }
                diagnostics
                    .push(diagnostic.help(format!("`{} as …` gives it another name", import.name.text)));
                continue;
            }
            scope.items.insert(&name.text, found);
        }
    }
    missing
}

fn not_declared(dotted: &str, file: &ast::File, scope: &Scope<'_>, name: &ast::Name) -> Diagnostic {
    let diagnostic = Diagnostic::error("E0204", format!("`{dotted}` declares no `{}`", name.text))
        .label(name.span, "not found there");
    let passed_on = file.items.iter().find_map(|item| match &item.kind {
        ast::ItemKind::Use { path, imports } => {
            imports.iter().any(|import| bound(import) == name.text).then_some(path)
        }
        _ => None,
    });
    if let Some(path) = passed_on {
        let words: Vec<&str> = path.iter().map(|word| word.text.as_str()).collect();
        return diagnostic.help(format!(
            "`{dotted}` itself has it from `{}`, and does not pass it on: use it from there",
            words.join(".")
        ));
    }
    let near = did_you_mean(&name.text, scope.items.keys().copied());
    diagnostic.did_you_mean(name.span, near)
}

impl<'p> Program<'p> {
    /// Collects names. Files that a `use` item names and that are not among `imports` were reported already.
    pub fn new(
        main: &'p ast::File,
        imports: &[Imported<'p>],
        std: &[&'p ast::File],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Program<'p> {
        let mut user = collect(main, diagnostics);
        let declared: Vec<Scope<'p>> =
            imports.iter().map(|import| collect(import.tree, diagnostics)).collect();
        let mut missing = bring(main, &mut user, imports, &declared, diagnostics);
        let mut imported = Vec::new();
        for (import, own) in imports.iter().zip(&declared) {
            let mut scope = own.clone();
            missing.extend(bring(import.tree, &mut scope, imports, &declared, diagnostics));
            imported.push((import.tree.span.file, scope));
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
                ast::ItemKind::Weights { model, .. } => program.weights.push(model),
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

    /// Whether a place lies in a file of the user, not in the library.
    pub fn is_users(&self, span: Span) -> bool {
        self.is_users_file(span.file)
    }

    pub fn is_users_file(&self, file: base::FileId) -> bool {
        file == self.main.span.file || self.imported.iter().any(|(id, _)| *id == file)
    }

    /// What the library declares by this name.
    pub fn find_std(&self, name: &str) -> Option<Item<'p>> {
        self.std.items.get(name).copied()
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

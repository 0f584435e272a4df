//! Warnings about names of the user's file: what is declared and read by nothing, what hides another binding.
//!
//! They follow from the text alone, branches not taken included, so no setting makes one come or go. A name that begins
//! with `_` is meant to be unused.

mod walk;

use crate::program::{Item, Program};
use base::{Diagnostic, Span};
use grammar::ast::{self, DefKind, ItemKind, SettingValue};
use std::collections::{BTreeMap, BTreeSet};

/// What a name was declared as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Input,
    Config,
    /// A dimension variable of a type, an index: found by their use.
    Solved,
    Weight,
    State,
    Value {
        /// It is the result of a layer.
        applies: bool,
    },
    Instance,
    Function,
}

struct Declared<'p> {
    name: &'p str,
    span: Span,
    kind: Kind,
    read: bool,
    /// A warning says already that it is of no use.
    told: bool,
    /// Conditions around the declaration.
    depth: usize,
    /// Declarations of one binding have one number: one that is read excuses the others.
    group: usize,
}

/// What each name means at a place: several declarations where branches bind it.
type Scope<'p> = BTreeMap<&'p str, Vec<usize>>;

struct Names<'c, 'p> {
    program: &'c Program<'p>,
    declared: Vec<Declared<'p>>,
    scope: Scope<'p>,
    depth: usize,
    groups: usize,
    /// Names read so far that no scope declares.
    free: BTreeSet<&'p str>,
    /// Names read since this was last emptied.
    recent: BTreeSet<&'p str>,
    found: Vec<Diagnostic>,
}

/// Warnings of the user's file.
pub fn lints(program: &Program<'_>) -> Vec<Diagnostic> {
    let mut names = Names {
        program,
        declared: Vec::new(),
        scope: Scope::new(),
        depth: 0,
        groups: 0,
        free: BTreeSet::new(),
        recent: BTreeSet::new(),
        found: Vec::new(),
    };
    for item in &program.main.items {
        match &item.kind {
            ItemKind::Def(def) => {
                names.definition(def);
                names.conclude();
            }
            ItemKind::Test { body, .. } => {
                names.block(body);
                names.conclude();
            }
            ItemKind::Const { value, .. } => names.expr(value),
            ItemKind::Train { fields, settings, .. } => names.train(fields, settings),
            ItemKind::Bench { settings, .. } => settings.iter().for_each(|setting| names.setting(setting)),
            ItemKind::Use { .. } | ItemKind::Weights { .. } | ItemKind::Error => {}
        }
    }
    names.imports();
    names.found
}

impl<'p> Names<'_, 'p> {
    fn declare(&mut self, name: &'p ast::Name, kind: Kind) {
        if name.text == "_" {
            return;
        }
        let (depth, group) = (self.depth, self.groups);
        let id = self.declared.len();
        self.declared.push(Declared {
            name: &name.text,
            span: name.span,
            kind,
            read: false,
            told: false,
            depth,
            group,
        });
        self.scope.insert(&name.text, vec![id]);
    }

    fn read(&mut self, name: &'p str) {
        self.recent.insert(name);
        match self.scope.get(name) {
            Some(ids) => ids.iter().for_each(|id| self.declared[*id].read = true),
            None => {
                self.free.insert(name);
            }
        }
    }

    /// A binding of `name` hides one that it does not read: as a rule, a slip.
    fn hides(&mut self, name: &'p ast::Name) {
        if name.text.starts_with('_') || self.recent.contains(name.text.as_str()) {
            return;
        }
        let known = self.scope.get(name.text.as_str()).and_then(|ids| ids.last()).copied();
        let (place, was_read) = match known {
            // In a branch, the other branches keep the old value.
            Some(id) if self.declared[id].depth < self.depth => return,
            Some(id) if matches!(self.declared[id].kind, Kind::Function) => return,
            Some(id) => {
                self.declared[id].told = true;
                (self.declared[id].span, self.declared[id].read)
            }
            None => match self.program.user.items.get(name.text.as_str()) {
                Some(Item::Const(hidden, ..)) => (hidden.span, true),
                _ => return,
            },
        };
        let old = if was_read { "bound here first" } else { "bound here first, and never used" };
        self.found.push(
            Diagnostic::warning("W0201", format!("`{}` hides another `{}`", name.text, name.text))
                .label(name.span, "bound again here")
                .label(place, old)
                .help("names are bound once: give one of the two another name"),
        );
    }

    /// What the definition just walked declares without a use.
    fn conclude(&mut self) {
        let declared = std::mem::take(&mut self.declared);
        self.scope.clear();
        let used: BTreeSet<usize> = declared.iter().filter(|one| one.read).map(|one| one.group).collect();
        let mut told = BTreeSet::new();
        for one in &declared {
            let several = declared.iter().filter(|other| other.group == one.group).count() > 1;
            let excused = several && (used.contains(&one.group) || !told.insert(one.group));
            if one.read || one.told || excused || one.name.starts_with('_') {
                continue;
            }
            self.found.extend(unused(one));
        }
    }

    fn train(&mut self, fields: &'p [ast::Param], settings: &'p [ast::Setting]) {
        let before = std::mem::take(&mut self.recent);
        settings.iter().for_each(|setting| self.setting(setting));
        for field in fields {
            field.ty.iter().for_each(|ty| self.ty(ty));
            if !self.recent.contains(field.name.text.as_str()) && !field.name.text.starts_with('_') {
                let message = format!("the field `{}` is never used", field.name.text);
                self.found.push(
                    Diagnostic::warning("W0205", message)
                        .label(field.name.span, "neither `loss` nor `metrics` reads it"),
                );
            }
        }
        self.recent = before;
    }

    /// Names that the training of `model` reads: its inputs may be there for the loss alone.
    fn read_by_training(&mut self, model: &'p ast::Def) {
        for train in self.program.trains.iter().filter(|train| train.model.text == model.name.text) {
            let settings = train.settings;
            settings.iter().for_each(|setting| self.setting(setting));
        }
    }

    fn setting(&mut self, setting: &'p ast::Setting) {
        match &setting.value {
            SettingValue::Expr(expr) => self.expr(expr),
            SettingValue::Record(settings, _) => settings.iter().for_each(|setting| self.setting(setting)),
            SettingValue::Error(_) => {}
        }
    }

    fn imports(&mut self) {
        for item in &self.program.main.items {
            let ItemKind::Use { imports, .. } = &item.kind else { continue };
            for import in imports {
                let name = import.alias.as_ref().unwrap_or(&import.name);
                if !self.free.contains(name.text.as_str()) && !name.text.starts_with('_') {
                    let message = format!("`{}` is brought in, but never used", name.text);
                    self.found.push(
                        Diagnostic::warning("W0206", message).label(name.span, "not used in this file"),
                    );
                }
            }
        }
    }

    /// Whether `name` means a layer here.
    fn is_layer(&self, name: &str) -> bool {
        if let Some(ids) = self.scope.get(name) {
            return ids.iter().any(|id| self.declared[*id].kind == Kind::Instance);
        }
        let item = self.program.find(self.program.main.span.file, name);
        matches!(item, Some(Item::Def(def)) if matches!(def.kind, DefKind::Layer | DefKind::Model))
    }
}

fn unused(one: &Declared<'_>) -> Option<Diagnostic> {
    let name = one.name;
    let silence = format!("if that is meant, call it `_{name}`");
    let (code, message, label, help) = match one.kind {
        Kind::Solved => return None,
        Kind::Value { applies: true } => (
            "W0202",
            format!("`{name}` is never used, so its layers are dead"),
            "what is computed here reaches no result",
            format!("use `{name}`, or remove it: its weights are trained for nothing"),
        ),
        Kind::Value { applies: false } | Kind::Function => (
            "W0202",
            format!("`{name}` is never used"),
            "nothing reads it",
            format!("use it, or remove it; {silence}"),
        ),
        Kind::Instance => (
            "W0203",
            format!("the layer `{name}` is never applied"),
            "an instance without an input has no weights",
            format!("apply it, as in `x |> {name}`, or remove it"),
        ),
        Kind::Weight => (
            "W0204",
            format!("the weight `{name}` is never used"),
            "nothing reads it, so it is never trained",
            format!("use it, or remove it; {silence}"),
        ),
        Kind::State => (
            "W0204",
            format!("the state `{name}` is never used"),
            "nothing reads or writes it",
            format!("use it, or remove it; {silence}"),
        ),
        Kind::Input => (
            "W0205",
            format!("the input `{name}` is never used"),
            "nothing reads it",
            format!("remove it; {silence}"),
        ),
        Kind::Config => (
            "W0205",
            format!("the setting `{name}` is never used"),
            "nothing depends on it",
            format!("remove it; {silence}"),
        ),
    };
    Some(Diagnostic::warning(code, message).label(one.span, label).help(help))
}

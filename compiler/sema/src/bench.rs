//! `bench NAME { … }`: its keys and values are held against what there is to measure.

use crate::{Options, Program, checker::Checker, entry::RUN};
use base::{Diagnostic, Span, did_you_mean};
use grammar::ast::{self, Expr, ExprKind, Setting, SettingValue};

const KEYS: &[&str] = &["batch", "threads", "mode", "against", "style", "precision"];

/// The words that a key takes; `against` takes any framework's name.
fn words(key: &str) -> &'static [&'static str] {
    match key {
        "mode" => &["infer", "train"],
        "style" => &["compiled", "graph", "eager"],
        "precision" => &["f32", "f64", "f16", "bf16"],
        _ => &[],
    }
}

/// One `bench` item, as far as it is right; keys that it leaves out are empty.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct BenchItem {
    pub model: String,
    pub batch: Vec<i64>,
    pub threads: Vec<i64>,
    pub mode: Vec<String>,
    pub against: Vec<String>,
    pub style: Vec<String>,
    pub precision: Vec<String>,
}

/// What the file wants to be measured.
pub fn benches(program: &Program<'_>, options: &Options) -> (Vec<BenchItem>, Vec<Diagnostic>) {
    let mut checker = Checker::new(program, options);
    let mut items = Vec::new();
    for item in &program.main.items {
        let ast::ItemKind::Bench { model, settings } = &item.kind else { continue };
        let mut found = BenchItem { model: model.text.to_string(), ..BenchItem::default() };
        checker.push_frame("settings", RUN, None);
        if let Some(def) = program.models().find(|def| def.name.text == model.text) {
            checker.bind_configuration(def);
        }
        for setting in settings {
            let SettingValue::Expr(expr) = &setting.value else { continue };
            let values: Vec<&Expr> = match &expr.peel().kind {
                ExprKind::List(items) => items.iter().collect(),
                _ => vec![expr],
            };
            let key = setting.key.text.as_str();
            let words = || values.iter().filter_map(|value| word_of(value)).map(String::from).collect();
            match key {
                "batch" => found.batch = checker.wholes(&values, key),
                "threads" => found.threads = checker.wholes(&values, key),
                "mode" => found.mode = words(),
                "against" => found.against = words(),
                "style" => found.style = words(),
                "precision" => found.precision = words(),
                _ => {}
            }
        }
        checker.frames.pop();
        items.push(found);
    }
    (items, checker.diagnostics)
}

fn word_of(value: &Expr) -> Option<&str> {
    match &value.peel().kind {
        ExprKind::Name(word) | ExprKind::Str(word) => Some(word.as_str()),
        _ => None,
    }
}

impl<'p> Checker<'p> {
    fn wholes(&mut self, values: &[&'p Expr], key: &str) -> Vec<i64> {
        values.iter().filter_map(|value| self.whole(value, key, 1)).collect()
    }

    pub fn check_benches(&mut self) {
        for item in &self.program.main.items {
            let ast::ItemKind::Bench { model, settings } = &item.kind else { continue };
            // A `train` of a model that does not exist was told, and may be meant for this one.
            let exists = |name: &str| self.program.models().any(|def| def.name.text == name);
            let mut trains = self.program.trains.iter().map(|train| &train.model.text);
            let trained = trains.any(|name| *name == model.text || !exists(name));
            self.push_frame("settings", RUN, None);
            let def = self.program.models().find(|def| def.name.text == model.text);
            if let Some(def) = def {
                self.bind_configuration(def);
            }
            let mut seen: Vec<(&str, Span)> = Vec::new();
            for setting in settings {
                let key = setting.key.text.as_str();
                if self.set_twice(&setting.key, &mut seen) {
                    continue;
                }
                // A model that does not exist has been told.
                self.bench_setting(key, setting, trained || def.is_none());
            }
            self.frames.pop();
        }
    }

    fn bench_setting(&mut self, key: &str, setting: &'p Setting, trained: bool) {
        if key.is_empty() {
            return;
        }
        if !KEYS.contains(&key) {
            let near = did_you_mean(key, KEYS.iter().copied());
            self.report(
                Diagnostic::error("E0415", format!("a bench block has no `{key}`"))
                    .label(setting.key.span, "not known")
                    .note(format!("the keys are {}", KEYS.join(", ")))
                    .maybe_help(near.map(|near| format!("did you mean `{near}`?"))),
            );
            return;
        }
        let expr = match &setting.value {
            SettingValue::Expr(expr) => expr,
            SettingValue::Record(..) => {
                let message = format!("`{key}` takes a list, not a record");
                self.error("E0415", setting.span, message, "a record");
                return;
            }
            SettingValue::Error(_) => return,
        };
        let values: Vec<&'p Expr> = match &expr.peel().kind {
            ExprKind::List(items) => items.iter().collect(),
            _ => vec![expr],
        };
        if values.is_empty() {
            self.error("E0415", expr.span, format!("`{key}` names at least one value"), "empty");
        }
        for value in values {
            match key {
                "batch" | "threads" => drop(self.whole(value, key, 1)),
                _ => self.bench_word(key, value, trained),
            }
        }
    }

    fn bench_word(&mut self, key: &str, value: &'p Expr, trained: bool) {
        let word = match &value.peel().kind {
            ExprKind::Name(word) | ExprKind::Str(word) => word.as_str(),
            ExprKind::Error => return,
            _ => {
                let example = if key == "against" { "pytorch" } else { words(key)[0] };
                let message = format!("`{key}` takes names, as in `[{example}]`");
                self.error("E0415", value.span, message, "not a name");
                return;
            }
        };
        let known = words(key);
        if !known.is_empty() && !known.contains(&word) {
            let near = did_you_mean(word, known.iter().copied());
            self.report(
                Diagnostic::error("E0415", format!("`{key}` has no `{word}`"))
                    .label(value.span, "not known")
                    .note(format!("there are {}", known.join(", ")))
                    .maybe_help(near.map(|near| format!("did you mean `{near}`?"))),
            );
        } else if key == "mode" && word == "train" && !trained {
            self.report(
                Diagnostic::error("E0415", "training is to be measured, but the model has no `train` block")
                    .label(value.span, "this mode needs one")
                    .help("leave `train` out, or say how the model is trained"),
            );
        }
    }
}

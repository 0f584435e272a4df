//! The keys of a `train` block, read into [`TrainSpec`].

use crate::{
    api::{Checkpoint, Direction, EarlyStop, Metric, TrainSpec},
    checker::Checker,
    program::Train,
    value::Value,
};
use base::{Diagnostic, Span, did_you_mean};
use grammar::ast::{self, Expr, ExprKind, Setting, SettingValue};

const KEYS: &[&str] = &[
    "data",
    "split",
    "loss",
    "metrics",
    "optimizer",
    "epochs",
    "steps",
    "batch",
    "seed",
    "clip",
    "checkpoint",
    "early_stop",
    "accumulate",
    "augment",
    "ema",
    "eval_every",
    "log_every",
];
/// Keys that `--set` may override.
const OVERRIDABLE: &[&str] =
    &["epochs", "steps", "batch", "seed", "accumulate", "ema", "eval_every", "log_every"];
const LATER: &[&str] = &["precision"];

/// Metrics of which less is better; of all others more is.
const LOWER: &[&str] = &[
    "loss",
    "mse",
    "mae",
    "huber",
    "mean_squared_error",
    "mean_absolute_error",
    "perplexity",
    "nll",
    "binary_cross_entropy",
    "binary_cross_entropy_logits",
    "cross_entropy",
    "kl_divergence",
    "hinge",
    "focal",
    "dice",
];

/// The expressions of a block that become graph.
#[derive(Clone, Copy, Default)]
pub struct TrainExprs<'p> {
    pub loss: Option<&'p Expr>,
    pub metrics: &'p [Setting],
    pub optimizer: Option<&'p Expr>,
    pub clip: Option<&'p Expr>,
}

impl<'p> Checker<'p> {
    /// Reads a block. Faults are reported; the rest is kept.
    pub fn train_settings(&mut self, train: &Train<'p>) -> (TrainSpec, TrainExprs<'p>) {
        let mut spec = TrainSpec {
            span: train.span,
            source: None,
            fields: Vec::new(),
            batch_symbol: None,
            split: vec![0.9, 0.1],
            epochs: None,
            steps: None,
            batch: 32,
            accumulate: 1,
            augment: Vec::new(),
            ema: None,
            plateau: None,
            seed: 0,
            metrics: Vec::new(),
            early_stop: None,
            checkpoint: Checkpoint { every_epochs: 1, every_steps: None, keep: 2, best: None },
            eval_every: None,
            log_every: 50,
        };
        let mut exprs = TrainExprs::default();
        let mut seen: Vec<(&str, Span)> = Vec::new();
        for setting in train.settings {
            let key = setting.key.text.as_str();
            if key.is_empty() {
                continue;
            }
            if self.set_twice(&setting.key, &mut seen) {
                continue;
            }
            self.setting(key, setting, &mut spec, &mut exprs);
        }
        self.overrides(&mut spec);
        if spec.epochs.is_some() && spec.steps.is_some() {
            let span = seen.iter().find(|(key, _)| *key == "steps").map_or(train.span, |(_, span)| *span);
            self.error(
                "E0415",
                span,
                "`epochs` and `steps` are both set",
                "one of them says how long training runs",
            );
        }
        (spec, exprs)
    }

    /// Tells of a key that stands in the block already; else remembers it.
    pub fn set_twice(&mut self, key: &'p ast::Name, seen: &mut Vec<(&'p str, Span)>) -> bool {
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == key.text) {
            self.report(
                Diagnostic::error("E0202", format!("`{}` is set twice", key.text))
                    .label(key.span, "set again here")
                    .label(*first, "set here first"),
            );
            return true;
        }
        seen.push((&key.text, key.span));
        false
    }

    fn setting(&mut self, key: &str, setting: &'p Setting, spec: &mut TrainSpec, exprs: &mut TrainExprs<'p>) {
        match (key, &setting.value) {
            (_, SettingValue::Error(_)) => {}
            ("loss", SettingValue::Expr(expr)) => exprs.loss = Some(expr),
            ("optimizer", SettingValue::Expr(expr)) => exprs.optimizer = Some(expr),
            ("clip", SettingValue::Expr(expr)) => exprs.clip = Some(expr),
            ("data", SettingValue::Expr(expr)) => spec.source = self.source(expr),
            ("metrics", SettingValue::Record(rows, _)) => {
                exprs.metrics = rows;
                spec.metrics = rows
                    .iter()
                    .map(|row| Metric { name: row.key.text.clone(), direction: direction(row) })
                    .collect();
            }
            ("epochs", SettingValue::Expr(expr)) => spec.epochs = self.whole(expr, key, 0),
            ("steps", SettingValue::Expr(expr)) => spec.steps = self.whole(expr, key, 0),
            ("batch", SettingValue::Expr(expr)) => {
                spec.batch = self.whole(expr, key, 1).unwrap_or(spec.batch)
            }
            ("seed", SettingValue::Expr(expr)) => spec.seed = self.whole(expr, key, 0).unwrap_or(spec.seed),
            ("eval_every", SettingValue::Expr(expr)) => spec.eval_every = self.whole(expr, key, 1),
            ("log_every", SettingValue::Expr(expr)) => {
                spec.log_every = self.whole(expr, key, 1).unwrap_or(spec.log_every)
            }
            ("accumulate", SettingValue::Expr(expr)) => {
                spec.accumulate = self.whole(expr, key, 1).unwrap_or(spec.accumulate)
            }
            ("ema", SettingValue::Expr(expr)) => spec.ema = self.decay(expr),
            ("groups", _) => {
                let message = "`groups` is an argument of the optimizer";
                let example = "as in `optimizer = adam(groups: { \"trunk.*\": frozen })`";
                self.error("E0415", setting.key.span, message, example);
            }
            ("split", SettingValue::Expr(expr)) => {
                if let Some(parts) = self.split_parts(expr) {
                    spec.split = parts;
                }
            }
            ("early_stop", SettingValue::Record(rows, span)) => {
                spec.early_stop = self.early_stop(rows, *span)
            }
            ("augment", SettingValue::Record(rows, _)) => spec.augment = self.augment(rows),
            ("checkpoint", SettingValue::Record(rows, _)) => self.checkpoint(rows, &mut spec.checkpoint),
            (key, _) if LATER.contains(&key) => {
                self.unsupported(setting.key.span, &format!("`{key}` in a train block"));
            }
            (key, SettingValue::Record(..)) if KEYS.contains(&key) => {
                self.error("E0415", setting.span, format!("`{key}` takes a value, not a record"), "a record");
            }
            (key, SettingValue::Expr(expr)) if KEYS.contains(&key) => {
                self.error(
                    "E0415",
                    expr.span,
                    format!("`{key}` takes a record, as in `{{ … }}`"),
                    "not a record",
                );
            }
            (key, _) => {
                let near = did_you_mean(key, KEYS.iter().copied());
                self.report(
                    Diagnostic::error("E0415", format!("a train block has no `{key}`"))
                        .label(setting.key.span, "not known")
                        .did_you_mean(setting.key.span, near),
                );
            }
        }
    }

    /// `--set train.KEY=VALUE` takes the place of what the block says.
    fn overrides(&mut self, spec: &mut TrainSpec) {
        let set = &self.options.set;
        let given = set.iter().filter_map(|(name, text)| Some((name.strip_prefix("train.")?, text.as_str())));
        let mut faults = Vec::new();
        for (key, text) in given {
            let wrong = |what: &str| {
                let message = format!("`--set train.{key}={text}`: {what}");
                Diagnostic::error("E0416", message)
            };
            let number = text.replace('_', "").parse::<i64>().ok();
            let at_least = |least: i64| {
                let fault = || wrong(&format!("`{key}` is a whole number of at least {least}"));
                number.filter(|number| *number >= least).ok_or_else(fault)
            };
            let result = match key {
                "epochs" => at_least(0).map(|epochs| (spec.epochs, spec.steps) = (Some(epochs), None)),
                "steps" => at_least(0).map(|steps| (spec.epochs, spec.steps) = (None, Some(steps))),
                "batch" => at_least(1).map(|rows| spec.batch = rows),
                "seed" => at_least(0).map(|seed| spec.seed = seed),
                "accumulate" => at_least(1).map(|count| spec.accumulate = count),
                "eval_every" => at_least(1).map(|steps| spec.eval_every = Some(steps)),
                "log_every" => at_least(1).map(|steps| spec.log_every = steps),
                "ema" => {
                    let decay = text.parse::<f64>().ok().filter(|decay| *decay > 0.0 && *decay < 1.0);
                    let fault = || wrong("`ema` is a number between 0 and 1");
                    decay.map(|decay| spec.ema = Some(decay)).ok_or_else(fault)
                }
                _ => {
                    let near = did_you_mean(key, OVERRIDABLE.iter().copied());
                    Err(wrong("there is no such key to set")
                        .note(format!("there are {}", OVERRIDABLE.join(", ")))
                        .maybe_help(near.map(|near| format!("did you mean `train.{near}`?"))))
                }
            };
            faults.extend(result.err());
        }
        faults.into_iter().for_each(|fault| self.diagnostics.push(fault));
    }

    pub(crate) fn whole(&mut self, expr: &'p Expr, key: &str, least: i64) -> Option<i64> {
        match self.expr(expr) {
            Value::Int(number) if number >= least => Some(number),
            Value::Error => None,
            other => {
                let have = other.as_f64().map_or(other.kind().to_string(), |number| number.to_string());
                self.error(
                    "E0401",
                    expr.span,
                    format!("`{key}` is a whole number of at least {least}, but this is {have}"),
                    have,
                );
                None
            }
        }
    }

    fn decay(&mut self, expr: &'p Expr) -> Option<f64> {
        let value = self.expr(expr);
        let decay = value.as_f64().filter(|decay| *decay > 0.0 && *decay < 1.0);
        if decay.is_none() && !value.is_error() {
            self.error("E0401", expr.span, "`ema` is a number between 0 and 1", "as in `ema = 0.999`");
        }
        decay
    }

    fn split_parts(&mut self, expr: &'p Expr) -> Option<Vec<f64>> {
        let value = self.expr(expr);
        let parts: Option<Vec<f64>> = match &value {
            Value::List(items) => items.iter().map(Value::as_f64).collect(),
            Value::Error => return None,
            _ => None,
        };
        let fine = |parts: &Vec<f64>| {
            (2..=3).contains(&parts.len())
                && parts.iter().all(|part| *part >= 0.0)
                && (parts.iter().sum::<f64>() - 1.0).abs() < 1e-6
        };
        match parts.filter(fine) {
            Some(parts) => Some(parts),
            None => {
                self.error(
                    "E0415",
                    expr.span,
                    "`split` is two or three shares that add up to 1",
                    "as in `[0.8, 0.1, 0.1]`",
                );
                None
            }
        }
    }

    pub(crate) fn text(&mut self, expr: &'p Expr, what: &str) -> Option<String> {
        match self.expr(expr) {
            Value::Text(text) => Some(text.to_string()),
            Value::Error => None,
            other => {
                self.error(
                    "E0415",
                    expr.span,
                    format!("{what} is a string, but this is {}", other.kind()),
                    other.kind(),
                );
                None
            }
        }
    }

    fn early_stop(&mut self, rows: &'p [Setting], span: Span) -> Option<EarlyStop> {
        let (mut on, mut patience) = (None, 1);
        for row in rows {
            match (row.key.text.as_str(), &row.value) {
                ("on", SettingValue::Expr(expr)) => on = Some(self.text(expr, "`on`")?),
                ("patience", SettingValue::Expr(expr)) => patience = self.whole(expr, "patience", 1)?,
                _ => {
                    self.error(
                        "E0415",
                        row.key.span,
                        format!("`early_stop` has no `{}`", row.key.text),
                        "it has `on` and `patience`",
                    );
                    return None;
                }
            }
        }
        match on {
            Some(on) => Some(EarlyStop { on, patience }),
            None => {
                self.error("E0415", span, "`early_stop` needs `on`", "as in `on: \"val.loss\"`");
                None
            }
        }
    }

    fn checkpoint(&mut self, rows: &'p [Setting], checkpoint: &mut Checkpoint) {
        for row in rows {
            match (row.key.text.as_str(), &row.value) {
                ("every", SettingValue::Expr(expr)) => match &expr.kind {
                    ExprKind::Name(name) if name == "epoch" => checkpoint.every_epochs = 1,
                    _ => {
                        checkpoint.every_steps = self.whole(expr, "every", 1);
                        checkpoint.every_epochs = 0;
                    }
                },
                ("keep", SettingValue::Expr(expr)) => {
                    checkpoint.keep = self.whole(expr, "keep", 1).unwrap_or(1)
                }
                ("best", SettingValue::Expr(expr)) => checkpoint.best = self.text(expr, "`best`"),
                _ => {
                    let message = format!("`checkpoint` has no `{}`", row.key.text);
                    self.error("E0415", row.key.span, message, "it has `every`, `keep` and `best`");
                }
            }
        }
    }
}

fn direction(row: &Setting) -> Direction {
    let head = match &row.value {
        SettingValue::Expr(expr) => match &expr.peel().kind {
            ExprKind::Call { callee, .. } => callee.as_name().unwrap_or(""),
            _ => "",
        },
        _ => "",
    };
    if LOWER.contains(&head) || LOWER.contains(&row.key.text.as_str()) {
        Direction::Lower
    } else {
        Direction::Higher
    }
}

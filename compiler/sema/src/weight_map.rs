//! `weights NAME from "…" { … }`: which of another framework's tensors stand for the weights of a model, and how.

mod pattern;

use crate::{checker::Checker, entry::RUN, value::Value};
use base::{Diagnostic, Span, did_you_mean};
use grammar::ast::{self, ExprKind, WeightRow};
use pattern::Pattern;
use std::collections::BTreeSet;

/// A map of one model, its rows in order.
#[derive(Clone, Debug)]
pub struct WeightMap {
    /// Where the other names come from, as the user calls it.
    pub from: String,
    pub rows: Vec<MapRow>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct MapRow {
    pattern: Pattern,
    source: Foreign,
    pub span: Span,
}

/// A tensor made of another framework's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Foreign {
    Name(String),
    /// Without axes, a matrix.
    Transposed {
        of: Box<Foreign>,
        axes: Option<Vec<usize>>,
    },
    Sum(Vec<Foreign>),
    Concat {
        parts: Vec<Foreign>,
        axis: usize,
    },
    /// One of several equal parts.
    Split {
        of: Box<Foreign>,
        parts: usize,
        index: usize,
        axis: usize,
    },
    Slice {
        of: Box<Foreign>,
        from: usize,
        to: usize,
        axis: usize,
    },
}

impl WeightMap {
    /// The first row that matches a weight's name, and what it says for this name.
    pub fn find(&self, weight: &str) -> Option<(&MapRow, Foreign)> {
        self.rows.iter().find_map(|row| {
            let found = row.pattern.matches(weight)?;
            Some((row, row.source.map_names(&|name| pattern::fill(name, &found))))
        })
    }
}

impl Foreign {
    /// The names of the tensors that it is made of, in the order of the text.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Foreign::Name(name) => vec![name],
            Foreign::Transposed { of, .. } | Foreign::Split { of, .. } | Foreign::Slice { of, .. } => {
                of.names()
            }
            Foreign::Sum(parts) | Foreign::Concat { parts, .. } => {
                parts.iter().flat_map(Foreign::names).collect()
            }
        }
    }

    fn map_names(&self, change: &dyn Fn(&str) -> String) -> Foreign {
        let boxed = |of: &Foreign| Box::new(of.map_names(change));
        let all = |parts: &[Foreign]| parts.iter().map(|part| part.map_names(change)).collect();
        match self {
            Foreign::Name(name) => Foreign::Name(change(name)),
            Foreign::Transposed { of, axes } => Foreign::Transposed { of: boxed(of), axes: axes.clone() },
            Foreign::Sum(parts) => Foreign::Sum(all(parts)),
            Foreign::Concat { parts, axis } => Foreign::Concat { parts: all(parts), axis: *axis },
            Foreign::Split { of, parts, index, axis } => {
                Foreign::Split { of: boxed(of), parts: *parts, index: *index, axis: *axis }
            }
            Foreign::Slice { of, from, to, axis } => {
                Foreign::Slice { of: boxed(of), from: *from, to: *to, axis: *axis }
            }
        }
    }
}

/// As a map says it, without quotes: `transposed(encoder.weight)`.
impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |parts: &[Foreign]| parts.iter().map(Foreign::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Foreign::Name(name) => write!(f, "{name}"),
            Foreign::Transposed { of, axes: None } => write!(f, "transposed({of})"),
            Foreign::Transposed { of, axes: Some(axes) } => write!(f, "transposed({of}, {axes:?})"),
            Foreign::Sum(parts) => write!(f, "sum({})", list(parts)),
            Foreign::Concat { parts, axis } => write!(f, "concat({}, axis: {axis})", list(parts)),
            Foreign::Split { of, parts, index, axis } => {
                write!(f, "split({of}, {parts}, {index}, axis: {axis})")
            }
            Foreign::Slice { of, from, to, axis } => write!(f, "slice({of}, {from}..{to}, axis: {axis})"),
        }
    }
}

const WRAPPERS: &[&str] = &["transposed", "sum", "split", "concat", "slice"];

/// What an argument list of a wrapper holds.
#[derive(Default)]
struct Operands<'p> {
    parts: Vec<Foreign>,
    /// Positional arguments after the tensors.
    rest: Vec<&'p ast::Expr>,
    axis: Option<usize>,
}

impl<'p> Checker<'p> {
    /// The maps of a model, whose weights have these names. States may be left out.
    pub fn weight_maps(&mut self, def: &'p ast::Def, weights: &BTreeSet<&str>) -> Vec<WeightMap> {
        let items = self.program.main.items.iter().filter_map(|item| match &item.kind {
            ast::ItemKind::Weights { model, from, rows } if model.text == def.name.text => {
                Some((model, from, rows))
            }
            _ => None,
        });
        let items: Vec<_> = items.collect();
        if items.is_empty() {
            return Vec::new();
        }
        self.push_frame("settings", RUN, None);
        self.bind_configuration(def);
        let mut maps = Vec::new();
        for (model, from, rows) in items {
            let errors = self.n_errors();
            let rows: Vec<MapRow> = rows.iter().filter_map(|row| self.map_row(row)).collect();
            let map = WeightMap { from: from.value.clone(), rows, span: model.span };
            if self.n_errors() == errors {
                self.every_weight_matched(&map, weights);
            }
            maps.push(map);
        }
        self.frames.pop();
        maps
    }

    fn every_weight_matched(&mut self, map: &WeightMap, weights: &BTreeSet<&str>) {
        let lacking: Vec<&str> = weights.iter().copied().filter(|name| map.find(name).is_none()).collect();
        let Some(first) = lacking.first() else { return };
        let message = match lacking.len() {
            1 => format!("no row of the map matches `{first}`"),
            count => format!("no row of the map matches `{first}` and {} other weights", count - 1),
        };
        let mut diagnostic = Diagnostic::error("E0422", message)
            .label(map.span, "its weights need a row each")
            .help(format!("as in `\"{first}\" = \"its name in {}\"`", map.from));
        if lacking.len() > 1 {
            let shown = lacking[..lacking.len().min(8)].join(", ");
            let more = if lacking.len() > 8 { ", …" } else { "" };
            diagnostic = diagnostic.note(format!("without a row: {shown}{more}"));
        }
        self.report(diagnostic);
    }

    fn map_row(&mut self, row: &'p WeightRow) -> Option<MapRow> {
        let pattern = match Pattern::parse(&row.pattern.value) {
            Ok(pattern) => pattern,
            Err(reason) => {
                self.error("E0422", row.pattern.span, format!("this pattern is not clear: {reason}"), "here");
                return None;
            }
        };
        let source = self.foreign(&row.source, &pattern)?;
        Some(MapRow { pattern, source, span: row.span })
    }

    fn foreign(&mut self, expr: &'p ast::Expr, pattern: &Pattern) -> Option<Foreign> {
        match &expr.peel().kind {
            ExprKind::Str(name) => self.foreign_name(name, expr.span, pattern),
            ExprKind::Call { callee, args, .. } => {
                let wrapper = callee.as_name().unwrap_or("");
                if !WRAPPERS.contains(&wrapper) {
                    let near = did_you_mean(wrapper, WRAPPERS.iter().copied());
                    self.report(
                        Diagnostic::error("E0422", format!("a map has no `{wrapper}`"))
                            .label(callee.span, "not known")
                            .note(format!("there are {}", WRAPPERS.join(", ")))
                            .did_you_mean(callee.span, near),
                    );
                    return None;
                }
                self.wrapped(wrapper, args, expr.span, pattern)
            }
            ExprKind::Error => None,
            _ => {
                let message = "the other framework's name is a string, or a call such as `transposed(\"…\")`";
                self.error("E0422", expr.span, message, "not that");
                None
            }
        }
    }

    fn foreign_name(&mut self, name: &str, span: Span, pattern: &Pattern) -> Option<Foreign> {
        let unknown = pattern::holes(name).map(|holes| {
            holes.into_iter().find(|hole| !pattern.names().any(|known| known == *hole)).map(String::from)
        });
        match unknown {
            Ok(None) if !name.is_empty() => Some(Foreign::Name(name.into())),
            Ok(Some(hole)) => {
                let known: Vec<String> = pattern.names().map(|name| format!("`{{{name}}}`")).collect();
                let note = if known.is_empty() { "it has no `{…}`".into() } else { known.join(", ") };
                self.report(
                    Diagnostic::error("E0422", format!("`{{{hole}}}` is not in the pattern of this row"))
                        .label(span, "nothing says what it stands for")
                        .note(format!("of the pattern: {note}")),
                );
                None
            }
            Ok(None) => {
                self.error("E0422", span, "a tensor's name is not empty", "empty");
                None
            }
            Err(reason) => {
                self.error("E0422", span, format!("this name is not clear: {reason}"), "here");
                None
            }
        }
    }

    fn wrapped(
        &mut self,
        wrapper: &str,
        args: &'p [ast::Arg],
        span: Span,
        pattern: &Pattern,
    ) -> Option<Foreign> {
        let mut operands = Operands::default();
        for arg in args {
            match &arg.name {
                Some(name) if name.text == "axis" && matches!(wrapper, "split" | "concat" | "slice") => {
                    operands.axis = Some(self.map_number(&arg.value, "axis", 0)?);
                }
                Some(name) => {
                    let message = format!("`{wrapper}` has no argument `{}`", name.text);
                    self.error("E0422", name.span, message, "not known");
                    return None;
                }
                None if operands.rest.is_empty() && is_tensor(&arg.value) => {
                    operands.parts.push(self.foreign(&arg.value, pattern)?);
                }
                None => operands.rest.push(&arg.value),
            }
        }
        let axis = operands.axis.unwrap_or(0);
        let Operands { mut parts, rest, .. } = operands;
        let outcome = match (wrapper, parts.len(), &rest[..]) {
            ("sum", 2.., []) => Foreign::Sum(parts),
            ("concat", 2.., []) => Foreign::Concat { parts, axis },
            ("transposed", 1, []) => Foreign::Transposed { of: Box::new(parts.swap_remove(0)), axes: None },
            ("transposed", 1, [axes]) => {
                let axes = self.map_axes(axes)?;
                Foreign::Transposed { of: Box::new(parts.swap_remove(0)), axes: Some(axes) }
            }
            ("split", 1, [count, index]) => {
                let count = self.map_number(count, "parts", 1)?;
                let place = index.span;
                let index = self.map_number(index, "index", 0)?;
                if index >= count {
                    let message = format!("of {count} parts, the last is {}", count - 1);
                    self.error("E0422", place, message, format!("is {index}"));
                    return None;
                }
                Foreign::Split { of: Box::new(parts.swap_remove(0)), parts: count, index, axis }
            }
            ("slice", 1, [range]) => {
                let ExprKind::Range { start, end } = &range.kind else {
                    self.error("E0422", range.span, "`slice` takes a range, as in `0..64`", "not a range");
                    return None;
                };
                let from = self.map_number(start, "from", 0)?;
                let to = self.map_number(end, "to", 0)?;
                if to <= from {
                    let message = format!("the range {from}..{to} is empty");
                    self.error("E0422", range.span, message, "leaves nothing");
                    return None;
                }
                Foreign::Slice { of: Box::new(parts.swap_remove(0)), from, to, axis }
            }
            _ => {
                let form = match wrapper {
                    "transposed" => "`transposed(\"name\")` or `transposed(\"name\", [2, 0, 1])`",
                    "sum" => "`sum(\"name\", \"name\", …)`",
                    "concat" => "`concat(\"name\", \"name\", …, axis: 0)`",
                    "split" => "`split(\"name\", parts, index, axis: 0)`",
                    _ => "`slice(\"name\", from..to, axis: 0)`",
                };
                self.error("E0422", span, format!("`{wrapper}` is written {form}"), "not of this form");
                return None;
            }
        };
        Some(outcome)
    }

    fn map_number(&mut self, expr: &'p ast::Expr, what: &str, least: i64) -> Option<usize> {
        usize::try_from(self.whole(expr, what, least)?).ok()
    }

    fn map_axes(&mut self, expr: &'p ast::Expr) -> Option<Vec<usize>> {
        let value = self.expr(expr);
        let axes: Option<Vec<usize>> = match &value {
            Value::List(items) => items
                .iter()
                .map(|item| match item {
                    Value::Int(axis) => usize::try_from(*axis).ok(),
                    _ => None,
                })
                .collect(),
            Value::Error => return None,
            _ => None,
        };
        let each_once = |axes: &Vec<usize>| (0..axes.len()).all(|axis| axes.contains(&axis));
        let axes = axes.filter(each_once);
        if axes.is_none() {
            self.error("E0422", expr.span, "the axes are a list of each axis once", "as in `[2, 0, 1]`");
        }
        axes
    }
}

/// Whether an argument is a name or is made of names, rather than a number.
fn is_tensor(expr: &ast::Expr) -> bool {
    match &expr.peel().kind {
        ExprKind::Str(_) => true,
        ExprKind::Call { callee, .. } => callee.as_name().is_some_and(|name| WRAPPERS.contains(&name)),
        _ => false,
    }
}

//! Parameter groups of an optimizer, `groups: { "head.*": { lr: 1e-2 }, "trunk.*": frozen }`: which weights it leaves
//! alone, and which have settings of their own. The first pattern that matches a weight's name wins.

use crate::{
    call::Arg,
    checker::Checker,
    value::{Configured, Value},
};
use base::{Diagnostic, Span, did_you_mean};
use grammar::ast::{self, Expr, ExprKind, Setting, SettingValue};
use std::{collections::BTreeSet, rc::Rc};

const KEY: &str = "groups";

#[derive(Clone, Copy)]
pub struct Group<'p> {
    pattern: &'p str,
    span: Span,
    rule: Rule<'p>,
}

#[derive(Clone, Copy)]
enum Rule<'p> {
    Frozen,
    Set(&'p [Setting]),
}

/// An optimizer, and what becomes of it in each of its groups.
pub struct Optimizers<'p> {
    pub default: Rc<Configured<'p>>,
    of_groups: Vec<Rc<Configured<'p>>>,
}

impl<'p> Optimizers<'p> {
    /// For a weight of this group, or of none.
    pub fn of(&self, group: Option<usize>) -> Rc<Configured<'p>> {
        group.and_then(|group| self.of_groups.get(group)).unwrap_or(&self.default).clone()
    }
}

impl Group<'_> {
    pub fn is_frozen(&self) -> bool {
        matches!(self.rule, Rule::Frozen)
    }
}

impl<'p> Checker<'p> {
    /// The groups that an optimizer's call states, in the order of the source.
    pub fn groups(&mut self, optimizer: &'p Expr) -> Option<Vec<Group<'p>>> {
        let ExprKind::Call { args, .. } = &optimizer.peel().kind else { return Some(Vec::new()) };
        let Some(arg) = args.iter().find(|arg| is_groups(arg)) else { return Some(Vec::new()) };
        let ExprKind::Record(rows) = &arg.value.kind else {
            self.error(
                "E0415",
                arg.value.span,
                "`groups` is a record from patterns of names to settings",
                "as in `{ \"head.*\": { lr: 1e-2 }, \"trunk.*\": frozen }`",
            );
            return None;
        };
        let mut groups: Vec<Group<'p>> = Vec::new();
        for row in rows {
            let rule = match &row.value {
                SettingValue::Error(_) => return None,
                SettingValue::Record(settings, _) => Rule::Set(settings),
                SettingValue::Expr(expr) if expr.peel().as_name() == Some("frozen") => Rule::Frozen,
                SettingValue::Expr(expr) => {
                    let message = "a group is `frozen`, or a record of settings of the optimizer";
                    self.error("E0415", expr.span, message, "as in `{ lr: 1e-2 }`");
                    return None;
                }
            };
            if let Some(first) = groups.iter().find(|group| group.pattern == row.key.text) {
                self.report(
                    Diagnostic::error("E0202", format!("the group `{}` stands twice", row.key.text))
                        .label(row.key.span, "again here")
                        .label(first.span, "first here"),
                );
                return None;
            }
            groups.push(Group { pattern: &row.key.text, span: row.key.span, rule });
        }
        Some(groups)
    }

    /// The number of each weight's group, if it has one. A pattern that no weight is left for is an error.
    pub fn assign_groups(&mut self, groups: &[Group<'p>], weights: &[String]) -> Option<Vec<Option<usize>>> {
        let assigned: Vec<Option<usize>> = weights
            .iter()
            .map(|weight| groups.iter().position(|group| matches(group.pattern, weight)))
            .collect();
        let mut fine = true;
        for (number, group) in groups.iter().enumerate() {
            if assigned.contains(&Some(number)) {
                continue;
            }
            fine = false;
            let taken = weights.iter().any(|weight| matches(group.pattern, weight));
            let diagnostic = if taken {
                let message = format!("every weight of the group `{}` is in an earlier group", group.pattern);
                Diagnostic::error("E0415", message)
                    .label(group.span, "nothing is left for it")
                    .help("the first pattern that matches wins: put the narrower one first")
            } else {
                let known = patterns(weights);
                let near = did_you_mean(group.pattern, known.iter().map(String::as_str));
                Diagnostic::error("E0415", format!("no weight is called `{}`", group.pattern))
                    .label(group.span, "matches nothing")
                    .maybe_help(near.map(|near| format!("did you mean `{near}`?")))
            };
            self.report(diagnostic);
        }
        fine.then_some(assigned)
    }

    /// The optimizer's call without its groups.
    pub fn optimizer_call(&mut self, expr: &'p Expr) -> Value<'p> {
        let ExprKind::Call { callee, args, .. } = &expr.peel().kind else { return self.expr(expr) };
        let target = self.expr(callee);
        let plain = args.iter().filter(|arg| !is_groups(arg));
        let args: Vec<Arg<'p>> = plain
            .map(|arg| Arg { name: arg.name.as_ref(), value: self.expr(&arg.value), span: arg.value.span })
            .collect();
        self.apply(target, args, expr.span, callee.span)
    }

    /// The optimizer as it is, and with the settings of each group.
    pub fn optimizers(&mut self, expr: &'p Expr, groups: &[Group<'p>]) -> Option<Optimizers<'p>> {
        let default = self.optimizer_value(expr)?;
        let mut of_groups = Vec::new();
        for group in groups {
            of_groups.push(match group.rule {
                Rule::Frozen => default.clone(),
                Rule::Set(settings) => Rc::new(self.with_settings(&default, settings)?),
            });
        }
        Some(Optimizers { default, of_groups })
    }

    fn with_settings(
        &mut self,
        optimizer: &Configured<'p>,
        settings: &'p [Setting],
    ) -> Option<Configured<'p>> {
        let def = optimizer.def;
        let params: &'p [ast::Param] = def.config.as_ref().map_or(&[], |list| &list.params);
        let mut changed = optimizer.clone();
        for setting in settings {
            let position = params.iter().position(|param| param.name.text == setting.key.text);
            let (Some(position), SettingValue::Expr(expr)) = (position, &setting.value) else {
                let near =
                    did_you_mean(&setting.key.text, params.iter().map(|param| param.name.text.as_str()));
                let message = format!("`{}` has no argument `{}`", def.name.text, setting.key.text);
                self.report(
                    Diagnostic::error("E0209", message)
                        .label(setting.key.span, "not known")
                        .did_you_mean(setting.key.span, near),
                );
                return None;
            };
            let value = self.expr(expr);
            let value = self.fit_config(&params[position], value, expr.span);
            if value.is_error() {
                return None;
            }
            if let Some(slot) = changed.config.get_mut(position) {
                *slot = value;
            }
        }
        Some(changed)
    }
}

fn is_groups(arg: &ast::Arg) -> bool {
    arg.name.as_ref().is_some_and(|name| name.text == KEY)
}

/// Whether a name is as the pattern says, where `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or("");
    for part in parts {
        // The first place is as good as any: what follows is only the longer for it.
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(tail)
}

/// What a pattern may have been meant to be: every name, and every instance with all it holds.
fn patterns(weights: &[String]) -> BTreeSet<String> {
    let instances = weights
        .iter()
        .flat_map(|weight| weight.match_indices('.').map(|(dot, _)| format!("{}.*", &weight[..dot])));
    weights.iter().cloned().chain(instances).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in [
            ("w", "w"),
            ("*", "a.b.w"),
            ("head.*", "head.w"),
            ("head.*", "head.dense_1.w"),
            ("*.w", "a.b.w"),
            ("block.*.norm.*", "block.0.norm.scale"),
            ("a*b*c", "abbc"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("w", "w.w"), ("head.*", "header.w"), ("*.w", "w"), ("a*a", "a"), ("a*b*c", "acb"), ("", "w")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn instances_are_offered_with_all_they_hold() {
        let known = patterns(&["trunk.dense.w".into(), "b".into()]);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        assert_eq!(known, ["b", "trunk.*", "trunk.dense.*", "trunk.dense.w"]);
    }
}

//! `test` items as graph functions.

use crate::{
    api::{Assert, TestCase},
    arith::Places,
    checker::{Checker, Options},
    entry::RUN,
    program::Program,
};
use base::Diagnostic;
use grammar::ast::{self, BinaryOp, ExprKind};
use graph::Role;

/// The tests of the user's file. Those with faults are left out, and the faults reported.
pub fn test_cases(program: &Program<'_>, options: &Options) -> (Vec<TestCase>, Vec<Diagnostic>) {
    let mut checker = Checker::new(program, options);
    let cases = collect(&mut checker);
    (cases, checker.diagnostics)
}

pub fn collect<'p>(checker: &mut Checker<'p>) -> Vec<TestCase> {
    let mut cases = Vec::new();
    for (title, body, span) in checker.program.tests.clone() {
        let errors = checker.n_errors();
        checker.push_frame("test", RUN, None);
        checker.asserts = Some(Vec::new());
        checker.statements(body);
        let asserts = checker.asserts.take().unwrap_or_default();
        let Some(frame) = checker.frames.pop() else { continue };
        if checker.n_errors() > errors {
            continue;
        }
        let mut module = checker.module.clone();
        let entry = module.functions.push(frame.function);
        cases.push(TestCase { title: title.value.clone(), span, module, entry, asserts });
    }
    cases
}

impl<'p> Checker<'p> {
    /// Whether the function under construction is a test: it takes nothing, so weights are their initial values.
    pub fn in_test(&self) -> bool {
        self.asserts.is_some() && self.frames.len() == 1
    }

    pub fn assert(
        &mut self,
        condition: &'p ast::Expr,
        within: Option<&'p ast::Expr>,
        message: Option<&'p ast::Text>,
    ) {
        if self.asserts.is_none() {
            self.report(
                Diagnostic::error("E0417", "`assert` stands only in a `test`")
                    .label(condition.span, "not in a test")
                    .help("`require` states what must hold of dimensions"),
            );
            return;
        }
        let span = condition.span;
        let tolerance = match within.map(|within| (self.expr(within), within.span)) {
            None => 1e-5,
            Some((value, place)) => match value.as_f64().filter(|value| *value >= 0.0) {
                Some(tolerance) => tolerance,
                None => {
                    self.error("E0401", place, "`within` takes a number of at least 0", "not that");
                    return;
                }
            },
        };
        let number = self.asserts.as_ref().map_or(0, Vec::len);
        let near = match &condition.peel().kind {
            ExprKind::Binary { op: BinaryOp::Near, left, right, .. } => {
                let at = Places { whole: span, left: left.span, right: right.span };
                let (a, b) = (self.expr(left), self.expr(right));
                if a.is_error() || b.is_error() {
                    return;
                }
                let Some((a, b)) = self.operands(&a, &b, at, "~=") else { return };
                let results = &mut self.frame().function.results;
                results.push((format!("{number}.left"), Role::Output, a));
                results.push((format!("{number}.right"), Role::Output, b));
                true
            }
            _ => {
                let value = self.expr(condition);
                if value.is_error() {
                    return;
                }
                let Some(id) = self.tensor(&value, None, span) else { return };
                let ty = self.ty(id).clone();
                if !ty.dtype.is_bool() || ty.rank() != 0 {
                    let help = "compare with `~=`, or reduce with `all(…)`";
                    let message = format!("`assert` takes a single bool, but this is {ty}");
                    self.report(Diagnostic::error("E0302", message).label(span, ty.to_string()).help(help));
                    return;
                }
                self.frame().function.results.push((format!("{number}.holds"), Role::Output, id));
                false
            }
        };
        let message = message.map(|text| text.value.clone());
        if let Some(asserts) = &mut self.asserts {
            asserts.push(Assert { span, within: tolerance, near, message });
        }
    }
}

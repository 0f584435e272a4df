//! Words for names that do not mean what other languages make of them.

use crate::checker::Checker;
use base::{Diagnostic, Span};
use grammar::ast::{self, ItemKind, StmtKind};

impl<'p> Checker<'p> {
    /// A name that is bound below its use, or in another definition.
    pub fn bound_elsewhere(&self, name: &str, span: Span) -> Option<Diagnostic> {
        let diagnostic = || Diagnostic::error("E0201", format!("`{name}` is not known here"));
        let own = self.frame_ref().def.or(self.calls.last().map(|(def, _)| *def));
        if let Some(place) = own.and_then(|def| binding(def, name))
            && place.lo > span.lo
        {
            return Some(diagnostic().label(span, "used here").label(place, "but bound only here, below"));
        }
        let defs = self.program.main.items.iter().filter_map(|item| match &item.kind {
            ItemKind::Def(def) => Some(def),
            _ => None,
        });
        let (def, place) = defs
            .filter(|def| own.is_none_or(|own| !std::ptr::eq(own, *def)))
            .find_map(|def| Some((def, binding(def, name)?)))?;
        Some(
            diagnostic()
                .label(span, "used here")
                .label(place, format!("bound in `{}`, where it stays", def.name.text))
                .help(format!("give it out as a result of `{}`", def.name.text)),
        )
    }

    /// What is written for `x.shape` or `x.relu()`, where functions stand in front.
    pub fn function_for(&mut self, value: &str, field: &str) -> Option<String> {
        match field {
            "shape" | "size" => Some(format!("`size({value}, 0)` is the size of its first axis")),
            "T" => Some(format!("`transpose({value}, [1, 0])` exchanges the axes of a matrix")),
            "dtype" => Some("a dtype is written out, as in `cast(x, f32)`".into()),
            _ if self.function_named(field).is_some() => {
                Some(format!("functions stand in front: `{field}({value})`, or `{value} |> {field}`"))
            }
            _ => None,
        }
    }
}

/// Where a definition's body binds a name.
fn binding(def: &ast::Def, name: &str) -> Option<Span> {
    let ast::Body::Block(block) = &def.body else { return None };
    block.stmts.iter().find_map(|stmt| match &stmt.kind {
        StmtKind::Bind { targets, .. } => {
            targets.iter().find(|target| target.text == name).map(|target| target.span)
        }
        StmtKind::Param(decl) | StmtKind::State(decl) if decl.name.text == name => Some(decl.name.span),
        _ => None,
    })
}

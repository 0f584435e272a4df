//! Index equations: `y[i, j] = sum[k] a[i, k] * b[k, j]`, and reductions over indices in any expression.
//!
//! Three steps. The right side becomes a [`Term`]: what no index touches is evaluated, what is read at indices is an
//! access. Then every index gets its range (`where`, bare subscripts, the declared result, the largest that is in
//! bounds, in this order) and every access is proved to be in bounds. Last the term becomes nodes whose axes are labelled
//! by indices: sums of products are contractions with the subscripts as they stand, all else works element by element on
//! views.

mod access;
mod calls;
mod counting;
mod elements;
mod labelled;
mod mention;
mod product;
mod ranges;
mod resolve;
mod subscript;
mod term;

use crate::{checker::Checker, value::Value};
use base::Span;
use grammar::ast;
use term::{Index, Use};

/// One equation while it becomes nodes.
struct Equation<'c, 'p> {
    checker: &'c mut Checker<'p>,
    /// All indices: those of the result in order, then those of reductions as they come.
    indices: Vec<Index<'p>>,
    /// Those that the text in hand sees, innermost last.
    visible: Vec<usize>,
    bounds: &'p [ast::Bound],
    /// The name that is being defined.
    defines: Option<&'p ast::Name>,
    /// Affine subscripts, for ranges and proofs.
    uses: Vec<Use<'p>>,
}

impl<'p> Checker<'p> {
    /// `y[i, j] = … where …`
    pub fn equation(
        &mut self,
        name: &'p ast::Name,
        indices: &'p [ast::Name],
        value: &'p ast::Expr,
        bounds: &'p [ast::Bound],
    ) {
        let mut equation = Equation::new(self, bounds);
        let result = equation.result(name, indices, value);
        let origins: Vec<Option<Span>> = equation.indices.iter().map(Index::origin).collect();
        let bound = match result {
            Some(id) => {
                let rank = self.ty(id).rank();
                self.set_origins(id, origins.into_iter().take(rank).collect());
                Value::Tensor(id)
            }
            None => Value::Error,
        };
        self.frame().bind(&name.text, bound, name.span);
    }

    /// `sum[k] a[k] * b[k]` outside of an equation: a scalar.
    pub fn reduction_by_indices(&mut self, expr: &'p ast::Expr) -> Value<'p> {
        let mut equation = Equation::new(self, &[]);
        equation.scalar(expr).unwrap_or(Value::Error)
    }
}

impl<'c, 'p> Equation<'c, 'p> {
    fn new(checker: &'c mut Checker<'p>, bounds: &'p [ast::Bound]) -> Equation<'c, 'p> {
        Equation {
            checker,
            indices: Vec::new(),
            visible: Vec::new(),
            bounds,
            defines: None,
            uses: Vec::new(),
        }
    }

    fn result(
        &mut self,
        name: &'p ast::Name,
        indices: &'p [ast::Name],
        value: &'p ast::Expr,
    ) -> Option<graph::NodeId> {
        let declared = self.declared(name, indices.len());
        for (axis, index) in indices.iter().enumerate() {
            let id = self.introduce(index)?;
            self.indices[id].axis = Some(axis);
        }
        self.defines = Some(name);
        let term = self.term(value)?;
        self.ranges(&declared.dims)?;
        let lowered = self.lower(&term)?;
        let value = self.labelled(lowered, declared.dtype, term.span)?;
        let all: Vec<usize> = (0..indices.len()).collect();
        self.aligned(&value, &all, term.span)
    }

    fn scalar(&mut self, expr: &'p ast::Expr) -> Option<Value<'p>> {
        let term = self.term(expr)?;
        self.ranges(&[])?;
        match self.lower(&term)? {
            term::Lowered::Known(value) => Some(value),
            other => self.labelled(other, None, term.span).map(|value| Value::Tensor(value.id)),
        }
    }

    /// A further index, visible from here on.
    fn introduce(&mut self, name: &'p ast::Name) -> Option<usize> {
        let twice =
            self.visible.iter().map(|id| &self.indices[*id]).find(|known| known.name.text == name.text);
        if let Some(first) = twice {
            let fault = base::Diagnostic::error("E0202", format!("`{}` is an index here already", name.text))
                .label(name.span, "declared again")
                .label(first.name.span, "declared here first")
                .help("each index of an equation has a name of its own where it is seen");
            self.checker.report(fault);
            return None;
        }
        let id = self.indices.len();
        self.indices.push(Index::new(name, id));
        self.visible.push(id);
        Some(id)
    }

    /// A name that the messages know the index by.
    fn called(&self, index: usize) -> &'p str {
        &self.indices[index].name.text
    }
}

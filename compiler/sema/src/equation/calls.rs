//! Calls whose arguments depend on indices: functions of numbers are applied to each element.

use super::{
    Equation,
    labelled::union,
    resolve::whole,
    term::{CallArg, Kind, Labelled, Lowered, Term},
};
use crate::{call::Arg, natives, value::Value};
use base::{Diagnostic, Span};
use grammar::ast::{self, ExprKind};
use graph::NodeId;
use shape::Dim;

/// An argument of a function applied to elements.
struct ElementArg<'p> {
    name: Option<&'p ast::Name>,
    value: Value<'p>,
    labels: Vec<usize>,
    span: Span,
}

impl<'p> Equation<'_, 'p> {
    pub(super) fn pipe_term(&mut self, input: &'p ast::Expr, stages: &'p [ast::Expr]) -> Option<Kind<'p>> {
        let mut term = self.term(input)?;
        for stage in stages {
            let span = term.span.to(stage.span);
            let kind = match &stage.peel().kind {
                ExprKind::Call { callee, args, .. } => self.call_term(callee, Some(term), args)?,
                _ => self.call_term(stage, Some(term), &[])?,
            };
            term = Term { kind, span };
        }
        Some(term.kind)
    }

    pub(super) fn call_term(
        &mut self,
        callee: &'p ast::Expr,
        first: Option<Term<'p>>,
        args: &'p [ast::Arg],
    ) -> Option<Kind<'p>> {
        let target = self.target(callee)?;
        let is_native = match &target {
            Value::Native(name) => {
                let n_positional =
                    args.iter().filter(|arg| arg.name.is_none()).count() + usize::from(first.is_some());
                let by_element = natives::is_elementwise(name)
                    || matches!(*name, "max" | "min") && n_positional >= 2
                    || matches!(*name, "div" | "ceil_div");
                if !by_element {
                    self.whole_tensors(name, callee.span);
                    return None;
                }
                true
            }
            Value::Fn(_) | Value::Mapped(_) => false,
            other => {
                let message = format!("{} is applied to an element of an index equation", other.kind());
                let fault = Diagnostic::error("E0317", message)
                    .label(callee.span, other.kind())
                    .help("apply it to the whole tensor first, and read the elements of the result");
                self.checker.report(fault);
                return None;
            }
        };
        let mut given: Vec<CallArg<'p>> =
            first.into_iter().map(|term| CallArg { name: None, term }).collect();
        for arg in args {
            let name = arg.name.as_ref();
            let term = if is_native || self.concerns(&arg.value) {
                self.term(&arg.value)?
            } else {
                // A function may take a whole tensor besides.
                let value = self.checker.expr(&arg.value);
                if value.is_error() {
                    return None;
                }
                Term { kind: Kind::Value(value), span: arg.value.span }
            };
            given.push(CallArg { name, term });
        }
        if let (Value::Native(name), [a, b]) = (&target, given.as_slice())
            && let (Some(x), Some(y)) = (whole(&a.term), whole(&b.term))
        {
            if matches!(*name, "div" | "ceil_div") && y.is_const(0) {
                self.checker.error("E0401", b.term.span, format!("`{name}` by 0 has no value"), "this is 0");
                return None;
            }
            if let Some(dim) = folded_call(name, &x, &y) {
                return Some(self.count(dim));
            }
        }
        Some(Kind::Call { target, name: callee, args: given })
    }

    /// What is called. An index is no function, so its name means the function of that name.
    fn target(&mut self, callee: &'p ast::Expr) -> Option<Value<'p>> {
        if let Some(name) = callee.peel().as_name() {
            let bound = if self.index_named(name).is_some() { None } else { Some(self.checker.expr(callee)) };
            return match bound {
                Some(Value::Error) => None,
                Some(
                    value @ (Value::Fn(_)
                    | Value::Native(_)
                    | Value::Mapped(_)
                    | Value::Layer(_)
                    | Value::Instance(_)),
                ) => Some(value),
                other => match self.checker.function_named(name) {
                    Some(function) => Some(function),
                    None => Some(other.unwrap_or(Value::Int(0))),
                },
            };
        }
        if self.concerns(callee) {
            return self.misplaced(callee.span, "what is called does not depend on an index");
        }
        let value = self.checker.expr(callee);
        (!value.is_error()).then_some(value)
    }

    fn whole_tensors(&mut self, name: &str, span: Span) {
        let message = format!("`{name}` takes whole tensors, but this depends on an index");
        let mut fault = Diagnostic::error("E0317", message).label(span, "not a function of one element");
        fault = match ast::Reduction::from_word(name) {
            Some(_) => fault.help(format!("`{name}[k] …` reduces over the index k")),
            None => fault.help("apply it to the whole tensor first, and read the elements of the result"),
        };
        self.checker.report(fault);
    }

    pub(super) fn call(
        &mut self,
        target: &Value<'p>,
        callee: &'p ast::Expr,
        args: &[CallArg<'p>],
        span: Span,
    ) -> Option<Lowered<'p>> {
        let mut lowered = Vec::new();
        for arg in args {
            lowered.push(self.lower(&arg.term)?);
        }
        let labels = lowered.iter().fold(Vec::new(), |all, value| union(&all, &self.labels(value)));
        let numbers = lowered.iter().filter_map(|value| self.dtype_of(value)).find(|dtype| !dtype.is_bool());
        let hint = numbers.unwrap_or(self.checker.float());
        let by_element = matches!(target, Value::Native(_)) || self.checker.is_elementwise_composite(target);
        let mut given = Vec::new();
        for (arg, value) in args.iter().zip(lowered) {
            let place = arg.term.span;
            // Numbers of the text keep taking the dtype of what they meet.
            let (value, own) = match value {
                Lowered::Known(value) => (value, Vec::new()),
                value if by_element => (self.operand(value, Some(hint), &labels, place)?, labels.clone()),
                value => {
                    let tensor = self.labelled(value, Some(hint), place)?;
                    (Value::Tensor(tensor.id), tensor.labels)
                }
            };
            given.push(ElementArg { name: arg.name, value, labels: own, span: place });
        }
        if by_element || labels.is_empty() {
            let args = given.into_iter().map(ElementArg::arg).collect();
            let value = self.checker.apply(target.clone(), args, span, callee.span);
            return self.over(value, labels);
        }
        // A mean over one element is none over the data.
        let averages = self.checker.averages.take();
        self.checker.frame().mapped += 1;
        let value = self.each(target, callee, given, &labels, span);
        self.checker.frame().mapped -= 1;
        self.checker.averages = averages;
        let value = value?;
        let rank = self.checker.ty(value).rank();
        if rank != labels.len() {
            let ty = self.checker.ty(value).clone();
            let element = graph::Type::new(ty.dtype, shape::Shape(ty.shape[labels.len()..].to_vec()));
            let message = format!("each element is one number, but this function gives {element}");
            self.checker.error("E0317", span, message, format!("gives {element} for each element"));
            return None;
        }
        Some(Lowered::Tensor(Labelled { id: value, labels }))
    }

    /// The function applied to each element: lanes within lanes, one an index.
    fn each(
        &mut self,
        target: &Value<'p>,
        callee: &'p ast::Expr,
        args: Vec<ElementArg<'p>>,
        labels: &[usize],
        span: Span,
    ) -> Option<NodeId> {
        let Some((label, inner)) = labels.split_first() else {
            let args = args.into_iter().map(ElementArg::arg).collect();
            let value = self.checker.apply(target.clone(), args, span, callee.span);
            return match value {
                Value::Error => None,
                Value::Tuple(_) => {
                    let message = "each element is one number, but this function gives several";
                    self.checker.error("E0317", span, message, "a tuple");
                    None
                }
                value => self.checker.tensor(&value, None, span),
            };
        };
        let first = self.checker.next_node();
        let mut given = Vec::new();
        let mut lanes = Vec::new();
        for arg in args {
            let (Some(position), Value::Tensor(id)) =
                (arg.labels.iter().position(|own| own == label), &arg.value)
            else {
                lanes.push(arg);
                continue;
            };
            // Its labels ascend, and the smaller ones are taken apart already.
            debug_assert_eq!(position, 0);
            let ty = self.checker.ty(*id).clone();
            let lane = graph::Type::new(ty.dtype, shape::Shape(ty.shape[1..].to_vec()));
            let lane = self.checker.lane(&lane, arg.span)?;
            given.push((lane, *id));
            let labels = arg.labels[1..].to_vec();
            lanes.push(ElementArg { value: Value::Tensor(lane), labels, ..arg });
        }
        let value = self.each(target, callee, lanes, inner, span)?;
        let size = self.extent(*label);
        self.checker.mapped(first, value, &given, &size, span)
    }
}

impl<'p> ElementArg<'p> {
    fn arg(self) -> Arg<'p> {
        Arg { name: self.name, value: self.value, span: self.span }
    }
}

/// Functions of whole numbers that stay among them.
fn folded_call(name: &str, a: &Dim, b: &Dim) -> Option<Dim> {
    Some(match name {
        "div" => a.div_floor(b),
        "ceil_div" => a.ceil_div(b),
        "max" => Dim::max(a, b),
        "min" => Dim::min(a, b),
        _ => return None,
    })
}

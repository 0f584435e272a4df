//! Functions of functions: derivatives both ways, whole Jacobians and Hessians, and mapping over an axis.
//!
//! The function is applied in the frame under construction, to variables of its own; the derivative or the mapped form
//! is made of the nodes that this gives. So transforms nest in any order, and the function sees whatever is in scope.

use super::Args;
use crate::{
    arith::Places,
    call::Arg,
    checker::{Checker, MAX_ELEMENTS, MAX_NODES},
    value::{Mapped, Value},
};
use autodiff::Draws;
use base::{Diagnostic, Span};
use grammar::ast;
use graph::{NodeId, Type, ops};
use shape::{Dim, Proof, Shape};
use std::rc::Rc;

/// A function applied to variables that nothing else reads.
struct Application<'p> {
    variables: Vec<NodeId>,
    /// Of the variables: whether they were given as a tuple.
    is_tuple: bool,
    outputs: Vec<NodeId>,
    value: Value<'p>,
}

impl<'p> Checker<'p> {
    pub(super) fn function_transform(
        &mut self,
        name: &'static str,
        args: &mut Args<'p>,
    ) -> Option<Value<'p>> {
        let function = self.function_arg(args, "f")?;
        if name == "vmap" {
            let axis = match args.named("axis") {
                Some(axis) => self.int_arg(&axis, "axis")?,
                None => 0,
            };
            return Some(Value::Mapped(Rc::new(Mapped { function, axis })));
        }
        let x = self.need(args, "x")?;
        match name {
            "vjp" => {
                let ct = self.need(args, "ct")?;
                let applied = self.applied(function, &x, args.span)?;
                let cotangents =
                    self.directions(&applied.outputs, &ct, "ct", "the result of the function")?;
                let seeds = applied.outputs.iter().copied().zip(cotangents).collect::<Vec<_>>();
                let of_x = self.pullback(&seeds, &applied.variables, args.span)?;
                Some(Value::tuple(vec![applied.value.clone(), applied.like_x(&of_x)]))
            }
            "jvp" => {
                let v = self.need(args, "v")?;
                let applied = self.applied(function, &x, args.span)?;
                let tangents = self.directions(&applied.variables, &v, "v", "`x`")?;
                let given = applied.variables.iter().copied().zip(tangents).collect::<Vec<_>>();
                let of_y = self.pushforward(&applied.outputs, &given, args.span)?;
                let tangent = match &applied.value {
                    Value::Tuple(_) => Value::tuple(of_y.into_iter().map(Value::Tensor).collect()),
                    _ => Value::Tensor(of_y[0]),
                };
                Some(Value::tuple(vec![applied.value, tangent]))
            }
            _ => self.matrix(name, function, &x, args.span),
        }
    }

    pub(super) fn function_arg(&mut self, args: &mut Args<'p>, name: &'static str) -> Option<Value<'p>> {
        let arg = self.need(args, name)?;
        let what = args.what;
        match arg.value {
            Value::Native("grad") => {
                let message = format!("`{what}` takes a function, and `grad` takes the name of a value");
                let diagnostic = Diagnostic::error("E0312", message)
                    .label(arg.span, "not a function of its own")
                    .help("write the derivative as a function: `fn slope(x: float[n]) = grad(sum(f(x)), wrt: x)`");
                self.report(diagnostic);
                None
            }
            Value::Fn(_) | Value::Native(_) | Value::Mapped(_) | Value::Custom(_) | Value::Instance(_) => {
                Some(arg.value)
            }
            Value::Layer(_) => {
                let message = format!("`{what}` takes a function or an instance, but this is a layer");
                let diagnostic = Diagnostic::error("E0312", message)
                    .label(arg.span, "has no weights yet")
                    .help("bind it first, as in `fc = dense(64)`");
                self.report(diagnostic);
                None
            }
            other => {
                let message = format!("`{what}` takes a function first, but this is {}", other.kind());
                let mut diagnostic = Diagnostic::error("E0312", message).label(arg.span, other.kind());
                if what == "vmap" {
                    diagnostic = diagnostic.help("it is applied in a second step, as in `vmap(f)(x)`");
                }
                self.report(diagnostic);
                None
            }
        }
    }

    fn applied(&mut self, function: Value<'p>, x: &Arg<'p>, span: Span) -> Option<Application<'p>> {
        let (items, is_tuple) = match &x.value {
            Value::Tuple(items) => (items.to_vec(), true),
            value => (vec![value.clone()], false),
        };
        let mut variables = Vec::new();
        for item in &items {
            let id = self.tensor(item, None, x.span)?;
            // A value of its own: what the function sees of `x` besides its argument is constant.
            let shape = self.shape(id);
            let variable = self.add(ops::Reshape { shape }, &[id], x.span)?;
            self.frame().stand_ins.insert(variable);
            variables.push(variable);
        }
        let args = variables.iter().map(|id| Arg::positional(Value::Tensor(*id), x.span)).collect();
        let value = self.apply(function, args, span, span);
        if value.is_error() {
            return None;
        }
        let outputs = self.value_ids(&value, span)?;
        let value = match &value {
            Value::Tuple(_) => Value::tuple(outputs.iter().map(|id| Value::Tensor(*id)).collect()),
            _ => Value::Tensor(outputs[0]),
        };
        Some(Application { variables, is_tuple, outputs, value })
    }

    /// One tensor of the same type for each of `of`.
    fn directions(&mut self, of: &[NodeId], given: &Arg<'p>, name: &str, whose: &str) -> Option<Vec<NodeId>> {
        let items = match &given.value {
            Value::Tuple(items) => items.to_vec(),
            value => vec![value.clone()],
        };
        if items.len() != of.len() {
            let message = format!("`{name}` has {} parts, but {whose} has {}", items.len(), of.len());
            self.error("E0310", given.span, message, format!("{} needed", of.len()));
            return None;
        }
        of.iter().zip(&items).map(|(of, item)| self.direction(*of, item, given.span, name, whose)).collect()
    }

    fn direction(
        &mut self,
        of: NodeId,
        given: &Value<'p>,
        span: Span,
        name: &str,
        whose: &str,
    ) -> Option<NodeId> {
        let want = self.ty(of).clone();
        let id = self.tensor(given, Some(want.dtype), span)?;
        let id = self.fit_dtype(id, want.dtype, span, None, &format!("`{name}`"))?;
        let have = self.shape(id);
        if have.rank() == want.shape.rank() {
            let proofs: Vec<Proof> =
                have.iter().zip(want.shape.iter()).map(|(a, b)| self.equal(a, b)).collect();
            if proofs.iter().all(|proof| *proof == Proof::Proved) {
                return if have == want.shape {
                    Some(id)
                } else {
                    self.add(ops::Reshape { shape: want.shape }, &[id], span)
                };
            }
            // What is taken for granted is not computed with.
            if self.generic && proofs.iter().all(|proof| matches!(proof, Proof::Proved | Proof::Unknown)) {
                return self.lane(&want, span);
            }
        }
        let have = self.ty(id).to_string();
        let message = format!("`{name}` is {have}, but {whose} is {want}");
        self.error("E0301", span, message, format!("{want} is needed here"));
        None
    }

    /// All derivatives of a result by a variable: the Jacobian, or the Hessian of a scalar.
    fn matrix(
        &mut self,
        name: &'static str,
        function: Value<'p>,
        x: &Arg<'p>,
        span: Span,
    ) -> Option<Value<'p>> {
        let applied = self.applied(function, x, span)?;
        let ([y], [variable], false) = (&applied.outputs[..], &applied.variables[..], applied.is_tuple)
        else {
            let message = format!("`{name}` takes a function from one tensor to one tensor");
            self.error("E0314", span, message, "this one has several");
            return None;
        };
        let (y, variable) = (*y, *variable);
        let (of_x, of_y) = (self.ty(variable).clone(), self.ty(y).clone());
        if name == "hessian" {
            if of_y.rank() != 0 || !of_y.dtype.is_float() {
                let message =
                    format!("`hessian` takes a function to a floating scalar, but this one gives {of_y}");
                let diagnostic = Diagnostic::error("E0314", message)
                    .label(span, format!("{of_y}"))
                    .help("reduce it in the function; `jacobian` takes tensors");
                self.report(diagnostic);
                return None;
            }
            let one = self.scalar(of_y.dtype, 1.0);
            let slope = self.pullback(&[(y, one)], &[variable], span)?[0];
            return self.columns(slope, variable, span).map(Value::Tensor);
        }
        let (n_x, n_y) = (of_x.shape.elements(), of_y.shape.elements());
        let forward = matches!((n_x.as_const(), n_y.as_const()), (Some(n_x), Some(n_y)) if n_x < n_y);
        let shape = Shape(of_y.shape.iter().chain(of_x.shape.iter()).cloned().collect());
        if forward {
            let columns = self.columns(y, variable, span)?;
            // The axes of x come first here.
            let (rank_x, rank_y) = (of_x.rank(), of_y.rank());
            let perm = (rank_x..rank_x + rank_y).chain(0..rank_x).collect();
            return self.add(ops::Transpose { perm }, &[columns], span).map(Value::Tensor);
        }
        let basis = self.basis(&of_y, span)?;
        let first = self.next_node();
        let lane = self.lane(&of_y, span)?;
        let row = self.pullback(&[(y, lane)], &[variable], span)?[0];
        let rows = self.lanes(first, &[row], &[(lane, basis)], &n_y, Draws::Same, span)?;
        self.add(ops::Reshape { shape }, &[rows[0]], span).map(Value::Tensor)
    }

    /// The derivatives of `y` along each element of the variable, whose axes come first.
    fn columns(&mut self, y: NodeId, variable: NodeId, span: Span) -> Option<NodeId> {
        let (of_x, of_y) = (self.ty(variable).clone(), self.ty(y).clone());
        let basis = self.basis(&of_x, span)?;
        let first = self.next_node();
        let lane = self.lane(&of_x, span)?;
        let column = self.pushforward(&[y], &[(variable, lane)], span)?[0];
        let n_x = of_x.shape.elements();
        let columns = self.lanes(first, &[column], &[(lane, basis)], &n_x, Draws::Same, span)?;
        let shape = Shape(of_x.shape.iter().chain(of_y.shape.iter()).cloned().collect());
        self.add(ops::Reshape { shape }, &[columns[0]], span)
    }

    /// For each element of a type the tensor that is one there and zero elsewhere.
    fn basis(&mut self, ty: &Type, span: Span) -> Option<NodeId> {
        let n = ty.shape.elements();
        let square = Shape(vec![n.clone(), n.clone()]);
        let row = self.add(ops::Iota { shape: square.clone(), axis: 0 }, &[], span)?;
        let column = self.add(ops::Iota { shape: square, axis: 1 }, &[], span)?;
        let same =
            self.binary(ast::BinaryOp::Eq, Value::Tensor(row), Value::Tensor(column), Places::all(span));
        let same = self.tensor(&same, None, span)?;
        let identity = self.cast(same, ty.dtype, span)?;
        self.add(ops::Reshape { shape: with_leading(&n, &ty.shape) }, &[identity], span)
    }

    /// `vmap(f)(…)`: tensors are taken apart along the axis, everything else is the same in all lanes.
    pub fn apply_mapped(&mut self, mapped: &Mapped<'p>, args: Vec<Arg<'p>>, span: Span) -> Value<'p> {
        Self::some_or_error(self.apply_lanes(mapped, args, span))
    }

    fn some_or_error(value: Option<Value<'p>>) -> Value<'p> {
        value.unwrap_or(Value::Error)
    }

    fn apply_lanes(&mut self, mapped: &Mapped<'p>, args: Vec<Arg<'p>>, span: Span) -> Option<Value<'p>> {
        if args.iter().any(|arg| arg.value.is_error()) {
            return None;
        }
        let mut size: Option<(Dim, Span)> = None;
        let mut whole = Vec::new();
        for arg in &args {
            let (Value::Tensor(_) | Value::List(_) | Value::Tuple(_)) = &arg.value else {
                whole.push(None);
                continue;
            };
            let id = self.tensor(&arg.value, None, arg.span)?;
            let rank = self.ty(id).rank();
            let axis = self.axis_of(mapped.axis, rank, arg.span)?;
            let perm: Vec<usize> =
                std::iter::once(axis).chain((0..rank).filter(|other| *other != axis)).collect();
            let mut id = if axis == 0 { id } else { self.add(ops::Transpose { perm }, &[id], arg.span)? };
            let ty = self.ty(id).clone();
            let lane = Type::new(ty.dtype, Shape(ty.shape[1..].to_vec()));
            let (size, first) = size.get_or_insert_with(|| (ty.shape[0].clone(), arg.span)).clone();
            match self.equal(&size, &ty.shape[0]) {
                Proof::Proved if size == ty.shape[0] => {}
                Proof::Proved => {
                    let shape = with_leading(&size, &lane.shape);
                    id = self.add(ops::Reshape { shape }, &[id], arg.span)?;
                }
                Proof::Unknown if self.generic => {
                    let ty = Type::new(ty.dtype, with_leading(&size, &lane.shape));
                    id = self.lane(&ty, arg.span)?;
                }
                _ => {
                    let message =
                        format!("`vmap` goes over {size} lanes here and over {} there", ty.shape[0]);
                    self.report(
                        Diagnostic::error("E0301", message)
                            .label(arg.span, format!("{} along axis {}", ty.shape[0], mapped.axis))
                            .label(first, format!("{size} here")),
                    );
                    return None;
                }
            }
            whole.push(Some((id, lane)));
        }
        let Some((size, _)) = size else {
            self.error("E0208", span, "`vmap` maps over an axis of a tensor", "no tensor is given");
            return None;
        };
        let first = self.next_node();
        let mut given = Vec::new();
        let mut lane_args = Vec::new();
        for (arg, whole) in args.into_iter().zip(whole) {
            let value = match whole {
                None => arg.value,
                Some((id, ty)) => {
                    let lane = self.lane(&ty, arg.span)?;
                    let origins = (0..ty.rank()).map(|axis| self.origin(id, axis + 1)).collect();
                    self.set_origins(lane, origins);
                    given.push((lane, id));
                    Value::Tensor(lane)
                }
            };
            lane_args.push(Arg { value, ..arg });
        }
        // A mean over one lane is none over the data.
        let averages = self.averages.take();
        self.frame().mapped += 1;
        let value = self.apply(mapped.function.clone(), lane_args, span, span);
        self.frame().mapped -= 1;
        self.averages = averages;
        if value.is_error() {
            return None;
        }
        let written =
            self.frame_ref().states.iter().find(|(_, state)| state.current >= first && state.written);
        if let Some((name, place)) = written.map(|(name, state)| (name.clone(), state.span)) {
            self.state_in_vmap(&name, span, place);
            return None;
        }
        let outputs = self.value_ids(&value, span)?;
        let results = self.lanes(first, &outputs, &given, &size, Draws::Differ, span)?;
        Some(match &value {
            Value::Tuple(_) => Value::tuple(results.into_iter().map(Value::Tensor).collect()),
            _ => Value::Tensor(results[0]),
        })
    }

    pub fn state_in_vmap(&mut self, name: &str, span: Span, declared: Span) -> Value<'p> {
        let name = self.shown_name(name);
        self.report(
            Diagnostic::error("E0418", format!("`vmap` goes over the state `{name}`"))
                .label(span, "applied lane by lane here")
                .label(declared, "declared here")
                .help("a state has one value, and lanes would each write their own"),
        )
    }

    pub fn next_node(&self) -> NodeId {
        NodeId::new(self.frame_ref().function.nodes.len())
    }

    /// Stands for the value in one lane while a function is applied; nothing that counts reads it.
    pub fn lane(&mut self, ty: &Type, span: Span) -> Option<NodeId> {
        let zero = self.scalar(ty.dtype, 0.0);
        let id = self.add(ops::Broadcast { shape: ty.shape.clone() }, &[zero], span)?;
        self.frame().stand_ins.insert(id);
        Some(id)
    }

    /// A value made of nodes from `first` on, for all lanes of `given`: pairs of the value in one lane and all its values.
    pub fn mapped(
        &mut self,
        first: NodeId,
        output: NodeId,
        given: &[(NodeId, NodeId)],
        size: &Dim,
        span: Span,
    ) -> Option<NodeId> {
        self.lanes(first, &[output], given, size, Draws::Differ, span).map(|outputs| outputs[0])
    }

    fn lanes(
        &mut self,
        first: NodeId,
        outputs: &[NodeId],
        given: &[(NodeId, NodeId)],
        size: &Dim,
        draws: Draws,
        span: Span,
    ) -> Option<Vec<NodeId>> {
        let from = self.next_node();
        let frame = self.frames.last_mut()?;
        let mapped =
            autodiff::vmap(&mut self.module, &mut frame.function, first, outputs, given, size, draws);
        match mapped {
            Ok(ids) => self.within_limits(from, span).then_some(ids),
            Err(fault) => {
                let place = fault.span.filter(|place| self.program.is_users(*place)).unwrap_or(span);
                let message = format!("this under `vmap` is not supported yet: {}", fault.reason);
                self.error("E0501", place, message, "cannot be mapped");
                None
            }
        }
    }

    fn pullback(&mut self, seeds: &[(NodeId, NodeId)], wrt: &[NodeId], span: Span) -> Option<Vec<NodeId>> {
        let from = self.next_node();
        let frame = self.frames.last_mut()?;
        match autodiff::pullback(&mut self.module, &mut frame.function, seeds, wrt) {
            Ok(ids) => self.within_limits(from, span).then_some(ids),
            Err(fault) => {
                self.no_derivative(&fault, span);
                None
            }
        }
    }

    fn pushforward(
        &mut self,
        outputs: &[NodeId],
        given: &[(NodeId, NodeId)],
        span: Span,
    ) -> Option<Vec<NodeId>> {
        let from = self.next_node();
        let frame = self.frames.last_mut()?;
        match autodiff::pushforward(&mut self.module, &mut frame.function, outputs, given) {
            Ok(ids) => self.within_limits(from, span).then_some(ids),
            Err(fault) => {
                self.no_derivative(&fault, span);
                None
            }
        }
    }

    /// Takes note of nodes made by a transform.
    fn within_limits(&mut self, from: NodeId, span: Span) -> bool {
        let frame = self.frame();
        let n_nodes = frame.function.nodes.len();
        frame.origins.resize(n_nodes, Vec::new());
        let is_large = |ty: &Type| {
            let size = ty.shape.elements();
            size.overflowed() || size.as_const().is_some_and(|n| n > MAX_ELEMENTS)
        };
        let types = (from.index()..n_nodes).flat_map(|index| &frame.function.nodes[NodeId::new(index)].types);
        let large = types.into_iter().find(|ty| is_large(ty)).map(Type::to_string);
        self.n_nodes += n_nodes - from.index();
        if let Some(ty) = large {
            let message = format!("{ty} has too many elements");
            self.error("E0403", span, message, "a tensor has at most 2^47 elements");
            return false;
        }
        if self.n_nodes > MAX_NODES {
            let message = format!("the model has more than {MAX_NODES} operations");
            self.error("E0402", span, message, "the limit is passed here");
            return false;
        }
        true
    }
}

impl<'p> Application<'p> {
    /// One tensor a variable, as the variables were given.
    fn like_x(&self, ids: &[NodeId]) -> Value<'p> {
        if self.is_tuple {
            Value::tuple(ids.iter().map(|id| Value::Tensor(*id)).collect())
        } else {
            Value::Tensor(ids[0])
        }
    }
}

pub(super) fn with_leading(size: &Dim, shape: &Shape) -> Shape {
    std::iter::once(size.clone()).chain(shape.iter().cloned()).collect()
}

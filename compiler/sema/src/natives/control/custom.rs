//! `custom_grad(f, backward)`: a function with a reverse derivative of one's own.

use crate::{
    call::Arg,
    checker::Checker,
    natives::Args,
    outline::Given,
    value::{Custom, Value},
};
use base::{Diagnostic, Span};
use graph::{NodeId, Op, ops};
use shape::Proof;
use std::{collections::BTreeSet, rc::Rc};

impl<'p> Checker<'p> {
    pub(in crate::natives) fn custom_grad(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let function = self.function_arg(args, "f")?;
        let backward = self.function_arg(args, "backward")?;
        Some(Value::Custom(Rc::new(Custom { function, backward })))
    }

    pub fn apply_custom(&mut self, custom: &Custom<'p>, args: Vec<Arg<'p>>, span: Span) -> Value<'p> {
        self.custom_call(custom, args, span).unwrap_or(Value::Error)
    }

    fn custom_call(&mut self, custom: &Custom<'p>, args: Vec<Arg<'p>>, span: Span) -> Option<Value<'p>> {
        let (mut operands, mut stand_ins) = (Vec::new(), Vec::new());
        for arg in &args {
            if arg.name.is_some() {
                let message = "a function with a derivative of its own takes its arguments by position";
                self.error("E0209", arg.span, message, "given by name");
                return None;
            }
            let id = self.tensor(&arg.value, None, arg.span)?;
            let ty = self.ty(id).clone();
            operands.push(id);
            let stand_in = self.lane(&ty, arg.span)?;
            let origins = (0..ty.rank()).map(|axis| self.origin(id, axis)).collect();
            self.set_origins(stand_in, origins);
            stand_ins.push(stand_in);
        }
        let places: Vec<Span> = args.iter().map(|arg| arg.span).collect();
        let given = |ids: &[NodeId]| -> Vec<Arg<'p>> {
            ids.iter().map(|id| Arg::positional(Value::Tensor(*id), span)).collect()
        };
        let mark = self.begin_body();
        let value = self.apply(custom.function.clone(), given(&stand_ins), span, span);
        let mut outputs = Vec::new();
        let form = if value.is_error() { None } else { self.parts(&value, span, &mut outputs) };
        let forward = self.end_body(mark);
        let form = form?;

        let mut cotangents = Vec::new();
        for output in outputs.iter().filter(|id| self.ty(**id).dtype.is_float()).copied().collect::<Vec<_>>()
        {
            let ty = self.ty(output).clone();
            cotangents.push(self.lane(&ty, span)?);
        }
        let mark = self.begin_body();
        let seen: Vec<NodeId> = stand_ins.iter().chain(&cotangents).copied().collect();
        let value = self.apply(custom.backward.clone(), given(&seen), span, span);
        let of_args =
            if value.is_error() { None } else { self.of_arguments(&value, &stand_ins, &places, span) };
        let backward = self.end_body(mark);
        let mut of_args = of_args?;
        for body in [&forward, &backward] {
            self.asserts_nothing(body, span)?;
            if !body.states.is_empty() || !body.side.is_empty() {
                self.unsupported(span, "a state inside `custom_grad`");
                return None;
            }
        }

        let named = |name: &str, ids: &[NodeId]| -> Vec<Given> {
            ids.iter().enumerate().map(|(index, id)| Given::new(format!("{name}{index}"), *id)).collect()
        };
        let mut of_forward = named("x", &stand_ins);
        let mut of_backward = named("x", &stand_ins);
        let of_results = named("d_result", &cotangents);
        let all = [&named("x", &stand_ins)[..], &named("d", &cotangents)[..]].concat();
        let captured: BTreeSet<NodeId> = (self.captures(&forward, &of_forward, &outputs).into_iter())
            .chain(self.captures(&backward, &all, &of_args))
            .collect();
        let captured: Vec<NodeId> = captured.into_iter().collect();
        for id in &captured {
            if self.varies(*id) {
                self.derivative_lost(*id, span);
                return None;
            }
            // What is seen besides the arguments is constant.
            let ty = self.ty(*id).clone();
            if ty.dtype.is_float() {
                let zero = self.scalar(ty.dtype, 0.0);
                of_args.push(self.add(ops::Broadcast { shape: ty.shape }, &[zero], span)?);
            }
        }
        of_forward.extend(self.fixed(&captured));
        of_backward.extend(self.fixed(&captured));
        of_backward.extend(of_results);
        let function = self.outlined("custom_derivative", &backward, &of_backward, &of_args);
        let derivative = self.add_function(function);
        let name = match &custom.function {
            Value::Fn(closure) => closure.def.name.text.as_str(),
            _ => "custom",
        };
        let mut function = self.outlined(name, &forward, &of_forward, &outputs);
        function.derivative = Some(derivative);
        let callee = self.add_function(function);
        operands.extend(captured);
        let results = self.results(ops::Call { callee }, &operands, span)?;
        for (result, like) in results.iter().zip(&outputs) {
            let origins = (0..self.ty(*result).rank()).map(|axis| self.origin(*like, axis)).collect();
            self.set_origins(*result, origins);
        }
        Some(form.value(&mut results.into_iter()))
    }

    /// What `backward` gives: one cotangent for each floating argument, of its type.
    fn of_arguments(
        &mut self,
        value: &Value<'p>,
        stand_ins: &[NodeId],
        places: &[Span],
        span: Span,
    ) -> Option<Vec<NodeId>> {
        let parts = match value {
            Value::Tuple(items) => items.to_vec(),
            value => vec![value.clone()],
        };
        let floats: Vec<(usize, NodeId)> =
            stand_ins.iter().copied().enumerate().filter(|(_, id)| self.ty(*id).dtype.is_float()).collect();
        if parts.len() != floats.len() {
            let message = format!(
                "`backward` gives one cotangent for each floating argument: {} are needed, {} given",
                floats.len(),
                parts.len()
            );
            self.error("E0310", span, message, format!("{} floating arguments", floats.len()));
            return None;
        }
        let mut of_args = Vec::new();
        for (part, (position, arg)) in parts.iter().zip(floats) {
            let want = self.ty(arg).clone();
            let id = self.tensor(part, Some(want.dtype), span)?;
            let id = self.fit_dtype(id, want.dtype, span, None, "the cotangent")?;
            let have = self.ty(id).clone();
            let proofs: Vec<Proof> = if have.rank() == want.rank() {
                have.shape.iter().zip(want.shape.iter()).map(|(a, b)| self.equal(a, b)).collect()
            } else {
                vec![Proof::Disproved]
            };
            let id = if have.shape == want.shape {
                id
            } else if proofs.iter().all(|proof| *proof == Proof::Proved) {
                self.add(ops::Reshape { shape: want.shape }, &[id], span)?
            } else if self.generic && !proofs.contains(&Proof::Disproved) {
                self.lane(&want, span)?
            } else {
                let message = format!(
                    "`backward` gives {have} as the cotangent of argument {}, which is {want}",
                    position + 1
                );
                self.report(
                    Diagnostic::error("E0301", message)
                        .label(places[position], format!("this is {want}"))
                        .label(span, format!("its cotangent would be {have}")),
                );
                return None;
            };
            of_args.push(id);
        }
        Some(of_args)
    }

    /// Whether a value may depend on a float that is differentiated somewhere: a parameter, or what a function is given.
    fn varies(&self, id: NodeId) -> bool {
        let frame = self.frame_ref();
        let (mut pending, mut seen) = (vec![id], BTreeSet::new());
        while let Some(id) = pending.pop() {
            let node = &frame.function.nodes[id];
            if !seen.insert(id) || matches!(node.op, Op::StopGradient(_)) {
                continue;
            }
            if !node.op.is_tuple() && !node.ty().dtype.is_float() {
                continue;
            }
            if matches!(node.op, Op::Parameter(_)) || frame.stand_ins.contains(&id) {
                return true;
            }
            pending.extend(&node.inputs);
        }
        false
    }

    fn derivative_lost(&mut self, id: NodeId, span: Span) {
        let frame = self.frame_ref();
        let name = match &frame.function.nodes[id].op {
            Op::Parameter(parameter) => format!("`{}`", frame.function.params[parameter.index].name),
            _ => "a value".into(),
        };
        let made = frame.function.nodes[id].span.filter(|made| made.file == span.file && *made != span);
        let message = format!("a function of `custom_grad` sees {name} besides its arguments");
        let mut diagnostic =
            Diagnostic::error("E0315", message).label(span, "derivatives by it would be lost here");
        if let Some(made) = made {
            diagnostic = diagnostic.label(made, "made here");
        }
        self.report(
            diagnostic
                .help("pass it as an argument, or say `stop_gradient(…)` where it is meant to be constant"),
        );
    }
}

//! `scan(step, xs, carry…)`: a function along an axis, which hands values from step to step.

use super::{Carried, result_place, results_told};
use crate::{
    call::Arg,
    checker::Checker,
    natives::{Args, transforms::with_leading},
    outline::{Form, Given, StepCounter},
    value::Value,
};
use base::{Diagnostic, Span};
use graph::{DType, NodeId, Type, ops};
use kernel::Combine;
use shape::{Dim, Proof, Shape};

/// What a scan runs over.
struct Items {
    count: Dim,
    /// Axis of each tensor, and the tensors with that axis first.
    whole: Vec<NodeId>,
    stand_ins: Vec<NodeId>,
    axis: i64,
    /// Where the size of the axis comes from.
    origin: Option<Span>,
}

impl<'p> Checker<'p> {
    pub(in crate::natives) fn scan(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let span = args.span;
        let mut step = self.function_arg(args, "step")?;
        let axis = match args.named("axis") {
            Some(axis) => self.int_arg(&axis, "axis")?,
            None => 1,
        };
        let reverse = self.bool_arg(args, "reverse", false)?;
        let remat = self.bool_arg(args, "remat", false)?;
        let xs = self.need(args, "xs")?;
        let init = args.rest();
        let items = self.items(&xs, axis)?;
        let mut carried = Vec::new();
        for arg in &init {
            carried.push(self.carried(&arg.value, arg.span)?);
        }
        let number = self.lane(&Type::scalar(DType::I64), span)?;
        let aliases = self.alias_states(&mut [&mut step], span)?;
        let mark = self.begin_body();
        self.frame().steps.push(StepCounter { number, path: None });
        let outcome = self.scan_step(&step, &items, &carried, span);
        let counts = self.frame().steps.pop().is_some_and(|step| step.path.is_some());
        let body = self.end_body(mark);
        self.drop_aliases(&aliases);
        let (form, stacked, next) = outcome?;
        self.asserts_nothing(&body, span)?;

        // Carried values, fixed ones, elements: the order of the parameters.
        let named = |name: &str, nodes: &mut dyn Iterator<Item = NodeId>| -> Vec<Given> {
            nodes.enumerate().map(|(index, node)| Given::new(format!("{name}{index}"), node)).collect()
        };
        let mut given = named("carry", &mut carried.iter().map(|carried| carried.stand_in));
        let mut operands: Vec<NodeId> = carried.iter().map(|carried| carried.first).collect();
        let (states, of_states) = self.state_stand_ins(&body.states, &aliases);
        given.extend(states);
        operands.extend(of_states);
        let n_carried = given.len();
        let mut elements = named("item", &mut items.stand_ins.iter().copied());
        let mut whole = items.whole.clone();
        if counts {
            let steps =
                self.add(ops::Iota { shape: Shape(vec![items.count.clone()]), axis: 0 }, &[], span)?;
            whole.push(self.cast(steps, DType::I64, span)?);
            elements.push(Given::new("step", number));
        }
        let mut outputs = next;
        outputs.extend(body.states.iter().map(|state| state.after));
        outputs.extend(&stacked);
        outputs.extend(body.side.iter().map(|(_, id)| *id));
        if outputs.is_empty() {
            self.report(
                Diagnostic::error("E0210", "a step of this `scan` gives nothing")
                    .label(result_place(&step, 0, 1, span), "it ends with a statement, which is no value")
                    .help(
                        "the value of a step is its last expression: add a line with what is to be stacked",
                    ),
            );
            return None;
        }
        let known: Vec<Given> =
            given.iter().chain(&elements).map(|given| Given::new(given.name.clone(), given.node)).collect();
        let captured = self.captures(&body, &known, &outputs);
        let fixed = self.fixed(&captured);
        given.extend(fixed);
        operands.extend(&captured);
        let n_stacked = elements.len();
        given.extend(elements);
        operands.extend(whole);
        let function = self.outlined("scan_step", &body, &given, &outputs);
        let op = ops::Scan {
            body: self.add_function(function),
            count: items.count.clone(),
            reverse,
            carried: n_carried,
            fixed: captured.len(),
            stacked: n_stacked,
            tables: 0,
            table_results: 0,
            remat,
        };
        let results = self.results(op, &operands, span)?;
        for (carried, result) in carried.iter().zip(&results) {
            let origins = (0..self.ty(*result).rank()).map(|axis| self.origin(carried.first, axis)).collect();
            self.set_origins(*result, origins);
        }
        let last = &results[..carried.len()];
        for (state, value) in body.states.iter().zip(&results[carried.len()..]) {
            self.settle_state(&state.name, *value);
        }
        let mut ys = Vec::new();
        for (part, of_steps) in stacked.iter().zip(&results[n_carried..]) {
            ys.push(self.at_axis(*of_steps, *part, &items, span)?);
        }
        for ((name, _), of_steps) in body.side.iter().zip(&results[n_carried + stacked.len()..]) {
            let sum = ops::Reduce { combine: Combine::Sum, axes: vec![0] };
            let total = self.add(sum, &[*of_steps], span)?;
            self.frame().side.push((name.clone(), total));
        }
        let ys = form.value(&mut ys.into_iter());
        Some(if carried.is_empty() {
            ys
        } else {
            Value::tuple(std::iter::once(ys).chain(last.iter().map(|id| Value::Tensor(*id))).collect())
        })
    }

    /// The tensors that a scan runs over, with their axis first, and what stands for one element of each.
    fn items(&mut self, xs: &Arg<'p>, axis: i64) -> Option<Items> {
        let given = match &xs.value {
            Value::Tuple(items) => items.to_vec(),
            value => vec![value.clone()],
        };
        let mut items: Option<Items> = None;
        for value in &given {
            let id = self.tensor(value, None, xs.span)?;
            let rank = self.ty(id).rank();
            if rank == 1 && axis == 1 {
                let message = "`scan` runs along axis 1, but this has one axis";
                let ty = self.ty(id).to_string();
                let help = "say `axis: 0` to run along the first";
                self.report(Diagnostic::error("E0303", message).label(xs.span, ty).help(help));
                return None;
            }
            let at = self.axis_of(axis, rank, xs.span)?;
            let origin = self.origin(id, at);
            let origins: Vec<Option<Span>> =
                (0..rank).filter(|other| *other != at).map(|axis| self.origin(id, axis)).collect();
            let perm: Vec<usize> =
                std::iter::once(at).chain((0..rank).filter(|other| *other != at)).collect();
            let mut id = if at == 0 { id } else { self.add(ops::Transpose { perm }, &[id], xs.span)? };
            let ty = self.ty(id).clone();
            let count = ty.shape[0].clone();
            let element = Type::new(ty.dtype, Shape(ty.shape[1..].to_vec()));
            let known = items.as_ref().map_or(count.clone(), |items| items.count.clone());
            match self.equal(&known, &count) {
                Proof::Proved if known == count => {}
                Proof::Proved => {
                    let shape = with_leading(&known, &element.shape);
                    id = self.add(ops::Reshape { shape }, &[id], xs.span)?;
                }
                Proof::Unknown if self.generic => {
                    let ty = Type::new(ty.dtype, with_leading(&known, &element.shape));
                    id = self.lane(&ty, xs.span)?;
                }
                _ => {
                    let message = format!("`scan` runs over {known} steps and over {count}");
                    let label = format!("axis {axis} has {known} elements in one and {count} in another");
                    self.error("E0301", xs.span, message, label);
                    return None;
                }
            }
            let stand_in = self.lane(&element, xs.span)?;
            self.set_origins(stand_in, origins);
            let items = items.get_or_insert_with(|| Items {
                count,
                whole: Vec::new(),
                stand_ins: Vec::new(),
                axis,
                origin,
            });
            items.whole.push(id);
            items.stand_ins.push(stand_in);
        }
        if items.is_none() {
            self.error("E0208", xs.span, "`scan` runs over a tensor", "no tensor is given");
        }
        items
    }

    /// One step: what is stacked, its form, and the next carried values.
    fn scan_step(
        &mut self,
        step: &Value<'p>,
        items: &Items,
        carried: &[Carried],
        span: Span,
    ) -> Option<(Form, Vec<NodeId>, Vec<NodeId>)> {
        let stand_ins = items.stand_ins.iter().copied().chain(carried.iter().map(|carried| carried.stand_in));
        let args = stand_ins.map(|id| Arg::positional(Value::Tensor(id), span)).collect();
        let value = self.apply(step.clone(), args, span, span);
        if value.is_error() {
            return None;
        }
        let count = carried.len() + 1;
        let (y, next) = match &value {
            value if carried.is_empty() => (value.clone(), Vec::new()),
            Value::Tuple(parts) if parts.len() == count => (parts[0].clone(), parts[1..].to_vec()),
            other => {
                let have = results_told(other);
                let plural = if carried.len() == 1 { "value" } else { "values" };
                let message = format!(
                    "a step gives what is stacked and then {} carried {plural}, but this gives {have}",
                    carried.len()
                );
                let place = result_place(step, 0, 1, span);
                return self.wrong_number(message, &format!("{have} instead of {count}"), place, carried);
            }
        };
        let mut stacked = Vec::new();
        let form = self.parts(&y, result_place(step, 0, count, span), &mut stacked)?;
        let mut of_next = Vec::new();
        for (index, (carried, value)) in carried.iter().zip(&next).enumerate() {
            let place = result_place(step, index + 1, count, span);
            of_next.push(self.comes_back(carried, value, ("scan", index + 1), place)?);
        }
        Some((form, stacked, of_next))
    }

    /// What was stacked along axis 0, with the steps at the scan's axis, or last where it has fewer.
    fn at_axis(&mut self, stacked: NodeId, part: NodeId, items: &Items, span: Span) -> Option<NodeId> {
        let rank = self.ty(stacked).rank();
        let at = match usize::try_from(items.axis) {
            Ok(axis) => axis.min(rank - 1),
            Err(_) => rank.saturating_sub(items.axis.unsigned_abs() as usize),
        };
        let perm: Vec<usize> = (1..=at).chain([0]).chain(at + 1..rank).collect();
        let id = if at == 0 { stacked } else { self.add(ops::Transpose { perm }, &[stacked], span)? };
        let mut origins: Vec<Option<Span>> = (0..rank - 1).map(|axis| self.origin(part, axis)).collect();
        origins.insert(at, items.origin);
        self.set_origins(id, origins);
        Some(id)
    }
}

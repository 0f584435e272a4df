//! `repeat`: fresh instances of one layer, one after the other. Where each is the same function of other weights they are
//! steps of one scan over tables of these, so that the work of compiling does not grow with their number.

use super::{
    PATH_FACTOR, PATH_PRIME,
    compile::Given,
    outside::{Outside, is_outside},
    path_hash,
};
use crate::{
    call::Arg,
    checker::{Checker, Compiled},
    frame::RandomParams,
    value::{Configured, Layer, Value},
};
use base::Span;
use graph::{Builder, DType, Function, NodeId, Param, Role, Scope, Type, ops};
use kernel::Binary;
use shape::Dim;
use std::{collections::BTreeMap, rc::Rc, sync::Arc};

/// With fewer instances their calls are written out, which lets kernels reach from one into the next.
const FEWEST_STEPS: i64 = 4;
/// The same where they are trained: updates of few weights are part of the kernels that make their gradients.
const FEWEST_TRAINED: i64 = 16;

/// The instances of a repeated layer, alike but for their weights.
struct Steps<'c, 'p> {
    compiled: &'c Compiled<'p>,
    outside: &'c Outside<'p>,
    /// Their names, first to last.
    names: &'c [String],
    /// What the body calls the instance.
    scope: Arc<Scope>,
    random: Option<RandomParams>,
    span: Span,
}

/// What a parameter of the layer's function is given in a step.
#[derive(Clone, Copy)]
enum Source {
    Carried,
    Fixed(usize),
    /// The path of the step's random draws.
    Path,
    Table(usize),
}

impl<'p> Checker<'p> {
    pub(super) fn apply_repeat(
        &mut self,
        count: i64,
        body: &Value<'p>,
        name: &str,
        args: Vec<Arg<'p>>,
        span: Span,
    ) -> Value<'p> {
        let fewest = if self.frame_ref().mode.training { FEWEST_TRAINED } else { FEWEST_STEPS };
        let mut args = args;
        // Named without parentheses: all of its configuration has defaults, one for all instances.
        let configured_body;
        let body = match body {
            Value::Layer(layer) if count > 0 && layer.is_bare() => {
                let Some(layer) = self.with_defaults(layer, span) else { return Value::Error };
                configured_body = Value::Layer(layer);
                &configured_body
            }
            body => body,
        };
        // A tuple that goes round as one value stays one; else its parts are the first arguments of the next.
        let as_one = matches!(args.first(), Some(Arg { value: Value::Tuple(_), .. }));
        let mut last = args.first().map(|arg| arg.value.clone());
        for index in 0..count {
            // The first may be another function than the others: it is given f32, they are given what it makes of it.
            if index < 2
                && count - index >= fewest
                && !self.options.write_out
                && let Value::Layer(layer) = body
                && let Layer::Def(configured) = &**layer
            {
                let names: Vec<String> = (index..count).map(|index| format!("{name}.{index}")).collect();
                let scope = Scope::of_steps(name, index as usize, (count - 1) as usize);
                if let Some(value) =
                    self.repeat_as_scan((&names, scope), layer, configured, args.clone(), span)
                {
                    return value;
                }
            }
            let inner = format!("{name}.{index}");
            let value = match body {
                Value::Layer(layer) => self.apply_layer(layer, &inner, args.clone(), span),
                other => self.apply(other.clone(), args.clone(), span, span),
            };
            let parts = match &value {
                Value::Error => return Value::Error,
                Value::Tuple(parts) if !as_one => parts.to_vec(),
                value => vec![value.clone()],
            };
            let taken = args.iter().take_while(|arg| arg.name.is_none()).count();
            if parts.len() > taken {
                let message = format!(
                    "`{name}` gives {} values to its next instance, but takes {taken} as it stands here",
                    parts.len()
                );
                return self.error("E0310", span, message, "pass as many arguments as it has results");
            }
            for (arg, part) in args.iter_mut().zip(parts) {
                *arg = Arg::positional(part, span);
            }
            last = Some(value);
        }
        last.unwrap_or(Value::Error)
    }

    /// Nothing where a step is not always the same function, from a tensor to one of its type.
    fn repeat_as_scan(
        &mut self,
        (names, scope): (&[String], Arc<Scope>),
        layer: &Rc<Layer<'p>>,
        configured: &Configured<'p>,
        args: Vec<Arg<'p>>,
        span: Span,
    ) -> Option<Value<'p>> {
        let def = configured.def;
        self.used.insert(def.name.span);
        if args.first().is_none_or(|arg| arg.name.is_some()) {
            return None;
        }
        if self.too_deep(def, span) {
            return Some(Value::Error);
        }
        let Some(given) = self.match_args(&def.name.text, &def.inputs.params, args) else {
            return Some(Value::Error);
        };
        if !matches!(given.first(), Some(Some(Arg { value: Value::Tensor(_), .. }))) {
            return None;
        }
        let Some((compiled, given)) = self.compile(def, &configured.config, given, span) else {
            return Some(Value::Error);
        };
        let Given { operands, outside } = given;
        let function = &self.module.functions[compiled.func];
        let gives = function.results.first().map(|(_, _, id)| function.ty(*id));
        let alike = compiled.n_results == 1 && gives == Some(self.ty(operands[0]));
        // A state in `vmap` is an error that tells of a single call.
        if !alike || self.frame_ref().mapped > 0 && !compiled.states.is_empty() {
            return None;
        }
        // A state from outside goes from step to step, and is no row of a table.
        if compiled.states.iter().any(|(name, ..)| is_outside(name))
            || compiled.side.iter().any(|name| is_outside(name))
        {
            return None;
        }

        let mut random = None;
        for (step, name) in names.iter().enumerate() {
            self.note_instance(layer, name);
            if self.declare_instance(&compiled, &outside, Some(name), &BTreeMap::new(), span).is_none() {
                return Some(Value::Error);
            }
            if step == 0 && compiled.random {
                random = Some(self.random_params(span));
            }
        }
        let steps = Steps { compiled: &compiled, outside: &outside, names, scope, random, span };
        let input_types: Vec<Type> = operands.iter().map(|id| self.ty(*id).clone()).collect();
        let value = Self::tensor_or_error(self.scan_of(&steps, operands));
        for name in names {
            self.note_layer(name, def, compiled.func, input_types.clone(), &value);
        }
        Some(value)
    }

    fn scan_of(&mut self, steps: &Steps<'_, 'p>, inputs: Vec<NodeId>) -> Option<NodeId> {
        let Steps { compiled, outside, names, random, span, .. } = *steps;
        let mut fixed: Vec<NodeId> = inputs[1..].to_vec();
        let mut tables: Vec<NodeId> = Vec::new();
        let mut n_tables = 0;
        let mut sources: Vec<Source> = Vec::new();
        let mut n_inputs = 0;
        let params: Vec<(String, Role)> = self.module.functions[compiled.func]
            .params
            .iter()
            .map(|param| (param.name.clone(), param.role))
            .collect();
        for (name, role) in &params {
            sources.push(match (role, name.as_str(), random) {
                // One for all steps.
                (Role::Weight, ..) if is_outside(name) => {
                    let full = outside.full_name(None, name);
                    fixed.push(self.frame_ref().weights.get(&full).map(|(id, _)| *id)?);
                    Source::Fixed(fixed.len() - 1)
                }
                (Role::Weight | Role::State, ..) => {
                    for instance in names {
                        let full = outside.full_name(Some(instance), name);
                        let frame = self.frame_ref();
                        tables.push(match role {
                            Role::Weight => frame.weights.get(&full).map(|(id, _)| *id)?,
                            _ => frame.states.get(&full).map(|state| state.current)?,
                        });
                    }
                    n_tables += 1;
                    Source::Table(n_tables - 1)
                }
                (Role::Control, "path", Some(_)) => Source::Path,
                (Role::Control, which, Some(random)) => {
                    fixed.push(if which == "seed" { random.seed } else { random.step });
                    Source::Fixed(fixed.len() - 1)
                }
                _ => {
                    n_inputs += 1;
                    // The first input is what goes from step to step, the others lead the fixed operands.
                    if n_inputs == 1 { Source::Carried } else { Source::Fixed(n_inputs - 2) }
                }
            });
        }
        let paths = match random {
            Some(random) => Some(self.paths(random, names, span)?),
            None => None,
        };
        let mut operands = vec![inputs[0]];
        operands.extend(&fixed);
        operands.extend(paths);
        operands.extend(&tables);

        let n_kept = compiled.states.iter().filter(|(.., written, _)| *written).count() + compiled.side.len();
        let body = self.body_of(steps, &sources, inputs[0], &fixed, &tables)?;
        let scan = ops::Scan {
            body: self.module.functions.push(body),
            count: Dim::from(names.len() as i64),
            reverse: false,
            carried: 1,
            fixed: fixed.len(),
            stacked: usize::from(paths.is_some()),
            tables: n_tables,
            table_results: n_kept,
            remat: false,
        };
        let scan = self.add(scan, &operands, span)?;
        let result = self.add(ops::Get { index: 0 }, &[scan], span)?;
        let mut index = 1;
        for (name, .., written, _) in compiled.states.iter() {
            for instance in names.iter().filter(|_| *written) {
                let id = self.add(ops::Get { index }, &[scan], span)?;
                index += 1;
                let state = self.frame().states.get_mut(&outside.full_name(Some(instance), name))?;
                (state.current, state.written) = (id, true);
            }
        }
        let mut side = vec![Vec::new(); names.len()];
        for name in &compiled.side {
            for (instance, side) in names.iter().zip(&mut side) {
                let id = self.add(ops::Get { index }, &[scan], span)?;
                index += 1;
                side.push((outside.full_name(Some(instance), name), id));
            }
        }
        // In the order of single calls: instance by instance.
        self.frame().side.extend(side.into_iter().flatten());
        self.set_origins(result, compiled.origins.first().cloned().unwrap_or_default());
        Some(result)
    }

    /// The paths of the instances' random draws, those that single calls would have.
    fn paths(&mut self, random: RandomParams, names: &[String], span: Span) -> Option<NodeId> {
        let shape = shape::Shape(vec![Dim::from(names.len() as i64)]);
        let bits = names.iter().map(|name| (path_hash(name) as f64).to_bits()).collect();
        let hashes = ops::Constant { dtype: DType::I64, shape: vec![names.len()], bits };
        let hashes = self.add(hashes, &[], span)?;
        let factor = self.scalar(DType::I64, PATH_FACTOR as f64);
        let prime = self.scalar(DType::I64, PATH_PRIME as f64);
        let product = self.add(ops::Binary { op: Binary::Mul }, &[random.path, factor], span)?;
        let product = self.broadcast_to(product, &shape, span)?;
        let prime = self.broadcast_to(prime, &shape, span)?;
        let sum = self.add(ops::Binary { op: Binary::Add }, &[product, hashes], span)?;
        self.add(ops::Binary { op: Binary::Rem }, &[sum, prime], span)
    }

    /// One step: the layer's function on what the scan gives it, then its result, its new states and its side results.
    fn body_of(
        &mut self,
        steps: &Steps<'_, 'p>,
        sources: &[Source],
        carried: NodeId,
        fixed: &[NodeId],
        tables: &[NodeId],
    ) -> Option<Function> {
        let Steps { compiled, names, random, span, .. } = *steps;
        let outer = &self.frame_ref().function;
        let mut function = Function::new(self.fresh_function_name("repeat"));
        function.facts = outer.facts.clone();
        let mut b = Builder { module: &self.module, function: &mut function, span: Some(span) };
        let mut param = |name: String, ty: Type| b.param(Param { name, role: Role::Input, ty });
        let carried = param("x".into(), outer.ty(carried).clone());
        let fixed = fixed.iter().enumerate().map(|(i, id)| param(format!("fixed{i}"), outer.ty(*id).clone()));
        let fixed: Vec<NodeId> = fixed.collect();
        let path = random.map(|_| param("path".into(), Type::scalar(DType::I64)));
        let firsts = tables.chunks(names.len()).enumerate();
        let tables = firsts.map(|(i, table)| param(format!("table{i}"), outer.ty(table[0]).clone()));
        let tables: Vec<NodeId> = tables.collect();
        let operands = sources.iter().map(|source| match source {
            Source::Carried => Some(carried),
            Source::Fixed(index) => fixed.get(*index).copied(),
            Source::Path => path,
            Source::Table(index) => tables.get(*index).copied(),
        });
        let operands = operands.collect::<Option<Vec<NodeId>>>()?;
        let results = b.call(compiled.func, &operands).ok()?;
        let call = *results.first().and_then(|first| b.function.nodes[*first].inputs.first())?;
        b.function.nodes[call].scope = Some(steps.scope.clone());
        let (states, side) = results[1..].split_at(compiled.states.len());
        let written = compiled.states.iter().zip(states).filter(|((.., written, _), _)| *written);
        let kept = written.map(|(_, id)| *id).chain(side.iter().copied());
        for (index, id) in std::iter::once(results[0]).chain(kept).enumerate() {
            function.results.push((format!("result{index}"), Role::Output, id));
        }
        Some(function)
    }
}

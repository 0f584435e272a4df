//! The checker: evaluates the syntax tree over [`Value`]s while a [`Frame`] collects the graph.
//!
//! One walk does name resolution, shape proofs and elaboration. A layer becomes one graph function for each distinct
//! signature; a `fn` is evaluated in place. Faults are reported and replaced by [`Value::Error`], which stays silent.

use crate::{
    echoes::Echoes,
    frame::{Frame, Init, Mode, Weight},
    program::Program,
    value::Value,
};
use base::{Diagnostic, Span};
use grammar::ast;
use graph::{Builder, DType, FuncId, Function, Module, NodeId, Op, Type};
use shape::{Dim, Shape};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// How deep layers and functions may call each other: deeper is recursion.
pub const MAX_CALLS: usize = 100;
/// Nodes of all functions of a build.
pub const MAX_NODES: usize = 1_000_000;
/// Instances that one `repeat` may make.
pub const MAX_REPEAT: i64 = 10_000;
/// Elements of one tensor: 2^47 keeps every byte offset far from overflow.
pub const MAX_ELEMENTS: i64 = 1 << 47;

/// Calls around a fault that a message shows.
const CHAIN: usize = 3;
/// The label of a condition, which needs no further words where the condition is not shown.
pub const FALSE: &str = "does not hold";

/// What the command line says about a build.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--set NAME=VALUE` for a `const`, a model's configuration or a `train.KEY`.
    pub set: BTreeMap<String, String>,
    /// `--bind DIM=N`.
    pub bind: BTreeMap<String, i64>,
    /// `float` will be f16 or bf16: loss, metrics, updates and what they remember are f32 all the same. Checking does not
    /// look at it.
    pub half: bool,
    /// Equal instances of `repeat` are calls one after the other, never steps of a scan: what looks at single instances,
    /// or computes some of them again, needs them so.
    pub write_out: bool,
}

/// A layer compiled for one signature.
#[derive(Debug)]
pub struct Compiled<'p> {
    pub func: FuncId,
    pub weights: Vec<(String, Weight<'p>)>,
    pub states: Vec<(String, Type, Init<'p>, bool, Span)>,
    pub side: Vec<String>,
    pub random: bool,
    pub n_results: usize,
    pub origins: Vec<Vec<Option<Span>>>,
}

pub struct Checker<'p> {
    pub program: &'p Program<'p>,
    pub options: &'p Options,
    pub diagnostics: Vec<Diagnostic>,
    pub module: Module,
    pub frames: Vec<Frame<'p>>,
    pub compiled: BTreeMap<String, Option<Rc<Compiled<'p>>>>,
    /// By their place and whether for training.
    pub consts: BTreeMap<(Span, bool), Value<'p>>,
    /// The calls under way, innermost last: what is called, and where.
    pub calls: Vec<(&'p ast::Def, Span)>,
    /// Layers that some model, test or layer uses; the others are checked by themselves.
    pub used: BTreeSet<Span>,
    /// Definitions whose bodies have been looked at.
    pub entered: BTreeSet<Span>,
    /// Checking a layer by itself: what cannot be proved of its free dimensions is taken for granted.
    pub generic: bool,
    /// Only faults are wanted: what would repeat a walk without finding others is left out.
    pub only_check: bool,
    /// `_average` and the like note what they divide, for accumulating over a split.
    pub averages: Option<Vec<Average>>,
    /// Instances applied by the entry point, in order.
    pub layers: Vec<crate::api::LayerInfo>,
    /// The asserts of the test being collected; `None` outside a test.
    pub asserts: Option<Vec<crate::api::Assert>>,
    /// The plateau that the step's learning rate turned out to have, and its scale there.
    pub plateau: Option<(crate::api::Plateau, graph::NodeId)>,
    /// Fields of the data that the entry point turned out to read.
    pub fields: Vec<(String, graph::NodeId)>,
    /// The file of the `const` being evaluated, and how many calls were under way there.
    pub constant_in: Option<(base::FileId, usize)>,
    /// What each parameter was given last, by the place of its name: for messages about two arguments.
    pub arguments: BTreeMap<Span, Span>,
    /// Names that were missed, by the definition where: one that is misspelt where it is declared is missed at each use.
    pub unknown: BTreeSet<(Option<Span>, String)>,
    next_frame: u64,
    pub n_nodes: usize,
    reported: BTreeSet<(&'static str, Option<Span>)>,
    pub echoes: Echoes,
}

/// A mean that can be accumulated: its value is `total / count`.
#[derive(Clone, Copy, Debug)]
pub enum Average {
    Mean {
        value: NodeId,
        total: NodeId,
        count: NodeId,
    },
    /// An area under a curve: needs all scores and labels at once.
    Ranking {
        value: NodeId,
        scores: NodeId,
        labels: NodeId,
    },
}

impl<'p> Checker<'p> {
    pub fn new(program: &'p Program<'p>, options: &'p Options) -> Checker<'p> {
        Checker {
            program,
            options,
            diagnostics: Vec::new(),
            module: Module::default(),
            frames: Vec::new(),
            compiled: BTreeMap::new(),
            consts: BTreeMap::new(),
            calls: Vec::new(),
            used: BTreeSet::new(),
            entered: BTreeSet::new(),
            generic: false,
            only_check: false,
            averages: None,
            layers: Vec::new(),
            asserts: None,
            plateau: None,
            fields: Vec::new(),
            constant_in: None,
            arguments: BTreeMap::new(),
            unknown: BTreeSet::new(),
            next_frame: 0,
            n_nodes: 0,
            reported: BTreeSet::new(),
            echoes: Echoes::default(),
        }
    }

    /// Whether `float` is a half, as far as that matters.
    pub fn halves(&self) -> bool {
        self.options.half && !self.only_check
    }

    pub fn push_frame(&mut self, name: &str, mode: Mode, def: Option<&'p ast::Def>) {
        self.next_frame += 1;
        let mut frame = Frame::new(self.next_frame, Function::new(name), mode, def);
        // Sums over the data are f32 as well.
        frame.wide = mode.fit && self.halves();
        if let Some(def) = def {
            frame.inline_names = self.inline_names(def);
        }
        self.frames.push(frame);
    }

    /// What `float` is in the present frame.
    pub fn float(&self) -> DType {
        if self.frames.last().is_some_and(|frame| frame.wide) { DType::F32 } else { DType::Float }
    }

    /// The dtype that a type's name stands for in the present frame.
    pub fn dtype(&self, name: ast::TypeName) -> Option<DType> {
        let dtype = crate::types::dtype(name)?;
        Some(if dtype == DType::Float { self.float() } else { dtype })
    }

    /// The same as `float` of the present frame, where it is `float` of the model.
    pub fn widened(&mut self, id: NodeId, span: Span) -> Option<NodeId> {
        if self.ty(id).dtype == DType::Float { self.cast(id, self.float(), span) } else { Some(id) }
    }

    pub fn frame(&mut self) -> &mut Frame<'p> {
        self.frames.last_mut().expect("a frame is pushed before anything is evaluated")
    }

    pub fn frame_ref(&self) -> &Frame<'p> {
        self.frames.last().expect("a frame is pushed before anything is evaluated")
    }

    /// Reports a fault, once a place; what lies in the library is told at the user's call.
    pub fn report(&mut self, mut diagnostic: Diagnostic) -> Value<'p> {
        let program = self.program;
        let in_users = |span: &Span| program.is_users(*span);
        if diagnostic.span.is_some_and(|span| !in_users(&span)) {
            // The library is not the user's to change.
            diagnostic.fix.clear();
            if let Some((def, at)) = self.calls.iter().rev().find(|(_, at)| in_users(at)).copied() {
                let place = diagnostic.labels.first().filter(|label| label.text != FALSE);
                let place = place.map_or(String::new(), |label| format!(": {}", label.text));
                diagnostic.labels.retain(|label| in_users(&label.span));
                diagnostic.labels.insert(
                    0,
                    base::Label { span: at, text: format!("in this use of `{}`{place}", def.name.text) },
                );
                diagnostic.span = Some(at);
            }
        } else if let Some((def, at)) = self.calls.last().copied().filter(|(_, at)| in_users(at)) {
            let known = diagnostic.labels.iter().any(|label| label.span == at);
            if !known && diagnostic.is_error() {
                diagnostic.labels.push(base::Label {
                    span: at,
                    text: format!("while checking this use of `{}`", def.name.text),
                });
                // The way there, as far as it is the user's.
                for (outer, at) in self.calls.iter().rev().skip(1).take(CHAIN) {
                    if in_users(at) && diagnostic.labels.iter().all(|label| label.span != *at) {
                        let text = format!("which this use of `{}` asks for", outer.name.text);
                        diagnostic.labels.push(base::Label { span: *at, text });
                    }
                }
            }
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.faulty |= diagnostic.is_error();
        }
        if self.reported.insert((diagnostic.code, diagnostic.span))
            && let Some(diagnostic) = self.without_echoes(diagnostic)
        {
            self.diagnostics.push(diagnostic);
        }
        Value::Error
    }

    pub fn error(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Value<'p> {
        self.report(Diagnostic::error(code, message).label(span, label))
    }

    /// A construct whose meaning is not built yet.
    pub fn unsupported(&mut self, span: Span, what: &str) -> Value<'p> {
        self.error(
            "E0501",
            span,
            format!("{what} is not supported yet"),
            "this parses and formats, but cannot be compiled so far",
        )
    }

    pub fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId], span: Span) -> Option<NodeId> {
        self.add_at(op.into(), inputs, span, &[])
    }

    /// Adds a node. `operand_spans` are where its operands stand, for the labels of a fault.
    pub fn add_at(
        &mut self,
        op: Op,
        inputs: &[NodeId],
        span: Span,
        operand_spans: &[Span],
    ) -> Option<NodeId> {
        self.n_nodes += 1;
        if self.n_nodes > MAX_NODES {
            self.error(
                "E0402",
                span,
                format!("the model has more than {MAX_NODES} operations"),
                "the limit is passed here",
            );
            return None;
        }
        let frame = self.frames.last_mut()?;
        let mut builder = Builder { module: &self.module, function: &mut frame.function, span: Some(span) };
        let outcome = builder.try_add(op, inputs);
        match outcome {
            Ok(id) => {
                let too_large = |ty: &&graph::Type| {
                    let size = ty.shape.elements();
                    size.overflowed() || size.as_const().is_some_and(|n| n > MAX_ELEMENTS)
                };
                if let Some(ty) = frame.function.nodes[id].types.iter().find(too_large) {
                    let ty = ty.to_string();
                    self.error(
                        "E0403",
                        span,
                        format!("{ty} has too many elements"),
                        "a tensor has at most 2^47 elements",
                    );
                    return None;
                }
                self.note_origin(id, span);
                Some(id)
            }
            // Of free dimensions, only what can never hold is a fault.
            Err(fault) if self.generic && !frame.never_holds(&fault) => None,
            Err(fault) => {
                let mut diagnostic = Diagnostic::error(fault.code, fault.message.clone()).at(span);
                for (operand, text) in &fault.labels {
                    let place = operand_spans.get(*operand).copied().unwrap_or(span);
                    diagnostic = diagnostic.label(place, text.clone());
                }
                if diagnostic.labels.is_empty() {
                    diagnostic = diagnostic.label(span, "here");
                }
                diagnostic = diagnostic.maybe_help(fault.help.clone());
                let operands: Vec<NodeId> =
                    fault.labels.iter().filter_map(|(operand, _)| inputs.get(*operand)).copied().collect();
                for id in operands {
                    if fault.code == "E0302" {
                        diagnostic = self.dtype_from_here(diagnostic, id);
                    }
                    for dim in &fault.dims {
                        diagnostic = self.dim_from_here(diagnostic, id, dim);
                    }
                }
                self.report(diagnostic);
                None
            }
        }
    }

    /// An axis of a result comes from where the same axis of an operand comes from; a new size from the operation.
    fn note_origin(&mut self, id: NodeId, span: Span) {
        let Some(frame) = self.frames.last_mut() else { return };
        let mut axes = Vec::new();
        let node = &frame.function.nodes[id];
        if node.types.len() == 1 {
            let shape = &frame.function.ty(id).shape;
            for (axis, dim) in shape.iter().enumerate() {
                let mut places = node.inputs.iter().enumerate().filter_map(|(operand, input)| {
                    let other = &frame.function.nodes[*input].types[0].shape;
                    let same = match &node.op {
                        Op::Contract(contract) => contract.axis_of(operand, axis)?,
                        // Shapes are lined up from the right; what moved is known by its size.
                        _ => {
                            let aligned = (axis + other.rank()).checked_sub(shape.rank());
                            let aligned = aligned.filter(|axis| other[*axis] == *dim);
                            aligned.or_else(|| other.iter().position(|other| other == dim))?
                        }
                    };
                    frame.origins.get(input.index())?.get(same).copied()
                });
                axes.push(places.next().unwrap_or(Some(span)));
            }
        }
        frame.origins.resize(id.index() + 1, Vec::new());
        frame.origins[id.index()] = axes;
    }

    /// What comes from inside the library comes, to the user, from the call.
    pub fn origins_of_call(&mut self, value: &Value<'p>, span: Span) {
        let program = self.program;
        match value {
            Value::Tensor(id) if program.is_users(span) => {
                let places = self.frame().origins.get_mut(id.index());
                for place in places.into_iter().flatten() {
                    if place.is_some_and(|place| !program.is_users(place)) {
                        *place = Some(span);
                    }
                }
            }
            Value::Tuple(items) => items.iter().for_each(|item| self.origins_of_call(item, span)),
            _ => {}
        }
    }

    pub fn origin(&self, id: NodeId, axis: usize) -> Option<Span> {
        self.frame_ref().origins.get(id.index())?.get(axis).copied()?
    }

    pub fn set_origins(&mut self, id: NodeId, origins: Vec<Option<Span>>) {
        let frame = self.frame();
        if frame.origins.len() <= id.index() {
            frame.origins.resize(id.index() + 1, Vec::new());
        }
        frame.origins[id.index()] = origins;
    }

    pub fn param(&mut self, param: graph::Param) -> NodeId {
        let module = &self.module;
        let frame = self.frames.last_mut().expect("parameters belong to a frame");
        let id = Builder::new(module, &mut frame.function).param(param);
        frame.origins.resize(id.index() + 1, Vec::new());
        id
    }

    pub fn ty(&self, id: NodeId) -> &Type {
        self.frame_ref().function.ty(id)
    }

    pub fn shape(&self, id: NodeId) -> Shape {
        self.ty(id).shape.clone()
    }

    /// A number as a scalar of a dtype.
    pub fn scalar(&mut self, dtype: DType, value: f64) -> NodeId {
        let op = graph::ops::Constant { dtype, shape: Vec::new(), bits: vec![value.to_bits()] };
        let module = &self.module;
        let frame = self.frames.last_mut().expect("constants belong to a frame");
        let id = Builder::new(module, &mut frame.function).add(op.into(), &[]);
        frame.origins.resize(id.index() + 1, Vec::new());
        id
    }

    pub fn broadcast_to(&mut self, id: NodeId, shape: &Shape, span: Span) -> Option<NodeId> {
        if self.ty(id).shape == *shape {
            return Some(id);
        }
        self.add(graph::ops::Broadcast { shape: shape.clone() }, &[id], span)
    }

    pub fn cast(&mut self, id: NodeId, to: DType, span: Span) -> Option<NodeId> {
        if self.ty(id).dtype == to { Some(id) } else { self.add(graph::ops::Cast { to }, &[id], span) }
    }

    pub fn tensor_or_error(id: Option<NodeId>) -> Value<'p> {
        id.map_or(Value::Error, Value::Tensor)
    }

    /// Any value that can be a tensor, as one. Numbers take `hint`, or `float`.
    pub fn tensor(&mut self, value: &Value<'p>, hint: Option<DType>, span: Span) -> Option<NodeId> {
        match value {
            Value::Tensor(id) => Some(*id),
            Value::Int(number) => {
                let dtype = hint.filter(|d| !d.is_bool()).unwrap_or(self.float());
                Some(self.scalar(dtype, *number as f64))
            }
            Value::Float(number) => match hint {
                Some(dtype) if dtype.is_int() && number.fract() != 0.0 => {
                    self.error(
                        "E0302",
                        span,
                        format!("{number} is not a whole number, but the other side is {dtype}"),
                        format!("cannot be {dtype}"),
                    );
                    None
                }
                Some(dtype) if !dtype.is_bool() => Some(self.scalar(dtype, *number)),
                _ => Some(self.scalar(self.float(), *number)),
            },
            Value::Bool(flag) => Some(self.scalar(DType::BOOL, f64::from(u8::from(*flag)))),
            Value::Dim(dim) => {
                let dtype = hint.filter(|d| !d.is_bool()).unwrap_or(self.float());
                self.add(graph::ops::Size { dim: dim.clone(), dtype }, &[], span)
            }
            Value::List(items) => self.list_to_tensor(items, hint, span),
            Value::Field(name) => {
                let diagnostic = Diagnostic::error("E0206", format!("`{name}` is not known here"))
                    .label(span, "taken for a field of the data, whose type is not known");
                let diagnostic = self.type_of_field(diagnostic, name, span);
                self.report(diagnostic);
                None
            }
            Value::Error => None,
            other => {
                self.error(
                    "E0305",
                    span,
                    format!("a tensor is needed here, but this is {}", other.kind()),
                    other.kind(),
                );
                None
            }
        }
    }

    fn list_to_tensor(&mut self, items: &[Value<'p>], hint: Option<DType>, span: Span) -> Option<NodeId> {
        if items.is_empty() {
            let dtype = hint.unwrap_or(self.float());
            return self.add(graph::ops::Constant { dtype, shape: vec![0], bits: Vec::new() }, &[], span);
        }
        if let Some((shape, values, all_bool)) = literal(items) {
            let dtype =
                if all_bool { DType::BOOL } else { hint.filter(|d| !d.is_bool()).unwrap_or(self.float()) };
            if dtype.is_int() && values.iter().any(|value| value.fract() != 0.0) {
                self.error(
                    "E0302",
                    span,
                    format!("the list has fractions, but the other side is {dtype}"),
                    "a fraction is here",
                );
                return None;
            }
            let bits = values.iter().map(|value| value.to_bits()).collect();
            return self.add(graph::ops::Constant { dtype, shape, bits }, &[], span);
        }
        // A list with tensors inside: all of one type, stacked along a new first axis.
        let dtype = items.iter().find_map(|item| match item {
            Value::Tensor(id) => Some(self.ty(*id).dtype),
            _ => None,
        });
        let mut rows = Vec::new();
        for item in items {
            let id = self.tensor(item, dtype.or(hint), span)?;
            let mut dims = self.shape(id).0;
            dims.insert(0, Dim::from(1i64));
            rows.push(self.add(graph::ops::Reshape { shape: Shape(dims) }, &[id], span)?);
        }
        if let [row] = rows[..] { Some(row) } else { self.add(graph::ops::Concat { axis: 0 }, &rows, span) }
    }
}

/// Shape and values of nested lists of numbers; `None` where they hold something else or are ragged.
fn literal(items: &[Value<'_>]) -> Option<(Vec<usize>, Vec<f64>, bool)> {
    let (mut shape, mut values, mut all_bool) = (None, Vec::new(), true);
    for item in items {
        let (inner, mut inner_values, inner_bool) = match item {
            Value::Int(value) => (Vec::new(), vec![*value as f64], false),
            Value::Float(value) => (Vec::new(), vec![*value], false),
            Value::Bool(value) => (Vec::new(), vec![f64::from(u8::from(*value))], true),
            Value::List(items) if !items.is_empty() => literal(items)?,
            _ => return None,
        };
        if *shape.get_or_insert_with(|| inner.clone()) != inner {
            return None;
        }
        all_bool &= inner_bool;
        values.append(&mut inner_values);
    }
    let mut shape = shape?;
    shape.insert(0, items.len());
    Some((shape, values, all_bool))
}

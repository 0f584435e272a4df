//! One entry point from end to end: groups, kernels, memory, plan.

use crate::{
    Lowered, Options, Unsupported, checks,
    draft::{Draft, Store},
    emit::emit_group,
    group::{Groups, form_groups},
    place::{Analysis, Place},
    plan_memory,
};
use base::{Id, IdVec};
use graph::{FuncId, Module, NodeId, Op, Role};
use kernel::{Arg, ArgRole, BufferRef, Call, Constant, ConstantId, DType, Plan, Step};
use std::collections::BTreeMap;

/// Lowers an entry function: inlined, composites expanded, dtypes concrete.
pub fn lower(module: &Module, entry: FuncId, options: &Options<'_>) -> Result<Lowered, Unsupported> {
    let function = &module.functions[entry];
    let analysis = Analysis::new(function, options)?;
    let groups = form_groups(&analysis);
    let mut checks = Vec::new();
    let mut steps = checks::requirements(&analysis, &mut checks);
    let bounds = checks::bounds(&analysis, &groups, &mut checks);

    let mut draft = Draft::default();
    let mut pending = bounds;
    for index in 0..groups.groups.len() {
        for bound in pending.extract_if(.., |bound| bound.before <= index) {
            checks::emit_bound(&analysis, &groups, &bound, &mut draft);
        }
        emit_group(&analysis, &groups, index, &mut draft)?;
    }
    for bound in &pending {
        checks::emit_bound(&analysis, &groups, bound, &mut draft);
    }

    let refs = References::new(&analysis, &groups, &draft)?;
    let mut kernels = Vec::new();
    for call in draft.calls {
        let buffers = call.buffers.iter().map(|store| refs.buffer(*store)).collect::<Result<Vec<_>, _>>()?;
        steps.push(Step::Call(Call { kernel: Id::new(kernels.len()), buffers, work: call.work }));
        kernels.push(call.kernel);
    }
    let arg = |name: &str, role: Role, ty: &graph::Type| Arg {
        name: name.to_string(),
        role: arg_role(role),
        dtype: ty.dtype.concrete(options.float),
        shape: ty.shape.to_vec(),
    };
    let plan = Plan {
        name: options.name.clone(),
        symbols: symbols(&analysis),
        args: function.params.iter().map(|param| arg(&param.name, param.role, &param.ty)).collect(),
        results: function.results.iter().map(|(name, role, id)| arg(name, *role, function.ty(*id))).collect(),
        constants: refs.constants,
        steps,
        checks,
        workspace: refs.workspace,
    };
    Ok(Lowered { kernels, plan })
}

/// Dimensions of the entry, with those that only its checks mention.
fn symbols(analysis: &Analysis<'_>) -> Vec<shape::Symbol> {
    let mut symbols = analysis.function.symbols();
    for effect in &analysis.function.effects {
        let (a, b) = match effect {
            graph::Effect::RequireGe { value, at_least, .. } => (value, at_least),
            graph::Effect::RequireEq { a, b, .. } => (a, b),
        };
        for symbol in a.symbols().into_iter().chain(b.symbols()) {
            if !symbols.contains(&symbol) {
                symbols.push(symbol);
            }
        }
    }
    symbols
}

/// Where values are during a call of the plan.
struct References {
    nodes: BTreeMap<NodeId, BufferRef>,
    offsets: BTreeMap<Store, shape::Dim>,
    constants: IdVec<Constant>,
    workspace: shape::Dim,
}

impl References {
    fn new(analysis: &Analysis<'_>, groups: &Groups, draft: &Draft) -> Result<References, Unsupported> {
        let function = analysis.function;
        let mut nodes = BTreeMap::new();
        let mut constants: IdVec<Constant> = IdVec::new();
        for (id, node) in function.nodes.iter() {
            match (analysis.place(id), &node.op) {
                (Place::Argument(index), _) => {
                    nodes.insert(id, BufferRef::Arg(*index));
                }
                (Place::Data, Op::Constant(constant)) => {
                    let data = literal(constant, analysis.dtype(id));
                    let known = constants.iter().find(|(_, other)| **other == data).map(|(known, _)| known);
                    let place: ConstantId = known.unwrap_or_else(|| constants.push(data));
                    nodes.insert(id, BufferRef::Constant(place));
                }
                _ => {}
            }
        }
        for (index, (_, _, result)) in function.results.iter().enumerate() {
            let base = analysis.base(*result);
            if groups.group_of[base.index()].is_some() {
                nodes.entry(base).or_insert(BufferRef::Result(index));
            }
        }
        let size = |store: Store| match store {
            Store::Node(id) if nodes.contains_key(&id) => None,
            Store::Node(id) => Some(analysis.ty(id).shape.elements() * analysis.dtype(id).size() as i64),
            Store::Temp(index) => {
                let (dtype, elements) = &draft.temps[index];
                Some(elements * dtype.size() as i64)
            }
            Store::Result(_) => None,
        };
        let layout = plan_memory::lay_out(draft, &function.facts, size);
        Ok(References { nodes, offsets: layout.offsets, constants, workspace: layout.bytes })
    }

    fn buffer(&self, store: Store) -> Result<BufferRef, Unsupported> {
        if let Store::Result(index) = store {
            return Ok(BufferRef::Result(index));
        }
        if let Store::Node(id) = store
            && let Some(place) = self.nodes.get(&id)
        {
            return Ok(place.clone());
        }
        let offset = self.offsets.get(&store).cloned();
        let offset = offset.ok_or_else(|| Unsupported::new("internal: a value without a place", None))?;
        Ok(BufferRef::Workspace { offset })
    }
}

fn arg_role(role: Role) -> ArgRole {
    match role {
        Role::Input => ArgRole::Input,
        Role::Weight => ArgRole::Weight,
        Role::State => ArgRole::State,
        Role::Optimizer => ArgRole::Optimizer,
        Role::Control => ArgRole::Control,
        Role::Output => ArgRole::Output,
        Role::Loss => ArgRole::Loss,
        Role::Metric => ArgRole::Metric,
        Role::Gradient => ArgRole::Gradient,
    }
}

/// Literal data as bytes, little endian.
fn literal(constant: &graph::ops::Constant, dtype: DType) -> Constant {
    let width = dtype.size();
    let mut bytes = Vec::with_capacity(constant.bits.len() * width);
    for bits in &constant.bits {
        let value = f64::from_bits(*bits);
        let rounded = kernel::interp::round(dtype, value);
        let word: u64 = match dtype {
            DType::F64 => value.to_bits(),
            DType::F32 => u64::from((value as f32).to_bits()),
            DType::BF16 => u64::from((rounded as f32).to_bits() >> 16),
            DType::F16 => u64::from(half_bits(rounded)),
            DType::Bool => u64::from(value != 0.0),
            _ => value as i64 as u64,
        };
        bytes.extend_from_slice(&word.to_le_bytes()[..width]);
    }
    Constant { dtype, shape: constant.shape.clone(), bytes }
}

/// The bits of a value that is an f16 already.
fn half_bits(value: f64) -> u16 {
    let sign = if value.is_sign_negative() { 1u16 << 15 } else { 0 };
    let magnitude = value.abs();
    if value.is_nan() {
        return 0x7e00;
    }
    if magnitude.is_infinite() {
        return sign | 0x7c00;
    }
    let smallest_normal = (-14f64).exp2();
    if magnitude < smallest_normal {
        return sign | (magnitude * 24f64.exp2()) as u16;
    }
    let exponent = magnitude.log2().floor();
    let fraction = (magnitude / exponent.exp2() - 1.0) * 1024.0;
    sign | (((exponent + 15.0) as u16) << 10) | fraction as u16
}

//! The steps of one function: groups, kernels, memory. Bodies of scans, conditions and loops are functions like the
//! entry; their steps become part of their caller's, their workspace one of its temporaries.

use crate::{
    Fusion, Memory, Options, Unsupported, ahead, checks, control,
    draft::{Draft, DraftControl, DraftStep, Store},
    emit::emit_group,
    group::{Groups, Kind, form_groups},
    kept,
    literal::literal,
    measure::measure,
    place::{Analysis, Place},
    plan_memory::{self, Layout},
    resolve::Places,
    rowwise,
    watch::{Tested, Watch},
};
use base::{Id, IdVec};
use graph::{Function, Module, NodeId, Op};
use kernel::{BufferRef, Call, Check, Constant, ConstantId, Kernel, LoopId, SlotId, Step};
use shape::{Dim, Symbol};
use std::collections::BTreeMap;

/// What the functions of one plan share.
pub struct Unit<'m> {
    pub module: &'m Module,
    pub kernels: Vec<Kernel>,
    pub constants: IdVec<Constant>,
    pub checks: Vec<Check>,
    /// The dynamic dimensions, in the order in which they are met.
    pub symbols: Vec<Symbol>,
    loops: u32,
    slots: u32,
    /// Where every stored value is tested.
    pub watch: Option<Watch>,
}

/// Steps that speak of the function's parameters as arguments, of its results as results.
pub struct Fragment {
    pub steps: Vec<Step>,
    /// Bytes that the steps use between them.
    pub workspace: Dim,
}

impl<'m> Unit<'m> {
    pub fn new(module: &'m Module) -> Unit<'m> {
        Unit {
            module,
            kernels: Vec::new(),
            constants: IdVec::new(),
            checks: Vec::new(),
            symbols: Vec::new(),
            loops: 0,
            slots: 0,
            watch: None,
        }
    }

    /// One that tests every stored value.
    pub fn watching(module: &'m Module) -> Unit<'m> {
        Unit { watch: Some(Watch::default()), ..Unit::new(module) }
    }

    pub fn new_loop(&mut self) -> LoopId {
        self.loops += 1;
        LoopId(self.loops - 1)
    }

    pub fn function(&mut self, function: &Function, options: &Options<'_>) -> Result<Fragment, Unsupported> {
        let analysis = Analysis::new(function, options)?;
        self.note_symbols(function);
        let groups = form_groups(&analysis);
        let mut steps = checks::requirements(&analysis, &mut self.checks);
        let mut pending = checks::bounds(&analysis, &groups, &mut self.checks);

        if let Some(watch) = &mut self.watch {
            watch.enter(function);
        }
        let infinite = self.watch.as_ref().map(|watch| watch.infinities()).unwrap_or_default();
        let is_entry = self.watch.as_ref().is_some_and(Watch::in_entry);
        let mut draft = Draft::default();
        for (index, group) in groups.groups.iter().enumerate() {
            for bound in pending.extract_if(.., |bound| bound.before <= index) {
                checks::emit_bound(&analysis, &groups, &bound, &mut draft);
            }
            let first = draft.steps.len();
            match (&group.kind, group.heroes.first()) {
                (Kind::Control, Some(node)) => control::emit(self, &analysis, *node, &mut draft)?,
                _ => emit_group(&analysis, &groups, index, &mut draft)?,
            }
            if let Some(place) = options.measure {
                measure(&analysis, &groups, index, &mut draft, first, place);
            }
            if let Some(watch) = &mut self.watch {
                let tested = Tested { analysis: &analysis, groups: &groups, infinite: &infinite, is_entry };
                tested.emit(index, &mut draft, &mut self.checks, &mut watch.watched);
            }
        }
        for bound in &pending {
            checks::emit_bound(&analysis, &groups, bound, &mut draft);
        }

        if options.fusion == Fusion::Groups {
            rowwise::join(&mut draft.steps, &function.facts);
            kept::keep(&mut draft.steps);
            ahead::ask(&mut draft.steps);
        }

        let mut refs = References::new(&analysis, &groups, &draft, self);
        for (number, step) in draft.steps.into_iter().enumerate() {
            steps.extend(refs.layout.before(number));
            match step {
                DraftStep::Call(call) => {
                    let buffers = call.buffers.iter().map(|store| refs.buffer(*store));
                    let buffers = buffers.collect::<Result<Vec<_>, _>>()?;
                    let (kernel, work) = (Id::new(self.kernels.len()), call.work);
                    let step = Step::Call(Call { kernel, buffers, work });
                    steps.push(match call.measured {
                        Some(of) => Step::Timed { of: Box::new(of), body: vec![step] },
                        None => step,
                    });
                    self.kernels.push(call.kernel);
                }
                DraftStep::Control(control) => steps.push(refs.step(control)?),
            }
            steps.extend(refs.layout.after(number));
        }
        Ok(Fragment { steps, workspace: refs.layout.bytes })
    }

    /// The number of what fails where there is no memory.
    fn memory_check(&mut self) -> u32 {
        let check = Check { message: "there is not enough memory for a value".into(), place: String::new() };
        let known = self.checks.iter().position(|known| *known == check);
        let number = known.unwrap_or_else(|| {
            self.checks.push(check);
            self.checks.len() - 1
        });
        number as u32
    }

    /// Dimensions of the function, with those that only its checks and loops mention.
    fn note_symbols(&mut self, function: &Function) {
        let mut symbols = function.symbols();
        let mut also = |dim: &Dim| symbols.extend(dim.symbols());
        for effect in &function.effects {
            let (a, b) = match effect {
                graph::Effect::RequireGe { value, at_least, .. } => (value, at_least),
                graph::Effect::RequireEq { a, b, .. } => (a, b),
            };
            also(a);
            also(b);
        }
        for node in function.nodes.values() {
            match &node.op {
                Op::Scan(scan) => also(&scan.count),
                Op::While(repeat) => repeat.limit.iter().for_each(&mut also),
                _ => {}
            }
        }
        for symbol in symbols {
            if !self.symbols.contains(&symbol) {
                self.symbols.push(symbol);
            }
        }
    }
}

/// Where values are during a call of the plan.
struct References {
    nodes: BTreeMap<NodeId, BufferRef>,
    layout: Layout,
}

impl References {
    fn new(analysis: &Analysis<'_>, groups: &Groups, draft: &Draft, unit: &mut Unit<'_>) -> References {
        let function = analysis.function;
        let mut nodes = BTreeMap::new();
        for (id, node) in function.nodes.iter() {
            match (analysis.place(id), &node.op) {
                (Place::Argument(index), _) => {
                    nodes.insert(id, BufferRef::Arg(*index));
                }
                (Place::Data, Op::Constant(constant)) => {
                    let data = literal(constant, analysis.dtype(id));
                    let constants = &mut unit.constants;
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
        let layout = match analysis.options.memory {
            Memory::Planned => plan_memory::lay_out(draft, &function.facts, size),
            Memory::Allocated => {
                let check = unit.memory_check();
                let next = || {
                    unit.slots += 1;
                    SlotId(unit.slots - 1)
                };
                plan_memory::allocate(draft, next, check, size)
            }
        };
        References { nodes, layout }
    }

    /// A step that speaks of stores by their number, and of room of its own.
    fn step(&self, control: DraftControl) -> Result<Step, Unsupported> {
        let stores = control.stores.iter().map(|store| self.buffer(*store)).collect::<Result<Vec<_>, _>>()?;
        let room = match control.workspace.map(|store| self.buffer(store)).transpose()? {
            Some(BufferRef::Workspace { offset }) => offset,
            _ => Dim::from(0i64),
        };
        let places = Places { args: &stores, results: &[], room: &room };
        Ok(places.step(&control.step))
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
        let place = self.layout.places.get(&store).cloned();
        place.ok_or_else(|| Unsupported::new("internal: a value without a place", None))
    }
}

//! What is told of kernel calls whose time is taken: the operators, their place, their work and their traffic.

use crate::{
    draft::{Draft, DraftStep, Store},
    group::{Group, Groups, Kind},
    place::{Analysis, Place},
};
use graph::{Node, NodeId, Op, binary_name, combine_name, flops, unary_name};
use kernel::{Form, Measured};
use shape::Dim;
use std::collections::{BTreeMap, BTreeSet};

/// Names of operators that are told of one kernel.
const NAMED: usize = 4;
/// What stands for a dynamic dimension where two kernels of one group are compared.
const NOMINAL: i64 = 64;

/// Tells it of the calls from `first` on, which compute the group. Where there are several, the one that does most is
/// told all the work.
pub fn measure(
    analysis: &Analysis<'_>,
    groups: &Groups,
    index: usize,
    draft: &mut Draft,
    first: usize,
    place: &dyn Fn(&Node) -> String,
) {
    let group = &groups.groups[index];
    if group.kind == Kind::Control {
        return;
    }
    let computed = Computed::new(analysis, group);
    let main = heaviest(analysis, &draft.steps[first..]).map(|main| first + main);
    let temps = draft.temps.clone();
    for (number, step) in draft.steps.iter_mut().enumerate().skip(first) {
        let DraftStep::Call(call) = step else { continue };
        let stores: BTreeSet<Store> = call.buffers.iter().copied().collect();
        let bytes = stores.into_iter().map(|store| match store {
            Store::Node(id) => match computed.read.get(&id) {
                Some(read) => read * analysis.dtype(id).size() as i64,
                None => bytes_of(analysis, id),
            },
            Store::Temp(temp) => &temps[temp].1 * temps[temp].0.size() as i64,
            Store::Result(_) => group.source.map_or(Dim::default(), |source| bytes_of(analysis, source)),
        });
        let bytes = bytes.sum();
        let flops = if main == Some(number) { computed.flops.clone() } else { Dim::default() };
        let place = computed.told.map_or(String::new(), |id| place(analysis.node(id)));
        call.measured = Some(Measured { what: computed.what.clone(), place, flops, bytes });
    }
}

/// What a group's kernels work out, with what they compute on the way.
struct Computed {
    what: String,
    flops: Dim,
    /// How many elements are read of each value that other groups have computed, at least once.
    read: BTreeMap<NodeId, Dim>,
    /// The node whose place is told.
    told: Option<NodeId>,
}

impl Computed {
    fn new(analysis: &Analysis<'_>, group: &Group) -> Computed {
        let own: BTreeSet<NodeId> = group.heroes.iter().chain(&group.members).copied().collect();
        let mut nodes = own.clone();
        let mut read: BTreeMap<NodeId, Dim> = BTreeMap::new();
        let mut stack: Vec<NodeId> = own.iter().copied().collect();
        if let Some(source) = group.source.filter(|source| nodes.insert(*source)) {
            stack.push(source);
        }
        while let Some(id) = stack.pop() {
            for input in &analysis.node(id).inputs {
                let base = analysis.base(*input);
                match analysis.place(base) {
                    Place::Inline if nodes.insert(base) => stack.push(base),
                    Place::Argument(_) | Place::Data | Place::Computed if !own.contains(&base) => {
                        let elements = read.entry(base).or_default();
                        *elements = &*elements + elements_read(analysis, id, base);
                    }
                    _ => {}
                }
            }
        }
        for (id, elements) in &mut read {
            *elements = Dim::min(elements, &analysis.ty(*id).shape.elements());
        }
        let mut names: Vec<&str> = Vec::new();
        for id in &nodes {
            let op = &analysis.node(*id).op;
            let silent = matches!(op, Op::Constant(_) | Op::Size(_) | Op::Broadcast(_) | Op::Reshape(_));
            if !silent && !names.contains(&word(op)) {
                names.push(word(op));
            }
        }
        let more = if names.len() > NAMED { ", …" } else { "" };
        let mut what = names[..names.len().min(NAMED)].join(", ") + more;
        if what.is_empty() {
            what = "copy".into();
        }
        let flops = nodes.iter().map(|id| flops(analysis.function, *id)).sum();
        let told = group.heroes.first().or(group.members.last()).copied().or(group.source);
        Computed { what, flops, read, told }
    }
}

/// As people know the operator.
fn word(op: &Op) -> &'static str {
    match op {
        Op::Unary(unary) => unary_name(unary.op),
        Op::Binary(binary) => binary_name(binary.op),
        Op::Reduce(reduce) => combine_name(reduce.combine),
        op => op.name(),
    }
}

/// Elements that one node reads of an operand.
fn elements_read(analysis: &Analysis<'_>, reader: NodeId, of: NodeId) -> Dim {
    let whole = analysis.ty(of).shape.elements();
    match analysis.form(reader) {
        Some(Form::Map | Form::Alias) => Dim::min(&analysis.ty(reader).shape.elements(), &whole),
        _ => whole,
    }
}

fn bytes_of(analysis: &Analysis<'_>, id: NodeId) -> Dim {
    analysis.ty(id).shape.elements() * analysis.dtype(id).size() as i64
}

/// The call that does most at nominal sizes, the first of equal ones.
fn heaviest(analysis: &Analysis<'_>, steps: &[DraftStep]) -> Option<usize> {
    let sizes = analysis.function.symbols().into_iter().map(|symbol| (symbol, NOMINAL)).collect();
    let work = |step: &DraftStep| match step {
        DraftStep::Call(call) => call.work.eval(&sizes).unwrap_or(0),
        DraftStep::Control(_) => -1,
    };
    let works: Vec<i64> = steps.iter().map(work).collect();
    let most = works.iter().copied().max().filter(|most| *most >= 0)?;
    works.iter().position(|work| *work == most)
}

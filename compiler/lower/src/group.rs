//! Fusion groups: what one kernel computes. A group has the index space of its result, heroes (reductions, a
//! contraction, a scatter) that need loops of their own, and members that are computed from them index by index.

use crate::attention::Attention;
use crate::place::{Analysis, Place};
use graph::{NodeId, Op, Role};
use kernel::{Combine, Form};
use shape::{Dim, Shape};
use std::collections::BTreeSet;

#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    Map,
    Reduce {
        extents: Vec<Dim>,
    },
    Contract {
        extents: Vec<Dim>,
    },
    Scatter,
    Recurrence,
    Order,
    /// Two contractions with what stands between them.
    Attention(Attention),
    /// A scan, condition or loop; its hero is the node that runs functions.
    Control,
    /// A result that is no computed value's own memory: an argument, or a value that is a result twice.
    Copy {
        result: usize,
    },
}

#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    pub kind: Kind,
    pub shape: Shape,
    /// Nodes whose loops the group runs; empty for maps.
    pub heroes: Vec<NodeId>,
    /// Values computed at the output's index, heroes not among them, in order.
    pub members: Vec<NodeId>,
    /// For a copy: what is copied.
    pub source: Option<NodeId>,
}

pub struct Groups {
    pub groups: Vec<Group>,
    /// The group of each computed node.
    pub group_of: Vec<Option<usize>>,
    /// Whether the value is read by another group, or a result.
    pub stored: Vec<bool>,
}

/// A group looks this far back for one to join.
const WINDOW: usize = 24;
/// Values that one kernel may store.
const MAX_STORES: usize = 8;

/// More elements than these are too much memory to hold from the start.
const EARLY_ELEMENTS: i64 = 1 << 14;

struct Grouping<'a, 'b> {
    analysis: &'b Analysis<'a>,
    groups: Vec<Group>,
    group_of: Vec<Option<usize>>,
    /// Nodes with memory that each node's expression reads.
    reads: Vec<BTreeSet<NodeId>>,
}

pub fn form_groups(analysis: &Analysis<'_>) -> Groups {
    let n = analysis.function.nodes.len();
    let mut grouping =
        Grouping { analysis, groups: Vec::new(), group_of: vec![None; n], reads: vec![BTreeSet::new(); n] };
    let early = early(analysis);
    let ids = || analysis.function.nodes.iter().map(|(id, _)| id);
    for id in ids().filter(|id| early[id.index()]).chain(ids().filter(|id| !early[id.index()])) {
        grouping.add(id);
    }
    let Grouping { mut groups, group_of, .. } = grouping;
    let mut stored = vec![false; n];
    let mut claimed = BTreeSet::new();
    for (index, (_, _, result)) in analysis.function.results.iter().enumerate() {
        let base = analysis.base(*result);
        if *analysis.place(base) == Place::Computed && claimed.insert(base) {
            stored[base.index()] = true;
            continue;
        }
        if *analysis.place(base) == Place::Computed {
            stored[base.index()] = true;
        }
        let shape = analysis.ty(*result).shape.clone();
        let kind = Kind::Copy { result: index };
        groups.push(Group { kind, shape, heroes: vec![], members: vec![], source: Some(*result) });
    }
    mark_stored(analysis, &groups, &group_of, &mut stored);
    Groups { groups, group_of, stored }
}

/// Small values that follow from weights and literals alone, such as the scale of a normalisation. They are computed
/// first, so that what reads them can join the group of what it reads besides.
fn early(analysis: &Analysis<'_>) -> Vec<bool> {
    let function = analysis.function;
    let mut early = vec![false; function.nodes.len()];
    for (id, node) in function.nodes.iter() {
        early[id.index()] = match &node.op {
            Op::Parameter(parameter) => {
                let role = function.params.get(parameter.index).map(|param| param.role);
                matches!(role, Some(Role::Weight | Role::State))
            }
            Op::Constant(_) => true,
            _ => {
                let recomputed = node.scope.as_ref().is_some_and(|scope| scope.recomputed);
                let small = || {
                    let elements = analysis.ty(id).shape.elements().as_const();
                    elements.is_some_and(|elements| elements <= EARLY_ELEMENTS)
                };
                let plain = analysis.form(id).is_some() && !node.op.is_tuple() && !recomputed;
                plain && node.inputs.iter().all(|input| early[input.index()]) && small()
            }
        };
    }
    early
}

impl Grouping<'_, '_> {
    fn add(&mut self, id: NodeId) {
        self.reads[id.index()] = match self.analysis.place(id) {
            Place::Dead => return,
            Place::Argument(_) | Place::Data => BTreeSet::from([id]),
            Place::View | Place::Inline => self.operands_read(id),
            // It has no memory: the group of what is stored computes it.
            Place::Computed
                if self
                    .analysis
                    .attentions
                    .iter()
                    .any(|it| it.stored() != id && it.heroes().contains(&id)) =>
            {
                self.operands_read(id)
            }
            Place::Computed => {
                let group = self.group_for(id);
                self.group_of[id.index()] = Some(group);
                BTreeSet::from([id])
            }
        };
    }

    fn operands_read(&self, id: NodeId) -> BTreeSet<NodeId> {
        let inputs = &self.analysis.node(id).inputs;
        inputs.iter().flat_map(|input| self.reads[input.index()].iter().copied()).collect()
    }

    /// The group that computes a node: an earlier one that it can join, or a new one.
    fn group_for(&mut self, id: NodeId) -> usize {
        let node = self.analysis.node(id);
        if let (Op::Get(_), Some(group)) =
            (&node.op, node.inputs.first().and_then(|of| self.group_of[of.index()]))
        {
            return group;
        }
        if node.op.is_tuple() {
            let (kind, shape) = (Kind::Control, Shape::default());
            self.groups.push(Group { kind, shape, heroes: vec![id], members: vec![], source: None });
            return self.groups.len() - 1;
        }
        let shape = self.analysis.ty(id).shape.clone();
        if let Some(attention) = self.analysis.attentions.iter().find(|attention| attention.stored() == id) {
            let heroes = attention.heroes();
            heroes.iter().for_each(|hero| self.group_of[hero.index()] = Some(self.groups.len()));
            let kind = Kind::Attention(attention.clone());
            self.groups.push(Group { kind, shape, heroes, members: vec![], source: None });
            return self.groups.len() - 1;
        }
        let reads = self.operands_read(id);
        let latest = reads.iter().filter_map(|read| self.group_of[read.index()]).max();
        let form = self.analysis.form(id);
        let joins = matches!(form, Some(Form::Map | Form::Reduce { .. }));
        if joins {
            let first = latest.unwrap_or(0).max(self.groups.len().saturating_sub(WINDOW));
            let found = (first..self.groups.len()).find(|group| self.can_join(id, *group, &shape, &reads));
            if let Some(group) = found {
                match form {
                    Some(Form::Reduce { .. }) => self.groups[group].heroes.push(id),
                    _ => self.groups[group].members.push(id),
                }
                return group;
            }
        }
        let (kind, hero) = match form {
            Some(Form::Reduce { extents, .. }) => (Kind::Reduce { extents: extents.clone() }, true),
            Some(Form::Contract { extents }) => (Kind::Contract { extents: extents.clone() }, true),
            Some(Form::Scatter) => (Kind::Scatter, true),
            Some(Form::Recurrence { .. }) => (Kind::Recurrence, true),
            Some(Form::Order { .. }) => (Kind::Order, true),
            _ => (Kind::Map, false),
        };
        let (heroes, members) = if hero { (vec![id], vec![]) } else { (vec![], vec![id]) };
        self.groups.push(Group { kind, shape, heroes, members, source: None });
        self.groups.len() - 1
    }

    fn can_join(&self, id: NodeId, group: usize, shape: &Shape, reads: &BTreeSet<NodeId>) -> bool {
        let candidate = &self.groups[group];
        if candidate.shape != *shape || candidate.heroes.len() + candidate.members.len() >= MAX_STORES {
            return false;
        }
        let part = |id: &NodeId| self.analysis.parts[id.index()];
        if !candidate.heroes.iter().chain(&candidate.members).all(|other| part(other) == part(&id)) {
            return false;
        }
        // What is computed again is wanted late: an earlier kernel would bring it forward.
        let recomputed =
            |id: &NodeId| self.analysis.node(*id).scope.as_ref().is_some_and(|scope| scope.recomputed);
        if recomputed(&id) && !candidate.heroes.iter().chain(&candidate.members).all(recomputed) {
            return false;
        }
        let own = |read: &NodeId| self.group_of[read.index()] == Some(group);
        let later = |read: &NodeId| self.group_of[read.index()].is_some_and(|other| other > group);
        if reads.iter().any(later) {
            return false;
        }
        match (&candidate.kind, self.analysis.form(id)) {
            (Kind::Reduce { extents }, Some(Form::Reduce { extents: other, combine })) => {
                let plain = !matches!(combine, Combine::ArgMax | Combine::ArgMin);
                plain
                    && extents == other
                    && !candidate.heroes.iter().any(|hero| self.is_position(*hero))
                    && !reads.iter().any(own)
                    && candidate.heroes.iter().any(|hero| !self.operands_read(*hero).is_disjoint(reads))
            }
            (
                Kind::Map | Kind::Reduce { .. } | Kind::Contract { .. } | Kind::Attention(_),
                Some(Form::Map),
            ) => {
                let related = reads.iter().any(own)
                    || candidate.kind == Kind::Map
                        && candidate
                            .members
                            .iter()
                            .any(|member| !self.operands_read(*member).is_disjoint(reads));
                related && self.reads_in_place(id, group)
            }
            _ => false,
        }
    }

    fn is_position(&self, hero: NodeId) -> bool {
        let form = self.analysis.form(hero);
        matches!(form, Some(Form::Reduce { combine: Combine::ArgMax | Combine::ArgMin, .. }))
    }

    /// Whether everything that the node reads of the group's own values, it reads at its own index.
    fn reads_in_place(&self, id: NodeId, group: usize) -> bool {
        let analysis = self.analysis;
        analysis.node(id).inputs.iter().all(|input| {
            let touches = |read: &NodeId| self.group_of[read.index()] == Some(group);
            if !self.reads[input.index()].iter().any(touches) {
                return true;
            }
            let same_place =
                analysis.is_elementwise(id) && analysis.ty(*input).shape == analysis.ty(id).shape;
            same_place && (self.group_of[input.index()] == Some(group) || self.reads_in_place(*input, group))
        })
    }
}

/// Marks the computed values that a group reads without computing them itself.
fn mark_stored(analysis: &Analysis<'_>, groups: &[Group], group_of: &[Option<usize>], stored: &mut [bool]) {
    for (index, group) in groups.iter().enumerate() {
        let mut seen = BTreeSet::new();
        let mut stack: Vec<NodeId> = Vec::new();
        for node in group.heroes.iter().chain(&group.members) {
            stack.extend(&analysis.node(*node).inputs);
        }
        stack.extend(group.source);
        while let Some(id) = stack.pop() {
            if !seen.insert(id) {
                continue;
            }
            match analysis.place(id) {
                Place::Inline | Place::View => stack.extend(&analysis.node(id).inputs),
                Place::Computed if group_of[id.index()] != Some(index) => stored[id.index()] = true,
                _ => {}
            }
        }
    }
}

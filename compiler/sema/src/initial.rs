//! `init` and `reset`: from the seed to weights and states, each keyed by its full name. Those that are alike are made by
//! one scan.

use crate::{
    checker::Checker,
    entry::TRAIN,
    frame::{RandomParams, Weight},
    instance::path_hash,
    train::{AVERAGE_PREFIX, FEWEST_ALIKE, Step, numberless},
};
use base::Span;
use graph::{DType, FuncId, NodeId, Role, ops};
use std::collections::{BTreeMap, BTreeSet};

/// A weight or state of the model or of its optimiser.
type Begun<'p> = (String, Weight<'p>, Role);

impl<'p> Checker<'p> {
    pub(crate) fn build_init(&mut self, entry: &str, inits: &[Begun<'p>]) -> Option<FuncId> {
        self.push_frame(entry, TRAIN, None);
        let random = self.random_params(Span::default());
        let step = self.scalar(DType::I64, 0.0);
        let random = RandomParams { step, ..random };
        let mut made: BTreeMap<&str, NodeId> = BTreeMap::new();
        let errors = self.n_errors();
        for set in self.alike_inits(inits) {
            let (name, weight, role) = &inits[set[0]];
            // A running average begins at its weight.
            let averaged = name.strip_prefix(AVERAGE_PREFIX).and_then(|weight| made.get(weight).copied());
            if let (Role::Optimizer, Some(id)) = (role, averaged) {
                made.insert(name, id);
                continue;
            }
            // An optimiser's state may begin from its weight, as in `zeros_like(p)`.
            let owners: Option<Vec<NodeId>> = match role {
                Role::Optimizer => set.iter().map(|position| owner(&inits[*position].0, &made)).collect(),
                _ => None,
            };
            // Without its weight, which is at fault.
            if *role == Role::Optimizer && owners.is_none() && self.n_errors() > errors {
                continue;
            }
            if set.len() == 1 {
                let random = self.drawn_for(name, random);
                let id = self.begin(name, weight, random, owners.map(|owners| owners[0]));
                made.extend(id.map(|id| (name.as_str(), id)));
                continue;
            }
            let names: Vec<&str> = set.iter().map(|position| inits[*position].0.as_str()).collect();
            if let Some(ids) = self.begin_alike(&names, weight, random, owners) {
                made.extend(names.into_iter().zip(ids));
            }
        }
        for (name, _, role) in inits {
            if let Some(id) = made.get(name.as_str()) {
                self.frame().function.results.push((name.clone(), *role, *id));
            }
        }
        let frame = self.frames.pop()?;
        Some(self.module.functions.push(frame.function))
    }

    /// Positions of what begins as the same function of name and weight, in the order of their first; few stand alone.
    fn alike_inits(&self, inits: &[Begun<'p>]) -> Vec<Vec<usize>> {
        if self.only_check {
            // One of each place and type tells all that there is to tell.
            let mut seen = BTreeSet::new();
            let mut is_new = |(_, weight, _): &Begun<'p>| {
                seen.insert((weight.init.expr.map(|expr| expr.span), weight.ty.to_string()))
            };
            return (0..inits.len())
                .filter(|position| is_new(&inits[*position]))
                .map(|it| vec![it])
                .collect();
        }
        let mut sets: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (position, (name, weight, role)) in inits.iter().enumerate() {
            // Names around an expression are the same where they were taken down together.
            let around = std::rc::Rc::as_ptr(&weight.init.env);
            let place = weight.init.expr.map(|expr| expr.span);
            let key = (numberless(name), *role == Role::Optimizer, weight.ty.to_string(), place, around);
            sets.entry(key).or_default().push(position);
        }
        let is_apart = |set: &[usize]| {
            let (name, weight, _) = &inits[set[0]];
            name.starts_with(AVERAGE_PREFIX) || weight.ty.shape.iter().any(|dim| dim.as_const().is_none())
        };
        let mut all: Vec<Vec<usize>> = Vec::new();
        for set in sets.into_values() {
            match set.len() >= FEWEST_ALIKE && !is_apart(&set) {
                true => all.push(set),
                false => all.extend(set.into_iter().map(|position| vec![position])),
            }
        }
        all.sort();
        all
    }

    /// What weights that are alike begin as; `owners` are their weights where they are states of an optimiser.
    fn begin_alike(
        &mut self,
        names: &[&str],
        weight: &Weight<'p>,
        random: RandomParams,
        owners: Option<Vec<NodeId>>,
    ) -> Option<Vec<NodeId>> {
        let bits = names.iter().map(|name| (path_hash(name) as f64).to_bits()).collect();
        let paths = ops::Constant { dtype: DType::I64, shape: vec![names.len()], bits };
        let paths = self.add(paths, &[], weight.span)?;
        let mark = self.begin_body();
        let drawn = self.drawn_for(names[0], random);
        let id = self.begin(names[0], weight, drawn, owners.as_ref().map(|owners| owners[0]));
        let body = self.end_body(mark);
        let tables: Vec<Vec<NodeId>> = owners.into_iter().collect();
        let step = Step {
            body: &body,
            count: names.len(),
            carried: &[],
            stacked: &[(drawn.path, paths)],
            tables: &tables,
            kept: &[id?],
        };
        self.for_all(&step, weight.span)?.1.pop()
    }

    /// Draws for what has this name.
    pub(crate) fn drawn_for(&mut self, name: &str, random: RandomParams) -> RandomParams {
        RandomParams { path: self.scalar(DType::I64, path_hash(name) as f64), ..random }
    }
}

/// The weight that an optimiser's state belongs to: the longest name that the state's begins with.
fn owner(state: &str, made: &BTreeMap<&str, NodeId>) -> Option<NodeId> {
    state.rmatch_indices('.').find_map(|(dot, _)| made.get(&state[..dot]).copied())
}

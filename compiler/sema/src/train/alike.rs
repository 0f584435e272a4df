//! Weights that are alike — those of repeated layers, whose names differ by a number alone — are updated as steps of one
//! scan over tables of them, so that the work of compiling does not grow with their number.

use crate::{
    checker::Checker,
    outline::{Body, Given},
};
use base::Span;
use graph::{NodeId, ops};
use shape::Dim;
use std::collections::BTreeMap;

/// Fewer weights than these are updated each by itself, which lets an update be part of the kernel that makes the gradient.
pub(crate) const FEWEST_ALIKE: usize = 16;

/// A step on the first of each table, and what of it goes where.
pub(crate) struct Step<'s> {
    pub body: &'s Body,
    pub count: usize,
    /// What it takes from the step before, and what it makes of that.
    pub carried: &'s [(NodeId, NodeId)],
    /// What it takes for an element of what is stacked, and the stacked one.
    pub stacked: &'s [(NodeId, NodeId)],
    pub tables: &'s [Vec<NodeId>],
    /// Results that each step has of its own.
    pub kept: &'s [NodeId],
}

impl<'p> Checker<'p> {
    /// The positions of weights that are alike, in the order of their first; most stand alone.
    pub(super) fn alike(&self, weights: &[(String, NodeId, Option<usize>)]) -> Vec<Vec<usize>> {
        let mut sets: BTreeMap<(String, Option<usize>, String), Vec<usize>> = BTreeMap::new();
        for (position, (name, id, group)) in weights.iter().enumerate() {
            let key = (numberless(name), *group, self.ty(*id).to_string());
            sets.entry(key).or_default().push(position);
        }
        let (many, few): (Vec<_>, Vec<_>) = sets.into_values().partition(|set| set.len() >= FEWEST_ALIKE);
        let alone = few.into_iter().flatten().map(|position| vec![position]);
        let mut all: Vec<Vec<usize>> = many.into_iter().chain(alone).collect();
        all.sort();
        all
    }

    /// The step for every row of the tables: the last carried values, and the kept results, table after table. What it
    /// reads beyond the tables is the same in all steps.
    pub(crate) fn for_all(&mut self, step: &Step<'_>, span: Span) -> Option<(Vec<NodeId>, Vec<Vec<NodeId>>)> {
        let named = |name: &str, (index, node): (usize, NodeId)| Given::new(format!("{name}{index}"), node);
        let before = step.carried.iter().map(|(before, _)| *before);
        let rows = step.tables.iter().map(|table| table[0]);
        let carried: Vec<Given> = before.clone().enumerate().map(|it| named("carried", it)).collect();
        let elements = step.stacked.iter().map(|(element, _)| *element);
        let elements = elements.enumerate().map(|it| named("element", it));
        // As they follow what is fixed: elements of what is stacked, then rows of tables.
        let rows: Vec<Given> = elements.chain(rows.enumerate().map(|it| named("row", it))).collect();
        let outputs: Vec<NodeId> =
            step.carried.iter().map(|(_, after)| *after).chain(step.kept.iter().copied()).collect();
        let captured = self.captures(step.body, &[&carried[..], &rows].concat(), &outputs);
        let given = [carried, self.fixed(&captured), rows].concat();
        let body = self.outlined("alike", step.body, &given, &outputs);
        let mut operands: Vec<NodeId> = before.collect();
        operands.extend(&captured);
        operands.extend(step.stacked.iter().map(|(_, whole)| *whole));
        operands.extend(step.tables.iter().flatten());
        let scan = ops::Scan {
            body: self.add_function(body),
            count: Dim::from(step.count as i64),
            reverse: false,
            carried: step.carried.len(),
            fixed: captured.len(),
            stacked: step.stacked.len(),
            tables: step.tables.len(),
            table_results: step.kept.len(),
            remat: false,
        };
        let mut results = self.results(scan, &operands, span)?;
        let kept = results.split_off(step.carried.len());
        let tables = kept.chunks(step.count.max(1)).map(<[NodeId]>::to_vec).collect();
        Some((results, tables))
    }
}

/// A name with a mark in the place of its first part that is a number.
pub(crate) fn numberless(name: &str) -> String {
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts: Vec<&str> = name.split('.').collect();
    if let Some(number) = parts.iter_mut().find(|part| is_number(part)) {
        *number = "#";
    }
    parts.join(".")
}

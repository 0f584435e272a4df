//! Statements that can be added to a program, each with what it needs and what comes of it.

mod contraction;
mod control;
mod derivative;
mod drawing;
mod elementwise;
mod equations;
mod functions;
mod layers;
mod picking;
mod reduction;
mod shape;
mod spatial;

use crate::draft::Draft;

/// Adds one statement, or gives up where the program has nothing that fits.
pub type Make = fn(&mut Draft) -> Option<()>;

pub struct Rule {
    pub name: &'static str,
    /// How often, relative to others.
    pub weight: usize,
    /// Whether derivatives of any order go through it.
    pub smooth: bool,
    /// Whether it may stand inside a `fn`.
    pub in_function: bool,
    pub make: Make,
}

/// A rule for everywhere.
const fn rule(name: &'static str, weight: usize, make: Make) -> Rule {
    Rule { name, weight, smooth: true, in_function: true, make }
}

/// A rule whose values are no question of small changes.
const fn discrete(name: &'static str, weight: usize, make: Make) -> Rule {
    Rule { name, weight, smooth: false, in_function: true, make }
}

/// A rule that makes weights.
const fn layer(name: &'static str, weight: usize, make: Make) -> Rule {
    Rule { name, weight, smooth: true, in_function: false, make }
}

const TABLES: &[&[Rule]] = &[
    elementwise::RULES,
    reduction::RULES,
    contraction::RULES,
    shape::RULES,
    picking::RULES,
    spatial::RULES,
    layers::RULES,
    drawing::RULES,
    functions::RULES,
    derivative::RULES,
    control::RULES,
    equations::RULES,
];

/// Names of all rules.
pub fn names() -> Vec<&'static str> {
    TABLES.iter().flat_map(|table| table.iter()).map(|rule| rule.name).collect()
}

/// Adds about so many statements.
pub fn fill(draft: &mut Draft, wanted: usize) {
    let allowed: Vec<&Rule> = TABLES
        .iter()
        .flat_map(|table| table.iter())
        .filter(|rule| (rule.smooth || !draft.smooth) && (rule.in_function || !draft.in_function))
        .collect();
    let total: usize = allowed.iter().map(|rule| rule.weight).sum();
    let aim = draft.lines.len() + wanted;
    for _ in 0..wanted * 8 {
        if draft.lines.len() >= aim {
            return;
        }
        let mut place = draft.rng.below(total);
        let chosen = allowed.iter().find(|rule| {
            let found = place < rule.weight;
            place = place.saturating_sub(rule.weight);
            found
        });
        if let Some(rule) = chosen
            && (rule.make)(draft).is_none()
        {
            draft.abandon();
        }
    }
}

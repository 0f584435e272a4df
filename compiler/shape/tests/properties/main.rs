//! Properties of random expressions: a canonical form keeps the value, printing is read back, proofs are sound.

mod random;

use std::collections::BTreeMap;

use random::{Expression, Rng, environment};
use shape::{Dim, Facts, Proof, Shape, Symbol, solve};

#[test]
fn canonical_form_keeps_the_value() {
    let mut rng = Rng::new(1);
    let mut compared = 0;
    for round in 0..4000 {
        let expression = Expression::random(&mut rng, 1 + round % 5);
        let dim = expression.dim();
        for _ in 0..6 {
            let env = environment(&mut rng, -7..20);
            // Where a divisor is 0 the canonical form may have a value: it is then no longer divided by.
            let Some(expected) = expression.eval(&env) else { continue };
            if dim.overflowed() {
                continue;
            }
            assert_eq!(dim.eval(&env), Ok(expected), "{expression:?} became {dim} at {env:?}");
            compared += 1;
        }
    }
    assert!(compared > 10_000, "only {compared} values were compared");
}

#[test]
fn printed_form_is_read_back() {
    let mut rng = Rng::new(2);
    let mut compared = 0;
    for round in 0..4000 {
        let dim = Expression::random(&mut rng, 1 + round % 6).dim();
        if dim.overflowed() {
            continue;
        }
        let printed = dim.to_string();
        assert_eq!(printed.parse::<Dim>().as_ref(), Ok(&dim), "{printed}");
        compared += 1;
    }
    assert!(compared > 3000, "only {compared} forms were compared");
}

#[test]
fn rebuilding_a_canonical_form_changes_nothing() {
    let mut rng = Rng::new(3);
    for round in 0..2000 {
        let dim = Expression::random(&mut rng, 1 + round % 5).dim();
        let there = |symbol: &Symbol| (symbol.clone(), Dim::symbol(&format!("{symbol}x")));
        let back = |symbol: &Symbol| (Symbol::new(&format!("{symbol}x")), Dim::from(symbol));
        let renamed = dim.substitute(&dim.symbols().iter().map(there).collect());
        assert_eq!(renamed.substitute(&dim.symbols().iter().map(back).collect()), dim);
    }
}

#[test]
fn substitution_and_evaluation_commute() {
    let mut rng = Rng::new(4);
    let mut compared = 0;
    for round in 0..2000 {
        let expression = Expression::random(&mut rng, 1 + round % 4);
        let env = environment(&mut rng, 0..12);
        let values: BTreeMap<Symbol, Dim> =
            env.iter().map(|(symbol, value)| (symbol.clone(), Dim::from(*value))).collect();
        if let Some(expected) = expression.eval(&env) {
            let dim = expression.dim();
            let substituted = dim.substitute(&values);
            if !substituted.overflowed() {
                assert_eq!(substituted.as_const(), Some(expected), "{dim} at {env:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "only {compared} values were compared");
}

#[test]
fn proofs_are_sound() {
    let mut rng = Rng::new(5);
    let mut decided = BTreeMap::new();
    for round in 0..400 {
        let env = environment(&mut rng, 0..12);
        let facts = random_facts(&mut rng, &env, round % 4);
        for _ in 0..4 {
            let a = Expression::random(&mut rng, 1 + round % 3);
            let b = if rng.below(2) == 0 {
                a.perturbed(&mut rng)
            } else {
                Expression::random(&mut rng, 1 + round % 3)
            };
            let (Some(x), Some(y)) = (a.eval(&env), b.eval(&env)) else { continue };
            let (a, b) = (a.dim(), b.dim());
            let mut check = |name: &'static str, proof: Proof, truth: bool| {
                let contradicted = if truth { Proof::Disproved } else { Proof::Proved };
                assert_ne!(proof, contradicted, "{name}({a}, {b}) under {facts:?} at {env:?}");
                *decided.entry((name, proof)).or_insert(0) += 1;
            };
            check("eq", facts.prove_eq(&a, &b), x == y);
            check("ge", facts.prove_ge(&a, &b), x >= y);
            check("gt", facts.prove_gt(&a, &b), x > y);
            if y != 0 {
                check("divisible", facts.prove_divisible(&a, &b), i128::from(x) % i128::from(y) == 0);
                if let Some(quotient) = a.exact_div(&b, &facts) {
                    assert_eq!(
                        quotient.eval(&env).map(|q| q * y),
                        Ok(x),
                        "{a} / {b} = {quotient} under {facts:?}"
                    );
                }
            }
        }
    }
    // A prover that never decides would be sound too.
    for name in ["eq", "ge", "gt", "divisible"] {
        for proof in [Proof::Proved, Proof::Disproved] {
            let count = decided.get(&(name, proof)).copied().unwrap_or(0);
            assert!(count > 20, "{name} was {proof:?} only {count} times");
        }
    }
}

#[test]
fn solutions_satisfy_the_pattern() {
    let mut rng = Rng::new(6);
    let unknown = Symbol::new("u");
    let mut solved = 0;
    for _ in 0..2000 {
        let slope = Expression::random(&mut rng, 1).dim();
        let rest = Expression::random(&mut rng, 1).dim();
        let root = Expression::random(&mut rng, 1).dim();
        let pattern = &slope * Dim::from(&unknown) + &rest;
        let value = &slope * &root + &rest;
        if let Some(found) = solve(&pattern, &unknown, &value, &Facts::default()) {
            let back = pattern.substitute(&BTreeMap::from([(unknown.clone(), found)]));
            assert_eq!(back, value);
            solved += 1;
        }
    }
    assert!(solved > 1000, "only {solved} patterns were solved");
}

#[test]
fn broadcasting_is_symmetric() {
    let mut rng = Rng::new(7);
    let facts = Facts::default();
    let mut stretched = 0;
    for _ in 0..1000 {
        let mut shape = || -> Shape {
            let axis = |rng: &mut Rng| {
                if rng.below(3) == 0 { Dim::constant(1) } else { Expression::random(rng, 0).dim() }
            };
            (0..rng.below(3)).map(|_| axis(&mut rng)).collect()
        };
        let (a, b) = (shape(), shape());
        match (facts.broadcast(&a, &b), facts.broadcast(&b, &a)) {
            (Ok(left), Ok(right)) => {
                assert_eq!(left, right);
                stretched += 1;
            }
            (Err(left), Err(right)) => assert_eq!(left.axis_from_right, right.axis_from_right),
            (left, right) => panic!("{a} with {b}: {left:?} and {right:?}"),
        }
    }
    assert!(stretched > 200);
}

/// Statements that hold at `env`.
fn random_facts(rng: &mut Rng, env: &BTreeMap<Symbol, i64>, count: usize) -> Facts {
    let mut facts = Facts::default();
    for _ in 0..count {
        let depth = rng.below(3) as usize;
        let (a, b) = (Expression::random(rng, depth), Expression::random(rng, depth / 2));
        let (Some(x), Some(y)) = (a.eval(env), b.eval(env)) else { continue };
        match rng.below(4) {
            0 if x >= y => facts.assume_ge(a.dim(), b.dim()),
            0 => facts.assume_ge(b.dim(), a.dim()),
            1 => facts.assume_eq(a.dim(), Dim::constant(x)),
            2 => facts.assume_eq(a.dim() - b.dim(), Dim::constant(x) - Dim::constant(y)),
            _ => match (2..9).rev().find(|by| x % by == 0) {
                Some(by) if y == 0 || x.checked_rem(y) != Some(0) => {
                    facts.assume_divisible(a.dim(), Dim::constant(by))
                }
                _ if y != 0 && x.checked_rem(y) == Some(0) => facts.assume_divisible(a.dim(), b.dim()),
                _ => {}
            },
        }
    }
    facts
}

//! Random graphs compute the same before and after each pass and the whole pipelines, and survive printing.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

#[path = "random_graphs/generator.rs"]
mod generator;

use generator::Random;
use graph::{
    Array, Builder, DType, FuncId, Module, NodeId, Op, Role,
    interp::{Options, run},
    parse::parse,
    print::print,
    verify::verify,
};
use passes::{Pass, pipeline, run_pipeline};
use shape::Symbol;
use std::collections::{BTreeMap, BTreeSet};

const CASES: u64 = 600;

#[test]
fn passes_keep_values() {
    let mut operators: BTreeSet<&str> = BTreeSet::new();
    let mut compared = 0;
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let (mut module, main) = generator::module(&mut random);
        if random.chance(50) {
            differentiate(&mut module, main);
        }
        // Derivatives of what it calls stand before it, so it may have moved.
        let entry = module.find("main").unwrap();
        verify(&module).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}", print(&module)));
        let text = print(&module);
        let again = parse(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        assert_eq!(print(&again), text, "seed {seed}");
        operators.extend(
            module.functions.values().iter().flat_map(|f| f.nodes.values()).map(|node| node.op.name()),
        );

        let (inputs, dims) = inputs(&module, entry, &mut random);
        let Ok(before) = evaluate(&module, entry, &inputs, &dims) else { continue };
        compared += 1;
        let alone = pipeline::PASSES.iter().map(|pass| vec![*pass]);
        for passes in alone.chain([pipeline::COMPILED.to_vec(), pipeline::EAGER.to_vec()]) {
            for strict in [false, true] {
                check(&module, entry, &passes, strict, (&inputs, &dims), &before, seed);
            }
        }
    }
    assert!(compared >= CASES * 3 / 4, "only {compared} of {CASES} could be compared");
    let missing: Vec<&&str> = Op::NAMES
        .iter()
        .filter(|name| !operators.contains(*name) && !matches!(**name, "scan" | "cond" | "while"))
        .collect();
    assert!(missing.is_empty(), "never generated: {missing:?}");
}

type Inputs<'a> = (&'a [Array], &'a BTreeMap<Symbol, i64>);

fn check(
    module: &Module,
    entry: FuncId,
    passes: &[Pass],
    strict: bool,
    (inputs, dims): Inputs<'_>,
    before: &[Array],
    seed: u64,
) {
    let names: Vec<&str> = passes.iter().map(|pass| pass.name).collect();
    let what = format!("seed {seed}, strict {strict}, {names:?}");
    let mut after = module.clone();
    // With f64 for `float`, the exact mode rounds as the folded constants were.
    let options = passes::Options { strict, ..passes::Options::new(kernel::DType::F64) };
    if let Err(e) = run_pipeline(&mut after, &[entry], passes, options) {
        panic!("{what}: {e}\n{}\nbecame\n{}", print(module), print(&after));
    }
    if passes.len() > 1 {
        nothing_is_dead(&after, entry, &what);
    }
    let values = evaluate(&after, entry, inputs, dims)
        .unwrap_or_else(|e| panic!("{what}: {e}\n{}\nbecame\n{}", print(module), print(&after)));
    let tolerance = if strict { 1e-12 } else { 1e-6 };
    for (position, (old, new)) in before.iter().zip(&values).enumerate() {
        assert_eq!(old.shape(), new.shape(), "{what}: result {position}");
        for (a, b) in old.values.iter().zip(&new.values) {
            let same = a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= tolerance * (1.0 + a.abs());
            assert!(
                same,
                "{what}: result {position} was {a}, now {b}\n{}\nbecame\n{}",
                print(module),
                print(&after)
            );
        }
    }
}

/// After a whole pipeline every node but parameters is read, in whatever the entry point runs.
fn nothing_is_dead(module: &Module, entry: FuncId, what: &str) {
    for id in module.order_of([entry]).unwrap() {
        let function = &module.functions[id];
        let read: BTreeSet<NodeId> = function
            .nodes
            .values()
            .iter()
            .flat_map(|node| node.inputs.iter().copied())
            .chain(function.results.iter().map(|(_, _, value)| *value))
            .collect();
        for (id, node) in function.nodes.iter() {
            let is_needed = read.contains(&id) || matches!(node.op, Op::Parameter(_));
            assert!(is_needed, "{what}: nothing reads {id:?} of\n{}", print(module));
        }
    }
}

/// Bits of `random` draws depend on the build's dtype, so both sides run as f64 builds do.
fn evaluate(
    module: &Module,
    entry: FuncId,
    inputs: &[Array],
    dims: &BTreeMap<Symbol, i64>,
) -> Result<Vec<Array>, String> {
    run(module, entry, inputs, dims, Options::rounded(kernel::DType::F64)).map_err(|e| e.0)
}

fn inputs(module: &Module, entry: FuncId, random: &mut Random) -> (Vec<Array>, BTreeMap<Symbol, i64>) {
    let dims = BTreeMap::from([
        (Symbol::new("n"), 1 + random.below(4) as i64),
        (Symbol::new("m"), 1 + random.below(4) as i64),
    ]);
    let inputs = module.functions[entry].params.iter().map(|param| {
        let shape: Vec<usize> = param.ty.shape.iter().map(|dim| dim.eval(&dims).unwrap() as usize).collect();
        Array::from_fn(param.ty.dtype, &shape, |_| {
            if param.ty.dtype.is_float() { random.below(4001) as f64 / 1000.0 - 2.0 } else { 0.0 }
        })
    });
    (inputs.collect(), dims)
}

/// Adds the derivative of a sum of the float results to `main`, where there is one.
fn differentiate(module: &mut Module, entry: FuncId) {
    let functions: Vec<graph::Function> = module.functions.values().to_vec();
    let mut main = functions[entry.index()].clone();
    let mut changed = Module { functions: functions[..entry.index()].iter().cloned().collect() };
    let wrt: Vec<NodeId> = (0..2).map(NodeId::new).collect();
    let mut b = Builder::new(&changed, &mut main);
    let mut cost = b.scalar(DType::Float, 0.0);
    for (_, _, value) in b.function.results.clone() {
        if b.dtype(value) == DType::Float {
            let axes: Vec<usize> = (0..b.ty(value).rank()).collect();
            let sum = b.reduce(kernel::Combine::Sum, &axes, value);
            cost = b.binary(kernel::Binary::Add, cost, sum);
        }
    }
    if let Ok(grads) = autodiff::grad(&mut changed, &mut main, cost, &wrt) {
        main.results.extend(grads.into_iter().map(|grad| ("grad".into(), Role::Gradient, grad)));
        changed.functions.push(main);
        *module = changed;
    }
}

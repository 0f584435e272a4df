//! What a `train` block makes of the step: groups, accumulation, running averages, plateaus.
#![allow(clippy::unwrap_used, reason = "a test")]

use base::{Color, Format, SourceMap, render_all};
use graph::{Array, DType, Function, Op, Role, interp, verify::verify};
use std::{collections::BTreeMap, fs, path::Path};

/// The model trained with these settings, or the faults as text.
fn build(settings: &str) -> Result<sema::Built, String> {
    build_text(network(settings))
}

fn build_text(text: String) -> Result<sema::Built, String> {
    // The checker recurses; tests give it the stack that the driver gives it.
    let thread = std::thread::Builder::new().stack_size(256 << 20);
    thread.spawn(move || build_here(text)).unwrap().join().unwrap()
}

fn network(settings: &str) -> String {
    format!(
        "model Net(x: f32[batch, 4]) -> (y: f32[batch, 2]) {{
    trunk = dense(8)
    head = dense(2)
    y = x |> trunk |> relu |> dropout(0.5) |> head
}}
train Net(target: f32[batch, 2]) {{
    data = synthetic(100, x: normal(0, 1), target: normal(0, 1))
    loss = mse(y, target)
    {settings}
}}
"
    )
}

fn build_here(text: String) -> Result<sema::Built, String> {
    let mut sources = SourceMap::new();
    let std = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/std");
    let mut paths: Vec<_> = fs::read_dir(std).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut parse = |name: &str, text: String| {
        let source = sources.add(name, text);
        let (file, diagnostics) = grammar::parse(&source);
        assert_eq!(diagnostics, [], "{name}");
        file
    };
    let main = parse("net.model", text);
    let std: Vec<_> = paths
        .iter()
        .map(|path| parse(&path.display().to_string(), fs::read_to_string(path).unwrap()))
        .collect();
    let std: Vec<&grammar::ast::File> = std.iter().collect();
    let mut diagnostics = Vec::new();
    let program = sema::Program::new(&main, &[], &std, &mut diagnostics);
    let options = sema::Options::default();
    let (built, found) = sema::build(&program, None, &options, true);
    diagnostics.extend(found);
    // Checking alone says the same.
    let checked: Vec<_> = sema::check(&program, &options).iter().map(|fault| fault.message.clone()).collect();
    let messages: Vec<_> = diagnostics.iter().map(|fault| fault.message.clone()).collect();
    assert_eq!(checked, messages);
    match built {
        Some(built) => {
            verify(&built.module).unwrap();
            Ok(built)
        }
        None => Err(render_all(&diagnostics, &sources, Format::Human, Color::Never)),
    }
}

fn entry<'b>(built: &'b sema::Built, name: &str) -> &'b Function {
    let (_, id) = built.entries.iter().find(|(entry, _)| *entry == name).unwrap();
    &built.module.functions[*id]
}

fn params(function: &Function, role: Role) -> Vec<&str> {
    function.params.iter().filter(|param| param.role == role).map(|param| param.name.as_str()).collect()
}

fn results(function: &Function, role: Role) -> Vec<&str> {
    function.results.iter().filter(|result| result.1 == role).map(|result| result.0.as_str()).collect()
}

#[track_caller]
fn refused(settings: &str, said: &[&str]) {
    let text = build(settings).unwrap_err();
    for part in said {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn frozen_weights_are_read_and_not_updated() {
    let built = build("optimizer = adam(groups: { \"trunk.*\": frozen })").unwrap();
    let step = entry(&built, "step");
    assert_eq!(params(step, Role::Weight), ["trunk.w", "trunk.b", "head.w", "head.b"]);
    assert_eq!(results(step, Role::Weight), ["head.w", "head.b"]);
    assert_eq!(results(step, Role::Optimizer), ["head.w.m", "head.w.v", "head.b.m", "head.b.v"]);
    assert_eq!(results(step, Role::Metric), ["lr", "grad_norm", "weight_norm"]);
    assert_eq!(results(entry(&built, "init"), Role::Optimizer), results(step, Role::Optimizer));
    // Asked for by itself, the gradient is whole.
    assert_eq!(results(entry(&built, "grad"), Role::Gradient).len(), 4);
}

#[test]
fn a_group_has_settings_of_its_own() {
    // Momentum only where the first matching pattern asks for it.
    let built = build(
        "optimizer = sgd(0.1, groups: { \"*.b\": { lr: 1 }, \"head.*\": { momentum: 0.9, lr: cosine_decay(1e-2) } })",
    );
    assert_eq!(results(entry(&built.unwrap(), "step"), Role::Optimizer), ["head.w.v"]);
}

#[test]
fn groups_that_mean_nothing_are_refused() {
    let with = |groups: &str| format!("optimizer = adam(groups: {{ {groups} }})");
    refused(
        &with("\"trnk.*\": frozen"),
        &["E0415", "no weight is called `trnk.*`", "did you mean `trunk.*`?"],
    );
    refused(&with("\"*\": { lr: 1 }, \"head.*\": frozen"), &["E0415", "in an earlier group"]);
    refused(&with("\"*\": frozen"), &["E0415", "every weight is frozen"]);
    refused(&with("\"head.*\": { lrr: 1 }"), &["E0209", "did you mean `lr`?"]);
    refused(&with("\"head.*\": 3"), &["E0415", "`frozen`, or a record"]);
    refused(&with("\"head.*\": frozen, \"head.*\": { lr: 1 }"), &["E0202", "stands twice"]);
    refused("optimizer = adam(groups: 1)", &["E0415", "`groups` is a record"]);
    refused("optimizer = adam(lr: { a: 1 })", &["E0312", "a record stands only in `groups`"]);
    refused("groups = { a: 1 }\n    optimizer = adam()", &["E0415", "an argument of the optimizer"]);
}

#[test]
fn batches_of_one_update_share_a_step() {
    let built = build("optimizer = adam(groups: { \"trunk.*\": frozen })\n    accumulate = 4").unwrap();
    let (step, accumulate) = (entry(&built, "step"), entry(&built, "accumulate"));
    let sums = ["gradient/head.w", "gradient/head.b"];
    assert_eq!(params(step, Role::Gradient), sums);
    assert_eq!(params(accumulate, Role::Gradient), sums);
    assert_eq!(results(accumulate, Role::Gradient), sums);
    assert_eq!(results(step, Role::Gradient).len() + results(accumulate, Role::Weight).len(), 0);
    assert_eq!(params(step, Role::Control), ["seed", "step", "part", "total_steps", "share"]);
    assert_eq!(params(accumulate, Role::Control), ["seed", "step", "part", "share"]);
    assert_eq!(built.train.unwrap().accumulate, 4);
    assert!(build("optimizer = sgd()").unwrap().entries.iter().all(|(name, _)| *name != "accumulate"));
    refused("optimizer = sgd()\n    accumulate = 0", &["E0401", "at least 1"]);
}

#[test]
fn averages_begin_at_their_weights() {
    let built = build("optimizer = sgd(groups: { \"trunk.*\": frozen })\n    ema = 0.99").unwrap();
    let averages = ["ema/head.w", "ema/head.b"];
    assert_eq!(results(entry(&built, "step"), Role::Optimizer), averages);
    let init = entry(&built, "init");
    assert_eq!(results(init, Role::Optimizer), averages);
    let value = |name: &str| init.results.iter().find(|result| result.0 == name).unwrap().2;
    assert_eq!(value("ema/head.w"), value("head.w"));
    refused("optimizer = sgd()\n    ema = 1", &["E0401", "between 0 and 1"]);
}

#[test]
fn a_plateau_is_told_to_the_loop() {
    let built = build(
        "optimizer = sgd(plateau(0.1, patience: 3), groups: { \"head.*\": { lr: plateau(1, patience: 3) } })",
    );
    let built = built.unwrap();
    assert_eq!(params(entry(&built, "step"), Role::Control).last(), Some(&"lr_scale"));
    let plateau = built.train.unwrap().plateau;
    assert_eq!(plateau, Some(sema::Plateau { on: "val.loss".into(), factor: 0.1, patience: 3 }));
    refused("optimizer = sgd(plateau(1, on: \"val.los\"))", &["E0415", "did you mean `val.loss`?"]);
    refused("optimizer = sgd(plateau(1, factor: 2))", &["E0401", "between 0 and 1"]);
    let two = "optimizer = sgd(plateau(1), groups: { \"head.*\": { lr: plateau(1, patience: 3) } })";
    refused(two, &["E0415", "two plateaus differ"]);
}

/// An entry's results by name for a layer that remembers what it drew, repeated so often, and how many scans there are.
fn repeated(count: usize, entry: &str) -> (BTreeMap<String, Array>, usize) {
    let text = format!(
        "optimizer slow(lr: float = 0.1)(p, g) {{
    state begun = p * 2
    begun <- 0.9 * begun + 0.1 * p
    p - lr * g
}}
layer noisy()(x: float[b, n]) -> float[b, n] {{
    param w: float[n] = normal(0, 1)
    param one: float[n] = ones()
    state drawn: float[8] = zeros()
    noise = ones([8]) |> dropout(0.5) |> gaussian_noise(1)
    drawn <- noise
    x * one + w + noise[0]
}}
model Net(x: f32[batch, 4]) -> (y: float[batch, 4]) {{
    y = x |> dense(4) |> repeat({count}) as block {{ noisy() }}
}}
train Net {{
    data = synthetic(100, x: normal(0, 1))
    loss = mean(y ^ 2)
    optimizer = slow()
}}
"
    );
    let built = build_text(text).unwrap();
    let (_, step) = built.entries.iter().find(|(name, _)| *name == entry).unwrap();
    let function = &built.module.functions[*step];
    let argument = |param: &graph::Param| {
        let extents: Vec<usize> =
            param.ty.shape.iter().map(|dim| dim.as_const().unwrap_or(2) as usize).collect();
        let value = if param.ty.dtype == DType::I64 { 7.0 } else { 0.5 };
        Array::from_fn(param.ty.dtype, &extents, |_| value)
    };
    let arguments: Vec<Array> = function.params.iter().map(argument).collect();
    let options = interp::Options::rounded(kernel::DType::F32);
    let results = interp::run(&built.module, *step, &arguments, &BTreeMap::new(), options).unwrap();
    let named = function.results.iter().map(|(name, ..)| name.clone()).zip(results).collect();
    let scans = function.nodes.values().iter().filter(|node| matches!(node.op, Op::Scan(_))).count();
    (named, scans)
}

/// Whether instances are written out or steps of a scan, each draws what its name says.
#[test]
fn instances_draw_by_their_names() {
    let ((few, none), (many, some)) = (repeated(3, "step"), repeated(20, "step"));
    assert!(none == 0 && some > 1);
    for index in 0..3 {
        let name = format!("block.{index}.drawn");
        assert_eq!(few[&name], many[&name], "{name}");
    }
    assert_ne!(many["block.4.drawn"], many["block.5.drawn"]);
}

/// Weights that one scan makes begin as each would by itself, and states of the optimiser as their own weight says.
#[test]
fn weights_begin_by_their_names() {
    let ((few, none), (many, some)) = (repeated(3, "init"), repeated(20, "init"));
    assert_eq!((none, some), (0, 5), "two weights, a state of each for the optimiser, one of the layer");
    for index in 0..3 {
        for name in ["w", "w.begun", "one", "one.begun", "drawn"].map(|name| format!("block.{index}.{name}"))
        {
            assert_eq!(few[&name], many[&name], "{name}");
        }
    }
    assert_ne!(many["block.4.w"], many["block.5.w"]);
    assert_ne!(many["block.4.w.begun"], many["block.5.w.begun"]);
}

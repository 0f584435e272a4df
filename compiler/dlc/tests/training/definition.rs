//! What training computes, held against its definition, written out in f64 for one small network: `y = tanh(x W + b) V + c`
//! with the mean of squares as loss. Every update takes all rows, so their order does not matter.

use crate::runs::{checkpoint, dlc, outcome, train};
use std::{collections::BTreeMap, fs, path::Path};
use tensor::{Limits, Tensor, npy, npz, philox::Stream, safetensors::Weights};
use train::Line;

const ROWS: usize = 32;
const INPUTS: usize = 3;
const HIDDEN: usize = 4;
const UPDATES: usize = 12;

/// Of `torch.optim.lr_scheduler.OneCycleLR(max_lr=0.3, total_steps=12, cycle_momentum=False)`.
const ONE_CYCLE: [f64; UPDATES] = [
    0.01200000000000001,
    0.10493689626587491,
    0.2637855477366386,
    0.29832463063527354,
    0.2799038909524235,
    0.24352369618492892,
    0.194213699308531,
    0.13879113080009253,
    0.08491829946260977,
    0.04004325905664918,
    0.010370096227618567,
    1.2e-06,
];

/// `trunk.w trunk.b head.w head.b`, which is also the order of the language.
const NAMES: [&str; 4] = ["trunk.w", "trunk.b", "head.w", "head.b"];
type Parameters = [Vec<f64>; 4];

struct Rows {
    x: Vec<f64>,
    target: Vec<f64>,
}

/// The rule of one update: parameter, its values, its gradient, what it remembers, the rate, the update from 1.
type Rule = fn(usize, &mut [f64], &[f64], &mut [Vec<f64>; 2], f64, f64);

struct Recipe {
    name: &'static str,
    /// Lines of the block.
    settings: &'static str,
    /// Of the rate without a plateau, by the number of the update from 0.
    rate: fn(usize) -> f64,
    rule: Rule,
    clip: fn(&mut Parameters, f64),
    frozen: &'static [usize],
    ema: Option<f64>,
    /// Factor and patience.
    plateau: Option<(f64, u64)>,
}

const RECIPES: &[Recipe] = &[
    Recipe {
        name: "momentum",
        settings: "optimizer = sgd(one_cycle(0.3), momentum: 0.9)
            clip = global_norm(0.4)
            batch = 7
            accumulate = 4",
        rate: |update| ONE_CYCLE[update],
        rule: |_, p, g, memory, lr, _| {
            for ((p, g), v) in p.iter_mut().zip(g).zip(&mut memory[0]) {
                *v = 0.9 * *v + g;
                *p -= lr * *v;
            }
        },
        clip: |grads, norm| {
            let scale = (0.4 / (norm + 1e-6)).min(1.0);
            grads.iter_mut().flatten().for_each(|g| *g *= scale);
        },
        frozen: &[],
        ema: None,
        plateau: None,
    },
    Recipe {
        name: "adam",
        settings: "optimizer = adam(plateau(0.9, factor: 0.5, patience: 1), eps: 1e-6,
                groups: { \"trunk.*\": frozen, \"head.b\": { lr: 1e-2 } })
            clip = by_value(0.02)
            ema = 0.4
            batch = 24",
        rate: |_| 0.9,
        rule: |parameter, p, g, memory, lr, step| {
            let lr = if parameter == 3 { 1e-2 } else { lr };
            let [m, v] = memory;
            for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                let (mean, square) = (*m / (1.0 - 0.9f64.powf(step)), *v / (1.0 - 0.999f64.powf(step)));
                *p -= lr * mean / (square.sqrt() + 1e-6);
            }
        },
        clip: |grads, _| grads.iter_mut().flatten().for_each(|g| *g = g.clamp(-0.02, 0.02)),
        frozen: &[0, 1],
        ema: Some(0.4),
        plateau: Some((0.5, 1)),
    },
    Recipe {
        name: "adamw",
        settings: "optimizer = adamw(cosine_decay(5e-2, warmup: 3), weight_decay: 0.1, eps: 1e-6,
                groups: { \"head.*\": { weight_decay: 0 } })
            ema = 0.9
            batch = 10
            accumulate = 3",
        rate: |update| match update {
            0..3 => 5e-2 * (update + 1) as f64 / 3.0,
            _ => 2.5e-2 * (1.0 + (std::f64::consts::PI * (update - 3) as f64 / 9.0).cos()),
        },
        rule: |parameter, p, g, memory, lr, step| {
            let decay = if parameter == 0 { 0.1 } else { 0.0 };
            let [m, v] = memory;
            for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                let (mean, square) = (*m / (1.0 - 0.9f64.powf(step)), *v / (1.0 - 0.999f64.powf(step)));
                *p = *p * (1.0 - lr * decay) - lr * mean / (square.sqrt() + 1e-6);
            }
        },
        clip: |_, _| {},
        frozen: &[],
        ema: Some(0.9),
        plateau: None,
    },
];

fn model(recipe: &Recipe) -> String {
    format!(
        "model M(x: f32[batch, {INPUTS}]) -> (y: float[batch, 1]) {{
    trunk = dense({HIDDEN})
    head = dense(1)
    y = x |> trunk |> tanh |> head
}}
train M(target: f32[batch, 1]) {{
    data = npz(\"rows.npz\", x: \"x\", target: \"target\")
    split = [0.75, 0.25]
    loss = mean((y - target) ^ 2)
    epochs = {UPDATES}
    log_every = 1
    checkpoint = {{ every: 1, keep: 100 }}
    {}
}}
",
        recipe.settings
    )
}

/// Loss, and derivatives by all parameters.
fn gradient(parameters: &Parameters, rows: &Rows) -> (f64, Parameters) {
    let [w, b, v, c] = parameters;
    let mut grads = parameters.clone().map(|values| vec![0.0; values.len()]);
    let count = rows.target.len() as f64;
    let mut loss = 0.0;
    for (x, target) in rows.x.chunks(INPUTS).zip(&rows.target) {
        let sum = |unit: usize| (0..INPUTS).map(|input| x[input] * w[input * HIDDEN + unit]).sum::<f64>();
        let hidden: Vec<f64> = (0..HIDDEN).map(|unit| (sum(unit) + b[unit]).tanh()).collect();
        let error = hidden.iter().zip(v).map(|(h, v)| h * v).sum::<f64>() + c[0] - target;
        loss += error * error / count;
        let outer = 2.0 * error / count;
        grads[3][0] += outer;
        for unit in 0..HIDDEN {
            grads[2][unit] += outer * hidden[unit];
            let inner = outer * v[unit] * (1.0 - hidden[unit] * hidden[unit]);
            grads[1][unit] += inner;
            (0..INPUTS).for_each(|input| grads[0][input * HIDDEN + unit] += inner * x[input]);
        }
    }
    (loss, grads)
}

fn norm<'a>(vectors: impl Iterator<Item = &'a Vec<f64>>) -> f64 {
    vectors.flatten().map(|value| value * value).sum::<f64>().sqrt()
}

struct Expected {
    /// For each update: loss, rate, norm of the gradient, norm of the weights, loss of the validation rows after it.
    log: Vec<[f64; 5]>,
    parameters: Parameters,
    averages: Parameters,
}

fn define(recipe: &Recipe, mut parameters: Parameters, training: &Rows, validation: &Rows) -> Expected {
    let is_trained = |parameter: &usize| !recipe.frozen.contains(parameter);
    let trained: Vec<usize> = (0..4).filter(is_trained).collect();
    let mut memory = parameters.clone().map(|values| [vec![0.0; values.len()], vec![0.0; values.len()]]);
    let mut averages = parameters.clone();
    let (mut scale, mut best, mut since) = (1.0, f64::INFINITY, 0);
    let mut log = Vec::new();
    for update in 0..UPDATES {
        let (loss, mut grads) = gradient(&parameters, training);
        let grad_norm = norm(trained.iter().map(|parameter| &grads[*parameter]));
        let weight_norm = norm(trained.iter().map(|parameter| &parameters[*parameter]));
        (recipe.clip)(&mut grads, grad_norm);
        let lr = (recipe.rate)(update) * scale;
        for parameter in trained.iter().copied() {
            let (values, memory) = (&mut parameters[parameter], &mut memory[parameter]);
            (recipe.rule)(parameter, values, &grads[parameter], memory, lr, (update + 1) as f64);
            let decay = recipe.ema.unwrap_or(0.0);
            for (average, value) in averages[parameter].iter_mut().zip(&parameters[parameter]) {
                *average = decay * *average + (1.0 - decay) * value;
            }
        }
        let (measured, _) = gradient(if recipe.ema.is_some() { &averages } else { &parameters }, validation);
        log.push([loss, lr, grad_norm, weight_norm, measured]);
        if let Some((factor, patience)) = recipe.plateau {
            (best, since) = if measured < best { (measured, 0) } else { (best, since + 1) };
            if since == patience {
                (since, scale) = (0, scale * factor);
            }
        }
    }
    assert_eq!(scale < 1.0, recipe.plateau.is_some(), "the plateau lowers nothing");
    Expected { log, parameters, averages }
}

fn start() -> Parameters {
    let stream = Stream::new(3, "start", 0);
    [INPUTS * HIDDEN, HIDDEN, HIDDEN, 1].map(|count| {
        (0..count as u64).map(|index| 0.5 * stream.normal_f64(100 * count as u64 + index)).collect()
    })
}

/// Files of the data and of the weights to begin with.
fn write_files(folder: &Path) {
    let stream = Stream::new(4, "rows", 0);
    let x: Vec<f32> = (0..(ROWS * INPUTS) as u64).map(|index| stream.normal_f64(index) as f32).collect();
    let target: Vec<f32> =
        x.chunks(INPUTS).map(|x| (2.0 * x[0] - x[1] * x[2] + 0.3 * x[0] * x[0]) * 0.5).collect();
    let arrays = BTreeMap::from([
        ("x".to_string(), Tensor::from_vec([ROWS, INPUTS], x).expect("an array")),
        ("target".to_string(), Tensor::from_vec([ROWS, 1], target).expect("an array")),
    ]);
    npz::write(&folder.join("rows.npz"), &arrays, npz::Compression::Store).expect("a file");
    let shapes = [vec![INPUTS, HIDDEN], vec![HIDDEN], vec![HIDDEN, 1], vec![1]];
    let tensors = NAMES.iter().zip(start()).zip(shapes);
    let tensors = tensors.map(|((name, values), shape)| {
        (name.to_string(), Tensor::from_vec(shape, values).expect("an array"))
    });
    let weights = Weights { tensors: tensors.collect(), ..Weights::default() };
    weights.write(&folder.join("start.safetensors")).expect("a file");
}

/// The rows of a split, as the program itself says.
fn split(folder: &Path, name: &str) -> Rows {
    let options = ["--weights", "run/checkpoints/last.safetensors", "--precision", "f64"];
    let output = dlc(folder, &["eval", "m.model", "--split", name, "--save", name]).args(options).output();
    assert!(output.expect("dlc starts").status.success());
    let read = |field: &str| {
        let path = folder.join(name).join(format!("{field}.npy"));
        npy::read(&path, &Limits::default()).expect("an array").to_f64_vec()
    };
    Rows { x: read("x"), target: read("target") }
}

fn check(recipe: &Recipe, what: &str, found: f64, wanted: f64) {
    let difference = (found - wanted).abs();
    assert!(difference <= 1e-10 * wanted.abs().max(1e-3), "{}: {what} is {found}, not {wanted}", recipe.name);
}

#[test]
fn a_run_is_what_its_definition_says_whether_interrupted_or_not() {
    for recipe in RECIPES {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path();
        fs::write(folder.join("m.model"), model(recipe)).expect("a file");
        write_files(folder);
        let options = ["--precision", "f64", "--out", "run", "--weights", "start.safetensors"];
        train(folder, &options);
        let (training, validation) = (split(folder, "train"), split(folder, "val"));
        assert_eq!((training.target.len(), validation.target.len()), (24, 8));
        let expected = define(recipe, start(), &training, &validation);
        let run = folder.join("run");
        let whole = outcome(&run);
        let of = |split: &str| whole.1.iter().filter(|line| line.split == split).collect::<Vec<&Line>>();
        for (update, [loss, lr, grad_norm, weight_norm, measured]) in expected.log.iter().enumerate() {
            let (line, after) = (of("train")[update], of("val")[update]);
            check(recipe, &format!("loss {update}"), line.loss, *loss);
            check(recipe, &format!("lr {update}"), line.lr.expect("a rate"), *lr);
            let names: Vec<&str> = line.metrics.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["grad_norm", "weight_norm"]);
            check(recipe, &format!("grad_norm {update}"), line.metrics[0].1, *grad_norm);
            check(recipe, &format!("weight_norm {update}"), line.metrics[1].1, *weight_norm);
            check(recipe, &format!("val.loss {update}"), after.loss, *measured);
        }
        let last = checkpoint(&run, "last.safetensors").parameters;
        for (number, name) in NAMES.iter().enumerate() {
            let stored = |role, name: &str| last.get(role, name).map(Tensor::to_f64_vec);
            let values = stored(abi::Role::Weight, name).expect("a weight");
            values.iter().zip(&expected.parameters[number]).for_each(|(a, b)| check(recipe, name, *a, *b));
            let average = stored(abi::Role::Optimizer, &format!("ema/{name}"));
            let keeps = recipe.ema.is_some() && !recipe.frozen.contains(&number);
            assert_eq!(average.is_some(), keeps, "{}: {name}", recipe.name);
            for (a, b) in average.iter().flatten().zip(&expected.averages[number]) {
                check(recipe, &format!("ema/{name}"), *a, *b);
            }
        }
        for cut in [1, 5, 11] {
            let name = format!("cut-{cut}");
            let begun = folder.join(&name);
            fs::create_dir_all(begun.join("checkpoints")).expect("a folder");
            let kept = format!("checkpoints/step-{cut:08}.safetensors");
            fs::copy(run.join(&kept), begun.join(&kept)).expect("a checkpoint");
            fs::copy(run.join("metrics.jsonl"), begun.join("metrics.jsonl")).expect("a log");
            fs::copy(run.join("checkpoints/best.safetensors"), begun.join("checkpoints/best.safetensors"))
                .expect("a checkpoint");
            train(folder, &["--precision", "f64", "--resume", &name]);
            assert!(outcome(&begun) == whole, "{}, cut after update {cut}", recipe.name);
        }
    }
}

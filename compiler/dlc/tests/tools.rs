//! The tools for a user's own model: gradients held against differences, traces, the first value that is not finite,
//! accounts, limits on memory.

use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;
use tensor::{DType, Tensor, npy};

const NETWORK: &str = "layer unit(d: dim)(x: float[n, d]) -> float[n, d] {
    inner = x |> dense(d) |> tanh
    x + inner
}

model M(x: f32[batch, 6]) -> (y: f32[batch, 2]) {
    h = x |> repeat(3) as block { unit(6) }
    y = h |> dense(2)
}

train M {
    data      = synthetic(32, x: normal(0, 1), target: normal(0, 1))
    loss      = mse(y, target)
    optimizer = sgd(lr: 0.1)
    batch     = 8
}
";

fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("m.model"), text).expect("a file");
    folder
}

fn dlc(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlc"));
    command.current_dir(folder).args(arguments).env("XDG_CACHE_HOME", folder.join("cache"));
    command.env_remove("FORCE_COLOR").env_remove("CLICOLOR_FORCE").output().expect("dlc starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("dlc writes UTF-8")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
}

/// What standard error says of a verb that fails with exit code 1.
fn fails(text_of_model: &str, arguments: &[&str]) -> String {
    let folder = folder(text_of_model);
    let output = dlc(folder.path(), arguments);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}\n{}", text(&output.stdout));
    told
}

#[track_caller]
fn holds(told: &str, parts: &[&str]) {
    for part in parts {
        assert!(told.contains(part), "`{part}` is not in\n{told}");
    }
}

#[test]
fn gradients_agree_with_differences() {
    let folder = folder(NETWORK);
    let output = dlc(folder.path(), &["grad", "m.model", "--check", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output.stdout), text(&output.stderr));
    let page = json(&output);
    assert_eq!(page["agrees"], true);
    let arrays = page["arrays"].as_array().expect("a list");
    let names: Vec<&str> = arrays.iter().filter_map(|array| array["name"].as_str()).collect();
    assert_eq!(names.len(), 10, "eight weights and two inputs: {names:?}");
    assert!(names.contains(&"block.1.dense.w") && names.contains(&"x") && names.contains(&"target"));
    for array in arrays {
        assert!(array["largest_difference"].as_f64().is_some_and(|it| it < 1e-5), "{array}");
        assert!(array["compared"].as_u64().is_some_and(|it| it > 0), "{array}");
    }
    let shown = dlc(folder.path(), &["grad", "m.model", "--check", "--samples", "4"]);
    holds(&text(&shown.stdout), &["weight `block.0.dense.w`", "4 of 36 + 2", "input `x`", "agrees"]);
}

#[test]
fn a_corner_is_no_failure_and_a_stopped_derivative_is_one() {
    let train = "train M { data = synthetic(8, x: uniform(1, 2))
    loss = mean(y) }";
    let corner = format!(
        "model M(x: f32[batch, 3]) -> (y: f32[batch]) {{
    param w: float[3] = zeros()
    y = sum(relu(x * w), axis: 1)
}}\n{train}"
    );
    let folder = folder(&corner);
    let output = dlc(folder.path(), &["grad", "m.model", "--check", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output.stdout), text(&output.stderr));
    let page = json(&output);
    let of_w = page["arrays"].as_array().expect("a list").iter().find(|it| it["name"] == "w").expect("w");
    assert_eq!(of_w["corners"], 3);
    let stopped = corner.replace("relu(x * w)", "stop_gradient(x * w) * w + w").replace("zeros()", "ones()");
    fs::write(folder.path().join("m.model"), stopped).expect("a file");
    let output = dlc(folder.path(), &["grad", "m.model", "--check"]);
    assert_eq!(output.status.code(), Some(1));
    holds(&text(&output.stdout), &["DISAGREES", "stopped on purpose at m.model:3:", "the derivative is"]);
}

#[test]
fn the_first_value_that_is_not_finite_forward() {
    let model = "layer shy(x: float[n, k]) -> float[n, k] {
    log(relu(x))
}

model M(x: f32[batch, 3]) -> (y: f32[batch, 3]) {
    y = (x |> shy) * 0.0
}

train M { data = synthetic(8, x: normal(0, 1))
    loss = mean(y)
    optimizer = sgd(lr: 0.1) }
";
    for verb in [&["grad", "m.model", "--nan"][..], &["train", "m.model", "--nan"]] {
        let told = fails(model, verb);
        holds(
            &told,
            &["E0829", "`log(relu(x))` gives -inf in the forward pass", "m.model:2:5", "`shy`", "here 0e0"],
        );
    }
    let told = fails(model, &["train", "m.model", "--nan"]);
    holds(&told, &["in update 0"]);
}

#[test]
fn the_first_value_that_is_not_finite_backward_or_in_half_precision() {
    let root = "model M(x: f32[batch, 3]) -> (y: f32[batch]) {
    param w: float[3] = zeros()
    y = sqrt(sum((x * w) ^ 2, axis: 1))
}

train M { data = synthetic(8, x: normal(0, 1))
    loss = mean(y) }
";
    let told = fails(root, &["grad", "m.model", "--nan"]);
    holds(
        &told,
        &[
            "E0829",
            "the derivative of `sqrt(sum((x * w) ^ 2, axis: 1))` gives",
            "backward pass",
            "m.model:3:9",
        ],
    );
    let large = "model M(x: float[batch, 3]) -> (y: float[batch, 3]) {
    scaled = x * 300.0 + 300.0
    y = scaled * scaled
}

train M { data = synthetic(8, x: uniform(0, 1))
    loss = mean(y) }
";
    let told = fails(large, &["grad", "m.model", "--nan", "--precision", "f16"]);
    holds(
        &told,
        &[
            "`scaled * scaled` gives inf in the forward pass",
            "m.model:3:9",
            "operand `x * 300.0 + 300.0`: f16",
        ],
    );
    let folder = folder(large);
    assert_eq!(dlc(folder.path(), &["grad", "m.model", "--nan"]).status.code(), Some(0), "f32 has room");
}

#[test]
fn infinities_on_purpose_are_let_through() {
    let masked = "model M(x: f32[batch, 4]) -> (y: f32[batch, 4]) {
    h = x |> dense(4)
    y = softmax(select(iota(4) < 3, h, -inf))
}

train M { data = synthetic(8, x: normal(0, 1))
    loss = mean(y ^ 2) }
";
    let folder = folder(masked);
    let output = dlc(folder.path(), &["grad", "m.model", "--nan"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn a_trace_names_values_by_line_and_layer() {
    let folder = folder(NETWORK);
    dlc(folder.path(), &["train", "m.model", "--set", "train.steps=1"]);
    dlc(folder.path(), &["eval", "m.model", "--save", "held"]);
    let arguments = ["run", "m.model", "--input", "x=held/x.npy", "--trace"];
    let page = json(&dlc(folder.path(), &[&arguments[..], &["--format", "json"]].concat()));
    let values = page["values"].as_array().expect("a list");
    let seen: Vec<(&str, &str)> =
        values.iter().filter_map(|value| Some((value["path"].as_str()?, value["name"].as_str()?))).collect();
    assert_eq!(
        seen,
        [("block.0", "inner"), ("block.1", "inner"), ("block.2", "inner"), ("", "h"), ("", "y")]
    );
    assert_eq!(values[0]["place"], "m.model:2:13");
    assert_eq!(values[4]["shape"][1], 2);
    let low = values[0]["min"].as_f64().expect("a number");
    let (mean, high) =
        (values[0]["mean"].as_f64().expect("a number"), values[0]["max"].as_f64().expect("a number"));
    assert!(-1.0 <= low && low <= mean && mean <= high && high <= 1.0, "{page}");
    let shown = text(&dlc(folder.path(), &arguments).stdout);
    holds(&shown, &["m.model:2:13  block.0  inner  f", "not finite", "y: f32["]);
}

#[test]
fn inspect_accounts_for_training_and_folds_equal_blocks() {
    let folder = folder(NETWORK);
    let page = json(&dlc(folder.path(), &["inspect", "m.model", "--format", "json", "--bind", "batch=8"]));
    let dense = |layer: &Value| layer["path"] == "block.1.dense";
    let row =
        page["layers"].as_array().expect("a list").iter().find(|row| dense(row)).expect("a row").clone();
    assert_eq!(row["flops"]["value"], 8 * (2 * 6 * 6 + 6));
    assert_eq!(
        row["backward_flops"]["value"],
        8 * (4 * 6 * 6 + 6 + 6),
        "two products, the sum of the bias, that of both ways of x"
    );
    assert_eq!(row["depth"], 1);
    assert_eq!(page["training"]["entry"], "step");
    let flops = |key: &str| page["training"][key]["value"].as_i64().expect("a number");
    assert_eq!(flops("flops"), flops("forward_flops") + flops("backward_flops") + flops("update_flops"));
    let shown = text(&dlc(folder.path(), &["inspect", "m.model", "--depth", "2"]).stdout);
    holds(&shown, &["block.0 … block.2", "3 × unit", "  block.0.dense", "training step", "backward"]);
}

#[test]
fn a_limit_on_memory_keeps_every_bit() {
    let folder =
        folder(&NETWORK.replace("repeat(3)", "repeat(16)").replace("batch     = 8", "batch     = 24"));
    let free = dlc(folder.path(), &["grad", "m.model", "--output", "free.safetensors"]);
    assert_eq!(free.status.code(), Some(0), "{}", text(&free.stderr));
    let told = dlc(folder.path(), &["grad", "m.model", "--max-memory", "1K"]);
    assert_eq!(told.status.code(), Some(1));
    let told = text(&told.stderr);
    holds(&told, &["E0905", "a call of `grad` needs", "instead of keeping them it needs", "in `block.*`"]);
    let least = told.split("instead of keeping them it needs ").nth(1).expect("a size");
    let least: f64 = least.split(" KiB").next().and_then(|size| size.parse().ok()).expect("a number");
    let limit = format!("{}K", least as u64 + 2);
    let tight =
        dlc(folder.path(), &["grad", "m.model", "--output", "tight.safetensors", "--max-memory", &limit]);
    assert_eq!(tight.status.code(), Some(0), "{limit}: {}", text(&tight.stderr));
    let [free, tight] =
        ["free.safetensors", "tight.safetensors"].map(|file| fs::read(folder.path().join(file)));
    assert!(free.expect("a file") == tight.expect("a file"));
}

#[test]
fn a_profile_accounts_for_the_run() {
    let folder = folder(NETWORK);
    let x = Tensor::from_vec([8, 6], (0..48).map(f64::from).collect::<Vec<f64>>()).expect("48 numbers");
    npy::write(&folder.path().join("x.npy"), &x.cast(DType::F32).expect("a cast")).expect("a file");
    // Products, biases, activations and sums of three units, and the layer behind them, for 8 rows.
    let work = f64::from(8 * (3 * (2 * 6 * 6 + 3 * 6) + 2 * 6 * 2 + 2));
    let mut calls = Vec::new();
    for style in ["compiled", "graph", "eager"] {
        let call = ["run", "m.model", "--input", "x=x.npy", "--profile", "--threads", "1", "--style", style];
        let output = dlc(folder.path(), &[&call[..], &["--format", "json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let told = text(&output.stdout);
        let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let sum = |key: &str| lines.iter().map(|line| line[key].as_f64().expect("a number")).sum::<f64>();
        assert_eq!(sum("flops"), work, "{style}: {told}");
        assert!(sum("seconds") > 0.0 && sum("bytes") > 0.0, "{style}: {told}");
        let placed = |line: &Value| line["line"].as_str().is_some_and(|line| line.starts_with("m.model:"));
        assert!(lines.iter().all(placed), "{style}: {told}");
        calls.push(sum("calls"));
        let table = dlc(folder.path(), &call);
        holds(&text(&table.stdout), &["GFLOP/s", "m.model:2", "contract", "on one thread"]);
    }
    assert!(calls[0] < calls[1] && calls[1] <= calls[2], "kernel calls by style: {calls:?}");
}

#[test]
fn what_does_not_plan_memory_cannot_limit_it() {
    let told = fails(NETWORK, &["grad", "m.model", "--style", "eager", "--max-memory", "1M"]);
    holds(&told, &["E0501", "--style eager"]);
}

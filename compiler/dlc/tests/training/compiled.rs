//! The training step through its C interface, where an update takes several batches.

use crate::runs::dlc;
use std::{fs, path::Path, process::Command};
use tensor::{Limits, safetensors::Weights};

fn model(name: &str, accumulate: &str) -> String {
    format!(
        "model {name}(x: f32[batch, 2]) -> (y: f32[batch, 1]) {{ y = x |> dense(3) |> tanh |> dense(1) }}
train {name}(target: f32[batch, 1]) {{
    loss = mse(y, target)
    optimizer = adam(plateau(0.05))
    clip = global_norm(1.0)
    ema = 0.5
    {accumulate}
}}
"
    )
}

/// Ten updates of rows that differ: in three batches of 1, 2 and 4 rows, or in one of 7.
const PARTS: &str = "for (int from = 0, rows = 1; rows < 4; from += rows, rows *= 2)
            check(parts_accumulate(parts, rows, rows / 7.0, x + 2 * from, target + from, &loss));
        check(parts_step(parts, 4, 4 / 7.0, x + 6, target + 3, NUMBERS));";
const WHOLE: &str = "check(whole_step(whole, 7, x, target, NUMBERS));";

fn host(name: &str, update: &str) -> String {
    let numbers = "&loss, &lr, &grad_norm, &weight_norm";
    let update = update.replace("NUMBERS", numbers);
    format!(
        "#include <stdio.h>
#include <stdlib.h>
#include \"{name}.h\"
static {name}_model *{name};
static void check(int status) {{
    if (status) exit(fprintf(stderr, \"%s\\n\", {name}_last_error({name})));
}}
int main(void) {{
    float x[14], target[7], loss, lr, grad_norm, weight_norm;
    if ({name}_create(NULL, &{name}, NULL, 0)) return 2;
    check({name}_init({name}, 5));
    for (int update = 0; update < 10; update++) {{
        for (int i = 0; i < 14; i++) x[i] = (float)((i * 37 + update * 11) % 23) / 23 - 0.5f;
        for (int i = 0; i < 7; i++) target[i] = x[2 * i] - 2 * x[2 * i + 1];
        if (update == 5) check({name}_set_rate_scale({name}, 0.25));
        {update}
        printf(\"%.6f %.6f\\n\", lr, grad_norm);
    }}
    check({name}_save({name}, \"{name}.safetensors\"));
    {name}_destroy({name});
    return 0;
}}
"
    )
}

/// What the program prints, and the weights that it saves.
fn trained(folder: &Path, name: &str, accumulate: &str, update: &str) -> (String, Weights) {
    let title = name[..1].to_uppercase() + &name[1..];
    fs::write(folder.join("m.model"), model(&title, accumulate)).expect("a file");
    fs::write(folder.join("host.c"), host(name, update)).expect("a file");
    let output =
        dlc(folder, &["compile", "m.model", "--with", "train", "-o", name]).output().expect("dlc starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let library = format!("{name}/lib{name}.a");
    let include = format!("-I{name}");
    let options =
        ["-std=c99", "-Wall", "-Wextra", "-Werror", &include, "host.c", &library, "-lm", "-lpthread"];
    let built = Command::new("cc").current_dir(folder).args(options).args(["-o", "host"]).output();
    let built = built.expect("a C compiler");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let ran = Command::new(folder.join("host")).current_dir(folder).output().expect("the program starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let file = folder.join(format!("{name}.safetensors"));
    let weights = Weights::read(&file, &Limits::default()).expect("weights");
    (String::from_utf8_lossy(&ran.stdout).into_owned(), weights)
}

#[test]
fn an_update_of_several_batches_in_c_is_that_of_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (told, parts) = trained(folder.path(), "parts", "accumulate = 3", PARTS);
    let (expected, whole) = trained(folder.path(), "whole", "", WHOLE);
    let numbers = |text: &str| -> Vec<f64> {
        text.split_whitespace().map(|word| word.parse().expect("a number")).collect()
    };
    let (told, expected) = (numbers(&told), numbers(&expected));
    assert_eq!((told.len(), expected[0], expected[18]), (20, 0.05, 0.0125));
    for (a, b) in told.iter().zip(&expected) {
        assert!((a - b).abs() < 1e-4, "{told:?} {expected:?}");
    }
    assert!(parts.tensors.keys().eq(whole.tensors.keys()), "sums of gradients are not saved");
    // Weights, two moments and the average of each, under the names of a checkpoint.
    assert_eq!(parts.tensors.len(), 16);
    let (read, _) = train::read_weights(&folder.path().join("parts.safetensors")).expect("weights");
    for name in ["dense.w.m", "dense_1.b.v", "ema/dense.w"] {
        assert!(read.get(abi::Role::Optimizer, name).is_some(), "{name}");
    }
    for (name, tensor) in &parts.tensors {
        for (a, b) in tensor.to_f64_vec().iter().zip(whole.tensors[name].to_f64_vec()) {
            assert!((a - b).abs() < 1e-4, "{name}: {a} {b}");
        }
    }
}

//! Training where `float` is a half: what is learnt is kept in f32, and weights cross precisions only as they may.

use crate::runs::{checkpoint, dlc, train};
use std::{fs, path::Path};
use tensor::{DType, Tensor, safetensors::Weights};
use train::Checkpoint;

/// One weight that moves by 1/4096 an update: less than a half holds beside 1.
const SLOW: &str = "model M(x: f32[batch]) -> (y: float[batch]) {
    param w: float = ones([])
    y = w * x
}
train M {
    data       = synthetic(20, x: uniform(1, 1.000001))
    loss       = mean(y)
    optimizer  = sgd(0.000244140625, momentum: 0.5)
    batch      = 20
    split      = [1.0, 0.0]
    epochs     = 64
    ema        = 0.5
    checkpoint = { every: 1, keep: 100 }
}
";

fn value(checkpoint: &Checkpoint, role: abi::Role, name: &str) -> (DType, f64) {
    let tensor = checkpoint.parameters.get(role, name).expect("a parameter");
    (tensor.dtype(), tensor.to_f64_vec()[0])
}

fn told(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = dlc(folder, arguments).output().expect("dlc starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn updates_smaller_than_a_half_holds_add_up() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("m.model"), SLOW).expect("a file");
    for precision in ["bf16", "f16", "f32"] {
        train(folder.path(), &["--precision", precision, "--out", precision]);
        let last = checkpoint(&folder.path().join(precision), "last.safetensors");
        // v = 1, 1.5, 1.75, …; the derivative is 1.
        let (mut w, mut v, mut average) = (1.0f64, 0.0, 1.0);
        for _ in 0..64 {
            v = 0.5 * v + 1.0;
            w -= v / 4096.0;
            average = 0.5 * average + 0.5 * w;
        }
        use abi::Role::{Optimizer, Weight};
        for (role, name, wanted) in [(Weight, "w", w), (Optimizer, "w.v", v), (Optimizer, "ema/w", average)] {
            let (dtype, value) = value(&last, role, name);
            assert_eq!(dtype, DType::F32, "{precision}: {name}");
            assert!((value - wanted).abs() < 1e-5, "{precision}: {name} is {value}, not {wanted}");
        }
    }
    let whole = folder.path().join("bf16");
    let cut = folder.path().join("cut");
    fs::create_dir_all(cut.join("checkpoints")).expect("a folder");
    for name in ["checkpoints/step-00000021.safetensors", "metrics.jsonl"] {
        fs::copy(whole.join(name), cut.join(name)).expect("a file");
    }
    train(folder.path(), &["--precision", "bf16", "--resume", "cut"]);
    let parameters = |run: &Path| checkpoint(run, "last.safetensors").parameters;
    assert_eq!(parameters(&cut), parameters(&whole));
}

#[test]
fn halves_learn_the_digits() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = models.join("digits.model").display().to_string();
    for precision in ["bf16", "f16"] {
        let options = ["--precision", precision, "--set", "train.epochs=6", "--out", precision];
        let (code, text) = told(folder.path(), &[&["train", &file][..], &options].concat());
        assert_eq!(code, Some(0), "{text}");
        let log = fs::read_to_string(folder.path().join(precision).join("metrics.jsonl")).expect("a log");
        let last = train::parse_lines(&log).into_iter().rfind(|line| line.split == "val").expect("a line");
        assert!(last.metrics[0].1 > 0.95 && last.loss < 0.2, "{precision}: {last:?}");
    }
}

#[test]
fn weights_cross_precisions_where_nothing_is_lost_or_rounding_is_asked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    fs::write(folder.join("m.model"), SLOW).expect("a file");
    let write = |name: &str, value: f64, dtype: DType| {
        let tensor = Tensor::from_vec([], [value]).and_then(|tensor| tensor.cast(dtype)).expect("a number");
        let weights = Weights { tensors: [("w".to_string(), tensor)].into(), ..Weights::default() };
        weights.write(&folder.join(name)).expect("a file");
    };
    write("third.safetensors", 1.0 / 3.0, DType::F64);
    write("quarter.safetensors", 0.25, DType::F64);
    write("half.safetensors", 1.0 / 3.0, DType::BF16);
    write("whole.safetensors", 1.0, DType::I32);
    let x = Tensor::from_vec([1], [1f32]).expect("an array");
    tensor::npy::write(&folder.join("x.npy"), &x).expect("a file");
    let run = |weights: &str, more: &[&str]| {
        told(folder, &[&["run", "m.model", "--input", "x=x.npy", "--weights", weights][..], more].concat())
    };
    let table: &[(&str, &[&str], Result<&str, &str>)] = &[
        ("third.safetensors", &[], Err("`--precision f32` asks for rounding")),
        ("third.safetensors", &["--precision", "f32"], Ok("0.333333")),
        ("third.safetensors", &["--precision", "f64"], Ok("0.333333")),
        ("third.safetensors", &["--precision", "bf16"], Ok("0.333984")),
        ("quarter.safetensors", &[], Ok("0.250000")),
        ("half.safetensors", &[], Ok("0.333984")),
        ("half.safetensors", &["--precision", "bf16"], Ok("0.333984")),
        (
            "whole.safetensors",
            &["--precision", "f32"],
            Err("`w` is i32 in the weights and f32 in this build"),
        ),
    ];
    for (weights, more, expected) in table {
        let (code, text) = run(weights, more);
        let (wanted, part) = match expected {
            Ok(part) => (Some(0), part),
            Err(part) => (Some(1), part),
        };
        assert!(code == wanted && text.contains(part), "{weights} {more:?}: {code:?} {text}");
        assert_eq!(expected.is_err(), text.contains("E0804"), "{text}");
    }
    let compile = |more: &[&str]| told(folder, &[&["compile", "m.model", "-o", "build"][..], more].concat());
    assert_eq!(compile(&["--precision", "bf16", "--embed-weights", "third.safetensors"]).0, Some(0));
    let (code, text) = compile(&["--embed-weights", "third.safetensors"]);
    assert!(code == Some(1) && text.contains("E0804"), "{text}");
    let (code, text) = compile(&["--precision", "bf16", "--with", "train"]);
    assert!(code == Some(1) && text.contains("E0901"), "{text}");
    train(folder, &["--weights", "third.safetensors", "--precision", "bf16", "--out", "begun"]);
}

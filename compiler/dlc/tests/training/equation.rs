//! A network that is trained on a differential equation alone comes near its solution.

use crate::runs::{checkpoint, dlc, train};
use std::{f64::consts::PI, fs, path::Path};
use tensor::{Limits, Tensor, npz};

const SIDE: usize = 33;

#[test]
fn the_heat_equation_is_solved() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/heat_pinn.model");
    fs::copy(model, folder.join("m.model")).expect("a copy");
    train(folder, &[]);
    checkpoint(&folder.join("runs/heat"), "best.safetensors");

    let place = |index: usize| (index as f64 / (SIDE - 1) as f64).min(1.0);
    let points = (0..SIDE * SIDE).map(|index| (place(index / SIDE), PI * place(index % SIDE)));
    let (t, x): (Vec<f64>, Vec<f64>) = points.unzip();
    for (name, values) in [("t.npy", &t), ("x.npy", &x)] {
        let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        let array = Tensor::from_vec([SIDE * SIDE], values).expect("an array");
        tensor::npy::write(&folder.join(name), &array).expect("a file");
    }
    let arguments = [
        ["run", "m.model", "--weights", "runs/heat/checkpoints/best.safetensors", "--output", "u.npz"]
            .as_slice(),
        &["--input", "t=t.npy", "--input", "x=x.npy"],
    ];
    let output = dlc(folder, &arguments.concat()).output().expect("dlc starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = npz::read(&folder.join("u.npz"), &Limits::default()).expect("arrays")["u"].to_f64_vec();

    let exact: Vec<f64> = t.iter().zip(&x).map(|(t, x)| (-0.1 * t).exp() * x.sin()).collect();
    let squares =
        |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let off =
        squares(&mut found.iter().zip(&exact).map(|(a, b)| a - b)) / squares(&mut exact.iter().copied());
    assert!(off <= 0.05, "the relative error is {off}");
}

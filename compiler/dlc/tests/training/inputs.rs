//! Inputs that the data leave out: a value for each row, or one for the whole batch.

use crate::runs::{checkpoint, train};
use ::train::{Parameters, parse_lines};
use std::{fs, path::Path};

const SOURCE: &str = "model M(x: f32[batch, 2]INPUTS) -> (y: f32[batch]) {
    y = (x |> dense(1) |> squeeze(1)) * SCALE
}
train M {
    data      = csv(\"rows.csv\", x: columns(\"a\", \"b\"), target: column(\"target\"))
    loss      = mse(y, target)
    optimizer = sgd(0.05)
    batch     = 5
    epochs    = 2
}
";

fn weights(inputs: &str, scale: &str) -> Parameters {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    fs::write(folder.join("m.model"), SOURCE.replace("INPUTS", inputs).replace("SCALE", scale))
        .expect("a file");
    let row = |row: u32| format!("{},{},{}\n", row % 3, row % 5, row % 7);
    let rows = "a,b,target\n".to_string() + &(0..23).map(row).collect::<String>();
    fs::write(folder.join("rows.csv"), rows).expect("a file");
    train(folder, &[]);
    checkpoint(&folder.join("runs/m"), "last.safetensors").parameters
}

#[test]
fn an_input_without_a_batch_axis_has_one_value_for_all_rows() {
    let written = weights("", "1.5");
    assert_eq!(weights(", scale: f32 = 1.5", "scale"), written);
    assert_eq!(weights(", scale: f32[1] = 1.5", "scale[0]"), written);
    assert_eq!(weights(", scale: f32[batch] = 1.5", "scale"), written);
    assert_ne!(weights(", scale: f32 = 2", "scale"), written);
}

#[test]
fn the_language_model_is_trained_from_its_first_position() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    fs::copy(models.join("gpt2.model"), folder.join("m.model")).expect("a copy");
    fs::create_dir(folder.join("data")).expect("a folder");
    let text = fs::read_to_string(models.join("data/sums.txt")).expect("the text");
    let start = text.char_indices().nth(6000).map_or(text.len(), |(at, _)| at);
    fs::write(folder.join("data/sums.txt"), &text[..start]).expect("a file");
    let small = ["vocab=64", "layers=2", "d=16", "heads=2", "context=256", "train.batch=4", "train.steps=6"];
    let set: Vec<&str> = small.iter().flat_map(|setting| ["--set", setting]).collect();
    train(folder, &set);
    let log = fs::read_to_string(folder.join("runs/gpt2/metrics.jsonl")).expect("a log");
    let losses: Vec<f64> = parse_lines(&log).into_iter().map(|line| line.loss).collect();
    let (Some(first), Some(last)) = (losses.first(), losses.last()) else { panic!("{log}") };
    assert!(last < first, "{losses:?}");
}

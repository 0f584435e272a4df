//! What other verbs make of a trained model: the rows that were held out, the words as they were, inputs left out.

use crate::runs::{checkpoint, dlc, train};
use std::{fs, path::Path};
use tensor::{Limits, Tensor, npy};

const WORDS: &str = "model M(x: f32[batch], scale: f32[batch] = 2) -> (logits: f32[batch, 3]) {
    logits = reshape(x * scale, [batch, 1]) |> dense(3)
}
train M {
    data      = csv(\"rows.csv\", x: column(\"x\"), kind: column(\"kind\"))
    loss      = cross_entropy(logits, kind)
    metrics   = { accuracy: accuracy(logits, kind) }
    optimizer = adam(0.05)
    split     = [0.5, 0.5]
    epochs    = 3
}
";

fn told(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = dlc(folder, arguments).output().expect("dlc starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn rows(kinds: &[&str], count: usize) -> String {
    let row = |row: usize| {
        let kind = row % kinds.len();
        format!("{}.{},{}\n", kind, row % 7, kinds[kind])
    };
    "x,kind\n".to_string() + &(0..count).map(row).collect::<String>()
}

#[test]
fn words_keep_the_ids_of_training() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    fs::write(folder.join("m.model"), WORDS).expect("a file");
    fs::write(folder.join("rows.csv"), rows(&["ant", "bee", "cow"], 60)).expect("a file");
    train(folder, &[]);
    fs::write(folder.join("later.csv"), rows(&["bee", "cow"], 20)).expect("a file");
    let (code, text) = told(folder, &["eval", "m.model", "--data", "later.csv", "--save", "later"]);
    assert_eq!(code, Some(0), "{text}");
    let ids = npy::read(&folder.join("later/kind.npy"), &Limits::default()).expect("an array").to_i64_vec();
    assert!(ids.iter().all(|id| [1, 2].contains(id)) && ids.contains(&2), "{ids:?}");
    fs::write(folder.join("later.csv"), rows(&["bee", "dog"], 20)).expect("a file");
    let (code, text) = told(folder, &["eval", "m.model", "--data", "later.csv"]);
    assert!(code == Some(1) && text.contains("dog"), "{text}");
}

#[test]
fn what_was_held_out_is_measured_whatever_the_seed_is_now() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    fs::write(folder.join("m.model"), WORDS).expect("a file");
    fs::write(folder.join("rows.csv"), rows(&["ant", "bee", "cow"], 60)).expect("a file");
    train(folder, &["--seed", "7"]);
    let best = checkpoint(&folder.join("runs/m"), "best.safetensors").description.progress.best;
    for seed in ["0", "7"] {
        let (code, text) = told(folder, &["eval", "m.model", "--format", "json", "--seed", seed]);
        assert_eq!(code, Some(0), "{text}");
        let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(found["loss"].as_f64(), best.value, "seed {seed}");
    }
    fs::write(folder.join("m.model"), WORDS.replace("[0.5, 0.5]", "[0.1, 0.9]")).expect("a file");
    let (_, text) = told(folder, &["eval", "m.model", "--format", "json"]);
    let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((found["rows"].as_u64(), found["loss"].as_f64()), (Some(30), best.value));
}

#[test]
fn inputs_with_a_default_may_be_left_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    fs::write(folder.join("m.model"), WORDS).expect("a file");
    let array = |name: &str, values: Vec<f32>| {
        let array = Tensor::from_vec([values.len()], values).expect("an array");
        npy::write(&folder.join(name), &array).expect("a file");
    };
    array("x.npy", vec![1.0, 2.0, 3.0]);
    array("two.npy", vec![2.0; 3]);
    let run = ["run", "m.model", "--input", "x=x.npy"];
    let (code, given) = told(folder, &[&run[..], &["--input", "scale=two.npy"]].concat());
    assert_eq!(code, Some(0), "{given}");
    assert_eq!(told(folder, &run), (Some(0), given));
    let (code, text) = told(folder, &["run", "m.model", "--input", "scale=two.npy"]);
    assert!(code == Some(1) && text.contains("`x`"), "{text}");
}

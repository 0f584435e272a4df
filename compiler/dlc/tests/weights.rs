//! Weights files under the names of other frameworks.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};
use tensor::{DType, Tensor, npy, npz, safetensors::Weights};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlc"));
    command.current_dir(folder).args(arguments).env_remove("FORCE_COLOR").env_remove("CLICOLOR_FORCE");
    command.env("XDG_CACHE_HOME", folder.join("cache")).output().expect("dlc starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("dlc writes UTF-8")
}

/// Numbers that look drawn, the same each time, other ones for each `seed`.
fn numbers(shape: &[usize], seed: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let value = |at: usize| ((at * 7919 + seed * 104_729) % 1999) as f32 / 1999.0 - 0.5;
    Tensor::from_vec(shape, (0..count).map(value).collect::<Vec<f32>>()).expect("the counts agree")
}

fn write(path: &Path, tensors: BTreeMap<String, Tensor>) {
    Weights { tensors, ..Weights::default() }.write(path).expect("the folder is there");
}

/// As small as MiniLM can be, under its published names and under ours.
fn minilm() -> (BTreeMap<String, Tensor>, BTreeMap<String, Tensor>) {
    let (d, wide) = (8, 12);
    let mut pairs: Vec<(String, String, Vec<usize>)> = vec![
        ("words.w".into(), "embeddings.word_embeddings.weight".into(), vec![20, d]),
        ("place.w".into(), "embeddings.position_embeddings.weight".into(), vec![6, d]),
        ("kind.w".into(), "embeddings.token_type_embeddings.weight".into(), vec![2, d]),
        ("layer_norm.scale".into(), "embeddings.LayerNorm.weight".into(), vec![d]),
        ("layer_norm.bias".into(), "embeddings.LayerNorm.bias".into(), vec![d]),
    ];
    for i in 0..2 {
        let mut dense = |ours: &str, theirs: &str, from: usize, to: usize| {
            let (ours, theirs) = (format!("block.{i}.{ours}"), format!("encoder.layer.{i}.{theirs}"));
            // Matrices lie the other way round there.
            pairs.push((format!("{ours}.w"), format!("{theirs}.weight"), vec![to, from]));
            pairs.push((format!("{ours}.b"), format!("{theirs}.bias"), vec![to]));
        };
        for part in ["query", "key", "value"] {
            dense(&format!("attention.{part}"), &format!("attention.self.{part}"), d, d);
        }
        dense("attention.dense", "attention.output.dense", d, d);
        dense("dense", "intermediate.dense", d, wide);
        dense("dense_1", "output.dense", wide, d);
        for (ours, theirs) in [("layer_norm", "attention.output"), ("layer_norm_1", "output")] {
            let (ours, theirs) =
                (format!("block.{i}.{ours}"), format!("encoder.layer.{i}.{theirs}.LayerNorm"));
            pairs.push((format!("{ours}.scale"), format!("{theirs}.weight"), vec![d]));
            pairs.push((format!("{ours}.bias"), format!("{theirs}.bias"), vec![d]));
        }
    }
    let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
    for (seed, (name, foreign, shape)) in pairs.into_iter().enumerate() {
        let tensor = numbers(&shape, seed);
        let is_matrix = name.starts_with("block") && shape.len() == 2;
        let own = if is_matrix { tensor.permuted(&[1, 0]).expect("a matrix") } else { tensor.clone() };
        ours.insert(name, own);
        theirs.insert(foreign, tensor);
    }
    theirs.insert("embeddings.position_ids".into(), Tensor::zeros(DType::I64, [1, 6]).expect("small"));
    theirs.insert("pooler.dense.weight".into(), numbers(&[d, d], 99));
    (ours, theirs)
}

#[test]
fn published_names_of_minilm() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/minilm.model");
    fs::copy(source, at("minilm.model")).expect("the model ships");
    let (ours, theirs) = minilm();
    write(&at("ours.safetensors"), ours);
    write(&at("theirs.safetensors"), theirs);
    let ids = Tensor::from_vec([2, 5], [0i32, 3, 19, 4, 1, 7, 7, 2, 0, 11]).expect("ten");
    let mask = [true, true, true, true, true, true, true, true, false, false];
    npy::write(&at("ids.npy"), &ids).expect("the folder is there");
    npy::write(&at("mask.npy"), &Tensor::from_bools([2, 5], &mask).expect("ten")).expect("a folder");
    let small: Vec<&str> = ["vocab=20", "layers=2", "d=8", "heads=2", "wide=12", "positions=6"]
        .into_iter()
        .flat_map(|pair| ["--set", pair])
        .collect();
    let outcome = |weights: &str| {
        let arguments = ["run", "minilm.model", "--input", "ids=ids.npy", "--input", "mask=mask.npy"];
        let more = ["--weights", weights, "--output", "y.npz"];
        let output = run(folder.path(), &[&arguments[..], &more, &small].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let read = npz::read(&at("y.npz"), &tensor::Limits::default()).expect("dlc writes it");
        (read["sentence"].clone(), text(&output.stderr))
    };
    let (expected, quiet) = outcome("ours.safetensors");
    let (found, told) = outcome("theirs.safetensors");
    assert_eq!(expected, found);
    assert_eq!(quiet, "");
    assert!(told.contains("37 tensors under names of all-MiniLM-L6-v2"), "{told}");
    assert!(told.contains("not used: embeddings.position_ids, pooler.dense.weight"), "{told}");
    let table = [&["inspect", "minilm.model", "--weights", "theirs.safetensors"][..], &small].concat();
    let shown = text(&run(folder.path(), &table).stdout);
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for row in [
        "block.1.attention.query.w float[8, 8] transposed(encoder.layer.1.attention.self.query.weight)",
        "block.0.layer_norm_1.bias float[8] encoder.layer.0.output.LayerNorm.bias",
    ] {
        assert!(shown.contains(row), "{row}\n{shown}");
    }
    let json = text(&run(folder.path(), &[&table[..], &["--format", "json"]].concat()).stdout);
    let page: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(page["from"], "all-MiniLM-L6-v2");
    assert_eq!(page["weights"].as_array().map(Vec::len), Some(37));
    assert_eq!(page["unused"][1]["name"], "pooler.dense.weight");
}

const NET: &str = r#"
layer running(x: float[b, n]) -> float[b, n] {
    param scale: float[n] = ones()
    state level: float[n] = zeros()
    level <- 0.5 * level + 0.5 * mean(x, axis: 0)
    x * scale - level
}

model Net(x: f32[batch, 3]) -> (y: f32[batch, 2]) {
    y = x |> running |> dense(2)
}

train Net { loss = mse(y, target); optimizer = sgd(lr: 0) ; data = synthetic(8, x: normal(0, 1), target: normal(0, 1)) }

weights Net from "one framework" {
    "running.scale" = slice("gates", 2..5)
    "dense.w" = split(concat("a", "b", axis: 1), 2, 1, axis: 1)
    "dense.b" = sum("bias_1", "bias_2")
}

weights Net from "another framework" {
    "running.{p}" = "norm.{p}"
    "dense.w" = transposed("fc", [1, 0])
    "dense.b" = "fc_bias"
}
"#;

fn net(folder: &Path) -> BTreeMap<String, Tensor> {
    fs::write(folder.join("net.model"), NET).expect("the folder is there");
    npy::write(&folder.join("x.npy"), &numbers(&[2, 3], 5)).expect("the folder is there");
    let of = |name: &str, shape: &[usize], seed| (name.to_string(), numbers(shape, seed));
    [
        of("gates", &[6], 1),
        of("a", &[3, 1], 2),
        of("b", &[3, 3], 3),
        of("bias_1", &[2], 4),
        of("bias_2", &[2], 6),
    ]
    .into_iter()
    .collect()
}

#[test]
fn every_form_and_several_maps() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let first = net(folder.path());
    let sum = |index| {
        let value = |name: &str| first[name].to_f64_vec()[index];
        value("bias_1") + value("bias_2")
    };
    let w = first["b"].narrowed(1, 1..3).expect("two of three");
    let scale = first["gates"].narrowed(0, 2..5).expect("three of six");
    let b = Tensor::from_vec([2], [sum(0) as f32, sum(1) as f32]).expect("two");
    let named = |pairs: &[(&str, &Tensor)]| {
        pairs.iter().map(|(name, tensor)| (name.to_string(), (*tensor).clone())).collect()
    };
    let level = Tensor::zeros(DType::F32, [3]).expect("small");
    write(
        &at("ours.safetensors"),
        named(&[("running.scale", &scale), ("running.level", &level), ("dense.w", &w), ("dense.b", &b)]),
    );
    let turned = w.permuted(&[1, 0]).expect("a matrix");
    write(
        &at("second.safetensors"),
        named(&[("norm.scale", &scale), ("norm.level", &level), ("fc", &turned), ("fc_bias", &b)]),
    );
    write(&at("first.safetensors"), first);
    let shown = |weights: &str| {
        let output = run(folder.path(), &["run", "net.model", "--input", "x=x.npy", "--weights", weights]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    };
    let (ours, _) = shown("ours.safetensors");
    let (one, told) = shown("first.safetensors");
    assert_eq!(ours, one);
    assert!(told.contains("names of one framework"), "{told}");
    assert!(told.contains("without a row, so as without a file: running.level"), "{told}");
    let (another, told) = shown("second.safetensors");
    assert_eq!(ours, another);
    assert!(told.contains("names of another framework") && !told.contains("not used"), "{told}");
    // Training, measuring and gradients read the same files.
    for verb in [
        &["grad", "net.model", "--weights", "first.safetensors"][..],
        &["train", "net.model", "--weights", "first.safetensors", "--out", "run"],
        &["eval", "net.model", "--weights", "second.safetensors"],
        &["compile", "net.model", "--embed-weights", "second.safetensors", "-o", "built"],
    ] {
        let output = run(folder.path(), verb);
        assert!(output.status.success(), "{verb:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains("framework"), "{verb:?}");
    }
    let after = Weights::read(&at("run/checkpoints/last.safetensors"), &tensor::Limits::default());
    assert_eq!(after.expect("a checkpoint").tensors["dense.w"], w);
}

#[test]
fn what_does_not_fit_is_told_with_its_row() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let good = net(folder.path());
    let faults = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut tensors = good.clone();
        change(&mut tensors);
        write(&at("w.safetensors"), tensors);
        let output =
            run(folder.path(), &["run", "net.model", "--input", "x=x.npy", "--weights", "w.safetensors"]);
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    let told = faults(&|tensors| drop(tensors.remove("gates")));
    assert!(told.contains("E0705") && told.contains("lacks `gates`"), "{told}");
    assert!(told.contains("net.model:16:5"), "{told}");
    for (name, shape, words) in [
        ("a", &[3, 3][..], "`dense.w` is float[3, 2], but"),
        ("a", &[2, 1], "`concat` along axis 1"),
        ("a", &[3, 2], "`split` makes 2 equal parts of axis 1"),
        ("gates", &[4], "`slice` takes 2..5 of axis 0, but `gates` is [4]"),
        ("bias_1", &[3], "`sum` adds floating tensors of one type"),
    ] {
        let told = faults(&|tensors| drop(tensors.insert(name.into(), numbers(shape, 1))));
        assert!(told.contains("E0710") && told.contains(words), "{words}\n{told}");
    }
    // The row, though the operand is named two calls deep.
    let told = faults(&|tensors| drop(tensors.insert("gates".into(), numbers(&[4], 1))));
    assert!(told.contains("Error[E0710]") && told.contains("net.model:16:"), "{told}");
}

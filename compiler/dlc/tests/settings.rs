//! What blocks of settings see of their model, from the outside.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlc"));
    command.current_dir(folder).args(arguments).env_remove("FORCE_COLOR").env_remove("CLICOLOR_FORCE");
    command.env("XDG_CACHE_HOME", folder.join("cache")).output().expect("dlc starts")
}

/// The configuration of a model reaches sizes, rates and rows; an area under a curve stands inside an expression.
const MODEL: &str = "const share = 0.5

model Scores(columns_used: int = 3, rows: int = 64, rate: float = 0.1)(x: f32[batch, 3])
    -> (p: f32[batch]) {
    p = x |> dense(1) |> squeeze(1) |> sigmoid
}

train Scores {
    data      = csv(\"rows.csv\", x: columns(0..columns_used), target: column(3))
    split     = [share, 1 - share]
    loss      = binary_cross_entropy(p, target)
    metrics   = {
        auc: roc_auc(p, target)
        gini: 2 * roc_auc(p, target) - 1
        both: roc_auc(p, target) + roc_auc(1 - p, target) + binary_accuracy(p, target)
        accuracy: binary_accuracy(p, target)
    }
    optimizer = sgd(lr: rate)
    batch     = div(rows, 4)
    steps     = 5
}
";

#[test]
fn configuration_in_settings_and_areas_in_expressions() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let row = |at: usize| {
        let value = |step: usize| ((at * step) % 17) as f64 / 17.0 - 0.5;
        let label = usize::from(value(5) + 0.3 * value(7) > 0.0);
        format!("{},{},{},{label}\n", value(5), value(7), value(11))
    };
    fs::write(folder.path().join("rows.csv"), (0..64).map(row).collect::<String>()).expect("a file");
    fs::write(folder.path().join("scores.model"), MODEL).expect("a file");
    let trained = run(folder.path(), &["train", "scores.model", "--out", "run", "--set", "rate=0.5"]);
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let weights = "run/checkpoints/last.safetensors";
    let measured = run(folder.path(), &["eval", "scores.model", "--weights", weights, "--format", "json"]);
    assert!(measured.status.success(), "{}", String::from_utf8_lossy(&measured.stderr));
    let page: serde_json::Value = serde_json::from_slice(&measured.stdout).expect("it is JSON");
    let metric = |name: &str| page["metrics"][name].as_f64().expect("a number");
    assert!(metric("auc") > 0.5 && metric("auc") <= 1.0, "{page}");
    assert!((metric("gini") - (2.0 * metric("auc") - 1.0)).abs() < 1e-6, "{page}");
    // Without ties, the areas of a score and of its opposite add up to one.
    assert!((metric("both") - 1.0 - metric("accuracy")).abs() < 1e-5, "{page}");
}

#[test]
fn an_area_beside_values_of_the_batch_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = MODEL.replace("2 * roc_auc(p, target) - 1", "roc_auc(p, target) * mean(p)");
    fs::write(folder.path().join("scores.model"), text).expect("a file");
    let checked = run(folder.path(), &["check", "scores.model"]);
    assert_eq!(checked.status.code(), Some(1));
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(told.contains("E0501") && told.contains("`roc_auc`"), "{told}");
}

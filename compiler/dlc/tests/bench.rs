//! `dlc bench` with arms of our own, and what it refuses.

use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;

const MODEL: &str = "model M(x: f32[batch, 16]) -> (y: f32[batch, 4]) {
    y = x |> dense(32) |> relu |> dense(4)
}

train M {
    data      = synthetic(64, x: normal(0, 1), label: uniform(0, 1))
    loss      = mse(sum(y, axis: 1), label)
    optimizer = sgd(lr: 0.01)
    batch     = 16
}

bench M { batch = 8; mode = [infer, train] }
";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("m.model"), MODEL).expect("a file");
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlc"));
    command.current_dir(folder).arg("bench").args(arguments).env("XDG_CACHE_HOME", folder.join("cache"));
    command.output().expect("dlc starts")
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("results.jsonl")).expect("results");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_file_is_measured_and_not_measured_again() {
    let folder = folder();
    let asked = ["m.model", "--quick", "--against", "dlc,dlc-aot", "--threads", "2"];
    let output = run(folder.path(), &asked);
    assert!(output.status.success(), "{}", told(&output));
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("m-infer-b8-t2") && table.contains("m-train-b8-t2"), "{table}");
    let found = lines(folder.path());
    let arms: Vec<&Value> = found.iter().filter(|line| line["kind"] == "arm").collect();
    assert_eq!(arms.len(), 4, "two arms, two modes");
    for arm in &arms {
        assert_eq!((&arm["status"], &arm["correct"]), (&"ok".into(), &true.into()), "{arm}");
        assert_eq!(arm["threads_seen"], arm["threads"]);
        assert!(
            arm["command"].as_str().is_some_and(|it| it.starts_with("dlc bench m.model --mode")),
            "{arm}"
        );
        assert!(arm["median_s"].as_f64().is_some_and(|seconds| seconds > 0.0), "{arm}");
        // What is held to f64 is never exactly right.
        assert!(arm["max_relative"].as_f64().is_some_and(|error| 0.0 < error && error < 1e-4), "{arm}");
    }
    let work = |mode: &str| arms.iter().find(|arm| arm["mode"] == mode).and_then(|arm| arm["flops"].as_f64());
    // 8 rows through 16 by 32 and 32 by 4, two operations each, and biases.
    assert!(work("infer").is_some_and(|flops| (10_240.0..12_000.0).contains(&flops)), "{:?}", work("infer"));
    assert!(work("train") > work("infer"));
    assert_eq!(found.iter().filter(|line| line["kind"] == "floor").count(), 2);
    let kernels: Vec<&Value> = found.iter().filter(|line| line["kind"] == "kernel").collect();
    assert!(
        kernels.iter().any(|line| line["line"] == "m.model:2" && line["seconds"].as_f64() > Some(0.0)),
        "{kernels:?}"
    );
    let environment = found.iter().find(|line| line["kind"] == "environment").expect("where this was");
    assert!(environment["peaks"]["gflops"]["2"].as_f64().is_some_and(|peak| peak > 0.1), "{environment}");
    let bundle =
        fs::read_to_string(folder.path().join("results.rerun.json")).expect("what measuring again takes");
    let bundle: Value = serde_json::from_str(&bundle).expect("JSON");
    let hash = &bundle["cells"]["m-train-b8-t2"]["files"]["weights.safetensors"];
    assert!(hash.as_str().is_some_and(|hash| hash.len() == 16), "{bundle}");
    assert!(bundle["command"].as_str().is_some_and(|command| command.starts_with("dlc bench m.model")));
    let again = run(folder.path(), &asked);
    assert!(again.status.success() && again.stdout.is_empty(), "{}", told(&again));
    assert_eq!(told(&again).matches("known already").count(), 2);
}

#[test]
fn what_is_not_there_is_told() {
    let folder = folder();
    let refused = |arguments: &[&str], words: &[&str]| {
        let output = run(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        for word in words {
            assert!(told(&output).contains(word), "{word}: {}", told(&output));
        }
    };
    refused(&["m.model", "--against", "dlcc"], &["E1012", "did you mean `dlc`?"]);
    fs::write(folder.path().join("plain.model"), "model M(x: f32[n]) -> (y: f32[n]) { y = x }\n")
        .expect("a file");
    refused(&["plain.model"], &["E1012", "no `bench` item"]);
    refused(&["--models", "mlp"], &["E1011", "--suite"]);
    fs::create_dir_all(folder.path().join("suite")).expect("a folder");
    fs::write(folder.path().join("suite/models.toml"), "[mlp]\ntitel = 1\n").expect("a file");
    refused(&["--models", "mlp", "--suite", "suite"], &["E1011", "titel"]);
    refused(&["--models", "mlp", "--suite", "nowhere"], &["E1011", "no folder"]);
    let wrong = "model M(x: f32[batch, 2]) -> (y: f32[batch, 2]) { y = log(x - 1) }\n\nbench M { batch = 1; mode = infer }\n";
    fs::write(folder.path().join("nan.model"), wrong).expect("a file");
    refused(&["nan.model", "--quick", "--against", "dlc"], &["E1014", "not finite"]);
    let infinite = wrong.replace("log(x - 1)", "1 / (x - x)");
    fs::write(folder.path().join("nan.model"), infinite).expect("a file");
    refused(&["nan.model", "--quick", "--against", "dlc"], &["E1014", "`y`"]);
    let output = run(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
}

#[test]
fn results_of_another_machine_are_not_gone_on_with() {
    let folder = folder();
    let path = folder.path().join("results.jsonl");
    fs::write(&path, "{\"kind\":\"arm\"\n").expect("a file");
    let asked = ["m.model", "--quick", "--against", "dlc", "--mode", "infer"];
    let output = run(folder.path(), &asked);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("E1013") && told(&output).contains("line 1"), "{}", told(&output));
    fs::remove_file(&path).expect("it is there");
    assert!(run(folder.path(), &asked).status.success());
    let here = fs::read_to_string(&path).expect("results");
    let machine = lines(folder.path())[0]["machine"].as_str().expect("a hash").to_string();
    fs::write(&path, here.replace(&machine, "0123456789abcdef")).expect("a file");
    let output = run(folder.path(), &asked);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told(&output).contains("E1013") && told(&output).contains("0123456789abcdef"),
        "{}",
        told(&output)
    );
    let forced = [&asked[..], &["--force"]].concat();
    assert!(run(folder.path(), &forced).status.success());
}

#[test]
fn several_threads_are_for_measuring() {
    let folder = folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlc"));
    let output = command.current_dir(folder.path()).args(["check", "m.model", "--threads", "1,2"]).output();
    let output = output.expect("dlc starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("`dlc bench` alone"), "{}", told(&output));
}

#[test]
fn single_operations_are_measured_in_rows_of_sizes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    fs::create_dir_all(folder.path().join("suite")).expect("a folder");
    write("suite/models.toml", "");
    let kernels = "[product]\ntitle = \"Product\"\nsource = \"product.model\"\nsettings = { units = \"{n}\" }\n\
                   infer = { batch = [1] }\ninputs.a = { shape = [\"m\", \"k\"], dtype = \"f32\", uniform = [-1, 1] }\n\
                   rows = [{ m = 1, n = 3, k = 5 }, { m = 8, n = 3, k = 5 }, { m = 8, n = 7, k = 16 }]\n";
    write("suite/kernels.toml", kernels);
    write(
        "product.model",
        "model Product(units: dim = 2)(a: f32[m, k]) -> (y: f32[m, units]) { y = a |> dense(units) }\n",
    );
    let asked = ["--models", "product", "--bind", "m=8", "--quick", "--suite", "suite", "--table"];
    let output = run(folder.path(), &[&asked[..], &["--against", "dlc,dlc-dynamic"]].concat());
    assert!(output.status.success(), "{}", told(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let table = text.split("product, infer, 1 thread, f32").nth(1).expect("a table").to_string();
    assert!(table.contains("batch 1, k 5, m 8, n 3") && table.contains("batch 1, k 16, m 8, n 7"), "{text}");
    assert!(!text.contains("m 1,") && table.contains("dlc-dynamic") && table.contains(" %"), "{text}");
    let found = lines(folder.path());
    let row =
        |n: u64| found.iter().find(|line| line["arm"] == "dlc" && line["sizes"]["n"] == n).expect("a row");
    // 8 × 7 × 16 multiply-adds and the biases, and the arrays that they read and write.
    assert_eq!(row(7)["flops"].as_f64(), Some(f64::from(2 * 8 * 7 * 16 + 8 * 7)));
    assert_eq!(row(7)["bytes"].as_f64(), Some(f64::from(4 * (8 * 16 + 16 * 7 + 7 + 8 * 7))));
    let command = row(3)["command"].as_str().expect("a command").to_string();
    assert!(command.contains("--bind k=5 --bind m=8 --bind n=3"), "{command}");

    let output = run(folder.path(), &["--models", "product", "--bind", "m=2", "--suite", "suite"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told(&output).contains("no row with m = 2") && told(&output).contains("k, m, n"),
        "{}",
        told(&output)
    );

    let mut command = Command::new(env!("CARGO_BIN_EXE_dlc"));
    let output = command.current_dir(folder.path()).args(["report", "--table", "results.jsonl"]).output();
    let again = String::from_utf8_lossy(&output.expect("dlc starts").stdout).into_owned();
    assert!(again.ends_with(&table) && again.starts_with("product, infer"), "{again}");
}

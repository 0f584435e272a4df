//! The program as scripts see it: exit codes, what goes to which stream, files.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

const MODEL: &str = "model M(x: f32[batch, 4]) -> (y: f32[batch, 2]) {
    y = x |> dense(2)
}

train M {
    data      = synthetic(64, x: normal(0, 1), target: normal(0, 1))
    loss      = mse(y, target)
    optimizer = sgd(lr: 0.1)
    batch     = 16
}

test \"sum\" {
    assert sum([1.0, 2.0]) ~= 3.0
}
";

const BROKEN: &str = "model M(x: f32[batch, 4]) -> (y: f32[batch, 3]) {
    y = x |> dense(2)
}
";

/// A folder with `good.model` and `bad.model`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("good.model"), MODEL).expect("a file");
    fs::write(folder.path().join("bad.model"), BROKEN).expect("a file");
    folder
}

fn dlc(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlc"));
    command.current_dir(folder).args(arguments).env_remove("NO_COLOR").env_remove("FORCE_COLOR");
    command.env_remove("CLICOLOR_FORCE").env("XDG_CACHE_HOME", folder.join("cache"));
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    dlc(folder, arguments).output().expect("dlc starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("dlc writes UTF-8")
}

#[test]
fn exit_codes() {
    let folder = folder();
    let table: &[(&[&str], i32)] = &[
        (&["check", "good.model"], 0),
        (&["check", "bad.model"], 1),
        (&["check", "good.model", "bad.model"], 1),
        (&["check", "missing.model"], 1),
        (&["check"], 2),
        (&["check", "--format", "xml", "good.model"], 2),
        (&["chek", "good.model"], 2),
        (&["bench", "good.model"], 1),
        (&["zoo", "list"], 2),
        (&[], 2),
        (&["--version"], 0),
        (&["help", "train"], 0),
        (&["fmt", "--check", "good.model"], 0),
        (&["explain", "E0301"], 0),
        (&["explain", "e0301"], 0),
        (&["explain", "E9999"], 2),
        (&["explain", "--list"], 0),
        (&["inspect", "good.model"], 0),
        (&["inspect", "bad.model"], 1),
        (&["inspect", "good.model", "--bind", "batch"], 2),
        (&["inspect", "good.model", "--model", "N"], 1),
        (&["run", "good.model"], 1),
        (&["run", "good.model", "--device", "cuda"], 2),
        (&["test", "good.model"], 0),
        (&["compile", "good.model", "--emit", "nonsense"], 2),
        (&["compile", "good.model", "--target", "pdp-11"], 1),
        (&["compile", "good.model", "--emit", "ast"], 0),
        (&["compile", "bad.model", "--emit", "ast"], 0),
        (&["compile", "bad.model", "--emit", "graph"], 1),
        (&["grad", "good.model"], 0),
        (&["eval", "good.model"], 1),
        (&["train", "good.model", "--set", "epochs=1"], 1),
        (&["train", "good.model", "--set", "train.epochs=few"], 1),
        (&["train", "good.model", "--set", "train.epoch=1"], 1),
        (&["report"], 2),
        (&["report", "missing.jsonl"], 1),
        (&["report", "good.model"], 1),
        (&["doctor"], 0),
        (&["doctor", "--format", "json"], 0),
    ];
    for (arguments, code) in table {
        let output = run(folder.path(), arguments);
        assert_eq!(
            output.status.code(),
            Some(*code),
            "dlc {}\n{}",
            arguments.join(" "),
            text(&output.stderr)
        );
    }
}

#[test]
fn faults_go_to_standard_error_and_machine_forms_to_standard_output() {
    let folder = folder();
    let human = run(folder.path(), &["check", "bad.model"]);
    assert!(human.stdout.is_empty());
    assert!(text(&human.stderr).contains("E0301"));
    assert!(!human.stderr.contains(&0x1b), "no escape bytes without a terminal");
    let short = text(&run(folder.path(), &["check", "bad.model", "--format", "short"]).stderr);
    assert!(short.starts_with("bad.model:") && short.lines().count() == 1, "{short}");
    let json = text(&run(folder.path(), &["check", "bad.model", "--format", "json"]).stdout);
    let list: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(list[0]["code"], "E0301");
    assert_eq!(list[0]["place"]["file"], "bad.model");
    let clean = text(&run(folder.path(), &["check", "good.model", "--format", "json"]).stdout);
    assert_eq!(clean.trim(), "[]");
    let sarif = text(&run(folder.path(), &["check", "bad.model", "--format", "sarif"]).stdout);
    let sarif: serde_json::Value = serde_json::from_str(&sarif).expect("JSON");
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "E0301");
    let github = text(&run(folder.path(), &["check", "bad.model", "--format", "github"]).stdout);
    assert!(github.starts_with("::error file=bad.model,line="), "{github}");
}

#[test]
fn colour_follows_the_word_then_the_environment() {
    let folder = folder();
    type Row = (&'static [&'static str], &'static [(&'static str, &'static str)], bool);
    let table: &[Row] = &[
        (&[], &[], false),
        (&[], &[("FORCE_COLOR", "1")], true),
        (&[], &[("CLICOLOR_FORCE", "1")], true),
        (&[], &[("FORCE_COLOR", "0")], false),
        (&[], &[("FORCE_COLOR", "1"), ("NO_COLOR", "1")], false),
        (&["--color", "always"], &[("NO_COLOR", "1")], true),
        (&["--color", "never"], &[("FORCE_COLOR", "1")], false),
        (&["--color", "auto"], &[("NO_COLOR", "")], false),
    ];
    for (words, environment, coloured) in table {
        let mut command = dlc(folder.path(), &["check", "bad.model"]);
        command.args(*words).envs(environment.iter().copied());
        let output = command.output().expect("dlc starts");
        assert_eq!(output.stderr.contains(&0x1b), *coloured, "{words:?} {environment:?}");
    }
}

#[test]
fn standard_input_is_a_source() {
    let folder = folder();
    for (arguments, expected) in [(&["fmt", "-"][..], "const a = 1\n"), (&["check", "-", "--quiet"][..], "")]
    {
        let mut child = dlc(folder.path(), arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("dlc starts");
        child.stdin.take().expect("a pipe").write_all(b"const   a=1").expect("dlc reads");
        let output = child.wait_with_output().expect("dlc ends");
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), expected));
    }
}

#[test]
fn formatting_writes_in_place_or_only_tells() {
    let folder = folder();
    let path = folder.path().join("ugly.model");
    fs::write(&path, "const   a=1").expect("a file");
    let told = run(folder.path(), &["fmt", "--check", "ugly.model"]);
    assert_eq!((told.status.code(), text(&told.stdout).as_str()), (Some(1), "ugly.model\n"));
    assert_eq!(fs::read_to_string(&path).expect("the file"), "const   a=1");
    assert_eq!(run(folder.path(), &["fmt", "ugly.model"]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(&path).expect("the file"), "const a = 1\n");
}

#[test]
fn a_reader_that_leaves_is_no_fault() {
    let folder = folder();
    let mut child = dlc(folder.path(), &["compile", "good.model", "--emit", "asm"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("dlc starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("dlc ends");
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn the_artifact_is_whole_and_repeatable() {
    let folder = folder();
    for name in ["one", "two"] {
        let mut command = dlc(folder.path(), &["compile", "good.model", "-o", name]);
        // Once from the cache and once without it.
        command.env("DLC_NO_CACHE", if name == "two" { "1" } else { "" });
        let output = command.output().expect("dlc starts");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    for file in ["m.o", "libm.a", "libm.so", "m.h", "m.json"] {
        let [one, two] =
            ["one", "two"].map(|name| fs::read(folder.path().join(name).join(file)).expect(file));
        assert!(!one.is_empty() && one == two, "{file}");
    }
}

#[test]
fn training_evaluation_and_a_resumed_run() {
    let folder = folder();
    let trained = run(folder.path(), &["train", "good.model", "--set", "train.epochs=2"]);
    assert_eq!(trained.status.code(), Some(0), "{}", text(&trained.stderr));
    assert!(trained.stderr.is_empty(), "no progress without a terminal: {}", text(&trained.stderr));
    for file in ["config.json", "metrics.jsonl", "report.html", "checkpoints/best.safetensors"] {
        assert!(folder.path().join("runs/m").join(file).exists(), "{file}");
    }
    let again = run(folder.path(), &["train", "good.model", "--set", "train.epochs=2"]);
    assert_eq!(again.status.code(), Some(1), "a run is not overwritten unasked");
    let resumed =
        run(folder.path(), &["train", "good.model", "--set", "train.epochs=2", "--resume", "runs/m"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", text(&resumed.stderr));
    let evaluated = run(folder.path(), &["eval", "good.model", "--format", "json", "--save", "held"]);
    assert_eq!(evaluated.status.code(), Some(0), "{}", text(&evaluated.stderr));
    let page: serde_json::Value = serde_json::from_slice(&evaluated.stdout).expect("JSON");
    assert!(page["loss"].as_f64().is_some_and(|loss| loss > 0.0));
    let weights = "runs/m/checkpoints/best.safetensors";
    let ran = run(
        folder.path(),
        &["run", "good.model", "--input", "x=held/x.npy", "--weights", weights, "--output", "y=y.npy"],
    );
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let [run, eval] = ["y.npy", "held/y.npy"].map(|file| fs::read(folder.path().join(file)).expect(file));
    assert!(run == eval, "the outputs of `run` and `eval --save` are the same bits");
}

#[test]
fn any_bytes_give_a_code_and_no_crash() {
    let folder = folder();
    let path = folder.path().join("any.model");
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for round in 0..40 {
        let mut bytes = MODEL.as_bytes().to_vec();
        for _ in 0..1 + round % 5 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] = (state >> 17) as u8;
        }
        fs::write(&path, &bytes).expect("a file");
        let output = run(folder.path(), &["check", "any.model"]);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{:?}\n{}", bytes, text(&output.stderr));
    }
}

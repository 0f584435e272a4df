//! Runs that are stopped, killed and resumed, with everything that a step can do at once.

use crate::runs::{check_whole, checkpoint, dlc, draws, outcome, train};
use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use train::{Checkpoint, Line, parse_lines};

/// Rounds of the test that kills: this many, or as many as the environment says.
const KILLS: u64 = 30;
const KILLS_VARIABLE: &str = "DLC_TEST_KILLS";

/// Rows that change from epoch to epoch, draws in the step, statistics in a state, several batches an update, running averages, a falling rate, clipping,
/// groups: all that has to be as it was. 77 training rows in updates of 24: four an epoch, the last of five rows.
const MODEL: &str = r#"model M(x: f32[batch, 2, 3]) -> (y: f32[batch, 1]) {
    trunk = dense(8)
    still = dense(8)
    head = dense(1)
    h = x |> flatten |> gaussian_noise(0.1) |> trunk |> batch_norm |> relu |> dropout(0.5)
    y = h |> still |> tanh |> head
}

train M(target: f32[batch, 1]) {
    data       = synthetic(96, x: normal(0, 1), target: uniform(0, 1))
    augment    = { x: [random_crop(2, 3, padding: 1), flip()] }
    split      = [0.8, 0.2]
    loss       = mse(y, target)
    metrics    = { mae: mae(y, target) }
    optimizer  = adam(lr: plateau(1e-2, patience: 1), groups: { "still.*": frozen, "head.*": { lr: 3e-3 } })
    batch      = 8
    accumulate = 3
    clip       = global_norm(0.5)
    ema        = 0.9
    epochs     = 9
    seed       = 5
    eval_every = 3
    log_every  = 2
    checkpoint = { every: 1, keep: 100, best: "val.mae" }
}
"#;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("m.model"), MODEL).expect("a file");
    folder
}

#[test]
fn a_run_resumed_after_any_step_ends_with_the_same_bits() {
    let folder = folder();
    let whole = folder.path().join("whole");
    train(folder.path(), &["--out", "whole", "--threads", "1"]);
    let expected = outcome(&whole);
    let last = &expected.0[0].description.progress;
    assert_eq!(last.step, 36);
    assert!(last.lr_scale.is_some_and(|scale| scale < 1.0), "the plateau has lowered nothing");
    for (number, step) in draws("steps", 35).take(20).map(|step| step + 1).enumerate() {
        let name = format!("cut-{number}");
        let cut = folder.path().join(&name);
        fs::create_dir_all(cut.join("checkpoints")).expect("a folder");
        // As if the power had gone in the middle of the log's next line.
        let file = format!("checkpoints/step-{step:08}.safetensors");
        fs::copy(whole.join(&file), cut.join(&file)).expect("a checkpoint of every step");
        let log = fs::read_to_string(whole.join("metrics.jsonl")).expect("a log");
        let is_kept = |line: &&str| Line::parse(line).is_some_and(|line| line.step <= step);
        let kept: usize = log.lines().take_while(is_kept).map(|line| line.len() + 1).sum();
        fs::write(cut.join("metrics.jsonl"), &log[..log.len().min(kept + 40)]).expect("a file");
        // Best so far is what the run has to find again or already had.
        let best = checkpoint(&whole, &format!("step-{step:08}.safetensors")).description.progress.best;
        if best.value.is_some() {
            let file = format!("checkpoints/step-{:08}.safetensors", best.step);
            fs::copy(whole.join(file), cut.join("checkpoints/best.safetensors")).expect("a checkpoint");
        }
        let threads = if number % 2 == 0 { "2" } else { "1" };
        train(folder.path(), &["--resume", &name, "--threads", threads]);
        assert!(outcome(&cut) == expected, "cut after step {step}, {threads} threads");
        fs::remove_dir_all(&cut).expect("a folder");
    }
}

fn kill_after(mut child: Child, wait: Duration) -> bool {
    let started = Instant::now();
    while started.elapsed() < wait {
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        thread::sleep(Duration::from_micros(200));
    }
    let _ = child.kill();
    !child.wait().expect("a child").success()
}

#[test]
fn a_run_killed_at_any_moment_loses_nothing() {
    let folder = folder();
    train(folder.path(), &["--out", "whole"]);
    let expected = outcome(&folder.path().join("whole"));
    let started = Instant::now();
    train(folder.path(), &["--out", "again"]);
    let span = started.elapsed();
    let rounds = std::env::var(KILLS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let run = folder.path().join("killed");
    let newest = |run: &PathBuf| {
        let last = run.join("checkpoints/last.safetensors");
        if last.exists() { Checkpoint::read(&last).expect("whole").description.progress.step } else { 0 }
    };
    let (mut killed, mut finished) = (0u64, 0u64);
    for share in draws("kills", 1 << 20) {
        if killed == rounds {
            break;
        }
        let before = newest(&run);
        let begin = if run.join("checkpoints").exists() { "--resume" } else { "--out" };
        let mut command = dlc(folder.path(), &["train", "m.model", begin, "killed"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("dlc starts");
        let wait = span.mul_f64(1.2 * share as f64 / f64::from(1 << 20));
        killed += u64::from(kill_after(child, wait));
        check_whole(&run);
        assert!(newest(&run) >= before, "an older checkpoint than before");
        if newest(&run) == 36 {
            train(folder.path(), &["--resume", "killed"]);
            assert!(outcome(&run) == expected, "after {killed} kills");
            fs::remove_dir_all(&run).expect("a folder");
            finished += 1;
        }
    }
    if run.join("checkpoints").exists() {
        train(folder.path(), &["--resume", "killed"]);
        assert!(outcome(&run) == expected, "after {killed} kills");
        finished += 1;
    }
    println!("{killed} kills, {finished} runs finished with the same bits");
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_a_checkpoint_and_says_how_to_go_on() {
    let folder = folder();
    let long = ["train", "m.model", "--out", "run", "--set", "train.epochs=100000"];
    let mut command = dlc(folder.path(), &long);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("dlc starts");
    let log = folder.path().join("run/metrics.jsonl");
    let started = Instant::now();
    while fs::read_to_string(&log).map_or(0, |text| text.lines().count()) < 5 {
        assert!(started.elapsed() < Duration::from_secs(60), "no log");
        thread::sleep(Duration::from_millis(5));
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
    let output = child.wait_with_output().expect("dlc ends");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(told.contains("dlc train m.model --resume run"), "{told}");
    let run = folder.path().join("run");
    check_whole(&run);
    assert!(run.join("report.html").is_file());
    let lines = parse_lines(&fs::read_to_string(log).expect("a log"));
    let last = checkpoint(&run, "last.safetensors").description.progress.step;
    assert!(lines.last().is_some_and(|line| line.step <= last && line.step + 2 > last));
}

#[test]
fn checkpoints_are_written_and_kept_as_the_model_says() {
    let folder = folder();
    let policy = "checkpoint = { every: 4, keep: 2, best: \"val.mae\" }";
    let model = MODEL.replace("checkpoint = { every: 1, keep: 100, best: \"val.mae\" }", policy);
    assert!(model.contains(policy));
    fs::write(folder.path().join("m.model"), model).expect("a file");
    train(folder.path(), &["--out", "run"]);
    let run = folder.path().join("run");
    let names = fs::read_dir(run.join("checkpoints")).expect("a folder");
    let mut names: Vec<String> =
        names.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    // Every fourth update, every evaluation that is the best so far, and the end are written; two of them stay.
    let lines = parse_lines(&fs::read_to_string(run.join("metrics.jsonl")).expect("a log"));
    let measured = lines.iter().filter(|line| line.split == "val").map(|line| (line.step, line.metrics[0].1));
    let (mut best, mut written) = ((0, f64::INFINITY), (1..=9).map(|index| 4 * index).collect::<Vec<u64>>());
    for (step, mae) in measured {
        if mae < best.1 {
            best = (step, mae);
            written.push(step);
        }
    }
    written.sort_unstable();
    written.dedup();
    let kept = written.iter().rev().take(2).rev().map(|step| format!("step-{step:08}.safetensors"));
    let expected: Vec<String> =
        ["best.safetensors", "last.safetensors"].map(String::from).into_iter().chain(kept).collect();
    assert_eq!(names, expected);
    assert_eq!(checkpoint(&run, "best.safetensors").description.progress.step, best.0);
    assert_eq!(checkpoint(&run, "last.safetensors").description.progress.step, 36);
}

#[test]
fn what_differs_is_said_and_what_is_damaged_is_passed_over() {
    let folder = folder();
    train(folder.path(), &["--out", "run"]);
    let told = |arguments: &[&str]| {
        let output = dlc(folder.path(), arguments).output().expect("dlc starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let resume = ["train", "m.model", "--resume", "run"];
    let (code, text) = told(&[&resume[..], &["--set", "train.batch=4", "--seed", "6"]].concat());
    assert_eq!(code, Some(1));
    for part in ["E0709", "the data have other values", "the seed was 5 and is 6", "`batch` was 8 and is 4"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let (code, text) = told(&[&resume[..], &["--set", "train.epochs=10"]].concat());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("W0701") && text.contains("`epochs` was 9 and is 10"), "{text}");
    // One bit of the newest; `last` is the same file.
    let newest = folder.path().join("run/checkpoints/step-00000040.safetensors");
    let mut bytes = fs::read(&newest).expect("a checkpoint");
    let inside = bytes.len() - 5;
    bytes[inside] ^= 4;
    fs::write(&newest, bytes).expect("a file");
    let weights = newest.display().to_string();
    for verb in [&["eval", "m.model"][..], &["run", "m.model", "--bind", "batch=1"], &["compile", "m.model"]]
    {
        let option = if verb[0] == "compile" { "--embed-weights" } else { "--weights" };
        let (code, text) = told(&[verb, &[option, &weights]].concat());
        assert!(code == Some(1) && text.contains("E0707"), "{verb:?}: {code:?} {text}");
    }
    let (code, text) = told(&[&resume[..], &["--set", "train.epochs=10"]].concat());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("E0707") && text.contains("an older checkpoint is used instead"), "{text}");
    assert_eq!(checkpoint(&folder.path().join("run"), "last.safetensors").description.progress.step, 40);
}

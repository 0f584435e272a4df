//! The real program in a folder of its own, and what its runs leave behind.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use tensor::philox::Stream;
use train::{Checkpoint, Line, Progress, parse_lines};

pub fn dlc(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlc"));
    command.current_dir(folder).args(arguments).env("XDG_CACHE_HOME", folder.join("cache"));
    command
}

pub fn train(folder: &Path, arguments: &[&str]) -> Output {
    let output = dlc(folder, &["train", "m.model"]).args(arguments).output().expect("dlc starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

pub fn checkpoint(run: &Path, name: &str) -> Checkpoint {
    let path = run.join("checkpoints").join(name);
    Checkpoint::read(&path).unwrap_or_else(|fault| panic!("{}: {fault:?}", path.display()))
}

/// The last and the best checkpoint and the log, without what a clock says.
pub fn outcome(run: &Path) -> (Vec<Checkpoint>, Vec<Line>) {
    let timeless = |mut checkpoint: Checkpoint| {
        checkpoint.description.progress = Progress { seconds: 0.0, ..checkpoint.description.progress };
        checkpoint
    };
    let checkpoints = ["last.safetensors", "best.safetensors"].map(|name| timeless(checkpoint(run, name)));
    let log = fs::read_to_string(run.join("metrics.jsonl")).expect("a log");
    let lines = parse_lines(&log).into_iter().map(|line| Line { seconds: 0.0, ..line });
    (checkpoints.into(), lines.collect())
}

/// Numbers below `below` that only the seed decides.
pub fn draws(purpose: &str, below: u64) -> impl Iterator<Item = u64> {
    let stream = Stream::new(2024, purpose, 0);
    (0..).map(move |index| (stream.uniform_f64(index) * below as f64) as u64)
}

/// What has a final name is whole; a log that grows may have a torn last line.
pub fn check_whole(run: &Path) {
    for entry in fs::read_dir(run).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = || fs::read_to_string(&path).expect("a text");
        if name.ends_with(".tmp") || name.starts_with("events.out") {
            continue;
        }
        match name.as_str() {
            "checkpoints" => {
                for entry in fs::read_dir(&path).expect("a folder") {
                    let path = entry.expect("an entry").path();
                    if path.extension().is_some_and(|extension| extension == "safetensors") {
                        Checkpoint::read(&path)
                            .unwrap_or_else(|fault| panic!("{}: {fault:?}", path.display()));
                    }
                }
            }
            "config.json" => drop(serde_json::from_str::<serde_json::Value>(&text()).expect("JSON")),
            "report.html" => assert!(text().ends_with("</html>\n")),
            "metrics.jsonl" => {
                let text = text();
                let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
                assert_eq!(parse_lines(whole).len(), whole.lines().count());
            }
            other => panic!("`{other}` in a run's folder"),
        }
    }
}

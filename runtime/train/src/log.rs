//! What a run tells while it runs: `metrics.jsonl` and TensorBoard's events for programs, a line on the terminal for
//! people.

use crate::events::Events;
use base::Diagnostic;
use serde_json::{Map, Value, json};
use std::{
    fs::File,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};
use tensor::file::Disk;

pub(crate) const METRICS_FILE: &str = "metrics.jsonl";

/// One line of `metrics.jsonl`.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// Updates done.
    pub step: u64,
    /// The epoch that the step belongs to, the first being 1.
    pub epoch: u64,
    /// `train`, `val` or `test`.
    pub split: String,
    pub loss: f64,
    pub metrics: Vec<(String, f64)>,
    pub lr: Option<f64>,
    /// Since the run began, earlier sessions included.
    pub seconds: f64,
}

impl Line {
    /// JSON without a line break. A number that JSON cannot hold (NaN, infinity) is null.
    pub fn to_json(&self) -> String {
        let metrics: Map<String, Value> =
            self.metrics.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({
            "step": self.step,
            "epoch": self.epoch,
            "split": self.split,
            "loss": self.loss,
            "metrics": metrics,
            "lr": self.lr,
            "seconds": (self.seconds * 1e6).round() / 1e6,
        })
        .to_string()
    }

    /// `None` where the text is no such line.
    pub fn parse(text: &str) -> Option<Line> {
        let value: Value = serde_json::from_str(text).ok()?;
        let number = |value: &Value| if value.is_null() { Some(f64::NAN) } else { value.as_f64() };
        let metrics = value["metrics"].as_object()?;
        Some(Line {
            step: value["step"].as_u64()?,
            epoch: value["epoch"].as_u64()?,
            split: value["split"].as_str()?.into(),
            loss: number(value.get("loss")?)?,
            metrics: metrics
                .iter()
                .map(|(name, value)| Some((name.clone(), number(value)?)))
                .collect::<Option<_>>()?,
            lr: value["lr"].as_f64(),
            seconds: value["seconds"].as_f64()?,
        })
    }
}

/// All lines of a log; what is no line, such as the torn end of a killed run, is left out.
pub fn parse_lines(text: &str) -> Vec<Line> {
    text.lines().filter_map(Line::parse).collect()
}

/// Writes `metrics.jsonl` line by line, so that a reader can follow, and the same numbers as events.
pub(crate) struct Log<'h> {
    disk: &'h dyn Disk,
    path: PathBuf,
    file: File,
    events: Events<'h>,
}

impl<'h> Log<'h> {
    /// Goes on after the lines up to `step`.
    pub fn open(disk: &'h dyn Disk, folder: &Path, step: u64) -> Result<Log<'h>, Diagnostic> {
        let path = folder.join(METRICS_FILE);
        let old = read_lines(&path)?;
        let kept = old.into_iter().filter(|line| line.step <= step);
        let text: String = kept.map(|line| line.to_json() + "\n").collect();
        tensor::file::write_atomically_on(disk, &path, text.as_bytes())?;
        let file = disk.append(&path).map_err(|fault| failed(&path, &fault))?;
        Ok(Log { disk, path, file, events: Events::create(disk, folder, step)? })
    }

    pub fn write(&mut self, line: &Line) -> Result<(), Diagnostic> {
        // One write a line, so that none is ever mixed or cut by another process.
        let text = line.to_json() + "\n";
        let written = self.disk.write(&mut self.file, text.as_bytes());
        written.map_err(|fault| failed(&self.path, &fault))?;
        self.events.write(line)
    }

    /// Makes all lines survive a power cut. What a checkpoint says was logged has to be on the disk before it.
    pub fn sync(&self) -> Result<(), Diagnostic> {
        self.disk.sync(&self.file).map_err(|fault| failed(&self.path, &fault))?;
        self.events.sync()
    }
}

/// The lines of a log file, which may be missing, and whose end may be torn in the middle of a character.
pub(crate) fn read_lines(path: &Path) -> Result<Vec<Line>, Diagnostic> {
    match std::fs::read(path) {
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read
            .map(|bytes| parse_lines(&String::from_utf8_lossy(&bytes)))
            .map_err(|fault| failed(path, &fault)),
    }
}

fn failed(path: &Path, fault: &std::io::Error) -> Diagnostic {
    Diagnostic::error("E0708", format!("cannot keep the log `{}`: {fault}", path.display()))
}

/// The line on standard error that is rewritten while training goes on. Nothing where there is no terminal.
pub(crate) struct Terminal {
    shown: bool,
    drawn: Option<std::time::Instant>,
}

impl Terminal {
    pub fn new(wanted: bool) -> Terminal {
        Terminal { shown: wanted && std::io::stderr().is_terminal(), drawn: None }
    }

    /// Redraws, a few times a second at most.
    pub fn update(&mut self, text: impl FnOnce() -> String) {
        let recent = self.drawn.is_some_and(|drawn| drawn.elapsed().as_millis() < 200);
        if self.shown && !recent {
            self.drawn = Some(std::time::Instant::now());
            self.draw(&text(), "");
        }
    }

    /// A line that stays.
    pub fn finish(&mut self, text: &str) {
        if self.shown {
            self.drawn = None;
            self.draw(text, "\n");
        }
    }

    fn draw(&self, text: &str, end: &str) {
        // A closed terminal is no reason to stop training.
        let _ = write!(std::io::stderr(), "\r\x1b[K{text}{end}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::file::Os;

    fn line(step: u64) -> Line {
        Line {
            step,
            epoch: 1,
            split: "val".into(),
            loss: 0.5,
            metrics: vec![("auc".into(), 0.75), ("accuracy".into(), 1.0 / 3.0)],
            lr: None,
            seconds: 1.25,
        }
    }

    #[test]
    fn the_form_of_a_line() {
        let text = r#"{"step":3,"epoch":1,"split":"val","loss":0.5,"metrics":{"auc":0.75,"accuracy":0.3333333333333333},"lr":null,"seconds":1.25}"#;
        assert_eq!(line(3).to_json(), text);
        assert_eq!(Line::parse(text), Some(line(3)));
        let odd = Line { loss: f64::NAN, lr: Some(1e-3), ..line(1) };
        assert!(odd.to_json().contains(r#""loss":null"#));
        assert!(Line::parse(&odd.to_json()).is_some_and(|line| line.loss.is_nan() && line.lr == Some(1e-3)));
        assert_eq!(Line::parse("{}"), None);
    }

    #[test]
    fn resuming_cuts_what_came_after_and_what_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(METRICS_FILE);
        let mut log = Log::open(&Os, folder.path(), 0).unwrap();
        (1..=4).for_each(|step| log.write(&line(step)).unwrap());
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend(b"{\"step\":5,\"metrics\":{\"\xc3");
        std::fs::write(&path, torn).unwrap();
        let mut log = Log::open(&Os, folder.path(), 2).unwrap();
        log.write(&line(9)).unwrap();
        let steps: Vec<u64> =
            parse_lines(&std::fs::read_to_string(&path).unwrap()).iter().map(|line| line.step).collect();
        assert_eq!(steps, [1, 2, 9]);
    }
}

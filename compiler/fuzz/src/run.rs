//! Trying inputs: panics are caught, times are watched.

use crate::{Corpus, Target, input};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A single input may take this long; the whole process is given up after [`HANGS`].
const SLOW: Duration = Duration::from_secs(2);
const HANGS: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Finding {
    pub number: u64,
    pub what: String,
    pub text: String,
}

pub struct Report {
    pub inputs: u64,
    /// Inputs that the target accepted: too few say that mutations are too wild.
    pub accepted: u64,
    pub findings: Vec<Finding>,
    pub slowest: Duration,
    pub elapsed: Duration,
}

/// What is wrong with how the target treats a text; else whether it accepts it.
pub fn try_one(target: &Target, text: &str) -> Result<bool, String> {
    let began = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(text)));
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            Err(format!("panics: {text}"))
        }
    };
    match outcome {
        Ok(_) if began.elapsed() > SLOW => Err(format!("takes {:?}", began.elapsed())),
        other => other,
    }
}

/// Tries the inputs of these numbers. One that never ends, or that ends the process, is told by its number on the error
/// output of the process.
pub fn campaign(target: &'static Target, corpus: &Corpus, from: u64, to: u64) -> Report {
    let began = Instant::now();
    let mut report = Report {
        inputs: 0,
        accepted: 0,
        findings: Vec::new(),
        slowest: Duration::ZERO,
        elapsed: Duration::ZERO,
    };
    let reached = Arc::new(AtomicU64::new(from));
    let done = Arc::new(AtomicBool::new(false));
    let watch = {
        let (reached, done) = (reached.clone(), done.clone());
        thread::spawn(move || watch(target.name, &reached, &done))
    };
    for number in from..to {
        reached.store(number, Ordering::Relaxed);
        let text = input(target, corpus, number);
        let start = Instant::now();
        match try_one(target, &text) {
            Ok(true) => report.accepted += 1,
            Ok(false) => {}
            Err(what) => report.findings.push(Finding { number, what, text }),
        }
        report.inputs += 1;
        report.slowest = report.slowest.max(start.elapsed());
    }
    done.store(true, Ordering::Relaxed);
    watch.thread().unpark();
    let _ = watch.join();
    report.elapsed = began.elapsed();
    report
}

/// Ends the process where one input takes forever.
fn watch(name: &str, reached: &AtomicU64, done: &AtomicBool) {
    let last = Mutex::new((u64::MAX, Instant::now()));
    while !done.load(Ordering::Relaxed) {
        thread::park_timeout(Duration::from_secs(1));
        let number = reached.load(Ordering::Relaxed);
        let mut last = last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if last.0 != number {
            *last = (number, Instant::now());
        } else if last.1.elapsed() > HANGS {
            eprintln!("{name}: input {number} does not end");
            process::exit(3);
        }
    }
}

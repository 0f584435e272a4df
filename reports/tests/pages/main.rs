//! Pages of results: complete, valid, self-contained, the same bytes each time; refused what is not to be believed.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod honest;
mod hostile;
mod invented;
mod outline;
mod training;
mod valid;
mod whole;

use reports::{Collector, Limits, PageOptions, Results};

pub fn collect(text: &str) -> Results {
    let mut collector = Collector::default();
    collector.add("invented.jsonl", text.as_bytes(), &Limits::default()).unwrap();
    collector.finish(false).unwrap()
}

pub fn options() -> PageOptions {
    PageOptions { title: None, inputs: vec!["invented.jsonl".into()], output: "report.html".into() }
}

pub fn page_of(text: &str) -> String {
    reports::page(&collect(text), &options()).unwrap()
}

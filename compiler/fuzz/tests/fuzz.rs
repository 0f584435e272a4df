//! What was found once stays mended, and a first stretch of every campaign finds nothing.

use fuzz::{Corpus, TARGETS, Target, campaign, find, findings, try_one};
use std::thread;

/// Inputs of one target: the checker's take longest.
fn inputs(name: &str) -> u64 {
    if name == "checker" { 1_500 } else { 20_000 }
}

fn stretch(name: &'static str) {
    let work = move || {
        let target = find(name).expect("the target exists");
        for (path, text) in findings(target).expect("findings can be read") {
            if let Err(why) = try_one(target, &text) {
                panic!("{}: {why}", path.display());
            }
        }
        let corpus = Corpus::of(target).expect("seeds can be read");
        assert!(corpus.seeds.len() > 20, "{} seeds", corpus.seeds.len());
        let report = campaign(target, &corpus, 0, inputs(name));
        assert!(report.findings.is_empty(), "{:#?}", report.findings);
        // Else nothing behind the first error is reached.
        assert!(
            report.accepted * 100 > report.inputs,
            "{} of {} are accepted",
            report.accepted,
            report.inputs
        );
    };
    thread::Builder::new().stack_size(256 << 20).spawn(work).expect("a thread").join().expect("no findings");
}

#[test]
fn parser() {
    stretch("parser");
}

#[test]
fn formatter() {
    stretch("formatter");
}

#[test]
fn checker() {
    stretch("checker");
}

#[test]
fn graph() {
    stretch("graph");
}

#[test]
fn shape() {
    stretch("shape");
}

#[test]
fn panics_and_broken_promises_are_found() {
    let panics = Target { name: "panics", extension: "dims", run: |_| panic!("here") };
    assert_eq!(try_one(&panics, ""), Err("panics: here".into()));
    let breaks = Target { name: "breaks", extension: "dims", run: |text| Err(text.into()) };
    assert_eq!(try_one(&breaks, "so"), Err("so".into()));
}

#[test]
fn every_target_has_a_test() {
    assert_eq!(TARGETS.len(), 5);
}

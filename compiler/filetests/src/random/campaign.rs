//! Many random models at a stretch, with a line for the log at the end.

use super::{Effort, Verdict, many, one, tally::Tally};
use serde_json::json;
use std::time::Instant;

/// Models that are compiled together.
const GROUP: u64 = 32;
/// Failures that are shown before it stops.
const MAX_FINDINGS: usize = 20;

/// `EFFORT FROM TO`: tries the models of these seeds, prints failures as small as they get, and then one line of JSON.
pub fn run(words: &[String]) -> Result<(), String> {
    let usage = "campaign compiled|everything|derivatives FROM TO";
    let [effort, from, to] = words else { return Err(usage.into()) };
    let effort = Effort::parse(effort).ok_or(usage)?;
    let (from, to): (u64, u64) = (from.parse().map_err(|_| usage)?, to.parse().map_err(|_| usage)?);
    let mut tally = Tally::default();
    let mut findings = Vec::new();
    let began = Instant::now();
    let mut reached = from;
    while reached < to && findings.len() < MAX_FINDINGS {
        let end = (reached + GROUP).min(to);
        for (model, verdict) in many(effort, reached..end, &mut tally) {
            let Verdict::Fails(why) = verdict else { continue };
            findings.push(model.seed);
            eprintln!("seed {}: {why}", model.seed);
            let mut last = why;
            let small = generate::reduce(&model, |smaller| match one(effort, smaller) {
                Verdict::Fails(why) => {
                    last = why;
                    true
                }
                _ => false,
            });
            eprintln!("smallest: {last}\n{}", small.source());
        }
        reached = end;
        if (reached - from) % (GROUP * 64) == 0 {
            let each = began.elapsed().as_secs_f64() * 1e3 / (reached - from) as f64;
            eprintln!("{reached}: {each:.1} ms a model, {} findings", findings.len());
        }
    }
    let line = json!({
        "effort": effort.name(),
        "from": from,
        "to": reached,
        "models": tally.models,
        "agreed": tally.agreed,
        "rejected": tally.rejected,
        "findings": findings,
        "seconds": began.elapsed().as_secs(),
        "operators": tally.operators,
        "passes": tally.passes,
    });
    println!("{line}");
    Ok(())
}

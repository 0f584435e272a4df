//! Random models, each against the definition. `cargo dev campaign` runs many more of them than the tests do, and notes
//! what they were made of.
//!
//! - executors: the kernels' interpreter and compiled code give what the graph's interpreter gives, and results have the
//!   shapes that the generator worked out by itself;
//! - derivatives: in reverse, forward, and by differences, first and second.

pub mod campaign;
mod derivatives;
pub(crate) mod executors;
mod margins;
mod subject;
mod tally;

use generate::{Kind, Model};
use libtest_mimic::{Failed, Trial};
use tally::Tally;

/// Models of the test, in trials of so many.
const EXECUTORS: (u64, u64) = (384, 64);
const DERIVATIVES: (u64, u64) = (2000, 250);

/// How much is done with each model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    /// The graph's interpreter and compiled code.
    Compiled,
    /// Everything that can run a model.
    Everything,
    /// Derivatives in the interpreter.
    Derivatives,
}

impl Effort {
    pub fn parse(name: &str) -> Option<Effort> {
        Some(match name {
            "compiled" => Effort::Compiled,
            "everything" => Effort::Everything,
            "derivatives" => Effort::Derivatives,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Effort::Compiled => "compiled",
            Effort::Everything => "everything",
            Effort::Derivatives => "derivatives",
        }
    }

    fn kind(self) -> Kind {
        if self == Effort::Derivatives { Kind::Derivatives } else { Kind::Forward }
    }
}

/// What came of a model.
pub enum Verdict {
    Agrees,
    /// It says nothing: too near a corner, or no derivative. In a few words.
    Rejected(&'static str),
    Fails(String),
}

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (effort, (count, group)) in
        [(Effort::Compiled, EXECUTORS), (Effort::Everything, (20, 5)), (Effort::Derivatives, DERIVATIVES)]
    {
        for first in (0..count).step_by(group as usize) {
            let name = format!("random::{}::{first}", effort.name());
            trials.push(Trial::test(name, move || of_seeds(effort, first..first + group)));
        }
    }
    trials
}

fn of_seeds(effort: Effort, seeds: std::ops::Range<u64>) -> Result<(), Failed> {
    let mut tally = Tally::default();
    let count = seeds.clone().count();
    let verdicts = many(effort, seeds, &mut tally);
    let mut rejected = 0;
    for (model, verdict) in verdicts {
        match verdict {
            Verdict::Agrees => {}
            Verdict::Rejected(_) => rejected += 1,
            Verdict::Fails(why) => {
                return Err(format!("seed {}: {why}\n{}", model.seed, model.source()).into());
            }
        }
    }
    // Else the generator makes models that nothing is learned from.
    if rejected * 2 > count {
        Err(format!("{rejected} of {count} models are rejected").into())
    } else {
        Ok(())
    }
}

/// Tries the models of these seeds, compiled together where they are compiled.
pub fn many(effort: Effort, seeds: std::ops::Range<u64>, tally: &mut Tally) -> Vec<(Model, Verdict)> {
    let models = seeds.map(|seed| generate::model(seed, effort.kind()));
    match effort {
        Effort::Derivatives => models
            .map(|model| {
                let verdict = derivatives::check(&model, tally);
                (model, verdict)
            })
            .collect(),
        _ => executors::check(models.collect(), effort == Effort::Everything, tally),
    }
}

/// How near the run of a module's first function comes to a corner.
pub(crate) fn margin(module: &graph::Module, args: &[graph::Array]) -> Result<f64, String> {
    let function = module.functions.values().first().ok_or("a module without functions")?;
    let mode = graph::interp::Mode::Exact;
    let watched = margins::watch(module, function, args, &subject::Dims::new(), mode);
    watched.results.map(|_| watched.margin)
}

/// Tries one model.
pub fn one(effort: Effort, model: &Model) -> Verdict {
    match effort {
        Effort::Derivatives => derivatives::check(model, &mut Tally::default()),
        _ => {
            let mut verdicts =
                executors::check(vec![model.clone()], effort == Effort::Everything, &mut Tally::default());
            verdicts.pop().map_or(Verdict::Rejected("nothing"), |(_, verdict)| verdict)
        }
    }
}

//! Stage: tests, above the driver.
//! Input: the files under `cases/<stage>`, each a source with what is expected of it, and the standard library's tests.
//! Output: one trial a case, for a runner that lists them by name.
//! Invariants: a case fails when its expectation is missing; `DLC_BLESS=1` writes expectations, the diff is reviewed.

mod batches;
mod codes;
mod corpus;
mod coverage;
mod equations;
mod faults;
mod library;
mod planted;
pub mod random;
mod reference;
mod run;
mod sweep;
mod syntax;
mod text;

use libtest_mimic::Trial;

/// Every case, named `stage::file`.
pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (stage, check) in [
        ("parse", syntax::parse as corpus::Check),
        ("fmt", syntax::format),
        ("error", faults::error),
        ("warning", faults::error),
        ("check", faults::check),
        ("graph", text::graph),
        ("kernel", text::kernel),
        ("plan", text::plan),
        ("run", run::run),
    ] {
        trials.extend(corpus::trials(stage, check));
    }
    trials.extend(syntax::shipped());
    trials.extend(faults::shipped());
    trials.extend(library::trials());
    trials.extend(reference::trials());
    trials.extend(sweep::trials());
    trials.extend(coverage::trials());
    trials.extend(equations::trials());
    trials.extend(batches::trials());
    trials.extend(codes::trials());
    trials.extend(random::trials());
    trials.extend(planted::trials());
    trials
}

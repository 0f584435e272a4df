//! The command line, outermost of all: arguments in, one verb run, texts and files out.
//! Input: arguments, files, the environment. Output: files, standard output for results, standard error for the rest.
//! Invariants: one file a verb; exit codes are 0 done, 1 the user's file or data, 2 usage, 70 a bug of the compiler;
//! nothing but this crate prints, reads the environment or ends the process.

mod arguments;
mod bug;
mod cx;
mod dataset;
mod explanations;
mod fault;
mod installation;
mod limits;
mod memory;
mod object_cache;
mod output;
mod parameters;
mod training;
mod verbs;
mod watch;
mod weight_map;

use arguments::{Arguments, Verb};
use clap::Parser;
use cx::Cx;
use fault::Fault;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    bug::catch(|| {
        let cx = Cx::new(arguments.everywhere);
        match run(&cx, arguments.verb) {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => cx.report(fault),
        }
    })
}

fn run(cx: &Cx, verb: Verb) -> Result<(), Fault> {
    if let (Some(option), false) = (cx.everywhere.series(), matches!(verb, Verb::Bench(_))) {
        return Err(Fault::Usage(format!("`{option}` takes several values for `dlc bench` alone")));
    }
    match verb {
        Verb::Check(arguments) => verbs::check::run(cx, arguments),
        Verb::Fmt(arguments) => verbs::fmt::run(cx, arguments),
        Verb::Explain(arguments) => verbs::explain::run(cx, arguments),
        Verb::Inspect(arguments) => verbs::inspect::run(cx, arguments),
        Verb::Compile(arguments) => verbs::compile::run(cx, arguments),
        Verb::Run(arguments) => verbs::run::run(cx, arguments),
        Verb::Grad(arguments) => verbs::grad::run(cx, arguments),
        Verb::Train(arguments) => verbs::train::run(cx, arguments),
        Verb::Eval(arguments) => verbs::eval::run(cx, arguments),
        Verb::Report(arguments) => verbs::report::run(cx, arguments),
        Verb::Test(arguments) => verbs::test::run(cx, arguments),
        Verb::Doctor(arguments) => verbs::doctor::run(cx, arguments),
        Verb::Bench(arguments) => verbs::bench::run(cx, arguments),
        Verb::Arm(arguments) => verbs::arm::run(cx, arguments),
        Verb::Other(words) => verbs::later(&words),
    }
}

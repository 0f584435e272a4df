//! `dlc arm`: our own arm of a benchmark, in a process of its own; `dlc bench` starts it and asks.

mod bound;
mod build;

use crate::{cx::Cx, fault::Fault, output};
use base::Diagnostic;
use bench_suite::{protocol::Refusal, serve};
use clap::Args;
use std::{
    collections::BTreeMap,
    io::{stdin, stdout},
    time::Instant,
};
use tensor::Tensor;

pub use bound::Bound;
pub use build::{Fixed, build, options};

/// Serve one model to `dlc bench`: requests on standard input, replies on standard output, a JSON object a line
#[derive(Args)]
#[command(after_help = "Examples:\n  echo '{\"do\":\"stop\"}' | dlc arm")]
pub struct Arguments {
    /// Take so many times as long for each call: what a comparison has to find
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    slow_down: f64,
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    if !(1.0..=1000.0).contains(&arguments.slow_down) {
        return Err(Fault::Usage("`--slow-down` is a number from 1 to 1000".into()));
    }
    let served = serve::serve(stdin().lock(), stdout().lock(), |wanted| {
        let loaded = build::load(cx, wanted).map_err(|fault| Refusal::error(text(cx, fault)));
        loaded.map(|(bound, told)| (Timed { bound, slow_down: arguments.slow_down }, told))
    });
    served.map_err(|fault| Diagnostic::error("E0820", format!("nobody listens any more: {fault}")).into())
}

struct Timed {
    bound: Bound,
    slow_down: f64,
}

impl serve::Arm for Timed {
    fn call(&mut self) -> Result<(), String> {
        if self.slow_down <= 1.0 {
            return self.bound.call().map_err(|fault| fault.message);
        }
        let began = Instant::now();
        self.bound.call().map_err(|fault| fault.message)?;
        let until = began.elapsed().mul_f64(self.slow_down);
        while began.elapsed() < until {
            std::hint::spin_loop();
        }
        Ok(())
    }

    fn results(&mut self) -> Result<BTreeMap<String, Tensor>, String> {
        Ok(self.bound.results())
    }
}

/// A fault in one line, and in full on standard error.
fn text(cx: &Cx, fault: Fault) -> String {
    match fault {
        Fault::Diagnostics(faults, sources) => {
            cx.tell(&faults, &sources, base::Format::Human);
            let first = faults.first();
            first.map_or("it failed".into(), |fault| format!("{}: {}", fault.code, fault.message))
        }
        Fault::Usage(message) => message,
        Fault::Bug(bug) => {
            output::note(&format!("{bug:?}\n"));
            "a bug of the compiler".into()
        }
        Fault::Told | Fault::Interrupted => "it ended early".into(),
    }
}

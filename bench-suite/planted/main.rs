//! An arm of one little model, `y = 2 x`, that does one thing wrong: its first argument says which.
//! Input: requests. Output: replies, and what the fault demands.
//! Invariants: without a fault it is an honest arm.

use bench_suite::{
    protocol::{Load, Loaded, Refusal},
    serve,
};
use std::{
    collections::BTreeMap,
    io::{stdin, stdout},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};
use tensor::{Limits, Tensor, npz};

/// What a call takes when nothing is wrong.
const CALL: Duration = Duration::from_micros(200);

struct Planted {
    fault: String,
    x: Vec<f64>,
    calls: u64,
}

fn main() -> ExitCode {
    let fault = std::env::args().nth(1).unwrap_or_default();
    let served = serve::serve(stdin().lock(), stdout().lock(), |wanted| load(&fault, wanted));
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn load(fault: &str, wanted: &Load) -> Result<(Planted, Loaded), Refusal> {
    match fault {
        "cannot" => return Err(Refusal::cannot("it does not infer")),
        "missing" => {
            return Err(Refusal::Missing {
                missing: "planted".into(),
                install: "pip install planted".into(),
            });
        }
        "error" => return Err(Refusal::error("it fell over")),
        "dies" => {
            eprintln!("out of luck");
            std::process::exit(3);
        }
        "hangs" => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        _ => {}
    }
    let inputs = npz::read(&Path::new(&wanted.folder).join("inputs.npz"), &Limits::default())
        .map_err(|fault| Refusal::error(fault.message))?;
    let told = Loaded {
        framework: "Planted".into(),
        version: "1.0".into(),
        threads_seen: match fault {
            "threads" => Some(wanted.threads + 1),
            "busy" => None,
            _ => Some(wanted.threads),
        },
        dtype_seen: if fault == "dtype" { "torch.bfloat16".into() } else { "torch.float32".into() },
        flags: BTreeMap::new(),
        import_s: 0.0,
        load_s: 0.0,
        compile_s: 0.0,
        artifact_bytes: None,
    };
    Ok((Planted { fault: fault.into(), x: inputs["x"].to_f64_vec(), calls: 0 }, told))
}

impl serve::Arm for Planted {
    fn call(&mut self) -> Result<(), String> {
        self.calls += 1;
        let factor = match self.fault.as_str() {
            "impossible" => return Ok(()),
            "prints" if self.calls == 3 => {
                println!("step 3 done");
                1.0
            }
            "warms" => 1.0 + 20.0 / self.calls as f64,
            "fails" if self.calls == 3 => return Err("no memory for the third call".into()),
            "slow" => 1.5,
            "busy" => 50.0,
            _ => 1.0,
        };
        let began = Instant::now();
        let wait = || {
            while began.elapsed() < CALL.mul_f64(factor) {
                std::hint::spin_loop();
            }
        };
        if self.fault == "busy" {
            std::thread::scope(|scope| {
                scope.spawn(wait);
                wait();
            });
        } else {
            wait();
        }
        Ok(())
    }

    fn results(&mut self) -> Result<BTreeMap<String, Tensor>, String> {
        let factor = if self.fault == "wrong" { 2.01 } else { 2.0 };
        let values: Vec<f32> = self.x.iter().map(|x| (factor * x) as f32).collect();
        let tensor = Tensor::from_vec([values.len()], values).map_err(|fault| fault.message)?;
        Ok(BTreeMap::from([("y".to_string(), tensor)]))
    }
}

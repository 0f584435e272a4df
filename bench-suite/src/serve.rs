//! The arm's side of the protocol, for arms written in Rust.

use crate::{
    machine::{peak_bytes, processor_seconds},
    protocol::{Arrived, Curve, First, Load, Loaded, Refusal, Request, Stopped, Timed, Warmed},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{BufRead, Write},
    path::Path,
    time::{Duration, Instant},
};
use tensor::{
    Tensor,
    npz::{self, Compression},
};

/// One framework with one model.
pub trait Arm {
    /// One inference, or one step of training.
    fn call(&mut self) -> Result<(), String>;

    /// What the latest call gave: every output by name, or `loss`, one number.
    fn results(&mut self) -> Result<BTreeMap<String, Tensor>, String>;

    /// Trains on a data set until a measure is reached.
    fn curve(&mut self, _seconds: f64, _target: f64) -> Result<Curve, Refusal> {
        Err(Refusal::cannot("it has no loop of training to watch"))
    }
}

/// Answers until it is told to stop, or nobody asks any more.
pub fn serve<A: Arm>(
    input: impl BufRead,
    mut output: impl Write,
    load: impl Fn(&Load) -> Result<(A, Loaded), Refusal>,
) -> std::io::Result<()> {
    let mut arm: Option<A> = None;
    for line in input.lines() {
        let line = line?;
        let request: Request = match serde_json::from_str(&line) {
            Ok(request) => request,
            Err(fault) => {
                reply(&mut output, &Refusal::error(format!("this is no request: {fault}")))?;
                continue;
            }
        };
        let answered = match (&request, &mut arm) {
            (Request::Stop, _) => {
                let stopped = Stopped { peak_bytes: peak_bytes(), cpu_s: Some(processor_seconds()) };
                return reply(&mut output, &stopped);
            }
            (Request::Load(wanted), _) => match load(wanted) {
                Ok((loaded, told)) => {
                    arm = Some(loaded);
                    to_value(told)
                }
                Err(refusal) => Err(refusal),
            },
            (_, None) => Err(Refusal::error("nothing is loaded")),
            (request, Some(arm)) => answer(arm, request),
        };
        match answered {
            Ok(value) => reply(&mut output, &value)?,
            Err(refusal) => reply(&mut output, &refusal)?,
        }
    }
    Ok(())
}

fn answer<A: Arm>(arm: &mut A, request: &Request) -> Result<serde_json::Value, Refusal> {
    match request {
        Request::First { steps, to } => to_value(first(arm, *steps, Path::new(to))?),
        Request::Warm { seconds, most } => to_value(Warmed { samples: each(arm, *seconds, *most)? }),
        Request::Time { seconds, samples } => to_value(timed(arm, *seconds, *samples)?),
        Request::Arrivals { at } => to_value(arrivals(arm, at)?),
        Request::Curve { seconds, target } => to_value(arm.curve(*seconds, *target)?),
        Request::Load(_) | Request::Stop => Err(Refusal::error("this was answered before")),
    }
}

fn to_value(value: impl Serialize) -> Result<serde_json::Value, Refusal> {
    serde_json::to_value(value).map_err(|fault| Refusal::error(fault.to_string()))
}

fn reply(output: &mut impl Write, value: &impl Serialize) -> std::io::Result<()> {
    writeln!(output, "{}", serde_json::to_string(value)?)?;
    output.flush()
}

fn call<A: Arm>(arm: &mut A) -> Result<f64, Refusal> {
    let began = Instant::now();
    arm.call().map_err(Refusal::error)?;
    Ok(began.elapsed().as_secs_f64())
}

fn first<A: Arm>(arm: &mut A, steps: u32, to: &Path) -> Result<First, Refusal> {
    let (mut seconds, mut losses, mut outputs) = (Vec::new(), Vec::new(), BTreeMap::new());
    for _ in 0..steps.max(1) {
        seconds.push(call(arm)?);
        let mut results = arm.results().map_err(Refusal::error)?;
        if let Some(loss) = results.remove("loss").filter(|loss| results.is_empty() && loss.len() == 1) {
            losses.extend(loss.to_f64_vec());
        } else {
            outputs = results;
        }
    }
    let told = |fault: base::Diagnostic| Refusal::error(fault.message);
    if !losses.is_empty() {
        outputs.insert("loss".into(), Tensor::from_vec([losses.len()], losses).map_err(told)?);
    }
    npz::write(to, &outputs, Compression::Store).map_err(told)?;
    Ok(First { seconds })
}

/// Single calls, for so long and at most so many.
fn each<A: Arm>(arm: &mut A, seconds: f64, most: u32) -> Result<Vec<f64>, Refusal> {
    let began = Instant::now();
    let mut samples = Vec::new();
    while samples.is_empty() || (began.elapsed().as_secs_f64() < seconds && samples.len() < most as usize) {
        samples.push(call(arm)?);
    }
    Ok(samples)
}

fn timed<A: Arm>(arm: &mut A, seconds: f64, samples: u32) -> Result<Timed, Refusal> {
    let samples = samples.max(1);
    let once = call(arm)?.max(1e-9);
    // As many calls a sample as fill its share of the time: a clock read costs more than the smallest models.
    let calls = ((seconds / f64::from(samples) / once) as u64).clamp(1, 1_000_000);
    let mut found = Timed { samples: Vec::new(), calls, cpu: Vec::new() };
    for _ in 0..samples {
        let (began, busy) = (Instant::now(), processor_seconds());
        for _ in 0..calls {
            arm.call().map_err(Refusal::error)?;
        }
        let passed = began.elapsed().as_secs_f64();
        found.samples.push(passed / calls as f64);
        found.cpu.push((processor_seconds() - busy) / calls as f64);
    }
    Ok(found)
}

/// A queue with one worker: a request waits for those before it.
fn arrivals<A: Arm>(arm: &mut A, at: &[f64]) -> Result<Arrived, Refusal> {
    let began = Instant::now();
    let mut latencies = Vec::with_capacity(at.len());
    for arrival in at {
        loop {
            let left = arrival - began.elapsed().as_secs_f64();
            if left <= 0.0 {
                break;
            }
            // Sleeping is coarse: the last part is waited for awake, as a server with a polled queue does.
            if left > 2e-4 {
                std::thread::sleep(Duration::from_secs_f64(left - 1e-4));
            } else {
                std::hint::spin_loop();
            }
        }
        arm.call().map_err(Refusal::error)?;
        latencies.push(began.elapsed().as_secs_f64() - arrival);
    }
    Ok(Arrived { latencies })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counts(f64);

    impl Arm for Counts {
        fn call(&mut self) -> Result<(), String> {
            self.0 += 1.0;
            Ok(())
        }

        fn results(&mut self) -> Result<BTreeMap<String, Tensor>, String> {
            Ok(BTreeMap::from([("loss".into(), Tensor::from_vec([], [self.0]).unwrap())]))
        }
    }

    #[test]
    fn every_request_gets_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("out.npz");
        let requests = format!(
            "{{\"do\":\"warm\",\"seconds\":0,\"most\":1}}\nnonsense\n{}\n{{\"do\":\"first\",\"steps\":3,\"to\":{:?}}}\n\
             {{\"do\":\"warm\",\"seconds\":10,\"most\":7}}\n{{\"do\":\"time\",\"seconds\":0.01,\"samples\":4}}\n\
             {{\"do\":\"arrivals\",\"at\":[0.0,0.001,0.002]}}\n{{\"do\":\"curve\",\"seconds\":1,\"target\":0.9}}\n{{\"do\":\"stop\"}}\n",
            r#"{"do":"load","arm":"a","model":"m","mode":"train","batch":1,"sizes":{},"threads":1,"precision":"f32","style":"eager","folder":"","source":"","name":"M","settings":{},"train":{},"options":{}}"#,
            to.display().to_string()
        );
        let mut replies = Vec::new();
        let load = |_: &Load| {
            let loaded = Loaded {
                framework: "Counts".into(),
                version: "1".into(),
                threads_seen: Some(1),
                dtype_seen: "float32".into(),
                flags: BTreeMap::new(),
                import_s: 0.0,
                load_s: 0.0,
                compile_s: 0.0,
                artifact_bytes: None,
            };
            Ok((Counts(0.0), loaded))
        };
        serve(requests.as_bytes(), &mut replies, load).unwrap();
        let text = String::from_utf8(replies).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 9, "{text}");
        assert_eq!(lines[0]["error"], "nothing is loaded");
        assert!(lines[1]["error"].as_str().unwrap().starts_with("this is no request"));
        assert_eq!(lines[2]["framework"], "Counts");
        assert_eq!(lines[4]["samples"].as_array().unwrap().len(), 7);
        assert_eq!(lines[5]["samples"].as_array().unwrap().len(), 4);
        assert_eq!(lines[6]["latencies"].as_array().unwrap().len(), 3);
        assert!(lines[7]["cannot"].is_string());
        assert!(lines[8]["peak_bytes"].as_u64().unwrap() > 1 << 16);
        let written = npz::read(&to, &tensor::Limits::default()).unwrap();
        assert_eq!(written["loss"].to_f64_vec(), [1.0, 2.0, 3.0]);
    }
}

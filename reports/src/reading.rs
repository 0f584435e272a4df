//! Results files, read without trust: every fault has its file, line and column, and nothing is read without a limit.

use crate::record::{Arm, Environment, Record};
use base::Diagnostic;
use serde::{Deserialize, de::DeserializeOwned};
use std::io::{BufRead, Read};

/// What a results file may hold. Much more than any run gives, and little enough to be held in memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub bytes: u64,
    pub lines: usize,
    pub line_bytes: u64,
    /// Numbers of one list.
    pub items: usize,
    /// Characters of one text.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: 256 << 20, lines: 100_000, line_bytes: 1 << 20, items: 10_000, text: 4_000 }
    }
}

/// The lines of one file, in order, each with its number.
pub fn read(name: &str, source: impl Read, limits: &Limits) -> Result<Vec<(usize, Record)>, Diagnostic> {
    let mut source = std::io::BufReader::new(source);
    let (mut records, mut total, mut number) = (Vec::new(), 0u64, 0usize);
    let mut line = Vec::new();
    loop {
        line.clear();
        let taken = (&mut source).take(limits.line_bytes + 1).read_until(b'\n', &mut line);
        let taken =
            taken.map_err(|fault| Diagnostic::error("E1020", format!("cannot read `{name}`: {fault}")))?;
        if taken == 0 {
            return Ok(records);
        }
        (number, total) = (number + 1, total + taken as u64);
        let place = Place { name, number };
        if line.last() != Some(&b'\n') && taken as u64 > limits.line_bytes {
            return Err(place.beyond(&format!("the line is longer than {} bytes", limits.line_bytes)));
        }
        if total > limits.bytes {
            return Err(place.beyond(&format!("the file is larger than {} bytes", limits.bytes)));
        }
        if number > limits.lines {
            return Err(place.beyond(&format!("the file has more than {} lines", limits.lines)));
        }
        let text = std::str::from_utf8(&line)
            .map_err(|fault| place.fault(fault.valid_up_to() + 1, "the text is not UTF-8".to_string()))?;
        if !text.trim().is_empty() {
            records.push((number, record(text.trim_end(), &place, limits)?));
        }
    }
}

struct Place<'n> {
    name: &'n str,
    number: usize,
}

impl Place<'_> {
    fn fault(&self, column: usize, what: String) -> Diagnostic {
        let Place { name, number } = self;
        Diagnostic::error("E1021", format!("`{name}`, line {number}, column {column}: {what}"))
    }

    fn value(&self, what: String) -> Diagnostic {
        let Place { name, number } = self;
        Diagnostic::error("E1022", format!("`{name}`, line {number}: {what}"))
    }

    fn beyond(&self, what: &str) -> Diagnostic {
        let Place { name, number } = self;
        Diagnostic::error("E1023", format!("`{name}`, line {number}: {what}"))
            .help("results files hold one short JSON object a line, as `dlc bench` writes them")
    }
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

fn record(text: &str, place: &Place, limits: &Limits) -> Result<Record, Diagnostic> {
    let kind = parse::<Kind>(text, place)?.kind;
    let record = match kind.as_str() {
        "environment" => {
            let mut environment: Environment = parse(text, place)?;
            environment.all = parse(text, place)?;
            Record::Environment(environment)
        }
        "arm" => Record::Arm(parse(text, place)?),
        "floor" => Record::Floor(parse(text, place)?),
        "facts" => Record::Facts(parse(text, place)?),
        "curve" => Record::Curve(parse(text, place)?),
        "kernel" => Record::Kernel(parse(text, place)?),
        "compiler" => Record::Compiler(parse(text, place)?),
        _ => Record::Unknown(kind),
    };
    within(&parse::<serde_json::Value>(text, place)?, "", place, limits)?;
    match &record {
        Record::Arm(arm) => sound(arm, place)?,
        Record::Curve(curve) => {
            let lists = [("loss", &curve.loss), ("accuracy", &curve.accuracy)];
            for (key, list) in lists {
                if list.as_ref().is_some_and(|list| list.len() != curve.seconds.len()) {
                    return Err(place.value(format!("`{key}` and `seconds` differ in length")));
                }
            }
            times(0.0, &[("seconds", Some(&curve.seconds))], place)?;
        }
        Record::Kernel(kernel) => at_least_zero(
            &[("seconds", Some(kernel.seconds)), ("flops", kernel.flops), ("bytes", kernel.bytes)],
            place,
        )?,
        Record::Compiler(compiler) => positive("median_s", compiler.median_s, place)?,
        Record::Floor(floor) => at_least_zero(&[("spread", Some(floor.spread))], place)?,
        _ => {}
    }
    Ok(record)
}

fn parse<T: DeserializeOwned>(text: &str, place: &Place) -> Result<T, Diagnostic> {
    serde_json::from_str(text).map_err(|fault| {
        let what = fault.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        let fault = place.fault(fault.column(), what.to_string());
        match text.contains("NaN") || text.contains("Infinity") {
            true => fault.help("JSON has neither NaN nor Infinity: what is not known is `null`"),
            false => fault,
        }
    })
}

/// Texts and lists have a size to be shown.
fn within(value: &serde_json::Value, key: &str, place: &Place, limits: &Limits) -> Result<(), Diagnostic> {
    use serde_json::Value;
    match value {
        Value::String(text) if text.len() > limits.text => {
            Err(place.beyond(&format!("`{key}` is longer than {} bytes", limits.text)))
        }
        Value::Array(items) if items.len() > limits.items => {
            Err(place.beyond(&format!("`{key}` has more than {} items", limits.items)))
        }
        Value::Array(items) => items.iter().try_for_each(|item| within(item, key, place, limits)),
        Value::Object(map) => map.iter().try_for_each(|(key, item)| within(item, key, place, limits)),
        _ => Ok(()),
    }
}

/// What a measured arm must tell, and in which range.
fn sound(arm: &Arm, place: &Place) -> Result<(), Diagnostic> {
    for (key, text) in [("arm", &arm.arm), ("model", &arm.model), ("mode", &arm.mode)] {
        if text.is_empty() || text.chars().count() > 100 {
            return Err(place.value(format!("`{key}` is a name of 1 to 100 characters")));
        }
    }
    let numbers = [
        ("p50_s", arm.p50_s),
        ("p90_s", arm.p90_s),
        ("p95_s", arm.p95_s),
        ("p99_s", arm.p99_s),
        ("first_s", arm.first_s),
        ("import_s", arm.import_s),
        ("compile_s", arm.compile_s),
        ("cpu_s", arm.cpu_s),
        ("energy_j", arm.energy_j),
        ("artifact_bytes", arm.artifact_bytes),
        ("peak_bytes", arm.peak_bytes),
        ("max_error", arm.max_error),
        ("max_relative", arm.max_relative),
        ("flops", arm.flops),
        ("bytes", arm.bytes),
    ];
    at_least_zero(&numbers, place)?;
    let lists = [
        ("samples_s", arm.samples_s.as_ref()),
        ("process_medians_s", arm.process_medians_s.as_ref()),
        ("warm_up_s", arm.warm_up_s.as_ref()),
    ];
    times(*TIMES.start(), &lists, place)?;
    if let Some(median) = arm.median_s {
        positive("median_s", median, place)?;
        if let Some([low, high]) = arm.ci95_s {
            positive("ci95_s", low, place)?;
            if low > median || median > high {
                return Err(place.value(format!("the median {median} lies outside of its interval")));
            }
        }
    } else if arm.status == crate::record::Status::Ok {
        return Err(place.value("an arm with the status `ok` has a `median_s`".into()));
    }
    Ok(())
}

/// Any time that was measured lies in here, and so no arithmetic on it overflows.
const TIMES: std::ops::RangeInclusive<f64> = 1e-12..=1e9;

/// The same of counts of operations and bytes.
const MOST: f64 = 1e24;

fn positive(key: &str, value: f64, place: &Place) -> Result<(), Diagnostic> {
    match TIMES.contains(&value) {
        true => Ok(()),
        false => Err(place.value(format!("`{key}` is {value:e}, which is no time in seconds"))),
    }
}

fn at_least_zero(values: &[(&str, Option<f64>)], place: &Place) -> Result<(), Diagnostic> {
    let odd = |value: f64| !(0.0..=MOST).contains(&value);
    match values.iter().find_map(|(key, value)| value.filter(|value| odd(*value)).map(|value| (key, value))) {
        Some((key, value)) => Err(place.value(format!("`{key}` is {value:e}, which no machine has"))),
        None => Ok(()),
    }
}

fn times(least: f64, lists: &[(&str, Option<&Vec<f64>>)], place: &Place) -> Result<(), Diagnostic> {
    for (key, list) in lists {
        let odd =
            list.iter().flat_map(|list| list.iter()).find(|value| !(least..=*TIMES.end()).contains(value));
        if let Some(value) = odd {
            return Err(place.value(format!("`{key}` holds {value:e}, which is no time in seconds")));
        }
    }
    Ok(())
}

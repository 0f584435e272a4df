//! From what an arm is asked for to code with its arrays.

use super::Bound;
use crate::{
    arguments::{Precision, Style},
    cx::Cx,
    fault::{Fault, InSession},
    installation,
    memory::sizes_of,
    parameters, training,
};
use base::Diagnostic;
use bench_suite::protocol::{Load, Loaded};
use clap::ValueEnum;
use driver::{NoCache, Session, Trace};
use exec::{Dims, Pool, Program};
use sema::Built;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};
use tensor::{Fnv64, Limits, Tensor, file::write_atomically, npz, safetensors::Weights};

/// Whether sizes are constants of the code, as the arrays have them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fixed {
    Yes,
    No,
}

/// A session of this source, and the model built for inference or training.
pub fn build(
    cx: &Cx,
    source: &Path,
    model: Option<&str>,
    mut options: driver::Options,
    trains: bool,
    inputs: &BTreeMap<String, Tensor>,
    fixed: Fixed,
) -> Result<(Session, Built), Fault> {
    let wide = options.float == kernel::DType::F64;
    // What the command line fixes has chosen the arrays, whose sizes count here.
    options.sema.bind.clear();
    let mut session = cx.session_of(source, options, |text| if wide { in_f64(&text) } else { text })?;
    let mut built = built_of(&session, model, trains)?;
    if fixed == Fixed::Yes {
        let fields =
            if trains { built.train.as_ref().map(|train| &train.fields) } else { Some(&built.inputs) };
        session.options.sema.bind = sizes_of(fields.unwrap_or(&built.inputs), inputs).into_iter().collect();
        built = built_of(&session, model, trains)?;
    }
    Ok((session, built))
}

/// The text with f64 wherever it states f32: a definition may be rounded nowhere.
fn in_f64(text: &str) -> String {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    let mut wide = String::with_capacity(text.len());
    let mut from = 0;
    for (at, word) in text.match_indices("f32") {
        let before = at.checked_sub(1).is_some_and(|at| is_word(bytes[at]));
        let after = bytes.get(at + word.len()).is_some_and(|byte| is_word(*byte));
        if !before && !after {
            wide.push_str(&text[from..at]);
            wide.push_str("f64");
            from = at + word.len();
        }
    }
    wide.push_str(&text[from..]);
    wide
}

fn built_of(session: &Session, model: Option<&str>, trains: bool) -> Result<Built, Fault> {
    let (built, _) = session.build(model, trains).within(session)?;
    if trains {
        if built.train.is_none() {
            return Err(training::no_training(&built.name).into());
        }
        training::needs_optimizer(&built).within(session)?;
    }
    Ok(built)
}

/// The options of a build in a precision and a style.
pub fn options(
    cx: &Cx,
    settings: &BTreeMap<String, String>,
    precision: &str,
    style: &str,
) -> Result<driver::Options, Fault> {
    let mut options = cx.options()?;
    options.sema.set.extend(settings.iter().map(|(name, value)| (name.clone(), value.clone())));
    let unknown = |what: &str, word: &str| Fault::Usage(format!("there is no {what} `{word}`"));
    options.float =
        Precision::from_str(precision, true).map_err(|_| unknown("precision", precision))?.dtype();
    options.style = Style::from_str(style, true).map_err(|_| unknown("style", style))?.of_driver();
    Ok(options)
}

/// Everything ready to be called.
pub fn load(cx: &Cx, wanted: &Load) -> Result<(Bound, Loaded), Fault> {
    let began = Instant::now();
    let folder = Path::new(&wanted.folder);
    let limits = Limits::default();
    let inputs = npz::read(&folder.join("inputs.npz"), &limits)?;
    let mut weights = Weights::read(&folder.join("weights.safetensors"), &limits)?.tensors;
    let options = options(cx, &wanted.settings, &wanted.precision, &wanted.style)?;
    let precision = options.float;
    let on = |name: &str| wanted.options.get(name).is_some_and(|value| value == true);
    let fixed = if on("dynamic") { Fixed::No } else { Fixed::Yes };
    let trains = wanted.mode == "train";
    let model = (!wanted.name.is_empty()).then_some(wanted.name.as_str());
    let (session, built) = build(cx, Path::new(&wanted.source), model, options, trains, &inputs, fixed)?;
    let load_s = began.elapsed().as_secs_f64();
    let entry = if trains { "step" } else { "run" };
    let code = if on("ahead") {
        ahead(&session, &built, entry, folder, wanted)?
    } else {
        in_memory(&session, &built, entry)?
    };
    let pool = Pool::new(wanted.threads)?;
    let dims = Dims::new();
    // What no weights file holds: the states of a session, and what the optimiser begins with.
    for entry in ["init", "reset"] {
        if code.program.entry(entry).is_ok() {
            for (name, tensor) in parameters::initial_values(entry, cx, &code.program, &pool, &dims)? {
                weights.entry(name).or_insert(tensor);
            }
        }
    }
    let bound = Bound::new(code.program, entry, pool, &inputs, &weights, parameters::seed(cx))?;
    let told = Loaded {
        framework: "dlc".into(),
        version: driver::VERSION.into(),
        threads_seen: Some(bound.threads()),
        dtype_seen: precision.name().into(),
        flags: BTreeMap::from([
            ("sizes".to_string(), if fixed == Fixed::Yes { "fixed" } else { "dynamic" }.into()),
            ("strict".to_string(), cx.everywhere.strict.into()),
        ]),
        import_s: 0.0,
        load_s,
        compile_s: code.seconds,
        artifact_bytes: code.bytes,
    };
    Ok((bound, told))
}

struct Code {
    program: Program,
    seconds: f64,
    bytes: Option<u64>,
}

/// The entry points that running or training needs.
fn wanted_entries(entry: &str) -> &'static [&'static str] {
    if entry == "step" { &["step", "init", "reset"] } else { &["run", "reset"] }
}

fn in_memory(session: &Session, built: &Built, entry: &str) -> Result<Code, Fault> {
    let began = Instant::now();
    let entries = Session::entries(built, wanted_entries(entry));
    // Code from a cache would have no time of compiling.
    let compiled = session.compile(built, &entries, &NoCache, &mut Trace::default()).within(session)?;
    let program = compiled.load().within(session)?;
    Ok(Code { program, seconds: began.elapsed().as_secs_f64(), bytes: None })
}

/// A shared library, which the first process of a cell compiles and the others find.
fn ahead(session: &Session, built: &Built, entry: &str, folder: &Path, wanted: &Load) -> Result<Code, Fault> {
    let path = folder.join(format!("{}-{}.so", wanted.arm, own_hash(session, wanted)));
    let manifest_path = path.with_extension("json");
    let seconds_path = path.with_extension("seconds");
    let known = || fs::read_to_string(&seconds_path).ok()?.trim().parse::<f64>().ok();
    let seconds = match known() {
        Some(seconds) => seconds,
        None => {
            let began = Instant::now();
            let entries = Session::entries(built, wanted_entries(entry));
            let compiled =
                session.artifact(built, &entries, None, &NoCache, &mut Trace::default()).within(session)?;
            let library =
                compiled.object.shared_library().map_err(|error| Fault::from(error.diagnostic()))?;
            write_atomically(&path, &library)?;
            write_atomically(&manifest_path, compiled.manifest.to_json().as_bytes())?;
            let seconds = began.elapsed().as_secs_f64();
            write_atomically(&seconds_path, format!("{seconds}\n").as_bytes())?;
            seconds
        }
    };
    let unreadable = |path: &PathBuf, what: String| {
        Diagnostic::error("E0821", format!("cannot read `{}`: {what}", path.display()))
    };
    let text =
        fs::read_to_string(&manifest_path).map_err(|fault| unreadable(&manifest_path, fault.to_string()))?;
    let manifest = abi::Manifest::from_json(&text).map_err(|fault| unreadable(&manifest_path, fault))?;
    let program = Program::open_shared(&path, &manifest)?;
    let bytes = fs::metadata(&path).ok().map(|data| data.len());
    Ok(Code { program, seconds, bytes })
}

/// Another build of `dlc`, another source or another question make other code.
fn own_hash(session: &Session, wanted: &Load) -> String {
    let asked = format!("{:?} {:?} {:?}", wanted.settings, wanted.options, session.options);
    let hash =
        Fnv64::new().text(&installation::build().unwrap_or_default()).text(&session.source.text).text(&asked);
    format!("{:016x}", hash.finish())
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_the_word_is_widened() {
        let text = "model M(x: f32[b]) -> (y: f32[b]) { y = bf32 + f32_x + f320 + f32(x) }";
        let wide = "model M(x: f64[b]) -> (y: f64[b]) { y = bf32 + f32_x + f320 + f64(x) }";
        assert_eq!(super::in_f64(text), wide);
    }
}

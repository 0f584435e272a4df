//! `dlc compile`: the artifact, or any stage on the way to it.

use crate::{
    cx::Cx,
    fault::{Fault, InSession},
    memory::MemoryArguments,
    output, parameters,
};
use base::Diagnostic;
use clap::{Args, ValueEnum};
use driver::{Session, Stage, Trace};
use sema::Built;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tensor::{file::write_atomically, safetensors::Weights};

/// Compile a model to libraries with a C header, or show any stage on the way
#[derive(Args)]
#[command(after_help = "Examples:
  dlc compile digits.model -o build
  dlc compile digits.model --embed-weights runs/digits/checkpoints/best.safetensors -o build
  dlc compile digits.model --emit kernel
  dlc compile digits.model --with train --target x86-64-v3 -o build
  dlc compile unet.model --with train --bind batch=8 --max-memory 2G -o build")]
pub struct Arguments {
    file: PathBuf,
    /// native, a processor such as x86-64-v3, or TRIPLE[:CPU]
    #[arg(long, default_value = "native")]
    target: String,
    /// Any of obj,lib,so,header,manifest, or stages: tokens,ast,model,graph,grad,opt,kernel,plan,llvm,asm
    #[arg(long, value_delimiter = ',', value_parser = emit, default_value = "obj,lib,so,header,manifest")]
    emit: Vec<Emit>,
    /// Add the training step to the C interface
    #[arg(long, value_enum)]
    with: Option<With>,
    /// Carry these weights inside
    #[arg(long, value_name = "W.safetensors")]
    embed_weights: Option<PathBuf>,
    #[command(flatten)]
    memory: MemoryArguments,
    /// Versions for fixed sizes (not supported yet)
    #[arg(long, value_name = "DIM=N,…")]
    specialize: Option<String>,
    /// Optimise nothing in code generation; gives the same bits
    #[arg(long)]
    debug_code: bool,
    /// Show the graph after this pass
    #[arg(long, value_name = "PASS")]
    dump_after: Vec<String>,
    /// Show what took how long
    #[arg(long)]
    time_passes: bool,
    /// Where files go; a single stage without it goes to standard output
    #[arg(short, long = "output", value_name = "DIR")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum With {
    Train,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Emit {
    Object,
    Library,
    Shared,
    Header,
    Manifest,
    Stage(Stage),
}

fn emit(word: &str) -> Result<Emit, String> {
    Ok(match word {
        "obj" => Emit::Object,
        "lib" => Emit::Library,
        "so" => Emit::Shared,
        "header" => Emit::Header,
        "manifest" => Emit::Manifest,
        "ptx" => return Err("`ptx` is not supported yet".into()),
        other => Emit::Stage(
            Stage::parse(other).ok_or_else(|| format!("there is nothing called `{other}` to emit"))?,
        ),
    })
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    if arguments.specialize.is_some() {
        return Err(Fault::Usage(
            "`--specialize` is not supported yet; `--bind DIM=N` fixes one size".into(),
        ));
    }
    let names: Vec<&str> = driver::pass_names();
    if let Some(pass) = arguments.dump_after.iter().find(|pass| !names.contains(&pass.as_str())) {
        return Err(Fault::Usage(format!("there is no pass `{pass}`; there are {}", names.join(", "))));
    }
    let mut options = cx.options()?;
    options.target = llvm::Target::parse(&arguments.target).map_err(|error| error.diagnostic())?;
    if arguments.debug_code {
        options.opt_level = llvm::OptLevel::O0;
    }
    options.max_memory = arguments.memory.limit(BTreeMap::new());
    let session = cx.session_with(&arguments.file, options)?;
    let stages: Vec<Stage> = arguments
        .emit
        .iter()
        .filter_map(|emit| match emit {
            Emit::Stage(stage) => Some(*stage),
            _ => None,
        })
        .collect();
    let sink =
        Sink { folder: arguments.output.clone(), single: arguments.emit.len() == 1 && !stages.is_empty() };
    // Stages of the syntax need no model that is free of faults.
    if arguments.emit.len() == stages.len() && stages.iter().all(|stage| stage.is_syntax()) {
        let stem =
            arguments.file.file_stem().map_or("stdin".into(), |stem| stem.to_string_lossy().into_owned());
        for stage in stages {
            sink.text(&stem, stage.name(), &session.syntax_text(stage).unwrap_or_default())?;
        }
        return Ok(());
    }
    let training = arguments.with == Some(With::Train) || stages.contains(&Stage::Grad);
    let (built, warnings) = session.build(cx.model(), training).within(&session)?;
    cx.warn(&warnings, &session);
    if training && built.train.is_none() {
        return Err(crate::training::no_training(&built.name).into());
    }
    if arguments.with == Some(With::Train) {
        crate::training::needs_optimizer(&built).within(&session)?;
        if session.options.sema.half {
            let float = session.options.float.name();
            return Err(Diagnostic::error("E0901", format!("the C interface does not train in {float} yet"))
                .help("`dlc train` does, keeping f32 of every weight; for the C interface there are f32 and f64")
                .into());
        }
    }
    let prefix = Session::prefix(&built);
    let wanted: &[&str] = if training { &["run", "init", "accumulate", "step", "eval"] } else { &["run"] };
    let mut trace = Trace::dumping(arguments.dump_after.iter().cloned());
    for stage in &stages {
        let text = session.stage_text(*stage, &built, wanted, &mut trace).within(&session)?;
        sink.text(&prefix, stage.name(), &text)?;
    }
    if stages.len() < arguments.emit.len() {
        let job = Job { cx, session: &session, built: &built, sink: &sink, arguments: &arguments };
        job.artifact(&prefix, wanted, &mut trace)?;
    }
    for (pass, text) in &trace.dumps {
        output::note(&format!("# after {pass}\n{text}\n"));
    }
    if arguments.time_passes {
        for (what, time) in &trace.times {
            output::note(&format!("{:>10.3} ms  {what}\n", time.as_secs_f64() * 1e3));
        }
        output::note(if trace.cached { "            object code from the cache\n" } else { "" });
    }
    Ok(())
}

/// Where texts and files go.
struct Sink {
    folder: Option<PathBuf>,
    single: bool,
}

impl Sink {
    fn text(&self, stem: &str, extension: &str, text: &str) -> Result<(), Fault> {
        match &self.folder {
            None if self.single => output::print(text),
            _ => self.file(&format!("{stem}.{extension}"), text.as_bytes()),
        }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> Result<(), Fault> {
        let folder = self.folder();
        std::fs::create_dir_all(&folder).map_err(|fault| {
            Diagnostic::error("E0826", format!("cannot make the folder `{}`: {fault}", folder.display()))
        })?;
        Ok(write_atomically(&folder.join(name), bytes)?)
    }

    fn folder(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(|| PathBuf::from("build"))
    }
}

struct Job<'a> {
    cx: &'a Cx,
    session: &'a Session,
    built: &'a Built,
    sink: &'a Sink,
    arguments: &'a Arguments,
}

impl Job<'_> {
    fn artifact(&self, prefix: &str, wanted: &[&str], trace: &mut Trace) -> Result<(), Fault> {
        let weights = match &self.arguments.embed_weights {
            Some(path) => Some(self.embedded(path)?),
            None => None,
        };
        let entries = Session::entries(self.built, wanted);
        let compiled = self
            .session
            .artifact(self.built, &entries, weights.as_deref(), &self.cx.cache, trace)
            .within(self.session)?;
        let object = &compiled.object;
        let link = |error: llvm::Error| Fault::from(error.diagnostic());
        let mut written = Vec::new();
        let files = |emit: &Emit| -> Result<Option<(String, Vec<u8>)>, Fault> {
            Ok(Some(match emit {
                Emit::Object => (format!("{prefix}.o"), object.relocatable().map_err(link)?),
                Emit::Library => (format!("lib{prefix}.a"), object.archive().map_err(link)?),
                Emit::Shared => (format!("lib{prefix}.so"), object.shared_library().map_err(link)?),
                Emit::Header => (format!("{prefix}.h"), abi::header(&compiled.manifest, prefix).into_bytes()),
                Emit::Manifest => (format!("{prefix}.json"), compiled.manifest.to_json().into_bytes()),
                Emit::Stage(_) => return Ok(None),
            }))
        };
        for emit in &self.arguments.emit {
            if let Some((name, bytes)) = files(emit)? {
                self.sink.file(&name, &bytes)?;
                written.push(format!("{} ({})", name, size(bytes.len() as u64)));
            }
        }
        self.cx.say(&format!("{}: {}", self.sink.folder().display(), written.join(", ")));
        Ok(())
    }

    /// The weights and states of the model out of a file, which may be a checkpoint with much more in it.
    fn embedded(&self, path: &Path) -> Result<Vec<u8>, Fault> {
        // A run that keeps running averages of its weights was measured by them.
        let read = parameters::read_weights(self.cx, self.session, self.built, path)?;
        let all = read.parameters.averaged().into_tensors();
        let mut kept = Weights::default();
        for info in self.built.weights.iter().chain(&self.built.states) {
            let Some(tensor) = all.get(&info.name) else {
                let near = base::did_you_mean(&info.name, all.keys().map(String::as_str));
                let message = format!("`{}` lacks `{}`, which the model has", path.display(), info.name);
                return Err(Diagnostic::error("E0705", message)
                    .maybe_help(near.map(|near| format!("it has `{near}`")))
                    .into());
            };
            let dtype = crate::dataset::dtype(self.session, &info.ty)?;
            let tensor = train::fit_dtype(&info.name, tensor, dtype, self.cx.rounds())?;
            kept.tensors.insert(info.name.clone(), tensor);
        }
        Ok(kept.to_bytes()?)
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} bytes"),
        10_000..=9_999_999 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1024 / 1024),
    }
}

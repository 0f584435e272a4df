//! `dlc bench`: times models beside every framework that is installed.

mod bundle;
mod facts;
mod jobs;
mod kernels;
mod peaks;
mod reference;
pub mod rows;
mod runs;
mod self_check;
mod suite;
mod table;

use crate::{
    arguments::{Precision, TextOrJson},
    cx::Cx,
    fault::Fault,
    installation, output,
};
use base::Diagnostic;
use bench_suite::{
    Arm, Cell, KernelLine, Line, Measured, Mode, Peaks, Results, Ruler, Status, Subject, measure, prepare,
    protocol::Load, serve_requests,
};
use bundle::Bundle;
use clap::{Args, ValueEnum};
use jobs::Job;
use reference::Definition;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use suite::Suite;
use tensor::Fnv64;

/// Time models beside every framework that is installed; results are lines of JSON
#[derive(Args)]
#[command(after_help = "Examples:
  dlc bench --models mlp,lenet --against pytorch,onnxruntime --mode infer --batch 1,8 --threads 1,2
  dlc bench models/mlp.model --quick
  dlc bench --models resnet18 --mode server --against dlc,onnxruntime
  dlc bench --all --out results.jsonl
  dlc bench --models gemm --bind m=128 --against pytorch,onnxruntime --table
  dlc bench --self-check
  dlc bench --setup

An arm is a framework in one of its ways of running, dlc in its styles among them. Each runs in processes of its own,
which take turns. An arm gets a time where its results agree with those that dlc computes in f64, where it runs with the
threads and the precision asked for, and where the time is possible on this machine; else the reason stands in its place.
Cells that the results file already holds are not measured again.")]
pub struct Arguments {
    /// Files with `bench` items; --models names models of the registry
    files: Vec<PathBuf>,
    /// Models of the registry, single operations among them; --bind chooses their sizes
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    models: Vec<String>,
    /// Every model of the registry, without the single operations
    #[arg(long, conflicts_with_all = ["files", "models"])]
    all: bool,
    /// Every single operation of the registry
    #[arg(long, conflicts_with_all = ["files", "models"])]
    kernels: bool,
    /// Which arms; all that there are unless stated
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    against: Vec<String>,
    /// What is measured; infer,train unless stated
    #[arg(long, value_name = "MODE", value_delimiter = ',', value_enum)]
    mode: Vec<ModeWord>,
    /// Rows of a batch; those of the registry or the file unless stated
    #[arg(long, value_name = "N", value_delimiter = ',')]
    batch: Vec<u64>,
    /// Few and short processes, the first of each series
    #[arg(long)]
    quick: bool,
    /// Batches and sizes that show how an arm scales, instead of the usual ones
    #[arg(long)]
    series: bool,
    /// Where results go, and where those are that need not be measured again
    #[arg(long, value_name = "FILE", default_value = "results.jsonl")]
    out: PathBuf,
    #[arg(long, value_enum, default_value_t = TextOrJson::Human)]
    format: TextOrJson,
    /// At the end a table: a row a cell, with ratios and the share of what the machine can do
    #[arg(long)]
    table: bool,
    /// Go on with results of another machine
    #[arg(long)]
    force: bool,
    /// The folder with models.toml, kernels.toml and arms/; found from here upwards unless stated
    #[arg(long, value_name = "DIR")]
    suite: Option<PathBuf>,
    /// Also what is known of the arms without timing: bytes installed, lines of a model
    #[arg(long)]
    facts: bool,
    /// Also how fast `dlc train` gets better on these files: loss and accuracy over time
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    curve: Vec<PathBuf>,
    /// See whether a slowdown of 10 % is found and none is claimed where there is none, on this machine as it is now
    #[arg(long)]
    self_check: bool,
    /// Make the environment that Python arms run in, outside of this tree, and end
    #[arg(long)]
    setup: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeWord {
    /// One call after the other, on one batch
    Infer,
    /// Steps of training on one batch
    Train,
    /// Requests that arrive by chance and wait their turn: latencies
    Server,
    /// Whole trainings of dlc on a table that is read while training, beside one that is in memory
    Streamed,
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    let suite = Suite::find(arguments.suite.as_deref())?;
    if arguments.setup {
        return suite.setup(cx);
    }
    if arguments.self_check {
        return self_check::run(cx, &suite, &arguments);
    }
    let bench = Bench::new(cx, &arguments, suite)?;
    let jobs = jobs::jobs(cx, &arguments, &bench.suite)?;
    if jobs.is_empty() && arguments.curve.is_empty() && !arguments.facts {
        return Err(Fault::Usage(
            "name files with `bench` items, `--models A,B`, `--all`, or `--kernels`".into(),
        ));
    }
    bench.run(&jobs)
}

/// All about one cell.
struct Found {
    measured: Measured,
    kernels: Vec<KernelLine>,
    /// Of the files that all arms read.
    hashes: BTreeMap<String, String>,
}

struct Bench<'a> {
    cx: &'a Cx,
    arguments: &'a Arguments,
    suite: Suite,
    arms: bench_suite::Arms,
    ruler: Ruler,
    seed: u64,
}

impl<'a> Bench<'a> {
    fn new(cx: &'a Cx, arguments: &'a Arguments, suite: Suite) -> Result<Bench<'a>, Fault> {
        let seed = cx.everywhere.seed.unwrap_or(0);
        let arms = suite.arms()?;
        let ruler = if arguments.quick { Ruler::quick(seed) } else { Ruler::full(seed) };
        Ok(Bench { cx, arguments, suite, arms, ruler, seed })
    }

    fn run(&self, jobs: &[Job]) -> Result<(), Fault> {
        let mut environment = suite::environment(self.seed);
        let threads: BTreeSet<usize> =
            jobs.iter().flat_map(|job| job.cells.iter().map(|cell| cell.threads)).collect();
        let peaks = peaks::measure(self.cx, &threads, &environment)?;
        suite::tell_peaks(&mut environment, &peaks);
        let mut results = Results::open(&self.arguments.out, &environment, self.arguments.force)?;
        let mut bundle = Bundle::new(&self.suite, &environment);
        for job in jobs {
            let arms = self.arms_of(job)?;
            for cell in &job.cells {
                let hash = self.hash(job, cell, &arms, &environment.machine);
                if results.cells().contains(hash.as_str()) {
                    self.cx.say(&format!("{}: known already", cell.name()));
                    continue;
                }
                self.cx.say(&format!("{}: {} arms", cell.name(), arms.len()));
                let Found { mut measured, mut kernels, hashes } = self.cell(job, cell, &arms, &peaks)?;
                for line in &mut measured.arms {
                    line.machine = environment.machine.clone();
                    line.commit = environment.commit.clone();
                    line.command = command(job, cell, &line.arm, self.arguments.quick);
                    line.cell = hash.clone();
                }
                if let Some(floor) = &mut measured.floor {
                    floor.cell = hash.clone();
                    floor.machine = environment.machine.clone();
                }
                for line in &mut kernels {
                    line.machine = environment.machine.clone();
                    line.command = command(job, cell, "dlc", self.arguments.quick);
                }
                self.tell(cell, &measured)?;
                bundle.add(cell, &hashes, &measured.arms);
                let arms = measured.arms.into_iter().map(|line| Line::Arm(Box::new(line)));
                let lines =
                    arms.chain(measured.floor.map(Line::Floor)).chain(kernels.into_iter().map(Line::Kernel));
                results.add(lines.collect())?;
                bundle.write(&self.arguments.out)?;
            }
        }
        for file in &self.arguments.curve {
            results.add(vec![runs::curve(self.cx, file, &environment)?])?;
        }
        if self.arguments.facts {
            results.add(facts::facts(&self.suite, &self.arms)?)?;
        }
        self.cx.say(&format!("results in {}", self.arguments.out.display()));
        if self.arguments.table {
            let names: BTreeSet<&str> =
                jobs.iter().flat_map(|job| &job.cells).map(|cell| cell.model.as_str()).collect();
            output::print(&rows::tables(&results.lines, |name| names.contains(name)))?;
        }
        Ok(())
    }

    /// `dlc` comes first, for everything is held against it.
    fn arms_of(&self, job: &Job) -> Result<Vec<Arm>, Fault> {
        let names: Vec<String> = match (&self.arguments.against[..], &job.against[..]) {
            ([], []) => self.arms.list.iter().map(|arm| arm.name.clone()).collect(),
            ([], stated) => stated.to_vec(),
            (stated, _) => stated.to_vec(),
        };
        let styles: Vec<&str> =
            self.cx.everywhere.styles.iter().map(|style| style.of_driver().name()).collect();
        let own = bench_suite::DLC_ARMS
            .iter()
            .filter(|(_, style, ahead, open)| !ahead && !open && styles.contains(style));
        let mut chosen = vec!["dlc".to_string()];
        for name in own.map(|(name, ..)| name.to_string()).chain(names) {
            if !chosen.contains(&name) {
                chosen.push(name);
            }
        }
        chosen.iter().map(|name| Ok(self.arms.get(name)?.clone())).collect()
    }

    fn cell(&self, job: &Job, cell: &Cell, arms: &[Arm], peaks: &Peaks) -> Result<Found, Fault> {
        let model = &job.model;
        let specs = model.inputs.iter().chain(model.fields.iter().filter(|_| cell.mode.trains()));
        let inputs = bench_suite::arrays(specs, &cell.dims(), self.seed)?;
        let (root, name) = (self.suite.cells(), job.folder(cell, self.seed)?);
        let source = job.written(&root.join(&name))?;
        let mut definition = Definition::new(self.cx, job, &source, cell, &inputs);
        let folder = prepare(&root, &name, &inputs, &mut definition)?;
        let subjects = self.subjects(job, cell, arms, &folder.path, &source);
        let quiet = self.cx.everywhere.quiet;
        let mut told = |text: &str| {
            if !quiet {
                output::note(&format!("  {text}\n"));
            }
        };
        let held = (model.tolerance, model.savings);
        if cell.mode == Mode::Streamed {
            let order = model.inputs.keys().chain(model.fields.keys());
            let fields: Vec<&tensor::Tensor> = order.filter_map(|name| inputs.get(name)).collect();
            let arms = runs::streamed(self.cx, &source, cell, &fields, &folder.path, &self.ruler)?;
            let measured = Measured { arms, floor: None };
            return Ok(Found { measured, kernels: Vec::new(), hashes: folder.hashes });
        }
        let measured = if cell.mode == Mode::Server {
            let arms = serve_requests(cell, &subjects, &folder, held, peaks, &self.ruler, &mut told);
            Measured { arms, floor: None }
        } else {
            measure(cell, &subjects, &folder, held, peaks, &self.ruler, &mut told)
        };
        // Where our own time goes, beside the whole.
        let ours = measured.arms.iter().any(|line| line.arm == "dlc" && line.status == Status::Ok);
        let kernels = if ours && cell.mode != Mode::Server {
            kernels::kernels(self.cx, job, &source, cell, &inputs, &folder)?
        } else {
            Vec::new()
        };
        Ok(Found { measured, kernels, hashes: folder.hashes })
    }

    fn subjects(&self, job: &Job, cell: &Cell, arms: &[Arm], folder: &Path, source: &Path) -> Vec<Subject> {
        let load = |arm: &Arm| Load {
            arm: arm.name.clone(),
            model: cell.model.clone(),
            mode: if cell.mode.trains() { "train".into() } else { "infer".into() },
            batch: cell.batch,
            sizes: cell.sizes.clone(),
            threads: cell.threads,
            precision: cell.precision.clone(),
            style: arm.style.clone(),
            folder: folder.display().to_string(),
            source: source.display().to_string(),
            name: job.model.model.clone().unwrap_or_default(),
            settings: job.model.settings_of(cell),
            train: serde_json::to_value(&job.model.train).unwrap_or_default(),
            options: arm.options.clone(),
        };
        let subject = |arm: &Arm, again| Subject { arm: arm.clone(), load: load(arm), again };
        let again = arms.iter().find(|arm| arm.name == "dlc").map(|arm| subject(arm, true));
        arms.iter().map(|arm| subject(arm, false)).chain(again).collect()
    }

    /// Equal where measuring again would measure the same.
    fn hash(&self, job: &Job, cell: &Cell, arms: &[Arm], machine: &str) -> String {
        let asked = format!("{:?} {:?} {:?} {:?}", job.model, cell, arms, self.ruler);
        let hash = Fnv64::new()
            .text(machine)
            .text(&asked)
            .text(&installation::build().unwrap_or_default())
            .text(&job.text);
        format!("{:016x}", hash.finish())
    }

    fn tell(&self, cell: &Cell, measured: &Measured) -> Result<(), Fault> {
        match self.arguments.format {
            TextOrJson::Human => output::print(&table::table(cell, measured)),
            TextOrJson::Json => {
                for line in &measured.arms {
                    let line = serde_json::to_string(&Line::Arm(Box::new(line.clone())));
                    let line = line.map_err(|fault| Diagnostic::error("E1013", fault.to_string()))?;
                    output::print(&format!("{line}\n"))?;
                }
                Ok(())
            }
        }
    }
}

/// What measures this again.
fn command(job: &Job, cell: &Cell, arm: &str, quick: bool) -> String {
    let Cell { mode, batch, threads, precision, .. } = cell;
    let asked = &job.asked;
    let mut text = format!(
        "dlc bench {asked} --mode {} --batch {batch} --threads {threads} --precision {precision} --against {arm}",
        mode.name()
    );
    for (dim, size) in &cell.sizes {
        text += &format!(" --bind {dim}={size}");
    }
    if quick {
        text += " --quick";
    }
    text
}

impl Arguments {
    fn modes(&self) -> Vec<Mode> {
        let mode = |word: &ModeWord| match word {
            ModeWord::Infer => Mode::Infer,
            ModeWord::Train => Mode::Train,
            ModeWord::Server => Mode::Server,
            ModeWord::Streamed => Mode::Streamed,
        };
        self.mode.iter().map(mode).collect()
    }
}

/// What the command line says of the precision.
fn precision(cx: &Cx) -> String {
    cx.everywhere.precision.map_or(kernel::DType::F32, Precision::dtype).name().to_string()
}

/// By their names.
type Arrays = BTreeMap<String, tensor::Tensor>;

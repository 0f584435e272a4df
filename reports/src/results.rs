//! What all files say together: arms sorted into cells, and judged. Only an arm whose answer was right, on the threads
//! that were asked for and within what the machine can do has a speed.

mod compare;

pub(crate) use compare::{Comparison, Summary, Verdict};

use crate::{
    arms::{is_ours, rank, title},
    reading::{Limits, read},
    record::{Arm, Compiler, Curve, Environment, Facts, Floor, Kernel, Record, Status},
};
use base::Diagnostic;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

/// Beyond the measured peak by more than this is impossible: the noise of the peak, and what the best known algorithms of
/// convolutions save of the operations that are counted.
const BEYOND_PEAK: f64 = 1.05 * 4.0;

/// What is measured alike: only arms of one cell are compared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Cell {
    /// The place of the model in the files.
    pub model_number: usize,
    pub model: String,
    pub mode: Mode,
    pub batch: Option<u64>,
    /// `seq = 128`
    pub sizes: String,
    pub threads: Option<u64>,
    pub precision: String,
    pub machine: String,
}

/// A mode of measuring, in the order of the pages.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Mode {
    Infer,
    Train,
    Streamed,
    Server,
    Other(String),
}

impl Mode {
    fn of(name: &str) -> Mode {
        match name {
            "infer" => Mode::Infer,
            "train" => Mode::Train,
            "streamed" => Mode::Streamed,
            "server" => Mode::Server,
            other => Mode::Other(other.into()),
        }
    }

    /// As the command line has it.
    pub fn name(&self) -> &str {
        match self {
            Mode::Infer => "infer",
            Mode::Train => "train",
            Mode::Streamed => "streamed",
            Mode::Server => "server",
            Mode::Other(name) => name,
        }
    }

    pub fn title(&self) -> &str {
        match self {
            Mode::Infer => "Inference",
            Mode::Train => "Training step",
            Mode::Streamed => "Training, data streamed from disk",
            Mode::Server => "Server",
            Mode::Other(name) => name,
        }
    }
}

impl Cell {
    fn of(arm: &Arm, model_number: usize) -> Cell {
        let sizes = arm
            .sizes
            .iter()
            .flatten()
            .map(|(name, size)| format!("{name} = {}", crate::number::number(*size)));
        Cell {
            model_number,
            model: arm.model.clone(),
            mode: Mode::of(&arm.mode),
            batch: arm.batch,
            sizes: sizes.collect::<Vec<_>>().join(", "),
            threads: arm.threads,
            precision: arm.precision.clone().unwrap_or_else(|| "f32".into()),
            machine: arm.machine.clone().unwrap_or_default(),
        }
    }

    /// `batch 8, 2 threads`: without the model and the mode.
    pub fn conditions(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.batch.map(|batch| format!("batch {batch}")));
        parts.extend((!self.sizes.is_empty()).then(|| self.sizes.clone()));
        parts.extend(self.threads.map(|threads| crate::number::counted(threads as usize, "thread")));
        if self.precision != "f32" {
            parts.push(self.precision.clone());
        }
        parts.join(", ")
    }

    /// With everything.
    pub fn title(&self) -> String {
        format!("{}, {}, {}", self.model, self.mode.title().to_lowercase(), self.conditions())
    }
}

/// An arm in its cell.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub cell: Cell,
    pub arm: Arm,
    pub status: Status,
    /// Why there is no speed, where there is none.
    pub why: String,
}

impl Measured {
    /// The median in seconds, of an arm that deserves to have one.
    pub fn seconds(&self) -> Option<f64> {
        self.arm.median_s.filter(|_| self.status == Status::Ok)
    }

    pub fn title(&self) -> String {
        title(&self.arm.arm)
    }

    pub fn is_ours(&self) -> bool {
        is_ours(&self.arm.arm)
    }

    /// Where the median lies in 95 of 100 cases; the median alone where that is not known.
    pub fn interval(&self) -> Option<[f64; 2]> {
        let median = self.seconds()?;
        Some(self.arm.ci95_s.unwrap_or([median, median]))
    }
}

/// All that the files hold.
#[derive(Clone, Debug, Default)]
pub struct Results {
    pub(crate) environments: Vec<Environment>,
    /// By cell, then in the order of the arms.
    pub(crate) measured: Vec<Measured>,
    pub(crate) floors: Vec<Floor>,
    pub(crate) facts: Vec<Facts>,
    pub(crate) curves: Vec<Curve>,
    pub(crate) kernels: Vec<Kernel>,
    pub(crate) compiler: Vec<Compiler>,
    /// What a reader has to know of how the files were put together.
    pub(crate) notes: Vec<String>,
}

/// Gathers the records of files, one after the other.
#[derive(Default)]
pub struct Collector {
    records: Vec<Record>,
}

impl Collector {
    pub fn add(&mut self, name: &str, source: impl Read, limits: &Limits) -> Result<(), Diagnostic> {
        let mut machine: Option<String> = None;
        for (_, mut record) in read(name, source, limits)? {
            // A line without a machine was measured on that of the environment before it.
            let of_line = match &mut record {
                Record::Environment(environment) => {
                    machine = Some(environment.machine.clone());
                    None
                }
                Record::Arm(arm) => Some(&mut arm.machine),
                Record::Floor(floor) => Some(&mut floor.machine),
                Record::Curve(curve) => Some(&mut curve.machine),
                Record::Kernel(kernel) => Some(&mut kernel.machine),
                Record::Compiler(compiler) => Some(&mut compiler.machine),
                Record::Facts(_) | Record::Unknown(_) => None,
            };
            if let Some(of_line) = of_line.filter(|of_line| of_line.is_none()) {
                of_line.clone_from(&machine);
            }
            self.records.push(record);
        }
        Ok(())
    }

    /// Results of several machines are an error unless `mixed`.
    pub fn finish(self, mixed: bool) -> Result<Results, Diagnostic> {
        let mut results = Results::default();
        let mut arms: BTreeMap<(Cell, (usize, String), String), Arm> = BTreeMap::new();
        let (mut models, mut replaced, mut unknown) =
            (Vec::<String>::new(), 0, BTreeMap::<String, usize>::new());
        for record in self.records {
            match record {
                Record::Environment(environment) => results.environments.push(environment),
                Record::Arm(arm) => {
                    let number = models.iter().position(|model| *model == arm.model).unwrap_or_else(|| {
                        models.push(arm.model.clone());
                        models.len() - 1
                    });
                    let style = arm.style.clone().unwrap_or_default();
                    let (place, name) = rank(&arm.arm);
                    let key = (Cell::of(&arm, number), (place, name.to_string()), style);
                    replaced += usize::from(arms.insert(key, *arm).is_some());
                }
                Record::Floor(floor) => results.floors.push(floor),
                Record::Facts(facts) => results.facts.push(facts),
                Record::Curve(curve) => results.curves.push(curve),
                Record::Kernel(kernel) => results.kernels.push(kernel),
                Record::Compiler(compiler) => results.compiler.push(compiler),
                Record::Unknown(kind) => *unknown.entry(kind).or_default() += 1,
            }
        }
        results.measured =
            arms.into_iter().map(|((cell, _, _), arm)| judged(cell, arm, &results.environments)).collect();
        results.one_machine(mixed)?;
        if results.rows() == 0 {
            let fault =
                Diagnostic::error("E1025", "there is nothing to report: the files hold no measurement");
            return Err(fault.help("make one with `dlc bench --out results.jsonl`"));
        }
        if replaced > 0 {
            let times = crate::number::counted(replaced, "arm");
            results.notes.push(format!("{times} measured more than once: the last measurement counts."));
        }
        for (kind, count) in unknown {
            let lines = crate::number::counted(count, "line");
            results
                .notes
                .push(format!("{lines} of the kind \"{kind}\", which this version does not know, left out."));
        }
        if results.environments.is_empty() {
            results.notes.push("The files do not say on which machine they were made.".into());
        }
        Ok(results)
    }
}

impl Results {
    /// Of anything that was measured.
    pub(crate) fn rows(&self) -> usize {
        self.measured.len() + self.curves.len() + self.kernels.len() + self.compiler.len()
    }

    pub(crate) fn machines(&self) -> BTreeSet<&str> {
        let of_arms = self.measured.iter().map(|measured| measured.cell.machine.as_str());
        let of_environments = self.environments.iter().map(|environment| environment.machine.as_str());
        of_arms.chain(of_environments).filter(|machine| !machine.is_empty()).collect()
    }

    fn one_machine(&mut self, mixed: bool) -> Result<(), Diagnostic> {
        let machines: Vec<String> = self.machines().into_iter().map(str::to_string).collect();
        if machines.len() < 2 {
            return Ok(());
        }
        let names = machines.join(", ");
        if !mixed {
            let message = format!("the files come from {} machines: {names}", machines.len());
            return Err(Diagnostic::error("E1024", message)
                .note("times of different machines say nothing about the programs that were timed")
                .help(
                    "make a page of each, or state --force: ratios are then formed within each machine only",
                ));
        }
        self.notes.push(format!(
            "The files come from {} machines ({names}). Ratios are formed within each machine, never across; all that \
             counts rows or averages them does so over all machines.",
            machines.len()
        ));
        Ok(())
    }

    /// All cells, in the order of the pages.
    pub(crate) fn cells(&self) -> BTreeSet<&Cell> {
        self.measured.iter().map(|measured| &measured.cell).collect()
    }

    /// Those whose time is that of a call. Latencies of a server depend on the load that each arm can bear.
    pub(crate) fn cells_of_calls(&self) -> impl Iterator<Item = &Cell> {
        self.cells().into_iter().filter(|cell| cell.mode != Mode::Server)
    }

    /// The arms of a cell, in the order of the pages.
    pub(crate) fn of_cell(&self, cell: &Cell) -> Vec<&Measured> {
        self.slice(cell).iter().collect()
    }

    fn slice(&self, cell: &Cell) -> &[Measured] {
        let from = self.measured.partition_point(|measured| measured.cell < *cell);
        let to = self.measured.partition_point(|measured| measured.cell <= *cell);
        &self.measured[from..to]
    }

    pub(crate) fn modes(&self) -> BTreeSet<&Mode> {
        self.measured.iter().map(|measured| &measured.cell.mode).collect()
    }

    /// In the order of the files.
    pub(crate) fn models(&self) -> Vec<&str> {
        let models: BTreeSet<(usize, &str)> = self
            .measured
            .iter()
            .map(|measured| (measured.cell.model_number, measured.cell.model.as_str()))
            .collect();
        models.into_iter().map(|(_, model)| model).collect()
    }

    /// Names of all arms, in the order of the pages.
    pub(crate) fn arms(&self) -> Vec<&str> {
        let arms: BTreeSet<(usize, &str)> =
            self.measured.iter().map(|measured| rank(&measured.arm.arm)).collect();
        arms.into_iter().map(|(_, arm)| arm).collect()
    }
}

/// The line's own word, unless its numbers say otherwise.
fn judged(cell: Cell, arm: Arm, environments: &[Environment]) -> Measured {
    let (mut status, mut why) = (arm.status, arm.why.clone().unwrap_or_default());
    if status == Status::Ok && arm.correct != Some(true) {
        status = Status::Wrong;
        why = match (arm.correct, arm.max_error) {
            (None, _) => "its outputs were not compared with the reference".into(),
            (_, Some(error)) => format!("its outputs are off by up to {}", crate::number::short(error)),
            (_, None) => "its outputs differ from the reference".into(),
        };
    }
    if let (Status::Ok, Some(asked), Some(seen)) = (status, cell.threads, arm.threads_seen)
        && asked != seen
    {
        status = Status::Threads;
        why = format!("it ran on {seen} threads instead of {asked}");
    }
    let environment = environments.iter().rfind(|environment| environment.machine == cell.machine);
    let peak = environment.zip(cell.threads).and_then(|(environment, n)| environment.peaks.gflops.get(&n));
    if let (Status::Ok, Some(peak), Some(flops), Some(median)) = (status, peak, arm.flops, arm.median_s) {
        let reached = flops / median / 1e9;
        if reached > peak * BEYOND_PEAK {
            let [reached, peak] = [reached, *peak].map(crate::number::short);
            status = Status::Impossible;
            why = format!("{reached} GFLOP/s, where the machine reaches {peak}");
        }
    }
    Measured { cell, arm, status, why }
}

//! What is to be measured: models of the registry, or `bench` items of files.

use super::{Arguments, precision, suite::Suite, suite::absolute};
use crate::{
    cx::{Cx, read_source},
    fault::{Fault, InSession},
};
use base::Diagnostic;
use bench_suite::{ArraySpec, Axis, Batches, Cell, Mode, Model, Registry, Values, Wanted, cells};
use driver::Session;
use sema::{BenchItem, Built, FieldSpec};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tensor::{Fnv64, file::write_atomically};

pub struct Job {
    pub model: Model,
    pub source: PathBuf,
    /// Of the source, as it is measured.
    pub text: String,
    pub cells: Vec<Cell>,
    /// What the command line called it: `--models mlp`, or a file.
    pub asked: String,
    /// What the file says; empty where it says nothing.
    pub against: Vec<String>,
}

impl Job {
    /// The file that is measured: the source itself, or a copy in the cell's folder where the registry changes it.
    pub fn written(&self, folder: &Path) -> Result<PathBuf, Fault> {
        if self.model.replace.is_empty() {
            return Ok(self.source.clone());
        }
        std::fs::create_dir_all(folder).map_err(|fault| {
            Diagnostic::error("E0826", format!("cannot make the folder `{}`: {fault}", folder.display()))
        })?;
        let name = self.source.file_name().map_or("source.model".into(), PathBuf::from);
        let path = folder.join(name);
        write_atomically(&path, self.text.as_bytes())?;
        Ok(path)
    }

    /// The name of a cell's folder, which changes with all that its content depends on.
    pub fn folder(&self, cell: &Cell, seed: u64) -> Result<String, Fault> {
        let mode = if cell.mode.trains() { "train" } else { "infer" };
        let sizes: String = cell.sizes.iter().map(|(dim, size)| format!("-{dim}{size}")).collect();
        let asked = format!("{:?} {mode} {:?} {seed} in f64 throughout", self.model, cell.dims());
        let hash = Fnv64::new().text(&asked).text(&self.text).text(driver::VERSION).finish();
        Ok(format!("{}-{mode}-b{}{sizes}-{hash:016x}", cell.model, cell.batch))
    }
}

pub fn jobs(cx: &Cx, arguments: &Arguments, suite: &Suite) -> Result<Vec<Job>, Fault> {
    let mut jobs = Vec::new();
    let wanted = wanted(cx, arguments);
    if arguments.all || arguments.kernels || !arguments.models.is_empty() {
        let (models, kernels, root) = (suite.registry()?, suite.kernels()?, suite.root()?);
        let of = |registry: &Registry, all: bool| -> Vec<String> {
            registry.models.keys().filter(|_| all).cloned().collect()
        };
        let mut names = of(&models, arguments.all);
        names.extend(of(&kernels, arguments.kernels));
        names.extend(arguments.models.iter().cloned());
        let registry = models.with(kernels)?;
        for name in names {
            let model = registry.get(&name)?.clone();
            let source = root.join(&model.source);
            let text = model.text(&read_source(&source)?.1)?;
            let cells = cells(&name, &model, &wanted);
            if cells.is_empty() && !model.rows.is_empty() {
                return Err(no_such_row(&name, &model, &wanted).into());
            }
            let asked = format!("--models {name}");
            jobs.push(Job { model, source, text, cells, asked, against: Vec::new() });
        }
    }
    for file in &arguments.files {
        of_file(cx, file, &wanted, &mut jobs)?;
    }
    Ok(jobs)
}

fn no_such_row(name: &str, model: &Model, wanted: &Wanted) -> Diagnostic {
    let stated: Vec<String> = wanted.sizes.iter().map(|(dim, size)| format!("{dim} = {size}")).collect();
    let dims: Vec<&str> = model.rows.iter().take(1).flat_map(|row| row.keys().map(String::as_str)).collect();
    let message = format!("`{name}` has no row with {} in this mode", stated.join(", "));
    Diagnostic::error("E1012", message)
        .help(format!("a row of your own needs `--bind` of each of {}", dims.join(", ")))
}

/// The jobs of one file.
pub fn of_source(cx: &Cx, file: &Path, arguments: &Arguments) -> Result<Vec<Job>, Fault> {
    let mut jobs = Vec::new();
    of_file(cx, file, &wanted(cx, arguments), &mut jobs)?;
    Ok(jobs)
}

fn wanted(cx: &Cx, arguments: &Arguments) -> Wanted {
    Wanted {
        modes: arguments.modes(),
        batches: arguments.batch.clone(),
        threads: cx.everywhere.thread_counts.clone(),
        precision: precision(cx),
        sizes: cx.everywhere.bind.iter().map(|(dim, size)| (dim.clone(), size.unsigned_abs())).collect(),
        quick: arguments.quick,
        series: arguments.series,
    }
}

/// One job for each `bench` item.
fn of_file(cx: &Cx, file: &Path, wanted: &Wanted, jobs: &mut Vec<Job>) -> Result<(), Fault> {
    let session = cx.session(file)?;
    let items = session.benches().within(&session)?;
    if items.is_empty() {
        let message = format!("`{}` has no `bench` item", file.display());
        return Err(Diagnostic::error("E1012", message)
            .help("say what to measure, as in `bench NAME { batch = [1, 32]; mode = [infer, train] }`")
            .into());
    }
    let name = file.file_stem().map_or("model".into(), |stem| stem.to_string_lossy().into_owned());
    for item in items {
        let model = model_of(cx, &session, &item)?;
        let mut wanted = wanted.clone();
        if wanted.modes.is_empty() {
            wanted.modes = item.mode.iter().filter_map(|mode| Mode::parse(mode)).collect();
        }
        if wanted.threads.is_empty() {
            wanted.threads = item.threads.iter().filter_map(|count| usize::try_from(*count).ok()).collect();
        }
        let mut cells_of = cells(&name, &model, &wanted);
        if let (None, [first, ..]) = (cx.everywhere.precision, &item.precision[..]) {
            cells_of.iter_mut().for_each(|cell| cell.precision = first.clone());
        }
        let source = absolute(file);
        let text = session.source.text.to_string();
        let asked = file.display().to_string();
        jobs.push(Job { model, source, text, cells: cells_of, asked, against: item.against });
    }
    Ok(())
}

/// What the registry would say of a model, as far as its types tell.
fn model_of(cx: &Cx, session: &Session, item: &BenchItem) -> Result<Model, Fault> {
    let trained = session.build(Some(&item.model), true).within(session)?.0;
    let batches = |default: u64| {
        let stated: Vec<u64> = item.batch.iter().map(|batch| batch.unsigned_abs()).collect();
        Batches { batch: if stated.is_empty() { vec![default] } else { stated } }
    };
    let fields = trained.train.as_ref().map(|train| train.fields.as_slice()).unwrap_or_default();
    let is_input = |field: &FieldSpec| trained.inputs.iter().any(|input| input.name == field.name);
    let sizes: BTreeMap<String, bench_suite::Size> = cx
        .everywhere
        .bind
        .iter()
        .map(|(dim, size)| (dim.clone(), bench_suite::Size::One(size.unsigned_abs())))
        .collect();
    Ok(Model {
        title: item.model.clone(),
        source: session.source.name.to_string(),
        model: Some(item.model.clone()),
        settings: cx.everywhere.set.iter().cloned().collect(),
        replace: BTreeMap::new(),
        rows: Vec::new(),
        series: BTreeMap::new(),
        train: Default::default(),
        infer: batches(1),
        training: if can_train(&trained) { batches(32) } else { Batches::default() },
        sizes,
        inputs: specs(trained.inputs.iter()),
        fields: specs(fields.iter().filter(|field| !is_input(field))),
        loss: String::new(),
        tolerance: 1e-4,
        savings: 1.0,
    })
}

fn can_train(built: &Built) -> bool {
    built.train.is_some() && built.entries.iter().any(|(name, _)| *name == "step")
}

/// Numbers between 0 and 1; of whole numbers 0 and 1, which every count of classes allows.
fn specs<'a>(fields: impl Iterator<Item = &'a FieldSpec>) -> BTreeMap<String, ArraySpec> {
    let spec = |field: &FieldSpec| {
        let axis = |dim: &shape::Dim| match dim.as_const() {
            Some(size) => Axis::Size(size.unsigned_abs()),
            None => Axis::Dim(dim.to_string()),
        };
        let dtype = field.ty.dtype.name().to_string();
        let is_float = dtype.starts_with('f') || dtype.starts_with("bf");
        let values = match field.default {
            Some(value) => Values::Value(value),
            None if is_float => Values::Uniform([0.0, 1.0]),
            None => Values::Below(2),
        };
        let dtype = if is_float { "f32".into() } else { dtype };
        (field.name.clone(), ArraySpec { shape: field.ty.shape.iter().map(axis).collect(), dtype, values })
    };
    fields.map(spec).collect()
}

//! Each stage of the compiler on models that come along.

use base::{SourceFile, SourceMap};
use criterion::{BatchSize, Criterion, Throughput};
use driver::{NoCache, NoFiles, Options, Session, Trace};
use graph::FuncId;
use std::{collections::BTreeSet, fs, hint::black_box, path::Path};

/// Name, file, which model of the file.
const MODELS: &[(&str, &str, &str)] = &[
    ("digits", "digits.model", "Digits"),
    ("mlp", "mlp.model", "MLP"),
    ("resnet50", "resnet.model", "ResNet50"),
    ("minilm", "minilm.model", "MiniLM"),
    ("gpt2", "gpt2.model", "GPT2"),
];

struct Subject {
    name: &'static str,
    model: &'static str,
    source: SourceFile,
    text: String,
}

fn subjects() -> Vec<Subject> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let subject = |(name, file, model): &(&'static str, &str, &'static str)| {
        let text = fs::read_to_string(folder.join(file)).expect("a model that comes along");
        Subject { name, model, source: SourceMap::default().add(*file, text.as_str()), text }
    };
    MODELS.iter().map(subject).collect()
}

impl Subject {
    /// As users compile: without the checks between passes that builds of developers have.
    fn session(&self) -> Session {
        let options = Options { verify: false, ..Options::native() };
        Session::new(self.name, &self.text, &NoFiles, options)
    }
}

pub fn stages(criterion: &mut Criterion) {
    for measure in [syntax, meaning, autodiff, passes, code, compile] {
        measure(criterion);
    }
}

fn syntax(criterion: &mut Criterion) {
    for subject in subjects() {
        let bytes = Throughput::Bytes(subject.text.len() as u64);
        let mut group = criterion.benchmark_group("lex");
        group.throughput(bytes.clone());
        group.bench_function(subject.name, |b| b.iter(|| grammar::tokens(black_box(&subject.source))));
        group.finish();
        let mut group = criterion.benchmark_group("parse");
        group.throughput(bytes);
        group.bench_function(subject.name, |b| b.iter(|| grammar::parse(black_box(&subject.source))));
        group.finish();
    }
}

fn meaning(criterion: &mut Criterion) {
    for subject in subjects() {
        let session = subject.session();
        criterion.benchmark_group("check").bench_function(subject.name, |b| b.iter(|| session.check()));
        criterion.benchmark_group("build").bench_function(subject.name, |b| {
            b.iter(|| session.build(Some(subject.model), true).expect("a model"))
        });
    }
}

/// The derivative of the forward pass by its weights, of all functions that it calls.
fn autodiff(criterion: &mut Criterion) {
    for subject in subjects() {
        let session = subject.session();
        let (built, _) = session.build(Some(subject.model), false).expect("a model");
        let (_, run) = Session::entries(&built, &["run"])[0];
        let function = &built.module.functions[run];
        let wrt: Vec<bool> = function.params.iter().map(|param| param.ty.dtype.is_float()).collect();
        let seeded: Vec<bool> = function
            .results
            .iter()
            .map(|(_, role, value)| function.ty(*value).dtype.is_float() && *role == graph::Role::Output)
            .collect();
        criterion.benchmark_group("autodiff").bench_function(subject.name, |b| {
            b.iter_batched(
                || built.module.clone(),
                |mut module| {
                    ::autodiff::vjp_function(&mut module, run, &wrt, &seeded).expect("a derivative");
                    module
                },
                BatchSize::LargeInput,
            );
        });
    }
}

/// Each pass where it first stands in the list, on the training step.
fn passes(criterion: &mut Criterion) {
    for subject in subjects() {
        let session = subject.session();
        let (built, _) = session.build(Some(subject.model), true).expect("a model");
        let entries: Vec<FuncId> =
            Session::entries(&built, &["run", "step"]).iter().map(|(_, id)| *id).collect();
        let options = || ::passes::Options { verify: false, ..::passes::Options::new(kernel::DType::F32) };
        let mut module = built.module.clone();
        let mut seen = BTreeSet::new();
        for pass in ::passes::pipeline::COMPILED {
            if seen.insert(pass.name) {
                let group = format!("pass {}", pass.name);
                criterion.benchmark_group(group).bench_function(subject.name, |b| {
                    b.iter_batched(
                        || module.clone(),
                        |mut module| {
                            ::passes::run_pipeline(&mut module, &entries, &[*pass], options())
                                .expect("a graph");
                            module
                        },
                        BatchSize::LargeInput,
                    );
                });
            }
            ::passes::run_pipeline(&mut module, &entries, &[*pass], options()).expect("a graph");
        }
    }
}

fn code(criterion: &mut Criterion) {
    for subject in subjects() {
        let session = subject.session();
        let (built, _) = session.build(Some(subject.model), false).expect("a model");
        let entries = Session::entries(&built, &["run"]);
        let module = session.optimize(&built, &entries, &mut Trace::default()).expect("a graph");
        let prefix = Session::prefix(&built);
        let lowered =
            || session.lower_module(&module, &prefix, &entries, &mut Trace::default()).expect("kernels");
        criterion.benchmark_group("lower").bench_function(subject.name, |b| b.iter(lowered));
        let kernels = lowered();
        let options = llvm::Options {
            target: session.options.target.clone(),
            opt_level: session.options.opt_level,
            jobs: 1,
        };
        criterion
            .benchmark_group("llvm")
            .bench_function(subject.name, |b| b.iter(|| llvm::compile(&kernels, &options).expect("code")));
    }
}

/// From the text to machine code, nothing cached, on one thread.
fn compile(criterion: &mut Criterion) {
    for subject in subjects() {
        criterion.benchmark_group("compile").bench_function(subject.name, |b| {
            b.iter(|| {
                let session = subject.session();
                let (built, _) = session.build(Some(subject.model), false).expect("a model");
                let entries = Session::entries(&built, &["run"]);
                session.compile(&built, &entries, &NoCache, &mut Trace::default()).expect("code")
            });
        });
    }
}

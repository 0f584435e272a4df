//! What can be typed. Each verb's own arguments stand in its file.

use crate::limits::LimitArguments;
use crate::verbs::{
    arm, bench, check, compile, doctor, eval, explain, fmt, grad, inspect, report, run, test, train,
};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

/// Compiles, trains and runs models written in the .model language.
#[derive(Parser)]
#[command(name = "dlc", version, max_term_width = 110, arg_required_else_help = true)]
pub struct Arguments {
    #[command(flatten)]
    pub everywhere: Everywhere,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Subcommand)]
pub enum Verb {
    Check(check::Arguments),
    Fmt(fmt::Arguments),
    Explain(explain::Arguments),
    Inspect(inspect::Arguments),
    Compile(compile::Arguments),
    Run(run::Arguments),
    Grad(grad::Arguments),
    Train(train::Arguments),
    Eval(eval::Arguments),
    Report(report::Arguments),
    Test(test::Arguments),
    Doctor(doctor::Arguments),
    Bench(bench::Arguments),
    #[command(hide = true)]
    Arm(arm::Arguments),
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// Options of every verb.
#[derive(Args, Clone)]
#[command(next_help_heading = "Everywhere")]
pub struct Everywhere {
    /// Which of several models in the file
    #[arg(long, global = true, value_name = "NAME")]
    pub model: Option<String>,
    /// Override a const, a model's configuration, or a key of its training (train.epochs=3)
    #[arg(long, global = true, value_name = "NAME=VALUE", action = ArgAction::Append, value_parser = pair)]
    pub set: Vec<(String, String)>,
    /// Fix a dimension
    #[arg(long, global = true, value_name = "DIM=N", action = ArgAction::Append, value_parser = size)]
    pub bind: Vec<(String, i64)>,
    /// What `float` is: f32 unless stated
    #[arg(long, global = true, value_enum)]
    pub precision: Option<Precision>,
    /// Where to run
    #[arg(long, global = true, value_name = "DEVICE", default_value = "cpu")]
    pub device: String,
    /// Threads that run the model; 0 means all that this process may use. `bench` takes several: 1,2
    #[arg(long = "threads", global = true, value_name = "N", value_delimiter = ',')]
    pub thread_counts: Vec<usize>,
    /// Seed of initial weights, splits, orders and random draws
    #[arg(long, global = true, value_name = "N")]
    pub seed: Option<u64>,
    /// How the graph is executed; `bench` takes several. Compiled unless stated
    #[arg(long = "style", global = true, value_enum, value_delimiter = ',')]
    pub styles: Vec<Style>,
    /// Nothing is reordered beyond the source
    #[arg(long, global = true)]
    pub strict: bool,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
    /// No progress, no summaries
    #[arg(long, short, global = true)]
    pub quiet: bool,
    #[command(flatten)]
    pub limits: LimitArguments,
}

impl Everywhere {
    pub fn threads(&self) -> usize {
        self.thread_counts.first().copied().unwrap_or(0)
    }

    pub fn style(&self) -> Style {
        self.styles.first().copied().unwrap_or(Style::Compiled)
    }

    /// What was given several times over, which only measuring takes.
    pub fn series(&self) -> Option<&'static str> {
        if self.thread_counts.len() > 1 {
            Some("--threads")
        } else {
            (self.styles.len() > 1).then_some("--style")
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    F32,
    Bf16,
    F16,
    F64,
}

impl Precision {
    pub fn dtype(self) -> kernel::DType {
        match self {
            Precision::F32 => kernel::DType::F32,
            Precision::Bf16 => kernel::DType::BF16,
            Precision::F16 => kernel::DType::F16,
            Precision::F64 => kernel::DType::F64,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Style {
    /// Passes, fusion, planned memory
    Compiled,
    /// One kernel an operation, after the passes
    Graph,
    /// One kernel an operation, as written
    Eager,
}

impl Style {
    pub fn of_driver(self) -> driver::Style {
        match self {
            Style::Compiled => driver::Style::Compiled,
            Style::Graph => driver::Style::Graph,
            Style::Eager => driver::Style::Eager,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    Auto,
    Always,
    Never,
}

/// Machine output, or words.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    Human,
    Json,
}

/// `NAME=VALUE`
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("this is written NAME=VALUE".into()),
    }
}

fn size(text: &str) -> Result<(String, i64), String> {
    let (name, value) = pair(text).map_err(|_| "this is written DIM=N".to_string())?;
    let number = value.replace('_', "").parse::<i64>().ok().filter(|number| *number >= 0);
    number
        .map(|number| (name, number))
        .ok_or_else(|| format!("`{value}` is not a size: sizes are whole numbers from 0"))
}

//! `dlc eval`: loss and metrics of a checkpoint on a split.

use crate::{
    arguments::TextOrJson,
    cx::Cx,
    dataset,
    fault::{Fault, InSession},
    output, parameters, training,
};
use base::Diagnostic;
use clap::Args;
use driver::{Session, Trace};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tensor::npy;
use train::{Context, Parameters, SplitName};

/// Measure trained weights on a split of the data
#[derive(Args)]
#[command(
    after_help = "Examples:\n  dlc eval digits.model\n  dlc eval fraud.model --split test --format json\n  dlc eval digits.model --save held-out"
)]
pub struct Arguments {
    file: PathBuf,
    /// Weights; without it the best checkpoint of runs/NAME
    #[arg(long, value_name = "W.safetensors")]
    weights: Option<PathBuf>,
    /// train, val or test; test where the data have one, else val
    #[arg(long, value_parser = split)]
    split: Option<SplitName>,
    #[arg(long, value_enum, default_value_t = TextOrJson::Human)]
    format: TextOrJson,
    /// Write the split's fields and the model's outputs as .npy files into this folder
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Where the data lie: PATH instead of the model's, or NAME=PATH for the field NAME
    #[arg(long, value_name = "[NAME=]PATH")]
    data: Vec<String>,
}

fn split(text: &str) -> Result<SplitName, String> {
    SplitName::parse(text).ok_or_else(|| "the splits are train, val and test".into())
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    let session = cx.session(&arguments.file)?;
    let (built, warnings) = session.build(cx.model(), true).within(&session)?;
    cx.warn(&warnings, &session);
    let Some(item) = &built.train else { return Err(training::no_training(&built.name).into()) };
    let mut spec = training::spec(cx, &session, &built, item)?;
    let weights = match &arguments.weights {
        Some(file) => file.clone(),
        None => best_checkpoint(&Session::prefix(&built))?,
    };
    let read = parameters::read_weights(cx, &session, &built, &weights)?;
    let (parameters, trained) = (read.parameters, read.description);
    let mut tables = BTreeMap::new();
    if let Some(trained) = trained.filter(|trained| trained.model == spec.model) {
        // What was held out is what that run held out, whatever seed and split are now, and words mean what they meant.
        spec.seed = trained.seed;
        spec.split = trained.split.unwrap_or(spec.split);
        tables = trained.tables;
    }
    let data = dataset::read(cx, &session, &arguments.file, item, &arguments.data, &tables)?;
    let wanted: &[&str] =
        if arguments.save.is_some() { &["eval", "eval_finish", "run"] } else { &["eval", "eval_finish"] };
    let entries = Session::entries(&built, wanted);
    let compiled = session.compile(&built, &entries, &cx.cache, &mut Trace::default()).within(&session)?;
    let program = compiled.load().within(&session)?;
    let pool = cx.pool()?;
    let context = Context { program: &program, pool: &pool, dataset: data.as_ref(), spec: &spec };
    let default = if spec.split.len() == 3 { SplitName::Test } else { SplitName::Validation };
    let parameters = parameters.fitted(program.entry("eval")?, cx.rounds())?;
    let split = arguments.split.unwrap_or(default);
    let evaluation = train::evaluate(&context, &parameters, split)?;
    if let Some(folder) = &arguments.save {
        save(&context, &parameters, split, folder)?;
    }
    match arguments.format {
        TextOrJson::Human => {
            output::print(&format!("{} rows: {}\n", evaluation.rows, super::train::summary(&evaluation)))
        }
        TextOrJson::Json => {
            let metrics: Map<String, Value> =
                evaluation.metrics.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            output::json(&json!({
                "model": built.name,
                "split": split.name(),
                "rows": evaluation.rows,
                "loss": evaluation.loss,
                "metrics": metrics,
                "weights": weights.display().to_string(),
            }))
        }
    }
}

fn best_checkpoint(name: &str) -> Result<PathBuf, Fault> {
    let folder = Path::new("runs").join(name).join("checkpoints");
    let found = ["best.safetensors", "last.safetensors"]
        .iter()
        .map(|file| folder.join(file))
        .find(|file| file.exists());
    found.ok_or_else(|| {
        Diagnostic::error("E0827", format!("`{}` holds no checkpoint", folder.display()))
            .help("train the model first, or name a file with `--weights`")
            .into()
    })
}

/// Every field and output of the split, one file each, rows in the same order.
fn save(context: &Context, parameters: &Parameters, split: SplitName, folder: &Path) -> Result<(), Fault> {
    let cannot = |fault: std::io::Error| {
        Diagnostic::error("E0826", format!("cannot make the folder `{}`: {fault}", folder.display()))
    };
    std::fs::create_dir_all(folder).map_err(cannot)?;
    let rows = context.rows(split)?.to_vec();
    for (index, field) in context.dataset.fields().iter().enumerate() {
        let mut whole = Vec::new();
        context.dataset.gather(&[index], &rows, None, &mut whole)?;
        for tensor in whole {
            npy::write(&folder.join(format!("{}.npy", field.name)), &tensor)?;
        }
    }
    for (name, tensor) in train::predict(context, parameters, split)? {
        npy::write(&folder.join(format!("{name}.npy")), &tensor)?;
    }
    Ok(())
}

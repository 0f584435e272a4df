//! `dlc inspect`: what a model consists of, and what it costs.

use crate::{
    arguments::TextOrJson,
    cx::Cx,
    fault::{Fault, InSession},
    output, weight_map,
};
use clap::Args;
use driver::{Session, Trace, cost};
use kernel::ArgRole;
use sema::Built;
use serde_json::{Value, json};
use shape::{Dim, Symbol};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Show layers, output shapes, parameters, work and memory of a model
#[derive(Args)]
#[command(
    after_help = "Examples:\n  dlc inspect digits.model\n  dlc inspect digits.model --bind batch=8 --format json\n  dlc inspect digits.model --kernels"
)]
pub struct Arguments {
    file: PathBuf,
    #[arg(long, value_enum, default_value_t = TextOrJson::Human)]
    format: TextOrJson,
    /// The kernels of the compiled forward pass, in order
    #[arg(long)]
    kernels: bool,
    /// Show instead where each weight comes from in this file: a weights file, of whatever names the model's maps know
    #[arg(long, value_name = "W.safetensors")]
    weights: Option<PathBuf>,
}

/// One line of the table.
struct Row {
    path: String,
    layer: String,
    output: String,
    parameters: Dim,
    flops: Dim,
    bytes: Dim,
    depth: usize,
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    let mut options = cx.options()?;
    // Sizes are shown beside formulas, so the formulas stay.
    let bind: BTreeMap<Symbol, i64> = std::mem::take(&mut options.sema.bind)
        .into_iter()
        .map(|(name, size)| (Symbol::new(&name), size))
        .collect();
    let session = cx.session_with(&arguments.file, options)?;
    let (built, warnings) = session.build(cx.model(), false).within(&session)?;
    cx.warn(&warnings, &session);
    if let Some(file) = &arguments.weights {
        return show_weights(&session, &built, file, arguments.format);
    }
    let float = session.options.float;
    let entries = Session::entries(&built, &["run"]);
    let kernels = session.lower(&built, &entries, &mut Trace::default()).within(&session)?;
    let size = |ty: &graph::Type| ty.shape.elements() * ty.dtype.concrete(float).size() as i64;
    let of_instance = |path: &str| -> Dim {
        let inside = |name: &str| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        built
            .weights
            .iter()
            .filter(|weight| inside(&weight.name))
            .map(|weight| weight.ty.shape.elements())
            .sum()
    };
    let rows: Vec<Row> = built
        .layers
        .iter()
        .map(|layer| {
            let work = cost(&built.module, layer.func, float);
            Row {
                path: layer.path.clone(),
                layer: layer.layer.clone(),
                output: layer.outputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                parameters: of_instance(&layer.path),
                flops: work.flops,
                bytes: work.bytes,
                depth: layer.depth,
            }
        })
        .collect();
    let run = entries.first().map(|(_, id)| cost(&built.module, *id, float)).unwrap_or_default();
    let parameters: Dim = built.weights.iter().map(|weight| weight.ty.shape.elements()).sum();
    let weight_bytes: Dim = built.weights.iter().chain(&built.states).map(|weight| size(&weight.ty)).sum();
    let plan = kernels.plans.first();
    let workspace = plan.map(|plan| plan.workspace.clone()).unwrap_or_default();
    let of_args = |wanted: &[ArgRole]| -> Dim {
        let args = plan.iter().flat_map(|plan| plan.args.iter().chain(&plan.results));
        args.filter(|arg| wanted.contains(&arg.role))
            .map(|arg| arg.shape.iter().product::<Dim>() * arg.dtype.size() as i64)
            .sum()
    };
    let peak = &workspace + &weight_bytes + of_args(&[ArgRole::Input, ArgRole::Output]);
    let value = |dim: &Dim| dim.eval(&bind).ok();
    let named = |dim: &Dim| json!({ "formula": dim.to_string(), "value": value(dim) });
    match arguments.format {
        TextOrJson::Json => {
            let layers: Vec<Value> = rows
                .iter()
                .map(|row| {
                    json!({
                        "path": row.path, "layer": row.layer, "depth": row.depth, "output": row.output,
                        "parameters": named(&row.parameters), "flops": named(&row.flops), "bytes": named(&row.bytes),
                    })
                })
                .collect();
            let mut page = json!({
                "model": built.name,
                "precision": float.name(),
                "layers": layers,
                "weights": built.weights.iter().map(|weight| json!({
                    "name": weight.name, "type": weight.ty.to_string(),
                })).collect::<Vec<_>>(),
                "states": built.states.iter().map(|state| json!({
                    "name": state.name, "type": state.ty.to_string(),
                })).collect::<Vec<_>>(),
                "parameters": named(&parameters),
                "flops": named(&run.flops),
                "weight_bytes": named(&weight_bytes),
                "workspace_bytes": named(&workspace),
                "peak_bytes": named(&peak),
            });
            if arguments.kernels {
                page["kernels"] = kernel_names(&kernels).into();
            }
            output::json(&page)
        }
        TextOrJson::Human => {
            let shown = |dim: &Dim| match value(dim) {
                Some(number) => grouped(number),
                None => dim.to_string(),
            };
            let mut table =
                vec![["path", "layer", "output", "parameters", "FLOPs", "bytes"].map(String::from).to_vec()];
            for row in &rows {
                let path = format!("{}{}", "  ".repeat(row.depth.saturating_sub(1)), row.path);
                let numbers = [&row.parameters, &row.flops, &row.bytes].map(shown);
                table.push([&[path, row.layer.clone(), row.output.clone()][..], &numbers].concat());
            }
            let mut text = format!("{}\n\n", built.name);
            text += &output::table(&table, &[false, false, false, true, true, true]);
            text.push('\n');
            for (what, dim, unit) in [
                ("parameters", &parameters, ""),
                ("work of a pass", &run.flops, "FLOP"),
                ("weights and states", &weight_bytes, "bytes"),
                ("workspace", &workspace, "bytes"),
                ("peak memory", &peak, "bytes"),
            ] {
                let formula = if value(dim).is_some() && dim.as_const().is_none() {
                    format!("   = {dim}")
                } else {
                    String::new()
                };
                text += format!("{what:<20}{} {unit}{formula}", shown(dim)).trim_end();
                text.push('\n');
            }
            if arguments.kernels {
                text += &format!("\n{}\n", kernel_names(&kernels).join("\n"));
            }
            output::print(&text)
        }
    }
}

/// Each weight, and what stands for it in a file.
fn show_weights(session: &Session, built: &Built, file: &Path, format: TextOrJson) -> Result<(), Fault> {
    let (parameters, _) = train::read_weights(file)?;
    let tensors = parameters.into_tensors();
    let mapped = weight_map::arrange(session, built, &file.display().to_string(), &tensors)?;
    if let TextOrJson::Json = format {
        let rows = mapped.rows.iter().map(
            |row| json!({ "name": row.info.name, "type": row.info.ty.to_string(), "source": row.source }),
        );
        let unused = mapped.unused.iter().map(|(name, ty)| json!({ "name": name, "type": ty }));
        return output::json(&json!({
            "model": built.name,
            "file": file.display().to_string(),
            "from": mapped.from,
            "weights": rows.collect::<Vec<_>>(),
            "unused": unused.collect::<Vec<_>>(),
        }));
    }
    let mut table = vec![["weight", "type", "in the file"].map(String::from).to_vec()];
    for row in &mapped.rows {
        let source = row.source.clone().unwrap_or("(nothing)".into());
        table.push(vec![row.info.name.clone(), row.info.ty.to_string(), source]);
    }
    let mut text = output::table(&table, &[false, false, false]);
    if !mapped.unused.is_empty() {
        let mut table = vec![["not used", "type"].map(String::from).to_vec()];
        table.extend(mapped.unused.iter().map(|(name, ty)| vec![name.clone(), ty.clone()]));
        text += &format!("\n{}", output::table(&table, &[false, false]));
    }
    output::print(&text)
}

/// In the order in which the plan calls them.
fn kernel_names(module: &kernel::Module) -> Vec<String> {
    let calls = module.plans.iter().flat_map(kernel::Plan::calls);
    calls.filter_map(|call| module.kernels.get(call.kernel).map(|kernel| kernel.name.clone())).collect()
}

/// `1_234_567` with thin groups.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

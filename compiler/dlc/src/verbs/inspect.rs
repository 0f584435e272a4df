//! `dlc inspect`: what a model consists of, and what it costs.

mod rows;

use crate::{
    arguments::TextOrJson,
    cx::Cx,
    fault::{Fault, InSession},
    output, weight_map,
};
use clap::Args;
use driver::{Account, Footprint, Session, Trace, account};
use rows::{Row, folded, rows};
use sema::Built;
use serde_json::{Value, json};
use shape::{Dim, Symbol};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Show layers, output shapes, parameters, work and memory of a model
#[derive(Args)]
#[command(after_help = "Examples:
  dlc inspect digits.model
  dlc inspect vit.model --depth 2 --bind batch=8
  dlc inspect digits.model --bind batch=8 --format json
  dlc inspect digits.model --kernels

Sizes are formulas of the dimensions that are open, and numbers where --bind fixes them. Equal blocks of a repeat
share a row, whose numbers are those of all of them. A multiply-add is two FLOP, any other operation on a number one.
Bytes are what a layer reads and gives in the forward pass, each value once.")]
pub struct Arguments {
    file: PathBuf,
    #[arg(long, value_enum, default_value_t = TextOrJson::Human)]
    format: TextOrJson,
    /// How deep to look into layers
    #[arg(long, value_name = "N", default_value_t = 1)]
    depth: usize,
    /// The kernels of the compiled forward pass, in order
    #[arg(long)]
    kernels: bool,
    /// Show instead where each weight comes from in this file: a weights file, of whatever names the model's maps know
    #[arg(long, value_name = "W.safetensors")]
    weights: Option<PathBuf>,
}

/// One compiled entry point, accounted for.
struct Part {
    account: Account,
    footprint: Footprint,
    kernels: Vec<String>,
}

pub fn run(cx: &Cx, arguments: Arguments) -> Result<(), Fault> {
    let mut options = cx.options()?;
    // Sizes are shown beside formulas, so the formulas stay.
    let bind: BTreeMap<Symbol, i64> = std::mem::take(&mut options.sema.bind)
        .into_iter()
        .map(|(name, size)| (Symbol::new(&name), size))
        .collect();
    let session = cx.session_with(&arguments.file, options)?;
    let (built, warnings) = session.build(cx.model(), true).within(&session)?;
    cx.warn(&warnings, &session);
    if let Some(file) = &arguments.weights {
        return show_weights(&session, &built, file, arguments.format);
    }
    let float = session.options.float;
    let part = |wanted: &str| -> Result<Option<Part>, Fault> {
        let entries = Session::entries(&built, &[wanted]);
        let Some((_, id)) = entries.first() else { return Ok(None) };
        let module = session.optimize(&built, &entries, &mut Trace::default()).within(&session)?;
        let prefix = Session::prefix(&built);
        let kernels =
            session.lower_module(&module, &prefix, &entries, &mut Trace::default()).within(&session)?;
        let Some(plan) = kernels.plans.first() else { return Ok(None) };
        Ok(Some(Part {
            account: account(&module, *id, float),
            footprint: Footprint::of(plan),
            kernels: kernel_names(&kernels),
        }))
    };
    let Some(forward) = part("run")? else { return Ok(()) };
    let training = match part("step")? {
        Some(step) => Some(("step", step)),
        None => part("grad")?.map(|grad| ("grad", grad)),
    };
    let size = |ty: &graph::Type| ty.shape.elements() * ty.dtype.concrete(float).size() as i64;
    let rows = rows(&built, &forward.account, training.as_ref().map(|(_, part)| &part.account));
    let accounts =
        || std::iter::once(&forward).chain(training.iter().map(|(_, part)| part)).map(|it| &it.account);
    let mut notes: Vec<&str> = Vec::new();
    if accounts().any(|account| account.branches) {
        notes.push("of branches the dearer side counts");
    }
    if accounts().any(|account| account.open_loops) {
        notes.push("of loops without a limit one step counts");
    }
    let parameters: Dim = built.weights.iter().map(|weight| weight.ty.shape.elements()).sum();
    let weight_bytes: Dim = built.weights.iter().chain(&built.states).map(|weight| size(&weight.ty)).sum();
    let value = |dim: &Dim| dim.eval(&bind).ok();
    let named = |dim: &Dim| json!({ "formula": dim.to_string(), "value": value(dim) });
    match arguments.format {
        TextOrJson::Json => {
            let layer = |row: &Row| {
                json!({
                    "path": row.path, "layer": row.layer, "depth": row.depth, "output": row.output,
                    "parameters": named(&row.parameters), "flops": named(&row.flops),
                    "backward_flops": named(&row.backward), "bytes": named(&row.bytes),
                })
            };
            let mut page = json!({
                "model": built.name,
                "precision": float.name(),
                "layers": rows.iter().map(layer).collect::<Vec<Value>>(),
                "weights": built.weights.iter().map(|weight| json!({
                    "name": weight.name, "type": weight.ty.to_string(),
                })).collect::<Vec<_>>(),
                "states": built.states.iter().map(|state| json!({
                    "name": state.name, "type": state.ty.to_string(),
                })).collect::<Vec<_>>(),
                "parameters": named(&parameters),
                "flops": named(&forward.account.total.total()),
                "notes": notes,
                "weight_bytes": named(&weight_bytes),
                "workspace_bytes": named(&forward.footprint.workspace),
                "peak_bytes": named(&forward.footprint.peak()),
                "training": training.as_ref().map(|(entry, part)| json!({
                    "entry": entry,
                    "flops": named(&part.account.total.total()),
                    "forward_flops": named(&part.account.total.forward),
                    "backward_flops": named(&part.account.total.backward),
                    "update_flops": named(&part.account.total.update),
                    "workspace_bytes": named(&part.footprint.workspace),
                    "peak_bytes": named(&part.footprint.peak()),
                })),
            });
            if arguments.kernels {
                page["kernels"] = forward.kernels.into();
            }
            output::json(&page)
        }
        TextOrJson::Human => {
            let shown = |dim: &Dim| match value(dim) {
                Some(number) => grouped(number),
                None => dim.to_string(),
            };
            let heads = ["path", "layer", "output", "parameters", "FLOPs", "backward", "bytes"];
            let columns = |cells: Vec<String>| -> Vec<String> {
                let keeps = |column: &usize| training.is_some() || *column != 5;
                cells
                    .into_iter()
                    .enumerate()
                    .filter(|(column, _)| keeps(column))
                    .map(|(_, cell)| cell)
                    .collect()
            };
            let mut table = vec![columns(heads.map(String::from).to_vec())];
            for row in folded(&rows).iter().filter(|row| row.depth < arguments.depth.max(1)) {
                let path = format!("{}{}", "  ".repeat(row.depth), row.path);
                let numbers = [&row.parameters, &row.flops, &row.backward, &row.bytes].map(shown);
                table.push(columns([&[path, row.layer.clone(), row.output.clone()][..], &numbers].concat()));
            }
            let right: Vec<bool> = (0..table[0].len()).map(|column| column > 2).collect();
            let mut text = format!("{}\n\n{}", built.name, output::table(&table, &right));
            let mut lines = vec![
                ("parameters", parameters.clone(), ""),
                ("work of a pass", forward.account.total.total(), "FLOP"),
                ("weights and states", weight_bytes.clone(), "bytes"),
                ("workspace", forward.footprint.workspace.clone(), "bytes"),
                ("peak memory", forward.footprint.peak(), "bytes"),
            ];
            if let Some((entry, part)) = &training {
                let total = &part.account.total;
                lines.push(("", Dim::default(), ""));
                lines.push((
                    if *entry == "step" { "training step" } else { "loss and gradient" },
                    total.total(),
                    "FLOP",
                ));
                lines.push(("  forward", total.forward.clone(), "FLOP"));
                lines.push(("  backward", total.backward.clone(), "FLOP"));
                if *entry == "step" {
                    lines.push(("  update", total.update.clone(), "FLOP"));
                }
                lines.push(("  workspace", part.footprint.workspace.clone(), "bytes"));
                lines.push(("  peak memory", part.footprint.peak(), "bytes"));
            }
            text.push('\n');
            for (what, dim, unit) in &lines {
                if what.is_empty() {
                    text.push('\n');
                    continue;
                }
                let formula = if value(dim).is_some() && dim.as_const().is_none() {
                    format!("   = {dim}")
                } else {
                    String::new()
                };
                text += format!("{what:<20}{} {unit}{formula}", shown(dim)).trim_end();
                text.push('\n');
            }
            for note in &notes {
                text += &format!("\nnote: {note}\n");
            }
            if arguments.kernels {
                text += &format!("\n{}\n", forward.kernels.join("\n"));
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

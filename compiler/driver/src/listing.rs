//! An elaborated model for people: entry points, weights, states, training.

use graph::Role;
use sema::Built;
use std::fmt::Write;

pub fn listing(built: &Built) -> String {
    let mut text = format!("model {}\n", built.name);
    for (name, id) in &built.entries {
        let function = &built.module.functions[*id];
        let _ = writeln!(text, "\nentry {name}");
        for param in &function.params {
            let _ = writeln!(text, "    {:<9} {}: {}", param.role.name(), param.name, param.ty);
        }
        for (result, role, id) in &function.results {
            let role = if *role == Role::Input { Role::Output } else { *role };
            let _ = writeln!(text, " -> {:<9} {result}: {}", role.name(), function.ty(*id));
        }
    }
    for (title, infos) in [("weights", &built.weights), ("states", &built.states)] {
        if !infos.is_empty() {
            let _ = writeln!(text, "\n{title}");
        }
        for info in infos {
            let _ = writeln!(text, "    {}: {}", info.name, info.ty);
        }
    }
    if !built.layers.is_empty() {
        let _ = writeln!(text, "\nlayers");
    }
    for layer in &built.layers {
        let outputs: Vec<String> = layer.outputs.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            text,
            "    {}{} = {} -> {}",
            "  ".repeat(layer.depth),
            layer.path,
            layer.layer,
            outputs.join(", ")
        );
    }
    if let Some(train) = &built.train {
        let _ = writeln!(text, "\ntrain");
        if let Some(source) = &train.source {
            let what = source.path.clone().unwrap_or_else(|| format!("{} rows", source.rows.unwrap_or(0)));
            let _ = writeln!(text, "    data      {} {what}", source.kind);
        }
        for field in &train.fields {
            let _ = writeln!(text, "    field     {}: {}", field.name, field.ty);
        }
        let length = match (train.steps, train.epochs) {
            (Some(steps), _) => format!("{steps} steps"),
            (None, epochs) => format!("{} epochs", epochs.unwrap_or(1)),
        };
        let _ = writeln!(text, "    length    {length}, batch {}, seed {}", train.batch, train.seed);
        let _ = writeln!(text, "    split     {:?}", train.split);
        for metric in &train.metrics {
            let _ = writeln!(text, "    metric    {} ({:?} is better)", metric.name, metric.direction);
        }
    }
    text
}

//! From plans to the description by which hosts call them.

use crate::Style;
use abi::{ArgInfo, Axis, CheckInfo, Entry, MANIFEST_VERSION, Manifest, Role};
use kernel::{Arg, ArgRole, Plan};

/// `names` are the entry points, one a plan. The style is the one that is the default.
pub fn manifest(model: &str, names: &[&str], plans: &[Plan]) -> Manifest {
    let entries = names.iter().zip(plans).map(|(name, plan)| entry(name, plan)).collect();
    let style = Style::default().name().to_string();
    Manifest { version: MANIFEST_VERSION, model: model.into(), style, entries }
}

fn entry(name: &str, plan: &Plan) -> Entry {
    let symbols: Vec<String> = plan.symbols.iter().map(|symbol| symbol.name().to_string()).collect();
    let bind = symbols.iter().map(|symbol| {
        plan.args.iter().enumerate().find_map(|(arg, value)| {
            let axis =
                value.shape.iter().position(|dim| dim.as_symbol().is_some_and(|it| it.name() == symbol))?;
            Some(Axis { arg, axis })
        })
    });
    Entry {
        name: name.into(),
        symbol: plan.name.clone(),
        bind: bind.collect(),
        symbols: symbols.clone(),
        args: plan.args.iter().map(arg).collect(),
        results: plan.results.iter().map(arg).collect(),
        checks: plan
            .checks
            .iter()
            .map(|check| CheckInfo { message: check.message.clone(), place: check.place.clone() })
            .collect(),
    }
}

fn arg(arg: &Arg) -> ArgInfo {
    let role = match arg.role {
        ArgRole::Input => Role::Input,
        ArgRole::Weight => Role::Weight,
        ArgRole::State => Role::State,
        ArgRole::Optimizer => Role::Optimizer,
        ArgRole::Control => Role::Control,
        ArgRole::Output => Role::Output,
        ArgRole::Loss => Role::Loss,
        ArgRole::Metric => Role::Metric,
        ArgRole::Gradient => Role::Gradient,
    };
    ArgInfo {
        name: arg.name.clone(),
        role,
        dtype: arg.dtype.name().into(),
        rank: arg.shape.len(),
        shape: arg.shape.iter().map(ToString::to_string).collect(),
    }
}

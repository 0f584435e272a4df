//! One entry point from end to end: its steps, and what the host must know of them.

use crate::{Lowered, Options, Unsupported, fragment::Unit, watch::Watched};
use graph::{FuncId, Module, Role};
use kernel::{Arg, ArgRole, Plan};

/// Lowers an entry function: inlined, composites expanded, dtypes concrete. What it runs by scans, conditions and loops is
/// lowered with it.
pub fn lower(module: &Module, entry: FuncId, options: &Options<'_>) -> Result<Lowered, Unsupported> {
    Ok(lower_unit(Unit::new(module), entry, options)?.0)
}

pub fn lower_watched(
    module: &Module,
    entry: FuncId,
    options: &Options<'_>,
) -> Result<(Lowered, Vec<Watched>), Unsupported> {
    lower_unit(Unit::watching(module), entry, options)
}

fn lower_unit(
    mut unit: Unit<'_>,
    entry: FuncId,
    options: &Options<'_>,
) -> Result<(Lowered, Vec<Watched>), Unsupported> {
    let function = &unit.module.functions[entry];
    let fragment = unit.function(function, options)?;
    let arg = |name: &str, role: Role, ty: &graph::Type| Arg {
        name: name.to_string(),
        role: arg_role(role),
        dtype: ty.dtype.concrete(options.float),
        shape: ty.shape.to_vec(),
    };
    let plan = Plan {
        name: options.name.clone(),
        symbols: unit.symbols,
        args: function.params.iter().map(|param| arg(&param.name, param.role, &param.ty)).collect(),
        results: function.results.iter().map(|(name, role, id)| arg(name, *role, function.ty(*id))).collect(),
        constants: unit.constants,
        steps: fragment.steps,
        checks: unit.checks,
        workspace: fragment.workspace,
    };
    Ok((Lowered { kernels: unit.kernels, plan }, unit.watch.map(|watch| watch.watched).unwrap_or_default()))
}

fn arg_role(role: Role) -> ArgRole {
    match role {
        Role::Input => ArgRole::Input,
        Role::Weight => ArgRole::Weight,
        Role::State => ArgRole::State,
        Role::Optimizer => ArgRole::Optimizer,
        Role::Control => ArgRole::Control,
        Role::Output => ArgRole::Output,
        Role::Loss => ArgRole::Loss,
        Role::Metric => ArgRole::Metric,
        Role::Gradient => ArgRole::Gradient,
    }
}

//! From the shapes of the given arguments to the values of an entry's dynamic dimensions.

use abi::ArgInfo;
use base::Diagnostic;
use std::collections::BTreeMap;
use tensor::{Tensor, shape_text};

/// Dimensions fixed by name, `--bind batch=8` for one. Names that an entry does not have are not its concern.
pub type Dims = BTreeMap<String, i64>;

/// Where a dimension's value came from.
enum Origin<'a> {
    Explicit,
    Axis { arg: &'a ArgInfo, axis: usize },
}

impl std::fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Explicit => f.write_str("set by name"),
            Origin::Axis { arg, axis } => write!(f, "axis {axis} of `{}`", arg.name),
        }
    }
}

/// The values of `entry.symbols`, in order. `args` already have the ranks that the entry states.
pub(crate) fn bind(entry: &abi::Entry, args: &[&Tensor], explicit: &Dims) -> Result<Vec<i64>, Diagnostic> {
    entry
        .symbols
        .iter()
        .enumerate()
        .map(|(index, symbol)| bind_one(entry, index, symbol, args, explicit))
        .collect()
}

fn bind_one(
    entry: &abi::Entry,
    index: usize,
    symbol: &str,
    args: &[&Tensor],
    explicit: &Dims,
) -> Result<i64, Diagnostic> {
    let mut found: Option<(i64, Origin)> = None;
    if let Some(value) = explicit.get(symbol) {
        if *value < 0 {
            return Err(Diagnostic::error("E0808", format!("the dimension `{symbol}` cannot be {value}")));
        }
        found = Some((*value, Origin::Explicit));
    }
    // The axis that the compiler named comes first, then every other that is bare the same dimension.
    let named = entry.bind[index].map(|axis| (axis.arg, axis.axis));
    let bare = entry.args.iter().enumerate().flat_map(|(arg, info)| {
        let axes = info.shape.iter().enumerate();
        axes.filter(|(_, formula)| formula.as_str() == symbol).map(move |(axis, _)| (arg, axis))
    });
    for (arg, axis) in named.into_iter().chain(bare) {
        let origin = Origin::Axis { arg: &entry.args[arg], axis };
        let size = args[arg].shape()[axis] as i64;
        match &found {
            None => found = Some((size, origin)),
            Some((value, _)) if *value == size => {}
            Some((value, first)) => {
                let shape = shape_text(args[arg].shape());
                return Err(Diagnostic::error(
                    "E0801",
                    format!("the dimension `{symbol}` is {value} ({first}) and {size} ({origin}) at once"),
                )
                .note(format!("`{}` has the shape {shape}", entry.args[arg].name)));
            }
        }
    }
    let unbound = || {
        Diagnostic::error(
            "E0802",
            format!("nothing gives the dimension `{symbol}` of `{}` a size", entry.name),
        )
        .help(format!("state it, for example with `--bind {symbol}=8`"))
    };
    found.map(|(value, _)| value).ok_or_else(unbound)
}

//! Runs an entry both ways.

use graph::{Array, FuncId, Module, interp};
use kernel::{DType, interp::Order};
use lower::{Fusion, Lowered, Options};
use shape::Symbol;
use std::collections::BTreeMap;

/// What is varied between runs of one graph.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub float: DType,
    pub vector_bits: u16,
    pub fusion: Fusion,
    pub order: Order,
    /// Relative to the larger of the value and 1.
    pub tolerance: f64,
}

pub const F64: Setting = Setting {
    float: DType::F64,
    vector_bits: 512,
    fusion: Fusion::Groups,
    order: Order::Descending,
    tolerance: 1e-12,
};

pub const F32: Setting = Setting {
    float: DType::F32,
    vector_bits: 256,
    fusion: Fusion::Groups,
    order: Order::Ascending,
    tolerance: 1e-5,
};

pub const NODES: Setting = Setting { fusion: Fusion::Nodes, vector_bits: 128, ..F64 };
pub const OPERATIONS: Setting = Setting { fusion: Fusion::Operations, ..NODES };

pub fn lowered(module: &Module, entry: FuncId, setting: Setting) -> Lowered {
    let mut options = Options::new("test");
    options.float = setting.float;
    options.vector_bits = setting.vector_bits;
    options.fusion = setting.fusion;
    lower::lower(module, entry, &options).unwrap_or_else(|unsupported| panic!("{unsupported}"))
}

/// Lowers, runs and compares; an error says what differs.
pub fn check(
    module: &Module,
    entry: FuncId,
    inputs: &[Array],
    dims: &BTreeMap<Symbol, i64>,
    setting: Setting,
) -> Result<(), String> {
    let round = |array: &Array| {
        let dtype = array.dtype.concrete(setting.float);
        let values = array.values.mapv(|value| interp::round(value, dtype));
        Array { dtype: array.dtype, values }
    };
    let inputs: Vec<Array> = inputs.iter().map(round).collect();
    let options = interp::Options::rounded(setting.float);
    let expected =
        interp::run(module, entry, &inputs, dims, options).map_err(|error| format!("graph: {}", error.0));
    let lowered = lowered(module, entry, setting);
    let linked = lower::link(vec![lowered]);
    if let Err(error) = kernel::verify::module(&linked) {
        return Err(format!("{error}\n{}", lower::dump(&linked)));
    }
    let args: Vec<Vec<f64>> = inputs.iter().map(|input| input.values.iter().copied().collect()).collect();
    let found = kernel::interp::run_plan(&linked, &linked.plans[0], &args, dims, setting.order);
    let text = || lower::dump(&linked);
    match (expected, found) {
        (Err(_), Err(kernel::interp::Failure::Check(_))) => Ok(()),
        (Err(error), found) => Err(format!("{error}, but the plan gives {found:?}\n{}", text())),
        (Ok(_), Err(failure)) => Err(format!("{failure}\n{}", text())),
        (Ok(expected), Ok(found)) => {
            for (index, (expected, found)) in expected.iter().zip(&found).enumerate() {
                for (at, (e, f)) in expected.values.iter().zip(found).enumerate() {
                    let same = e == f
                        || e.is_nan() && f.is_nan()
                        || (e - f).abs() <= setting.tolerance * e.abs().max(1.0);
                    if !same {
                        return Err(format!("result {index}, element {at}: {f} instead of {e}\n{}", text()));
                    }
                }
            }
            Ok(())
        }
    }
}

//! Every operator of the graph is held against another framework, over empty, single, odd and prime sizes: a table made
//! of the list of operators, their samples, and the graphs of all references.

use crate::text::told;
use driver::{NoFiles, Options, Session};
use graph::{FuncId, Module, Op};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Whether a size is of some kind.
type Kind = fn(i64) -> bool;

/// Sizes of axes that an operator must have been seen with.
const SIZES: [(&str, Kind); 4] = [
    ("0", |size| size == 0),
    ("1", |size| size == 1),
    ("odd", |size| size > 1 && size % 2 == 1),
    ("prime", |size| size > 1 && (2..size).all(|factor| size % factor != 0)),
];

/// A dimension as a number has no axes.
const WITHOUT_AXES: [&str; 1] = ["size"];

/// Draws are compared with a second implementation of their definition, not with another framework's numbers; so is what
/// only they are made of.
const DRAWN: [&str; 5] = ["random", "binary MulHi32", "binary Shl", "binary Shr", "binary Xor"];

/// They run functions, whose operators are counted one by one, or change no value.
const CONTROL: [&str; 4] = ["scan", "cond", "while", "barrier"];

pub fn trials() -> Vec<Trial> {
    vec![Trial::test("coverage::operators", || complete(&seen()?))]
}

/// For each operator, and for each function of those that have several, the sizes of the axes it was used with.
type Table = BTreeMap<String, BTreeSet<i64>>;

fn seen() -> Result<Table, Failed> {
    let mut table = Table::new();
    for (text, with_train) in sources()? {
        let session = Session::new("case.model", &text, &NoFiles, Options::native());
        match session.build(None, with_train) {
            Ok((built, _)) => {
                for (_, entry) in Session::entries(&built, &["run", "grad", "step"]) {
                    note(&built.module, entry, &mut BTreeSet::new(), &mut table);
                }
            }
            Err(driver::Failure::Faults(faults))
                if faults.iter().all(|fault| fault.code.starts_with("E05")) => {}
            Err(failure) => return Err(told(&session, &failure).into()),
        }
    }
    Ok(table)
}

/// Sources of the sweeps and of the cases, and whether a case is about training.
fn sources() -> Result<Vec<(String, bool)>, Failed> {
    let mut sources: Vec<(String, bool)> =
        crate::sweep::sources()?.into_iter().map(|text| (text, false)).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench-suite/references/index.json");
    let index: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    for (_, cases) in index["families"].as_object().ok_or("the index has no families")? {
        for case in cases.as_array().ok_or("a family is a list")? {
            sources
                .push((case["source"].as_str().ok_or("a case has a source")?.into(), case["kind"] != "run"));
        }
    }
    Ok(sources)
}

/// What an entry point does, in its own function and in those that it calls.
fn note(module: &Module, function: FuncId, known: &mut BTreeSet<FuncId>, table: &mut Table) {
    if !known.insert(function) {
        return;
    }
    let function = &module.functions[function];
    for (_, node) in function.nodes.iter() {
        let operands = node.inputs.iter().flat_map(|input| &function.nodes[*input].types);
        let axes = operands.chain(&node.types).flat_map(|ty| ty.shape.iter());
        let sizes: Vec<i64> = axes.filter_map(|dim| dim.as_const()).collect();
        for name in names(&node.op) {
            table.entry(name).or_default().extend(&sizes);
        }
        for body in node.op.bodies() {
            note(module, body, known, table);
        }
    }
}

/// The operator, and the function among those that it has.
fn names(op: &Op) -> Vec<String> {
    let function = match op {
        Op::Unary(unary) => Some(format!("{:?}", unary.op)),
        Op::Binary(binary) => Some(format!("{:?}", binary.op)),
        Op::Reduce(reduce) => Some(format!("{:?}", reduce.combine)),
        _ => None,
    };
    let whole = op.name().to_string();
    function.map(|function| format!("{whole} {function}")).into_iter().chain([whole]).collect()
}

fn complete(table: &Table) -> Result<(), Failed> {
    let mut needed: BTreeSet<String> = Op::NAMES.iter().map(|name| name.to_string()).collect();
    for (_, samples) in Op::all_samples() {
        needed.extend(samples.iter().flat_map(|sample| names(&sample.op)));
    }
    let mut missing = Vec::new();
    for name in &needed {
        let Some(sizes) = table.get(name) else {
            if !DRAWN.contains(&name.as_str()) && !CONTROL.contains(&name.as_str()) {
                missing.push(format!("`{name}` has no reference"));
            }
            continue;
        };
        if WITHOUT_AXES.contains(&name.as_str()) || CONTROL.contains(&name.as_str()) {
            continue;
        }
        for (word, is) in SIZES {
            if !sizes.iter().any(|size| is(*size)) {
                missing.push(format!("`{name}` has no reference with an axis of size {word}"));
            }
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\n").into()) }
}

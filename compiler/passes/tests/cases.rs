//! The cases of `filetests/cases/pass`: what a pass makes of a module, and that it computes the same.
//!
//! A case begins with `# test pass=NAME`, then options (`strict`, `float=f64`, `keep=softmax`, `n=5` for a dimension),
//! `backward=N` for nodes of `main` from N on that are part of a derivative), then the module before, `# ---- after`, and the module after. `DLC_BLESS=1` writes the latter.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

use graph::{
    Array, FuncId, Module, Scope,
    interp::{Options, run},
    parse::parse,
    print::print,
    verify::verify,
};
use passes::{PassCx, pipeline};
use shape::Symbol;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

const AFTER: &str = "# ---- after\n";

#[test]
fn cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../filetests/cases/pass");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() >= 30, "only {} cases in {}", files.len(), root.display());
    let failures: Vec<String> = files.iter().filter_map(|file| check(file).err()).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    let tested: BTreeSet<&str> =
        files.iter().filter_map(|file| file.strip_prefix(&root).ok()?.iter().next()?.to_str()).collect();
    for pass in pipeline::PASSES {
        assert!(tested.contains(pass.name), "no case for the pass `{}`", pass.name);
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "graph") {
            files.push(path);
        }
    }
}

fn check(file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file).unwrap();
    let at = |message: String| format!("{}: {message}", file.display());
    let (before_text, after_text) = text.split_once(AFTER).unwrap_or((&text, ""));
    let header = before_text.lines().next().unwrap_or_default();
    let mut words = header.split_whitespace();
    if (words.next(), words.next()) != (Some("#"), Some("test")) {
        return Err(at("the first line is not `# test pass=NAME …`".into()));
    }
    let (mut pass, mut strict, mut float) = (None, false, kernel::DType::F32);
    let mut backward = usize::MAX;
    let (mut keep, mut dims) = (BTreeSet::new(), BTreeMap::new());
    for word in words {
        match word.split_once('=') {
            None if word == "strict" => strict = true,
            Some(("pass", name)) => pass = pipeline::find(name),
            Some(("float", name)) => {
                float = kernel::DType::parse(name).ok_or_else(|| at(format!("no dtype {name}")))?
            }
            Some(("backward", from)) => {
                backward = from.parse().map_err(|_| at(format!("what is `{word}`?")))?
            }
            Some(("keep", name)) => _ = keep.insert(name.to_string()),
            Some((symbol, value)) => {
                let value: i64 = value.parse().map_err(|_| at(format!("what is `{word}`?")))?;
                dims.insert(Symbol::new(symbol), value);
            }
            None => return Err(at(format!("what is `{word}`?"))),
        }
    }
    let pass = pass.ok_or_else(|| at("no such pass".into()))?;
    let before = parse(before_text).map_err(|e| at(e.to_string()))?;
    verify(&before).map_err(at)?;
    let entry = before.find("main").ok_or_else(|| at("no function `main`".into()))?;
    let mut after = before.clone();
    let nodes = &mut after.functions[entry].nodes;
    for id in nodes.ids().skip(backward).collect::<Vec<_>>() {
        nodes[id].scope = Some(Scope::derived(None));
    }
    let cx = PassCx { entries: &[entry], float, strict, keep_composites: &keep };
    (pass.run)(&mut after, &cx).map_err(at)?;
    verify(&after).map_err(|e| at(format!("after the pass: {e}\n{}", print(&after))))?;
    same_values(&before, &after, entry, &dims, float).map_err(|e| at(format!("{e}\n{}", print(&after))))?;
    let printed = print(&after);
    if printed == after_text {
        return Ok(());
    }
    if std::env::var_os("DLC_BLESS").is_some() {
        std::fs::write(file, format!("{before_text}{AFTER}{printed}")).unwrap();
        return Ok(());
    }
    Err(at(format!("after `{}` is now\n{printed}", pass.name)))
}

/// Runs both on the same inputs; dimensions that the case does not give are 4.
fn same_values(
    before: &Module,
    after: &Module,
    entry: FuncId,
    given: &BTreeMap<Symbol, i64>,
    float: kernel::DType,
) -> Result<(), String> {
    let function = &before.functions[entry];
    let mut dims: BTreeMap<Symbol, i64> = function.symbols().into_iter().map(|symbol| (symbol, 4)).collect();
    dims.extend(given.clone());
    let mut count = 0;
    let inputs: Vec<Array> = function
        .params
        .iter()
        .map(|param| {
            let shape: Vec<usize> =
                param.ty.shape.iter().map(|dim| dim.eval(&dims).unwrap() as usize).collect();
            Array::from_fn(param.ty.dtype, &shape, |_| {
                count += 1;
                let value = f64::sin(f64::from(count)) * 3.0;
                match param.ty.dtype {
                    dtype if dtype.is_float() => f64::from(value as f32),
                    dtype if dtype.is_bool() => f64::from(count % 2),
                    _ => f64::from(count % 3),
                }
            })
        })
        .collect();
    let run = |module: &Module| run(module, entry, &inputs, &dims, Options::rounded(float)).map_err(|e| e.0);
    let (old, new) = match (run(before), run(after)) {
        (Ok(old), Ok(new)) => (old, new),
        // What fails must go on failing.
        (Err(_), Err(_)) => return Ok(()),
        (Ok(_), Err(e)) => return Err(format!("now fails: {e}")),
        (Err(e), Ok(_)) => return Err(format!("no longer fails: {e}")),
    };
    for (position, (old, new)) in old.iter().zip(&new).enumerate() {
        if old.shape() != new.shape() {
            return Err(format!("result {position} had the shape {:?}, now {:?}", old.shape(), new.shape()));
        }
        for (a, b) in old.values.iter().zip(&new.values) {
            let close = a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-5 * (1.0 + a.abs());
            if !close {
                return Err(format!("result {position} was {old:?}, now {new:?}"));
            }
        }
    }
    Ok(())
}

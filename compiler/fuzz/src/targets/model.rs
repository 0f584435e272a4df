//! The checker: any tree gives diagnostics, or entry points whose graphs are sound.

use super::syntax::places;
use base::{SourceMap, has_errors};
use grammar::ast;
use sema::Program;
use std::{cell::RefCell, fs, path::Path};

struct Library {
    sources: SourceMap,
    files: Vec<ast::File>,
}

thread_local! {
    static LIBRARY: RefCell<Option<&'static Library>> = const { RefCell::new(None) };
}

/// The standard library as the repository has it.
fn library() -> Result<&'static Library, String> {
    LIBRARY.with_borrow_mut(|known| match known {
        Some(library) => Ok(*library),
        None => {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/std");
            let entries = fs::read_dir(&folder).map_err(|fault| format!("{}: {fault}", folder.display()))?;
            let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            let mut library = Library { sources: SourceMap::new(), files: Vec::new() };
            for path in paths {
                let text = fs::read_to_string(&path).map_err(|fault| fault.to_string())?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let source = library.sources.add(format!("std/{name}"), text);
                library.files.push(grammar::parse(&source).0);
            }
            // One a process.
            let library: &'static Library = Box::leak(Box::new(library));
            *known = Some(library);
            Ok(library)
        }
    })
}

pub fn run(text: &str) -> Result<bool, String> {
    let library = library()?;
    let mut sources = library.sources.clone();
    let source = sources.add("input.model", text);
    let (tree, syntax) = grammar::parse(&source);
    if has_errors(&syntax) && tree.items.is_empty() {
        return Ok(false);
    }
    let std: Vec<&ast::File> = library.files.iter().collect();
    let mut faults = Vec::new();
    let program = Program::new(&tree, &[], &std, &mut faults);
    let options = sema::Options::default();
    faults.extend(sema::check(&program, &options));
    places(&source, &faults)?;
    if has_errors(&faults) || has_errors(&syntax) {
        return Ok(false);
    }
    let (built, faults) = sema::build(&program, None, &options, false);
    places(&source, &faults)?;
    let Some(built) = built else { return Ok(false) };
    graph::verify::verify(&built.module).map_err(|why| format!("a graph is not sound: {why}"))?;
    Ok(true)
}

//! The formatter: what it gives has the same tree, and stays as it is when formatted again.

use base::SourceMap;
use grammar::ast;

pub fn run(text: &str) -> Result<bool, String> {
    let mut sources = SourceMap::new();
    let source = sources.add("input.model", text);
    let Ok(formatted) = grammar::format(&source) else { return Ok(false) };
    let (tree, faults) = grammar::parse(&source);
    if base::has_errors(&faults) {
        return Err("a text with errors is formatted".into());
    }
    let again = sources.add("formatted.model", formatted.as_str());
    let (tree_again, faults) = grammar::parse(&again);
    if let Some(fault) = faults.first() {
        return Err(format!("its result does not parse: {} {}\n{formatted}", fault.code, fault.message));
    }
    if ast::dump(&tree) != ast::dump(&tree_again) {
        return Err(format!("its result has another tree\n{formatted}"));
    }
    match grammar::format(&again) {
        Ok(twice) if twice == formatted => Ok(true),
        Ok(twice) => Err(format!("its result changes again:\n{formatted}\n----\n{twice}")),
        Err(_) => Err(format!("its result is not formatted again\n{formatted}")),
    }
}

//! Later stages as text beside the case: `graph` before any pass, `kernel` with the plan that calls them, `plan` in each of
//! the styles.

use crate::corpus::{Case, golden, same};
use base::{Color, Format, render_all};
use driver::{Failure, Options, Session, Stage, Style, Trace};
use libtest_mimic::Failed;

/// The graph; what is printed must also read back as itself.
pub fn graph(case: &Case) -> Result<(), Failed> {
    let found = stage(case, &[Stage::Graph], Style::Compiled)?;
    golden(&case.path.with_extension("graph"), &found)?;
    let module = graph::parse::parse(&found).map_err(|error| format!("does not read back: {error:?}"))?;
    same(&found, &graph::print::print(&module))
}

pub fn kernel(case: &Case) -> Result<(), Failed> {
    let found = stage(case, &[Stage::Kernel, Stage::Plan], Style::Compiled)?;
    golden(&case.path.with_extension("kernel"), &found)
}

/// What each style calls, and where it keeps values.
pub fn plan(case: &Case) -> Result<(), Failed> {
    let mut found = String::new();
    for style in [Style::Compiled, Style::Graph, Style::Eager] {
        found += &format!("{}\n{}\n", style.name(), stage(case, &[Stage::Plan], style)?);
    }
    golden(&case.path.with_extension("plan"), &found)
}

fn stage(case: &Case, stages: &[Stage], style: Style) -> Result<String, Failed> {
    let mut options = Options { style, ..Options::native() };
    // The width of this machine's vectors must not show.
    options.target.vector_bits = 256;
    let session = case.session(options)?;
    let with_train = case.directive("train").is_some();
    let (built, _) = session.build(None, with_train).map_err(|failure| told(&session, &failure))?;
    let entry = case.directive("entry").unwrap_or("run");
    let mut text = String::new();
    for stage in stages {
        let found = session.stage_text(*stage, &built, &[entry], &mut Trace::default());
        text.push_str(&found.map_err(|failure| told(&session, &failure))?);
    }
    Ok(text)
}

pub fn told(session: &Session, failure: &Failure) -> String {
    match failure {
        Failure::Faults(faults) => render_all(faults, &session.sources, Format::Human, Color::Never),
        Failure::Bug(bug) => format!("bug: {}\n{}", bug.message, bug.reproducer),
    }
}

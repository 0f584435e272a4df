//! Code of a model for one verb, which may be made to stop at the first value that is not finite, or to take its times.

use crate::{
    cx::Cx,
    fault::{Fault, InSession},
};
use driver::{Profile, Session, Trace, Watching};
use exec::{Pool, Program};
use graph::FuncId;
use sema::Built;

pub struct Code {
    pub program: Program,
    watching: Option<Watching>,
    pub profile: Profile,
}

impl Code {
    pub fn new(
        cx: &Cx,
        session: &mut Session,
        built: &Built,
        entries: &[(&'static str, FuncId)],
        nan: bool,
    ) -> Result<Code, Fault> {
        if !nan {
            let compiled =
                session.compile(built, entries, &cx.cache, &mut Trace::default()).within(session)?;
            let (program, profile) = compiled.load_profiled().within(session)?;
            return Ok(Code { program, watching: None, profile });
        }
        let watching = session.compile_watching(built, entries, &cx.cache).within(session)?;
        let (mut program, profile) = watching.compiled.load_profiled().within(session)?;
        program.record_failures();
        Ok(Code { program, watching: Some(watching), profile })
    }

    /// The fault of a call, told in full where a value that is not finite ended it.
    pub fn explained(&self, cx: &Cx, session: &Session, pool: &Pool, fault: Fault) -> Fault {
        let (Some(watching), Some(failed)) = (&self.watching, self.program.failed_call()) else {
            return fault;
        };
        match session.explain_not_finite(watching, &failed, &cx.cache, pool).within(session) {
            Ok(Some(told)) => {
                let update = failed.number("step").map(|step| format!("in update {step} (counted from 0)"));
                let told = match update.filter(|_| failed.entry != "grad") {
                    Some(update) => told.note(update),
                    None => told,
                };
                Fault::Diagnostics(vec![told], session.sources.clone())
            }
            Ok(None) => fault,
            Err(other) => other,
        }
    }
}

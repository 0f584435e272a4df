//! What a build leaves behind beside its result: dumps after passes, and times.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

#[derive(Default)]
pub struct Trace {
    /// Passes after which the graph is dumped.
    pub dump_after: BTreeSet<String>,
    /// Pass and text, in the order in which they ran.
    pub dumps: Vec<(String, String)>,
    /// What took how long, in order.
    pub times: Vec<(String, Duration)>,
    /// Passes that changed something, each time that they did.
    pub fired: Vec<&'static str>,
    /// Whether the object code came from the cache.
    pub cached: bool,
    began: Option<Instant>,
}

impl Trace {
    pub fn dumping(passes: impl IntoIterator<Item = String>) -> Trace {
        Trace { dump_after: passes.into_iter().collect(), ..Trace::default() }
    }

    pub(crate) fn time<T>(&mut self, what: &str, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let value = work();
        self.times.push((what.to_string(), began.elapsed()));
        value
    }
}

impl passes::Observer for Trace {
    fn before(&mut self, _: &passes::Pass, _: &graph::Module) {
        self.began = Some(Instant::now());
    }

    fn after(&mut self, pass: &passes::Pass, changed: passes::Changed, module: &graph::Module) {
        let elapsed = self.began.take().map_or(Duration::ZERO, |began| began.elapsed());
        self.times.push((format!("pass {}", pass.name), elapsed));
        if changed == passes::Changed::Yes {
            self.fired.push(pass.name);
        }
        if self.dump_after.contains(pass.name) {
            let text = if changed == passes::Changed::No {
                "(unchanged)\n".to_string()
            } else {
                graph::print::print(module)
            };
            self.dumps.push((pass.name.to_string(), text));
        }
    }
}

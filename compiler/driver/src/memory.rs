//! Fitting a build into memory: what a call takes, and computing values again where that is too much.

use crate::{Failure, Session, Trace, cost};
use base::Diagnostic;
use graph::{FuncId, Function, Module, Node, NodeId, Op, Scope};
use kernel::{ArgRole, Plan};
use passes::rematerialise::{Forward, rematerialise};
use sema::Built;
use shape::{Dim, Symbol};
use std::collections::BTreeMap;

/// How much memory a call may take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryLimit {
    pub bytes: u64,
    /// Sizes of the dimensions that the build leaves open, for which the limit has to hold.
    pub sizes: BTreeMap<String, i64>,
}

/// What one call of an entry point takes, as formulas of its dimensions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Footprint {
    /// Arguments and results.
    pub arrays: Dim,
    /// Temporaries, as the plan places them.
    pub workspace: Dim,
}

impl Footprint {
    pub fn of(plan: &Plan) -> Footprint {
        let arrays = plan.args.iter().chain(&plan.results).filter(|arg| arg.role != ArgRole::Control);
        let bytes = arrays.map(|arg| arg.shape.iter().product::<Dim>() * arg.dtype.size() as i64).sum();
        Footprint { arrays: bytes, workspace: plan.workspace.clone() }
    }

    pub fn peak(&self) -> Dim {
        &self.arrays + &self.workspace
    }
}

/// Numbers of segments that the forward half is cut into; without a cut only cheap values are computed again.
const CUTS: [usize; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48];
/// Graphs of one entry that are planned in full.
const PLANNED: usize = 6;
/// Values named by the message that nothing fits.
const NAMED: usize = 4;

/// Entries after all passes, with values computed again where memory is limited.
pub struct Fitted {
    pub module: Module,
    /// In the order in which they were asked for.
    pub entries: Vec<(&'static str, FuncId)>,
}

struct Candidate {
    chosen: Vec<bool>,
    module: Module,
    /// Work beyond that of the plan that keeps everything.
    extra: i64,
    /// Bytes alive at the worst place, scratch of kernels left out.
    live: u64,
}

impl Session {
    /// Rewrites the entries that take more than is allowed, so that they fit; says so where they cannot.
    pub(crate) fn fit(&self, built: &Built, fitted: Fitted, limit: &MemoryLimit) -> Result<Fitted, Failure> {
        let prefix = &Session::prefix(built);
        let Fitted { mut module, mut entries } = fitted;
        // What a scan keeps of all its steps cannot be cut, so the instances of a repeat are calls where it is too much.
        let mut written_out = self.options.sema.write_out;
        let sizes: BTreeMap<Symbol, i64> =
            limit.sizes.iter().map(|(name, size)| (Symbol::new(name), *size)).collect();
        let mut place = 0;
        while let Some(entry) = entries.get(place) {
            let footprint = self.planned(&module, prefix, *entry)?;
            let peak = footprint.peak();
            let Ok(bytes) = peak.eval(&sizes) else {
                let message = format!("the memory of `{}` is not fixed: {peak} bytes", entry.0);
                let open = peak.symbols().into_iter().find(|symbol| !sizes.contains_key(symbol));
                let open = open.map_or("batch".to_string(), |symbol| symbol.to_string());
                return Err(Diagnostic::error("E0905", message)
                    .help(format!("fix its dimensions with `--bind`, as in `--bind {open}=8`"))
                    .into());
            };
            if within(bytes, limit.bytes) {
                place += 1;
                continue;
            }
            let function = &module.functions[entry.1];
            if !written_out && repeats_in_scans(&module, function) && Forward::of(function).is_some() {
                written_out = true;
                Fitted { module, entries } = self.written_out(built, &entries)?;
                place = 0;
                continue;
            }
            let mut least = bytes;
            let mut found = None;
            for candidate in self.candidates(&module, prefix, *entry, &sizes, limit, &footprint)? {
                let footprint = self.planned(&candidate.module, prefix, *entry)?;
                let bytes = footprint.peak().eval(&sizes).unwrap_or(i64::MAX);
                least = least.min(bytes);
                if within(bytes, limit.bytes) {
                    found = Some(candidate.module);
                    break;
                }
            }
            match found {
                Some(fitting) => (module, place) = (fitting, place + 1),
                None => {
                    let arrays = footprint.arrays.eval(&sizes).unwrap_or(0);
                    return Err(self.too_large(
                        &module,
                        prefix,
                        *entry,
                        &sizes,
                        limit,
                        [bytes, least, arrays],
                    )?);
                }
            }
        }
        Ok(Fitted { module, entries })
    }

    /// The entries of the same model, with the instances of each `repeat` called one after the other.
    fn written_out(&self, built: &Built, entries: &[(&'static str, FuncId)]) -> Result<Fitted, Failure> {
        let options = sema::Options { write_out: true, ..self.options.sema.clone() };
        let (again, _) = self.build_with(&options, Some(&built.name), true)?;
        let names: Vec<&str> = entries.iter().map(|(name, _)| *name).collect();
        let written = Session::entries(&again, &names);
        let interface = |module: &Module, id: FuncId| {
            let function = &module.functions[id];
            let results = function
                .results
                .iter()
                .map(|(name, role, id)| (name.clone(), *role, function.ty(*id).clone()));
            (function.params.clone(), results.collect::<Vec<_>>())
        };
        let pairs = || entries.iter().zip(&written);
        let same = written.len() == entries.len()
            && pairs().all(|((_, a), (_, b))| interface(&built.module, *a) == interface(&again.module, *b));
        if !same {
            let message = "entries are others where repeated layers are written out";
            return Err(Failure::bug(message, format!("{names:?}")));
        }
        let module = self.optimize(&again, &written, &mut Trace::default())?;
        Ok(Fitted { module, entries: written })
    }

    fn planned(
        &self,
        module: &Module,
        prefix: &str,
        entry: (&'static str, FuncId),
    ) -> Result<Footprint, Failure> {
        let kernels = self.lower_module(module, prefix, &[entry], &mut Trace::default())?;
        let plan = kernels.plans.first();
        plan.map(Footprint::of).ok_or_else(|| Failure::bug("an entry has no plan", String::new()))
    }

    /// Graphs that compute something again, those expected to fit with the least work first.
    fn candidates(
        &self,
        module: &Module,
        prefix: &str,
        entry: (&'static str, FuncId),
        sizes: &BTreeMap<Symbol, i64>,
        limit: &MemoryLimit,
        kept: &Footprint,
    ) -> Result<Vec<Candidate>, Failure> {
        let function = &module.functions[entry.1];
        let Some(forward) = Forward::of(function) else { return Ok(Vec::new()) };
        let float = self.options.float;
        let bytes = |id: NodeId| {
            let ty = function.ty(id);
            let elements = ty.shape.elements().eval(sizes).ok().and_then(|count| u64::try_from(count).ok());
            elements.unwrap_or(0).saturating_mul(ty.dtype.concrete(float).size() as u64)
        };
        let mut candidates: Vec<Candidate> = Vec::new();
        for count in CUTS {
            let cuts = forward.cuts(function, count, &bytes);
            for cheap in [false, true] {
                let chosen = forward.between(function, &cuts, cheap);
                if candidates.iter().any(|known| known.chosen == chosen) {
                    continue;
                }
                let mut changed = module.clone();
                let added = rematerialise(&mut changed.functions[entry.1], &chosen);
                let extra: Dim = added.iter().map(|id| cost::work(&changed, entry.1, *id)).sum();
                let extra = extra.eval(sizes).unwrap_or(i64::MAX);
                let live = self.live(&changed, prefix, entry, sizes)?.0;
                candidates.push(Candidate { chosen, module: changed, extra, live });
            }
        }
        let arrays = kept.arrays.eval(sizes).ok().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
        let budget = limit.bytes.saturating_sub(arrays);
        // First what should fit, by work; then, in case scratch and gaps are few, the smallest.
        candidates.sort_by_key(
            |it| {
                if it.live <= budget { (0, it.extra.unsigned_abs()) } else { (1, it.live) }
            },
        );
        let hopeful = candidates.iter().filter(|it| it.live <= budget).count();
        // The smallest of all stands last, so that the least that can be reached is known.
        if hopeful > PLANNED {
            let rest = &mut candidates[PLANNED - 1..];
            if let Some(least) = rest.iter().enumerate().min_by_key(|(_, it)| it.live).map(|(index, _)| index)
            {
                rest.swap(0, least);
            }
        }
        candidates.truncate(PLANNED);
        Ok(candidates)
    }

    /// Bytes alive at the worst place, and what they are, the largest first.
    fn live(
        &self,
        module: &Module,
        prefix: &str,
        entry: (&'static str, FuncId),
        sizes: &BTreeMap<Symbol, i64>,
    ) -> Result<(u64, Vec<(NodeId, u64)>), Failure> {
        let (place, line) = (|span| self.place(span), |node: &graph::Node| self.line_of(node));
        let options = self.lower_options(prefix, entry.0, &place, &line);
        let lives = lower::lifetimes(module, entry.1, &options)?;
        let known: Vec<(usize, usize, NodeId, u64)> = lives
            .iter()
            .map(|life| {
                let bytes = life.bytes.eval(sizes).ok().and_then(|bytes| u64::try_from(bytes).ok());
                (life.first, life.last, life.node, bytes.unwrap_or(0))
            })
            .collect();
        let steps = known.iter().map(|(_, last, ..)| last + 2).max().unwrap_or(0);
        let (mut begins, mut ends) = (vec![0u64; steps], vec![0u64; steps]);
        for (first, last, _, bytes) in &known {
            begins[*first] += bytes;
            ends[last + 1] += bytes;
        }
        let (mut alive, mut peak, mut at) = (0u64, 0u64, 0usize);
        for step in 0..steps {
            alive = (alive + begins[step]).saturating_sub(ends[step]);
            if alive > peak {
                (peak, at) = (alive, step);
            }
        }
        let mut holders: Vec<(NodeId, u64)> = known
            .into_iter()
            .filter(|(first, last, ..)| *first <= at && at <= *last)
            .map(|(_, _, node, bytes)| (node, bytes))
            .collect();
        holders.sort_by_key(|(node, bytes)| (std::cmp::Reverse(*bytes), *node));
        Ok((peak, holders))
    }

    fn too_large(
        &self,
        module: &Module,
        prefix: &str,
        entry: (&'static str, FuncId),
        sizes: &BTreeMap<Symbol, i64>,
        limit: &MemoryLimit,
        [bytes, least, arrays]: [i64; 3],
    ) -> Result<Failure, Failure> {
        let function = &module.functions[entry.1];
        let message = format!(
            "a call of `{}` needs {}, more than --max-memory allows ({})",
            entry.0,
            size_text(bytes),
            size_text(i64::try_from(limit.bytes).unwrap_or(i64::MAX))
        );
        let mut fault = Diagnostic::error("E0905", message);
        fault = match Forward::of(function) {
            None => fault
                .note("it has no derivatives, so there is nothing to compute again instead of keeping it"),
            Some(_) if least < bytes => fault.note(format!(
                "by computing values again instead of keeping them it needs {}",
                size_text(least)
            )),
            Some(_) => fault.note("computing values again instead of keeping them does not lower it"),
        };
        fault = fault.note(format!("arguments and results alone are {}", size_text(arrays)));
        let (_, holders) = self.live(module, prefix, entry, sizes)?;
        // Equal blocks hold equal values.
        let mut named: Vec<(String, usize)> = Vec::new();
        for (node, bytes) in holders {
            let node = &function.nodes[node];
            let place = node.span.map_or(String::new(), |span| format!(" of {}", self.place(span)));
            let path = node.scope.as_ref().map(|scope| scope.instance.as_str()).unwrap_or_default();
            let stem: Vec<&str> =
                path.split('.').map(|word| if word.parse::<u32>().is_ok() { "*" } else { word }).collect();
            let inside = if path.is_empty() { String::new() } else { format!(" in `{}`", stem.join(".")) };
            let bytes = size_text(bytes.try_into().unwrap_or(i64::MAX));
            let text = format!("{bytes} for {}{place}{inside}", node.ty());
            match named.iter_mut().find(|(known, _)| *known == text) {
                Some((_, count)) => *count += 1,
                None => named.push((text, 1)),
            }
        }
        let named: Vec<String> = named
            .into_iter()
            .take(NAMED)
            .map(|(text, count)| if count > 1 { format!("{count} × {text}") } else { text })
            .collect();
        if !named.is_empty() {
            fault = fault.note(format!("what it holds at its peak: {}", named.join("; ")));
        }
        Ok(fault.help("a smaller batch needs less").into())
    }
}

/// Whether instances of a `repeat` are steps of a scan.
fn repeats_in_scans(module: &Module, function: &Function) -> bool {
    let is_of_steps = |node: &Node| {
        node.scope.as_ref().is_some_and(|scope| Scope::paths_of_steps(&scope.instance).is_some())
    };
    function.nodes.values().iter().any(|node| match &node.op {
        Op::Scan(scan) => module.functions[scan.body].nodes.values().iter().any(is_of_steps),
        _ => false,
    })
}

fn within(bytes: i64, limit: u64) -> bool {
    u64::try_from(bytes).is_ok_and(|bytes| bytes <= limit)
}

/// `812 bytes`, `64.0 KiB`, `1.5 GiB`.
pub fn size_text(bytes: i64) -> String {
    let value = bytes as f64;
    match bytes {
        0..=9_999 => format!("{bytes} bytes"),
        10_000..=10_238_975 => format!("{:.1} KiB", value / 1024.0),
        10_238_976..=10_484_711_423 => format!("{:.1} MiB", value / 1_048_576.0),
        _ => format!("{:.2} GiB", value / 1_073_741_824.0),
    }
}

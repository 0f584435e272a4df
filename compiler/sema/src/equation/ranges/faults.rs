//! What to say about ranges: both sides, with where each came from.

use crate::equation::{
    Equation,
    term::{Origin, Use},
};
use base::{Diagnostic, Span};
use shape::{Dim, Proof};

impl<'p> Equation<'_, 'p> {
    /// Whether a stated range has an end at or behind its start; `None` is silent.
    pub(super) fn proved_range(&mut self, name: &str, start: &Dim, end: &Dim, span: Span) -> Option<bool> {
        let proof = self.checker.frame_ref().function.facts.prove_ge(end, start);
        if proof == Proof::Proved {
            return Some(true);
        }
        if self.checker.generic && proof == Proof::Unknown {
            return None;
        }
        let message = match proof {
            Proof::Disproved => format!("the range {start}..{end} of `{name}` ends before it begins"),
            _ => format!("the range {start}..{end} of `{name}` might end before it begins"),
        };
        let mut fault = Diagnostic::error("E0313", message).label(span, "a range leaves out its end");
        if proof == Proof::Unknown {
            fault = fault.help(format!("`require {end} >= {start}` states what the types cannot"));
        }
        self.checker.report(fault);
        Some(false)
    }

    pub(super) fn starts_late(&mut self, id: usize, start: &Dim, span: Span) {
        let name = self.called(id);
        let fault =
            Diagnostic::error("E0317", format!("`{name}` is an index of the result, which begins at 0"))
                .label(span, format!("begins at {start}"))
                .help(format!("move the subscripts instead: `{name} + {start}` in place of `{name}`"));
        self.checker.report(fault);
    }

    pub(super) fn disagree(&mut self, id: usize, first: &Use<'p>, other: &Use<'p>, proof: Proof) {
        let name = self.called(id);
        let message = match proof {
            Proof::Disproved => format!("`{name}` stands for {} and for {} elements", first.size, other.size),
            _ => format!(
                "`{name}` stands for {} elements and for {}, which may differ",
                first.size, other.size
            ),
        };
        let mut fault = Diagnostic::error("E0301", message);
        for used in [first, other] {
            let text = format!("axis {} of {} has {}", used.axis, used.base_text(), used.size);
            fault = fault.label(used.span, text);
        }
        fault = self.with_origins(fault, &[first, other]);
        fault = match (proof, first.size.as_const(), other.size.as_const()) {
            (Proof::Disproved, Some(a), Some(b)) => {
                fault.help(format!("`where {name} in 0..{}` states the range that both have", a.min(b)))
            }
            (Proof::Disproved, ..) => fault,
            _ => {
                fault.help(format!("`require {} == {}` states what the types cannot", first.size, other.size))
            }
        };
        self.checker.report(fault);
    }

    /// Labels where the sizes of these axes were first named.
    fn with_origins(&self, fault: Diagnostic, uses: &[&Use<'p>]) -> Diagnostic {
        uses.iter().fold(fault, |fault, used| match self.checker.origin(used.base, used.axis) {
            Some(origin) => fault.label(origin, format!("{} comes from here", used.size)),
            None => fault,
        })
    }

    pub(super) fn no_room(&mut self, id: usize, used: &Use<'p>, extent: &Dim) {
        let proof = self.checker.frame_ref().function.facts.prove_ge(extent, &Dim::default());
        if self.checker.generic && proof == Proof::Unknown {
            return;
        }
        let name = self.called(id);
        let at = self.shown(&used.at);
        let size = &used.size;
        let message = format!(
            "`{at}` may leave axis {} of {}, which has {size}, for every `{name}`",
            used.axis,
            used.base_text()
        );
        let message =
            if proof == Proof::Disproved { message.replace("may leave", "leaves") } else { message };
        let mut fault = Diagnostic::error("E0313", message)
            .label(used.span, format!("leaves {extent} places for `{name}`"));
        fault = self.with_ranges(fault, used);
        fault = self.with_origins(fault, &[used]);
        let reach = size - extent;
        fault = if extent.symbols().is_empty() {
            fault.help("`pad(…)` gives room around a tensor")
        } else {
            fault.help(format!("pad the tensor, or state its least size: `require {size} >= {reach}`"))
        };
        self.checker.report(fault);
    }

    /// Says of each index in the access how far it goes and why.
    fn with_ranges(&self, fault: Diagnostic, used: &Use<'p>) -> Diagnostic {
        self.labels_of(&used.at).into_iter().fold(fault, |fault, id| {
            let Some(range) = &self.indices[id].range else { return fault };
            let name = self.called(id);
            let last = &range.start + &range.extent - 1;
            let why = match range.origin {
                Origin::Bare(_) => "the axis with this subscript",
                Origin::Declared(_) => "the declared result",
                Origin::Affine(_) => "the largest range here",
                Origin::Stated(_) => "stated here",
            };
            let span = range.origin.span();
            if span == used.span {
                return fault;
            }
            fault.label(span, format!("`{name}` goes from {} to {last}: {why}", range.start))
        })
    }

    pub(super) fn all_known(&mut self) -> Option<()> {
        let unknown = |id: usize, eq: &Self| eq.indices[id].range.is_none();
        let id = (0..self.indices.len()).find(|id| unknown(*id, self));
        let Some(id) = id else { return Some(()) };
        let name = self.called(id);
        let shared = self.uses.iter().find_map(|used| {
            let labels = self.labels_of(&used.at);
            let other = labels.iter().copied().find(|other| *other != id && unknown(*other, self))?;
            labels.contains(&id).then_some((used, other))
        });
        let mut fault = match shared {
            Some((used, other)) => {
                let at = self.shown(&used.at);
                let other = self.called(other);
                let message =
                    format!("the subscript `{at}` alone gives neither `{name}` nor `{other}` a range");
                Diagnostic::error("E0316", message).label(used.span, "two indices of unknown range")
            }
            None => {
                let message = format!("the range of `{name}` does not follow from where it stands");
                Diagnostic::error("E0316", message)
                    .label(self.indices[id].name.span, "no subscript gives it a size")
            }
        };
        fault = fault.help(match self.defines {
            Some(_) => format!("state it at the end of the equation: `where {name} in 0..n`"),
            None => format!("slice what is read, so that `{name}` walks a whole axis"),
        });
        self.checker.report(fault);
        None
    }

    pub(super) fn out_of_bounds(&mut self, used: &Use<'p>, bounds: Option<(Dim, Dim)>, proofs: [Proof; 2]) {
        let at = self.shown(&used.at);
        let (axis, size) = (used.axis, &used.size);
        let is = if proofs.contains(&Proof::Disproved) { "is not" } else { "is not known to be" };
        let message = format!("`{at}` {is} inside axis {axis} of {}, which has {size}", used.base_text());
        let reach = match &bounds {
            None => "how far this goes is not known".to_string(),
            Some((low, high)) if low == high => format!("reads place {low}"),
            Some((low, high)) => format!("goes from {low} to {high}"),
        };
        let mut fault = Diagnostic::error("E0313", message).label(used.span, reach);
        fault = self.with_ranges(fault, used);
        fault = self.with_origins(fault, &[used]);
        if let Some(help) = self.ways_inside(used, bounds, proofs) {
            fault = fault.help(help);
        }
        self.checker.report(fault);
    }

    fn ways_inside(&self, used: &Use<'p>, bounds: Option<(Dim, Dim)>, proofs: [Proof; 2]) -> Option<String> {
        let (low, high) = bounds?;
        let labels = self.labels_of(&used.at);
        if proofs[0] != Proof::Proved {
            return Some(match proofs[0] {
                Proof::Disproved => {
                    "give it room in front, `pad(x, [[before, after], …])`, and move the subscript".into()
                }
                _ => {
                    format!("`require {low} >= 0` states what the types cannot, `pad(…)` gives room in front")
                }
            });
        }
        let mut ways = Vec::new();
        if let [id] = labels[..]
            && let Some(extent) = self.fitting(id, used)
            && self.start(id).is_const(0)
        {
            let range = format!("`where {} in 0..{extent}` states a range that fits", self.called(id));
            if self.is_at_least(&extent, 0) {
                ways.push(range);
            } else if extent.as_const().is_none() {
                ways.push(format!("{range}, below `require {} >= {}`", used.size, &used.size - &extent));
            }
        }
        if proofs[1] == Proof::Unknown {
            ways.push(format!(
                "`require {size} >= {}` states what the types cannot",
                high + 1,
                size = used.size
            ));
        }
        if !labels.is_empty() {
            ways.push("`pad(…)` gives room behind".into());
        }
        (!ways.is_empty()).then(|| ways.join("; "))
    }
}

impl Use<'_> {
    /// What to call the tensor that is read.
    pub(super) fn base_text(&self) -> String {
        self.base_name.map_or("the tensor".into(), |name| format!("`{name}`"))
    }
}

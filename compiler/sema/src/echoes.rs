//! One mistake, one error: what is found again through another use of the same definition stays untold.

use crate::checker::Checker;
use base::{Diagnostic, Span, did_you_mean};
use grammar::ast::ItemKind;
use std::collections::BTreeMap;

/// What was told so far that faults may be echoes of.
#[derive(Default)]
pub struct Echoes {
    /// Definitions with a fault inside, each with the uses that led there.
    faulty: BTreeMap<Span, Vec<Span>>,
    /// Dimensions that are named almost as a constant or a part of the configuration is.
    look_alikes: Vec<LookAlike>,
}

struct LookAlike {
    name: String,
    span: Span,
    near: String,
    told: bool,
}

impl<'p> Checker<'p> {
    /// Notes a dimension that a model's input introduces where something else has nearly its name.
    pub fn note_look_alike(&mut self, name: &str, span: Span) {
        let constants = self.program.main.items.iter().filter_map(|item| match &item.kind {
            ItemKind::Const { name, .. } => Some(name.text.as_str()),
            _ => None,
        });
        let def = self.frame_ref().def;
        let config = def.and_then(|def| def.config.as_ref()).into_iter().flat_map(|list| &list.params);
        let names = constants.chain(config.map(|param| param.name.text.as_str()));
        if let Some(near) = did_you_mean(name, names) {
            let (name, near) = (name.to_string(), near.to_string());
            if self.echoes.look_alikes.iter().all(|known| known.name != name) {
                self.echoes.look_alikes.push(LookAlike { name, span, near, told: false });
            }
        }
    }

    /// The fault with what it may come of, or `None` where that was told.
    pub fn without_echoes(&mut self, diagnostic: Diagnostic) -> Option<Diagnostic> {
        if !diagnostic.is_error() {
            return Some(diagnostic);
        }
        if self.is_faulty_elsewhere(&diagnostic) {
            return None;
        }
        self.look_alike(diagnostic)
    }

    /// A body that was told to be at fault in one use is not told again in another: either the body is to be mended, or all
    /// of these uses are.
    fn is_faulty_elsewhere(&mut self, diagnostic: &Diagnostic) -> bool {
        let Some(span) = diagnostic.span else { return false };
        let inside = |whole: Span| whole.file == span.file && whole.lo <= span.lo && span.hi <= whole.hi;
        let Some(depth) = self.calls.iter().rposition(|(def, _)| inside(def.span)) else { return false };
        let uses: Vec<Span> = self.calls[..=depth].iter().map(|(_, at)| *at).collect();
        *self.echoes.faulty.entry(self.calls[depth].0.span).or_insert_with(|| uses.clone()) != uses
    }

    fn look_alike(&mut self, mut diagnostic: Diagnostic) -> Option<Diagnostic> {
        let texts = || diagnostic.labels.iter().map(|label| &label.text).chain([&diagnostic.message]);
        let names = |text: &str, name: &str| {
            text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
        };
        let mut known = self.echoes.look_alikes.iter_mut();
        let Some(found) = known.find(|known| texts().any(|text| names(text, &known.name))) else {
            return Some(diagnostic);
        };
        if found.told {
            return None;
        }
        found.told = true;
        let LookAlike { name, span, near, .. } = found;
        let text = format!("`{name}` is a dimension of its own; did you mean `{near}`?");
        match diagnostic.labels.iter_mut().find(|label| label.span == *span) {
            Some(label) => label.text = text,
            None => diagnostic = diagnostic.label(*span, text),
        }
        Some(diagnostic)
    }
}

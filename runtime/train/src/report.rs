//! The page of a run, from its log and its configuration.

use crate::Line;
use reports::training::{About, page};

/// As HTML; the same log and configuration give the same bytes.
pub(crate) fn report(model: &str, lines: &[Line], config: &str, about: &About) -> String {
    let lines: Vec<reports::training::Line> = lines.iter().cloned().map(shown).collect();
    page(model, &lines, config, about)
}

fn shown(line: Line) -> reports::training::Line {
    let Line { step, epoch, split, loss, metrics, lr, seconds } = line;
    reports::training::Line { step, epoch, split, loss, metrics, lr, seconds }
}

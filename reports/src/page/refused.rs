//! What has no time, and why: nothing drops out of a comparison unseen.

use super::{Page, Section, models::status, p};
use crate::{
    arms::{rank, title},
    html::el,
    record::Status,
    results::Measured,
    table::{Entry, Table},
};
use std::collections::BTreeMap;

pub(super) fn section(page: &mut Page) -> Option<Section> {
    // Rows of one arm that are refused for the same reason are told once.
    type Key<'k> = ((usize, &'k str), Status, &'k str, &'k str);
    let mut groups: BTreeMap<Key, Vec<&Measured>> = BTreeMap::new();
    for one in page.results.measured.iter().filter(|one| one.status != Status::Ok) {
        let install = one.arm.install.as_deref().unwrap_or_default();
        groups.entry((rank(&one.arm.arm), one.status, &one.why, install)).or_default().push(one);
    }
    if groups.is_empty() {
        return None;
    }
    let mut table =
        Table::new("Rows without a time").texts(["framework", "what", "why", "to install", "rows"]);
    for (((_, arm), what, why, install), rows) in groups {
        let mut places: Vec<String> = Vec::new();
        for row in &rows {
            let place = format!("{} {}", row.cell.model, row.cell.mode.name());
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let few = places.len() <= 3;
        let places = if few { places.join(", ") } else { crate::number::counted(rows.len(), "row") };
        table.row(vec![
            Entry::text(title(arm)),
            Entry::text(status(what)).marked("refused"),
            Entry::text(why).marked("wide"),
            Entry::text(install),
            Entry::text(places),
        ]);
    }
    let words = "Frameworks that are not installed, do not offer a mode, failed, or gave something that is not to be \
                 believed.";
    Some(Section {
        id: "without",
        title: "Rows without a time",
        body: vec![p(words), el("div").child(table.html())],
    })
}

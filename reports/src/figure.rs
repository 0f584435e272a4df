//! A chart with all that belongs to it: number, words, legend, the data as a table and as a file, the command that
//! measures it anew.

use crate::{
    chart::{Ink, Marker, key},
    html::{Element, el},
    table::{Table, data_address},
};

pub(crate) struct Figure {
    pub title: String,
    /// What somebody who does not see the chart is told.
    pub description: String,
    /// Without title and description.
    pub chart: Element,
    pub legend: Vec<(Ink, Marker, String)>,
    pub table: Table,
    pub command: String,
}

/// Numbers the figures of a page.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    count: usize,
}

impl Figures {
    pub fn add(&mut self, figure: Figure) -> Element {
        self.count += 1;
        let number = self.count;
        let Figure { title, description, chart, legend, table, command } = figure;
        let (title_id, text_id) = (format!("f{number}t"), format!("f{number}d"));
        let chart = chart
            .attr("role", "img")
            .attr("aria-labelledby", format!("{title_id} {text_id}"))
            .first(el("desc").id(text_id).text(description))
            .first(el("title").id(title_id).text(title.clone()));
        let caption =
            el("figcaption").child(el("strong").text(format!("Figure {number}."))).text(format!(" {title}"));
        let mut element = el("figure").id(format!("figure-{number}")).child(caption).child(chart);
        if !legend.is_empty() {
            let keys =
                legend.into_iter().map(|(ink, marker, name)| el("span").child(key(ink, marker)).text(name));
            element = element.child(el("p").class("legend").children(keys));
        }
        let file = format!("figure-{number}.csv");
        let link = el("a")
            .attr("download", file.clone())
            .attr("href", data_address("text/csv", &table.csv()))
            .text(format!("Download {file}"));
        let details = el("details")
            .child(
                el("summary")
                    .text("Data and command")
                    .child(el("span").class("unseen").text(format!(" of figure {number}"))),
            )
            .child(table.html())
            .child(el("p").child(link))
            .child(el("pre").attr("tabindex", "0").child(el("code").text(command)));
        element.child(details)
    }
}

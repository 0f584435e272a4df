//! The page of a benchmark: one file a section, each of which says nothing where nothing was measured.

mod command;
mod compiler;
mod correctness;
mod costs;
mod environment;
mod frameworks;
mod headline;
mod kernels;
mod learning;
mod models;
mod refused;
mod scaling;
mod server;
mod styles;
mod warm_up;

pub use command::quoted;

use crate::{
    figure::{Figure, Figures},
    html::{Element, el},
    results::Results,
};
use base::Diagnostic;

/// A page larger than this opens slowly and is passed on by nobody.
const MOST_BYTES: usize = 3_000_000;

/// Rows beyond this would never fit.
const MOST_ROWS: usize = 5000;

/// From much to little: the most that fits into the page is shown.
const DETAILS: [Detail; 6] = [
    Detail { points: 40, conditions: usize::MAX },
    Detail { points: 16, conditions: usize::MAX },
    Detail { points: 6, conditions: usize::MAX },
    Detail { points: 0, conditions: usize::MAX },
    Detail { points: 0, conditions: 6 },
    Detail { points: 0, conditions: 2 },
];

/// How much of a model is drawn.
#[derive(Clone, Copy)]
struct Detail {
    /// Of each box.
    points: usize,
    /// With a chart of their own.
    conditions: usize,
}

/// What the page is made of, besides results.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PageOptions {
    pub title: Option<String>,
    /// The files as they were named, for the commands.
    pub inputs: Vec<String>,
    pub output: String,
}

/// The whole page. The same results give the same bytes.
pub fn page(results: &Results, options: &PageOptions) -> Result<String, Diagnostic> {
    let rows = results.rows();
    if rows > MOST_ROWS {
        return Err(too_large(format!("the files have {rows} rows, and a page at most {MOST_ROWS}")));
    }
    let mut size = 0;
    for detail in DETAILS {
        let page = Page { results, options, detail, figures: Figures::default() }.compose();
        if page.len() <= MOST_BYTES {
            return Ok(page);
        }
        size = page.len();
    }
    Err(too_large(format!("the page would have {}, more than 3 MB", crate::number::bytes(size as f64))))
}

fn too_large(message: String) -> Diagnostic {
    Diagnostic::error("E1026", message).help("make several pages: one of each file of results")
}

struct Page<'r> {
    results: &'r Results,
    options: &'r PageOptions,
    detail: Detail,
    figures: Figures,
}

/// A part of the page under its own head.
struct Section {
    id: &'static str,
    title: &'static str,
    body: Vec<Element>,
}

impl Page<'_> {
    fn compose(mut self) -> String {
        let parts: [fn(&mut Page) -> Option<Section>; 15] = [
            headline::section,
            frameworks::section,
            models::section,
            scaling::section,
            server::section,
            styles::section,
            costs::start,
            costs::memory,
            warm_up::section,
            learning::section,
            kernels::roofline,
            kernels::lines,
            correctness::section,
            refused::section,
            compiler::section,
        ];
        let mut sections: Vec<Section> = parts.iter().filter_map(|part| part(&mut self)).collect();
        sections.push(environment::method(&self));
        sections.extend(environment::section(&self));
        let title = self.options.title.clone().unwrap_or_else(|| self.title());
        let links = sections.iter().map(|section| {
            el("li").child(el("a").attr("href", format!("#{}", section.id)).text(section.title))
        });
        let mut header = el("header").child(el("h1").text(title.clone()));
        header = header.child(el("p").class("faint").text(self.subtitle()));
        header = header
            .children(self.results.notes.iter().map(|note| el("p").class("warning").text(note.clone())));
        header = header.child(el("nav").attr("aria-label", "Sections").child(el("ul").children(links)));
        let main = el("main").children(sections.into_iter().map(|section| {
            el("section")
                .attr("aria-labelledby", section.id)
                .child(el("h2").id(section.id).text(section.title))
                .children(section.body)
        }));
        document(&title, [header, main])
    }

    fn title(&self) -> String {
        // Those that have a time somewhere.
        let timed = self.results.measured.iter().filter(|one| !one.is_ours() && one.seconds().is_some());
        let others = timed.map(|one| one.arm.arm.as_str()).collect::<std::collections::BTreeSet<_>>().len();
        match others {
            0 => "dlc: how fast it is".into(),
            _ => format!("dlc beside {}", crate::number::counted(others, "other framework")),
        }
    }

    fn subtitle(&self) -> String {
        let mut parts = Vec::new();
        if let Some(environment) = self.results.environments.last() {
            let word =
                |key: &str| environment.all.get(key).and_then(|value| value.as_str()).map(str::to_string);
            parts.extend(word("cpu"));
            parts.extend(environment.date.as_ref().map(|date| format!("measured {date}")));
            parts.extend(environment.commit.as_ref().map(|commit| format!("commit {commit}")));
        }
        parts.push(crate::number::counted(self.results.models().len(), "model"));
        parts.push(crate::number::counted(self.results.measured.len(), "row"));
        parts.join(" · ")
    }

    fn figure(&mut self, figure: Figure) -> Element {
        self.figures.add(figure)
    }
}

/// Everything around the content.
pub(crate) fn document(title: &str, content: impl IntoIterator<Item = Element>) -> String {
    let head = el("head")
        .child(el("meta").attr("charset", "utf-8"))
        .child(el("meta").attr("name", "viewport").attr("content", "width=device-width, initial-scale=1"))
        .child(el("meta").attr("name", "color-scheme").attr("content", "light dark"))
        .child(el("title").text(title))
        .child(el("style").markup(include_str!("style.css").to_string()));
    let footer = el("footer").child(el("p").text(
        "Made by dlc. The page stands by itself: it loads nothing and runs nothing. Below each figure are its data and \
         the command that measures it anew.",
    ));
    el("html").attr("lang", "en").child(head).child(el("body").children(content).child(footer)).document()
}

/// A paragraph.
pub(crate) fn p(text: impl Into<String>) -> Element {
    el("p").text(text)
}

/// Behind the title of a chart that leaves some out.
fn more(count: usize) -> String {
    if count > 0 { format!(" ({count} more in the table)") } else { String::new() }
}

/// Figures side by side where there is room.
pub(crate) fn grid(figures: Vec<Element>) -> Element {
    el("div").class(if figures.len() == 1 { "alone" } else { "figures" }).children(figures)
}

//! A strict check of pages: HTML as parsers want it, and what people and machines need beyond that.

use html5ever::{ParseOpts, parse_document, tendril::TendrilSink};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use std::collections::BTreeSet;

/// Panics with the first fault.
pub fn check(page: &str) {
    let dom = parse_document(RcDom::default(), ParseOpts::default()).one(page);
    assert_eq!(dom.errors.borrow().as_slice(), &[] as &[std::borrow::Cow<str>]);
    let mut seen = Seen::default();
    walk(&dom.document, &mut seen);
    for target in &seen.targets {
        assert!(seen.ids.contains(target), "nothing has the id {target}");
    }
    assert!(seen.title && seen.language, "a page has a title and a language");
    assert_eq!(seen.headings.iter().filter(|level| **level == 1).count(), 1, "one h1");
    let mut before = 0;
    for level in &seen.headings {
        assert!(*level <= before + 1, "h{level} follows h{before}");
        before = *level;
    }
    let lower = page.to_ascii_lowercase();
    for word in ["http", "<script", "url(", "@import", "<link", "<iframe"] {
        assert!(!lower.contains(word), "{word} in the page");
    }
}

#[derive(Default)]
struct Seen {
    ids: BTreeSet<String>,
    targets: Vec<String>,
    headings: Vec<u8>,
    title: bool,
    language: bool,
}

const ELEMENTS: &[&str] = &[
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "main",
    "nav",
    "footer",
    "section",
    "div",
    "h1",
    "h2",
    "h3",
    "p",
    "ul",
    "li",
    "dl",
    "dt",
    "dd",
    "a",
    "span",
    "strong",
    "figure",
    "figcaption",
    "svg",
    "desc",
    "path",
    "text",
    "details",
    "summary",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "pre",
    "code",
];

const ATTRIBUTES: &[&str] = &[
    "lang",
    "charset",
    "name",
    "content",
    "id",
    "class",
    "role",
    "aria-label",
    "aria-labelledby",
    "aria-hidden",
    "tabindex",
    "href",
    "download",
    "scope",
    "viewBox",
    "font-size",
    "d",
    "stroke-width",
    "opacity",
    "x",
    "y",
    "text-anchor",
    "transform",
];

fn walk(handle: &Handle, seen: &mut Seen) {
    if let NodeData::Element { name, attrs, .. } = &handle.data {
        let tag = name.local.to_string();
        assert!(ELEMENTS.contains(&tag.as_str()), "<{tag}>");
        let attrs = attrs.borrow();
        let attr = |name: &str| {
            attrs.iter().find(|attr| &*attr.name.local == name).map(|attr| attr.value.to_string())
        };
        for attr in attrs.iter() {
            assert!(ATTRIBUTES.contains(&&*attr.name.local), "{} of <{tag}>", attr.name.local);
        }
        if let Some(id) = attr("id") {
            assert!(
                !id.is_empty() && !id.contains(' ') && seen.ids.insert(id.clone()),
                "the id {id} comes twice"
            );
        }
        let named = ["aria-labelledby", "aria-describedby"].into_iter().filter_map(attr);
        seen.targets.extend(named.flat_map(|ids| ids.split(' ').map(String::from).collect::<Vec<_>>()));
        let children = handle.children.borrow();
        let has = |child: &str| {
            children
                .iter()
                .any(|node| matches!(&node.data, NodeData::Element { name, .. } if &*name.local == child))
        };
        match tag.as_str() {
            "h1" | "h2" | "h3" => seen.headings.push(tag.as_bytes()[1] - b'0'),
            "html" => seen.language = attr("lang").is_some_and(|language| language == "en"),
            "title" => seen.title |= !text(handle).trim().is_empty(),
            "a" => {
                let target = attr("href").unwrap();
                match target.strip_prefix('#') {
                    Some(id) => seen.targets.push(id.into()),
                    None => {
                        assert!(target.starts_with("data:text/csv") && attr("download").is_some(), "{target}")
                    }
                }
            }
            "svg" if attr("aria-hidden").is_none() => {
                assert!(
                    has("title") && has("desc") && attr("role").as_deref() == Some("img"),
                    "a chart without words"
                );
            }
            "figure" => {
                assert!(
                    has("figcaption") && has("svg") && has("details"),
                    "a figure without caption, chart or data"
                );
                let inside = everything(handle);
                let count = |tag: &str| inside.iter().filter(|found| *found == tag).count();
                assert_eq!(
                    (count("table"), count("pre"), count("a")),
                    (1, 1, 1),
                    "table, command and file of a figure"
                );
            }
            "table" => {
                assert!(has("caption") && has("thead") && has("tbody"), "a table without caption or head")
            }
            "th" => assert!(attr("scope").is_some(), "th without scope"),
            "tr" => {
                let cells: Vec<bool> =
                    children.iter().map(|cell| matches!(&cell.data, NodeData::Element { .. })).collect();
                assert!(!cells.is_empty());
            }
            _ => {}
        }
    }
    if !matches!(&handle.data, NodeData::Element { name, .. } if &*name.local == "style") {
        handle.children.borrow().iter().for_each(|child| walk(child, seen));
    }
}

/// Names of all elements below.
fn everything(handle: &Handle) -> Vec<String> {
    let mut names = Vec::new();
    for child in handle.children.borrow().iter() {
        if let NodeData::Element { name, .. } = &child.data {
            names.push(name.local.to_string());
        }
        names.extend(everything(child));
    }
    names
}

fn text(handle: &Handle) -> String {
    let mut words = String::new();
    for child in handle.children.borrow().iter() {
        if let NodeData::Text { contents } = &child.data {
            words.push_str(&contents.borrow());
        }
    }
    words
}

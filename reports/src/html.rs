//! HTML as a tree: whatever the texts hold, elements are closed and texts are escaped.

use std::fmt::Write;

/// An element with its attributes and children.
#[derive(Clone, Debug, Default)]
pub struct Element {
    tag: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Element(Element),
    Text(String),
    /// Markup of this crate's own making: charts and the style sheet.
    Markup(String),
}

/// Elements without content or end.
const VOID: &[&str] = &["meta", "link", "br", "hr", "img", "col"];

/// Their end also ends a line of the file, so that people and programs can compare pages.
const ENDS_LINE: &[&str] = &[
    "html",
    "head",
    "body",
    "title",
    "style",
    "header",
    "main",
    "nav",
    "footer",
    "section",
    "div",
    "h1",
    "h2",
    "h3",
    "h4",
    "p",
    "ul",
    "ol",
    "li",
    "dl",
    "dt",
    "dd",
    "figure",
    "figcaption",
    "svg",
    "details",
    "summary",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "pre",
];

/// An empty element of that name.
pub fn el(tag: &'static str) -> Element {
    Element { tag, ..Element::default() }
}

impl Element {
    #[must_use]
    pub fn attr(mut self, name: &'static str, value: impl Into<String>) -> Element {
        self.attributes.push((name, value.into()));
        self
    }

    #[must_use]
    pub fn class(self, name: impl Into<String>) -> Element {
        self.attr("class", name)
    }

    #[must_use]
    pub fn id(self, name: impl Into<String>) -> Element {
        self.attr("id", name)
    }

    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Element {
        self.children.push(Node::Text(text.into()));
        self
    }

    #[must_use]
    pub fn child(mut self, child: Element) -> Element {
        self.children.push(Node::Element(child));
        self
    }

    #[must_use]
    pub fn children(mut self, children: impl IntoIterator<Item = Element>) -> Element {
        self.children.extend(children.into_iter().map(Node::Element));
        self
    }

    /// What is markup already.
    #[must_use]
    pub(crate) fn markup(mut self, markup: String) -> Element {
        self.children.push(Node::Markup(markup));
        self
    }

    /// Before the other children.
    #[must_use]
    pub fn first(mut self, child: Element) -> Element {
        self.children.insert(0, Node::Element(child));
        self
    }

    /// A whole page with this as its root.
    pub fn document(&self) -> String {
        let mut page = String::from("<!doctype html>\n");
        self.write(&mut page);
        page
    }

    fn write(&self, out: &mut String) {
        let _ = write!(out, "<{}", self.tag);
        for (name, value) in &self.attributes {
            let _ = write!(out, " {name}=\"");
            escape_to(out, value);
            out.push('"');
        }
        out.push('>');
        if VOID.contains(&self.tag) {
            out.push('\n');
            return;
        }
        for child in &self.children {
            match child {
                Node::Element(element) => element.write(out),
                Node::Text(text) => escape_to(out, text),
                Node::Markup(markup) => out.push_str(markup),
            }
        }
        let _ = write!(out, "</{}>", self.tag);
        if ENDS_LINE.contains(&self.tag) {
            out.push('\n');
        }
    }
}

/// Text as markup shows it, also within an attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    escape_to(&mut escaped, text);
    escaped
}

/// No name of a protocol stands in a page, not even where a text speaks of one: who searches the file for addresses
/// finds none. What is not to be seen, or would turn its neighbours around, is shown as a replacement.
fn escape_to(out: &mut String, text: &str) {
    for (at, character) in text.char_indices() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            'h' | 'H' if begins_protocol(&text[at..]) => {
                let _ = write!(out, "&#{};", character as u32);
            }
            '\n' | '\t' => out.push(character),
            other if is_hidden(other) => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
}

pub(crate) fn begins_protocol(text: &str) -> bool {
    text.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("http"))
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(character, '\u{feff}' | '\u{fdd0}'..='\u{fdef}')
        || character as u32 & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_texts() {
        let page = el("p").attr("title", "a\"b").text("</p><script>&\u{202e}x\u{0} see HTTPS:").document();
        assert_eq!(
            page,
            "<!doctype html>\n<p title=\"a&quot;b\">&lt;/p&gt;&lt;script&gt;&amp;\u{fffd}x\u{fffd} see &#72;TTPS:</p>\n"
        );
    }
}

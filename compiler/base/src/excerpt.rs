//! What is shown of a file: very long lines keep only the parts around labels, so that a message stays a page.

use crate::Span;

/// Bytes of a line that are shown whole.
const LONG_LINE: usize = 240;
/// Bytes kept on either side of a label's ends in a longer one.
const MARGIN: usize = 60;

/// A text with the middles of long lines left out.
pub struct Excerpt {
    pub text: String,
    /// Parts of the original that are left out, ascending; each is replaced by `…`.
    cuts: Vec<(usize, usize)>,
}

impl Excerpt {
    pub fn new(text: &str, spans: &[Span]) -> Excerpt {
        let mut cuts = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let end = start + line.trim_end_matches(['\n', '\r']).len();
            if end - start > LONG_LINE {
                cut_line(text, start, end, spans, &mut cuts);
            }
            start += line.len();
        }
        let mut shown = String::new();
        let mut position = 0;
        for (from, to) in &cuts {
            shown.push_str(text.get(position..*from).unwrap_or(""));
            shown.push('…');
            position = *to;
        }
        shown.push_str(text.get(position..).unwrap_or(""));
        Excerpt { text: shown, cuts }
    }

    /// Where a byte of the original stands; the mark of the cut, if it was left out.
    pub fn offset(&self, original: usize) -> usize {
        let mut removed = 0;
        let mut added = 0;
        for (from, to) in &self.cuts {
            if original < *from {
                break;
            }
            if original < *to {
                return from - removed + added;
            }
            removed += to - from;
            added += '…'.len_utf8();
        }
        original - removed + added
    }
}

/// Leaves out what no label touches or nears. A long label keeps its two ends.
fn cut_line(text: &str, start: usize, end: usize, spans: &[Span], cuts: &mut Vec<(usize, usize)>) {
    let mut kept: Vec<(usize, usize)> = Vec::new();
    for span in spans {
        for place in [span.lo as usize, span.hi as usize] {
            if (start..=end).contains(&place) {
                kept.push((place.saturating_sub(MARGIN).max(start), (place + MARGIN).min(end)));
            }
        }
    }
    if kept.is_empty() {
        kept.push((start, start + MARGIN));
    }
    kept.sort_unstable();
    let mut position = start;
    for (from, to) in kept {
        push_cut(text, position, from, cuts);
        position = position.max(to);
    }
    push_cut(text, position, end, cuts);
}

fn push_cut(text: &str, from: usize, to: usize, cuts: &mut Vec<(usize, usize)>) {
    let boundary = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at += 1;
        }
        at
    };
    if to > from {
        let (from, to) = (boundary(from), boundary(to));
        if to > from + MARGIN / 4 {
            cuts.push((from, to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileId;

    #[test]
    fn long_lines_keep_the_surroundings_of_labels() {
        let text = format!("short\n{}x{}\nend", "é".repeat(500), "b".repeat(5000));
        let x = text.find('x').unwrap();
        let excerpt = Excerpt::new(&text, &[Span::new(FileId(0), x, x + 1)]);
        assert!(excerpt.text.len() < 400);
        assert_eq!(&excerpt.text[excerpt.offset(x)..=excerpt.offset(x)], "x");
        assert_eq!(&excerpt.text[excerpt.offset(text.len() - 3)..], "end");
        assert!(excerpt.text.is_char_boundary(excerpt.offset(6 + 200)));
    }

    #[test]
    fn other_texts_are_shown_as_they_are() {
        let text = "a\nb\r\n";
        let excerpt = Excerpt::new(text, &[]);
        assert_eq!(excerpt.text, text);
        assert_eq!(excerpt.offset(3), 3);
    }
}

//! The canonical form of a text: spacing, indentation, blank lines, separators and runs of aligned `=`.
//! It works on tokens, so nothing is lost: comments stay where they are, and the tree stays what it was.
//! Kept from the author: where a line breaks, one blank line between statements, which blocks stand on one line.

use crate::{
    lex::{self, Comment, Lexed, Token},
    parse::parse,
    token::TokenKind::{self, *},
};
use base::{Diagnostic, SourceFile};

const INDENT: usize = 4;

/// The text as it should be written; what is wrong with it where it does not parse.
pub fn format(source: &SourceFile) -> Result<std::string::String, Vec<Diagnostic>> {
    let (_, errors) = parse(source);
    if base::has_errors(&errors) {
        return Err(errors);
    }
    let lexed = lex::lex(&source.text, source.id);
    let mut printer = Printer {
        text: &source.text,
        tokens: &lexed.tokens,
        lines: Vec::new(),
        open: Vec::new(),
        last_end: 0,
        last: None,
        head: None,
    };
    printer.print(&lexed);
    Ok(printer.finish())
}

struct Line {
    indent: usize,
    text: std::string::String,
    blank_before: bool,
    /// Of a statement's first `=` or `<-`: characters before it here, and its column in the source.
    binding: Option<(usize, usize)>,
}

struct Open {
    kind: TokenKind,
    /// The line it stands on.
    line: usize,
    /// A line break follows it, so one comes before its partner.
    broken: bool,
    /// The brackets of `sum[i, j]`, after which no operand has ended.
    reduction: bool,
}

#[derive(Clone, Copy)]
struct Last {
    kind: TokenKind,
    /// An operand ends here, so that `-` is binary and `(` a call.
    operand: bool,
    /// A sign, which clings to what follows.
    sign: bool,
}

struct Printer<'a> {
    text: &'a str,
    tokens: &'a [Token],
    lines: Vec<Line>,
    open: Vec<Open>,
    /// Where the last token or comment ends in the source.
    last_end: usize,
    last: Option<Last>,
    /// The line on which the item begins, until an `=` of its own: where the body of a longer head belongs.
    head: Option<usize>,
}

impl Printer<'_> {
    fn print(&mut self, lexed: &Lexed) {
        let mut comments = lexed.comments.iter().peekable();
        let partners = partners(self.tokens);
        let mut after_comment = false;
        for (at, &token) in self.tokens.iter().enumerate() {
            while let Some(comment) = comments.next_if(|comment| comment.lo < token.lo) {
                self.comment(comment, at);
                after_comment = true;
            }
            match token.kind {
                LineEnd => self.line_end(),
                ItemEnd => self.last = Some(Last { kind: ItemEnd, operand: false, sign: false }),
                Comma if self.is_idle_comma(at, comments.peek().copied()) => {}
                _ => {
                    let partner = partners[at];
                    self.token(at, token, after_comment, partner);
                    after_comment = false;
                }
            }
        }
        for comment in comments {
            self.comment(comment, self.tokens.len());
        }
    }

    fn finish(mut self) -> std::string::String {
        self.align();
        let mut out = std::string::String::new();
        for (at, line) in self.lines.iter().enumerate() {
            if line.blank_before && at > 0 {
                out.push('\n');
            }
            out.extend(std::iter::repeat_n(' ', line.indent));
            out.push_str(line.text.trim_end());
            out.push('\n');
        }
        out
    }

    // ---- elements

    fn token(&mut self, at: usize, token: Token, after_comment: bool, partner: usize) {
        let kind = token.kind;
        let written_break = self.text[self.last_end..token.lo].contains('\n');
        let closing = if kind.is_close() { self.open.pop() } else { None };
        let breaks = after_comment
            || match (self.last, &closing) {
                (None, _) => true,
                (_, Some(open)) => open.broken && self.last.is_some_and(|last| last.kind != open.kind),
                (Some(last), None) => match last.kind {
                    ItemEnd => true,
                    LineEnd => self.innermost_broken(),
                    OpenBrace | OpenRecord => self.innermost_broken(),
                    _ if matches!(kind, OpenBrace | OpenRecord | Else) => false,
                    _ => written_break,
                },
            };
        let sign = kind == Minus && !self.last.is_some_and(|last| last.operand);
        if breaks {
            let indent = self.indent_of(kind, closing.as_ref());
            let blank = self.blank_before(at, token.lo);
            self.start_line(indent, blank);
        } else if self.space_before(kind, closing.as_ref()) {
            self.current().text.push(' ');
        }
        if matches!(kind, Equals | LeftArrow)
            && self.binds(at)
            && let Some(column) = self.column(token.lo)
        {
            let line = self.current();
            line.binding.get_or_insert((line.text.trim_end().chars().count(), column));
        }
        if self.last.is_none_or(|last| last.kind == ItemEnd) {
            self.head = Some(self.lines.len().saturating_sub(1));
        } else if kind == Equals && self.open.is_empty() {
            self.head = None;
        }
        let spelling = &self.text[token.lo..token.hi];
        self.current().text.push_str(spelling);
        self.last_end = token.hi;
        if kind.is_open() {
            let inner = &self.text[token.hi..self.tokens[partner].lo];
            let broken = match kind {
                OpenBrace | OpenRecord => inner.contains('\n') && (partner > at + 1 || inner.contains("//")),
                _ => {
                    let before = &inner[..inner.len() - inner.trim_start_matches(is_blank).len()];
                    before.contains('\n') || self.comment_follows(token.hi)
                }
            };
            let reduction = self.last.is_some_and(|last| last.kind == Reduction);
            let body = if kind == OpenBrace && self.open.is_empty() { self.head } else { None };
            let line = body.unwrap_or(self.lines.len() - 1);
            self.open.push(Open { kind, line, broken, reduction });
        }
        let operand = kind.ends_operand() && !closing.is_some_and(|open| open.reduction)
            || matches!(kind, CloseRecord | CloseImports);
        self.last = Some(Last { kind, operand, sign });
    }

    fn comment(&mut self, comment: &Comment, next: usize) {
        let text = self.text[comment.lo..comment.hi].trim_end();
        if comment.own_line || self.lines.is_empty() {
            let closed = self.last.is_none_or(|last| {
                // Entries of a record end with either.
                let ends = matches!(last.kind, LineEnd | ItemEnd) || last.kind == Comma && self.in_record();
                ends || last.kind.is_open()
            });
            let indent = match self.open.last() {
                Some(open) => {
                    let inside = self.lines[open.line].indent + INDENT;
                    let goes_on = matches!(open.kind, OpenBrace | OpenRecord) && !closed;
                    if goes_on && !self.tokens.get(next).is_some_and(|token| token.kind.is_close()) {
                        inside + INDENT
                    } else {
                        inside
                    }
                }
                None if closed => 0,
                None => INDENT,
            };
            let blank = self.blank_before(next, comment.lo);
            self.start_line(indent, blank);
        } else {
            self.current().text.push_str("  ");
        }
        self.current().text.push_str(text);
        self.last_end = comment.hi;
    }

    /// A statement ends; on one line with the next, a mark stands between.
    fn line_end(&mut self) {
        let mark = match self.open.last() {
            Some(open) if open.kind == OpenRecord => ",",
            Some(open) if !open.broken => ";",
            _ => "",
        };
        if !mark.is_empty() {
            self.current().text.push_str(mark);
        }
        self.last = Some(Last { kind: LineEnd, operand: false, sign: false });
    }

    /// A comma before a closing bracket on the same line says nothing.
    fn is_idle_comma(&self, at: usize, comment: Option<&Comment>) -> bool {
        let Some(close) = self.tokens.get(at + 1).filter(|next| next.kind.is_close()) else { return false };
        comment.is_none_or(|comment| comment.lo >= close.lo) && !self.innermost_broken()
    }

    // ---- lines

    fn start_line(&mut self, indent: usize, blank_before: bool) {
        self.lines.push(Line { indent, text: std::string::String::new(), blank_before, binding: None });
    }

    fn current(&mut self) -> &mut Line {
        if self.lines.is_empty() {
            self.start_line(0, false);
        }
        let last = self.lines.len() - 1;
        &mut self.lines[last]
    }

    fn innermost_broken(&self) -> bool {
        self.open.last().is_none_or(|open| open.broken)
    }

    fn comment_follows(&self, at: usize) -> bool {
        self.text[at..].trim_start_matches(is_blank).starts_with("//")
    }

    fn indent_of(&self, kind: TokenKind, closing: Option<&Open>) -> usize {
        if let Some(open) = closing {
            return self.lines[open.line].indent;
        }
        let starts =
            self.last.is_none_or(|last| matches!(last.kind, LineEnd | ItemEnd) || last.kind.is_open());
        let goes_on = !starts && !matches!(kind, OpenBrace | OpenRecord | Else);
        match self.open.last() {
            None if goes_on => INDENT,
            None => 0,
            Some(open) => {
                let inside = self.lines[open.line].indent + INDENT;
                if goes_on && open.kind == OpenBrace { inside + INDENT } else { inside }
            }
        }
    }

    /// Whether a blank line stands before what begins at `lo`, which is the token `at` or a comment before it.
    fn blank_before(&self, at: usize, lo: usize) -> bool {
        let written = self.text[self.last_end..lo].matches('\n').count() > 1;
        let Some(last) = self.last else { return written && !self.lines.is_empty() };
        match last.kind {
            // Entries of a record end with either.
            LineEnd | Comma if last.kind == LineEnd || self.in_record() => {
                written && !self.tokens.get(at).is_some_and(|token| token.kind.is_close())
            }
            ItemEnd => {
                let fresh = self.tokens[..at].iter().rev().find(|token| token.hi > token.lo);
                let first =
                    fresh.is_some_and(|token| token.hi == self.last_end) || !self.own_comment_before();
                written || (first && self.items_differ(at))
            }
            _ => false,
        }
    }

    fn in_record(&self) -> bool {
        self.open.last().is_some_and(|open| open.kind == OpenRecord)
    }

    /// Whether the last line is a comment of its own.
    fn own_comment_before(&self) -> bool {
        self.lines.last().is_some_and(|line| line.text.starts_with("//"))
    }

    /// Whether the items before and at token `at` are no pair of one-line items of one kind.
    fn items_differ(&self, at: usize) -> bool {
        let Some(next) = self.tokens.get(at).map(|token| token.kind) else { return false };
        let ends = |token: &Token| token.kind == ItemEnd;
        let end = self.tokens[..at].iter().rposition(ends).unwrap_or(0);
        let start = self.tokens[..end].iter().rposition(ends).map_or(0, |before| before + 1);
        let previous = self.tokens.get(start).map(|token| token.kind);
        previous != Some(next) || !matches!(next, Use | Const)
    }

    // ---- spacing

    fn space_before(&self, kind: TokenKind, closing: Option<&Open>) -> bool {
        let Some(last) = self.last else { return false };
        if last.kind == Comma || last.kind == LineEnd {
            return !matches!(kind, CloseParen | CloseBracket | CloseImports);
        }
        if let Some(open) = closing {
            return matches!(open.kind, OpenBrace | OpenRecord) && last.kind != open.kind;
        }
        let in_subscript = self.open.last().is_some_and(|open| open.kind == OpenBracket);
        if last.sign || matches!(last.kind, OpenParen | OpenBracket | OpenImports | Dot | DotDot) {
            return false;
        }
        match kind {
            Comma | Dot | Semicolon | TypeColon => false,
            DotDot => !last.operand,
            Colon => false,
            OpenParen => !(last.operand || last.kind == Repeat),
            OpenBracket => !(last.operand || last.kind == Reduction),
            OpenImports => false,
            _ => !(last.kind == Colon && in_subscript),
        }
    }

    // ---- alignment

    /// Whether the sign at `at` is the one of its statement: nothing but a name, names or a name with brackets before it.
    fn binds(&self, at: usize) -> bool {
        let starts = |token: &Token| matches!(token.kind, LineEnd | OpenBrace);
        if !self.open.last().is_some_and(|open| open.kind == OpenBrace && open.broken) {
            return false;
        }
        let near = &self.tokens[at.saturating_sub(60)..at];
        near.iter().rposition(starts).is_some_and(|start| {
            near[start + 1..].iter().all(|token| !matches!(token.kind, Equals | LeftArrow | OpenRecord))
        })
    }

    /// The column in the source; none far to the right, where nothing is aligned.
    fn column(&self, at: usize) -> Option<usize> {
        let from = at.saturating_sub(1000);
        match self.text.as_bytes()[from..at].iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => Some(self.text[from + newline + 1..at].chars().count()),
            None if from == 0 => Some(self.text[..at].chars().count()),
            None => None,
        }
    }

    /// In a run of lines whose signs stand in one column, they stand in one column again.
    fn align(&mut self) {
        let mut start = 0;
        while start < self.lines.len() {
            let Some((_, column)) = self.lines[start].binding else {
                start += 1;
                continue;
            };
            let indent = self.lines[start].indent;
            let mut end = start + 1;
            while let Some(line) = self.lines.get(end) {
                let same = line.indent == indent && line.binding.is_some_and(|(_, other)| other == column);
                if !same || line.blank_before {
                    break;
                }
                end += 1;
            }
            let run = &mut self.lines[start..end];
            let width = run.iter().filter_map(|line| line.binding).map(|(width, _)| width).max().unwrap_or(0);
            for line in run {
                if let Some((own, _)) = line.binding {
                    let place = line.text.char_indices().nth(own).map_or(line.text.len(), |(place, _)| place);
                    line.text.insert_str(place, &" ".repeat(width - own));
                }
            }
            start = end;
        }
    }
}

/// What the lexer skips, and ends of lines.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// For each opening bracket, the token that closes it.
fn partners(tokens: &[Token]) -> Vec<usize> {
    let mut partners: Vec<usize> = (0..tokens.len()).collect();
    let mut open = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.kind.is_open() {
            open.push(at);
        } else if token.kind.is_close()
            && let Some(start) = open.pop()
        {
            partners[start] = at;
        }
    }
    partners
}

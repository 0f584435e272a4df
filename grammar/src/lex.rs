//! Text → the tokens that the grammar reads, in two passes: logos cuts words, [`Filter`] judges them by what stands around them.
//! What the grammar may rely on: brackets are balanced and nest to [`MAX_NESTING`]; every `LineEnd` and `ItemEnd` really ends
//! something; a keyword token is a keyword. Mistakes with brackets are mended here, and reported once.

use crate::{
    error,
    token::TokenKind::{self, *},
};
use base::{Diagnostic, FileId, Span};
use logos::Logos;

/// How deep brackets may nest.
pub const MAX_NESTING: usize = 200;

/// How many words a guess about what was meant looks ahead, so that time stays linear.
const NEAR: usize = 200;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub lo: usize,
    pub hi: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Comment {
    pub lo: usize,
    pub hi: usize,
    /// Nothing but blanks and idle `;` before it on its line.
    pub own_line: bool,
}

/// A token as logos cut it, with its place on its line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    pub kind: TokenKind,
    pub lo: usize,
    pub hi: usize,
    pub first_on_line: bool,
    column: usize,
    /// The column where its line begins.
    indent: usize,
    spaced: bool,
}

pub(crate) struct Lexed {
    pub words: Vec<Word>,
    pub comments: Vec<Comment>,
    pub tokens: Vec<Token>,
    /// For each token, the innermost statement that it is part of.
    pub statements: Vec<u32>,
    pub errors: Vec<Diagnostic>,
}

pub(crate) fn lex(text: &str, file: FileId) -> Lexed {
    let mut lexed = Lexed {
        words: Vec::new(),
        comments: Vec::new(),
        tokens: Vec::new(),
        statements: Vec::new(),
        errors: Vec::new(),
    };
    cut(text, file, &mut lexed);
    let words = std::mem::take(&mut lexed.words);
    let mut filter = Filter {
        text,
        file,
        words: &words,
        balanced: is_balanced(&words),
        out: lexed,
        open: Vec::new(),
        statement: vec![0],
        next_statement: 1,
        suspect: None,
        told: None,
    };
    let mut at = 0;
    while at < words.len() {
        at = filter.step(at);
    }
    filter.close_all();
    filter.end_line();
    let mut lexed = filter.out;
    lexed.words = words;
    lexed
}

/// The first pass: words, comments, and what is neither.
fn cut(text: &str, file: FileId, lexed: &mut Lexed) {
    let (mut first, mut line, mut indent) = (true, 0, 0);
    // A `;` that ends nothing is not written again.
    let mut idle = true;
    let mut unknown: Option<(usize, usize)> = None;
    for (result, range) in TokenKind::lexer(text).spanned() {
        let (lo, hi) = (range.start, range.end);
        let Ok(mut kind) = result else {
            // neighbours are one mistake
            match &mut unknown {
                Some((_, end)) if *end == lo => *end = hi,
                _ => {
                    report_unknown(text, file, unknown.replace((lo, hi)), lexed);
                }
            }
            continue;
        };
        let span = Span::new(file, lo, hi);
        match kind {
            Newline => {
                (first, idle, line) = (true, true, hi);
                continue;
            }
            Comment => {
                lexed.comments.push(self::Comment { lo, hi, own_line: idle });
                continue;
            }
            OpenString => {
                lexed.errors.push(error::open_string(span));
                kind = String;
            }
            QuotedString => {
                lexed.errors.push(error::quoted_string(span));
                kind = String;
            }
            _ => {}
        }
        let spaced = text[hi..].starts_with([' ', '\t', '\r', '\n']);
        if first {
            indent = lo - line;
        }
        lexed.words.push(Word { kind, lo, hi, first_on_line: first, column: lo - line, indent, spaced });
        first = false;
        idle &= kind == Semicolon;
    }
    report_unknown(text, file, unknown, lexed);
}

fn report_unknown(text: &str, file: FileId, unknown: Option<(usize, usize)>, lexed: &mut Lexed) {
    if let Some((lo, hi)) = unknown {
        lexed.errors.push(error::unknown_text(Span::new(file, lo, hi), &text[lo..hi]));
    }
}

fn is_balanced(words: &[Word]) -> bool {
    let mut open = Vec::new();
    for word in words {
        if word.kind.is_open() {
            open.push(word.kind.closer());
        } else if word.kind.is_close() && open.pop() != Some(word.kind) {
            return false;
        }
    }
    open.is_empty()
}

/// A bracket that is open: which word, and as what it was passed on.
#[derive(Clone, Copy)]
struct Open {
    word: usize,
    kind: TokenKind,
}

/// The second pass.
struct Filter<'a> {
    text: &'a str,
    file: FileId,
    words: &'a [Word],
    /// Only where brackets do not match is the look of lines allowed to say what was meant.
    balanced: bool,
    out: Lexed,
    open: Vec<Open>,
    /// The statements that the place is inside of, innermost last.
    statement: Vec<u32>,
    next_statement: u32,
    /// A brace whose `}` stands under another line than its own: where one was probably forgotten.
    suspect: Option<usize>,
    /// The statement in which brackets were last reported: once is enough.
    told: Option<u32>,
}

impl Filter<'_> {
    fn step(&mut self, at: usize) -> usize {
        let word = self.words[at];
        if word.first_on_line {
            if !self.balanced {
                self.guess(at);
            }
            self.line_break(at);
        }
        match word.kind {
            Semicolon => {
                if matches!(self.inside(), None | Some(OpenBrace)) {
                    self.end_line();
                } else {
                    self.emit(word, Semicolon);
                }
            }
            kind if kind.is_open() => return self.open(at),
            CloseBrace => self.close_brace(at),
            CloseParen | CloseBracket => self.close(at),
            _ => self.emit(word, self.classify(at)),
        }
        at + 1
    }

    fn emit(&mut self, word: Word, kind: TokenKind) {
        self.push(kind, word.lo, word.hi);
    }

    fn push(&mut self, kind: TokenKind, lo: usize, hi: usize) {
        self.out.tokens.push(Token { kind, lo, hi });
        self.out.statements.push(self.current_statement());
    }

    fn last(&self) -> Option<TokenKind> {
        self.out.tokens.last().map(|token| token.kind)
    }

    fn inside(&self) -> Option<TokenKind> {
        self.open.last().map(|open| open.kind)
    }

    fn kind_at(&self, at: usize) -> Option<TokenKind> {
        self.words.get(at).map(|word| word.kind)
    }

    fn span(&self, at: usize) -> Span {
        Span::new(self.file, self.words[at].lo, self.words[at].hi)
    }

    fn spelling(&self, at: usize) -> &str {
        &self.text[self.words[at].lo..self.words[at].hi]
    }

    fn current_statement(&self) -> u32 {
        self.statement.last().copied().unwrap_or(0)
    }

    fn fresh_statement(&mut self) {
        let fresh = self.next_statement;
        self.next_statement += 1;
        if let Some(current) = self.statement.last_mut() {
            *current = fresh;
        }
    }

    fn report(&mut self, error: Diagnostic) {
        if self.told != Some(self.current_statement()) {
            self.told = Some(self.current_statement());
            self.out.errors.push(error);
        }
    }

    // ---- words

    /// Whether a statement, setting or item begins here.
    fn at_start(&self) -> bool {
        matches!(self.last(), None | Some(ItemEnd | LineEnd | OpenBrace))
    }

    /// What a word is at this place.
    fn classify(&self, at: usize) -> TokenKind {
        let kind = self.words[at].kind;
        let next = self.words.get(at + 1);
        let next_kind = next.map(|word| word.kind);
        let prev = self.last();
        let named = next.is_some_and(|word| !word.first_on_line && word.kind.is_name());
        match kind {
            Colon if self.is_type_colon(at) => TypeColon,
            Reduction if next_kind == Some(OpenBracket) && !matches!(prev, Some(Dot | Param | State)) => {
                Reduction
            }
            Reduction => Ident,
            Test if self.at_start() && next_kind == Some(String) => Test,
            From if prev == Some(Ident) && next_kind == Some(String) => From,
            Within if prev.is_some_and(TokenKind::ends_operand) => Within,
            Test | From | Within => Ident,
            kind if kind.is_positional() => {
                if self.at_start() && named {
                    kind
                } else {
                    Ident
                }
            }
            kind if kind.is_reserved() => {
                let begins = matches!(prev, Some(OpenParen | Comma | OpenRecord))
                    || (prev == Some(LineEnd) && self.inside() == Some(OpenRecord));
                let names = prev == Some(Dot) || (begins && next_kind == Some(Colon));
                if names { Ident } else { kind }
            }
            kind => kind,
        }
    }

    /// Whether this colon stands in `name: type = value`: the name begins a statement, `=` follows what looks like a type.
    fn is_type_colon(&self, at: usize) -> bool {
        let [.., before, name] = self.out.tokens.as_slice() else { return false };
        let begins = name.kind == Ident && matches!(before.kind, LineEnd | OpenBrace);
        if !begins
            || self.inside() != Some(OpenBrace)
            || !self.kind_at(at + 1).is_some_and(TokenKind::is_name)
        {
            return false;
        }
        let mut next = at + 2;
        if self.kind_at(next) == Some(OpenBracket) {
            let mut depth = 0usize;
            while let Some(kind) = self.kind_at(next) {
                match kind {
                    OpenBracket | OpenParen => depth += 1,
                    CloseBracket | CloseParen => depth -= 1,
                    OpenBrace | CloseBrace | Equals => return false,
                    _ => {}
                }
                next += 1;
                if depth == 0 || next > at + NEAR {
                    break;
                }
            }
        }
        self.kind_at(next) == Some(Equals)
    }

    // ---- lines

    /// A line begins: does what stood before it end?
    fn line_break(&mut self, at: usize) {
        let word = self.words[at];
        if word.kind == CloseBrace {
            return;
        }
        let goes_on = self.last().is_some_and(TokenKind::leaves_open)
            || (word.kind.goes_on() && !(word.kind == OpenBrace && self.last() == Some(CloseBrace)))
            || (word.kind == Minus && word.spaced)
            || (word.kind == OpenParen
                && self.open.is_empty()
                && matches!(self.last(), Some(Ident | CloseParen)));
        // `name =` never goes on an expression: the line before it was broken off
        let broken_off = self.begins_binding(at)
            && self.last().is_some_and(|last| last.is_binary() || matches!(last, Equals | LeftArrow));
        if !goes_on || broken_off || (self.open.is_empty() && self.begins_item(at)) {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        let end = match self.inside() {
            None => ItemEnd,
            Some(OpenBrace | OpenRecord) => LineEnd,
            Some(_) => return,
        };
        if matches!(self.last(), None | Some(OpenBrace | OpenRecord | LineEnd | ItemEnd)) {
            return;
        }
        let at = self.out.tokens.last().map_or(0, |token| token.hi);
        self.push(end, at, at);
        self.fresh_statement();
    }

    /// The word of an item and a name.
    fn begins_item(&self, at: usize) -> bool {
        self.words[at].kind.begins_item()
            && self
                .words
                .get(at + 1)
                .is_some_and(|next| !next.first_on_line && (next.kind.is_name() || next.kind == String))
    }

    fn begins_binding(&self, at: usize) -> bool {
        self.words[at].kind.is_name() && matches!(self.kind_at(at + 1), Some(Equals | LeftArrow))
    }

    /// In a file whose brackets do not match, a line that looks like a new item or statement closes what is open.
    fn guess(&mut self, at: usize) {
        let word = self.words[at];
        if self.open.is_empty() {
            return;
        }
        if word.column == 0 && self.begins_item(at) {
            self.close_all();
        } else if let Some(brace) = self.open.iter().rposition(|open| open.kind == OpenBrace) {
            let declares =
                matches!(word.kind, Param | State) && self.kind_at(at + 1).is_some_and(TokenKind::is_name);
            if self.begins_binding(at) || declares {
                self.close_down_to(brace + 1);
            }
        }
    }

    // ---- brackets

    fn innermost_brace(&self) -> Option<usize> {
        self.open
            .iter()
            .rposition(|open| open.kind.closer() != CloseParen && open.kind.closer() != CloseBracket)
    }

    fn open(&mut self, at: usize) -> usize {
        let word = self.words[at];
        if self.open.len() >= MAX_NESTING {
            return self.too_deep(at);
        }
        let kind = self.opener(at);
        self.emit(word, kind);
        self.open.push(Open { word: at, kind });
        if matches!(kind, OpenBrace | OpenRecord) {
            self.statement.push(self.next_statement);
            self.next_statement += 1;
        }
        at + 1
    }

    /// What a bracket is at this place: a brace may open a record or a list of imports.
    fn opener(&self, at: usize) -> TokenKind {
        let kind = self.words[at].kind;
        let Some(inside) = self.words.get(at + 1) else { return kind };
        let keyed = inside.kind == CloseBrace || self.kind_at(at + 2) == Some(Colon);
        match (kind, self.last()) {
            (OpenBrace, Some(Colon)) => OpenRecord,
            (OpenBrace, Some(Equals)) if keyed => OpenRecord,
            (OpenBrace, Some(Dot)) => OpenImports,
            _ => kind,
        }
    }

    /// Passes on what closes the innermost bracket.
    fn pop(&mut self, lo: usize, hi: usize) {
        let Some(open) = self.open.pop() else { return };
        if matches!(open.kind, OpenBrace | OpenRecord) {
            if self.last() == Some(LineEnd) {
                self.out.tokens.pop();
                self.out.statements.pop();
            }
            self.statement.pop();
        }
        self.push(open.kind.closer(), lo, hi);
    }

    /// Closes what the source leaves open, until only `keep` brackets are; the outermost of them is reported.
    fn close_down_to(&mut self, keep: usize) {
        let Some(outermost) = self.open.get(keep).copied() else { return };
        let missing = self.suspect.take().unwrap_or(outermost.word);
        let error = error::not_closed(self.span(missing), self.spelling(missing));
        while self.open.len() > keep {
            let end = self.out.tokens.last().map_or(0, |token| token.hi);
            self.pop(end, end);
        }
        self.report(error);
    }

    fn close_all(&mut self) {
        self.close_down_to(0);
    }

    fn close_brace(&mut self, at: usize) {
        let word = self.words[at];
        let Some(brace) = self.innermost_brace() else {
            return self.report(error::nothing_to_close(self.span(at), "}"));
        };
        if brace + 1 < self.open.len() {
            // inside `(` or `[` that the same line still closes, the brace is the one too many
            let closer = self.open[self.open.len() - 1].kind.closer();
            let rest = self.words[at + 1..]
                .iter()
                .take(NEAR)
                .take_while(|next| !next.first_on_line && next.kind != OpenBrace);
            if rest.map(|next| next.kind).any(|kind| kind == closer) {
                return self.report(error::nothing_to_close(self.span(at), "}"));
            }
            self.close_down_to(brace + 1);
        }
        let open = self.open[brace].word;
        if word.first_on_line && self.words[open].indent != word.column {
            self.suspect.get_or_insert(open);
        }
        self.pop(word.lo, word.hi);
    }

    fn close(&mut self, at: usize) {
        let word = self.words[at];
        let within = self.innermost_brace().map_or(0, |brace| brace + 1);
        let partner = self.open[within..].iter().rposition(|open| open.kind.closer() == word.kind);
        if let Some(partner) = partner {
            self.close_down_to(within + partner + 1);
            self.pop(word.lo, word.hi);
        } else if self.open.len() > within || self.brace_meant(at) {
            let open = self.open[self.open.len() - 1];
            self.report(error::wrong_closer(
                self.span(at),
                self.spelling(at),
                self.span(open.word),
                self.spelling(open.word),
            ));
            if self.kind_at(at + 1) != Some(open.kind.closer()) {
                self.pop(word.lo, word.hi);
            }
        } else {
            self.report(error::nothing_to_close(self.span(at), self.spelling(at)));
        }
    }

    /// Whether the innermost bracket is a brace of this line that only this word can close.
    fn brace_meant(&self, at: usize) -> bool {
        let Some(open) = self.open.last() else { return false };
        let same_line =
            at - open.word < NEAR && self.words[open.word + 1..=at].iter().all(|word| !word.first_on_line);
        let rest = self.words[at + 1..].iter().take(NEAR).take_while(|next| !next.first_on_line);
        same_line && !self.balanced && rest.map(|next| next.kind).all(|kind| kind != CloseBrace)
    }

    /// Passes on a hole for a bracket that nests too deeply and all it holds.
    fn too_deep(&mut self, at: usize) -> usize {
        let word = self.words[at];
        let mut depth = 0usize;
        let mut end = at;
        while end < self.words.len() {
            if end > at
                && self.words[end].column == 0
                && self.words[end].first_on_line
                && self.begins_item(end)
            {
                break;
            }
            let kind = self.words[end].kind;
            end += 1;
            if kind.is_open() {
                depth += 1;
            } else if kind.is_close() {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
        }
        self.report(error::nested_too_deeply(self.span(at), MAX_NESTING));
        let hi = self.words[end - 1].hi;
        if word.kind == OpenBrace {
            // where a block is due, a block stands
            let brace = self.opener(at);
            self.push(brace, word.lo, word.hi);
            self.push(brace.closer(), hi, hi);
        } else {
            self.push(Hole, word.lo, hi);
        }
        end
    }
}

//! Text → tree and diagnostics. Never fails; one mistake gives one error.

use crate::{
    ast::*,
    error,
    lex::{self, Comment, Lexed, Token},
    token::TokenKind::{self, *},
};
use base::{Diagnostic, FileId, SourceFile, Span};
use lalrpop_util::{ErrorRecovery, ParseError, lalrpop_mod};
use std::collections::BTreeSet;

lalrpop_mod!(
    #[allow(
        clippy::all,
        clippy::pedantic,
        clippy::allow_attributes_without_reason,
        clippy::unwrap_used,
        unused,
        reason = "generated"
    )]
    model
);

/// More than these are counted, not shown.
const MAX_ERRORS: usize = 100;
/// Places are 32-bit offsets.
const MAX_BYTES: usize = 1 << 30;

/// The tree of a file, and what is wrong with its form, in source order.
pub fn parse(source: &SourceFile) -> (File, Vec<Diagnostic>) {
    let span = Span::new(source.id, 0, source.text.len().min(MAX_BYTES));
    if source.text.len() > MAX_BYTES {
        return (File { items: Vec::new(), span }, vec![error::file_too_large(span)]);
    }
    let lexed = lex::lex(&source.text, source.id);
    let mut cx = Context {
        text: &source.text,
        file: source.id,
        tokens: &lexed.tokens,
        docs: docs(source, &lexed),
        nears: Vec::new(),
        errors: Vec::new(),
    };
    let tokens = lexed.tokens.iter().map(|token| Ok((token.lo, token.kind, token.hi)));
    let items = match model::FileParser::new().parse(&mut cx, tokens) {
        Ok(items) => items,
        Err(error) => {
            cx.report_syntax(error);
            Vec::new()
        }
    };
    let Context { nears, mut errors, .. } = cx;
    errors.extend(nears.into_iter().map(error::near_outside_assert));
    (File { items, span }, one_each(&source.text, &lexed, errors))
}

/// The tokens as the grammar reads them, ends of lines and items included (with empty spans).
pub fn tokens(source: &SourceFile) -> Vec<(TokenKind, Span)> {
    let text = source.text.get(..MAX_BYTES).unwrap_or(&source.text);
    let lexed = lex::lex(text, source.id);
    lexed.tokens.iter().map(|token| (token.kind, Span::new(source.id, token.lo, token.hi))).collect()
}

/// What the grammar's actions work on.
pub(crate) struct Context<'s> {
    text: &'s str,
    file: FileId,
    tokens: &'s [Token],
    /// Doc comments by the place of the word below them.
    docs: Vec<(usize, Doc)>,
    /// Every `~=` that no `assert` has claimed yet.
    pub(crate) nears: Vec<Span>,
    pub(crate) errors: Vec<Diagnostic>,
}

impl<'s> Context<'s> {
    pub(crate) fn span(&self, lo: usize, hi: usize) -> Span {
        Span::new(self.file, lo, hi)
    }

    pub(crate) fn spelling(&self, lo: usize, hi: usize) -> &'s str {
        &self.text[lo..hi]
    }

    pub(crate) fn doc(&self, lo: usize) -> Option<Doc> {
        let at = self.docs.binary_search_by_key(&lo, |(place, _)| *place).ok()?;
        Some(self.docs[at].1.clone())
    }

    /// Whether the token at `lo` begins a definition or a test.
    pub(crate) fn begins_def(&self, lo: usize) -> bool {
        let at = self.tokens.partition_point(|token| token.lo < lo);
        let mut here = self.tokens[at..].iter().take_while(|token| token.lo == lo);
        here.any(|token| matches!(token.kind, Fn | Layer | Model | Optimizer | Test))
    }

    pub(crate) fn syntax(&mut self, recovery: ErrorRecovery<usize, TokenKind, ()>) {
        self.report_syntax(recovery.error);
    }

    fn report_syntax(&mut self, error: ParseError<usize, TokenKind, ()>) {
        let (lo, hi, expected) = match error {
            ParseError::UnrecognizedToken { token: (lo, _, hi), expected } => (lo, hi, expected),
            ParseError::UnrecognizedEof { location, expected } => (location, location, expected),
            ParseError::InvalidToken { location } => (location, location, Vec::new()),
            ParseError::ExtraToken { token: (lo, _, hi) } => (lo, hi, Vec::new()),
            ParseError::User { error: () } => return,
        };
        let at = self.tokens.partition_point(|token| (token.lo, token.hi) < (lo, hi));
        let error = self.explain(at, self.span(lo, hi), &expected);
        self.errors.push(error);
    }

    /// Why the token at `at` cannot stand where it stands.
    fn explain(&self, at: usize, span: Span, expected: &[std::string::String]) -> Diagnostic {
        let found = self.tokens.get(at).map_or(ItemEnd, |token| token.kind);
        let line = self.line_of(at);
        let before = &self.tokens[line..at.min(self.tokens.len())];
        let text = self.spelling(span.lo as usize, span.hi as usize);
        if before.is_empty() && (line == 0 || self.tokens[line - 1].kind == ItemEnd) {
            let word = TokenKind::from_positional(text);
            return match word {
                Some(kind) if kind.begins_item() => error::needs_name(span, text),
                _ => error::not_an_item(
                    span,
                    base::did_you_mean(text, crate::token::POSITIONAL[..10].iter().copied()),
                ),
            };
        }
        if let Some(last) = before.last() {
            let ends = matches!(found, LineEnd | ItemEnd | CloseBrace);
            if last.kind.leaves_open() && last.kind != TypeColon && ends {
                let last_span = self.span(last.lo, last.hi);
                return error::missing_after(last_span, self.spelling(last.lo, last.hi));
            }
        }
        if found == Colon && expected.iter().any(|word| word == "\"=\"" || word == "\"|>\"") {
            return error::key_misplaced(span);
        }
        if found == Equals && self.in_arguments(at) {
            return error::equals_in_arguments(span);
        }
        if found == Equals && expected.iter().any(|word| word == "\":\"") && expected.len() <= 2 {
            return error::binding_in_record(span);
        }
        if found.is_binary() && expected.iter().any(|word| word == "\"|>\"") {
            if before.iter().any(|token| token.kind == Pipe) {
                return error::operator_after_pipe(span, text);
            }
            let compares = |kind| matches!(kind, EqEq | NotEq | Less | LessEq | Greater | GreaterEq | Near);
            if compares(found) && before.iter().any(|token| compares(token.kind)) {
                return error::comparison_chain(span);
            }
        }
        let found = match found {
            LineEnd | ItemEnd => "end of the line".to_string(),
            _ if text.is_empty() => "end of the line".to_string(),
            _ => format!("`{}`", text.chars().take(40).collect::<std::string::String>()),
        };
        error::unexpected(span, &found, &few(expected))
    }

    /// Whether the token at `at` follows a name right behind `(` or `,` of a call.
    fn in_arguments(&self, at: usize) -> bool {
        let before = &self.tokens[self.line_of(at)..at.min(self.tokens.len())];
        let [.., separator, name] = before else { return false };
        let is_name = self.text[name.lo..name.hi].starts_with(|c: char| c.is_alphabetic());
        is_name && matches!(&self.text[separator.lo..separator.hi], "(" | ",") && {
            let mut depth = 0i32;
            before.iter().for_each(|token| match &self.text[token.lo..token.hi] {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            });
            depth > 0
        }
    }

    /// Where the statement or item begins that a token is part of.
    fn line_of(&self, at: usize) -> usize {
        let before = &self.tokens[..at.min(self.tokens.len())];
        // far enough for a message; a longer line gets a plainer one
        let from = before.len().saturating_sub(200);
        let starts = |token: &Token| matches!(token.kind, LineEnd | ItemEnd | OpenBrace | OpenRecord);
        before[from..].iter().rposition(starts).map_or(from, |found| from + found + 1)
    }
}

/// What the grammar expected, where that is few enough to say.
fn few(expected: &[std::string::String]) -> Vec<std::string::String> {
    let mut words = BTreeSet::new();
    for word in expected {
        words.insert(match word.as_str() {
            "ident" => "a name".to_string(),
            "int" | "float" => "a number".to_string(),
            "string" => "a string".to_string(),
            "reduction" | "hole" => continue,
            "\"end of line\"" | "\"end of item\"" => "the end of the line".to_string(),
            quoted => {
                let bare = quoted.trim_matches('"');
                let symbol = bare.rsplit(' ').next().unwrap_or(bare);
                format!("`{symbol}`")
            }
        });
    }
    if words.len() > 4 { Vec::new() } else { words.into_iter().collect() }
}

/// The runs of `///` lines, by the place of the word that follows each.
fn docs(source: &SourceFile, lexed: &Lexed) -> Vec<(usize, Doc)> {
    let mut docs: Vec<(usize, Doc)> = Vec::new();
    let mut word = 0;
    for &Comment { lo, hi, own_line } in &lexed.comments {
        let raw = &source.text[lo..hi];
        if !own_line || !raw.starts_with("///") || raw.starts_with("////") {
            continue;
        }
        // A `;` that ends nothing is not what is documented.
        while lexed.words.get(word).is_some_and(|next| next.lo < lo || next.kind == Semicolon) {
            word += 1;
        }
        let Some(next) = lexed.words.get(word) else { break };
        let line = raw[3..].trim_end();
        let line = line.strip_prefix(' ').unwrap_or(line);
        match docs.last_mut() {
            Some((place, doc)) if *place == next.lo => {
                doc.text.push('\n');
                doc.text.push_str(line);
                doc.span.hi = hi as u32;
            }
            _ => {
                let span = Span::new(source.id, lo, hi);
                docs.push((next.lo, Doc { text: line.to_string(), span }));
            }
        }
    }
    docs
}

/// One mistake, one error: of each statement the first, and nothing from lines that fell out of a broken item.
fn one_each(text: &str, lexed: &Lexed, parsed: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let place = |error: &Diagnostic| error.span.map_or(0, |span| span.lo as usize);
    let token_before =
        |place: usize| lexed.tokens.partition_point(|token| token.lo <= place).saturating_sub(1);
    let token_at = |place: usize| {
        let at = token_before(place);
        // a place behind a line's end belongs to the line that follows
        match lexed.tokens.get(at) {
            Some(token) if matches!(token.kind, LineEnd | ItemEnd) && token.lo < place => at + 1,
            _ => at,
        }
    };
    let chunks = Chunks::new(text, lexed);
    let lines: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let lexical = lexed.errors.len();
    let mut errors: Vec<(usize, usize, Diagnostic)> = lexed
        .errors
        .iter()
        .cloned()
        .chain(parsed)
        .enumerate()
        .map(|(order, error)| (place(&error), usize::from(order >= lexical), error))
        .collect();
    let mut statements: BTreeSet<u32> = BTreeSet::new();
    // what is wrong with letters and brackets is the cause of what else is wrong on its line
    let line_of = |place: usize| lines.partition_point(|&start| start < place);
    let mut lexical_lines = BTreeSet::new();
    errors.retain(|(place, rank, _)| *rank == 1 || lexical_lines.insert(line_of(*place)));
    errors.retain(|(place, rank, _)| *rank == 0 || !lexical_lines.contains(&line_of(*place)));
    errors.sort_by_key(|(place, rank, _)| (*rank, *place));
    errors.retain(|(place, rank, _)| {
        let statement = lexed.statements.get(token_at(*place)).copied().unwrap_or(u32::MAX);
        statements.insert(statement) || (*rank == 0)
    });
    errors.sort_by_key(|(place, rank, _)| (*place, *rank));
    let mut kept: Vec<Diagnostic> = Vec::new();
    // the stretch with the last mistake, and whether it fell out of an item
    let mut broken: Option<(usize, bool)> = None;
    let mut last_token = None;
    for (place, _, error) in errors {
        // a bracket that closes nothing is no token: it belongs to what stands before it
        let token = if error.code == "E0104" { token_before(place) } else { token_at(place) };
        let chunk = chunks.of(token);
        let fallen = broken.is_some_and(|(last, fell)| {
            if chunk == last { fell } else { (last + 1..=chunk).all(|next| !chunks.like_item(next)) }
        });
        let neighbour = last_token.is_some_and(|last| token == last + 1);
        if !fallen && !neighbour {
            kept.push(error);
        }
        (broken, last_token) = (Some((chunk, fallen)), Some(token));
    }
    if kept.len() > MAX_ERRORS {
        let more = kept.len() - MAX_ERRORS;
        kept.truncate(MAX_ERRORS);
        kept.push(error::more_errors(more));
    }
    kept
}

/// The stretches between ends of items.
struct Chunks {
    /// First token of each.
    starts: Vec<usize>,
    like_item: Vec<bool>,
}

impl Chunks {
    fn new(text: &str, lexed: &Lexed) -> Chunks {
        let mut starts = vec![0];
        for (at, token) in lexed.tokens.iter().enumerate() {
            if token.kind == ItemEnd {
                starts.push(at + 1);
            }
        }
        let like_item = starts.iter().map(|&at| {
            let kind = |at: usize| lexed.tokens.get(at).map(|token| token.kind);
            let word =
                lexed.tokens.get(at).and_then(|token| TokenKind::from_positional(&text[token.lo..token.hi]));
            let second = kind(at + 1);
            word.is_some_and(TokenKind::begins_item) && second != Some(Equals)
                || (kind(at) == Some(Ident) && matches!(second, Some(Ident | String)))
        });
        let like_item = like_item.collect();
        Chunks { starts, like_item }
    }

    fn of(&self, token: usize) -> usize {
        self.starts.partition_point(|&start| start <= token).saturating_sub(1)
    }

    fn like_item(&self, chunk: usize) -> bool {
        self.like_item.get(chunk).copied().unwrap_or(true)
    }
}

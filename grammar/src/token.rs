//! Tokens. Words are reserved, keywords by position, reductions, or plain names; `lex.rs` decides which by what stands around them.

use logos::Logos;

/// What a token is; its text is the source under its span.
#[derive(Logos, Clone, Copy, PartialEq, Eq, Debug)]
#[logos(skip r"[ \t\r\u{feff}]+")]
pub enum TokenKind {
    // Consumed by the lexer's second pass.
    #[token("\n")]
    Newline,
    #[regex(r"//[^\n]*", allow_greedy = true)]
    Comment,
    #[token(";")]
    Semicolon,
    #[regex(r#""([^"\\\n]|\\[^\n])*\\?"#)]
    OpenString,
    #[regex(r"'[^'\n]*'")]
    QuotedString,

    // Made by it.
    /// Ends an item.
    ItemEnd,
    /// Ends a statement, a setting or a line of a record.
    LineEnd,
    /// The braces of a record or of an import.
    OpenRecord,
    CloseRecord,
    OpenImports,
    CloseImports,
    /// The colon of `name: type = value`.
    TypeColon,
    /// Stands for brackets that nest too deeply.
    Hole,

    #[regex(r"[A-Za-z_][A-Za-z0-9_]*")]
    Ident,
    #[regex(r"[0-9](_?[0-9])*")]
    Int,
    #[regex(r"[0-9](_?[0-9])*(\.[0-9](_?[0-9])*([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)")]
    Float,
    #[regex(r#""([^"\\\n]|\\[^\n])*""#)]
    String,
    #[regex("sum|prod|max|min|mean|any|all|argmax|argmin|logsumexp", priority = 20)]
    Reduction,

    #[token("true")]
    True,
    #[token("false")]
    False,
    #[token("pi")]
    Pi,
    #[token("inf")]
    Inf,
    #[token("nan")]
    Nan,

    #[token("if")]
    If,
    #[token("else")]
    Else,
    #[token("where")]
    Where,
    #[token("in")]
    In,
    #[token("as")]
    As,
    #[token("repeat")]
    Repeat,
    #[token("remat")]
    Remat,
    #[token("require")]
    Require,
    #[token("assert")]
    Assert,
    #[token("and")]
    And,
    #[token("or")]
    Or,
    #[token("not")]
    Not,

    #[token("use")]
    Use,
    #[token("const")]
    Const,
    #[token("fn")]
    Fn,
    #[token("layer")]
    Layer,
    #[token("model")]
    Model,
    #[token("optimizer")]
    Optimizer,
    #[token("train")]
    Train,
    #[token("bench")]
    Bench,
    #[token("test")]
    Test,
    #[token("weights")]
    Weights,
    #[token("from")]
    From,
    #[token("param")]
    Param,
    #[token("state")]
    State,
    #[token("within")]
    Within,

    #[token("(")]
    OpenParen,
    #[token(")")]
    CloseParen,
    #[token("[")]
    OpenBracket,
    #[token("]")]
    CloseBracket,
    #[token("{")]
    OpenBrace,
    #[token("}")]
    CloseBrace,
    #[token(",")]
    Comma,
    #[token(":")]
    Colon,
    #[token(".")]
    Dot,
    #[token("..")]
    DotDot,
    #[token("=")]
    Equals,
    #[token("<-")]
    LeftArrow,
    #[token("->")]
    RightArrow,
    #[token("|>")]
    Pipe,
    #[token("+")]
    Plus,
    #[token("-")]
    Minus,
    #[token("*")]
    Star,
    #[token("/")]
    Slash,
    #[token("%")]
    Percent,
    #[token("^")]
    Caret,
    #[token("@")]
    At,
    #[token("==")]
    EqEq,
    #[token("!=")]
    NotEq,
    #[token("<")]
    Less,
    #[token("<=")]
    LessEq,
    #[token(">")]
    Greater,
    #[token(">=")]
    GreaterEq,
    #[token("~=")]
    Near,
}

use TokenKind::*;

/// The words that are never plain names (save as the name of an argument, a key or a field).
pub const RESERVED: [&str; 12] =
    ["if", "else", "where", "in", "as", "repeat", "remat", "require", "assert", "and", "or", "not"];
pub const CONSTANTS: [&str; 5] = ["pi", "inf", "nan", "true", "false"];
/// The words that are keywords where an item or a declaration begins.
pub const POSITIONAL: [&str; 14] = [
    "use",
    "const",
    "fn",
    "layer",
    "model",
    "optimizer",
    "train",
    "bench",
    "test",
    "weights",
    "from",
    "param",
    "state",
    "within",
];

impl TokenKind {
    pub(crate) fn begins_item(self) -> bool {
        matches!(self, Use | Const | Fn | Layer | Model | Optimizer | Train | Bench | Test | Weights)
    }

    pub(crate) fn is_positional(self) -> bool {
        self.begins_item() || matches!(self, From | Param | State | Within)
    }

    pub(crate) fn is_reserved(self) -> bool {
        matches!(
            self,
            If | Else
                | Where
                | In
                | As
                | Repeat
                | Remat
                | Require
                | Assert
                | And
                | Or
                | Not
                | True
                | False
                | Pi
                | Inf
                | Nan
        )
    }

    /// The keyword that a word is where an item or declaration begins.
    pub(crate) fn from_positional(word: &str) -> Option<TokenKind> {
        let kinds = [
            Use, Const, Fn, Layer, Model, Optimizer, Train, Bench, Test, Weights, From, Param, State, Within,
        ];
        POSITIONAL.iter().position(|text| *text == word).map(|at| kinds[at])
    }

    /// A word that may name something.
    pub(crate) fn is_name(self) -> bool {
        matches!(self, Ident | Reduction) || self.is_positional()
    }

    pub(crate) fn is_binary(self) -> bool {
        matches!(
            self,
            Pipe | Plus
                | Minus
                | Star
                | Slash
                | Percent
                | Caret
                | At
                | EqEq
                | NotEq
                | Less
                | LessEq
                | Greater
                | GreaterEq
                | Near
                | And
                | Or
        )
    }

    /// An operand may end with it.
    pub(crate) fn ends_operand(self) -> bool {
        matches!(
            self,
            Ident
                | Int
                | Float
                | String
                | True
                | False
                | Pi
                | Inf
                | Nan
                | CloseParen
                | CloseBracket
                | CloseBrace
                | Hole
        )
    }

    /// No statement ends with it, so the next line goes on.
    pub(crate) fn leaves_open(self) -> bool {
        self.is_binary()
            || matches!(
                self,
                Equals
                    | LeftArrow
                    | RightArrow
                    | Comma
                    | Colon
                    | TypeColon
                    | Dot
                    | DotDot
                    | Not
                    | If
                    | Else
                    | Where
                    | In
                    | As
            )
    }

    /// No statement begins with it, so its line goes on with the one before. `-` is judged by the space after it.
    pub(crate) fn goes_on(self) -> bool {
        (self.is_binary() && self != Minus)
            || matches!(self, Equals | LeftArrow | RightArrow | Else | Where | In | As | OpenBrace)
    }

    pub(crate) fn is_open(self) -> bool {
        matches!(self, OpenParen | OpenBracket | OpenBrace | OpenRecord | OpenImports)
    }

    pub(crate) fn is_close(self) -> bool {
        matches!(self, CloseParen | CloseBracket | CloseBrace | CloseRecord | CloseImports)
    }

    /// What closes this bracket.
    pub(crate) fn closer(self) -> TokenKind {
        match self {
            OpenParen => CloseParen,
            OpenBracket => CloseBracket,
            OpenRecord => CloseRecord,
            OpenImports => CloseImports,
            _ => CloseBrace,
        }
    }

    /// How `--emit tokens` calls it.
    pub fn label(self) -> &'static str {
        match self {
            ItemEnd => "end of item",
            LineEnd => "end of line",
            Ident => "name",
            Int => "integer",
            Float => "float",
            String => "string",
            Reduction => "reduction",
            Hole => "hole",
            True | False | Pi | Inf | Nan => "constant",
            kind if kind.is_positional() || kind.is_reserved() => "keyword",
            kind if kind.is_binary() => "operator",
            _ => "punctuation",
        }
    }
}

//! The tree of a `.model` file. Plain data: every node carries the place it was read from.
//!
//! Invariants: an `Error` variant appears only where a diagnostic was reported, so later stages stay silent about it.
//! `Expr::depth` is at most [`MAX_DEPTH`], so recursion over a tree is bounded; chains of `|>` and `else if` are flat.
//! Left-hand sides, records, imports and parameter lists have already been checked for form.

mod dump;
mod expr;
mod stmt;

pub use dump::dump;
pub use expr::{
    Arg, BinaryOp, Constant, Expr, ExprKind, IfArm, Reduction, Subscript, SubscriptKind, UnaryOp,
};
pub use stmt::{Block, Bound, Decl, Stmt, StmtKind};

use base::Span;

/// The height that an expression, with the blocks inside it, may reach.
pub const MAX_DEPTH: u16 = 500;

#[derive(Clone, PartialEq, Debug)]
pub struct File {
    pub items: Vec<Item>,
    pub span: Span,
}

/// A word that names something: `_` included, where a value is discarded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    pub text: String,
    pub span: Span,
}

/// A string literal; `value` has its escapes resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    pub value: String,
    pub span: Span,
}

/// The `///` lines right above a node, without the slashes and one leading space, joined by line breaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Doc {
    pub text: String,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    pub kind: ItemKind,
    pub doc: Option<Doc>,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ItemKind {
    /// `use blocks.{encoder, decoder as dec}`
    Use {
        path: Vec<Name>,
        imports: Vec<Import>,
    },
    /// `const vocab = 50257`
    Const {
        name: Name,
        ty: Option<Type>,
        value: Expr,
    },
    /// `fn`, `layer`, `model` and `optimizer`
    Def(Def),
    /// `train Fraud(target: f32[batch, 1]) { … }`; `fields` are the types that the user states for the data's fields.
    Train {
        model: Name,
        fields: Vec<Param>,
        settings: Vec<Setting>,
    },
    /// `bench Fraud { … }`
    Bench {
        model: Name,
        settings: Vec<Setting>,
    },
    /// `test "title" { … }`
    Test {
        title: Text,
        body: Block,
    },
    /// `weights MiniLM from "all-MiniLM-L6-v2" { "words.w" = "embeddings.word_embeddings.weight" … }`
    Weights {
        model: Name,
        from: Text,
        rows: Vec<WeightRow>,
    },
    Error,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Import {
    pub name: Name,
    pub alias: Option<Name>,
    pub span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefKind {
    Fn,
    Layer,
    Model,
    Optimizer,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Def {
    pub kind: DefKind,
    pub name: Name,
    /// The list before the inputs; `None` where only one list is written. Always `None` for a `fn`.
    pub config: Option<ParamList>,
    /// The inputs; for an `optimizer` the parameter and its gradient.
    pub inputs: ParamList,
    pub results: Option<Results>,
    pub body: Body,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub struct ParamList {
    pub params: Vec<Param>,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Param {
    pub name: Name,
    pub ty: Option<Type>,
    pub default: Option<Expr>,
    pub doc: Option<Doc>,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Results {
    /// `-> f32[n]`: the last expression of the body.
    One(Type),
    /// `-> (f32[n], f32[m])`: the last expression of the body, a tuple.
    Tuple(Vec<Type>, Span),
    /// `-> (y: f32[n])`: bound in the body. Those of a model are always of this kind.
    Named(Vec<NamedResult>, Span),
}

#[derive(Clone, PartialEq, Debug)]
pub struct NamedResult {
    pub name: Name,
    pub ty: Type,
    pub doc: Option<Doc>,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    Block(Block),
    /// `= expression`
    Expr(Expr),
}

/// `f32[batch, 3]`; a scalar has no brackets and so no `dims`.
#[derive(Clone, PartialEq, Debug)]
pub struct Type {
    pub name: TypeName,
    pub name_span: Span,
    pub dims: Vec<Dim>,
    pub span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TypeName {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
    /// The floating dtype that the build chooses.
    Float,
    /// Configuration: a number known when compiling.
    Int,
    /// Configuration: a number that may be symbolic.
    Dim,
    /// Not the name of a type; reported.
    Error,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Dim {
    /// `..s`: any number of leading dimensions. Only ever the first.
    Rest(Name),
    /// Checked to be made of integers, names, `+ - * / %`, parentheses and calls of `div`, `ceil_div`, `min`, `max`.
    Expr(Expr),
}

/// `key = value` in a `train` or `bench` block, `key: value` in a record.
#[derive(Clone, PartialEq, Debug)]
pub struct Setting {
    pub key: Name,
    pub value: SettingValue,
    pub doc: Option<Doc>,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub enum SettingValue {
    Expr(Expr),
    Record(Vec<Setting>, Span),
    Error(Span),
}

/// `"block.{i}.w" = transposed("encoder.layer.{i}.weight")`
#[derive(Clone, PartialEq, Debug)]
pub struct WeightRow {
    pub pattern: Text,
    pub source: Expr,
    pub span: Span,
}

impl DefKind {
    pub fn word(self) -> &'static str {
        match self {
            DefKind::Fn => "fn",
            DefKind::Layer => "layer",
            DefKind::Model => "model",
            DefKind::Optimizer => "optimizer",
        }
    }
}

impl TypeName {
    /// All that a user can write, in the order in which messages list them.
    pub const ALL: [(TypeName, &'static str); 13] = [
        (TypeName::F64, "f64"),
        (TypeName::F32, "f32"),
        (TypeName::F16, "f16"),
        (TypeName::Bf16, "bf16"),
        (TypeName::I64, "i64"),
        (TypeName::I32, "i32"),
        (TypeName::I16, "i16"),
        (TypeName::I8, "i8"),
        (TypeName::U8, "u8"),
        (TypeName::Bool, "bool"),
        (TypeName::Float, "float"),
        (TypeName::Int, "int"),
        (TypeName::Dim, "dim"),
    ];

    pub fn from_word(word: &str) -> Option<TypeName> {
        TypeName::ALL.iter().find(|(_, text)| *text == word).map(|(name, _)| *name)
    }

    pub fn word(self) -> &'static str {
        TypeName::ALL.iter().find(|(name, _)| *name == self).map_or("?", |(_, text)| text)
    }
}

impl Dim {
    pub fn span(&self) -> Span {
        match self {
            Dim::Rest(name) => name.span,
            Dim::Expr(expr) => expr.span,
        }
    }
}

//! Expressions.

use super::{Block, Name, Setting};
use base::Span;

#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
    /// Height of the tree from here down, blocks included; at most [`super::MAX_DEPTH`].
    pub depth: u16,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    Name(String),
    /// `text` is as written, `1_000`.
    Int {
        value: i64,
        text: String,
    },
    Float {
        value: f64,
        text: String,
    },
    Bool(bool),
    Constant(Constant),
    /// A string, escapes resolved.
    Str(String),
    /// Written parentheses, kept for the formatter; [`Expr::peel`] looks through them.
    Paren(Box<Expr>),
    Tuple(Vec<Expr>),
    List(Vec<Expr>),
    Unary {
        op: UnaryOp,
        operand: Box<Expr>,
    },
    Binary {
        op: BinaryOp,
        op_span: Span,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `input |> stage |> stage`. A stage is a name, field, call, `repeat`, `if` or parentheses.
    Pipe {
        input: Box<Expr>,
        stages: Vec<Expr>,
    },
    Call {
        callee: Box<Expr>,
        args: Vec<Arg>,
        args_span: Span,
    },
    Index {
        base: Box<Expr>,
        subscripts: Vec<Subscript>,
        subscripts_span: Span,
    },
    /// `wte.w`; the field may be a number: `block.0`.
    Field {
        base: Box<Expr>,
        field: Name,
    },
    /// `a..b`. Only ever the value of an argument.
    Range {
        start: Box<Expr>,
        end: Box<Expr>,
    },
    /// `sum[k] body`
    Reduce {
        op: Reduction,
        op_span: Span,
        indices: Vec<Name>,
        body: Box<Expr>,
    },
    /// `if … { } else if … { } else { }`; without `otherwise` it is a statement.
    If {
        arms: Vec<IfArm>,
        otherwise: Option<Block>,
    },
    /// `repeat(count) as name { body }`: a layer. Further arguments are those of a `Call` around it.
    Repeat {
        count: Box<Expr>,
        name: Name,
        body: Block,
    },
    Remat(Block),
    /// `{ key: value, … }`. Only ever the value of a named argument.
    Record(Vec<Setting>),
    Error,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Constant {
    Pi,
    Inf,
    Nan,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnaryOp {
    Neg,
    Not,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Pow,
    MatMul,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// `~=`. Only ever the whole condition of an `assert`.
    Near,
    And,
    Or,
}

/// The words that reduce over named indices when `[…]` follows them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reduction {
    Sum,
    Prod,
    Max,
    Min,
    Mean,
    Any,
    All,
    Argmax,
    Argmin,
    Logsumexp,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Arg {
    pub name: Option<Name>,
    pub value: Expr,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Subscript {
    pub kind: SubscriptKind,
    pub span: Span,
}

#[derive(Clone, PartialEq, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "subscripts are few, and matching on them without boxes is simpler"
)]
pub enum SubscriptKind {
    At(Expr),
    /// `start:end:step`, each of which may be missing.
    Slice {
        start: Option<Expr>,
        end: Option<Expr>,
        step: Option<Expr>,
    },
    /// `..`: all axes not named.
    Rest,
}

#[derive(Clone, PartialEq, Debug)]
pub struct IfArm {
    pub condition: Expr,
    pub body: Block,
}

impl Expr {
    /// The expression inside any written parentheses.
    pub fn peel(&self) -> &Expr {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// The expressions that stand directly in it, in the order of the text; those in its blocks and settings are not
    /// among them.
    pub fn parts(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Paren(inner) | ExprKind::Unary { operand: inner, .. } => vec![inner],
            ExprKind::Field { base, .. } => vec![base],
            ExprKind::Reduce { body, .. } => vec![body],
            ExprKind::Repeat { count, .. } => vec![count],
            ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().collect(),
            ExprKind::Binary { left, right, .. } => vec![left, right],
            ExprKind::Range { start, end } => vec![start, end],
            ExprKind::Pipe { input, stages } => std::iter::once(&**input).chain(stages).collect(),
            ExprKind::Call { callee, args, .. } => {
                std::iter::once(&**callee).chain(args.iter().map(|arg| &arg.value)).collect()
            }
            ExprKind::Index { base, subscripts, .. } => {
                let within = subscripts.iter().flat_map(|subscript| match &subscript.kind {
                    SubscriptKind::At(at) => vec![at],
                    SubscriptKind::Slice { start, end, step } => {
                        [start, end, step].into_iter().flatten().collect()
                    }
                    SubscriptKind::Rest => Vec::new(),
                });
                std::iter::once(&**base).chain(within).collect()
            }
            ExprKind::If { arms, .. } => arms.iter().map(|arm| &arm.condition).collect(),
            ExprKind::Name(_)
            | ExprKind::Int { .. }
            | ExprKind::Float { .. }
            | ExprKind::Bool(_)
            | ExprKind::Constant(_)
            | ExprKind::Str(_)
            | ExprKind::Remat(_)
            | ExprKind::Record(_)
            | ExprKind::Error => Vec::new(),
        }
    }

    /// The word, where this is a bare name.
    pub fn as_name(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Name(text) => Some(text),
            _ => None,
        }
    }

    pub fn is_error(&self) -> bool {
        matches!(self.kind, ExprKind::Error)
    }
}

impl Constant {
    pub fn word(self) -> &'static str {
        match self {
            Constant::Pi => "pi",
            Constant::Inf => "inf",
            Constant::Nan => "nan",
        }
    }
}

impl UnaryOp {
    pub fn symbol(self) -> &'static str {
        match self {
            UnaryOp::Neg => "-",
            UnaryOp::Not => "not",
        }
    }
}

impl BinaryOp {
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Rem => "%",
            BinaryOp::Pow => "^",
            BinaryOp::MatMul => "@",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::Near => "~=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
        }
    }

    pub fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge | Near)
    }
}

impl Reduction {
    pub const ALL: [(Reduction, &'static str); 10] = [
        (Reduction::Sum, "sum"),
        (Reduction::Prod, "prod"),
        (Reduction::Max, "max"),
        (Reduction::Min, "min"),
        (Reduction::Mean, "mean"),
        (Reduction::Any, "any"),
        (Reduction::All, "all"),
        (Reduction::Argmax, "argmax"),
        (Reduction::Argmin, "argmin"),
        (Reduction::Logsumexp, "logsumexp"),
    ];

    pub fn from_word(word: &str) -> Option<Reduction> {
        Reduction::ALL.iter().find(|(_, text)| *text == word).map(|(op, _)| *op)
    }

    pub fn word(self) -> &'static str {
        Reduction::ALL[self as usize].1
    }
}

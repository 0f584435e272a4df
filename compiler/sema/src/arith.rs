//! Operators between values: folded when both sides are known now, nodes otherwise.

use crate::{checker::Checker, story::Side, value::Value};
use base::{Diagnostic, Span};
use grammar::ast::BinaryOp;
use graph::{DType, NodeId, Type, ops};
use shape::{Dim, Proof, Shape};

/// The operator of the graph for one of the language; `None` for those that are not elementwise.
fn elementwise(op: BinaryOp) -> Option<kernel::Binary> {
    Some(match op {
        BinaryOp::Add => kernel::Binary::Add,
        BinaryOp::Sub => kernel::Binary::Sub,
        BinaryOp::Mul => kernel::Binary::Mul,
        BinaryOp::Div => kernel::Binary::Div,
        BinaryOp::Rem => kernel::Binary::Rem,
        BinaryOp::Pow => kernel::Binary::Pow,
        BinaryOp::Eq => kernel::Binary::Eq,
        BinaryOp::Ne => kernel::Binary::Ne,
        BinaryOp::Lt => kernel::Binary::Lt,
        BinaryOp::Le => kernel::Binary::Le,
        BinaryOp::Gt => kernel::Binary::Gt,
        BinaryOp::Ge => kernel::Binary::Ge,
        BinaryOp::And => kernel::Binary::And,
        BinaryOp::Or => kernel::Binary::Or,
        BinaryOp::MatMul | BinaryOp::Near => return None,
    })
}

/// Where an operation and its two sides stand.
#[derive(Clone, Copy)]
pub struct Places {
    pub whole: Span,
    pub left: Span,
    pub right: Span,
}

impl Places {
    pub fn all(span: Span) -> Places {
        Places { whole: span, left: span, right: span }
    }
}

impl<'p> Checker<'p> {
    pub fn binary(&mut self, op: BinaryOp, left: Value<'p>, right: Value<'p>, at: Places) -> Value<'p> {
        if left.is_error() || right.is_error() {
            return Value::Error;
        }
        if let Some(value) = self.fold(op, &left, &right, at) {
            return value;
        }
        if op == BinaryOp::MatMul {
            return self.matmul(left, right, at);
        }
        // `~=` outside of an `assert` was told by the parser.
        let Some(kernel_op) = elementwise(op) else { return Value::Error };
        let logical = matches!(op, BinaryOp::And | BinaryOp::Or);
        if logical {
            for (value, place) in [(&left, at.left), (&right, at.right)] {
                if let Value::Tensor(id) = value
                    && !self.ty(*id).dtype.is_bool()
                {
                    let dtype = self.ty(*id).dtype;
                    return self.report(
                        Diagnostic::error(
                            "E0302",
                            format!("`{}` is for bools, but this is {dtype}", op.symbol()),
                        )
                        .label(place, format!("this is {dtype}"))
                        .help("compare first, as in `x > 0`"),
                    );
                }
            }
        }
        let Some((a, b)) = self.operands(&left, &right, at, op.symbol()) else { return Value::Error };
        let dtype = self.ty(a).dtype;
        if logical != dtype.is_bool() && !op.is_comparison() {
            let message = format!("`{}` does not work on {dtype}", op.symbol());
            let help = if logical {
                "compare first, as in `x > 0`"
            } else {
                "`cast(…, float)` makes numbers of bools"
            };
            return self
                .report(Diagnostic::error("E0302", message).label(at.left, dtype.to_string()).help(help));
        }
        if op == BinaryOp::Div && dtype.is_int() {
            let message = format!("`/` divides exactly, which {dtype} tensors cannot");
            let help = "write `cast(x, float) / y`, or `floor` of that";
            return self
                .report(Diagnostic::error("E0302", message).label(at.left, dtype.to_string()).help(help));
        }
        let node = self.add_at(ops::Binary { op: kernel_op }.into(), &[a, b], at.whole, &[at.left, at.right]);
        Self::tensor_or_error(node)
    }

    /// Both sides as tensors of one dtype and shape.
    pub fn operands(
        &mut self,
        left: &Value<'p>,
        right: &Value<'p>,
        at: Places,
        what: &str,
    ) -> Option<(NodeId, NodeId)> {
        let hint = |checker: &Self, value: &Value<'p>| match value {
            Value::Tensor(id) => Some(checker.ty(*id).dtype),
            _ => None,
        };
        let (left_hint, right_hint) = (hint(self, left), hint(self, right));
        let a = self.tensor(left, right_hint, at.left)?;
        let b = self.tensor(right, left_hint.or(Some(self.ty(a).dtype)), at.right)?;
        let (a, b) = self.same_dtype(a, b, at, what)?;
        self.same_shape(a, b, at, what)
    }

    pub fn same_dtype(&mut self, a: NodeId, b: NodeId, at: Places, what: &str) -> Option<(NodeId, NodeId)> {
        let (x, y) = (self.ty(a).dtype, self.ty(b).dtype);
        if x == y {
            return Some((a, b));
        }
        let open = x == DType::Float || y == DType::Float || self.frame_ref().wide;
        if x.is_float() && y.is_float() && open {
            let float = self.float();
            return Some((self.cast(a, float, at.left)?, self.cast(b, float, at.right)?));
        }
        let mut diagnostic =
            Diagnostic::error("E0302", format!("`{what}` needs one dtype on both sides, but {x} ≠ {y}"))
                .label(at.left, format!("this is {x}"))
                .label(at.right, format!("this is {y}"))
                .help(format!(
                    "there is no silent conversion; write `cast(…, {})`",
                    if x.is_float() { x } else { y }
                ));
        // Of a number and something else, the something becomes a number.
        if at.left != at.right && x.is_float() != y.is_float() {
            let (place, dtype) = if x.is_float() { (at.right, x) } else { (at.left, y) };
            diagnostic = diagnostic.wrap(place, "cast(", &format!(", {dtype})"));
        }
        for id in [a, b] {
            diagnostic = self.dtype_from_here(diagnostic, id);
        }
        self.report(diagnostic);
        None
    }

    pub fn same_shape(&mut self, a: NodeId, b: NodeId, at: Places, what: &str) -> Option<(NodeId, NodeId)> {
        let (x, y) = (self.shape(a), self.shape(b));
        let facts = self.frame_ref().function.facts.clone();
        let shape = match facts.broadcast(&x, &y) {
            Ok(shape) => shape,
            Err(fault) => {
                if self.generic && !fault.disproved {
                    return None;
                }
                self.broadcast_mismatch(what, &fault, (a, at.left), (b, at.right));
                return None;
            }
        };
        self.warn_of_stretch(what, &shape, (a, at.left), (b, at.right));
        Some((self.broadcast_to(a, &shape, at.left)?, self.broadcast_to(b, &shape, at.right)?))
    }

    /// The result where both sides are known now.
    fn fold(&mut self, op: BinaryOp, left: &Value<'p>, right: &Value<'p>, at: Places) -> Option<Value<'p>> {
        use BinaryOp::*;
        Some(match (left, right) {
            (Value::Bool(a), Value::Bool(b)) => match op {
                And => Value::Bool(*a && *b),
                Or => Value::Bool(*a || *b),
                Eq => Value::Bool(a == b),
                Ne => Value::Bool(a != b),
                _ => return None,
            },
            (Value::Text(a), Value::Text(b)) => match op {
                Eq => Value::Bool(a == b),
                Ne => Value::Bool(a != b),
                _ => return None,
            },
            (Value::DType(a), Value::DType(b)) => match op {
                Eq => Value::Bool(a == b),
                Ne => Value::Bool(a != b),
                _ => return None,
            },
            (Value::Int(a), Value::Int(b)) => self.fold_ints(op, *a, *b, at)?,
            (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
                fold_floats(op, left.as_f64()?, right.as_f64()?)?
            }
            (Value::Int(_) | Value::Dim(_), Value::Int(_) | Value::Dim(_)) => {
                self.fold_dims(op, &left.as_dim()?, &right.as_dim()?, at)?
            }
            // `none` and words differ from every other value: `if axis == none { … }`.
            (left, right) if is_word(left) || is_word(right) => match op {
                Eq => Value::Bool(matches!((left, right), (Value::Nothing, Value::Nothing))),
                Ne => Value::Bool(!matches!((left, right), (Value::Nothing, Value::Nothing))),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn fold_ints(&mut self, op: BinaryOp, a: i64, b: i64, at: Places) -> Option<Value<'p>> {
        use BinaryOp::*;
        let checked = match op {
            Add => a.checked_add(b),
            Sub => a.checked_sub(b),
            Mul => a.checked_mul(b),
            Pow if b >= 0 => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
            Rem if b != 0 => {
                Some(a.checked_rem_euclid(b)? + if b < 0 && a.checked_rem_euclid(b)? != 0 { b } else { 0 })
            }
            Div if b != 0 && a % b == 0 => a.checked_div(b),
            Div | Pow => return fold_floats(op, a as f64, b as f64),
            Rem => return Some(self.error("E0401", at.right, "`% 0` has no value", "this is 0")),
            _ => {
                return fold_floats(op, a as f64, b as f64)
                    .map(|value| exact_order(op, a, b).map_or(value, Value::Bool));
            }
        };
        Some(match checked {
            Some(value) => Value::Int(value),
            None => self.error("E0403", at.whole, "this number is too large", "does not fit 64 bits"),
        })
    }

    fn fold_dims(&mut self, op: BinaryOp, a: &Dim, b: &Dim, at: Places) -> Option<Value<'p>> {
        use BinaryOp::*;
        let facts = self.frame_ref().function.facts.clone();
        let truth = |proof: Proof| match proof {
            Proof::Proved => Some(true),
            Proof::Disproved => Some(false),
            Proof::Unknown => None,
        };
        let decided = match op {
            Add => return Some(Value::dim(a + b)),
            Sub => return Some(Value::dim(a - b)),
            Mul => return Some(Value::dim(a * b)),
            Rem => return Some(Value::dim(a.modulo(b))),
            Div => {
                return Some(match a.exact_div(b, &facts) {
                    Some(dim) => Value::dim(dim),
                    None if self.generic => Value::dim(a.div_floor(b)),
                    None => self.report(
                        Diagnostic::error("E0306", format!("`{a} / {b}` may have a remainder"))
                            .label(at.whole, "`/` of dimensions divides exactly")
                            .help(format!(
                                "state `require {a} % {b} == 0`, or write `div({a}, {b})` to round down"
                            )),
                    ),
                });
            }
            Eq => truth(facts.prove_eq(a, b)),
            Ne => truth(facts.prove_eq(a, b)).map(|equal| !equal),
            Ge => truth(facts.prove_ge(a, b)),
            Lt => truth(facts.prove_ge(a, b)).map(|ge| !ge),
            Le => truth(facts.prove_ge(b, a)),
            Gt => truth(facts.prove_ge(b, a)).map(|le| !le),
            _ => return None,
        };
        Some(match decided {
            Some(known) => Value::Bool(known),
            None if self.generic => Value::Error,
            // What compiling cannot tell is tested when the program runs.
            None => {
                let size = |checker: &mut Self, dim: &Dim, span| {
                    checker.add(ops::Size { dim: dim.clone(), dtype: DType::I64 }, &[], span)
                };
                let a = size(self, a, at.left)?;
                let b = size(self, b, at.right)?;
                let op = ops::Binary { op: elementwise(op)? };
                Self::tensor_or_error(self.add(op, &[a, b], at.whole))
            }
        })
    }

    pub fn matmul(&mut self, left: Value<'p>, right: Value<'p>, at: Places) -> Value<'p> {
        let hint = match (&left, &right) {
            (Value::Tensor(id), _) | (_, Value::Tensor(id)) => Some(self.ty(*id).dtype),
            _ => None,
        };
        let Some(a) = self.tensor(&left, hint, at.left) else { return Value::Error };
        let Some(b) = self.tensor(&right, hint, at.right) else { return Value::Error };
        let Some((a, b)) = self.same_dtype(a, b, at, "@") else { return Value::Error };
        let (x, y) = (self.ty(a).clone(), self.ty(b).clone());
        if x.rank() == 0 || y.rank() == 0 {
            let (place, ty) = if x.rank() == 0 { (at.left, &x) } else { (at.right, &y) };
            return self.report(
                Diagnostic::error("E0303", "`@` multiplies matrices, but one side is a scalar")
                    .label(place, format!("this is {ty}"))
                    .help("`*` scales by a number"),
            );
        }
        let (inner_left, inner_right) = (&x.shape[x.rank() - 1], &y.shape[y.rank().saturating_sub(2)]);
        let proof = self.equal(inner_left, inner_right);
        if proof != Proof::Proved {
            if self.generic && proof == Proof::Unknown {
                return Value::Error;
            }
            let left = Side { id: a, ty: &x, axis: x.rank() - 1, span: at.left };
            let right = Side { id: b, ty: &y, axis: y.rank().saturating_sub(2), span: at.right };
            return self.matmul_mismatch(left, right, proof);
        }
        Self::tensor_or_error(self.contract_matmul(a, b, &x, &y, at))
    }

    /// NumPy's matrix product as a contraction: leading axes of both sides are broadcast.
    fn contract_matmul(&mut self, a: NodeId, b: NodeId, x: &Type, y: &Type, at: Places) -> Option<NodeId> {
        use ops::Subscript;
        let (mut a, mut b) = (a, b);
        let (mut x, mut y) = (x.shape.clone(), y.shape.clone());
        // Batches on both sides are made equal; a plain matrix on the right serves all rows of the left.
        if x.rank() > 2 && y.rank() > 2 {
            let (lead_x, lead_y) = (Shape(x[..x.rank() - 2].to_vec()), Shape(y[..y.rank() - 2].to_vec()));
            let facts = self.frame_ref().function.facts.clone();
            let Ok(lead) = facts.broadcast(&lead_x, &lead_y) else {
                self.report(
                    Diagnostic::error(
                        "E0301",
                        format!("`@` cannot fit {} matrices and {} together", lead_x, lead_y),
                    )
                    .label(at.left, format!("{} holds {lead_x} matrices", self.ty(a)))
                    .label(at.right, format!("{} holds {lead_y}", self.ty(b)))
                    .help("axes before the last two are lined up as in any broadcast: they agree, or one of them is 1"),
                );
                return None;
            };
            x = Shape(lead.iter().chain(&x[x.rank() - 2..]).cloned().collect());
            y = Shape(lead.iter().chain(&y[y.rank() - 2..]).cloned().collect());
            a = self.broadcast_to(a, &x, at.left)?;
            b = self.broadcast_to(b, &y, at.right)?;
        }
        let shared = if x.rank() > 2 && y.rank() > 2 { x.rank() - 2 } else { 0 };
        let (mut extents, mut lhs, mut rhs, mut out): (Vec<Dim>, Vec<_>, Vec<_>, Vec<usize>) =
            Default::default();
        for dim in &x[..shared] {
            out.push(extents.len());
            lhs.push(Subscript::index(extents.len()));
            rhs.push(Subscript::index(extents.len()));
            extents.push(dim.clone());
        }
        if y.rank() > 2 && shared == 0 {
            for dim in &y[..y.rank() - 2] {
                out.push(extents.len());
                rhs.push(Subscript::index(extents.len()));
                extents.push(dim.clone());
            }
        }
        for dim in &x[shared..x.rank() - 1] {
            out.push(extents.len());
            lhs.push(Subscript::index(extents.len()));
            extents.push(dim.clone());
        }
        let k = extents.len();
        extents.push(x[x.rank() - 1].clone());
        lhs.push(Subscript::index(k));
        rhs.push(Subscript::index(k));
        if y.rank() > 1 {
            out.push(extents.len());
            rhs.push(Subscript::index(extents.len()));
            extents.push(y[y.rank() - 1].clone());
        }
        self.add_at(ops::Contract { extents, out, lhs, rhs }.into(), &[a, b], at.whole, &[at.left, at.right])
    }

    pub fn negate(&mut self, value: Value<'p>, span: Span) -> Value<'p> {
        match value {
            Value::Int(number) => number.checked_neg().map_or(Value::Error, Value::Int),
            Value::Float(number) => Value::Float(-number),
            Value::Dim(dim) => Value::dim(-dim),
            Value::Error => Value::Error,
            value => self.unary(kernel::Unary::Neg, &value, span),
        }
    }

    pub fn not(&mut self, value: Value<'p>, span: Span) -> Value<'p> {
        match value {
            Value::Bool(flag) => Value::Bool(!flag),
            Value::Error => Value::Error,
            value => self.unary(kernel::Unary::Not, &value, span),
        }
    }

    pub fn unary(&mut self, op: kernel::Unary, value: &Value<'p>, span: Span) -> Value<'p> {
        let Some(id) = self.tensor(value, None, span) else { return Value::Error };
        Self::tensor_or_error(self.add_at(ops::Unary { op }.into(), &[id], span, &[span]))
    }
}

fn is_word(value: &Value<'_>) -> bool {
    matches!(value, Value::Nothing | Value::Text(_))
}

fn exact_order(op: BinaryOp, a: i64, b: i64) -> Option<bool> {
    Some(match op {
        BinaryOp::Eq => a == b,
        BinaryOp::Ne => a != b,
        BinaryOp::Lt => a < b,
        BinaryOp::Le => a <= b,
        BinaryOp::Gt => a > b,
        BinaryOp::Ge => a >= b,
        _ => return None,
    })
}

fn fold_floats<'p>(op: BinaryOp, a: f64, b: f64) -> Option<Value<'p>> {
    use BinaryOp::*;
    Some(match op {
        Add => Value::Float(a + b),
        Sub => Value::Float(a - b),
        Mul => Value::Float(a * b),
        Div => Value::Float(a / b),
        Rem => Value::Float(a - b * (a / b).floor()),
        Pow => Value::Float(a.powf(b)),
        Eq => Value::Bool(a == b),
        Ne => Value::Bool(a != b),
        Lt => Value::Bool(a < b),
        Le => Value::Bool(a <= b),
        Gt => Value::Bool(a > b),
        Ge => Value::Bool(a >= b),
        MatMul | And | Or | Near => return None,
    })
}

//! A reduction within a nest: its registers, and how a value is taken in.

use crate::compose::Composer;
use graph::NodeId;
use kernel::{Binary, Combine, DType, Expr, Stmt, Ty, Unary, VarId};

/// One reduction of the nest.
pub struct Hero {
    pub node: NodeId,
    pub combine: Combine,
    /// Where the combined value is kept; for positions, the value compared.
    pub accumulator: VarId,
    /// The position found, for positions.
    pub position: Option<VarId>,
    /// The value after the loops, in the node's dtype.
    pub result: VarId,
    /// Type in which values are combined.
    pub dtype: DType,
    /// The result is that of a part, and goes to a slot in the type of combining.
    pub partial: bool,
}

impl Hero {
    pub fn new(composer: &mut Composer<'_, '_>, node: NodeId, combine: Combine, value: &Expr) -> Hero {
        let result_dtype = composer.analysis.dtype(node);
        let kernel = &mut composer.body.kernel;
        let dtype = kernel.ty(value).dtype.accumulator();
        let position = matches!(combine, Combine::ArgMax | Combine::ArgMin)
            .then(|| kernel.var("place", Ty::scalar(result_dtype)));
        let accumulator = kernel.var("acc", Ty::scalar(dtype));
        let result = kernel.var("r", Ty::scalar(result_dtype));
        Hero { node, combine, accumulator, position, result, dtype, partial: false }
    }

    pub fn operation(&self) -> Binary {
        match self.combine {
            Combine::Sum => Binary::Add,
            Combine::Product => Binary::Mul,
            Combine::Max | Combine::ArgMax => Binary::Max,
            Combine::Min | Combine::ArgMin => Binary::Min,
            Combine::Any => Binary::Or,
            Combine::All => Binary::And,
        }
    }

    /// What changes nothing when combined.
    pub fn neutral(&self) -> Expr {
        let (low, high) = if self.dtype.is_float() {
            (f64::NEG_INFINITY, f64::INFINITY)
        } else {
            let (low, high) = kernel::interp::range(self.dtype);
            return match self.combine {
                Combine::Sum => Expr::number(self.dtype, 0.0),
                Combine::Product => Expr::number(self.dtype, 1.0),
                Combine::Any => Expr::bool(false),
                Combine::All => Expr::bool(true),
                Combine::Max | Combine::ArgMax => integer(self.dtype, low),
                Combine::Min | Combine::ArgMin => integer(self.dtype, high),
            };
        };
        Expr::float(
            self.dtype,
            match self.combine {
                Combine::Product => 1.0,
                Combine::Max | Combine::ArgMax => low,
                Combine::Min | Combine::ArgMin => high,
                _ => 0.0,
            },
        )
    }

    pub fn registers(&self) -> Vec<Stmt> {
        let mut registers = vec![Stmt::Register { var: self.accumulator, init: self.neutral() }];
        registers.extend(self.position.map(|var| Stmt::Register { var, init: integer(DType::I32, 0) }));
        registers
    }

    /// Adds the statements that take one value in.
    pub fn accumulate(
        &self,
        composer: &mut Composer<'_, '_>,
        value: Expr,
        at: Option<&Expr>,
        body: &mut Vec<Stmt>,
    ) {
        let value = match composer.body.kernel.ty(&value).dtype {
            dtype if dtype != self.dtype => Expr::cast(self.dtype, value),
            _ => value,
        };
        let accumulator = Expr::Var(self.accumulator);
        let Some(position) = self.position else {
            let combined = match (self.combine, value) {
                (Combine::Sum, Expr::Binary(Binary::Mul, a, b)) if self.dtype.is_float() => {
                    Expr::Fma(a, b, Box::new(accumulator))
                }
                (_, value) => Expr::Binary(self.operation(), Box::new(accumulator), Box::new(value)),
            };
            body.push(Stmt::Assign { var: self.accumulator, value: combined });
            return;
        };
        let (seen, value) = composer.scope(|c| c.bind(value));
        body.extend(seen);
        let beats = if self.combine == Combine::ArgMax { Binary::Gt } else { Binary::Lt };
        let mut better = Expr::binary(beats, value.clone(), accumulator.clone());
        if self.dtype.is_float() {
            // The first NaN wins over everything.
            let is_nan = |x: &Expr| Expr::unary(Unary::IsNan, x.clone());
            let first_nan = is_nan(&value).and(Expr::unary(Unary::Not, is_nan(&accumulator)));
            better = Expr::binary(Binary::Or, better, first_nan);
        }
        let better_var = composer.body.kernel.var("better", Ty::scalar(DType::Bool));
        let here = Expr::cast(DType::I32, at.cloned().unwrap_or(Expr::int(0)));
        body.push(Stmt::Let { var: better_var, value: better });
        let pick = |yes, no| Expr::select(Expr::Var(better_var), yes, no);
        body.push(Stmt::Assign { var: position, value: pick(here, Expr::Var(position)) });
        body.push(Stmt::Assign { var: self.accumulator, value: pick(value, accumulator) });
    }
}

fn integer(dtype: DType, value: i64) -> Expr {
    Expr::Const(kernel::Const::Int(dtype, value))
}

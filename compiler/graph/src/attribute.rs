//! The attributes of operators in the text form: one line an operator, read and written from the same list.

use crate::{
    DType, FuncId, Module, Op, Type, ops,
    parse::{Cursor, ParseError},
};
use shape::{Dim, Shape, Symbol};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// How one attribute is written and read. `WORD` attributes stand without their name.
trait Attribute: Sized {
    const WORD: bool = false;
    fn write(&self, module: &Module, out: &mut String);
    fn read(cursor: &mut Cursor<'_>, module: &Module) -> Result<Self, ParseError>;
    /// Puts dimensions in the place of symbols; most attributes hold none.
    fn substitute(&mut self, _: &BTreeMap<Symbol, Dim>) {}
    /// The symbols in it.
    fn symbols(&self) -> BTreeSet<Symbol> {
        BTreeSet::new()
    }
    /// Puts a dtype in the place of `float`.
    fn choose_float(&mut self, _: DType) {}
}

macro_rules! attributes {
    ($($name:ident = $text:literal { $($field:ident),* })*) => {
        /// Writes the operator's name and attributes.
        pub(crate) fn write_op(op: &Op, module: &Module, out: &mut String) {
            match op {
                Op::Unary(op) => out.push_str(unary_name(op.op)),
                Op::Binary(op) => out.push_str(binary_name(op.op)),
                Op::Constant(constant) => write_constant(constant, out),
                $(Op::$name(op) => {
                    out.push_str($text);
                    $(write_attribute(stringify!($field), &op.$field, module, out);)*
                    let _ = op;
                })*
            }
        }

        impl Op {
            /// The operator in other dimensions, as when a function is inlined.
            #[must_use]
            pub fn substitute(mut self, dims: &BTreeMap<Symbol, Dim>) -> Op {
                match &mut self {
                    Op::Unary(_) | Op::Binary(_) | Op::Constant(_) => {}
                    $(Op::$name(op) => {
                        $(Attribute::substitute(&mut op.$field, dims);)*
                        let _ = op;
                    })*
                }
                self
            }

            /// The symbols in its attributes, those of functions that it runs left out.
            pub fn symbols(&self) -> BTreeSet<Symbol> {
                let mut found = BTreeSet::new();
                match self {
                    Op::Unary(_) | Op::Binary(_) | Op::Constant(_) => {}
                    $(Op::$name(op) => {
                        $(found.extend(Attribute::symbols(&op.$field));)*
                        let _ = op;
                    })*
                }
                found
            }

            /// The operator with `float` replaced in its attributes; a constant's values are not rounded here.
            #[must_use]
            pub fn choose_float(mut self, float: DType) -> Op {
                match &mut self {
                    Op::Unary(_) | Op::Binary(_) => {}
                    Op::Constant(constant) => Attribute::choose_float(&mut constant.dtype, float),
                    $(Op::$name(op) => {
                        $(Attribute::choose_float(&mut op.$field, float);)*
                        let _ = op;
                    })*
                }
                self
            }
        }

        /// Reads the operator whose name was just read.
        pub(crate) fn read_op(name: &str, cursor: &mut Cursor<'_>, module: &Module, types: &[Type])
            -> Result<Op, ParseError> {
            match name {
                "const" => read_constant(cursor, types),
                $($text => Ok(Op::$name(ops::$name {
                    $($field: read_attribute(stringify!($field), cursor, module)?,)*
                })),)*
                _ => match (unary(name), binary(name)) {
                    (Some(op), _) => Ok(Op::from(ops::Unary { op })),
                    (_, Some(op)) => Ok(Op::from(ops::Binary { op })),
                    _ => Err(cursor.error(format!("there is no operator `{name}`"))),
                },
            }
        }
    };
}

attributes! {
    Parameter = "param" { index }
    Size = "size" { dim, dtype }
    Select = "select" {}
    Cast = "cast" { to }
    Broadcast = "broadcast" { shape }
    Reshape = "reshape" { shape }
    Transpose = "transpose" { perm }
    Slice = "slice" { start, extent, stride }
    Pad = "pad" { low, high, interior }
    Concat = "concat" { axis }
    Window = "window" { axes, size, stride, dilation }
    Fold = "fold" { axes, size, stride, dilation, extents }
    Reduce = "reduce" { combine, axes }
    Contract = "contract" { extents, out, lhs, rhs }
    Gather = "gather" { axis, lanes }
    ScatterAdd = "scatter_add" { axis, lanes }
    Argsort = "argsort" { axis, descending }
    Cumulative = "cumulative" { axis, reverse, leading }
    Iota = "iota" { shape, axis }
    Random = "random" { distribution, dtype, shape, draw }
    StopGradient = "stop_gradient" {}
    Barrier = "barrier" {}
    Call = "call" { callee }
    Scan = "scan" { body, count, reverse, carried, fixed, stacked, tables, table_results, remat }
    Cond = "cond" { then, otherwise }
    While = "while" { condition, body, carried, limit }
    Get = "get" { index }
}

macro_rules! words {
    ($write:ident, $read:ident, $ty:ty, $($variant:ident = $word:literal,)*) => {
        /// The word of the text form.
        pub fn $write(value: $ty) -> &'static str {
            match value { $(<$ty>::$variant => $word,)* }
        }

        fn $read(word: &str) -> Option<$ty> {
            match word { $($word => Some(<$ty>::$variant),)* _ => None }
        }
    };
}

words! { unary_name, unary, kernel::Unary,
    Neg = "neg", Abs = "abs", Sign = "sign", Not = "not", Floor = "floor", Ceil = "ceil", Round = "round",
    Sqrt = "sqrt", Exp = "exp", Expm1 = "expm1", Log = "log", Log1p = "log1p", Sin = "sin", Cos = "cos", Tan = "tan",
    Asin = "asin", Acos = "acos", Atan = "atan", Sinh = "sinh", Cosh = "cosh", Tanh = "tanh",
    Sigmoid = "sigmoid", Erf = "erf", IsNan = "is_nan", IsInf = "is_inf", IsFinite = "is_finite",
}

words! { binary_name, binary, kernel::Binary,
    Add = "add", Sub = "sub", Mul = "mul", Div = "div", Rem = "rem", Pow = "pow", Min = "min", Max = "max",
    Atan2 = "atan2", Lt = "lt", Le = "le", Gt = "gt", Ge = "ge", Eq = "eq", Ne = "ne", And = "and", Or = "or",
    Xor = "xor", Shl = "shl", Shr = "shr", MulHi32 = "mul_hi32",
}

words! { combine_name, combine, kernel::Combine,
    Sum = "sum", Product = "product", Max = "max", Min = "min", Any = "any", All = "all", ArgMax = "argmax",
    ArgMin = "argmin",
}

words! { distribution_name, distribution, ops::Distribution,
    Uniform = "uniform", Normal = "normal",
}

fn write_attribute<A: Attribute>(name: &str, value: &A, module: &Module, out: &mut String) {
    out.push(' ');
    if !A::WORD {
        out.push_str(name);
        out.push('=');
    }
    value.write(module, out);
}

fn read_attribute<A: Attribute>(
    name: &str,
    cursor: &mut Cursor<'_>,
    module: &Module,
) -> Result<A, ParseError> {
    if !A::WORD {
        cursor.expect(name)?;
        cursor.expect("=")?;
    }
    A::read(cursor, module)
}

impl Attribute for usize {
    fn write(&self, _: &Module, out: &mut String) {
        _ = write!(out, "{self}");
    }
    fn read(cursor: &mut Cursor<'_>, _: &Module) -> Result<usize, ParseError> {
        cursor.integer()
    }
}

impl Attribute for bool {
    fn write(&self, _: &Module, out: &mut String) {
        _ = write!(out, "{self}");
    }
    fn read(cursor: &mut Cursor<'_>, _: &Module) -> Result<bool, ParseError> {
        cursor.word(|word| word.parse().ok(), "true or false")
    }
}

impl Attribute for u32 {
    fn write(&self, _: &Module, out: &mut String) {
        _ = write!(out, "{self}");
    }
    fn read(cursor: &mut Cursor<'_>, _: &Module) -> Result<u32, ParseError> {
        cursor.integer()
    }
}

impl Attribute for i64 {
    fn write(&self, _: &Module, out: &mut String) {
        _ = write!(out, "{self}");
    }
    fn read(cursor: &mut Cursor<'_>, _: &Module) -> Result<i64, ParseError> {
        cursor.integer()
    }
}

/// In parentheses, because a dimension may hold spaces; in a list it needs none.
impl Attribute for Dim {
    fn write(&self, _: &Module, out: &mut String) {
        write_dim(self, out);
    }
    fn read(cursor: &mut Cursor<'_>, _: &Module) -> Result<Dim, ParseError> {
        read_dim(cursor)
    }
    fn substitute(&mut self, dims: &BTreeMap<Symbol, Dim>) {
        *self = Dim::substitute(self, dims);
    }
    fn symbols(&self) -> BTreeSet<Symbol> {
        Dim::symbols(self)
    }
}

/// `none`, or as a dimension.
impl Attribute for Option<Dim> {
    fn write(&self, _: &Module, out: &mut String) {
        match self {
            Some(dim) => write_dim(dim, out),
            None => out.push_str("none"),
        }
    }
    fn read(cursor: &mut Cursor<'_>, _: &Module) -> Result<Option<Dim>, ParseError> {
        if cursor.eat("none") { Ok(None) } else { read_dim(cursor).map(Some) }
    }
    fn substitute(&mut self, dims: &BTreeMap<Symbol, Dim>) {
        if let Some(dim) = self {
            *dim = Dim::substitute(dim, dims);
        }
    }
    fn symbols(&self) -> BTreeSet<Symbol> {
        self.iter().flat_map(Dim::symbols).collect()
    }
}

/// The function's name.
impl Attribute for FuncId {
    const WORD: bool = true;
    fn write(&self, module: &Module, out: &mut String) {
        write_function(*self, module, out);
    }
    fn read(cursor: &mut Cursor<'_>, module: &Module) -> Result<FuncId, ParseError> {
        read_function(cursor, module)
    }
}

impl Attribute for Shape {
    fn write(&self, _: &Module, out: &mut String) {
        _ = write!(out, "{self}");
    }
    fn read(cursor: &mut Cursor<'_>, _: &Module) -> Result<Shape, ParseError> {
        cursor.shape()
    }
    fn substitute(&mut self, dims: &BTreeMap<Symbol, Dim>) {
        *self = Shape::substitute(self, dims);
    }
    fn symbols(&self) -> BTreeSet<Symbol> {
        self.iter().flat_map(Dim::symbols).collect()
    }
}

impl Attribute for Vec<Dim> {
    fn write(&self, _: &Module, out: &mut String) {
        write_list(self, out, |dim, out| _ = write!(out, "{dim}"));
    }
    fn read(cursor: &mut Cursor<'_>, _: &Module) -> Result<Vec<Dim>, ParseError> {
        cursor.shape().map(|shape| shape.0)
    }
    fn substitute(&mut self, dims: &BTreeMap<Symbol, Dim>) {
        for dim in self {
            *dim = Dim::substitute(dim, dims);
        }
    }
    fn symbols(&self) -> BTreeSet<Symbol> {
        self.iter().flat_map(Dim::symbols).collect()
    }
}

impl Attribute for Vec<usize> {
    fn write(&self, _: &Module, out: &mut String) {
        write_list(self, out, |item, out| _ = write!(out, "{item}"));
    }
    fn read(cursor: &mut Cursor<'_>, _: &Module) -> Result<Vec<usize>, ParseError> {
        cursor.list("[", "]", Cursor::integer)
    }
}

impl Attribute for Vec<i64> {
    fn write(&self, _: &Module, out: &mut String) {
        write_list(self, out, |item, out| _ = write!(out, "{item}"));
    }
    fn read(cursor: &mut Cursor<'_>, _: &Module) -> Result<Vec<i64>, ParseError> {
        cursor.list("[", "]", Cursor::integer)
    }
}

impl Attribute for DType {
    fn write(&self, _: &Module, out: &mut String) {
        out.push_str(self.name());
    }
    fn read(cursor: &mut Cursor<'_>, _: &Module) -> Result<DType, ParseError> {
        cursor.word(DType::parse, "a dtype")
    }
    fn choose_float(&mut self, float: DType) {
        if *self == DType::Float {
            *self = float;
        }
    }
}

impl Attribute for kernel::Combine {
    const WORD: bool = true;
    fn write(&self, _: &Module, out: &mut String) {
        out.push_str(combine_name(*self));
    }
    fn read(cursor: &mut Cursor<'_>, _: &Module) -> Result<kernel::Combine, ParseError> {
        cursor.word(combine, "a reduction")
    }
}

impl Attribute for ops::Distribution {
    const WORD: bool = true;
    fn write(&self, _: &Module, out: &mut String) {
        out.push_str(distribution_name(*self));
    }
    fn read(cursor: &mut Cursor<'_>, _: &Module) -> Result<ops::Distribution, ParseError> {
        cursor.word(distribution, "a distribution")
    }
}

/// `[#0, 2*#1 + #3 + (n - 1)]`: index numbers after `#`, an offset that is not 0 in parentheses.
impl Attribute for Vec<ops::Subscript> {
    fn write(&self, _: &Module, out: &mut String) {
        write_list(self, out, |subscript, out| {
            let mut separator = "";
            for (coefficient, index) in &subscript.terms {
                out.push_str(separator);
                separator = " + ";
                match coefficient {
                    1 => _ = write!(out, "#{index}"),
                    _ => _ = write!(out, "{coefficient}*#{index}"),
                }
            }
            if subscript.terms.is_empty() || !subscript.offset.is_const(0) {
                out.push_str(separator);
                write_dim(&subscript.offset, out);
            }
        });
    }
    fn read(cursor: &mut Cursor<'_>, _: &Module) -> Result<Vec<ops::Subscript>, ParseError> {
        cursor.list("[", "]", |cursor| {
            let mut subscript = ops::Subscript { terms: Vec::new(), offset: Dim::from(0i64) };
            loop {
                if cursor.at("(") {
                    subscript.offset = read_dim(cursor)?;
                    return Ok(subscript);
                }
                let coefficient = if cursor.at("#") {
                    1
                } else {
                    let coefficient = cursor.integer()?;
                    cursor.expect("*")?;
                    coefficient
                };
                cursor.expect("#")?;
                subscript.terms.push((coefficient, cursor.integer()?));
                if !cursor.eat("+") {
                    return Ok(subscript);
                }
            }
        })
    }
    fn substitute(&mut self, dims: &BTreeMap<Symbol, Dim>) {
        for subscript in self {
            subscript.offset = subscript.offset.substitute(dims);
        }
    }
    fn symbols(&self) -> BTreeSet<Symbol> {
        self.iter().flat_map(|subscript| subscript.offset.symbols()).collect()
    }
}

fn write_list<T>(items: &[T], out: &mut String, write: impl Fn(&T, &mut String)) {
    out.push('[');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push_str(", ");
        }
        write(item, out);
    }
    out.push(']');
}

/// `@softmax`; a name that is not plain is quoted.
pub(crate) fn write_function_name(name: &str, out: &mut String) {
    out.push('@');
    crate::print::write_name(name, out);
}

/// The name of a function of the module.
pub(crate) fn write_function(id: FuncId, module: &Module, out: &mut String) {
    match module.functions.get(id) {
        Some(function) => write_function_name(&function.name, out),
        None => _ = write!(out, "@{}", id.index()),
    }
}

pub(crate) fn read_function(cursor: &mut Cursor<'_>, module: &Module) -> Result<FuncId, ParseError> {
    cursor.expect("@")?;
    let error = cursor.error("no function of this name stands above");
    let name = cursor.name()?;
    module.find(&name).ok_or(error)
}

fn write_dim(dim: &Dim, out: &mut String) {
    _ = write!(out, "({dim})");
}

fn read_dim(cursor: &mut Cursor<'_>) -> Result<Dim, ParseError> {
    cursor.expect("(")?;
    let dim = cursor.dim()?;
    cursor.expect(")")?;
    Ok(dim)
}

/// The values; dtype and shape are the node's type. A NaN other than the usual one shows its bits.
fn write_constant(constant: &ops::Constant, out: &mut String) {
    out.push_str("const {");
    for (position, bits) in constant.bits.iter().enumerate() {
        if position > 0 {
            out.push_str(", ");
        }
        let value = f64::from_bits(*bits);
        if *bits == f64::NAN.to_bits() {
            out.push_str("nan");
        } else if value.is_nan() {
            _ = write!(out, "bits {bits}");
        } else if constant.dtype.is_float() || value.fract() != 0.0 || value.is_infinite() {
            _ = write!(out, "{value:?}");
        } else {
            _ = write!(out, "{value}");
        }
    }
    out.push('}');
}

fn read_constant(cursor: &mut Cursor<'_>, types: &[Type]) -> Result<Op, ParseError> {
    let error = cursor.error("a constant is of one type, whose sizes are numbers");
    let [ty] = types else { return Err(error) };
    let extents = ty.shape.as_consts().and_then(|extents| {
        extents.into_iter().map(|extent| usize::try_from(extent).ok()).collect::<Option<Vec<usize>>>()
    });
    let shape = extents.ok_or(error)?;
    let wrong_count = cursor.error("the number of values is not that of the type's elements");
    let bits = cursor.list("{", "}", |cursor| {
        if cursor.eat("bits") { cursor.integer() } else { cursor.float().map(f64::to_bits) }
    })?;
    let elements = shape.iter().try_fold(1usize, |product, extent| product.checked_mul(*extent));
    if elements != Some(bits.len()) {
        return Err(wrong_count);
    }
    Ok(Op::from(ops::Constant { dtype: ty.dtype, shape, bits }))
}

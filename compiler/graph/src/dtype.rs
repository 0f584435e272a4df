//! Types of values: a dtype and a symbolic shape.

use shape::Shape;

/// Dtypes of the language. `Float` is the floating dtype that a build chooses later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DType {
    Float,
    Of(kernel::DType),
}

impl DType {
    pub const F64: DType = DType::Of(kernel::DType::F64);
    pub const F32: DType = DType::Of(kernel::DType::F32);
    pub const I64: DType = DType::Of(kernel::DType::I64);
    pub const I32: DType = DType::Of(kernel::DType::I32);
    pub const BOOL: DType = DType::Of(kernel::DType::Bool);

    pub fn name(self) -> &'static str {
        match self {
            DType::Float => "float",
            DType::Of(dtype) => dtype.name(),
        }
    }

    pub fn parse(name: &str) -> Option<DType> {
        if name == "float" { Some(DType::Float) } else { kernel::DType::parse(name).map(DType::Of) }
    }

    pub fn is_float(self) -> bool {
        match self {
            DType::Float => true,
            DType::Of(dtype) => dtype.is_float(),
        }
    }

    pub fn is_int(self) -> bool {
        matches!(self, DType::Of(dtype) if dtype.is_int())
    }

    pub fn is_bool(self) -> bool {
        self == DType::BOOL
    }

    /// The machine's dtype once the build has chosen `float`.
    pub fn concrete(self, float: kernel::DType) -> kernel::DType {
        match self {
            DType::Float => float,
            DType::Of(dtype) => dtype,
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Type {
    pub dtype: DType,
    pub shape: Shape,
}

impl Type {
    pub fn new(dtype: DType, shape: Shape) -> Type {
        Type { dtype, shape }
    }

    pub fn scalar(dtype: DType) -> Type {
        Type { dtype, shape: Shape::scalar() }
    }

    pub fn rank(&self) -> usize {
        self.shape.rank()
    }
}

/// `f32[batch, 3]`; a scalar is `f32`.
impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.rank() == 0 { write!(f, "{}", self.dtype) } else { write!(f, "{}{}", self.dtype, self.shape) }
    }
}

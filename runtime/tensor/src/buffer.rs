//! Memory of tensors, aligned to a cache line. The crate's only unsafe code: views of the same bytes as numbers.
#![allow(
    unsafe_code,
    reason = "typed views of one allocation need pointer casts; every block states why it is sound"
)]

use crate::DType;

/// A number that a tensor can hold and whose every bit pattern is a value. Sealed: the views rely on it.
pub trait Element: Copy + sealed::Plain {
    const DTYPE: DType;
}

macro_rules! elements {
    ($($number:ty => $dtype:ident),*) => {
        $(
            impl Element for $number {
                const DTYPE: DType = DType::$dtype;
            }
            impl sealed::Plain for $number {}
        )*
    };
}
elements!(f64 => F64, f32 => F32, i64 => I64, i32 => I32, i16 => I16, i8 => I8, u8 => U8);

// 16-bit floats are handled by their bits.
impl sealed::Plain for u16 {}

pub(crate) mod sealed {
    /// Without padding, without invalid bit patterns, aligned to at most 64 bytes, of a size that divides 64.
    pub trait Plain: Copy {}
}

/// Alignment of all tensor memory: a cache line, and the widest vector register there is.
const LINE: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// `length` initialised bytes, the first of them at a multiple of 64. The rest of the last line is zero.
#[derive(Clone)]
pub(crate) struct Buffer {
    lines: Vec<Line>,
    length: usize,
}

impl Buffer {
    /// Zeros, or `None` where the memory cannot be had.
    pub fn zeroed(length: usize) -> Option<Buffer> {
        let count = length.div_ceil(LINE);
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).ok()?;
        lines.resize(count, Line([0; LINE]));
        Some(Buffer { lines, length })
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `lines` owns at least `length` initialised bytes, since it holds ⌈length / 64⌉ lines of 64 bytes without
        // padding; u8 has no alignment; the borrow of self keeps them alive and unchanged.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast::<u8>(), self.length) }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; the borrow is exclusive, and any byte is a valid u8.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast::<u8>(), self.length) }
    }

    /// The same bytes as numbers; a rest shorter than one number is left out.
    pub fn view<T: sealed::Plain>(&self) -> &[T] {
        // SAFETY: the start is aligned to 64, which suffices for every `Plain`; the count stays within `length`
        // initialised bytes; every bit pattern is a value of a `Plain` type; the borrow of self keeps them alive.
        unsafe {
            std::slice::from_raw_parts(
                self.lines.as_ptr().cast::<T>(),
                self.length / std::mem::size_of::<T>(),
            )
        }
    }

    pub fn view_mut<T: sealed::Plain>(&mut self) -> &mut [T] {
        // SAFETY: as in `view`; the borrow is exclusive, and `Plain` types have no padding, so the bytes stay initialised.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.lines.as_mut_ptr().cast::<T>(),
                self.length / std::mem::size_of::<T>(),
            )
        }
    }
}

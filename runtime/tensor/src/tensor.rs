//! A dense array of numbers on the host.

use crate::{
    DType, Element, bf16_to_f32,
    buffer::{Buffer, sealed::Plain},
    f16_to_f32,
};
use base::Diagnostic;
use std::ops::Range;

/// Row-major numbers with a shape; rank 0 is a single number. Bool elements are the bytes 0 and 1.
#[derive(Clone)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    buffer: Buffer,
}

impl Tensor {
    pub fn zeros(dtype: DType, shape: impl Into<Vec<usize>>) -> Result<Tensor, Diagnostic> {
        let shape = shape.into();
        let buffer = element_count(&shape)
            .and_then(|count| count.checked_mul(dtype.size()))
            .and_then(Buffer::zeroed)
            .ok_or_else(|| too_large(dtype, &shape))?;
        Ok(Tensor { dtype, shape, buffer })
    }

    /// `values` in row-major order. Their number has to be the product of the shape.
    pub fn from_vec<T: Element>(
        shape: impl Into<Vec<usize>>,
        values: impl AsRef<[T]>,
    ) -> Result<Tensor, Diagnostic> {
        let (shape, values) = (shape.into(), values.as_ref());
        if element_count(&shape) != Some(values.len()) {
            return Err(wrong_count(&shape, values.len()));
        }
        let mut tensor = Tensor::zeros(T::DTYPE, shape)?;
        tensor.buffer.view_mut::<T>().copy_from_slice(values);
        Ok(tensor)
    }

    pub fn from_bools(shape: impl Into<Vec<usize>>, values: &[bool]) -> Result<Tensor, Diagnostic> {
        let shape = shape.into();
        if element_count(&shape) != Some(values.len()) {
            return Err(wrong_count(&shape, values.len()));
        }
        let mut tensor = Tensor::zeros(DType::Bool, shape)?;
        for (byte, value) in tensor.buffer.bytes_mut().iter_mut().zip(values) {
            *byte = u8::from(*value);
        }
        Ok(tensor)
    }

    /// Little-endian, row-major bytes, exactly as many as shape and dtype ask for.
    pub fn from_bytes(
        dtype: DType,
        shape: impl Into<Vec<usize>>,
        bytes: &[u8],
    ) -> Result<Tensor, Diagnostic> {
        let shape = shape.into();
        let needed = element_count(&shape).and_then(|count| count.checked_mul(dtype.size()));
        if needed != Some(bytes.len()) {
            return Err(Diagnostic::error(
                "E0605",
                format!("{} bytes are not an array {}", bytes.len(), typed_shape(dtype, &shape)),
            ));
        }
        if dtype == DType::Bool
            && let Some(index) = bytes.iter().position(|byte| *byte > 1)
        {
            return Err(Diagnostic::error(
                "E0605",
                format!("element {index} of a bool array is the byte {}, neither 0 nor 1", bytes[index]),
            ));
        }
        let mut tensor = Tensor::zeros(dtype, shape)?;
        tensor.buffer.bytes_mut().copy_from_slice(bytes);
        if cfg!(target_endian = "big") {
            tensor.buffer.bytes_mut().chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
        }
        Ok(tensor)
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.buffer.bytes().len() / self.dtype.size()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements' memory, in the machine's byte order.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.bytes()
    }

    /// As [`Tensor::bytes`], to be written. Bool elements must stay 0 or 1.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.bytes_mut()
    }

    /// Row-major, little-endian bytes: what files hold.
    pub fn to_little_endian(&self) -> Vec<u8> {
        let mut bytes = self.bytes().to_vec();
        if cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(self.dtype.size()).for_each(<[u8]>::reverse);
        }
        bytes
    }

    /// The elements, where `T` is their type.
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        (self.dtype == T::DTYPE).then(|| self.buffer.view())
    }

    pub fn as_mut_slice<T: Element>(&mut self) -> Option<&mut [T]> {
        (self.dtype == T::DTYPE).then(|| self.buffer.view_mut())
    }

    pub fn as_f64(&self) -> Option<&[f64]> {
        self.as_slice()
    }

    pub fn as_f32(&self) -> Option<&[f32]> {
        self.as_slice()
    }

    pub fn as_i64(&self) -> Option<&[i64]> {
        self.as_slice()
    }

    pub fn as_i32(&self) -> Option<&[i32]> {
        self.as_slice()
    }

    pub fn as_u8(&self) -> Option<&[u8]> {
        self.as_slice()
    }

    /// The bits of f16 or bf16 elements.
    pub fn as_half_bits(&self) -> Option<&[u16]> {
        matches!(self.dtype, DType::F16 | DType::BF16).then(|| self.buffer.view())
    }

    pub fn to_bool_vec(&self) -> Option<Vec<bool>> {
        (self.dtype == DType::Bool).then(|| self.bytes().iter().map(|byte| *byte != 0).collect())
    }

    /// Every element as f64. Integers above 2^53 in magnitude are rounded.
    pub fn to_f64_vec(&self) -> Vec<f64> {
        match self.dtype {
            DType::F64 => self.view::<f64>().to_vec(),
            DType::F32 => self.view::<f32>().iter().copied().map(f64::from).collect(),
            DType::F16 => self.view::<u16>().iter().map(|bits| f64::from(f16_to_f32(*bits))).collect(),
            DType::BF16 => self.view::<u16>().iter().map(|bits| f64::from(bf16_to_f32(*bits))).collect(),
            DType::I64 => self.view::<i64>().iter().map(|number| *number as f64).collect(),
            DType::I32 => self.view::<i32>().iter().copied().map(f64::from).collect(),
            DType::I16 => self.view::<i16>().iter().copied().map(f64::from).collect(),
            DType::I8 => self.view::<i8>().iter().copied().map(f64::from).collect(),
            DType::U8 | DType::Bool => self.bytes().iter().copied().map(f64::from).collect(),
        }
    }

    /// The same elements in the same row-major order under another shape.
    pub fn reshape(mut self, shape: impl Into<Vec<usize>>) -> Result<Tensor, Diagnostic> {
        let shape = shape.into();
        if element_count(&shape) != Some(self.len()) {
            return Err(Diagnostic::error(
                "E0610",
                format!(
                    "an array of shape {} holds {} elements and cannot take the shape {}",
                    shape_text(&self.shape),
                    self.len(),
                    shape_text(&shape)
                ),
            ));
        }
        self.shape = shape;
        Ok(self)
    }

    /// Length of the first axis; 0 for a single number, which has no rows.
    pub fn row_count(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// The rows (slices along the first axis) of a range.
    ///
    /// # Panics
    /// Where the range leaves the array: ranges are the caller's arithmetic, never a file's content.
    pub fn rows(&self, range: Range<usize>) -> Tensor {
        let indices: Vec<usize> = range.collect();
        self.gather_rows(&indices)
    }

    /// The rows of these numbers, in this order; a number may repeat.
    ///
    /// # Panics
    /// Where a number is no row, and where the result is larger than memory.
    pub fn gather_rows(&self, indices: &[usize]) -> Tensor {
        let mut gathered = Tensor::zeros(self.dtype, self.shape_of_rows(indices.len()))
            .expect("rows of an array in memory fit in memory");
        self.gather_rows_into(indices, &mut gathered);
        gathered
    }

    /// As [`Tensor::gather_rows`], into an array of that shape, whose memory is used again.
    ///
    /// # Panics
    /// Where a number is no row, and where `gathered` has another dtype or shape.
    pub fn gather_rows_into(&self, indices: &[usize], gathered: &mut Tensor) {
        assert!(indices.iter().all(|index| *index < self.row_count()), "a row outside of the array");
        assert!(
            gathered.dtype == self.dtype && gathered.shape == self.shape_of_rows(indices.len()),
            "rows gathered into an array of another form"
        );
        let row_bytes = self.bytes().len() / self.row_count().max(1);
        if row_bytes > 0 {
            let targets = gathered.buffer.bytes_mut().chunks_exact_mut(row_bytes);
            for (target, index) in targets.zip(indices) {
                target.copy_from_slice(&self.bytes()[index * row_bytes..(index + 1) * row_bytes]);
            }
        }
    }

    /// The shape of so many rows of this array.
    fn shape_of_rows(&self, rows: usize) -> Vec<usize> {
        std::iter::once(rows).chain(self.shape.iter().skip(1).copied()).collect()
    }

    pub(crate) fn view<T: Plain>(&self) -> &[T] {
        self.buffer.view()
    }

    pub(crate) fn view_mut<T: Plain>(&mut self) -> &mut [T] {
        self.buffer.view_mut()
    }
}

impl PartialEq for Tensor {
    /// Bit for bit: a NaN equals itself, 0 and −0 differ.
    fn eq(&self, other: &Self) -> bool {
        self.dtype == other.dtype && self.shape == other.shape && self.bytes() == other.bytes()
    }
}

impl Eq for Tensor {}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", typed_shape(self.dtype, &self.shape))?;
        let shown = self.len().min(16);
        let values = self.to_f64_vec();
        f.debug_list().entries(&values[..shown]).finish()?;
        if shown < self.len() { f.write_str("…") } else { Ok(()) }
    }
}

/// Product of the dimensions, `None` where it or any partial product overflows what memory can address.
pub fn element_count(shape: &[usize]) -> Option<usize> {
    let nonzero = shape
        .iter()
        .filter(|dim| **dim > 0)
        .try_fold(1usize, |product, dim| product.checked_mul(*dim))
        .filter(|product| isize::try_from(*product).is_ok())?;
    Some(if shape.contains(&0) { 0 } else { nonzero })
}

/// `[32, 8, 8]`, as messages show shapes.
pub fn shape_text(shape: &[usize]) -> String {
    let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("[{}]", dims.join(", "))
}

pub(crate) fn typed_shape(dtype: DType, shape: &[usize]) -> String {
    format!("{dtype}{}", shape_text(shape))
}

fn too_large(dtype: DType, shape: &[usize]) -> Diagnostic {
    Diagnostic::error("E0608", format!("there is no memory for an array {}", typed_shape(dtype, shape)))
}

fn wrong_count(shape: &[usize], count: usize) -> Diagnostic {
    Diagnostic::error("E0610", format!("{count} values do not fill an array of shape {}", shape_text(shape)))
}

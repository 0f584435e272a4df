//! Other orders of the same elements: axes exchanged, parts cut out, pieces put together. `None` where an axis, a range,
//! a shape or a dtype does not fit.

use crate::Tensor;
use std::ops::Range;

impl Tensor {
    /// Axis `k` of the result is axis `axes[k]` of this.
    pub fn permuted(&self, axes: &[usize]) -> Option<Tensor> {
        let mut seen = vec![false; self.rank()];
        for axis in axes {
            if std::mem::replace(seen.get_mut(*axis)?, true) {
                return None;
            }
        }
        if axes.len() != self.rank() {
            return None;
        }
        let mut strides = vec![1; self.rank()];
        for axis in (1..self.rank()).rev() {
            strides[axis - 1] = strides[axis] * self.shape()[axis];
        }
        let shape: Vec<usize> = axes.iter().map(|axis| self.shape()[*axis]).collect();
        let steps: Vec<usize> = axes.iter().map(|axis| strides[*axis]).collect();
        let mut result = Tensor::zeros(self.dtype(), shape.clone()).ok()?;
        let (from, to) = (self.bytes(), result.bytes_mut());
        match self.dtype().size() {
            1 => permute::<1>(from, to, &shape, &steps),
            2 => permute::<2>(from, to, &shape, &steps),
            4 => permute::<4>(from, to, &shape, &steps),
            _ => permute::<8>(from, to, &shape, &steps),
        }
        Some(result)
    }

    /// The part of an axis.
    pub fn narrowed(&self, axis: usize, range: Range<usize>) -> Option<Tensor> {
        let size = *self.shape().get(axis)?;
        if range.start > range.end || range.end > size {
            return None;
        }
        let mut shape = self.shape().to_vec();
        shape[axis] = range.len();
        let mut result = Tensor::zeros(self.dtype(), shape).ok()?;
        let row = self.shape()[axis + 1..].iter().product::<usize>() * self.dtype().size();
        let (whole, part) = (size * row, range.len() * row);
        if part > 0 {
            let blocks = self.bytes().chunks_exact(whole).zip(result.bytes_mut().chunks_exact_mut(part));
            for (from, to) in blocks {
                to.copy_from_slice(&from[range.start * row..range.end * row]);
            }
        }
        Some(result)
    }

    /// All parts after each other along an axis.
    pub fn concatenated(parts: &[Tensor], axis: usize) -> Option<Tensor> {
        let first = parts.first()?;
        let mut shape = first.shape().to_vec();
        shape.get(axis)?;
        shape[axis] = 0;
        for part in parts {
            let alike = |(at, size): (usize, &usize)| at == axis || first.shape()[at] == *size;
            let fits = part.rank() == first.rank() && part.shape().iter().enumerate().all(alike);
            if part.dtype() != first.dtype() || !fits {
                return None;
            }
            shape[axis] = shape[axis].checked_add(part.shape()[axis])?;
        }
        let row = shape[axis + 1..].iter().product::<usize>() * first.dtype().size();
        let whole = shape[axis] * row;
        let mut result = Tensor::zeros(first.dtype(), shape).ok()?;
        let mut at = 0;
        for part in parts {
            let piece = part.shape()[axis] * row;
            if piece > 0 {
                let blocks = part.bytes().chunks_exact(piece).zip(result.bytes_mut().chunks_exact_mut(whole));
                for (from, to) in blocks {
                    to[at..at + piece].copy_from_slice(from);
                }
            }
            at += piece;
        }
        Some(result)
    }

    /// Element by element, added in f64 and rounded once.
    pub fn summed(parts: &[Tensor]) -> Option<Tensor> {
        let first = parts.first()?;
        let mut total = vec![0.0; first.len()];
        for part in parts {
            if part.dtype() != first.dtype() || part.shape() != first.shape() || !part.dtype().is_float() {
                return None;
            }
            total.iter_mut().zip(part.to_f64_vec()).for_each(|(total, value)| *total += value);
        }
        Tensor::from_vec(first.shape().to_vec(), total).ok()?.cast(first.dtype()).ok()
    }
}

/// Copies elements of `N` bytes in the order of the result; `steps` are the distances of its neighbours in `from`.
fn permute<const N: usize>(from: &[u8], to: &mut [u8], shape: &[usize], steps: &[usize]) {
    let (from, _) = from.as_chunks::<N>();
    let (to, _) = to.as_chunks_mut::<N>();
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    for element in to {
        *element = from[at];
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += steps[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= steps[axis] * index[axis];
            index[axis] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    fn counting(shape: &[usize]) -> Tensor {
        let count: usize = shape.iter().product();
        Tensor::from_vec(shape, (0..count as i64).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn axes_exchanged() {
        for dtype in [DType::U8, DType::F16, DType::F32, DType::F64] {
            let x = counting(&[2, 3, 4]).cast(dtype).unwrap();
            let y = x.permuted(&[2, 0, 1]).unwrap();
            assert_eq!(y.shape(), [4, 2, 3]);
            let (x, y) = (x.to_f64_vec(), y.to_f64_vec());
            for (i, j, k) in (0..24).map(|n| (n / 12, n / 4 % 3, n % 4)) {
                assert_eq!(y[(k * 2 + i) * 3 + j], x[(i * 3 + j) * 4 + k]);
            }
        }
        let x = counting(&[2, 3]);
        for axes in [&[0][..], &[0, 0], &[0, 2], &[0, 1, 2]] {
            assert!(x.permuted(axes).is_none());
        }
        assert_eq!(counting(&[]).permuted(&[]).unwrap(), counting(&[]));
        assert_eq!(counting(&[0, 3]).permuted(&[1, 0]).unwrap().shape(), [3, 0]);
    }

    #[test]
    fn parts_of_a_whole() {
        for axis in 0..3 {
            let x = counting(&[4, 6, 2]);
            let size = x.shape()[axis];
            let parts = [0..1, 1..size, size..size].map(|range| x.narrowed(axis, range).unwrap());
            assert_eq!(Tensor::concatenated(&parts, axis).unwrap(), x);
        }
        let x = counting(&[4, 6]);
        assert_eq!(x.narrowed(1, 2..4).unwrap().as_i64().unwrap(), [2, 3, 8, 9, 14, 15, 20, 21]);
        assert!(x.narrowed(2, 0..1).is_none());
        assert!(x.narrowed(1, 0..7).is_none());
        assert!(Tensor::concatenated(&[], 0).is_none());
        assert!(Tensor::concatenated(&[x.clone(), counting(&[4, 5])], 0).is_none());
        assert!(Tensor::concatenated(&[x.clone(), x.cast(DType::F32).unwrap()], 0).is_none());
        assert!(Tensor::concatenated(&[x], 2).is_none());
    }

    #[test]
    fn sums_round_once() {
        let x = Tensor::from_vec([2], [1.0f32, 16_777_216.0]).unwrap();
        let one = Tensor::from_vec([2], [1.0f32, 1.0]).unwrap();
        let sum = Tensor::summed(&[x.clone(), one.clone(), one]).unwrap();
        assert_eq!(sum.as_f32().unwrap(), [3.0, 16_777_218.0]);
        assert!(Tensor::summed(&[x, counting(&[2])]).is_none());
        assert!(Tensor::summed(&[counting(&[2])]).is_none());
        assert!(Tensor::summed(&[]).is_none());
    }
}

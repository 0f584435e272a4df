//! Sliding windows as further axes, with no padding: `y[…, i, …, u] = x[…, stride·i + dilation·u, …]`.
//! Each listed axis of extent n becomes `div(n − dilation·(size − 1) − 1, stride) + 1`; the window axes are appended
//! at the end, in the order listed. Pooling is a reduction over them.

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    pub axes: Vec<usize>,
    pub size: Vec<i64>,
    pub stride: Vec<i64>,
    pub dilation: Vec<i64>,
}

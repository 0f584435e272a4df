//! How kernels are computed: tile sizes and vector widths, as plain data that follows from shapes and the target.

pub mod attention;
pub mod cpu;

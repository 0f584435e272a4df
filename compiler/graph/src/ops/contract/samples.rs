//! Matrix products in every layout, convolutions with every attribute, and subscripts that only equations make.

use super::{Contract, Subscript};
use crate::Sample;
use crate::ops::sampling::{floats, integers, plain, smooth};
use shape::{Dim, Facts, Shape};

pub fn all() -> Vec<Sample> {
    let mut samples = products();
    samples.extend(convolutions());
    samples.extend(equations());
    samples
}

fn products() -> Vec<Sample> {
    let dims = |list: &[i64]| list.iter().copied().map(Dim::from).collect::<Vec<Dim>>();
    let sizes = |lists: &[&[i64]]| lists.concat().into_iter().map(|n| n as usize).collect::<Vec<usize>>();
    let dot = |batch: &[i64], m: &[i64], n: &[i64], k: &[i64]| {
        let contract = Contract::dot(&dims(batch), &dims(m), &dims(n), &dims(k));
        let operands = vec![floats(&sizes(&[batch, m, k]), 1), floats(&sizes(&[batch, k, n]), 2)];
        smooth(contract, operands, 1e-5)
    };
    // a[i, k]·b[j, k], a[k, i]·b[k, j]
    let transposed = |lhs: [usize; 2], rhs: [usize; 2], (m, n, k): (usize, usize, usize)| {
        let extents = [m, n, k];
        let contract = Contract {
            extents: extents.map(Dim::from).to_vec(),
            out: vec![0, 1],
            lhs: lhs.map(Subscript::index).to_vec(),
            rhs: rhs.map(Subscript::index).to_vec(),
        };
        let shape = |indices: [usize; 2]| indices.map(|index| extents[index]);
        smooth(contract, vec![floats(&shape(lhs), 1), floats(&shape(rhs), 2)], 1e-5)
    };
    let whole = Contract::dot(&[], &dims(&[3]), &dims(&[4]), &dims(&[5]));
    vec![
        dot(&[], &[], &[], &[]),
        dot(&[], &[], &[], &[7]),
        dot(&[], &[2], &[3], &[4]),
        dot(&[], &[1], &[17], &[1]),
        dot(&[], &[0], &[3], &[2]),
        dot(&[], &[2], &[3], &[0]),
        dot(&[2], &[3], &[4], &[5]),
        dot(&[2, 3], &[1], &[2], &[3]),
        dot(&[], &[2, 3], &[2], &[2, 2]),
        dot(&[], &[13], &[35], &[19]),
        transposed([0, 2], [1, 2], (3, 4, 5)),
        transposed([2, 0], [2, 1], (3, 4, 5)),
        transposed([2, 0], [1, 2], (7, 1, 2)),
        plain(whole, vec![integers(&[3, 5], 1, 9), integers(&[5, 4], 2, 9)], 0.0),
    ]
}

fn convolutions() -> Vec<Sample> {
    let shape = |list: &[usize]| list.iter().copied().map(Dim::from).collect::<Shape>();
    let conv = |x: &[usize], w: &[usize], stride: &[i64], dilation: &[i64]| {
        let contract = Contract::conv(&shape(x), &shape(w), stride, dilation, &Facts::default());
        contract.ok().map(|contract| smooth(contract, vec![floats(x, 1), floats(w, 2)], 1e-5))
    };
    let grouped = |x: &[usize], w: &[usize], stride: &[i64], dilation: &[i64]| {
        let contract = Contract::grouped_conv(&shape(x), &shape(w), stride, dilation, &Facts::default());
        contract.ok().map(|contract| smooth(contract, vec![floats(x, 1), floats(w, 2)], 1e-5))
    };
    [
        conv(&[1, 1, 5], &[1, 1, 3], &[1], &[1]),
        conv(&[2, 3, 8], &[4, 3, 1], &[1], &[1]),
        conv(&[2, 3, 8], &[4, 3, 3], &[2], &[1]),
        conv(&[2, 3, 9], &[4, 3, 3], &[3], &[2]),
        conv(&[1, 2, 9], &[1, 2, 2], &[3], &[5]),
        conv(&[0, 2, 9], &[1, 2, 2], &[1], &[1]),
        conv(&[2, 2, 2], &[1, 2, 3], &[1], &[1]),
        conv(&[2, 1, 8, 8], &[3, 1, 3, 3], &[1, 1], &[1, 1]),
        conv(&[1, 2, 7, 9], &[2, 2, 3, 2], &[2, 1], &[1, 2]),
        conv(&[1, 2, 6, 6], &[2, 2, 2, 3], &[3, 2], &[2, 1]),
        conv(&[1, 1, 4, 3, 3], &[2, 1, 2, 2, 2], &[2, 1, 1], &[1, 1, 1]),
        grouped(&[2, 3, 1, 7], &[3, 1, 1, 3], &[1], &[1]),
        grouped(&[1, 2, 2, 5, 5], &[2, 3, 2, 3, 3], &[2, 1], &[1, 1]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn equations() -> Vec<Sample> {
    let affine =
        |terms: &[(i64, usize)], offset: i64| Subscript { terms: terms.to_vec(), offset: Dim::from(offset) };
    let sample = |extents: &[i64],
                  out: &[usize],
                  lhs: Vec<Subscript>,
                  x: &[usize],
                  rhs: Vec<Subscript>,
                  y: &[usize]| {
        let extents = extents.iter().copied().map(Dim::from).collect();
        smooth(Contract { extents, out: out.to_vec(), lhs, rhs }, vec![floats(x, 1), floats(y, 2)], 1e-5)
    };
    let i = Subscript::index;
    vec![
        // Flipped kernel.
        sample(&[5, 3], &[0], vec![affine(&[(1, 0), (-1, 1)], 2)], &[7], vec![i(1)], &[3]),
        // An index only one operand has is summed or repeated.
        sample(&[3, 4], &[0], vec![i(0), i(1)], &[3, 4], vec![i(0)], &[3]),
        // A diagonal, a fixed place, a part of an axis, a reversed one.
        sample(&[4], &[0], vec![i(0), i(0)], &[4, 4], vec![i(0)], &[4]),
        sample(&[4], &[], vec![i(0), affine(&[(-2, 0)], 7)], &[5, 9], vec![i(0)], &[4]),
        sample(
            &[3],
            &[0],
            vec![affine(&[], 2), affine(&[(2, 0)], 1)],
            &[4, 8],
            vec![affine(&[(-1, 0)], 2)],
            &[3],
        ),
        // Unshared weights: the index of the result stands in the other operand too.
        sample(&[5, 3], &[0], vec![affine(&[(1, 0), (1, 1)], 0)], &[7], vec![i(0), i(1)], &[5, 3]),
        // A sum over windows.
        sample(&[4, 2], &[0], vec![affine(&[(2, 0), (1, 1)], 1)], &[10], vec![], &[]),
        // A band: the second axis follows the first.
        sample(&[4, 3], &[0], vec![i(0), affine(&[(1, 0), (1, 1)], 0)], &[4, 6], vec![i(1)], &[3]),
        // Relative positions: both indices of the difference stand in the result and in the other operand.
        sample(&[3, 4], &[0, 1], vec![affine(&[(1, 0), (-1, 1)], 3)], &[6], vec![i(0), i(1)], &[3, 4]),
        // Nowhere else but in the sum.
        sample(&[3, 4], &[], vec![affine(&[(1, 0), (1, 1)], 0)], &[6], vec![], &[]),
        sample(
            &[2, 3],
            &[0],
            vec![affine(&[(1, 0), (1, 1)], 0)],
            &[4],
            vec![affine(&[(2, 0), (1, 1)], 1)],
            &[6],
        ),
        // Outer product.
        sample(&[3, 2], &[1, 0], vec![i(0)], &[3], vec![i(1)], &[2]),
    ]
}

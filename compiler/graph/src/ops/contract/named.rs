//! The contractions that have names.

use super::{Contract, Subscript};
use crate::Fault;
use crate::ops::operands::{at_least, disagreement, equal};
use shape::{Dim, Facts, Shape};

impl Contract {
    /// Matrix product: `[batch…, m…, k…] · [batch…, k…, n…] → [batch…, m…, n…]`.
    pub fn dot(batch: &[Dim], m: &[Dim], n: &[Dim], k: &[Dim]) -> Contract {
        let extents: Vec<Dim> = batch.iter().chain(m).chain(n).chain(k).cloned().collect();
        let rows = batch.len()..batch.len() + m.len();
        let columns = rows.end..rows.end + n.len();
        let inner = columns.end..extents.len();
        let batch = 0..batch.len();
        let bare = |a: &std::ops::Range<usize>, c: &std::ops::Range<usize>| {
            batch.clone().chain(a.clone()).chain(c.clone()).map(Subscript::index).collect()
        };
        Contract {
            out: batch.clone().chain(rows.clone()).chain(columns.clone()).collect(),
            lhs: bare(&rows, &inner),
            rhs: bare(&inner, &columns),
            extents,
        }
    }

    /// Convolution (cross-correlation): `x` is `[n, c, spatial…]`, already padded, `w` is `[o, c, kernel…]`, the result
    /// `[n, o, spatial…]`.
    pub fn conv(
        x: &Shape,
        w: &Shape,
        stride: &[i64],
        dilation: &[i64],
        facts: &Facts,
    ) -> Result<Contract, Box<Fault>> {
        Contract::conv_over(x, w, 0, stride, dilation, facts)
    }

    /// The same with groups: `x` is `[n, g, c, spatial…]`, `w` is `[g, o, c, kernel…]`, the result
    /// `[n, g, o, spatial…]`.
    pub fn grouped_conv(
        x: &Shape,
        w: &Shape,
        stride: &[i64],
        dilation: &[i64],
        facts: &Facts,
    ) -> Result<Contract, Box<Fault>> {
        Contract::conv_over(x, w, 1, stride, dilation, facts)
    }

    /// `shared` axes (0 or 1) stand behind `n` in `x` and in front in `w`.
    fn conv_over(
        x: &Shape,
        w: &Shape,
        shared: usize,
        stride: &[i64],
        dilation: &[i64],
        facts: &Facts,
    ) -> Result<Contract, Box<Fault>> {
        let spatial = stride.len();
        let rank = 2 + shared + spatial;
        for (operand, shape, what) in [(0, x, "input"), (1, w, "kernel")] {
            if shape.rank() != rank {
                let message =
                    format!("a convolution over {spatial} axes needs an {what} of rank {rank}, not {shape}");
                let fault = Fault::axes(message.replace("an kernel", "a kernel"));
                return Err(fault.label(operand, format!("its rank is {}", shape.rank())).into());
            }
        }
        if dilation.len() != spatial || stride.iter().chain(dilation).any(|step| !(1..1 << 31).contains(step))
        {
            return Err(Fault::attribute("a convolution needs a positive stride and dilation an axis").into());
        }
        for (axis, of_w) in (1..1 + shared).map(|axis| (axis, axis - 1)).chain([(1 + shared, 1 + shared)]) {
            if !equal(facts, &x[axis], &w[of_w]) {
                let why = disagreement(facts, &x[axis], &w[of_w]);
                return Err(Fault::shapes(format!(
                    "the channels of input and kernel of a convolution {why}"
                ))
                .label(0, format!("{x} has {} channels", x[axis]))
                .label(1, format!("{w} takes {} channels", w[of_w]))
                .dims([&x[axis], &w[of_w]])
                .into());
            }
        }
        // Indices: n, shared, o, places, c, within.
        let output = 1 + shared;
        let (places, channel) = (output + 1, output + 1 + spatial);
        let mut extents = vec![x[0].clone()];
        extents.extend(x[1..1 + shared].iter().cloned());
        extents.push(w[shared].clone());
        for k in 0..spatial {
            let (size, taps) = (&x[2 + shared + k], &w[2 + shared + k]);
            let reach = (taps - 1) * dilation[k] + 1;
            let count = (size - &reach).div_floor(&Dim::from(stride[k])) + 1;
            if !at_least(facts, &count, &Dim::default()) {
                let message =
                    format!("a kernel that reaches over {reach} elements is not known to fit into {size}");
                return Err(Fault::shapes(message)
                    .label(0, format!("axis {} of {x} has size {size}", 2 + shared + k))
                    .label(
                        1,
                        format!("axis {} of {w} has size {taps}, dilation {}", 2 + shared + k, dilation[k]),
                    )
                    .dims([size, &reach])
                    .help(format!("pad the input, or state the least size: `require {size} >= {reach}`"))
                    .into());
            }
            extents.push(count);
        }
        extents.push(x[1 + shared].clone());
        extents.extend(w[2 + shared..].iter().cloned());
        let mut lhs: Vec<Subscript> = (0..1 + shared).map(Subscript::index).collect();
        lhs.push(Subscript::index(channel));
        for k in 0..spatial {
            let terms = vec![(stride[k], places + k), (dilation[k], channel + 1 + k)];
            lhs.push(Subscript { terms, offset: Dim::default() });
        }
        let mut rhs: Vec<Subscript> =
            (1..1 + shared).chain([output, channel]).map(Subscript::index).collect();
        rhs.extend((0..spatial).map(|k| Subscript::index(channel + 1 + k)));
        Ok(Contract { out: (0..channel).collect(), extents, lhs, rhs })
    }
}

//! Index equations are what the library's functions of the same meaning are: they become the same kernels.

use crate::text::told;
use driver::{NoFiles, Options, Session, Stage, Trace};
use libtest_mimic::{Failed, Trial};
use std::collections::BTreeMap;

/// A name, the head of the model, its body as an equation, and as the library says it.
const PAIRS: &[[&str; 4]] = &[
    [
        "matrix_product",
        "M(a: f32[m, 64], b: f32[64, 48]) -> (y: f32[m, 48])",
        "y[i, j] = sum[k] a[i, k] * b[k, j]",
        "y = a @ b",
    ],
    [
        "matrix_product_and_bias",
        "M(a: f32[m, 64], b: f32[64, 48], c: f32[48]) -> (y: f32[m, 48])",
        "y[i, j] = relu((sum[k] a[i, k] * b[k, j]) + c[j])",
        "y = relu(a @ b + c)",
    ],
    [
        "second_transposed",
        "M(a: f32[m, 64], b: f32[48, 64]) -> (y: f32[m, 48])",
        "y[i, j] = sum[k] a[i, k] * b[j, k]",
        "y = a @ transpose(b)",
    ],
    [
        "matrix_vector",
        "M(a: f32[m, 64], b: f32[64]) -> (y: f32[m])",
        "y[i] = sum[k] a[i, k] * b[k]",
        "y = a @ b",
    ],
    [
        "attention_score",
        "M(q: f32[b, 4, s, 32], k: f32[b, 4, t, 32]) -> (y: f32[b, 4, s, t])",
        "y[n, h, i, j] = sum[e] q[n, h, i, e] * k[n, h, j, e] / sqrt(32)",
        "y = einsum(\"nhie,nhje->nhij\", q, k) / sqrt(32)",
    ],
    [
        "weighted_values",
        "M(p: f32[b, 4, s, t], v: f32[b, 4, t, 32]) -> (y: f32[b, 4, s, 32])",
        "y[n, h, i, e] = sum[j] p[n, h, i, j] * v[n, h, j, e]",
        "y = p @ v",
    ],
    [
        "convolution",
        "M(x: f32[b, 3, 32, 32]) -> (y: f32[b, 8, 15, 15])",
        "f = conv2d(8, kernel: 3, stride: 2, padding: 0, bias: false)
         z = f(x)
         y[n, o, i, j] = sum[c, u, v] x[n, c, 2 * i + u, 2 * j + v] * f.w[o, c, u, v]",
        "y = x |> conv2d(8, kernel: 3, stride: 2, padding: 0, bias: false)",
    ],
    [
        "padded_convolution",
        "M(x: f32[b, 3, 16, 16]) -> (y: f32[b, 8, 16, 16])",
        "f = conv2d(8, kernel: 3, padding: 2, dilation: 2, bias: false)
         z = f(x)
         p = pad(x, [[0, 0], [0, 0], [2, 2], [2, 2]])
         y[n, o, i, j] = sum[c, u, v] p[n, c, i + 2 * u, j + 2 * v] * f.w[o, c, u, v]",
        "y = x |> conv2d(8, kernel: 3, padding: 2, dilation: 2, bias: false)",
    ],
    [
        "largest_of_windows",
        "M(x: f32[b, 3, 16, 16]) -> (y: f32[b, 3, 8, 8])",
        "y[n, c, i, j] = max[u, v] x[n, c, 2 * i + u, 2 * j + v] where u in 0..2, v in 0..2",
        "y = max_pool2d(x, 2)",
    ],
    [
        "softmax_of_rows",
        "M(x: f32[m, 40]) -> (y: f32[m])",
        "y[i] = logsumexp[k] x[i, k]",
        "y = logsumexp(x, axis: 1)",
    ],
    [
        "embedding",
        "M(table: f32[100, 16], ids: i32[b, t]) -> (y: f32[b, t, 16])",
        "y[n, i, d] = table[ids[n, i], d]",
        "y = take(table, ids)",
    ],
    [
        "broadcast_arithmetic",
        "M(x: f32[m, 40], a: f32[40], c: f32[m]) -> (y: f32[m, 40])",
        "y[i, j] = tanh(x[i, j] * a[j]) - c[i]",
        "y = tanh(x * a) - unsqueeze(c, 1)",
    ],
];

pub fn trials() -> Vec<Trial> {
    let trial = |[name, head, equation, library]: [&'static str; 4]| {
        Trial::test(format!("equations::{name}"), move || same_kernels(head, equation, library))
    };
    PAIRS.iter().copied().map(trial).collect()
}

fn same_kernels(head: &str, equation: &str, library: &str) -> Result<(), Failed> {
    let kernels = |body: &str| kernels(&format!("model {head} {{\n{body}\n}}\n"));
    let (found, wanted) = (kernels(equation)?, kernels(library)?);
    if found == wanted {
        return Ok(());
    }
    Err(format!("the equation becomes\n{found}\nand the library's function\n{wanted}").into())
}

fn kernels(source: &str) -> Result<String, Failed> {
    let session = Session::new("case.model", source, &NoFiles, Options::native());
    let (built, _) = session.build(None, false).map_err(|failure| told(&session, &failure))?;
    let text = session.stage_text(Stage::Kernel, &built, &["run"], &mut Trace::default());
    Ok(renumbered(&text.map_err(|failure| told(&session, &failure))?))
}

/// Values are called by the numbers of their nodes: here by the order in which they come.
fn renumbered(text: &str) -> String {
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        let (before, from) = rest.split_at(at);
        let end = from.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        result.push_str(before);
        let is_value = word
            .strip_prefix('v')
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()));
        if is_value {
            let n_known = known.len();
            result.push_str(&format!("v{}", known.entry(word).or_insert(n_known)));
        } else {
            result.push_str(word);
        }
        rest = after;
    }
    result + rest
}

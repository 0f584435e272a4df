//! Windows over the last axes: convolutions, pooling, pictures.

use super::{Rule, layer, rule};
use crate::{
    dim::Dim,
    draft::{DType, Draft, Id},
    range::Range,
};

pub const RULES: &[Rule] = &[
    layer("conv1d", 4, conv1d),
    layer("conv2d", 5, conv2d),
    layer("depthwise_conv2d", 2, depthwise),
    layer("conv_transpose", 3, transposed),
    layer("conv3d", 1, conv3d),
    rule("pool", 6, pool),
    rule("global pool", 3, whole),
    rule("resize", 3, resize),
    rule("unfold", 2, unfold),
    rule("pixel_shuffle", 1, shuffle),
    layer("squeeze_excite", 1, excite),
];

/// A value of so many axes, channels and places of known size: one there is, or a new input.
fn picture(d: &mut Draft, rank: usize) -> Option<Id> {
    let fits = move |value: &crate::draft::Value| {
        value.dtype == DType::Float
            && value.shape.len() == rank
            && value.shape[1..].iter().all(|dim| dim.known().is_some())
    };
    if let Some(id) = d.pick(fits)
        && !d.rng.once_in(4)
    {
        return Some(id);
    }
    let mut shape = vec![if d.rng.once_in(2) { Dim::symbol(0) } else { Dim::from(d.rng.between(1, 2)) }];
    shape.push(Dim::from(d.rng.between(1, 3)));
    shape.extend((2..rank).map(|_| Dim::from(d.rng.between(1, 6 - rank as i64 / 2))));
    d.input(DType::Float, shape, Range::around(2.0))
}

fn known(shape: &[Dim], axis: usize) -> i64 {
    shape[axis].known().unwrap_or(1)
}

/// One side under a window: what is written, and how long it becomes. `None` where the window does not fit.
struct Window {
    kernel: i64,
    stride: i64,
    padding: i64,
    dilation: i64,
}

impl Window {
    fn draw(d: &mut Draft, extent: i64) -> Window {
        let kernel = d.rng.between(1, 3.min(extent + 1));
        let dilation = if d.rng.once_in(4) { 2 } else { 1 };
        Window { kernel, stride: d.rng.between(1, 2), padding: d.rng.between(0, kernel - 1), dilation }
    }

    fn result(&self, extent: i64) -> Option<i64> {
        let room = extent + 2 * self.padding - self.dilation * (self.kernel - 1) - 1;
        (room >= 0).then(|| room / self.stride + 1)
    }
}

fn options(windows: &[Window]) -> String {
    let list = |of: fn(&Window) -> i64| -> String {
        match windows {
            [one] => of(one).to_string(),
            several => {
                format!("[{}]", several.iter().map(|w| of(w).to_string()).collect::<Vec<_>>().join(", "))
            }
        }
    };
    let mut text = list(|w| w.kernel);
    for (name, value) in
        [("stride", list(|w| w.stride)), ("padding", list(|w| w.padding)), ("dilation", list(|w| w.dilation))]
    {
        text.push_str(&format!(", {name}: {value}"));
    }
    text
}

fn convolution(d: &mut Draft, name: &str, rank: usize) -> Option<()> {
    let x = picture(d, rank)?;
    let mut shape = d.shape(x);
    let channels_in = known(&shape, 1);
    let groups = if d.rng.once_in(3) { channels_in } else { 1 };
    let channels = groups * d.rng.between(1, 2);
    let mut windows = Vec::new();
    for dim in &mut shape[2..] {
        let extent = dim.known()?;
        let window = Window::draw(d, extent);
        *dim = Dim::from(window.result(extent)?);
        windows.push(window);
    }
    let taps: i64 = windows.iter().map(|window| window.kernel).product();
    let range = Range::around(d.range(x).size() * (taps * channels_in) as f64);
    shape[1] = Dim::from(channels);
    let x = d.read(x);
    let bias = d.rng.once_in(2);
    let settings = options(&windows);
    let text = format!("{x} |> {name}({channels}, {settings}, groups: {groups}, bias: {bias})");
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn conv1d(d: &mut Draft) -> Option<()> {
    if d.rng.once_in(3) {
        return same_over_time(d);
    }
    convolution(d, "conv1d", 3)
}

/// Over a dynamic axis, which stays as long as it is.
fn same_over_time(d: &mut Draft) -> Option<()> {
    let x = d.pick(|value| {
        value.dtype == DType::Float && value.shape.len() == 3 && value.shape[1].known().is_some()
    })?;
    let mut shape = d.shape(x);
    d.at_least_one(&shape[2])?;
    let kernel = if d.rng.once_in(2) { 3 } else { 1 };
    let channels = d.rng.between(1, 3);
    let range = Range::around(d.range(x).size() * (kernel * known(&shape, 1)) as f64);
    shape[1] = Dim::from(channels);
    let x = d.read(x);
    d.emit(format!("{x} |> conv1d({channels}, {kernel})"), DType::Float, shape, range).map(drop)
}

fn conv2d(d: &mut Draft) -> Option<()> {
    convolution(d, "conv2d", 4)
}

fn conv3d(d: &mut Draft) -> Option<()> {
    convolution(d, "conv3d", 5)
}

fn depthwise(d: &mut Draft) -> Option<()> {
    let x = picture(d, 4)?;
    let mut shape = d.shape(x);
    let multiplier = d.rng.between(1, 2);
    let range = Range::around(d.range(x).size() * 9.0);
    shape[1] = shape[1].times(&Dim::from(multiplier));
    let x = d.read(x);
    d.emit(format!("{x} |> depthwise_conv2d(3, multiplier: {multiplier})"), DType::Float, shape, range)
        .map(drop)
}

fn transposed(d: &mut Draft) -> Option<()> {
    let rank = if d.rng.once_in(2) { 3 } else { 4 };
    let x = picture(d, rank)?;
    let mut shape = d.shape(x);
    let (kernel, stride) = (d.rng.between(1, 3), d.rng.between(1, 2));
    let padding = d.rng.between(0, (kernel - 1) / 2);
    let extra = if stride > 1 && d.rng.once_in(2) { 1 } else { 0 };
    for dim in &mut shape[2..] {
        let side = (dim.known()? - 1) * stride - 2 * padding + kernel + extra;
        if side < 1 {
            return None;
        }
        *dim = Dim::from(side);
    }
    let channels = d.rng.between(1, 2);
    let range = Range::around(d.range(x).size() * 9.0 * known(&shape, 1) as f64);
    shape[1] = Dim::from(channels);
    let x = d.read(x);
    let text = format!(
        "{x} |> conv_transpose{}d({channels}, {kernel}, stride: {stride}, padding: {padding}, output_padding: {extra})",
        rank - 2
    );
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn pool(d: &mut Draft) -> Option<()> {
    let rank = if d.rng.once_in(3) { 3 } else { 4 };
    let x = picture(d, rank)?;
    let mut shape = d.shape(x);
    let (size, stride) = (d.rng.between(1, 3), d.rng.between(1, 2));
    let padding = d.rng.between(0, size / 2);
    for dim in &mut shape[2..] {
        let extent = dim.known()?;
        // Every window has to hold something of its own.
        if extent + padding < size {
            return None;
        }
        let window = Window { kernel: size, stride, padding, dilation: 1 };
        *dim = Dim::from(window.result(extent)?);
    }
    let range = d.range(x).hull(Range::around(0.0));
    let x = d.read(x);
    let function = match d.rng.below(3) {
        0 => "max",
        _ => "avg",
    };
    let counted = if function == "avg" && d.rng.once_in(2) { ", count_padding: true" } else { "" };
    let text =
        format!("{function}_pool{}d({x}, {size}, stride: {stride}, padding: {padding}{counted})", rank - 2);
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn whole(d: &mut Draft) -> Option<()> {
    let x = d.pick(|value| value.dtype == DType::Float && (3..=5).contains(&value.shape.len()))?;
    let shape = d.shape(x);
    let (range, name) = (d.range(x), d.read(x));
    if shape.len() == 4 && shape.iter().skip(2).all(|dim| dim.known().is_some()) && d.rng.once_in(2) {
        let (rows, columns) = (d.rng.between(1, known(&shape, 2)), d.rng.between(1, known(&shape, 3)));
        let to = [&shape[..2], &[Dim::from(rows), Dim::from(columns)]].concat();
        let text = format!("adaptive_avg_pool2d({name}, [{rows}, {columns}])");
        return d.emit(text, DType::Float, to, range).map(drop);
    }
    let function = ["global_avg_pool", "global_max_pool"][d.rng.below(2)];
    d.emit(format!("{function}({name})"), DType::Float, shape[..2].to_vec(), range).map(drop)
}

fn resize(d: &mut Draft) -> Option<()> {
    let x = picture(d, 4)?;
    let mut shape = d.shape(x);
    let (rows, columns) = (d.rng.between(1, 5), d.rng.between(1, 5));
    (shape[2], shape[3]) = (Dim::from(rows), Dim::from(columns));
    let (range, x) = (d.range(x), d.read(x));
    let text = match d.rng.below(3) {
        0 => format!("resize_nearest({x}, [{rows}, {columns}])"),
        1 => format!("resize_bilinear({x}, [{rows}, {columns}])"),
        _ => format!("resize_bilinear({x}, [{rows}, {columns}], align_corners: true)"),
    };
    d.emit(text, DType::Float, shape, range).map(drop)
}

fn unfold(d: &mut Draft) -> Option<()> {
    let x = picture(d, 4)?;
    let shape = d.shape(x);
    let window = Window::draw(d, known(&shape, 2).min(known(&shape, 3)));
    let places = window.result(known(&shape, 2))? * window.result(known(&shape, 3))?;
    let columns = known(&shape, 1) * window.kernel * window.kernel;
    let to = vec![shape[0].clone(), Dim::from(columns), Dim::from(places)];
    let (range, x) = (d.range(x).hull(Range::around(0.0)), d.read(x));
    d.emit(format!("unfold({x}, {})", options(&[window])), DType::Float, to, range).map(drop)
}

fn shuffle(d: &mut Draft) -> Option<()> {
    let x = d.pick(|value| {
        value.dtype == DType::Float
            && value.shape.len() == 4
            && value.shape[1].known().is_some_and(|channels| channels % 4 == 0)
    })?;
    let mut shape = d.shape(x);
    shape[1] = Dim::from(known(&shape, 1) / 4);
    shape[2] = shape[2].times(&Dim::from(2));
    shape[3] = shape[3].times(&Dim::from(2));
    let (range, x) = (d.range(x), d.read(x));
    d.emit(format!("pixel_shuffle({x}, 2)"), DType::Float, shape, range).map(drop)
}

fn excite(d: &mut Draft) -> Option<()> {
    let x = picture(d, 4)?;
    let (shape, range) = (d.shape(x), d.range(x).hull(Range::around(0.0)));
    let x = d.read(x);
    d.emit(format!("{x} |> squeeze_excite(ratio: 2)"), DType::Float, shape, range).map(drop)
}

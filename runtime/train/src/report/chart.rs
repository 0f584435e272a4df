//! Curves as SVG that takes its colours for text and lines from the page, so that it suits light and dark.

use super::{escape, number};
use base::Diagnostic;
use plotters::{
    coord::{
        Shift,
        ranged1d::{AsRangedCoord, ValueFormatter},
    },
    prelude::*,
};
use std::ops::Range;

pub(super) struct Series {
    pub color: RGBColor,
    /// (step, value); a value that is not [`drawable`] leaves a gap.
    pub points: Vec<(f64, f64)>,
    /// The one that stands out, if any.
    pub best: Option<(f64, f64)>,
}

/// Small enough that its text is legible on a telephone, where it is as wide as the page.
const SIZE: (u32, u32) = (480, 260);

/// A positive quantity that falls by more than this is shown by its powers of ten.
const LOGARITHMIC_FROM: f64 = 30.0;

/// More points than pixels only make the file larger.
const MOST_POINTS: usize = 1000;

/// An inline `svg` element; `description` is what a screen reader says. All charts of a page have the same steps.
pub(super) fn chart(
    description: &str,
    series: &[Series],
    steps: Range<f64>,
    may_be_logarithmic: bool,
) -> Result<String, Diagnostic> {
    let mut svg = String::new();
    draw(&mut svg, series, steps, may_be_logarithmic).map_err(|fault| {
        Diagnostic::error("E0708", format!("the chart \"{description}\" cannot be drawn: {fault}"))
    })?;
    // What plotters draws black shall be of the page's own colour, and the page decides the size.
    let (_, body) = svg.split_once('>').unwrap_or_default();
    let body = body.trim_end().replace("\"#000000\"", "\"currentColor\"");
    Ok(format!(
        "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\" xmlns=\"http://www.w3.org/2000/svg\">{body}",
        SIZE.0,
        SIZE.1,
        escape(description)
    ))
}

/// Axes of larger numbers lose their arithmetic.
fn drawable(value: f64) -> bool {
    value.abs() <= 1e30
}

fn draw(
    svg: &mut String,
    series: &[Series],
    steps: Range<f64>,
    may_be_logarithmic: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let shown = || series.iter().flat_map(|series| &series.points).map(|(_, value)| *value);
    let shown = || shown().filter(|value| drawable(*value));
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let (low, high) = extent(shown());
    if may_be_logarithmic && low > 0.0 && high > LOGARITHMIC_FROM * low {
        plot(&root, series, steps, (low / 1.2..high * 1.2).log_scale())?;
    } else {
        plot(&root, series, steps, range(low, high))?;
    }
    root.present()?;
    Ok(())
}

fn plot<Y>(
    root: &DrawingArea<SVGBackend<'_>, Shift>,
    series: &[Series],
    steps: Range<f64>,
    values: Y,
) -> Result<(), Box<dyn std::error::Error>>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(root)
        .margin(8)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(steps, values)?;
    let text = ("sans-serif", 15).into_font();
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(BLACK.mix(0.15))
        .light_line_style(TRANSPARENT)
        .axis_style(BLACK.mix(0.5))
        .label_style(text.clone())
        .axis_desc_style(text)
        .x_desc("step")
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|step| number(*step))
        .y_label_formatter(&|value| number(*value))
        .draw()?;
    for series in series {
        let points = thinned(&series.points);
        for part in points.split(|(_, value)| !drawable(*value)) {
            chart.draw_series(LineSeries::new(part.iter().copied(), series.color.stroke_width(2)))?;
        }
        // Few points are marked, so that a single one is visible as well.
        if points.len() <= 30 {
            let marks = points.iter().filter(|(_, value)| drawable(*value));
            chart.draw_series(marks.map(|point| Circle::new(*point, 3, series.color.filled())))?;
        }
        let best = series.best.iter().filter(|(_, value)| drawable(*value));
        chart.draw_series(best.map(|point| Circle::new(*point, 7, series.color.stroke_width(2))))?;
    }
    Ok(())
}

/// The least and the largest; the other way round where there are none.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// A little more than the values take; never empty.
fn range(low: f64, high: f64) -> Range<f64> {
    if low > high {
        return 0.0..1.0;
    }
    let margin = ((high - low) * 0.05).max(high.abs().max(low.abs()) * 1e-6).max(1e-9);
    low - margin..high + margin
}

fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let stride = points.len().div_ceil(MOST_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points
        .iter()
        .enumerate()
        .filter(|(index, _)| index % stride == 0 || *index == last)
        .map(|(_, point)| *point)
        .collect()
}

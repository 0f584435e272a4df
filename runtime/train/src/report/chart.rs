//! Curves as SVG that takes its colours for text and lines from the page, so that it suits light and dark.

use super::{escape, number};
use base::Diagnostic;
use plotters::prelude::*;

pub(super) struct Series {
    pub color: RGBColor,
    /// (step, value); a value that is not [`drawable`] leaves a gap.
    pub points: Vec<(f64, f64)>,
}

const SIZE: (u32, u32) = (720, 300);

/// More points than pixels only make the file larger.
const MOST_POINTS: usize = 1000;

/// An inline `svg` element; `description` is what a screen reader says.
pub(super) fn chart(description: &str, series: &[Series]) -> Result<String, Diagnostic> {
    let mut svg = String::new();
    draw(&mut svg, series).map_err(|fault| {
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

fn draw(svg: &mut String, series: &[Series]) -> Result<(), Box<dyn std::error::Error>> {
    let shown = || series.iter().flat_map(|series| &series.points).filter(|(_, value)| drawable(*value));
    let steps = range(shown().map(|(step, _)| *step));
    let values = range(shown().map(|(_, value)| *value));
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(steps, values)?;
    let text = ("sans-serif", 13).into_font();
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(BLACK.mix(0.15))
        .light_line_style(TRANSPARENT)
        .axis_style(BLACK.mix(0.5))
        .label_style(text.clone())
        .axis_desc_style(text)
        .x_desc("step")
        .x_labels(8)
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
        if points.len() <= 60 {
            let marks = points.iter().filter(|(_, value)| drawable(*value));
            chart.draw_series(marks.map(|point| Circle::new(*point, 3, series.color.filled())))?;
        }
    }
    root.present()?;
    Ok(())
}

/// A little more than the values take; never empty.
fn range(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let (low, high) = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
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

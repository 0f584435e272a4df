//! Curves and points over two axes.

use super::{Area, Axis, Drawn, Ink, Marker, TEXT, drawable, svg, text, width};
use crate::html::Element;
use plotters::{
    chart::ChartBuilder,
    element::{Circle, PathElement, Text},
    style::{
        Color,
        text_anchor::{HPos, Pos, VPos},
    },
};

const HEIGHT: u32 = 560;

/// More points than drawing units only make the file larger.
const MOST_POINTS: usize = 500;

/// Curves with fewer points show each of them.
const FEW: usize = 30;

#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub ink: Ink,
    pub marker: Marker,
    /// A value that cannot be drawn leaves a gap.
    pub points: Vec<(f64, f64)>,
    /// Points alone, without a line between them.
    pub scattered: bool,
    /// Drawn stronger than the others.
    pub strong: bool,
    /// The one that stands out, if any.
    pub best: Option<(f64, f64)>,
}

impl Series {
    pub fn line(ink: Ink, marker: Marker, points: Vec<(f64, f64)>) -> Series {
        Series { ink, marker, points, scattered: false, strong: false, best: None }
    }
}

pub(crate) struct Curves<'a> {
    pub x: &'a Axis,
    pub y: &'a Axis,
    /// Drawn in this order, so that the last lies on top.
    pub series: &'a [Series],
    /// Words beside a place.
    pub notes: &'a [(f64, f64, String)],
}

/// An `svg` element without title and description.
pub(crate) fn curves(chart: &Curves) -> Element {
    svg(HEIGHT, |root| draw(root, chart))
}

fn draw(root: &Area, chart: &Curves) -> Drawn {
    let (x, y) = (chart.x, chart.y);
    let left = y.labels().map(|label| width(&label)).max().unwrap_or(0) + 24;
    let mut plot = ChartBuilder::on(root)
        .margin_top(TEXT + 20)
        .margin_right(24)
        .margin_bottom(4)
        .x_label_area_size(TEXT * 2 + 26)
        .y_label_area_size(left)
        .build_cartesian_2d(x.clone(), y.clone())?;
    plot.configure_mesh()
        .bold_line_style(Ink::GRID.stroke_width(2))
        .axis_style(Ink::FAINT.stroke_width(2))
        .label_style(text(Ink::FAINT))
        .axis_desc_style(text(Ink::FAINT))
        .x_desc(x.title.as_str())
        .set_all_tick_mark_size(8)
        .draw()?;
    root.draw(&Text::new(y.title.clone(), (8, 2), text(Ink::FAINT)))?;
    let place = |(a, b): (f64, f64)| plot.backend_coord(&(a, b));
    let visible = |(a, b): &(f64, f64)| drawable(*a) && drawable(*b) && (!y.logarithmic || *b > 0.0);
    for series in chart.series {
        let points = thinned(&series.points);
        let width = if series.strong { 6 } else { 4 };
        if !series.scattered {
            for part in points.split(|point| !visible(point)).filter(|part| part.len() > 1) {
                let line: Vec<_> = part.iter().map(|point| place(*point)).collect();
                root.draw(&PathElement::new(line, series.ink.stroke_width(width)))?;
            }
        }
        if series.scattered || points.len() <= FEW {
            for point in points.iter().filter(|point| visible(point)) {
                series.marker.draw(root, place(*point), series.ink, if series.strong { 9 } else { 7 })?;
            }
        }
        if let Some(best) = series.best.filter(visible) {
            root.draw(&Circle::new(place(best), 15, Ink::TEXT.stroke_width(3)))?;
        }
    }
    for (a, b, words) in chart.notes {
        let at = place((*a, *b));
        let side = if at.0 > 640 { HPos::Right } else { HPos::Left };
        root.draw(&Text::new(words.clone(), at, text(Ink::TEXT).pos(Pos::new(side, VPos::Bottom))))?;
    }
    Ok(())
}

fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let stride = points.len().div_ceil(MOST_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    let kept = points.iter().enumerate().filter(|(index, _)| index % stride == 0 || *index == last);
    kept.map(|(_, point)| *point).collect()
}

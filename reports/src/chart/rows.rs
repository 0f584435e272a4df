//! One row a thing, each with its name: bars, boxes, intervals along one axis.

use super::{Area, Axis, Drawn, Ink, Marker, TEXT, shortened, svg, text, width};
use crate::html::Element;
use plotters::{
    chart::ChartBuilder,
    element::{PathElement, Rectangle, Text},
    style::{
        Color,
        text_anchor::{HPos, Pos, VPos},
    },
};

const ROW: u32 = 46;

/// Characters of a name at most; the table has it whole.
const MOST_LABEL: usize = 22;

/// How a bar is filled: parts of one bar differ by it and not by colour alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fill {
    Full,
    Light,
    Outline,
}

#[derive(Clone, Debug)]
pub(crate) enum Mark {
    Bar {
        from: f64,
        to: f64,
        ink: Ink,
        fill: Fill,
    },
    /// Quartiles, with lines to the ends.
    Box {
        quartiles: [f64; 3],
        ends: [f64; 2],
        ink: Ink,
    },
    /// A line with ends, as intervals are drawn.
    Interval {
        from: f64,
        to: f64,
        ink: Ink,
    },
    /// Many small ones.
    Points {
        values: Vec<f64>,
        ink: Ink,
    },
    Marker {
        at: f64,
        ink: Ink,
        marker: Marker,
    },
}

/// How a name stands out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tone {
    Plain,
    /// Nothing can be said of it.
    Faint,
    Strong,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub label: String,
    /// Stands at the right end.
    pub value: String,
    pub tone: Tone,
    pub marks: Vec<Mark>,
}

/// An `svg` element without title and description. `reference` is a line through all rows.
pub(crate) fn rows(x: &Axis, rows: &[Row], reference: Option<f64>) -> Element {
    let below = TEXT + 26 + if x.title.is_empty() { 0 } else { TEXT + 4 };
    svg(rows.len() as u32 * ROW + below + 10, |root| draw(root, x, rows, reference, below))
}

fn draw(root: &Area, x: &Axis, rows: &[Row], reference: Option<f64>, below: u32) -> Drawn {
    let labels: Vec<String> = rows.iter().map(|row| shortened(&row.label, MOST_LABEL)).collect();
    let left = labels.iter().map(|label| width(label)).max().unwrap_or(0) + 16;
    let right = rows.iter().map(|row| width(&row.value)).max().unwrap_or(0) + 20;
    let count = rows.len() as f64;
    let mut plot = ChartBuilder::on(root)
        .margin_top(4)
        .margin_left(left)
        .margin_right(right.max(30))
        .x_label_area_size(below)
        .build_cartesian_2d(x.clone(), Axis::of_rows(rows.len()))?;
    plot.configure_mesh()
        .disable_y_mesh()
        .bold_line_style(Ink::GRID.stroke_width(2))
        .axis_style(Ink::FAINT.stroke_width(2))
        .label_style(text(Ink::FAINT))
        .axis_desc_style(text(Ink::FAINT))
        .x_desc(x.title.as_str())
        .set_all_tick_mark_size(8)
        .draw()?;
    let across = |value: f64, row: f64| plot.backend_coord(&(value, row));
    if let Some(reference) = reference.filter(|value| x.shows(*value)) {
        let line = vec![across(reference, 0.0), across(reference, count)];
        root.draw(&PathElement::new(line, Ink::TEXT.stroke_width(3)))?;
    }
    for (number, (row, label)) in rows.iter().zip(&labels).enumerate() {
        let middle = |value: f64| across(value, count - number as f64 - 0.5);
        for mark in &row.marks {
            draw_mark(root, mark, &middle)?;
        }
        let ink = match row.tone {
            Tone::Plain => Ink::TEXT,
            Tone::Faint => Ink::FAINT,
            Tone::Strong => Ink::STRONG,
        };
        let (_, y) = middle(x.low);
        let at_side = |side| text(ink).pos(Pos::new(side, VPos::Center));
        root.draw(&Text::new(label.clone(), (left as i32 - 12, y), at_side(HPos::Right)))?;
        let end = (super::WIDTH - right.max(30)) as i32 + 12;
        root.draw(&Text::new(row.value.clone(), (end, y), at_side(HPos::Left)))?;
    }
    Ok(())
}

fn draw_mark(root: &Area, mark: &Mark, middle: &dyn Fn(f64) -> (i32, i32)) -> Drawn {
    let line = |points: Vec<(i32, i32)>, ink: Ink, width| {
        root.draw(&PathElement::new(points, ink.stroke_width(width)))
    };
    match mark {
        Mark::Bar { from, to, ink, fill } => {
            let ((a, y), (b, _)) = (middle(*from), middle(*to));
            let corners = [(a, y - 14), (b.max(a + 2), y + 14)];
            match fill {
                Fill::Full => root.draw(&Rectangle::new(corners, ink.filled())),
                Fill::Light => root.draw(&Rectangle::new(corners, ink.mix(0.45).filled())),
                Fill::Outline => root.draw(&Rectangle::new(corners, ink.stroke_width(3))),
            }
        }
        Mark::Box { quartiles: [low, median, high], ends, ink } => {
            let ((a, y), (b, _), (m, _)) = (middle(*low), middle(*high), middle(*median));
            let (a, b, y) = (a.min(m - 1), b.max(m + 1), y - 4);
            root.draw(&Rectangle::new([(a, y - 11), (b, y + 11)], ink.stroke_width(3)))?;
            line(vec![(middle(ends[0]).0, y), (a, y)], *ink, 3)?;
            line(vec![(b, y), (middle(ends[1]).0, y)], *ink, 3)?;
            root.draw(&Rectangle::new([(a, y - 11), (b, y + 11)], ink.mix(0.3).filled()))?;
            line(vec![(m, y - 11), (m, y + 11)], Ink::TEXT, 5)
        }
        Mark::Interval { from, to, ink } => {
            let ((a, y), (b, _)) = (middle(*from), middle(*to));
            line(vec![(a, y), (b, y)], *ink, 5)?;
            line(vec![(a, y - 9), (a, y + 9)], *ink, 5)?;
            line(vec![(b, y - 9), (b, y + 9)], *ink, 5)
        }
        Mark::Points { values, ink } => {
            for value in values {
                let (x, y) = middle(*value);
                line(vec![(x, y + 11), (x, y + 19)], *ink, 3)?;
            }
            Ok(())
        }
        Mark::Marker { at, ink, marker } => marker.draw(root, middle(*at), *ink, 9),
    }
}

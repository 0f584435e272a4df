//! Charts as inline SVG. They are drawn small, as wide as a telephone, and set side by side where there is room.

mod axis;
mod canvas;
mod curves;
mod marker;
mod rows;

pub(crate) use axis::{Axis, Unit, drawable};
pub(crate) use curves::{Curves, Series, curves};
pub(crate) use marker::Marker;
pub(crate) use rows::{Fill, Mark, Row, Tone, rows};

use crate::html::{Element, el};
use canvas::Canvas;
use plotters::{
    coord::Shift,
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    style::{Color, IntoFont, TextStyle},
};
use plotters_backend::BackendColor;
use std::convert::Infallible;

/// Drawing units are half as large as the pixels of a chart at its natural size, so that curves are smooth.
const WIDTH: u32 = 960;
const TEXT: u32 = 26;

type Area<'s> = DrawingArea<Canvas<'s>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<Infallible>>;

/// A colour by its use. The style sheet knows what it is on light, dark and paper.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ink(u8);

impl Ink {
    pub const TEXT: Ink = Ink(0);
    pub const FAINT: Ink = Ink(1);
    pub const GRID: Ink = Ink(2);
    /// Bold text.
    pub const STRONG: Ink = Ink(3);
    /// Told apart by people with any kind of colour vision (after Okabe and Ito).
    pub const SERIES: [Ink; 8] = [Ink(4), Ink(5), Ink(6), Ink(7), Ink(8), Ink(9), Ink(10), Ink(11)];

    pub fn class(self) -> String {
        format!("k{}", self.0)
    }

    /// Plotters knows colours only; an ink travels in their place.
    fn of((code, _, _): (u8, u8, u8)) -> Ink {
        Ink(code)
    }
}

impl Color for Ink {
    fn to_backend_color(&self) -> BackendColor {
        BackendColor { alpha: 1.0, rgb: (self.0, 0, 0) }
    }
}

/// What stands beside a colour in a legend: the marker alone.
pub(crate) fn key(ink: Ink, marker: Marker) -> Element {
    let mut body = String::new();
    // Drawing into memory cannot fail, and a key without its mark still has its name.
    let _ = draw(&mut body, (32, 32), |root| marker.draw(root, (16, 16), ink, 10));
    el("svg").class("key").attr("viewBox", "0 0 32 32").attr("aria-hidden", "true").markup(body)
}

/// The parts of a chart of so many units of height.
fn svg(height: u32, drawing: impl FnOnce(&Area) -> Drawn) -> Element {
    let mut body = String::new();
    let drawn = draw(&mut body, (WIDTH, height), drawing);
    let body = drawn
        .map_or_else(|fault| format!("<text y=\"30\">{}</text>", crate::html::escape(&fault)), |()| body);
    el("svg")
        .attr("viewBox", format!("0 0 {WIDTH} {height}"))
        .attr("font-size", TEXT.to_string())
        .markup(body)
}

fn draw(body: &mut String, size: (u32, u32), drawing: impl FnOnce(&Area) -> Drawn) -> Result<(), String> {
    let root = Canvas::new(body, size).into_drawing_area();
    drawing(&root).and_then(|()| root.present()).map_err(|fault| fault.to_string())
}

fn text(ink: Ink) -> TextStyle<'static> {
    ("sans-serif", TEXT).into_font().color(&ink)
}

/// About how wide a text is.
fn width(text: &str) -> u32 {
    (text.chars().count() as f64 * f64::from(TEXT) * 0.6).ceil() as u32
}

/// At most so many characters.
fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.into(),
    }
}

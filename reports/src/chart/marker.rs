//! Shapes that tell series apart where colours do not.

use super::{Area, Drawn, Ink};
use plotters::{
    element::{Circle, PathElement, Polygon},
    style::Color,
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    Cross,
    Ring,
    Down,
    Plus,
}

impl Marker {
    pub const ALL: [Marker; 8] = [
        Marker::Circle,
        Marker::Square,
        Marker::Triangle,
        Marker::Diamond,
        Marker::Cross,
        Marker::Ring,
        Marker::Down,
        Marker::Plus,
    ];

    /// With its middle at a place in drawing units.
    pub(super) fn draw(self, root: &Area, (x, y): (i32, i32), ink: Ink, size: i32) -> Drawn {
        let polygon = |points: &[(i32, i32)]| {
            let points: Vec<(i32, i32)> = points.iter().map(|(a, b)| (x + a, y + b)).collect();
            root.draw(&Polygon::new(points, ink))
        };
        let strokes = |strokes: [[(i32, i32); 2]; 2]| {
            for stroke in strokes {
                let points: Vec<(i32, i32)> = stroke.iter().map(|(a, b)| (x + a, y + b)).collect();
                root.draw(&PathElement::new(points, ink.stroke_width(4)))?;
            }
            Ok(())
        };
        let (s, t) = (size, size * 9 / 10);
        match self {
            Marker::Circle => root.draw(&Circle::new((x, y), s, ink.filled())),
            Marker::Ring => root.draw(&Circle::new((x, y), s - 2, ink.stroke_width(4))),
            Marker::Square => polygon(&[(-t, -t), (t, -t), (t, t), (-t, t)]),
            Marker::Triangle => polygon(&[(0, -s - 1), (s + 1, t), (-s - 1, t)]),
            Marker::Down => polygon(&[(0, s + 1), (s + 1, -t), (-s - 1, -t)]),
            Marker::Diamond => polygon(&[(0, -s - 2), (s + 2, 0), (0, s + 2), (-s - 2, 0)]),
            Marker::Cross => strokes([[(-t, -t), (t, t)], [(-t, t), (t, -t)]]),
            Marker::Plus => strokes([[(-s, 0), (s, 0)], [(0, -s), (0, s)]]),
        }
    }
}

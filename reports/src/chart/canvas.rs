//! Where plotters draws to: SVG whose colours are classes, so that the page's style sheet decides them for light, dark
//! and paper, and whose like strokes are one path, so that hundreds of charts fit into a page.

use super::Ink;
use crate::html::escape;
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontTransform,
    text_anchor::{HPos, VPos},
};
use std::{convert::Infallible, fmt::Write};

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

pub(super) struct Canvas<'s> {
    size: (u32, u32),
    out: &'s mut String,
    /// The path that goes on while the style stays: its attributes and its commands.
    style: String,
    path: String,
}

impl<'s> Canvas<'s> {
    pub fn new(out: &'s mut String, size: (u32, u32)) -> Canvas<'s> {
        Canvas { size, out, style: String::new(), path: String::new() }
    }

    fn end_path(&mut self) {
        if !self.path.is_empty() {
            let _ = write!(self.out, "<path {} d=\"{}\"/>", self.style, self.path);
            self.path.clear();
        }
    }

    /// The path to go on with in this style, unless it is invisible.
    fn path(&mut self, color: BackendColor, width: Option<u32>) -> Option<&mut String> {
        if color.alpha == 0.0 {
            return None;
        }
        let class = Ink::of(color.rgb).class();
        let mut style = match width {
            Some(width) => format!("class=\"{class} s\" stroke-width=\"{width}\""),
            None => format!("class=\"{class} f\""),
        };
        if color.alpha < 1.0 {
            let _ = write!(style, " opacity=\"{:.2}\"", color.alpha);
        }
        if style != self.style {
            self.end_path();
            self.style = style;
        }
        Some(&mut self.path)
    }
}

impl Drop for Canvas<'_> {
    fn drop(&mut self) {
        self.end_path();
    }
}

impl DrawingBackend for Canvas<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        self.end_path();
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        if let Some(path) = self.path(color, None) {
            let _ = write!(path, "M{x} {y}h1v1h-1z");
        }
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        to: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let width = (!fill).then(|| style.stroke_width());
        if let Some(path) = self.path(style.color(), width) {
            let (w, h) = (to.0 - x, to.1 - y);
            let _ = write!(path, "M{x} {y}h{w}v{h}h{}z", -w);
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        points: I,
        style: &S,
    ) -> Drawn {
        if let Some(path) = self.path(style.color(), Some(style.stroke_width())) {
            trace(path, points);
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let width = (!fill).then(|| style.stroke_width());
        if let Some(path) = self.path(style.color(), width) {
            let (r, d) = (radius, radius * 2);
            let _ = write!(path, "M{} {y}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0", x - r as i32);
        }
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        points: I,
        style: &S,
    ) -> Drawn {
        if let Some(path) = self.path(style.color(), None) {
            trace(path, points);
            path.push('z');
        }
        Ok(())
    }

    fn draw_text<T: BackendTextStyle>(&mut self, text: &str, style: &T, (x, y): BackendCoord) -> Drawn {
        let color = style.color();
        if color.alpha == 0.0 || text.is_empty() {
            return Ok(());
        }
        self.end_path();
        let ink = Ink::of(color.rgb);
        let anchor = match style.anchor().h_pos {
            HPos::Left => "",
            HPos::Center => " text-anchor=\"middle\"",
            HPos::Right => " text-anchor=\"end\"",
        };
        // The baseline is placed by hand: renderers differ in `dominant-baseline`.
        let drop = match style.anchor().v_pos {
            VPos::Top => 0.75,
            VPos::Center => 0.34,
            VPos::Bottom => -0.2,
        };
        let drop = (style.size() * drop).round() as i32;
        let turn = match style.transform() {
            FontTransform::None => String::new(),
            FontTransform::Rotate90 => format!(" transform=\"rotate(90 {x} {y})\""),
            FontTransform::Rotate180 => format!(" transform=\"rotate(180 {x} {y})\""),
            FontTransform::Rotate270 => format!(" transform=\"rotate(270 {x} {y})\""),
        };
        let class = if ink == Ink::TEXT { String::new() } else { format!(" class=\"{}\"", ink.class()) };
        let y = y + drop;
        let _ = write!(self.out, "<text{class} x=\"{x}\" y=\"{y}\"{anchor}{turn}>{}</text>", escape(text));
        Ok(())
    }

    fn estimate_text_size<T: BackendTextStyle>(
        &self,
        text: &str,
        style: &T,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let width = text.chars().count() as f64 * style.size() * 0.55;
        Ok((width.round() as u32, style.size().round() as u32))
    }
}

/// Absolute first, then by steps, which are shorter.
fn trace(path: &mut String, points: impl IntoIterator<Item = BackendCoord>) {
    let mut last: Option<BackendCoord> = None;
    for (x, y) in points {
        let _ = match last {
            None => write!(path, "M{x} {y}"),
            Some(last) if last == (x, y) => Ok(()),
            Some((_, b)) if b == y => write!(path, "h{}", x - last.map_or(0, |(a, _)| a)),
            Some((a, _)) if a == x => write!(path, "v{}", y - last.map_or(0, |(_, b)| b)),
            Some((a, b)) => write!(path, "l{} {}", x - a, y - b),
        };
        last = Some((x, y));
    }
}

//! Pictures as text: scales, and the few shapes that the plots are made of.
//!
//! Colours and strokes are classes of the page's style sheet, so that a picture follows the reader's light or dark
//! scheme. A shape may carry a title, which browsers show when it is pointed at and screen readers read.

use std::fmt::Write;

use super::text::escape;

/// A value's place on an axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    domain: (f64, f64),
    range: (f64, f64),
    logarithmic: bool,
}

impl Scale {
    /// From the values `domain` to the places `range`.
    pub fn linear(domain: (f64, f64), range: (f64, f64)) -> Self {
        Scale {
            domain,
            range,
            logarithmic: false,
        }
    }

    /// The same by the values' logarithms; both ends are above 0.
    pub fn logarithmic(domain: (f64, f64), range: (f64, f64)) -> Self {
        Scale {
            domain,
            range,
            logarithmic: true,
        }
    }

    /// The place of a value; one outside the domain lies on its edge, one that is no number on the lower one.
    pub fn at(&self, value: f64) -> f64 {
        let (low, high) = self.domain;
        let value = if value.is_nan() {
            low
        } else {
            value.clamp(low, high.max(low))
        };
        let along = |value: f64| if self.logarithmic { value.ln() } else { value };
        let width = along(high) - along(low);
        let share = if width > 0.0 {
            (along(value) - along(low)) / width
        } else {
            0.0
        };
        self.range.0 + share * (self.range.1 - self.range.0)
    }
}

/// Marks that tell events apart without colour.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Triangle,
    Disc,
    Cross,
}

/// Where a text stands to its place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture.
pub(super) struct Svg {
    text: String,
}

/// Writing to a `String` does not fail.
macro_rules! put {
    ($svg:expr, $($arg:tt)*) => { let _ = write!($svg.text, $($arg)*); };
}

impl Svg {
    /// An empty picture; `label` says what it shows to those who do not see it.
    pub fn new(width: f64, height: f64, label: &str) -> Self {
        let mut svg = Svg {
            text: String::new(),
        };
        put!(
            svg,
            r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{}">"#,
            escape(label)
        );
        svg.text.push('\n');
        svg
    }

    pub fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        put!(
            self,
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        );
        self.text.push('\n');
    }

    /// A line through points; nothing through none.
    pub fn curve(&mut self, class: &str, points: &[(f64, f64)]) {
        let Some(((x, y), rest)) = points.split_first() else {
            return;
        };
        put!(self, r#"<path class="{class}" d="M{x:.1} {y:.1}"#);
        for (x, y) in rest {
            put!(self, "L{x:.1} {y:.1}");
        }
        self.text.push_str("\"/>\n");
    }

    pub fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        put!(
            self,
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
        );
        self.text.push('\n');
    }

    /// A mark with its title.
    pub fn mark(&mut self, class: &str, shape: Shape, (x, y): (f64, f64), title: &str) {
        let path = match shape {
            Shape::Triangle => format!("M{:.1} {:.1}h8l-4 -7z", x - 4.0, y + 3.5),
            Shape::Disc => format!("M{:.1} {y:.1}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", x - 4.0),
            Shape::Cross => format!("M{:.1} {:.1}l7 7m0 -7l-7 7", x - 3.5, y - 3.5),
        };
        put!(
            self,
            r#"<path class="{class}" d="{path}"><title>{}</title></path>"#,
            escape(title)
        );
        self.text.push('\n');
    }

    /// A box that is not seen, with a title for whoever points at it.
    pub fn hover(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), title: &str) {
        put!(
            self,
            r#"<rect class="hover" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"><title>{}</title></rect>"#,
            escape(title)
        );
        self.text.push('\n');
    }

    /// The picture as text.
    pub fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_inside_the_axis() {
        let scale = Scale::linear((0.0, 10.0), (100.0, 0.0));
        assert_eq!(
            [0.0, 5.0, 20.0, f64::NAN].map(|value| scale.at(value)),
            [100.0, 50.0, 0.0, 100.0]
        );
        let scale = Scale::logarithmic((0.01, 1.0), (0.0, 2.0));
        assert!((scale.at(0.1) - 1.0).abs() < 1e-12);
        assert_eq!(scale.at(0.0), 0.0);
        assert_eq!(Scale::linear((3.0, 3.0), (1.0, 2.0)).at(3.0), 1.0);
    }

    #[test]
    fn a_picture_is_escaped() {
        let mut svg = Svg::new(10.0, 10.0, "a & b");
        svg.text("t", (1.0, 2.0), Anchor::End, "<x>");
        svg.curve("c", &[]);
        let text = svg.finish();
        assert!(
            text.contains(r#"aria-label="a &amp; b""#) && text.contains(">&lt;x&gt;<"),
            "{text}"
        );
    }
}

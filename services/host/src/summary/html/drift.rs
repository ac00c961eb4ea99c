//! Drift over time: of each column, PSI and KS side by side on axes that all columns share.

use mainstem_schemas::Span;
use mainstem_schemas::events::{DriftMethod, Subject};

use super::axis::Axis;
use crate::summary::drift::method_name;
use crate::summary::svg::{Anchor, Scale, Shape, Svg};
use crate::summary::text::{date, escape, thousands};
use crate::summary::{Point, Summary};

const WIDTH: f64 = 470.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = WIDTH - 8.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 82.0;

/// PSI spans some orders of magnitude: what is below or above is drawn on the edge.
const PSI: (f64, f64) = (0.01, 10.0);
const PSI_NAMED: [f64; 4] = [0.01, 0.1, 1.0, 10.0];
/// KS lies between 0 and 1 by its nature.
const KS_NAMED: [f64; 3] = [0.0, 0.5, 1.0];

impl Summary {
    pub(super) fn drift_section(&self) -> String {
        let Some(axis) = Axis::of(self, (LEFT, RIGHT), 3) else {
            return String::new();
        };
        if self.drift.series.is_empty() {
            return String::new();
        }
        let mut text = String::from(
            "<h2>Drift</h2>\n<p class=\"soft\">Each window against the training data of the champion of the time. Dashed: \
             the threshold. A disc: detected. Thin lines: a promotion, from which on the reference is the new \
             champion's. PSI is on a logarithmic axis and cut off outside 0.01 to 10.</p>\n",
        );
        for (subject, feature) in self.drift.columns() {
            let name = match subject {
                Subject::Features | Subject::Arrivals => escape(feature),
                Subject::Predictions => format!("predictions: {}", escape(feature)),
            };
            text += &format!("<h3>{name}</h3>\n<div class=\"pair\">\n");
            for method in [DriftMethod::Psi, DriftMethod::Ks] {
                text += &self.drift_plot(&axis, (subject, feature, method));
            }
            text += "</div>\n";
        }
        text + &self.detection_table()
    }

    fn drift_plot(&self, axis: &Axis, watched: (Subject, &str, DriftMethod)) -> String {
        let (_, feature, method) = watched;
        let label = format!("{} of {feature} over time", method_name(method));
        let mut svg = Svg::new(WIDTH, BOTTOM + 38.0, &label);
        let (y, named): (Scale, &[f64]) = match method {
            DriftMethod::Psi => (Scale::logarithmic(PSI, (BOTTOM, TOP)), &PSI_NAMED),
            DriftMethod::Ks => (Scale::linear((0.0, 1.0), (BOTTOM, TOP)), &KS_NAMED),
        };
        axis.lines(&mut svg, (TOP, BOTTOM));
        for value in named {
            let at = y.at(*value);
            svg.line("grid", (LEFT, at), (RIGHT, at));
            svg.text("", (LEFT - 6.0, at + 4.0), Anchor::End, &value.to_string());
        }
        axis.changes(self, &mut svg, (TOP, BOTTOM));
        let points = self
            .drift
            .of(watched)
            .map_or(&[][..], |series| &series.points);
        let placed = |points: &[Point], value: fn(&Point) -> f64| -> Vec<(f64, f64)> {
            let begin = points.first().map(|first| {
                (
                    axis.at(first.end.time.minus(self.window)),
                    y.at(value(first)),
                )
            });
            let ends = points
                .iter()
                .map(|point| (axis.at(point.end.time), y.at(value(point))));
            begin.into_iter().chain(ends).collect()
        };
        for stretch in stretches(points, self.window) {
            svg.curve("curve threshold", &placed(stretch, |point| point.threshold));
            svg.curve("curve statistic", &placed(stretch, |point| point.statistic));
        }
        for point in points {
            let (x, left) = (
                axis.at(point.end.time),
                axis.at(point.end.time.minus(self.window)),
            );
            let title = format!(
                "{} {:.4} in the window up to {}",
                method_name(method),
                point.statistic,
                place(point)
            );
            svg.hover((left, TOP), (x - left, BOTTOM - TOP), &title);
        }
        for it in self.drift.detections_of(watched) {
            let title = format!(
                "detected at row {} ({}) against the data of {}: {:.4}, threshold {}",
                thousands(it.at.row),
                date(it.at.time),
                it.version,
                it.statistic,
                it.threshold
            );
            svg.mark(
                "detected",
                Shape::Disc,
                (axis.at(it.at.time), y.at(it.statistic)),
                &title,
            );
        }
        svg.text(
            "name",
            (LEFT + 6.0, TOP + 12.0),
            Anchor::Start,
            method_name(method),
        );
        axis.names(&mut svg, BOTTOM + 4.0);
        format!("<figure>\n{}</figure>\n", svg.finish())
    }
}

fn place(point: &Point) -> String {
    format!(
        "row {} ({})",
        thousands(point.end.row),
        date(point.end.time)
    )
}

/// Cuts where a window was not measured.
fn stretches(points: &[Point], window: Span) -> impl Iterator<Item = &[Point]> {
    points.chunk_by(move |a, b| a.end.time.plus(window) >= b.end.time)
}

//! The time axis that all plots share, and what happened on it.

use mainstem_schemas::Millis;

use crate::summary::svg::{Anchor, Scale, Svg};
use crate::summary::text::{date, thousands};
use crate::summary::{At, Summary};

/// Event time from left to right.
pub(super) struct Axis {
    scale: Scale,
    ticks: Vec<At>,
}

#[allow(
    clippy::cast_precision_loss,
    reason = "milliseconds of some millennia are below 2^53"
)]
fn number(time: Millis) -> f64 {
    time.0 as f64
}

impl Axis {
    /// The axis of a summary between two places, with about `ticks` of its windows marked; none where nothing was
    /// measured.
    pub fn of(summary: &Summary, range: (f64, f64), ticks: usize) -> Option<Self> {
        let series = summary
            .drift
            .series
            .iter()
            .flat_map(|series| &series.points);
        let mut ends: Vec<At> = series.map(|point| point.end).collect();
        ends.extend(summary.accuracy.windows.iter().map(|window| window.end));
        ends.sort_by_key(|at| at.time);
        ends.dedup_by_key(|at| at.time);
        let (first, last) = (ends.first()?.time.minus(summary.window), ends.last()?.time);
        let step = ends.len().div_ceil(ticks.max(1));
        Some(Axis {
            scale: Scale::linear((number(first), number(last)), range),
            ticks: ends.into_iter().step_by(step).collect(),
        })
    }

    pub fn at(&self, time: Millis) -> f64 {
        self.scale.at(number(time))
    }

    /// Grid lines between two heights.
    pub fn lines(&self, svg: &mut Svg, (top, bottom): (f64, f64)) {
        for tick in &self.ticks {
            let x = self.at(tick.time);
            svg.line("grid", (x, top), (x, bottom));
        }
    }

    /// The days, and under them the rows.
    pub fn names(&self, svg: &mut Svg, top: f64) {
        for tick in &self.ticks {
            let x = self.at(tick.time);
            svg.text("", (x, top + 14.0), Anchor::Middle, &date(tick.time));
            svg.text(
                "",
                (x, top + 29.0),
                Anchor::Middle,
                &format!("row {}", thousands(tick.row)),
            );
        }
    }

    /// A thin line wherever the champion changed.
    pub fn changes(&self, summary: &Summary, svg: &mut Svg, (top, bottom): (f64, f64)) {
        for change in &summary.changes {
            let x = self.at(change.at.time);
            svg.line("change", (x, top), (x, bottom));
        }
    }
}

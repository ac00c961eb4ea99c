//! What happened to a model, read back from its log: figures, tables and plots for terminals, files and browsers.
//!
//! [`Summary::read`] goes once through every topic of the project and remembers counts, a few figures per window of the
//! monitors, and the events of the life cycle; never a row, but for those whose forecasts are not all labelled yet.
//! Nothing else is asked: two logs with the same records give the same summary. What only the caller can know, the
//! outcome of an audit and the seconds that all took, is set afterwards.
//!
//! | File | Holds |
//! |---|---|
//! | `collect` | the pass over the topics |
//! | `accuracy` | the three forecasts over the same labelled rows, per window |
//! | `lifecycle` | retrains, their versions and gates, changes of the champion |
//! | `drift` | statistics per window, detections |
//! | `rows` | the row at which a time was reached |
//! | `json`, `terminal`, `html` | the three ways to tell it |

mod accuracy;
mod collect;
mod drift;
mod evidence;
mod html;
mod json;
mod lifecycle;
mod rows;
mod svg;
mod terminal;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use mainstem_schemas::events::RetrainReason;
use mainstem_schemas::{Digest, Millis, Span};

use crate::auditor::Report;

pub use accuracy::{Accuracy, Forecast, Tally, Window};
pub use drift::{Detection, Drift, Point, Series};
pub use evidence::Evidence;
pub use lifecycle::{Change, ChangeKind, Gate, Retrain};

/// A time, and how many arrivals had an earlier event time: the row at which a paced log reached it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// Event time, or log time.
    pub time: Millis,
    /// Arrivals before it.
    pub row: u64,
}

impl From<Millis> for At {
    fn from(time: Millis) -> Self {
        At { time, row: 0 }
    }
}

/// What an audit found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Turns that were recomputed.
    pub turns: u64,
    /// Derived events that were recomputed and compared.
    pub derived_events: u64,
    /// What is not as it should be.
    pub mismatches: u64,
}

impl From<&Report> for Audit {
    fn from(report: &Report) -> Self {
        Audit {
            turns: report.turns,
            derived_events: report.derived_events,
            mismatches: report.mismatches,
        }
    }
}

/// Records by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Arrivals of the model's source.
    pub rows: u64,
    /// Predictions of the champion.
    pub predictions: u64,
    /// Predictions of every role.
    pub predictions_of_all: u64,
    /// Records that the doors of the source refused.
    pub rejects: u64,
    /// Records that a task could not read.
    pub quarantined: u64,
    /// Turns of all tasks.
    pub turns: u64,
    /// Records of each topic, by its name without the project's.
    pub topics: BTreeMap<String, u64>,
}

/// What happened to a model.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Project.
    pub project: String,
    /// Source that feeds the model.
    pub source: String,
    /// Model.
    pub model: String,
    /// Digest of the definition that the log was read under.
    pub definition: Digest,
    /// Length of the monitors' windows, which are the blocks of the intervals too.
    pub window: Span,
    /// Records by kind.
    pub counts: Counts,
    /// The three forecasts.
    pub accuracy: Accuracy,
    /// Retrains in the order of their requests.
    pub retrains: Vec<Retrain>,
    /// Conditions that held and were not followed, by the reason that would have been given.
    pub suppressed: BTreeMap<RetrainReason, u64>,
    /// Changes of the champion, in order.
    pub changes: Vec<Change>,
    /// Drift.
    pub drift: Drift,
    /// What an audit found, where there was one.
    pub audit: Option<Audit>,
    /// Seconds that it all took, where somebody counted them.
    pub seconds: Option<f64>,
}

impl Summary {
    /// Tells what an audit of the same log found.
    pub fn set_audit(&mut self, audit: impl Into<Audit>) {
        self.audit = Some(audit.into());
    }

    /// Tells how long it all took.
    pub fn set_seconds(&mut self, seconds: f64) {
        self.seconds = Some(seconds);
    }

    /// Retrains whose version came to serve.
    fn passed(&self) -> usize {
        self.retrains
            .iter()
            .filter(|retrain| retrain.gate.passed())
            .count()
    }

    /// Retrains whose version a gate rejected.
    fn rejected(&self) -> usize {
        self.retrains
            .iter()
            .filter(|retrain| retrain.gate.rejected())
            .count()
    }

    /// Whether there is anything to compare.
    fn is_scored(&self) -> bool {
        self.accuracy.total().rows > 0
    }

    /// What a reader is to know of the first model: how long it was as good. Nothing without one.
    fn first_model_remark(&self) -> Option<String> {
        let last = self.accuracy.windows.last()?;
        self.accuracy.share(Forecast::FirstModel)?;
        let Some(until) = self.accuracy.first_model_leads_until() else {
            return Some("Mainstem was ahead of the first model from the first window on.".into());
        };
        let place = |at: &At| format!("row {} ({})", text::thousands(at.row), text::date(at.time));
        Some(if until.end == last.end {
            format!(
                "Counted from the first prediction on, the first model was as good as Mainstem or better up to the end, {}.",
                place(&until.end)
            )
        } else {
            format!(
                "Counted from the first prediction on, the first model was as good as Mainstem or better until {}.",
                place(&until.end)
            )
        })
    }
}

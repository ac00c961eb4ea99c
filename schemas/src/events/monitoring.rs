//! What the monitors measure: profiles, drift, performance. Windows are `[window_start, window_end)` in event time.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::events::data::Role;
use crate::id::EventId;
use crate::time::Millis;

/// What a profile or a drift test is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, AvroSchema,
)]
#[avro(namespace = "mainstem")]
#[serde(rename_all = "lowercase")]
#[allow(
    missing_docs,
    reason = "the derive refuses doc comments on variants; they carry plain ones"
)]
pub enum Subject {
    // The features that the champion is given.
    Features,
    // The champion's probabilities.
    Predictions,
    // Columns of a source's arrivals, beside bins that a monitor declares: `model` then names the monitor.
    Arrivals,
}

/// How one column of one window of one partition fell into the cells of its reference; also when empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct ProfileMeasured {
    /// Model; the monitor, where the subject is arrivals.
    pub model: String,
    /// Features, predictions or arrivals.
    pub subject: Subject,
    /// Champion at the end of the window; `declared` for arrivals.
    pub version: String,
    /// Digest of the reference profile that froze the cells; of the declared columns for arrivals.
    pub reference: Digest,
    /// Partition that was measured.
    pub partition: i32,
    /// Begin of the window.
    pub window_start: Millis,
    /// End of the window.
    pub window_end: Millis,
    /// Whether the whole window lay under this reference.
    pub whole: bool,
    /// Rows in the window.
    pub rows: i64,
    /// Counts per column.
    pub columns: Vec<ColumnCounts>,
}

/// One column's counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct ColumnCounts {
    /// Name of the feature or column, or `probability`.
    pub name: String,
    /// Values per cell of the reference's grid; the last cell counts missing values.
    pub cells: Vec<i64>,
}

/// A test of drift.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, AvroSchema,
)]
#[avro(namespace = "mainstem")]
#[serde(rename_all = "lowercase")]
#[allow(
    missing_docs,
    reason = "the derive refuses doc comments on variants; they carry plain ones"
)]
pub enum DriftMethod {
    // Population stability index.
    Psi,
    // Kolmogorov-Smirnov statistic.
    Ks,
}

/// One column of one window was compared with its reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct DriftMeasured {
    /// Model; the monitor, where the subject is arrivals.
    pub model: String,
    /// Features, predictions or arrivals.
    pub subject: Subject,
    /// Name of the feature or column, or `probability`.
    pub feature: String,
    /// The test.
    pub method: DriftMethod,
    /// Champion whose training data are the reference; `declared` for arrivals.
    pub version: String,
    /// Digest of the reference profile; of the declared columns for arrivals.
    pub reference: Digest,
    /// Begin of the window.
    pub window_start: Millis,
    /// End of the window.
    pub window_end: Millis,
    /// The statistic.
    pub statistic: f64,
    /// Threshold above which it counts towards detection.
    pub threshold: f64,
    /// Rows in the window.
    pub rows: i64,
    /// Rows in the reference; 0 for arrivals, whose reference is declared.
    pub reference_rows: i64,
    /// Largest error of the statistic that the sketch allows; 0 where it is exact.
    pub error_bound: f64,
}

/// A column's drift stayed above its threshold for as many windows as the monitor asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct DriftDetected {
    /// Model; the monitor, where the subject is arrivals.
    pub model: String,
    /// Features, predictions or arrivals.
    pub subject: Subject,
    /// Name of the feature or column, or `probability`.
    pub feature: String,
    /// The test.
    pub method: DriftMethod,
    /// Champion whose training data are the reference; `declared` for arrivals.
    pub version: String,
    /// The last statistic.
    pub statistic: f64,
    /// The threshold.
    pub threshold: f64,
    /// Windows above the threshold, one after the other.
    pub windows: i32,
    /// End of the last of them.
    pub window_end: Millis,
    /// Ids of the measurements.
    pub evidence: Vec<EventId>,
}

/// An open alarm was closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct DriftCleared {
    /// Model; the monitor, where the subject is arrivals.
    pub model: String,
    /// Features, predictions or arrivals.
    pub subject: Subject,
    /// Name of the feature or column, or `probability`.
    pub feature: String,
    /// The test.
    pub method: DriftMethod,
    /// The alarm.
    pub detected: EventId,
    /// `below threshold` or `reference changed`.
    pub reason: String,
}

/// How one version did in one window of one partition, or again after a correction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct PerformanceMeasured {
    /// Model.
    pub model: String,
    /// Version that was measured.
    pub version: String,
    /// What it was deployed for at the end of the window.
    pub role: Role,
    /// Partition that was measured.
    pub partition: i32,
    /// Begin of the window, by the labels' event time.
    pub window_start: Millis,
    /// End of the window.
    pub window_end: Millis,
    /// Counts again after a correction: 0 the first time.
    pub revision: i32,
    /// Labelled predictions.
    pub rows: i64,
    /// Predicted 1, was 1.
    pub true_positives: i64,
    /// Predicted 1, was 0.
    pub false_positives: i64,
    /// Predicted 0, was 0.
    pub true_negatives: i64,
    /// Predicted 0, was 1.
    pub false_negatives: i64,
    /// Share that was right; null without rows.
    pub accuracy: Option<f64>,
    /// tp / (tp + fp); null where nothing was predicted 1.
    pub precision: Option<f64>,
    /// tp / (tp + fn); null where nothing was 1.
    pub recall: Option<f64>,
    /// Harmonic mean of precision and recall; null where either is.
    pub f1: Option<f64>,
    /// The same rows under the champion of the time, for versions that are not it.
    pub paired: Vec<Paired>,
    /// Corrections that are in no figure: of windows with very many rows only the counts are kept.
    pub uncounted: i64,
}

/// Rows that a version and a champion both predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct Paired {
    /// The champion's version.
    pub champion: String,
    /// Rows that both predicted.
    pub rows: i64,
    /// Of them, how many the version had right.
    pub correct: i64,
    /// Of them, how many the champion had right.
    pub champion_correct: i64,
}

use serde::{Deserialize, Serialize};

/// The result of a two-sample test of one column, without judgement: thresholds are the reader's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// The method that made the statistic.
    pub method: Method,
    /// The statistic; its range and unit are the method's.
    pub statistic: f64,
    /// The size of the reference.
    pub reference: Sample,
    /// The size of the window that was compared with it.
    pub window: Sample,
    /// Whether the statistic is exact, or how far it may be off.
    pub precision: Precision,
}

/// A statistic, and how probable one so large is where both samples are of one distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tested {
    /// The statistic; its range and unit are the test's.
    pub statistic: f64,
    /// From 0 to 1; two-sided where a statistic may fall as well as rise.
    pub p_value: f64,
}

/// The methods of a [`DriftReport`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// [`crate::ks`]: 0 (same distribution) to 1 (no overlap).
    KolmogorovSmirnov,
    /// [`crate::psi`]: 0 (same shares) and up, in nats.
    PopulationStabilityIndex,
}

/// How many values a sample has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Values that are not missing.
    pub present: u64,
    /// Missing values (NaN).
    pub missing: u64,
}

impl Sample {
    /// The share of missing values, 0 to 1; `None` of an empty sample.
    #[must_use]
    pub fn missing_share(&self) -> Option<f64> {
        let total = self.present + self.missing;
        (total > 0).then(|| self.missing as f64 / total as f64)
    }
}

/// How near a statistic is to the one that the values themselves would give.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Equal to it, up to the rounding of one division.
    Exact,
    /// Computed from counts on a grid: the exact statistic lies in `statistic ..= statistic + bound`.
    Sketch {
        /// The largest possible error, in the statistic's unit.
        bound: f64,
    },
}

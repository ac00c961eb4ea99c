//! Monitors: columns of a source, watched without a model.

use serde::{Deserialize, Serialize};

use super::{Thresholds, Windows};

/// A monitor: windows of a source's own columns against shares that are declared, not learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Monitor {
    /// Source.
    pub source: String,
    /// Its windows.
    pub windows: Windows,
    /// When a column is in drift.
    pub drift: DeclaredDrift,
    /// The columns, in the file's order.
    pub columns: Vec<DeclaredColumn>,
}

/// As a model's drift monitor, with the one test that needs no more than shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeclaredDrift {
    /// Population stability index.
    pub psi: Thresholds,
    /// Windows running.
    pub windows: u32,
    /// Rows that a window must have to be measured.
    pub min_rows: u32,
}

/// A column and how its values should be distributed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeclaredColumn {
    /// Name of the column.
    pub name: String,
    /// Edges between the bins, increasing; the first and the last bin are open, and an edge belongs to the bin below it.
    pub edges: Vec<f64>,
    /// The share of each bin among the values that are not missing, one more than edges; they sum up to 1.
    pub shares: Vec<f64>,
    /// The share of rows in which the column is missing.
    pub missing: f64,
}

//! The part of the language that is about monitors of sources.

use super::model::{DRIFT_MIN_ROWS, DRIFT_PSI, DRIFT_WINDOWS, SHARE, WINDOW};
use super::{key, table};
use crate::shape::{Absent, Key, Shape};
use Absent::{Defaults, Nothing, Refused, Scalar};

/// Bins of a column: what a search finds without leaving a core's first cache.
const BINS: usize = 256;

/// A monitor.
pub(crate) const MONITOR: &[Key] = &[
    key(
        "source",
        Nothing,
        &Shape::TopicName,
        "Source whose columns it watches; where there is one source, that one.",
    ),
    key(
        "windows",
        Defaults,
        &Shape::Record(WINDOW),
        "Its windows, in event time.",
    ),
    key(
        "drift",
        Defaults,
        &Shape::Record(DECLARED_DRIFT),
        "When a column is in drift.",
    ),
    key(
        "columns",
        Refused,
        &table("column", &Shape::FieldName, &Shape::Record(COLUMN)),
        "Columns of the source and how they should be distributed: {age: {edges: [18, 65], shares: [0.1, 0.7, 0.2]}}.",
    ),
];

/// As a model's, without the test that needs the reference's own values.
pub(crate) const DECLARED_DRIFT: &[Key] = &[DRIFT_PSI, DRIFT_WINDOWS, DRIFT_MIN_ROWS];

/// A column and its bins.
pub(crate) const COLUMN: &[Key] = &[
    key(
        "edges",
        Refused,
        &Shape::List(&Shape::Number(-1e300, 1e300), 1, BINS - 1),
        "Edges between the bins, increasing. The first and the last bin are open; a value on an edge is in the bin below it.",
    ),
    key(
        "shares",
        Nothing,
        &Shape::List(SHARE, 2, BINS),
        "Share of each bin among the values that are not missing, one more than edges; without it, all bins have the same.",
    ),
    key(
        "missing",
        Scalar("0.0"),
        SHARE,
        "Share of rows in which the column is missing.",
    ),
];

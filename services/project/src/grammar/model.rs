//! The part of the language that is about models.

use super::key;
use crate::shape::{Absent, Key, Shape};
use Absent::{Defaults, Nothing, Refused, Scalar};

/// A share of something, the ends included.
pub(super) const SHARE: &Shape = &Shape::Number(0.0, 1.0);

/// Rows that are held in memory at once: ten million of a hundred features are 4 GB.
const ROWS: &Shape = &Shape::Whole(1, 10_000_000);

/// Windows that a monitor looks back: a week of minutes.
const WINDOWS: &Shape = &Shape::Whole(1, 10_080);

/// A model.
pub(crate) const MODEL: &[Key] = &[
    key(
        "view",
        Nothing,
        &Shape::TopicName,
        "View that feeds it; where there is one view, that one.",
    ),
    key(
        "features",
        Nothing,
        &Shape::List(&Shape::FieldName, 1, crate::tree::MAX_ENTRIES),
        "Features that it takes, in this order; without it, all of the view.",
    ),
    key(
        "label",
        Refused,
        &Shape::Record(LABEL),
        "What it predicts: {column: class, horizon: 30m}.",
    ),
    key(
        "threshold",
        Scalar("0.5"),
        SHARE,
        "Probability from which on the class is 1.",
    ),
    key(
        "training",
        Defaults,
        &Shape::Record(TRAINING),
        "How versions are made.",
    ),
    key(
        "baseline",
        Nothing,
        &Shape::Choice(BASELINE),
        "Naive forecast beside the model: {persistence: class}.",
    ),
    key(
        "control",
        Scalar("false"),
        &Shape::Flag,
        "Whether the first version stays a shadow for ever, to show what retraining brings.",
    ),
    key(
        "windows",
        Defaults,
        &Shape::Record(WINDOW),
        "Windows of the monitors, in event time.",
    ),
    key(
        "drift",
        Defaults,
        &Shape::Record(DRIFT),
        "Drift monitor: each feature and the predictions against the training data.",
    ),
    key(
        "retrain",
        Defaults,
        &Shape::Record(RETRAIN),
        "When to retrain.",
    ),
    key(
        "rollout",
        Defaults,
        &Shape::Record(ROLLOUT),
        "How a version comes to serve.",
    ),
];

/// What a model predicts.
pub(crate) const LABEL: &[Key] = &[
    key(
        "column",
        Refused,
        &Shape::FieldName,
        "Column of the view's source: 0 and 1, or false and true.",
    ),
    key(
        "horizon",
        Refused,
        &Shape::Span,
        "How much later: an arrival at t + horizon labels the features at t.",
    ),
    key(
        "timeout",
        Scalar("2d"),
        &Shape::Span,
        "How long a label waits for its prediction, and a joined one for a correction, in log time.",
    ),
];

/// How versions are made.
pub(crate) const TRAINING: &[Key] = &[
    key(
        "rows",
        Scalar("10000"),
        ROWS,
        "Labelled rows at most: the last ones.",
    ),
    key("min_rows", Scalar("500"), ROWS, "Labelled rows at least."),
    key(
        "validation",
        Scalar("0.2"),
        &Shape::Between(0.0, 1.0),
        "Share of the rows, the last by time, on which a version is checked.",
    ),
    key(
        "attempts",
        Scalar("3"),
        &Shape::Whole(1, 100),
        "How often a failed effect is tried.",
    ),
    key(
        "timeout",
        Scalar("1h"),
        &Shape::Span,
        "How long an effect may go without an outcome, in log time.",
    ),
    key(
        "parameters",
        Nothing,
        &Shape::Table {
            what: "parameter",
            name: &Shape::FieldName,
            of: &Shape::Number(-1e12, 1e12),
            most: 100,
            empty: true,
        },
        "Parameters of the trainer, by its own names.",
    ),
];

/// The naive forecast.
const BASELINE: &[&[Key]] = &[&[key(
    "persistence",
    Refused,
    &Shape::FieldName,
    "The class stays as this feature says.",
)]];

/// Windows of the monitors.
pub(crate) const WINDOW: &[Key] = &[
    // A Monday, so that windows of 7d are weeks as people count them.
    key(
        "origin",
        Scalar("1970-01-05T00:00:00Z"),
        &Shape::Moment,
        "A moment at which a window begins.",
    ),
    key("length", Scalar("1d"), &Shape::Span, "Length of a window."),
];

/// Drift monitor. 0.25 and 0.1 are the bounds by which PSI has been read since its use in credit scoring.
pub(crate) const DRIFT: &[Key] = &[
    DRIFT_PSI,
    key(
        "ks",
        Defaults,
        &Shape::Record(KS),
        "Kolmogorov-Smirnov statistic: the largest distance of the two distributions.",
    ),
    DRIFT_WINDOWS,
    DRIFT_MIN_ROWS,
];

pub(super) const DRIFT_PSI: Key = key(
    "psi",
    Defaults,
    &Shape::Record(PSI),
    "Population stability index.",
);

pub(super) const DRIFT_WINDOWS: Key = key(
    "windows",
    Scalar("2"),
    WINDOWS,
    "Windows running that must lie above `detect`.",
);

pub(super) const DRIFT_MIN_ROWS: Key = key(
    "min_rows",
    Scalar("100"),
    ROWS,
    "Rows that a window must have to be measured.",
);

/// Shares are floored at 1e-4, so that ten bins give at most 2 ln(10^4), about 18.4.
const PSI_RANGE: &Shape = &Shape::Number(0.0, 20.0);

pub(crate) const PSI: &[Key] = &[
    key(
        "detect",
        Scalar("0.25"),
        PSI_RANGE,
        "At or above: towards detection.",
    ),
    key("clear", Scalar("0.1"), PSI_RANGE, "Below: cleared."),
];

pub(crate) const KS: &[Key] = &[
    key(
        "detect",
        Scalar("0.4"),
        SHARE,
        "At or above: towards detection.",
    ),
    key("clear", Scalar("0.3"), SHARE, "Below: cleared."),
];

/// When to retrain.
pub(crate) const RETRAIN: &[Key] = &[
    key(
        "initial",
        Nothing,
        &Shape::Record(INITIAL),
        "The first training; without it, the first waits until somebody asks.",
    ),
    key(
        "drift",
        Nothing,
        &Shape::List(&Shape::Word(METHODS), 0, 8),
        "Drift tests whose detection asks for a retrain.",
    ),
    key(
        "performance",
        Nothing,
        &Shape::Record(PERFORMANCE),
        "Retrain where fewer are right than the baseline has.",
    ),
    key(
        "cooldown",
        Scalar("28d"),
        &Shape::Span,
        "Log time between two requests.",
    ),
    key(
        "expiry",
        Scalar("56d"),
        &Shape::Span,
        "Log time after which an open retrain is given up.",
    ),
];

pub(crate) const METHODS: &[(&str, &str)] = &[
    ("psi", "Population stability index."),
    ("ks", "Kolmogorov-Smirnov statistic."),
];

pub(crate) const INITIAL: &[Key] = &[key(
    "at",
    Refused,
    &Shape::Moment,
    "Log time of the first training.",
)];

pub(crate) const PERFORMANCE: &[Key] = &[
    key("windows", Scalar("4"), WINDOWS, "Windows that are summed."),
    key(
        "tolerance",
        Scalar("0.0"),
        SHARE,
        "How much the accuracy may lie under the baseline's: 0.01 is one point.",
    ),
];

/// How a version comes to serve.
pub(crate) const ROLLOUT: &[Key] = &[
    key(
        "shadow",
        Scalar("7d"),
        &Shape::Span,
        "Log time in the shadow, predicting beside the champion.",
    ),
    key(
        "min_rows",
        Scalar("300"),
        ROWS,
        "Labelled rows that both must have predicted.",
    ),
];

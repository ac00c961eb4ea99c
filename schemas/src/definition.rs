//! What a user declares: the project, as the event `DefinitionApplied` carries it (canonical JSON) and as every fold
//! reads it. The YAML file that people write is parsed, with its errors, in `services/project`.

mod foreign;
mod monitor;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::time::{Millis, Span};

pub use foreign::{ForeignTopic, Format, KeyFormat, Only, RegistryOf};
pub use monitor::{DeclaredColumn, DeclaredDrift, Monitor};

/// A project: everything that one log holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Prefix of the topics.
    pub name: String,
    /// What moves log time.
    pub clock: Clock,
    /// Partitions of the data topics; fixed for life.
    pub partitions: u32,
    /// Where data come in.
    pub sources: BTreeMap<String, Source>,
    /// Feature views.
    pub views: BTreeMap<String, View>,
    /// Models.
    pub models: BTreeMap<String, Model>,
    /// Monitors of sources.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub monitors: BTreeMap<String, Monitor>,
}

/// What moves log time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// The wall clock: production.
    Wall,
    /// The paced publisher: a backtest.
    Stream,
}

/// Where data come in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Number of the source in its rows' ids; by the order of first appearance.
    pub number: u16,
    /// Columns of a record.
    pub fields: Vec<Field>,
    /// Whom a record is about: the key.
    pub entity: Entity,
    /// When it happened.
    pub time: EventTime,
    /// The existing topic that its records come from; else they are published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<ForeignTopic>,
}

impl Source {
    /// Whether its records are read in the topic that others write, and not copied.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        let topic = self.topic.as_ref();
        topic.is_some_and(|topic| topic.in_place.is_some())
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// Whether it may be missing.
    #[serde(default)]
    pub optional: bool,
}

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// 64-bit float.
    Double,
    /// 64-bit integer.
    Long,
    /// True or false.
    Boolean,
    /// Text.
    String,
}

/// Whom a record is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entity {
    /// The text of a column.
    Column(String),
    /// Always the same.
    Constant(String),
    /// The key of the foreign record.
    Key(KeyFormat),
}

/// When a record happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventTime {
    /// A column: RFC 3339 text, or a number of milliseconds since 1970.
    Column(String),
    /// The row of its publication gives it: `start + row * every`.
    Row {
        /// Time of row 0.
        #[serde(with = "crate::time::text")]
        start: Millis,
        /// Time between rows.
        every: Span,
    },
    /// The timestamp of the foreign record.
    Timestamp,
}

/// A feature view: a row of numbers per arrival, from its entity's arrivals up to it. Immutable under its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Source.
    pub source: String,
    /// Features, in the order in which rows hold them.
    pub features: Vec<Feature>,
}

/// A feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Name.
    pub name: String,
    /// How it is computed.
    pub of: Expression,
}

/// How a feature is computed. An operand is a column of the source or another feature of the view; a feature hides a
/// column of its name, but for the feature itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expression {
    /// A column as a number; true is 1, false 0.
    Column(String),
    /// The operand as it was some records of the entity ago; missing until there are that many.
    Lag {
        /// Operand.
        of: String,
        /// Records back, at least 1.
        by: u32,
    },
    /// The operand less what it was some records of the entity ago.
    Change {
        /// Operand.
        of: String,
        /// Records back, at least 1.
        by: u32,
    },
    /// One operand less another.
    Difference {
        /// Left operand.
        left: String,
        /// Right operand.
        right: String,
    },
    /// One operand divided by another; missing where the divisor is zero.
    Ratio {
        /// Left operand.
        left: String,
        /// Right operand.
        right: String,
    },
    /// A statistic over the last records of the entity, this one included; missing values are left out.
    Window {
        /// Which.
        statistic: Statistic,
        /// Operand.
        of: String,
        /// Records, at least 1; until there are that many, those that are.
        last: u32,
    },
    /// The mean of all the operand's values so far, the newer the heavier: `alpha · value + (1 - alpha) · mean before`,
    /// from the first value on. A missing value leaves it as it was.
    Ewma {
        /// Operand.
        of: String,
        /// Weight of a new value, above 0 and below 1.
        alpha: f64,
    },
}

/// A statistic over a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Values that are not missing.
    Count,
    /// Their sum; missing without any.
    Sum,
    /// Their mean; missing without any.
    Mean,
    /// Their population standard deviation (divided by n); missing without any.
    StdPopulation,
    /// Their sample standard deviation (divided by n - 1); missing with fewer than two.
    StdSample,
    /// The smallest; missing without any.
    Min,
    /// The largest; missing without any.
    Max,
}

impl Expression {
    /// Names of the operands, columns of the source or features of the view.
    #[must_use]
    pub fn operands(&self) -> Vec<&str> {
        match self {
            Expression::Column(column) => vec![column],
            Expression::Lag { of, .. }
            | Expression::Change { of, .. }
            | Expression::Window { of, .. }
            | Expression::Ewma { of, .. } => vec![of],
            Expression::Difference { left, right } | Expression::Ratio { left, right } => {
                vec![left, right]
            }
        }
    }
}

/// A model: what it predicts, from what, and how it is kept good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// View that feeds it.
    pub view: String,
    /// Features that it takes, in this order.
    pub features: Vec<String>,
    /// What it predicts.
    pub label: Label,
    /// Probability from which on the class is 1.
    pub threshold: f64,
    /// How versions are made.
    pub training: Training,
    /// The naive forecast beside it, if any.
    pub baseline: Option<Baseline>,
    /// Whether the first version stays a shadow for ever.
    pub control: bool,
    /// Windows of the monitors.
    pub windows: Windows,
    /// Drift monitor.
    pub drift: DriftMonitor,
    /// When to retrain.
    pub retrain: RetrainPolicy,
    /// How a version comes to serve.
    pub rollout: Rollout,
}

/// What a model predicts: a binary column of a later arrival of the same entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Column of the view's source; 0 and 1, or false and true.
    pub column: String,
    /// How much later: an arrival at `t + horizon` labels the features at `t`.
    pub horizon: Span,
    /// How long a label waits for its prediction, and a joined one for a correction, in log time.
    pub timeout: Span,
}

/// How versions are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Labelled rows at most: the last ones before the request.
    pub rows: u32,
    /// Labelled rows at least.
    pub min_rows: u32,
    /// Share of them, by time the last, that the version is checked on before it is refitted on all.
    pub validation: f64,
    /// Parameters of the trainer, by its own names.
    pub parameters: BTreeMap<String, f64>,
    /// How often a failed effect is tried.
    pub attempts: u32,
    /// How long an effect may go without an outcome, in log time, before another attempt.
    pub effect_timeout: Span,
}

/// The naive forecast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Baseline {
    /// The class stays as this feature says.
    Persistence(String),
}

/// Windows of the monitors, in event time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Windows {
    /// A moment at which a window begins.
    #[serde(with = "crate::time::text")]
    pub origin: Millis,
    /// Length.
    pub length: Span,
}

impl Windows {
    /// Begin of the window that holds `time`.
    #[must_use]
    pub fn start_of(&self, time: Millis) -> Millis {
        let length = self.length.at_least_one();
        let into = time.0.saturating_sub(self.origin.0).rem_euclid(length);
        Millis(time.0.saturating_sub(into))
    }
}

/// Drift monitor: a column is detected when its statistic is above `detect` for `windows` windows running, and
/// cleared when it is below `clear`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftMonitor {
    /// Population stability index.
    pub psi: Thresholds,
    /// Kolmogorov-Smirnov statistic.
    pub ks: Thresholds,
    /// Windows running.
    pub windows: u32,
    /// Rows that a window must have to be measured.
    pub min_rows: u32,
}

/// When a statistic counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// At or above: towards detection.
    pub detect: f64,
    /// Below: cleared.
    pub clear: f64,
}

/// When to retrain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetrainPolicy {
    /// Log time of the first training; none waits for a request.
    #[serde(with = "optional_time")]
    pub initial: Option<Millis>,
    /// Drift tests whose detection asks for a retrain.
    pub drift: Vec<crate::events::DriftMethod>,
    /// Performance that asks for a retrain.
    pub performance: Option<PerformancePolicy>,
    /// Log time between two requests.
    pub cooldown: Span,
    /// Log time after which an open retrain is given up.
    pub expiry: Span,
}

/// Performance that asks for a retrain: fewer right than the baseline over the last windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerformancePolicy {
    /// Windows that are summed.
    pub windows: u32,
    /// How much the champion's accuracy may lie under the baseline's, in shares (0.01 = one point).
    pub tolerance: f64,
}

/// How a version comes to serve: it predicts beside the champion and is promoted if it had more of the same labelled
/// rows right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Log time in the shadow.
    pub shadow: Span,
    /// Labelled rows that both must have predicted.
    pub min_rows: u32,
}

impl Project {
    /// Canonical JSON: what `DefinitionApplied` carries and what is hashed.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical(self)
    }

    /// Digest of the whole definition.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.canonical().as_bytes())
    }
}

/// Digest of one object's own definition: what enters its derived ids.
#[must_use]
pub fn digest_of<T: Serialize>(object: &T) -> Digest {
    Digest::of(canonical(object).as_bytes())
}

/// JSON with the fields in the order of their declaration and maps in the order of their keys. Definitions hold no
/// type that JSON cannot express, so this does not fail; an empty text would show in every digest.
fn canonical<T: Serialize>(object: &T) -> String {
    serde_json::to_string(object).unwrap_or_default()
}

mod optional_time {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::time::Millis;

    #[allow(
        clippy::ref_option,
        reason = "serde's `with` hands the field by reference"
    )]
    pub fn serialize<S: Serializer>(
        time: &Option<Millis>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_some(&time.to_string()),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Millis>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom))
            .transpose()
    }
}

//! The life cycle: retrains, runs, model versions, deployments. A retrain is named by the id of its request.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::events::data::Role;
use crate::events::facts::Parameter;
use crate::id::EventId;
use crate::time::Millis;

/// Why a retrain was requested.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, AvroSchema,
)]
#[avro(namespace = "mainstem")]
#[serde(rename_all = "snake_case")]
#[allow(
    missing_docs,
    reason = "the derive refuses doc comments on variants; they carry plain ones"
)]
pub enum RetrainReason {
    // The first training.
    Initial,
    // Somebody asked.
    OnDemand,
    // The champion fell behind.
    Performance,
    // A distribution changed.
    Drift,
}

/// A model is to be retrained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct RetrainRequested {
    /// Model.
    pub model: String,
    /// Why.
    pub reason: RetrainReason,
    /// What it rests on, in words with the figures.
    pub detail: String,
    /// Ids of the events that it rests on: the newest 1,000 at most, and then the detail says of how many.
    pub evidence: Vec<EventId>,
    /// Log time of the request: the training data end here.
    pub as_of: Millis,
}

/// A condition to retrain held and was not followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct RetrainSuppressed {
    /// Model.
    pub model: String,
    /// The reason that would have been given.
    pub reason: RetrainReason,
    /// Why it was not followed: a retrain is open, or the cool-down lasts.
    pub because: String,
    /// Ids of the events that it rests on, the newest 1,000 at most.
    pub evidence: Vec<EventId>,
}

/// How a retrain ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, AvroSchema,
)]
#[avro(namespace = "mainstem")]
#[serde(rename_all = "lowercase")]
#[allow(
    missing_docs,
    reason = "the derive refuses doc comments on variants; they carry plain ones"
)]
pub enum RetrainOutcome {
    // Its version was promoted.
    Promoted,
    // Its version was rejected by a gate.
    Rejected,
    // It could not be trained.
    Failed,
    // It never ended and was given up.
    Expired,
}

/// A retrain ended; the next one may be requested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct RetrainClosed {
    /// Model.
    pub model: String,
    /// Id of the request.
    pub retrain: EventId,
    /// How it ended.
    pub outcome: RetrainOutcome,
}

/// A training run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct RunStarted {
    /// Model.
    pub model: String,
    /// The run: the id of the retrain's request.
    pub run: EventId,
}

/// A run's data set is fixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct DatasetBound {
    /// Model.
    pub model: String,
    /// The run.
    pub run: EventId,
    /// Digest of the view's definition.
    pub view: Digest,
    /// First event time of a feature row.
    pub from: Millis,
    /// Last event time of a feature row.
    pub to: Millis,
    /// Log time that the data are as of.
    pub as_of: Millis,
    /// Labelled rows.
    pub rows: i64,
    /// BLAKE3 of the canonical rows.
    pub content: Digest,
    /// Digest of the Parquet file in the blob store.
    pub parquet: Digest,
    /// Digest of the profile of the features in the blob store.
    pub profile: Digest,
}

/// A run's training was handed to the trainer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct TrainingStarted {
    /// Model.
    pub model: String,
    /// The run.
    pub run: EventId,
    /// The effect.
    pub effect: EventId,
}

/// A run's parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct ParamLogged {
    /// Model.
    pub model: String,
    /// The run.
    pub run: EventId,
    /// The parameter.
    pub parameter: Parameter,
}

/// A run's figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct MetricLogged {
    /// Model.
    pub model: String,
    /// The run.
    pub run: EventId,
    /// Name of the figure.
    pub name: String,
    /// Its value.
    pub value: f64,
}

/// A run's tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct TagSet {
    /// Model.
    pub model: String,
    /// The run.
    pub run: EventId,
    /// Name of the tag.
    pub name: String,
    /// Its text.
    pub value: String,
}

/// A run ended well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct RunFinished {
    /// Model.
    pub model: String,
    /// The run.
    pub run: EventId,
    /// Digest of the ONNX file in the blob store.
    pub onnx: Digest,
    /// Digest of the profile of the training rows.
    pub profile: Digest,
    /// Digest of the profile of the output on the validation rows.
    pub prediction_profile: Digest,
    /// Digest of the canonical training rows.
    pub content: Digest,
    /// Rows that the model was checked on.
    pub validation_rows: i64,
    /// Of them, how many it classified right.
    pub validation_correct: i64,
    /// Of them, how many the majority class classifies right.
    pub majority_correct: i64,
}

/// A run could not end well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct RunFailed {
    /// Model.
    pub model: String,
    /// The run.
    pub run: EventId,
    /// Why.
    pub reason: String,
}

/// A model version exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct ModelVersionRegistered {
    /// Model.
    pub model: String,
    /// Version: `v1`, `v2` … or `baseline`.
    pub version: String,
    /// The run (the retrain's request) that made it; none made the baseline.
    pub run: Option<EventId>,
    /// Digest of the ONNX file in the blob store.
    pub onnx: Digest,
    /// The features that it takes, in order.
    pub features: Vec<String>,
    /// Digest of the view's definition.
    pub view: Digest,
    /// Digest of the canonical training rows.
    pub content: Option<Digest>,
    /// Digest of the profile of the training rows.
    pub profile: Option<Digest>,
    /// Digest of the profile of the output on the validation rows.
    pub prediction_profile: Option<Digest>,
}

/// A version passed the gate on its validation rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct ModelApproved {
    /// Model.
    pub model: String,
    /// Version.
    pub version: String,
    /// The figures.
    pub detail: String,
}

/// A version failed a gate and will not serve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct ModelRejected {
    /// Model.
    pub model: String,
    /// Version.
    pub version: String,
    /// Retrain that made it.
    pub retrain: EventId,
    /// The figures.
    pub detail: String,
}

/// A name now means a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct AliasSet {
    /// Model.
    pub model: String,
    /// The name: `champion`.
    pub alias: String,
    /// Version.
    pub version: String,
}

/// A version predicts from now on, in some role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct DeploymentStarted {
    /// Model.
    pub model: String,
    /// Version.
    pub version: String,
    /// What for.
    pub role: Role,
    /// Digest of the ONNX file in the blob store.
    pub onnx: Digest,
    /// The features that it takes, in order.
    pub features: Vec<String>,
    /// Digest of the view's definition.
    pub view: Digest,
    /// Digest of the profile of the training rows; the baseline has none.
    pub profile: Option<Digest>,
    /// Digest of the profile of the output on the validation rows.
    pub prediction_profile: Option<Digest>,
    /// Log time.
    pub since: Millis,
}

/// A version became the champion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct Promoted {
    /// Model.
    pub model: String,
    /// Version.
    pub version: String,
    /// The champion before it, where there was one.
    pub previous: Option<String>,
    /// Retrain that made it; none where somebody asked.
    pub retrain: Option<EventId>,
    /// The figures, or the asker's words.
    pub detail: String,
    /// Log time.
    pub since: Millis,
}

/// The champion before serves again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct RolledBack {
    /// Model.
    pub model: String,
    /// Version that serves again.
    pub version: String,
    /// Version that no longer does.
    pub previous: String,
    /// Why.
    pub detail: String,
    /// Log time.
    pub since: Millis,
}

/// A version no longer predicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct DeploymentEnded {
    /// Model.
    pub model: String,
    /// Version.
    pub version: String,
    /// What it was deployed for.
    pub role: Role,
    /// Retrain that made it, where that is decided by this.
    pub retrain: Option<EventId>,
    /// Why, with the figures.
    pub reason: String,
    /// Log time.
    pub since: Millis,
}

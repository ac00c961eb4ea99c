//! Facts: what comes from outside. Audits take them as given; their bytes are under the hash chain.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::EventId;
use crate::time::Millis;

/// A project's definition became the one in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct DefinitionApplied {
    /// Name of the project, the prefix of its topics.
    pub project: String,
    /// BLAKE3 of `definition`.
    pub digest: Digest,
    /// The whole definition as canonical JSON.
    pub definition: String,
}

/// The clock of the log moved: log time is counted by these alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct ClockTicked {
    /// Log time, in milliseconds since 1970.
    pub time: Millis,
    /// Number of the tick, counting from 1 in each log.
    pub round: i64,
}

/// A paced publisher is about to publish the rows up to a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct StepOpened {
    /// Source that will receive the rows.
    pub source: String,
    /// Publication that they belong to.
    pub publication: i64,
    /// Event time before which all rows of the step lie.
    pub until: Millis,
}

/// Somebody began to publish a file or a stream into a source; its number enters the ids of its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct PublicationStarted {
    /// Source that receives the rows.
    pub source: String,
    /// Number of the publication, counting from 1 within its source.
    pub publication: i64,
    /// What is published: a file's name, `-` for standard input, `http` for the door.
    pub name: String,
    /// BLAKE3 of a file's first 64 KiB, or of what there was, so that nobody goes on with another file.
    pub content: Option<Digest>,
}

/// A door refused what did not fit the source's schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct RecordRejected {
    /// Source that it was meant for.
    pub source: String,
    /// Publication that brought it.
    pub publication: i64,
    /// Row within the publication, counting from 0.
    pub row: i64,
    /// Line of the file, counting from 1.
    pub line: i64,
    /// The bytes, at most the first 64 KiB of them.
    #[serde(with = "apache_avro::serde::bytes")]
    #[avro(with)]
    pub bytes: Vec<u8>,
    /// How many bytes there were.
    pub length: i64,
    /// BLAKE3 of all the bytes.
    pub digest: Digest,
    /// Field that does not fit, where it is one field.
    pub field: Option<String>,
    /// What is wrong and what to do.
    pub reason: String,
}

/// Somebody asked for a retrain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct RetrainAsked {
    /// Model to be retrained.
    pub model: String,
    /// Why, in the asker's words.
    pub note: String,
}

/// Somebody asked that a version become the champion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct PromotionAsked {
    /// Model.
    pub model: String,
    /// Version to be promoted.
    pub version: String,
    /// Why, in the asker's words.
    pub note: String,
}

/// Somebody asked that the previous champion serve again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct RollbackAsked {
    /// Model.
    pub model: String,
    /// Why, in the asker's words.
    pub note: String,
}

/// An effect wrote a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct DatasetBuilt {
    /// The effect that asked for it.
    pub effect: EventId,
    /// Attempt of the effect.
    pub attempt: i32,
    /// Model.
    pub model: String,
    /// Digest of the view's definition.
    pub view: Digest,
    /// The features, in the order of its columns.
    pub features: Vec<String>,
    /// First event time of a feature row.
    pub from: Millis,
    /// Last event time of a feature row.
    pub to: Millis,
    /// Labelled rows.
    pub rows: i64,
    /// BLAKE3 of the canonical rows.
    pub content: Digest,
    /// Digest of the Parquet file in the blob store.
    pub parquet: Digest,
    /// Digest of the profile of the features (grids and counts) in the blob store.
    pub profile: Digest,
    /// Positions that were read, as `topic/partition=first..next`; observed.
    pub observed_positions: Vec<String>,
}

/// An effect trained a model on a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct TrainingCompleted {
    /// The effect that asked for it.
    pub effect: EventId,
    /// Attempt of the effect.
    pub attempt: i32,
    /// Model.
    pub model: String,
    /// Digest of the ONNX file in the blob store.
    pub onnx: Digest,
    /// Digest of the profile of the model's output on its validation rows, before refitting.
    pub prediction_profile: Digest,
    /// Rows that the model was checked on, by time the last ones.
    pub validation_rows: i64,
    /// Of them, how many it classified right.
    pub validation_correct: i64,
    /// Of them, how many the majority class of the rows before them classifies right.
    pub majority_correct: i64,
    /// Parameters of the trainer.
    pub parameters: Vec<Parameter>,
    /// What trained it, with its version.
    pub trainer: String,
    /// Seconds that it took; observed.
    pub observed_seconds: f64,
}

/// An effect wrote the naive forecast as a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct BaselineBuilt {
    /// The effect that asked for it.
    pub effect: EventId,
    /// Attempt of the effect.
    pub attempt: i32,
    /// Model that it stands beside.
    pub model: String,
    /// The features, in the order of its inputs.
    pub features: Vec<String>,
    /// Digest of the ONNX file in the blob store.
    pub onnx: Digest,
}

/// A named number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct Parameter {
    /// Name.
    pub name: String,
    /// Value.
    pub value: f64,
}

/// An effect could not be brought about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct EffectFailed {
    /// The effect.
    pub effect: EventId,
    /// Attempt that failed.
    pub attempt: i32,
    /// Model.
    pub model: String,
    /// Why, and what to do.
    pub reason: String,
    /// Whether another attempt may succeed.
    pub retriable: bool,
}

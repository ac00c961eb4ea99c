//! The data plane's own events: predictions, labels joined to them, records that could not be read.
//!
//! They carry their origin and event time as fields and no headers: a client's fast path cannot set any.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::EventId;
use crate::time::Millis;

/// A task could not read a record; here it is, cut where it is long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct RecordQuarantined {
    /// Topic that held it.
    pub topic: String,
    /// Its id, where it has one.
    pub origin: Option<EventId>,
    /// Its key.
    pub key: Option<KeyBytes>,
    /// Its value, at most the first 64 KiB of it.
    #[serde(with = "apache_avro::serde::bytes")]
    #[avro(with)]
    pub value: Vec<u8>,
    /// How many bytes the value had.
    pub length: i64,
    /// BLAKE3 of the whole value.
    pub digest: Digest,
    /// Schema id in the value, where it is in the wire format.
    pub schema_id: Option<i32>,
    /// What is wrong and what to do.
    pub reason: String,
    /// Task that could not read it.
    pub task: String,
    /// Partition that held it; observed.
    pub observed_partition: i32,
    /// Offset that it had; observed.
    pub observed_offset: i64,
}

/// A record's key, where it has one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct KeyBytes {
    /// The bytes, at most the first 1 KiB of them.
    #[serde(with = "apache_avro::serde::bytes")]
    #[avro(with)]
    pub bytes: Vec<u8>,
    /// How many bytes there were.
    pub length: i64,
}

/// What a deployed version is for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, AvroSchema,
)]
#[avro(namespace = "mainstem")]
#[serde(rename_all = "lowercase")]
#[allow(
    missing_docs,
    reason = "the derive refuses doc comments on variants; they carry plain ones"
)]
pub enum Role {
    // Its predictions are the answer.
    Champion,
    // A challenger: it predicts beside the champion and is compared with it.
    Shadow,
    // The first version, a shadow for ever.
    Control,
    // No model: the naive forecast, a shadow for ever.
    Baseline,
}

/// A deployed version predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct PredictionMade {
    /// Id of the arrival or request that started it.
    pub origin: EventId,
    /// Event time of the features.
    pub event_time: Millis,
    /// Entity.
    pub entity: String,
    /// Event time that the label will have.
    pub target_time: Millis,
    /// Model version.
    pub version: String,
    /// What the version is deployed for.
    pub role: Role,
    /// Probability of the positive class.
    pub probability: f64,
    /// The predicted class: 1 where the probability reaches the model's threshold.
    pub class: i32,
    /// The inputs, where they are not a row of the view with the same origin: a door's.
    pub inputs: Option<Vec<f64>>,
    /// Who asked, where somebody did: at a door.
    pub actor: Option<String>,
    /// What computed it.
    pub runtime: String,
}

/// A prediction met its label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct PredictionLabelled {
    /// Origin of the prediction.
    pub origin: EventId,
    /// Origin of the label.
    pub label_origin: EventId,
    /// Entity.
    pub entity: String,
    /// Event time of the label.
    pub target_time: Millis,
    /// Model version.
    pub version: String,
    /// What the version was deployed for.
    pub role: Role,
    /// Probability of the positive class.
    pub probability: f64,
    /// The predicted class.
    pub class: i32,
    /// The true class.
    pub label: i32,
    /// Tick on which it was joined.
    pub round: i64,
}

/// A label that had been joined arrived again with another value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct LabelCorrected {
    /// Origin of the prediction.
    pub origin: EventId,
    /// Origin of the new label.
    pub label_origin: EventId,
    /// Entity.
    pub entity: String,
    /// Event time of the label.
    pub target_time: Millis,
    /// Model version.
    pub version: String,
    /// What the version was deployed for.
    pub role: Role,
    /// Probability of the positive class.
    pub probability: f64,
    /// The predicted class.
    pub class: i32,
    /// The true class as it was known before.
    pub was: i32,
    /// The true class.
    pub label: i32,
    /// Which correction of this label it is, counting from 1.
    pub revision: i32,
    /// Tick on which it was joined.
    pub round: i64,
}

/// A label waited for its prediction in vain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct LabelOrphaned {
    /// Origin of the label.
    pub label_origin: EventId,
    /// Entity.
    pub entity: String,
    /// Event time of the label.
    pub target_time: Millis,
    /// The class.
    pub label: i32,
    /// Tick on which it was given up.
    pub round: i64,
}

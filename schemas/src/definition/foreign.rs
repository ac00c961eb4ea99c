//! Topics of others as sources: what the definition says of them.

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// A topic that others write: nobody has to change a producer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignTopic {
    /// Its full name.
    pub name: String,
    /// How its values are written.
    pub format: Format,
    /// Whose schema ids its values hold, where they are Avro.
    pub registry: RegistryOf,
    /// Which of several event types; all where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Only>,
    /// Read in place, and for how long it keeps its records at least: as far back as that an audit recomputes. Copied
    /// where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place: Option<Span>,
    /// Partitions that it had when the definition was applied: one task each. Observed, not written by hand.
    pub partitions: u32,
}

/// How the values of a foreign topic are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Avro in the wire format of Confluent's registry.
    Avro,
    /// One JSON object a record.
    Json,
}

/// Whose schema ids a foreign topic's values hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistryOf {
    /// An outside registry's; what it says is copied into the log before its first use.
    Outside,
    /// This log's own: Mainstem is the registry of the producers.
    Own,
}

/// Which of several event types on one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Only {
    /// Records with this header of this value.
    Header(String, String),
    /// Records that were written with the Avro record of this full name.
    Record(String),
    /// Records that hold this text in this field.
    Field(String, String),
}

/// How the key of a foreign record says whom it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyFormat {
    /// Its bytes are text.
    Text,
    /// A JSON string or whole number.
    Json,
    /// A string, int or long in the wire format.
    Avro,
}

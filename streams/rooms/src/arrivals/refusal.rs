//! Why records are refused, in words that say what to do.

use mainstem_columns::rows::Fault;
use mainstem_columns::{BadRecord, Unreadable};
use mainstem_schemas::Millis;
use mainstem_schemas::wire::NotWire;

use super::MAX_KEY;

/// Why a record is not taken: what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Nobody knows whom it is about.
    #[error("it has no key; write the entity as the record's key")]
    NoKey,
    /// A key that is no name.
    #[error(
        "its key has {0} bytes, and {MAX_KEY} is the limit; write a shorter name of the entity, or a digest of it, as the key"
    )]
    LongKey(usize),
    /// A key in another encoding.
    #[error("its key is not UTF-8; write the entity as text")]
    KeyNotText,
    /// Nobody knows when it happened.
    #[error(
        "it has no header ce_time, and its source tells the event time by no column; write the header, as 1996-08-19T04:00:00Z, or declare `time: {{column: ...}}`"
    )]
    NoTime,
    /// A header that is no time.
    #[error("its header ce_time is no time; write it as 1996-08-19T04:00:00Z")]
    BadTime,
    /// A column of event times that holds something else.
    #[error(
        "field {field}: {value} is no time of 1970 or later, and it is the event time where there is no header ce_time; write it as 1996-08-19T04:00:00Z, or as milliseconds since 1970 in a field that is declared long"
    )]
    NotTime {
        /// The column.
        field: String,
        /// What it holds, at most its first characters.
        value: String,
    },
    /// A clock gone wrong, or log time that stands still.
    #[error(
        "its event time {0} is more than a day ahead of log time; check the writer's clock, or publish with a pace that moves log time"
    )]
    Ahead(Millis),
    /// A duplicate, a correction or a late record.
    #[error(
        "its event time {time} is equal to or older than {newest}, the newest of its entity, so that windows have passed it; publish an entity's records in the order of their event times, each once"
    )]
    NotNewer {
        /// Event time of the record.
        time: Millis,
        /// The newest event time of the entity.
        newest: Millis,
    },
    /// No room for another.
    #[error(
        "its entity is new, and {0} are remembered in this partition, which is the limit; choose entities that are finite in number, or more partitions"
    )]
    TooManyEntities(usize),
    /// A tombstone.
    #[error("it has no value; write a record")]
    NoValue,
    /// Not in the wire format.
    #[error(transparent)]
    NotWire(#[from] NotWire),
    /// A schema that the log does not have.
    #[error(
        "schema id {0} is not registered in the topic `schemas`; register the writer's schema before writing with it"
    )]
    UnknownSchema(u32),
    /// A schema that Avro does not read.
    #[error("schema id {id} is no Avro schema: {why}")]
    NotAvro {
        /// The id.
        id: u32,
        /// The parser's words.
        why: String,
    },
    /// A schema that cannot give what the room reads.
    #[error("schema id {id}: {why}")]
    Schema {
        /// The id.
        id: u32,
        /// What is missing.
        why: Unreadable,
    },
    /// A body that does not follow its schema.
    #[error(transparent)]
    Body(#[from] BadRecord),
    /// Values that do not fit the source.
    #[error(transparent)]
    Row(#[from] Fault),
    /// A key in another encoding than the source says.
    #[error("its key is {what}; {remedy}")]
    Key {
        /// What it is.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A record of a topic that is read in place, in the partition of another key.
    #[error(
        "it lies in partition {partition}, and Java's partitioner (murmur2 of the key) gives {belongs}: a topic that is read in place must be partitioned so; set the producer's partitioner (for librdkafka `partitioner=murmur2_random`), or read the topic as a new source with `read: copy`"
    )]
    Elsewhere {
        /// Where it lies.
        partition: u32,
        /// Where its key belongs.
        belongs: u32,
    },
    /// A value that is no record of the event types to be told apart.
    #[error("{0}")]
    Unsorted(String),
    /// A schema that an outside registry did not have as Avro.
    #[error(
        "the schema registry had no Avro schema of id {0} when it was asked; write the record with an Avro serialiser that uses that registry"
    )]
    NotInRegistry(u32),
    /// A label that is no class.
    #[error("its label {column} is {value}; a binary label is 0 or 1, false or true")]
    NotBinary {
        /// The column.
        column: String,
        /// What it holds.
        value: f64,
    },
    /// A model that has no answer.
    #[error("version {version} gave no number for this row; see that it takes missing inputs")]
    NoAnswer {
        /// The version.
        version: String,
    },
    /// A derived topic that somebody else wrote to.
    #[error("{0}; let nobody but the topic's own task write to it")]
    NotOurs(String),
}

//! The chain: one turn a commit of a task, and snapshots to resume from.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// One commit of one task: what it read, in the order taken, and what it wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct Turn {
    /// The task.
    pub task: String,
    /// Number of the turn, counting from 1.
    pub number: i64,
    /// Version of the machine's code.
    pub machine_version: i32,
    /// Digest of the definition that the task works under after this turn.
    pub definition: Digest,
    /// Runs in the order taken, at most one per input partition.
    pub runs: Vec<RunTaken>,
    /// Where the task stands on every input after this turn, in rank order.
    pub positions: Vec<InputPosition>,
    /// What was written, per output partition.
    pub outputs: Vec<OutputWritten>,
    /// Effects that are to be done and not yet done.
    pub outstanding: i32,
    /// Hash of the previous turn; zeros in the first.
    pub previous: Digest,
    /// Hash of this turn: BLAKE3 of its body with zeros in this field.
    pub hash: Digest,
}

/// A contiguous range of records of one input partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct RunTaken {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset of the first record.
    pub first: i64,
    /// Offset after the last record.
    pub next: i64,
    /// Records.
    pub count: i64,
    /// BLAKE3 of the blocks' digests.
    pub root: Digest,
    /// BLAKE3 of each block of 64 records, 32 bytes each.
    #[serde(with = "apache_avro::serde::bytes")]
    #[avro(with)]
    pub blocks: Vec<u8>,
}

/// Where a task stands on an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct InputPosition {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset of the next record to read.
    pub next: i64,
}

/// What a turn wrote to one output partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct OutputWritten {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Records.
    pub count: i64,
    /// BLAKE3 of the number of records and their frames.
    pub root: Digest,
}

/// A state to resume from: the task's state after a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "mainstem")]
pub struct SnapshotTaken {
    /// The task.
    pub task: String,
    /// Number of the turn after which the state was taken.
    pub turn: i64,
    /// Version of the machine's code.
    pub machine_version: i32,
    /// Digest of the state's bytes in the blob store.
    pub state: Digest,
}

//! Turns: what a commit says of itself, under hashes.

use mainstem_schemas::events::{OutputWritten, RunTaken, Turn, encode_body};
use mainstem_schemas::{Batch, Digest};

use crate::log::Partition;

/// Records per block: an audit places damage to a fact to 64 records, for half a byte of digest a record.
pub const BLOCK: usize = 64;

const TURN: &str = "mainstem v1 turn";
const ROOT: &str = "mainstem v1 root";

/// Digests of the blocks of some input records (32 bytes each): frames, then timestamps.
#[must_use]
pub fn input_blocks(batch: &Batch) -> Vec<u8> {
    let mut digests = Vec::with_capacity(batch.len().div_ceil(BLOCK) * 32);
    let mut start = 0;
    while start < batch.len() {
        let end = (start + BLOCK).min(batch.len());
        let mut hasher = blake3::Hasher::new();
        hasher.update(batch.frames(start..end));
        let mut bytes = [0; 8 * BLOCK];
        let mut places = bytes.chunks_exact_mut(8);
        for (place, timestamp) in places.by_ref().zip(&batch.timestamps()[start..end]) {
            place.copy_from_slice(&timestamp.to_le_bytes());
        }
        hasher.update(&bytes[..8 * (end - start)]);
        digests.extend_from_slice(hasher.finalize().as_bytes());
        start = end;
    }
    digests
}

/// Root over the number of records and what stands for them: the digests of their blocks, or their frames.
#[must_use]
pub fn root(of: &[u8], count: usize) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(ROOT);
    hasher.update(&(count as u64).to_le_bytes());
    hasher.update(of);
    Digest(*hasher.finalize().as_bytes())
}

/// Root of some output records: over their frames in one piece, which costs half of what blocks do, for damage to an output
/// is placed by computing it again. Without timestamps, which the log gives.
#[must_use]
pub fn output_root(batch: &Batch) -> Digest {
    root(batch.frames(0..batch.len()), batch.len())
}

/// What a turn says of a run it took; `batch` has at least one record.
#[must_use]
pub fn run_taken(partition: &Partition, batch: &Batch) -> RunTaken {
    let blocks = input_blocks(batch);
    RunTaken {
        topic: partition.topic.to_string(),
        partition: partition.index as i32,
        first: batch.offsets().first().map_or(0, |offset| *offset as i64),
        next: batch
            .offsets()
            .last()
            .map_or(0, |offset| *offset as i64 + 1),
        count: batch.len() as i64,
        root: root(&blocks, batch.len()),
        blocks,
    }
}

/// What a turn says of what it wrote.
#[must_use]
pub fn output_written(partition: &Partition, batch: &Batch) -> OutputWritten {
    OutputWritten {
        topic: partition.topic.to_string(),
        partition: partition.index as i32,
        count: batch.len() as i64,
        root: output_root(batch),
    }
}

/// The hash of a turn: over its Avro body with zeros in the field `hash`.
#[must_use]
pub fn hash(turn: &Turn) -> Digest {
    let mut body = Vec::new();
    let unsealed = Turn {
        hash: Digest::default(),
        ..turn.clone()
    };
    match encode_body(&unsealed, &mut body) {
        Ok(()) => Digest::derive(TURN, &body),
        Err(_) => Digest::default(),
    }
}

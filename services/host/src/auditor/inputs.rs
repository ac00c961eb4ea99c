//! What a turn read: read again, and compared with the digests that the turn holds.

use std::collections::BTreeMap;

use mainstem_kernel::log::{FetchLimit, LogError, Reader};
use mainstem_kernel::replay::read_run;
use mainstem_kernel::turn::{BLOCK, input_blocks};
use mainstem_kernel::{Partition, turn};
use mainstem_schemas::Batch;
use mainstem_schemas::events::RunTaken;

use super::found::Found;
use super::holes;

/// How far the facts are under the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Covered {
    pub next: u64,
    pub count: u64,
}

/// What became of the records that a task read of a topic that is not ours.
pub(super) enum Foreign {
    /// They are there.
    Whole,
    /// The topic has forgotten some; the first record that it keeps, where it is there at all.
    Forgotten(Option<u64>),
    /// They are others.
    Damaged,
}

/// Reads runs and remembers how far each partition is covered.
#[derive(Default)]
pub(super) struct Inputs {
    covered: BTreeMap<Partition, Covered>,
    ends: BTreeMap<Partition, u64>,
    /// First records of topics of others.
    kept: BTreeMap<Partition, Option<u64>>,
}

impl Inputs {
    /// Reads what a task took: the records from `from`, where it stood, up to the run's end. Says whether they are what
    /// the turn says; with `trust`, its digests count.
    pub(super) fn read(
        &mut self,
        reader: &mut dyn Reader,
        taken: &RunTaken,
        from: u64,
        trust: bool,
        into: &mut Batch,
        found: &mut Found,
    ) -> Result<bool, LogError> {
        into.clear();
        let partition = Partition::new(&taken.topic, taken.partition as u32);
        let next = taken.next as u64;
        let end = match self.ends.get(&partition) {
            Some(end) => *end,
            None => reader.range(&partition)?.end,
        };
        self.ends.insert(partition.clone(), end);
        let (mut at, mut sound) = (from, true);
        while at < next {
            let limit = FetchLimit {
                records: (taken.count as usize).saturating_sub(into.len()).max(1),
                bytes: usize::MAX,
            };
            let before = into.len();
            if let Some(hole) = holes::fetch(reader, &partition, at, end, limit, into)? {
                at = hole.next;
                found.hole(&partition, hole);
                sound = false;
                continue;
            }
            match into.offsets().get(before..).and_then(<[u64]>::last) {
                Some(last) => at = last + 1,
                None => break,
            }
        }
        let within = into.offsets().partition_point(|offset| *offset < next);
        into.truncate(within);
        if sound && trust {
            sound = compare(&partition, taken, from, into, found);
        }
        self.cover(partition, taken, into);
        Ok(sound)
    }

    /// Reads what a task took of a topic that is not ours, as far as the topic still holds it. It may forget what it
    /// likes, but one that is read in place from its beginning on alone; what it does hold must be what was read.
    pub(super) fn read_foreign(
        &mut self,
        reader: &mut dyn Reader,
        taken: &RunTaken,
        (trust, in_place): (bool, bool),
        into: &mut Batch,
        found: &mut Found,
    ) -> Result<Foreign, LogError> {
        into.clear();
        let partition = Partition::new(&taken.topic, taken.partition as u32);
        let Some(kept) = self.kept(reader, &partition)? else {
            return Ok(Foreign::Forgotten(None));
        };
        if (taken.first as u64) < kept {
            return Ok(Foreign::Forgotten(Some(kept)));
        }
        match read_run(reader, &partition, taken) {
            Ok(read) => *into = read,
            Err(LogError::OutOfRange { earliest, .. }) => {
                return Ok(Foreign::Forgotten(Some(earliest)));
            }
            Err(error) => return Err(error),
        }
        if (into.len() as i64) < taken.count && !in_place {
            into.clear();
            return Ok(Foreign::Forgotten(Some(kept)));
        }
        let from = taken.first as u64;
        match !trust || compare(&partition, taken, from, into, found) {
            true => Ok(Foreign::Whole),
            false => Ok(Foreign::Damaged),
        }
    }

    /// The first record that a topic of others kept as the audit came to it; nothing where it is gone.
    fn kept(
        &mut self,
        reader: &mut dyn Reader,
        partition: &Partition,
    ) -> Result<Option<u64>, LogError> {
        if let Some(kept) = self.kept.get(partition) {
            return Ok(*kept);
        }
        let kept = match reader.range(partition) {
            Ok(range) => Some(range.start),
            Err(LogError::UnknownTopic(_)) => None,
            Err(error) => return Err(error),
        };
        self.kept.insert(partition.clone(), kept);
        Ok(kept)
    }

    fn cover(&mut self, partition: Partition, taken: &RunTaken, batch: &Batch) {
        let covered = self.covered.entry(partition).or_default();
        let next = taken.next as u64;
        if next > covered.next {
            let known = batch.offsets().partition_point(|at| *at < covered.next);
            covered.count += (batch.len() - known) as u64;
            covered.next = next;
        }
    }

    /// How far a partition is covered.
    pub(super) fn covered(&self, partition: &Partition) -> Covered {
        self.covered.get(partition).copied().unwrap_or_default()
    }
}

/// Compares records with a run's digests, and places what differs to its blocks.
fn compare(
    partition: &Partition,
    taken: &RunTaken,
    from: u64,
    batch: &Batch,
    found: &mut Found,
) -> bool {
    let blocks = input_blocks(batch);
    let offsets = batch.offsets();
    let starts = offsets
        .first()
        .is_none_or(|first| *first == taken.first as u64);
    let count = batch.len() as i64 == taken.count;
    if starts && count && blocks == taken.blocks {
        if turn::root(&blocks, batch.len()) == taken.root {
            return true;
        }
        let why = "the digests of its blocks do not have the root that the turn says";
        found.input(partition, taken.first as u64, taken.next as u64, why.into());
        return false;
    }
    let why = if count {
        "the records are not those that were read".to_owned()
    } else {
        format!(
            "{} records were read there, {} are stored",
            taken.count,
            batch.len()
        )
    };
    let (now, then) = (blocks.chunks(32), taken.blocks.chunks(32));
    let differ = now
        .zip(then)
        .enumerate()
        .filter_map(|(block, (a, b))| (a != b).then_some(block));
    let mut differ: Vec<usize> = differ.collect();
    if !count || !starts {
        // Everything after a missing or an extra record is moved: the first block tells where.
        differ.truncate(1);
    }
    if differ.is_empty() {
        differ.push(batch.len().min(taken.count as usize) / BLOCK);
    }
    for block in differ {
        let offset = |row: usize, or: u64| offsets.get(row).copied().unwrap_or(or);
        let first = offset(block * BLOCK, from.min(taken.next as u64 - 1));
        let next = offset((block + 1) * BLOCK, taken.next as u64);
        found.input(partition, first, next.max(first + 1), why.clone());
    }
    false
}

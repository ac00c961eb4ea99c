//! The derived partitions: what folding gives, matched against what is stored.
//!
//! A partition may have several writers whose commits interleave in any order, each writer's records in its own. So
//! every writer has a queue of what it should have written, and each stored record must be the head of one. Where it is
//! none, the queues wait for the turns that are still to come, within a bound; then the difference is placed.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use mainstem_kernel::log::{LogError, Reader};
use mainstem_kernel::turn::output_root;
use mainstem_kernel::{Partition, TaskId};
use mainstem_schemas::events::OutputWritten;
use mainstem_schemas::{Batch, Catalog};

use super::door::Answers;
use super::found::Found;
use super::lane::Lane;

/// What one turn wrote to one partition.
pub(super) enum Segment {
    /// Recomputed records, from `row` on.
    Records { batch: Batch, row: usize },
    /// Records known by their digest alone; a door's carry their inputs and are recomputed one by one.
    Sealed {
        written: OutputWritten,
        answers: Option<Rc<Answers>>,
        /// The partition of others whose records it came of, where all of these are gone.
        gone: Option<Partition>,
    },
    /// Records known by their digest alone that say in their headers who wrote them, so that they are told from others'
    /// wherever these lie between them; those that were met.
    Signed { written: OutputWritten, met: Batch },
    /// Records of a turn that is damaged: their number is not known.
    Gap,
}

impl Segment {
    /// Bytes that it holds in memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Segment::Records { batch, .. } => batch.bytes(),
            Segment::Signed { met, .. } => 64 + met.bytes(),
            Segment::Sealed { .. } | Segment::Gap => 64,
        }
    }
}

/// What is stored now of records that a digest stands for, or nothing where there are fewer.
pub(super) fn root_of(batch: &Batch, row: usize, count: usize) -> Option<String> {
    if row + count > batch.len() {
        return None;
    }
    let mut part = Batch::new();
    for at in row..row + count {
        part.push_record(&batch.get(at)?);
    }
    Some(output_root(&part).to_string())
}

/// All derived partitions.
#[derive(Default)]
pub(super) struct Outputs {
    lanes: BTreeMap<Partition, Lane>,
}

/// What matching reads and writes.
pub(super) struct Desk<'a> {
    pub reader: &'a mut dyn Reader,
    pub catalog: &'a Catalog,
    pub found: &'a mut Found,
}

impl Outputs {
    /// Expects a partition, whose records up to its present end are judged.
    pub(super) fn open(
        &mut self,
        reader: &mut dyn Reader,
        partition: &Partition,
    ) -> Result<(), LogError> {
        if !self.lanes.contains_key(partition) {
            let lane = Lane::open(reader, partition)?;
            self.lanes.insert(partition.clone(), lane);
        }
        Ok(())
    }

    /// What a task should have written to a partition next.
    pub(super) fn expect(
        &mut self,
        desk: &mut Desk<'_>,
        task: &TaskId,
        partition: &Partition,
        segment: Segment,
    ) -> Result<(), LogError> {
        self.open(desk.reader, partition)?;
        match self.lanes.get_mut(partition) {
            Some(lane) => {
                lane.expect(task, segment);
                lane.advance(desk, false)
            }
            None => Ok(()),
        }
    }

    /// Some records of a task, in any of these partitions, are not known.
    pub(super) fn gap(&mut self, task: &TaskId, topics: &[String]) {
        for (partition, lane) in &mut self.lanes {
            if topics.iter().any(|topic| **topic == *partition.topic) {
                lane.expect(task, Segment::Gap);
            }
        }
    }

    /// Judges all that is left.
    pub(super) fn finish(&mut self, desk: &mut Desk<'_>) -> Result<(), LogError> {
        self.lanes
            .values_mut()
            .try_for_each(|lane| lane.advance(desk, true))
    }

    /// The partitions.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.lanes.keys()
    }
}

/// Segments of one writer, the oldest first.
pub(super) type Queue = VecDeque<Segment>;

//! Snapshots: a task's state after a turn, stored so that a restore need not fold from the beginning.
//!
//! They are no part of the chain and nothing depends on when they are taken: whatever one says follows from the turns
//! up to it. The bytes begin with the turn that they stand after, its hash included; so an event that names another
//! turn, or the bytes of another task, is not taken for the state.

use mainstem_schemas::events::{Event, SnapshotTaken};
use mainstem_schemas::{Batch, Digest};
use serde::{Deserialize, Serialize};

use super::{Blobs, Runner, TaskError};
use crate::known::Resolver;
use crate::log::Partition;
use crate::outbox::Fault;
use crate::task::{Mode, TaskSpec, rank};

/// How often a task's state is stored: whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotEvery {
    /// Records taken.
    pub records: u64,
    /// Turns.
    pub turns: u64,
}

impl Default for SnapshotEvery {
    /// Both bound what a restore reads and folds again. 1,000,000 records are some seconds of a data plane. A task that
    /// takes few records at a time is bounded by its turns, each of which is a record to read, and a read for each of its
    /// runs: 4,096 are an hour of a tick a second, so that such a task stores its state about once an hour.
    fn default() -> Self {
        SnapshotEvery {
            records: 1_000_000,
            turns: 4_096,
        }
    }
}

/// Ticks after which a task stores its state that read a topic of others in place: what it would have to read again
/// after a crash is then no older than an hour, and a topic keeps its records for a day at least.
const TICKS_IN_PLACE: u64 = 3_600;

/// The last snapshot: the turn that it stands after, and what was taken since.
#[derive(Clone, Copy, Default)]
pub(super) struct Last {
    turn: i64,
    records: u64,
    /// Ticks since the first record that was read in place.
    in_place: Option<u64>,
}

impl Last {
    /// Counts a run.
    pub fn count(&mut self, spec: &TaskSpec, rank: usize, batch: &Batch) {
        self.records += batch.len() as u64;
        if spec.mode(rank) == Some(Mode::InPlace) {
            self.in_place.get_or_insert(0);
        } else if rank == rank::CLOCK
            && let Some(ticks) = &mut self.in_place
        {
            *ticks += batch.len() as u64;
        }
    }
}

/// What the bytes of a snapshot begin with.
#[derive(Serialize, Deserialize)]
struct Head {
    task: String,
    machine_version: u32,
    turn: i64,
    hash: Digest,
}

impl Runner {
    /// The bytes of a snapshot of the task as it stands: its last turn, then the state.
    ///
    /// # Errors
    /// Where a state cannot be written, which is a defect.
    pub fn snapshot(&self) -> Result<Vec<u8>, Fault> {
        let head = Head {
            task: self.spec.id.0.clone(),
            machine_version: self.task.version(),
            turn: self.last.0,
            hash: self.last.1,
        };
        let mut bytes = postcard::to_stdvec(&head)
            .map_err(|error| Fault(format!("the snapshot cannot be written: {error}")))?;
        bytes.extend(self.task.snapshot()?);
        Ok(bytes)
    }

    /// Takes the state after a turn, and that turn's hash, from a snapshot's bytes. The positions are the turn's:
    /// [`Runner::stand_after`] takes them.
    ///
    /// # Errors
    /// [`TaskError::Fault`] where they are no snapshot of this task and version after that turn; the task is then as
    /// before. [`TaskError::Unresolved`] where what the state needs cannot be had.
    pub fn resume(
        &mut self,
        bytes: &[u8],
        turn: i64,
        resolver: &dyn Resolver,
    ) -> Result<(), TaskError> {
        let (head, state) = postcard::take_from_bytes::<Head>(bytes)
            .map_err(|error| self.fault(Fault(format!("these bytes are no snapshot: {error}"))))?;
        let ours = (self.spec.id.0.as_str(), self.task.version(), turn);
        if (head.task.as_str(), head.machine_version, head.turn) != ours {
            let why = format!(
                "these bytes are the state of {} in version {} after turn {}",
                head.task, head.machine_version, head.turn
            );
            return Err(self.fault(Fault(why)));
        }
        self.task
            .restore(state)
            .map_err(|fault| self.fault(fault))?;
        self.last = (head.turn, head.hash);
        self.snapshotted();
        let needs = self.task.needs(&self.known, None);
        self.known
            .learn(&needs, resolver)
            .map_err(|why| self.unresolved(why))
    }

    /// Stores the state where it is due, and says where.
    pub(super) fn take_snapshot(
        &mut self,
        blobs: &dyn Blobs,
    ) -> Result<Option<(Partition, Batch)>, Fault> {
        let turns = self.last.0.abs_diff(self.snapshot.turn);
        let due = self.snapshot.records >= self.every.records || turns >= self.every.turns;
        if !due && self.snapshot.in_place < Some(TICKS_IN_PLACE) {
            return Ok(None);
        }
        let state = blobs.put(&self.snapshot()?);
        let state = state.map_err(|error| Fault(error.to_string()))?;
        self.snapshotted();
        let event = SnapshotTaken {
            task: self.spec.id.0.clone(),
            turn: self.last.0,
            machine_version: self.task.version() as i32,
            state,
        };
        self.chain_record("snapshots", &Event::SnapshotTaken(event))
            .map(Some)
    }

    fn snapshotted(&mut self) {
        self.snapshot = Last {
            turn: self.last.0,
            ..Last::default()
        };
    }
}

//! One task's turns: fetch, resolve, fold, seal. Nothing is committed here; the worker does that.

pub(crate) mod foreign;
mod snapshot;
mod ticks;

use std::sync::Arc;

use mainstem_schemas::events::{Event, InputPosition, Turn};
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::{Batch, Digest, Envelope, EventId};

use crate::fetched::Fetched;
use crate::known::{Known, Resolver};
use crate::log::{Commit, FetchLimit, LogError, Partition, Reader};
use crate::machine::Run;
use crate::outbox::{Fault, Outbox};
use crate::task::{Task, TaskSpec, rank};
use crate::turn;

pub use snapshot::SnapshotEvery;

/// Bytes kept by digest: models, data sets, snapshots.
pub trait Blobs: Send + Sync {
    /// Stores bytes; storing them again changes nothing.
    ///
    /// # Errors
    /// [`BlobError::Store`].
    fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError>;

    /// The bytes of a digest, checked.
    ///
    /// # Errors
    /// [`BlobError`].
    fn get(&self, digest: &Digest) -> Result<Arc<[u8]>, BlobError>;

    /// Whether blobs can be written and read: what a service asks before it starts.
    ///
    /// # Errors
    /// [`BlobError::Store`].
    fn check(&self) -> Result<(), BlobError>;
}

/// Why a blob cannot be had or stored, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The store answers, and does not have it: where it would lie.
    #[error("{0} is not there; restore it from a copy")]
    Missing(String),
    /// Other bytes lie in its place: where.
    #[error("{0} does not hold what its name says; restore it from a copy")]
    Damaged(String),
    /// The store does not do what it is asked, so that nothing is known of the blob: why, and what to do.
    #[error("{0}")]
    Store(String),
}

/// Why a task stands still. Nothing of its turn was committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// A defect, or a missing registration.
    #[error("{task} stopped: {fault}")]
    Fault {
        /// The task.
        task: String,
        /// What is wrong.
        fault: Fault,
    },
    /// A model or a profile cannot be had.
    #[error("{task} waits: {why}")]
    Unresolved {
        /// The task.
        task: String,
        /// Why.
        why: String,
    },
    /// The log refuses.
    #[error("{task}: {error}")]
    Log {
        /// The task.
        task: String,
        /// Its error.
        error: LogError,
    },
}

/// Schemas and definitions are taken whole, for every other record may refer to any of them: some hundreds of small
/// records in the life of a log.
const WHOLE: FetchLimit = FetchLimit {
    records: usize::MAX,
    bytes: 256 << 20,
};

/// Puts questions to a task, whose answers gather in the outbox.
pub type Ask<'a> = dyn FnMut(&dyn Task, &Known, &mut Outbox) + 'a;

/// How much a turn took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Took {
    Nothing,
    Little,
    /// About as much as it may: there may be more.
    Much,
}

/// A task with its place in its inputs.
pub struct Runner {
    /// What the task is.
    pub spec: TaskSpec,
    pub(crate) task: Box<dyn Task>,
    pub(crate) known: Known,
    partitions: Vec<Partition>,
    positions: Vec<u64>,
    last: (i64, Digest),
    batches: Vec<Arc<Fetched>>,
    /// Ticks that were folded since the last turn and brought about nothing.
    idle: Batch,
    outbox: Outbox,
    every: SnapshotEvery,
    snapshot: snapshot::Last,
    /// Whether foreign topics were looked at.
    looked: bool,
}

impl Runner {
    /// A task at the beginning of its inputs.
    #[must_use]
    pub fn new(spec: TaskSpec, task: Box<dyn Task>) -> Self {
        let partitions = spec.partitions();
        Runner {
            positions: vec![0; partitions.len()],
            batches: vec![Arc::default(); partitions.len()],
            idle: Batch::new(),
            outbox: Outbox::new(&spec.outputs),
            known: Known::default(),
            last: (0, Digest::default()),
            every: SnapshotEvery::default(),
            snapshot: snapshot::Last::default(),
            looked: false,
            partitions,
            task,
            spec,
        }
    }

    /// Stores its state that often.
    #[must_use]
    pub fn snapshot_every(mut self, every: SnapshotEvery) -> Self {
        self.every = every;
        self
    }

    /// The task.
    #[must_use]
    pub fn task(&self) -> &dyn Task {
        self.task.as_ref()
    }

    /// Number and hash of the last turn.
    #[must_use]
    pub fn last(&self) -> (i64, Digest) {
        self.last
    }

    /// Input partitions, in rank order.
    #[must_use]
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Where the task stands on each input, in rank order.
    #[must_use]
    pub fn positions(&self) -> &[u64] {
        &self.positions
    }

    /// Takes what waits in the inputs, at most one run of each, and says what to commit; nothing where nothing
    /// waits. The state has then moved: the commit is sent until it is written, or the runner is dropped.
    ///
    /// Data inputs are fetched before the broadcast ones, which therefore hold at least what the data's writers saw
    /// (schemas before their first use, the step that covers a row); they are folded in rank order.
    ///
    /// # Errors
    /// [`TaskError`]; the runner must then be dropped and restored, for a part of the turn may be folded.
    pub fn turn(
        &mut self,
        reader: &mut dyn Reader,
        resolver: &dyn Resolver,
        blobs: &dyn Blobs,
        limit: FetchLimit,
    ) -> Result<Option<Commit>, TaskError> {
        self.fetch(reader, limit)?;
        if self.has_nothing() {
            return self.stuck(reader).map(|()| None);
        }
        if self.ticks_come_first() {
            return self.seal_ticks(blobs).map(Some);
        }
        self.hold_data_back(limit);
        let before = self.before_idle_ticks();
        self.fold(resolver)?;
        if self.keep_idle_ticks(before) {
            return Ok(None);
        }
        self.seal(blobs)
            .map(Some)
            .map_err(|fault| self.fault(fault))
    }

    /// A turn that answers questions too: what waits in the inputs is folded, then `ask` puts its questions to the task,
    /// and the answers are outputs of the turn. A task that is far behind does not ask yet. Nothing to commit where
    /// nothing waits and nothing was answered.
    ///
    /// # Errors
    /// As [`Runner::turn`].
    pub fn turn_with(
        &mut self,
        reader: &mut dyn Reader,
        resolver: &dyn Resolver,
        blobs: &dyn Blobs,
        limit: FetchLimit,
        ask: &mut Ask<'_>,
    ) -> Result<Option<Commit>, TaskError> {
        self.fetch(reader, limit)?;
        let behind =
            |batch: &Arc<Fetched>| batch.len() >= limit.records || batch.bytes() >= limit.bytes;
        let behind = self.batches[rank::CLOCK..].iter().any(behind);
        if self.ticks_come_first() {
            return self.seal_ticks(blobs).map(Some);
        }
        self.hold_data_back(limit);
        self.fold(resolver)?;
        if !behind {
            ask(self.task.as_ref(), &self.known, &mut self.outbox);
        }
        if self.has_nothing() && self.outbox.is_empty() {
            return Ok(None);
        }
        self.seal(blobs)
            .map(Some)
            .map_err(|fault| self.fault(fault))
    }

    /// Asks questions of the state as it is, and says what the task would write as its answers: an audit asks again what
    /// a turn answered, once it has folded that turn.
    ///
    /// # Errors
    /// [`TaskError::Fault`] where an answer cannot be written.
    pub fn ask(&mut self, ask: &mut Ask<'_>) -> Result<Vec<(Partition, Batch)>, TaskError> {
        ask(self.task.as_ref(), &self.known, &mut self.outbox);
        self.take_outputs()
    }

    fn fetch(&mut self, reader: &mut dyn Reader, limit: FetchLimit) -> Result<(), TaskError> {
        self.look_at_foreign(reader)
            .map_err(|error| self.log_error(error))?;
        let full = self.task.is_full();
        for rank in (0..self.partitions.len()).rev() {
            Fetched::emptied(&mut self.batches[rank]);
            if full && rank >= rank::FIRST {
                continue;
            }
            let limit = if rank < rank::CLOCK { WHOLE } else { limit };
            self.fetch_input(reader, rank, limit)
                .map_err(|error| self.log_error(error))?;
        }
        Ok(())
    }

    /// Fetches an input; one that all tasks have to its end or to the limit, for a log may hand out less than there is,
    /// and data must not be folded before what their writer saw.
    fn fetch_input(
        &mut self,
        reader: &mut dyn Reader,
        rank: usize,
        limit: FetchLimit,
    ) -> Result<(), LogError> {
        let mut from = self.next(rank);
        if let Some(earliest) = self.fetch_some(reader, rank, from, limit)? {
            from = foreign::from(&self.partitions[rank], from, earliest)?;
            self.fetch_some(reader, rank, from, limit)?;
        }
        if rank <= rank::CLOCK {
            self.fetch_rest(reader, rank, limit)?;
        }
        Ok(())
    }

    /// Fetches what other tasks may have fetched just so; a foreign topic that no longer reaches so far says where it
    /// begins.
    fn fetch_some(
        &mut self,
        reader: &mut dyn Reader,
        rank: usize,
        from: u64,
        limit: FetchLimit,
    ) -> Result<Option<u64>, LogError> {
        let (partition, batch) = (&self.partitions[rank], &mut self.batches[rank]);
        match reader.fetch_shared(partition, from, limit, batch) {
            Err(LogError::OutOfRange { earliest, .. }) if self.spec.is_foreign(rank) => {
                Ok(Some(earliest))
            }
            fetched => fetched.map(|()| None),
        }
    }

    fn fetch_rest(
        &mut self,
        reader: &mut dyn Reader,
        rank: usize,
        limit: FetchLimit,
    ) -> Result<(), LogError> {
        let mut rest = Batch::new();
        loop {
            let batch = &mut self.batches[rank];
            let Some(last) = batch.offsets().last() else {
                return Ok(());
            };
            if batch.len() >= limit.records || batch.bytes() >= limit.bytes {
                return Ok(());
            }
            let left = FetchLimit {
                records: limit.records - batch.len(),
                bytes: limit.bytes - batch.bytes(),
            };
            rest.clear();
            reader.fetch(&self.partitions[rank], last + 1, left, &mut rest)?;
            if rest.is_empty() {
                return Ok(());
            }
            Fetched::extend(batch, &rest);
        }
    }

    /// How much the last turn took of the room's own inputs.
    pub(crate) fn took(&self, limit: FetchLimit) -> Took {
        let much = |batch: &Arc<Fetched>| {
            batch.len() >= limit.records / 2 || batch.bytes() >= limit.bytes / 2
        };
        let took = |batch: &Arc<Fetched>| match batch.is_empty() {
            true => Took::Nothing,
            false if much(batch) => Took::Much,
            false => Took::Little,
        };
        let own = self.batches[rank::FIRST..].iter();
        own.map(took).max().unwrap_or(Took::Nothing)
    }

    /// Where the task stands on its lead partition, if its last turn took some of it. However much that was: a log may
    /// hand out less than there is.
    pub(crate) fn leads_on(&self) -> Option<(&Partition, u64)> {
        let lead = self.spec.lead.as_ref()?;
        let rank = self.partitions.iter().position(|input| input == lead)?;
        (!self.batches[rank].is_empty()).then(|| (lead, self.positions[rank]))
    }

    fn has_nothing(&self) -> bool {
        self.batches.iter().all(|batch| batch.is_empty())
    }

    /// A task that holds all it can until a tick, and a tick that comes only once the task has read all: nothing would
    /// ever move again.
    fn stuck(&mut self, reader: &mut dyn Reader) -> Result<(), TaskError> {
        if !self.task.is_full() || !self.task.is_paced() {
            return Ok(());
        }
        let one = FetchLimit {
            records: 1,
            bytes: usize::MAX,
        };
        let mut batch = Batch::new();
        for rank in rank::FIRST..self.partitions.len() {
            reader
                .fetch(
                    &self.partitions[rank],
                    self.positions[rank],
                    one,
                    &mut batch,
                )
                .map_err(|error| self.log_error(error))?;
        }
        match batch.is_empty() {
            true => Ok(()),
            false => Err(self.fault(Fault(TOO_LONG_A_STEP.into()))),
        }
    }

    /// A clock that was cut by the limit is read on before any data: a later step may cover their rows.
    fn hold_data_back(&mut self, limit: FetchLimit) {
        let clock = &self.batches[rank::CLOCK];
        if clock.len() >= limit.records || clock.bytes() >= limit.bytes {
            for batch in &mut self.batches[rank::FIRST..] {
                Fetched::emptied(batch);
            }
        }
    }

    fn fold(&mut self, resolver: &dyn Resolver) -> Result<(), TaskError> {
        for (input, batch) in self.batches.iter().enumerate() {
            if batch.is_empty() {
                continue;
            }
            let run = Run {
                input,
                batch,
                memo: Some(batch.memo()),
            };
            fold_run(
                self.task.as_mut(),
                &mut self.known,
                resolver,
                &run,
                &mut self.outbox,
            )
            .map_err(|why| TaskError::Unresolved {
                task: self.spec.id.0.clone(),
                why,
            })?;
        }
        Ok(())
    }

    fn seal(&mut self, blobs: &dyn Blobs) -> Result<Commit, Fault> {
        let outputs = self.outbox.take()?;
        self.take_idle_ticks();
        let mut runs = Vec::new();
        for (rank, batch) in self.batches.iter().enumerate() {
            if let Some(last) = batch.offsets().last() {
                self.positions[rank] = last + 1;
                self.snapshot.count(&self.spec, rank, batch);
                runs.push(batch.taken(&self.partitions[rank]).clone());
            }
        }
        let mut turn = Turn {
            task: self.spec.id.0.clone(),
            number: self.last.0 + 1,
            machine_version: self.task.version() as i32,
            definition: self.task.definition(),
            runs,
            positions: self.input_positions(),
            outputs: outputs
                .iter()
                .map(|(partition, batch)| turn::output_written(partition, batch))
                .collect(),
            outstanding: self.task.outstanding().len() as i32,
            previous: self.last.1,
            hash: Digest::default(),
        };
        turn.hash = turn::hash(&turn);
        self.last = (turn.number, turn.hash);
        let mut outputs = outputs;
        outputs.push(self.chain_record("turns", &Event::Turn(turn.clone()))?);
        outputs.extend(self.take_snapshot(blobs)?);
        Ok(Commit {
            task: self.spec.id.clone(),
            turn: Some(turn),
            outputs,
        })
    }

    fn input_positions(&self) -> Vec<InputPosition> {
        let position = |(partition, next): (&Partition, &u64)| InputPosition {
            topic: partition.topic.to_string(),
            partition: partition.index as i32,
            next: *next as i64,
        };
        self.partitions
            .iter()
            .zip(&self.positions)
            .map(position)
            .collect()
    }

    /// A record of the chain: keyed by the task, on the control topics' only partition.
    fn chain_record(&self, topic: &str, event: &Event) -> Result<(Partition, Batch), Fault> {
        let topic = mainstem_schemas::topics::fixed(&self.spec.project, topic);
        let key = self.spec.id.0.as_bytes();
        let mut value = Vec::new();
        self.task.encode(event, &mut value)?;
        let mut batch = Batch::new();
        let number = self.last.0.to_le_bytes();
        let id = EventId::derived(&self.spec.project, &topic, &Digest::default(), key, &number);
        Envelope {
            id,
            kind: event.name().into(),
            source: self.spec.id.0.clone(),
            ..Envelope::default()
        }
        .push(&mut batch, Some(key), &value);
        Ok((
            Partition {
                index: partition_of(key, 1),
                topic: topic.into(),
            },
            batch,
        ))
    }

    /// Takes the task's place after a turn that was folded again.
    pub fn stand_after(&mut self, turn: &Turn) {
        for (partition, position) in self.partitions.iter().zip(&mut self.positions) {
            let same = |at: &&InputPosition| {
                at.partition == partition.index as i32 && at.topic == partition.topic.as_ref()
            };
            if let Some(at) = turn.positions.iter().find(same) {
                *position = at.next as u64;
            }
        }
        self.last = (turn.number, turn.hash);
    }

    /// Rank of an input partition.
    #[must_use]
    pub fn rank_of(&self, topic: &str, index: i32) -> Option<usize> {
        self.partitions
            .iter()
            .position(|p| p.topic.as_ref() == topic && p.index as i32 == index)
    }

    /// Folds a run again; the task then stands at `next` of that input.
    ///
    /// # Errors
    /// [`TaskError::Unresolved`].
    pub fn refold(
        &mut self,
        run: &Run<'_>,
        resolver: &dyn Resolver,
        next: u64,
    ) -> Result<(), TaskError> {
        fold_run(
            self.task.as_mut(),
            &mut self.known,
            resolver,
            run,
            &mut self.outbox,
        )
        .map_err(|why| self.unresolved(why))?;
        self.positions[run.input] = next;
        self.snapshot.count(&self.spec, run.input, run.batch);
        Ok(())
    }

    /// What the runs since the last call wrote.
    ///
    /// # Errors
    /// The first fault of a fold.
    pub fn take_outputs(&mut self) -> Result<Vec<(Partition, Batch)>, TaskError> {
        self.outbox.take().map_err(|fault| self.fault(fault))
    }

    pub(crate) fn fault(&self, fault: Fault) -> TaskError {
        TaskError::Fault {
            task: self.spec.id.0.clone(),
            fault,
        }
    }

    pub(crate) fn unresolved(&self, why: String) -> TaskError {
        TaskError::Unresolved {
            task: self.spec.id.0.clone(),
            why,
        }
    }

    pub(crate) fn log_error(&self, error: LogError) -> TaskError {
        TaskError::Log {
            task: self.spec.id.0.clone(),
            error,
        }
    }
}

const TOO_LONG_A_STEP: &str = "a step of the paced run gives it more records to hold until the tick than it may; stop the publisher and the services, and begin anew in an empty directory with a shorter --pace";

/// Beyond this many, what the state no longer needs is forgotten: retired models are large.
const MAX_KNOWN: usize = 16;

fn fold_run(
    task: &mut dyn Task,
    known: &mut Known,
    resolver: &dyn Resolver,
    run: &Run<'_>,
    out: &mut Outbox,
) -> Result<(), String> {
    let needs = task.needs(known, Some(run));
    known.learn(&needs, resolver)?;
    task.fold(known, run, out);
    if known.len() > MAX_KNOWN {
        let mut keep = task.needs(known, None);
        keep.extend(needs);
        known.keep(&keep);
    }
    Ok(())
}

//! Restoring tasks: each from the last snapshot of its machine's version, and by folding the turns after it again. The
//! outputs, which are in the log, are dropped.
//!
//! One pass over the topic `turns` serves all of the tasks, from where the first of them needs it on; a turn is folded
//! as it is read. A snapshot is no more than a short cut: one that is lost or damaged, or that is not of the turn that it
//! is said to be of, is passed over and told, and the one before it serves; where the store does not answer, the task waits. A chain that does not hold together, or inputs
//! that are not what was folded, stop the task: its state would be another.

use std::collections::BTreeMap;
use std::ops::Range;

use mainstem_schemas::events::{Event, SnapshotTaken, Turn};
use mainstem_schemas::{Batch, Catalog, RecordRef, topics};

use crate::known::Resolver;
use crate::log::{FetchLimit, Log, LogError, Partition, Reader};
use crate::observer::Observer;
use crate::outbox::Fault;
use crate::replay::{InputDamage, refold_turn};
use crate::runner::{BlobError, Blobs, Runner, TaskError};
use crate::task::TaskId;
use crate::turn;
use crate::worker::{read_catalog, read_events};

/// Records of `turns` that the first look back takes; every further one takes twice as many, so that some three
/// times what is needed is looked through at most.
const LOOK_BACK: u64 = 64;

/// What a restore reads and computes with.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The log.
    pub log: &'a dyn Log,
    /// Looks models and profiles up.
    pub resolver: &'a dyn Resolver,
    /// Snapshots.
    pub blobs: &'a dyn Blobs,
    /// Is told how far it is.
    pub observer: &'a dyn Observer,
}

/// Tasks after a restore.
#[derive(Default)]
pub struct Restored {
    /// Those that stand after their last turns.
    pub runners: Vec<Runner>,
    /// Those that could not be restored, and why.
    pub stopped: Vec<(TaskId, TaskError)>,
    /// Snapshots that were of no use, and why.
    pub passed_over: Vec<String>,
}

/// Restores tasks of one project, which stand at the beginning of their inputs.
///
/// # Errors
/// The log's, where the chain cannot be read at all.
pub fn restore(
    runners: Vec<Runner>,
    sources: Sources<'_>,
    reader: &mut dyn Reader,
) -> Result<Restored, LogError> {
    let mut tasks: Vec<Restoring> = runners.into_iter().map(Restoring::new).collect();
    run(&mut tasks, sources, reader).inspect_err(|_| {
        let ids = tasks.iter().map(|task| &task.runner.spec.id);
        ids.for_each(|id| sources.observer.not_restored(id));
    })?;
    let mut restored = Restored::default();
    for task in tasks {
        restored.passed_over.extend_from_slice(&task.passed_over);
        let id = task.runner.spec.id.clone();
        match task.finish(sources.observer) {
            Ok(runner) => restored.runners.push(runner),
            Err(error) => restored.stopped.push((id, error)),
        }
    }
    Ok(restored)
}

/// Restores one task; returns the snapshots that were of no use too.
///
/// # Errors
/// Why it cannot be restored.
pub fn restore_one(
    runner: Runner,
    sources: Sources<'_>,
    reader: &mut dyn Reader,
) -> Result<(Runner, Vec<String>), TaskError> {
    let mut task = Restoring::new(runner);
    let done = run(std::slice::from_mut(&mut task), sources, reader);
    done.map_err(|error| {
        sources.observer.not_restored(&task.runner.spec.id);
        task.runner.log_error(error)
    })?;
    let passed_over = std::mem::take(&mut task.passed_over);
    Ok((task.finish(sources.observer)?, passed_over))
}

fn run(
    tasks: &mut [Restoring],
    sources: Sources<'_>,
    reader: &mut dyn Reader,
) -> Result<(), LogError> {
    let ids: Vec<&TaskId> = tasks.iter().map(|task| &task.runner.spec.id).collect();
    ids.iter().for_each(|id| sources.observer.restoring(id));
    let turns = sources.log.last_turns(&ids)?;
    let begun = tasks.iter_mut().zip(turns);
    let mut begun: Tasks<'_> = begun
        .filter_map(|(task, turn)| {
            task.until = turn?.number;
            Some((task.runner.spec.id.0.clone(), task))
        })
        .collect();
    let first = begun.values().next();
    let Some(project) = first.map(|task| task.runner.spec.project.clone()) else {
        return Ok(());
    };
    let catalog = read_catalog(reader, &project)?;
    let snapshots = snapshots(&begun, reader, &catalog, &project)?;
    for (id, task) in &mut begun {
        task.resume(snapshots.get(id).map_or(&[], Vec::as_slice), sources);
        let observer = sources.observer;
        observer.resumed(&task.runner.spec.id, task.from, task.until);
    }
    fold_again(&mut begun, sources, reader, &catalog, &project)
}

/// A task on its way to its last turn.
struct Restoring {
    runner: Runner,
    /// The snapshot's turn; 0 is the beginning.
    from: i64,
    /// The last turn, as of the beginning of the pass.
    until: i64,
    /// Whether the task stands somewhere: a state alone has no positions yet.
    stands: bool,
    error: Option<TaskError>,
    passed_over: Vec<String>,
}

/// Tasks that have turns.
type Tasks<'t> = BTreeMap<String, &'t mut Restoring>;

impl Restoring {
    fn new(runner: Runner) -> Self {
        Restoring {
            runner,
            from: 0,
            until: 0,
            stands: true,
            error: None,
            passed_over: Vec::new(),
        }
    }

    /// Takes the state of the last snapshot that serves.
    fn resume(&mut self, snapshots: &[SnapshotTaken], sources: Sources<'_>) {
        for taken in snapshots.iter().rev() {
            match self.try_resume(taken, sources) {
                Ok(()) => {
                    (self.from, self.stands) = (taken.turn, false);
                    return;
                }
                Err(TaskError::Fault { fault, .. }) => self.passed_over.push(format!(
                    "the snapshot {} of {} after turn {} is passed over: {fault}; run `mainstem audit verify`",
                    taken.state, taken.task, taken.turn
                )),
                Err(error) => {
                    self.error = Some(error);
                    return;
                }
            }
        }
    }

    fn try_resume(&mut self, taken: &SnapshotTaken, sources: Sources<'_>) -> Result<(), TaskError> {
        let bytes = match sources.blobs.get(&taken.state) {
            Ok(bytes) => bytes,
            // It may be whole: to fold everything again would take longer than to wait.
            Err(BlobError::Store(why)) => return Err(self.runner.unresolved(why)),
            Err(error) => return Err(self.runner.fault(Fault(error.to_string()))),
        };
        self.runner.resume(&bytes, taken.turn, sources.resolver)
    }

    /// Takes the turn's place, or folds it again.
    fn take(&mut self, turn: &Turn, sources: Sources<'_>, reader: &mut dyn Reader) {
        if self.error.is_none() && turn.number >= self.from {
            self.error = self.try_take(turn, sources, reader).err();
        }
    }

    fn try_take(
        &mut self,
        turn: &Turn,
        sources: Sources<'_>,
        reader: &mut dyn Reader,
    ) -> Result<(), TaskError> {
        let last = self.runner.last();
        if turn::hash(turn) != turn.hash {
            return Err(self.broken(turn, "does not have the hash that it says"));
        }
        if !self.stands {
            if last != (turn.number, turn.hash) {
                return Err(self.broken(turn, "is not the one that its snapshot follows"));
            }
            self.runner.stand_after(turn);
            self.stands = true;
            return Ok(());
        }
        if (turn.number, turn.previous) != (last.0 + 1, last.1) {
            return Err(self.broken(turn, "does not follow the one before it"));
        }
        let refolded = refold_turn(&mut self.runner, turn, reader, sources.resolver)?;
        match refolded.damage.iter().find_map(changed) {
            None => {
                sources.observer.refolded(&self.runner.spec.id, turn);
                Ok(())
            }
            Some(place) => Err(self.broken(turn, &format!("read other records of {place}"))),
        }
    }

    fn broken(&self, turn: &Turn, why: &str) -> TaskError {
        let why = format!(
            "turn {} {why}; run `mainstem audit verify`, and restore what is damaged from a copy",
            turn.number
        );
        self.runner.fault(Fault(why))
    }

    fn finish(self, observer: &dyn Observer) -> Result<Runner, TaskError> {
        let lost = || {
            let why = format!("turn {} is not in the topic `turns`", self.from);
            self.runner.fault(Fault(why))
        };
        match self.error.or_else(|| (!self.stands).then(lost)) {
            None => {
                observer.restored(&self.runner.spec.id);
                Ok(self.runner)
            }
            Some(error) => {
                observer.not_restored(&self.runner.spec.id);
                Err(error)
            }
        }
    }
}

/// The place of input records that are not those that were folded. An input that the definition took away is none.
fn changed(damage: &InputDamage) -> Option<String> {
    match damage {
        InputDamage::Block { partition, offset } => {
            Some(format!("{partition} from offset {offset} on"))
        }
        InputDamage::Count { partition, .. } => Some(partition.to_string()),
        InputDamage::Unknown(_) => None,
    }
}

/// The snapshots of the machines' own versions, in order.
fn snapshots(
    tasks: &Tasks<'_>,
    reader: &mut dyn Reader,
    catalog: &Catalog,
    project: &str,
) -> Result<BTreeMap<String, Vec<SnapshotTaken>>, LogError> {
    let mut snapshots: BTreeMap<String, Vec<SnapshotTaken>> = BTreeMap::new();
    let topic = topics::fixed(project, "snapshots");
    read_events(reader, catalog, &topic, |event| {
        if let Event::SnapshotTaken(taken) = event
            && let Some(task) = tasks.get(&taken.task)
            && task.runner.task().version() as i32 == taken.machine_version
        {
            snapshots.entry(taken.task.clone()).or_default().push(taken);
        }
    })?;
    Ok(snapshots)
}

/// Hands every task its turns, in order.
fn fold_again(
    tasks: &mut Tasks<'_>,
    sources: Sources<'_>,
    reader: &mut dyn Reader,
    catalog: &Catalog,
    project: &str,
) -> Result<(), LogError> {
    let partition = Partition::new(&topics::fixed(project, "turns"), 0);
    let mut from = beginning(tasks, reader, catalog, &partition)?;
    let mut batch = Batch::new();
    while let Some(next) = fetch(reader, &partition, from..u64::MAX, &mut batch)? {
        from = next;
        for record in batch.iter() {
            if let Some(task) = name(&record).and_then(|id| tasks.get_mut(id)) {
                let turn = turn_of(catalog, &partition, &record)?;
                task.take(&turn, sources, reader);
            }
        }
    }
    Ok(())
}

/// The offset of `turns` from which on all is found that the tasks need: looked for from the end.
fn beginning(
    tasks: &Tasks<'_>,
    reader: &mut dyn Reader,
    catalog: &Catalog,
    partition: &Partition,
) -> Result<u64, LogError> {
    let range = reader.range(partition)?;
    let wanted = |(id, task): (&'_ String, &&mut Restoring)| (id.clone(), task.from.max(1));
    let mut missing: BTreeMap<String, i64> = tasks.iter().map(wanted).collect();
    let (mut first, mut until, mut step) = (range.end, range.end, LOOK_BACK);
    let mut batch = Batch::new();
    while until > range.start && !missing.is_empty() {
        let start = until.saturating_sub(step).max(range.start);
        let (mut at, mut found) = (start, BTreeMap::new());
        while at < until
            && let Some(next) = fetch(reader, partition, at..until, &mut batch)?
        {
            at = next;
            let mut open = missing.clone();
            for record in batch.iter().rev().filter(|record| record.offset < until) {
                if let Some(id) = name(&record)
                    && let Some(wanted) = open.get(id)
                    && turn_of(catalog, partition, &record)?.number <= *wanted
                {
                    open.remove(id);
                    found.insert(id.to_owned(), record.offset);
                }
            }
        }
        missing.retain(|id, _| !found.contains_key(id));
        first = found.into_values().fold(first, u64::min);
        (until, step) = (start, step.saturating_mul(2));
    }
    Ok(if missing.is_empty() {
        first
    } else {
        range.start
    })
}

/// Reads records of a range, and perhaps some beyond it; says where to go on, or that there are none.
fn fetch(
    reader: &mut dyn Reader,
    partition: &Partition,
    range: Range<u64>,
    batch: &mut Batch,
) -> Result<Option<u64>, LogError> {
    let mut limit = FetchLimit::default();
    let length = usize::try_from(range.end - range.start);
    limit.records = limit.records.min(length.unwrap_or(usize::MAX));
    batch.clear();
    reader.fetch(partition, range.start, limit, batch)?;
    Ok(batch.offsets().last().map(|last| last + 1))
}

/// The task of a record of the chain: its key.
fn name<'a>(record: &RecordRef<'a>) -> Option<&'a str> {
    std::str::from_utf8(record.key?).ok()
}

fn turn_of(
    catalog: &Catalog,
    partition: &Partition,
    record: &RecordRef<'_>,
) -> Result<Turn, LogError> {
    let damaged = |why: &dyn std::fmt::Display| {
        LogError::Damaged(format!("{partition} at offset {}: {why}", record.offset))
    };
    match Event::decode(catalog, record.value.unwrap_or_default()) {
        Ok(Event::Turn(turn)) => Ok(turn),
        Ok(other) => Err(damaged(&other.name())),
        Err(error) => Err(damaged(&error)),
    }
}

//! The memory log: for simulation and for tests of folds. Its time of writing is its number of appends.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstem_schemas::Batch;
use mainstem_schemas::events::Turn;

use crate::log::{
    Assignment, Commit, CommitError, FetchLimit, Log, LogError, Partition, Reader, TopicSpec,
    Worker, Writer,
};
use crate::task::{TaskId, TaskSpec};

/// Largest record: as brokers have it by default.
const MAX_RECORD: usize = 1 << 20;

/// Steps of a worker that a commit takes where it is behind.
const COMMIT_STEPS: usize = 16;

/// A log in memory, shared by its clones.
#[derive(Clone, Default)]
pub struct MemoryLog {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<String, Vec<Kept>>,
    writers: BTreeMap<String, u64>,
    workers: BTreeMap<String, u64>,
    owners: BTreeMap<TaskId, Owner>,
    /// How often each slot was taken.
    slots: BTreeMap<TaskId, u64>,
    turns: BTreeMap<TaskId, Turn>,
    commits: u64,
}

/// Who owns a task.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    /// The worker of that name.
    Worker(String),
    /// Whoever took the slot that time.
    Slot(u64),
}

#[derive(Default)]
struct Kept {
    records: Batch,
    first: u64,
}

impl Kept {
    fn next(&self) -> u64 {
        self.records
            .offsets()
            .last()
            .map_or(self.first, |last| last + 1)
    }
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked in a test must not hide what it found behind a second panic.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a change and rings whoever waits.
    fn commit(
        &self,
        change: impl FnOnce(&mut State) -> Result<(), CommitError>,
    ) -> Result<(), CommitError> {
        let mut state = self.lock();
        change(&mut state)?;
        state.commits += 1;
        self.shared.rung.notify_all();
        Ok(())
    }
}

impl State {
    fn kept(&mut self, partition: &Partition) -> Result<&mut Kept, LogError> {
        let topic = self.topics.get_mut(partition.topic.as_ref());
        topic
            .and_then(|partitions| partitions.get_mut(partition.index as usize))
            .ok_or_else(|| LogError::UnknownTopic(partition.clone()))
    }

    fn check(&mut self, records: &[(Partition, Batch)]) -> Result<(), LogError> {
        for (partition, batch) in records {
            self.kept(partition)?;
            for row in 0..batch.len() {
                let size = batch.frames(row..row + 1).len();
                if size > MAX_RECORD {
                    let what = format!("a record for {partition}");
                    return Err(LogError::TooLarge {
                        what,
                        size,
                        limit: MAX_RECORD,
                    });
                }
            }
        }
        Ok(())
    }

    /// Takes commits of an owner: all of them, or none.
    fn take(&mut self, commits: &[Commit], owner: &Owner) -> Result<(), CommitError> {
        let mut taken: BTreeMap<&TaskId, &Turn> = BTreeMap::new();
        for commit in commits {
            if self.owners.get(&commit.task) != Some(owner) {
                return Err(CommitError::Fenced(commit.task.to_string()));
            }
            self.check(&commit.outputs)?;
            let before = taken.get(&commit.task).copied();
            check_number(before.or_else(|| self.turns.get(&commit.task)), commit)?;
            taken.extend(commit.turn.as_ref().map(|turn| (&commit.task, turn)));
        }
        for commit in commits {
            self.write(&commit.outputs)?;
            if let Some(turn) = &commit.turn {
                self.turns.insert(commit.task.clone(), turn.clone());
            }
        }
        Ok(())
    }

    fn write(&mut self, records: &[(Partition, Batch)]) -> Result<(), LogError> {
        let now = self.commits as i64;
        for (partition, batch) in records {
            let kept = self.kept(partition)?;
            let base = kept.next();
            for (offset, record) in (base..).zip(batch.iter()) {
                kept.records.push_record(&record);
                kept.records.stamp_last(offset, now);
            }
        }
        Ok(())
    }
}

impl Log for MemoryLog {
    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        let mut state = self.lock();
        for topic in topics {
            let partitions = state.topics.entry(topic.name.clone()).or_default();
            if partitions.is_empty() {
                partitions.resize_with(topic.partitions as usize, Kept::default);
            } else if partitions.len() != topic.partitions as usize {
                let actual = partitions.len() as u32;
                return Err(LogError::Partitions {
                    topic: topic.name.clone(),
                    actual,
                    wanted: topic.partitions,
                });
            }
        }
        Ok(())
    }

    fn topics(&self) -> Result<Vec<TopicSpec>, LogError> {
        let spec = |(name, partitions): (&String, &Vec<Kept>)| TopicSpec {
            name: name.clone(),
            partitions: partitions.len() as u32,
        };
        Ok(self.lock().topics.iter().map(spec).collect())
    }

    fn reader(&self) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(self.clone()))
    }

    fn writer(&self, name: &str) -> Result<Box<dyn Writer>, LogError> {
        let mut state = self.lock();
        let epoch = state.writers.entry(name.into()).or_default();
        *epoch += 1;
        Ok(Box::new(MemoryWriter {
            log: self.clone(),
            name: name.into(),
            epoch: *epoch,
        }))
    }

    fn worker(&self, name: &str) -> Result<Box<dyn Worker>, LogError> {
        let mut state = self.lock();
        let epoch = state.workers.entry(name.into()).or_default();
        *epoch += 1;
        Ok(Box::new(MemoryWorker {
            log: self.clone(),
            name: name.into(),
            epoch: *epoch,
            owned: Vec::new(),
            begun: Arc::default(),
            asked: Cell::default(),
        }))
    }

    fn slot(&self, task: &TaskSpec) -> Result<Box<dyn Worker>, LogError> {
        let mut state = self.lock();
        let times = state.slots.entry(task.id.clone()).or_default();
        *times += 1;
        let owner = Owner::Slot(*times);
        state.owners.insert(task.id.clone(), owner.clone());
        Ok(Box::new(MemorySlot {
            log: self.clone(),
            task: task.id.clone(),
            owner,
        }))
    }

    fn last_turn(&self, task: &TaskId) -> Result<Option<Turn>, LogError> {
        Ok(self.lock().turns.get(task).cloned())
    }

    fn truncate(&self, partition: &Partition, before: u64) -> Result<(), LogError> {
        let mut state = self.lock();
        let kept = state.kept(partition)?;
        kept.first = kept.first.max(before.min(kept.next()));
        let mut records = Batch::new();
        for record in kept
            .records
            .iter()
            .filter(|record| record.offset >= kept.first)
        {
            records.push_record(&record);
        }
        kept.records = records;
        Ok(())
    }

    fn seen(&self) -> u64 {
        self.lock().commits
    }

    fn wait(&self, seen: u64, timeout: Duration) -> bool {
        let state = self.lock();
        let waited = self
            .shared
            .rung
            .wait_timeout_while(state, timeout, |state| state.commits <= seen);
        waited.unwrap_or_else(PoisonError::into_inner).0.commits > seen
    }
}

impl Reader for MemoryLog {
    fn fetch(
        &mut self,
        partition: &Partition,
        from: u64,
        limit: FetchLimit,
        into: &mut Batch,
    ) -> Result<(), LogError> {
        let mut state = self.lock();
        let kept = state.kept(partition)?;
        if from < kept.first {
            return Err(LogError::OutOfRange {
                partition: partition.clone(),
                offset: from,
                earliest: kept.first,
            });
        }
        let (mut records, mut bytes) = (0, 0);
        let start = kept
            .records
            .offsets()
            .partition_point(|offset| *offset < from);
        for row in start..kept.records.len() {
            let size = kept.records.frames(row..row + 1).len();
            if records > 0 && (records >= limit.records || bytes + size > limit.bytes) {
                break;
            }
            if let Some(record) = kept.records.get(row) {
                into.push_record(&record);
            }
            (records, bytes) = (records + 1, bytes + size);
        }
        Ok(())
    }

    fn at_end(&mut self, partition: &Partition, offset: u64) -> Result<bool, LogError> {
        Ok(offset >= self.lock().kept(partition)?.next())
    }

    fn range(&mut self, partition: &Partition) -> Result<Range<u64>, LogError> {
        let mut state = self.lock();
        let kept = state.kept(partition)?;
        Ok(kept.first..kept.next())
    }
}

struct MemoryWriter {
    log: MemoryLog,
    name: String,
    epoch: u64,
}

impl Writer for MemoryWriter {
    fn append(&mut self, records: &[(Partition, Batch)]) -> Result<(), CommitError> {
        self.log.commit(|state| {
            if state.writers.get(&self.name) != Some(&self.epoch) {
                return Err(CommitError::Fenced(format!("writer {}", self.name)));
            }
            state.check(records)?;
            Ok(state.write(records)?)
        })
    }
}

struct MemoryWorker {
    log: MemoryLog,
    name: String,
    epoch: u64,
    owned: Vec<TaskId>,
    /// What was begun: it is written at its end, as late as may be.
    begun: Arc<Vec<Commit>>,
    /// How often it was asked whether that has ended.
    asked: Cell<usize>,
}

impl Worker for MemoryWorker {
    /// Tasks in the order of their names go round the workers in the order of theirs.
    fn assign(&mut self, tasks: &[TaskSpec]) -> Result<Assignment, LogError> {
        let mut state = self.log.lock();
        if state.workers.get(&self.name) != Some(&self.epoch) {
            return Ok(Assignment {
                gained: Vec::new(),
                lost: std::mem::take(&mut self.owned),
            });
        }
        let workers: Vec<String> = state.workers.keys().cloned().collect();
        let mut ids: Vec<&TaskId> = tasks.iter().map(|task| &task.id).collect();
        ids.sort();
        let mut owned = Vec::new();
        for (place, id) in ids.into_iter().enumerate() {
            if workers[place % workers.len()] == self.name {
                state.owners.insert(id.clone(), self.owner());
                owned.push(id.clone());
            }
        }
        let gained = owned
            .iter()
            .filter(|id| !self.owned.contains(id))
            .cloned()
            .collect();
        let lost: Vec<TaskId> = self
            .owned
            .iter()
            .filter(|id| !owned.contains(id))
            .cloned()
            .collect();
        for task in &lost {
            if state.owners.get(task) == Some(&self.owner()) {
                state.owners.remove(task);
            }
        }
        self.owned = owned;
        Ok(Assignment { gained, lost })
    }

    fn commit(&mut self, commits: &[Commit]) -> Result<(), CommitError> {
        self.log.commit(|state| {
            let live = state.workers.get(&self.name) == Some(&self.epoch);
            match commits.first() {
                Some(first) if !live => Err(CommitError::Fenced(first.task.to_string())),
                _ => state.take(commits, &self.owner()),
            }
        })
    }

    fn begin(&mut self, commits: &Arc<Vec<Commit>>) -> Option<Result<(), CommitError>> {
        self.begun = Arc::clone(commits);
        self.asked.set(0);
        None
    }

    fn has_ended(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.begun.is_empty() || self.asked.get() > COMMIT_STEPS
    }

    fn end(&mut self) -> Result<(), CommitError> {
        let begun = std::mem::take(&mut self.begun);
        self.commit(&begun)
    }
}

impl MemoryWorker {
    fn owner(&self) -> Owner {
        Owner::Worker(self.name.clone())
    }
}

/// The owner of one task outside the shared assignment.
struct MemorySlot {
    log: MemoryLog,
    task: TaskId,
    owner: Owner,
}

impl Worker for MemorySlot {
    fn assign(&mut self, _: &[TaskSpec]) -> Result<Assignment, LogError> {
        Ok(Assignment::default())
    }

    fn commit(&mut self, commits: &[Commit]) -> Result<(), CommitError> {
        match commits.iter().find(|commit| commit.task != self.task) {
            Some(other) => Err(CommitError::Fenced(other.task.to_string())),
            None => self.log.commit(|state| state.take(commits, &self.owner)),
        }
    }
}

impl Drop for MemorySlot {
    fn drop(&mut self) {
        let mut state = self.log.lock();
        if state.owners.get(&self.task) == Some(&self.owner) {
            state.owners.remove(&self.task);
        }
    }
}

fn check_number(last: Option<&Turn>, commit: &Commit) -> Result<(), CommitError> {
    let expected = last.map_or(1, |turn| turn.number + 1);
    match &commit.turn {
        Some(turn) if turn.number != expected => Err(CommitError::Fenced(format!(
            "{} (turn {} where {expected} is next)",
            commit.task, turn.number
        ))),
        _ => Ok(()),
    }
}

impl Drop for MemoryWorker {
    fn drop(&mut self) {
        let mut state = self.log.lock();
        if state.workers.get(&self.name) == Some(&self.epoch) {
            state.workers.remove(&self.name);
            let gone = self.owner();
            state.owners.retain(|_, owner| *owner != gone);
        }
    }
}

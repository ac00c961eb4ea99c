//! The crash harness: one task, a fixed merge order, and everything that may go wrong between two steps.
//!
//! The feed is a list of segments; each is appended and folded to its end before the next, so the merge order is the
//! same in every run. What varies by the plan: how runs are cut, how often a snapshot is taken, commits that are
//! aborted, commits whose end is unknown, crashes before and after a commit and before effects, and outcomes that come
//! twice. The history (every record of every output partition, in order) must be the same bytes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use mainstem_schemas::{Batch, Digest};

use crate::log::{
    Assignment, Commit, CommitError, FetchLimit, Log, LogError, Partition, Reader, TopicSpec,
    Worker,
};
use crate::memory::MemoryLog;
use crate::quiet::is_quiet;
use crate::runner::{Blobs, SnapshotEvery};
use crate::task::{TaskId, TaskSpec};
use crate::worker::{Actuator, Crew, Outcome, Parts};
use crate::{Effect, Resolver};

/// Steps that one segment may take: each makes progress or consumes a planned fault, so more is a livelock.
const MAX_STEPS: usize = 10_000;

/// What is fed to a task, and what its effects bring about.
pub struct Case {
    /// The task.
    pub spec: TaskSpec,
    /// Its machine.
    pub factory: Arc<crate::worker::Factory>,
    /// Models and profiles.
    pub resolver: Arc<dyn Resolver>,
    /// Segments in merge order: schemas and the definition first.
    pub feed: Vec<(Partition, Batch)>,
    /// The outcome of an effect: where it is appended, and the record.
    pub react: Arc<React>,
}

/// What an effect brings about.
pub type React = dyn Fn(&Effect) -> Vec<(Partition, Batch)> + Send + Sync;

/// Choices, taken one after the other and round again: what a property test draws.
#[derive(Clone)]
pub struct Plan {
    choices: Vec<u8>,
    at: Rc<RefCell<usize>>,
}

impl Plan {
    /// A plan of these choices; without any, nothing goes wrong and runs are as long as they can be.
    #[must_use]
    pub fn new(choices: Vec<u8>) -> Self {
        Plan {
            choices,
            at: Rc::default(),
        }
    }

    fn next(&self) -> u8 {
        if self.choices.is_empty() {
            return u8::MAX;
        }
        let mut at = self.at.borrow_mut();
        *at += 1;
        // The lap is mixed in, so that a short plan does not repeat one fault for ever.
        self.choices[*at % self.choices.len()].wrapping_add((*at / self.choices.len() * 37) as u8)
    }

    fn snapshots(&self) -> SnapshotEvery {
        match self.next() {
            u8::MAX => SnapshotEvery::default(),
            choice => SnapshotEvery {
                records: 1 + u64::from(choice % 32),
                turns: 1 + u64::from(choice / 32),
            },
        }
    }

    fn limit(&self) -> FetchLimit {
        let records = match self.next() {
            u8::MAX => usize::MAX,
            choice => 1 + usize::from(choice % 7),
        };
        FetchLimit {
            records,
            bytes: usize::MAX,
        }
    }
}

/// A defect planted in the shell, to see the harness turn red.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planted {
    /// None.
    Nothing,
    /// Outputs become visible although the commit is aborted.
    PublishBeforeCommit,
    /// An aborted commit is taken for written.
    AdvanceOnAbort,
    /// The records of a run are handed over in another order.
    RunOutOfOrder,
}

/// Every record of every partition that is no chain: offset order, as frames.
pub type History = BTreeMap<Partition, Vec<Vec<u8>>>;

/// Runs a case under a plan and returns its history.
///
/// # Errors
/// Words for what went wrong: an error of the worker, or a livelock.
pub fn history(case: &Case, plan: &Plan, planted: Planted) -> Result<History, String> {
    let log = MemoryLog::new();
    let topics = topics(case);
    log.create_topics(&topics)
        .map_err(|error| error.to_string())?;
    let mut writer = log.writer("feed").map_err(|error| error.to_string())?;
    let blobs = Arc::new(MemoryBlobs::default());
    let mut crew = join(case, &log, plan, planted, &blobs)?;
    for segment in &case.feed {
        writer
            .append(std::slice::from_ref(segment))
            .map_err(|error| error.to_string())?;
        settle(case, &log, plan, planted, &blobs, &mut crew)?;
    }
    read_all(&log, &topics).map_err(|error| error.to_string())
}

type HarnessCrew = Crew<Reacting>;

fn join(
    case: &Case,
    log: &MemoryLog,
    plan: &Plan,
    planted: Planted,
    blobs: &Arc<MemoryBlobs>,
) -> Result<HarnessCrew, String> {
    let faulty = Faulty {
        log: log.clone(),
        choices: plan.choices.clone(),
        planted,
    };
    let parts = Parts {
        log: Arc::new(faulty),
        resolver: Arc::clone(&case.resolver),
        blobs: Arc::clone(blobs) as Arc<dyn Blobs>,
        factory: Arc::clone(&case.factory),
        limit: plan.limit(),
        snapshots: plan.snapshots(),
    };
    let reacting = Reacting {
        react: Arc::clone(&case.react),
        twice: plan.next().is_multiple_of(3),
        ready: Vec::new(),
    };
    Crew::join(parts, "worker", reacting).map_err(|error| error.to_string())
}

/// Steps, with crashes, until the task is quiet.
fn settle(
    case: &Case,
    log: &MemoryLog,
    plan: &Plan,
    planted: Planted,
    blobs: &Arc<MemoryBlobs>,
    crew: &mut HarnessCrew,
) -> Result<(), String> {
    let specs = std::slice::from_ref(&case.spec);
    for _ in 0..MAX_STEPS {
        if plan.next().is_multiple_of(11) {
            // A crash: the process is gone with all that it had not committed.
            *crew = join(case, log, plan, planted, blobs)?;
        }
        crew.set_limit(plan.limit());
        match crew.step(specs) {
            Ok(progress) => {
                if let Some(error) = progress.stopped.first() {
                    return Err(error.to_string());
                }
            }
            Err(CommitError::Unknown(_) | CommitError::Fenced(_)) => {
                *crew = join(case, log, plan, planted, blobs)?
            }
            Err(error) => return Err(error.to_string()),
        }
        if is_quiet(log, &mut log.clone(), specs).map_err(|error| error.to_string())? {
            return Ok(());
        }
    }
    Err("the task does not come to rest".into())
}

fn topics(case: &Case) -> Vec<TopicSpec> {
    let mut topics: BTreeMap<String, u32> = BTreeMap::new();
    let chain = ["turns", "snapshots"].map(|name| (format!("{}.{name}", case.spec.project), 1));
    let inputs = case
        .spec
        .partitions()
        .into_iter()
        .map(|p| (p.topic.to_string(), p.index + 1));
    let outputs = case
        .spec
        .outputs
        .iter()
        .map(|output| (output.topic.clone(), output.partitions));
    for (name, partitions) in chain.into_iter().chain(inputs).chain(outputs) {
        let count = topics.entry(name).or_default();
        *count = (*count).max(partitions);
    }
    topics
        .into_iter()
        .map(|(name, partitions)| TopicSpec { name, partitions })
        .collect()
}

fn read_all(log: &MemoryLog, topics: &[TopicSpec]) -> Result<History, LogError> {
    let mut history = History::new();
    let mut reader = log.clone();
    for topic in topics
        .iter()
        .filter(|t| !t.name.ends_with(".turns") && !t.name.ends_with(".snapshots"))
    {
        for index in 0..topic.partitions {
            let partition = Partition::new(&topic.name, index);
            let mut batch = Batch::new();
            let all = FetchLimit {
                records: usize::MAX,
                bytes: usize::MAX,
            };
            reader.fetch(&partition, 0, all, &mut batch)?;
            let frames = (0..batch.len())
                .map(|row| batch.frames(row..row + 1).to_vec())
                .collect();
            history.insert(partition, frames);
        }
    }
    Ok(history)
}

/// Answers effects at the next step, once or twice.
struct Reacting {
    react: Arc<React>,
    twice: bool,
    ready: Vec<Outcome>,
}

impl Actuator for Reacting {
    fn perform(&mut self, task: &TaskId, effect: &Effect) {
        for _ in 0..=usize::from(self.twice) {
            let (id, attempt) = (effect.id, effect.attempt);
            let records = (self.react)(effect);
            self.ready.push(Outcome {
                task: task.clone(),
                effect: id,
                attempt,
                records,
            });
        }
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.ready)
    }
}

/// Blobs in memory.
#[derive(Default)]
pub struct MemoryBlobs {
    kept: std::sync::Mutex<BTreeMap<Digest, Arc<[u8]>>>,
}

impl Blobs for MemoryBlobs {
    fn put(&self, bytes: &[u8]) -> Result<Digest, String> {
        let digest = Digest::of(bytes);
        let mut kept = self.kept.lock().map_err(|_| "poisoned".to_string())?;
        kept.insert(digest, bytes.into());
        Ok(digest)
    }

    fn get(&self, digest: &Digest) -> Result<Arc<[u8]>, String> {
        let kept = self.kept.lock().map_err(|_| "poisoned".to_string())?;
        kept.get(digest)
            .cloned()
            .ok_or_else(|| format!("no blob {digest}"))
    }
}

/// A memory log whose workers fail by plan.
struct Faulty {
    log: MemoryLog,
    choices: Vec<u8>,
    planted: Planted,
}

impl Log for Faulty {
    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        self.log.create_topics(topics)
    }
    fn topics(&self) -> Result<Vec<TopicSpec>, LogError> {
        self.log.topics()
    }
    fn reader(&self) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(FaultyReader {
            reader: self.log.clone(),
            planted: self.planted,
        }))
    }
    fn writer(&self, name: &str) -> Result<Box<dyn crate::Writer>, LogError> {
        self.log.writer(name)
    }
    fn worker(&self, name: &str) -> Result<Box<dyn Worker>, LogError> {
        let worker = self.log.worker(name)?;
        let writer = self.log.writer("planted")?;
        let commits = self.log.seen() as usize;
        let choices = self.choices.clone();
        Ok(Box::new(FaultyWorker {
            worker,
            writer,
            choices,
            at: commits,
            aborts: 0,
            planted: self.planted,
        }))
    }
    fn slot(&self, task: &TaskSpec) -> Result<Box<dyn Worker>, LogError> {
        self.log.slot(task)
    }
    fn last_turn(&self, task: &TaskId) -> Result<Option<mainstem_schemas::events::Turn>, LogError> {
        self.log.last_turn(task)
    }
    fn truncate(&self, partition: &Partition, before: u64) -> Result<(), LogError> {
        self.log.truncate(partition, before)
    }
    fn seen(&self) -> u64 {
        self.log.seen()
    }
    fn wait(&self, seen: u64, timeout: std::time::Duration) -> bool {
        self.log.wait(seen, timeout)
    }
}

struct FaultyReader {
    reader: MemoryLog,
    planted: Planted,
}

impl Reader for FaultyReader {
    fn fetch(
        &mut self,
        partition: &Partition,
        from: u64,
        limit: FetchLimit,
        into: &mut Batch,
    ) -> Result<(), LogError> {
        self.reader.fetch(partition, from, limit, into)?;
        if self.planted == Planted::RunOutOfOrder && into.len() > 1 && limit.records < usize::MAX {
            let mut turned = Batch::new();
            for record in into.iter().rev() {
                turned.push_record(&record);
            }
            for (row, offset) in into.offsets().iter().enumerate() {
                if let Some(record) = turned.get(row) {
                    debug_assert!(record.offset >= *offset || row > 0);
                }
            }
            let base = into.offsets().first().copied().unwrap_or(0);
            turned.stamp(base, 0);
            *into = turned;
        }
        Ok(())
    }
    fn at_end(&mut self, partition: &Partition, offset: u64) -> Result<bool, LogError> {
        self.reader.at_end(partition, offset)
    }
    fn range(&mut self, partition: &Partition) -> Result<std::ops::Range<u64>, LogError> {
        self.reader.range(partition)
    }
}

struct FaultyWorker {
    worker: Box<dyn Worker>,
    writer: Box<dyn crate::Writer>,
    choices: Vec<u8>,
    at: usize,
    aborts: u32,
    planted: Planted,
}

impl Worker for FaultyWorker {
    fn assign(&mut self, tasks: &[TaskSpec]) -> Result<Assignment, LogError> {
        self.worker.assign(tasks)
    }

    fn commit(&mut self, commits: &[Commit]) -> Result<(), CommitError> {
        self.at += 1;
        let choice = match self.choices.len() {
            0 => u8::MAX,
            n => self.choices[self.at % n].wrapping_add((self.at / n * 53) as u8),
        };
        match choice % 8 {
            0 if self.aborts < 2 && !self.choices.is_empty() => {
                self.aborts += 1;
                match self.planted {
                    Planted::PublishBeforeCommit => {
                        for commit in commits {
                            let visible: Vec<_> = commit
                                .outputs
                                .iter()
                                .filter(|(p, _)| !is_chain(p))
                                .cloned()
                                .collect();
                            self.writer.append(&visible)?;
                        }
                    }
                    Planted::AdvanceOnAbort => return Ok(()),
                    Planted::Nothing | Planted::RunOutOfOrder => {}
                }
                Err(CommitError::Aborted("planned".into()))
            }
            1 if !self.choices.is_empty() => {
                self.worker.commit(commits)?;
                Err(CommitError::Unknown("planned".into()))
            }
            _ => {
                self.aborts = 0;
                self.worker.commit(commits)
            }
        }
    }
}

fn is_chain(partition: &Partition) -> bool {
    partition.topic.ends_with(".turns") || partition.topic.ends_with(".snapshots")
}

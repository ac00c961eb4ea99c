//! The crash harness: one task, a fixed merge order, and everything that may go wrong between two steps.
//!
//! The feed is a list of segments; each is appended and folded to its end before the next, so the merge order is the
//! same in every run. What varies by the plan: how runs are cut, how often a snapshot is taken, commits that are
//! aborted, commits whose end is unknown, crashes before and after a commit and before effects, and outcomes that come
//! twice. The history (every record of every output partition, in order) must be the same bytes.

mod door;
mod faulty;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use mainstem_schemas::{Batch, Digest};

use crate::log::{CommitError, FetchLimit, Log, LogError, Partition, Reader, TopicSpec};
use crate::memory::MemoryLog;
use crate::quiet::is_quiet;
use crate::runner::{BlobError, Blobs, SnapshotEvery};
use crate::task::{TaskId, TaskSpec};
use crate::worker::{Actuator, Crew, Outcome, Parts};
use crate::{Effect, Resolver};

pub use door::{DoorCase, Fed, door_history};
use faulty::Faulty;

/// Steps that so many records may take: each step makes progress or consumes a planned fault, so more is a livelock.
fn max_steps(records: usize) -> usize {
    200 + 20 * records
}

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
                records: 1 + 8 * u64::from(choice % 32),
                turns: 1 + 4 * u64::from(choice / 32),
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
    let topics = topics(&case.spec);
    log.create_topics(&topics).map_err(told)?;
    let mut writer = log.writer("feed").map_err(told)?;
    let blobs = Arc::default();
    let world = World {
        case,
        plan,
        planted,
        log,
        blobs,
    };
    let mut crew = world.join()?;
    for segment in &case.feed {
        let append = writer.append(std::slice::from_ref(segment));
        append.map_err(told)?;
        world.settle(&mut crew, max_steps(segment.1.len()))?;
    }
    read_all(&world.log, &topics).map_err(told)
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Where a case runs.
struct World<'a> {
    case: &'a Case,
    plan: &'a Plan,
    planted: Planted,
    log: MemoryLog,
    blobs: Arc<MemoryBlobs>,
}

impl World<'_> {
    fn join(&self) -> Result<Crew<Reacting>, String> {
        let faulty = Faulty {
            log: self.log.clone(),
            choices: self.plan.choices.clone(),
            planted: self.planted,
        };
        let parts = Parts {
            log: Arc::new(faulty),
            resolver: Arc::clone(&self.case.resolver),
            blobs: Arc::clone(&self.blobs) as Arc<dyn Blobs>,
            factory: Arc::clone(&self.case.factory),
            limit: self.plan.limit(),
            snapshots: self.plan.snapshots(),
        };
        let reacting = Reacting {
            react: Arc::clone(&self.case.react),
            twice: self.plan.next().is_multiple_of(3),
            ready: Vec::new(),
        };
        Crew::join(parts, "worker", reacting).map_err(told)
    }

    /// Steps, with crashes, until the task is quiet.
    fn settle(&self, crew: &mut Crew<Reacting>, steps: usize) -> Result<(), String> {
        let specs = std::slice::from_ref(&self.case.spec);
        for _ in 0..steps {
            if self.plan.next().is_multiple_of(11) {
                // A crash: the process is gone with all that it had not committed.
                *crew = self.join()?;
            }
            crew.set_limit(self.plan.limit());
            match crew.step(specs) {
                Ok(progress) => {
                    let stopped = progress.stopped.first().map(told);
                    if let Some(wrong) = stopped.or(progress.passed_over.into_iter().next()) {
                        return Err(wrong);
                    }
                }
                Err(CommitError::Unknown(_) | CommitError::Fenced(_)) => *crew = self.join()?,
                Err(error) => return Err(told(error)),
            }
            if is_quiet(&self.log, &mut self.log.clone(), specs).map_err(told)? {
                return Ok(());
            }
        }
        Err("the task does not come to rest".into())
    }
}

fn topics(spec: &TaskSpec) -> Vec<TopicSpec> {
    let mut topics: BTreeMap<String, u32> = BTreeMap::new();
    let chain = ["turns", "snapshots"].map(|name| (format!("{}.{name}", spec.project), 1));
    let inputs = spec
        .partitions()
        .into_iter()
        .map(|p| (p.topic.to_string(), p.index + 1));
    let outputs = spec
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
    fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let digest = Digest::of(bytes);
        let mut kept = self.kept.lock().map_err(|_| poisoned())?;
        kept.insert(digest, bytes.into());
        Ok(digest)
    }

    fn get(&self, digest: &Digest) -> Result<Arc<[u8]>, BlobError> {
        let kept = self.kept.lock().map_err(|_| poisoned())?;
        let missing = || BlobError::Missing(format!("the blob {digest}"));
        kept.get(digest).cloned().ok_or_else(missing)
    }

    fn check(&self) -> Result<(), BlobError> {
        Ok(())
    }
}

fn poisoned() -> BlobError {
    BlobError::Store("poisoned".into())
}

//! The log port: batch-shaped, committed records only, atomic commits over many topics, fenced by ownership.
//!
//! Three adapters implement it (memory, local, Kafka) and pass one conformance suite (`testkit::conformance`).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use mainstem_schemas::events::Turn;
use mainstem_schemas::{Batch, Span};

use crate::fetched::Fetched;
use crate::task::{TaskId, TaskSpec};

/// A partition of a topic.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Partition {
    /// Full name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition, from 0.
    pub index: u32,
}

impl Partition {
    /// Partition `index` of `topic`.
    #[must_use]
    pub fn new(topic: &str, index: u32) -> Self {
        Partition {
            topic: topic.into(),
            index,
        }
    }
}

impl std::fmt::Display for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.index)
    }
}

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Full name.
    pub name: String,
    /// Number of partitions, at least 1.
    pub partitions: u32,
}

/// How much one fetch may return; it returns at least one record where there is one.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimit {
    /// Records.
    pub records: usize,
    /// Bytes of frames.
    pub bytes: usize,
}

impl Default for FetchLimit {
    /// 8,192 records keep columns in the cache; 4 MiB bound the memory of a task that reads large records.
    fn default() -> Self {
        FetchLimit {
            records: 8_192,
            bytes: 4 << 20,
        }
    }
}

/// What a task commits: all of it becomes visible at once, or nothing.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The task; it must be owned by the worker that commits.
    pub task: TaskId,
    /// The turn, or nothing where an outcome is appended by the owner. Its number follows the last turn's, or the
    /// commit is fenced: whoever does not know the last turn is to restore the task.
    pub turn: Option<Turn>,
    /// Records per partition, the turn's own record among them.
    pub outputs: Vec<(Partition, Batch)>,
}

/// Tasks that changed hands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// Newly owned: to be restored from their last turns.
    pub gained: Vec<TaskId>,
    /// No longer owned: to be dropped.
    pub lost: Vec<TaskId>,
}

/// A log. Handles are cheap to make and independent; a log is shared by threads.
pub trait Log: Send + Sync {
    /// Creates what is missing.
    ///
    /// # Errors
    /// [`LogError::Partitions`] where a topic exists with another count.
    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError>;

    /// The topics that exist.
    ///
    /// # Errors
    /// Where the log cannot be read.
    fn topics(&self) -> Result<Vec<TopicSpec>, LogError>;

    /// Whether a topic of others keeps its records for so long; a log that forgets nothing by itself says yes.
    ///
    /// # Errors
    /// What of its settings would forget them sooner, and what mends it.
    fn check_horizon(&self, _topic: &str, _horizon: Span) -> Result<(), LogError> {
        Ok(())
    }

    /// A reader of committed records.
    ///
    /// # Errors
    /// Where the log cannot be opened.
    fn reader(&self) -> Result<Box<dyn Reader>, LogError>;

    /// A writer of facts under a name; an older writer of that name is fenced from now on.
    ///
    /// # Errors
    /// Where the log cannot be opened.
    fn writer(&self, name: &str) -> Result<Box<dyn Writer>, LogError>;

    /// Joins the workers that share the tasks. `name` is unique among live workers.
    ///
    /// # Errors
    /// Where the log cannot be opened.
    fn worker(&self, name: &str) -> Result<Box<dyn Worker>, LogError>;

    /// Owns exactly this task from now on, outside the shared assignment: a door's slot. An older owner of the slot is
    /// fenced. The worker's `assign` hands out nothing.
    ///
    /// # Errors
    /// Where the log cannot be opened.
    fn slot(&self, task: &TaskSpec) -> Result<Box<dyn Worker>, LogError>;

    /// The last committed turn of a task.
    ///
    /// # Errors
    /// Where the log cannot be read.
    fn last_turn(&self, task: &TaskId) -> Result<Option<Turn>, LogError>;

    /// The last committed turns of several tasks, in their order: one look where the log is far away.
    ///
    /// # Errors
    /// Where the log cannot be read.
    fn last_turns(&self, tasks: &[&TaskId]) -> Result<Vec<Option<Turn>>, LogError> {
        tasks.iter().map(|task| self.last_turn(task)).collect()
    }

    /// Retention: forgets the records before an offset, perhaps fewer (whole batches).
    ///
    /// # Errors
    /// Where the log cannot be written.
    fn truncate(&self, partition: &Partition, before: u64) -> Result<(), LogError>;

    /// How many commits this handle has seen: to be taken *before* the fetch that finds nothing.
    fn seen(&self) -> u64;

    /// Waits until there are commits beyond `seen`, or for `timeout`; says whether there are. May wake early.
    fn wait(&self, seen: u64, timeout: Duration) -> bool;
}

/// Reads committed records.
pub trait Reader: Send {
    /// Appends the records from `from` on to `into`. Appends nothing only where the partition's end was at or before
    /// `from` at some moment after the call began: whoever fetches a broadcast input *after* a data input sees at
    /// least what the data's writer saw.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] below the first kept offset: never skips. [`LogError::UnknownTopic`].
    fn fetch(
        &mut self,
        partition: &Partition,
        from: u64,
        limit: FetchLimit,
        into: &mut Batch,
    ) -> Result<(), LogError>;

    /// The records from `from` on, as [`Reader::fetch`] appends them: in the memory of `into`, or shared with who fetched
    /// them before.
    ///
    /// # Errors
    /// As [`Reader::fetch`].
    fn fetch_shared(
        &mut self,
        partition: &Partition,
        from: u64,
        limit: FetchLimit,
        into: &mut Arc<Fetched>,
    ) -> Result<(), LogError> {
        self.fetch(partition, from, limit, Fetched::emptied(into))
    }

    /// Whether no committed record and no open transaction lies at or beyond `offset`.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`].
    fn at_end(&mut self, partition: &Partition, offset: u64) -> Result<bool, LogError>;

    /// Whether all of these are at their ends: one look where the log is far away.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`].
    fn are_at_end(&mut self, positions: &[(Partition, u64)]) -> Result<bool, LogError> {
        for (partition, offset) in positions {
            if !self.at_end(partition, *offset)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Which of these are at their ends: one look where the log is far away.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`].
    fn which_are_at_end(&mut self, positions: &[(Partition, u64)]) -> Result<Vec<bool>, LogError> {
        let at_end = |(partition, offset): &(Partition, u64)| self.at_end(partition, *offset);
        positions.iter().map(at_end).collect()
    }

    /// Looks at the ends of partitions, stage by stage, on behalf of the fetches that follow: until the next look, a
    /// fetch of one of these may answer as of this one, neither with less nor with more. So whoever looks at data in
    /// one stage and at a broadcast input in the next sees of that at least what the data's writers saw. No stages: each
    /// fetch looks for itself again.
    ///
    /// A log that is far away saves a request a fetch; where it is near there is nothing to save.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`].
    fn look(&mut self, _stages: &[Vec<Partition>]) -> Result<(), LogError> {
        Ok(())
    }

    /// First kept offset, and the offset after the last committed record.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`].
    fn range(&mut self, partition: &Partition) -> Result<Range<u64>, LogError>;

    /// The ranges of several partitions, in their order, and nothing for those that there are not: one look where the log
    /// is far away.
    ///
    /// # Errors
    /// Where the log cannot be read.
    fn ranges(&mut self, partitions: &[Partition]) -> Result<Vec<Option<Range<u64>>>, LogError> {
        let range = |partition| match self.range(partition) {
            Err(LogError::UnknownTopic(_)) => Ok(None),
            range => range.map(Some),
        };
        partitions.iter().map(range).collect()
    }
}

/// Appends facts.
pub trait Writer: Send {
    /// Appends all records atomically.
    ///
    /// # Errors
    /// [`CommitError`]; after [`CommitError::Unknown`] look before writing again.
    fn append(&mut self, records: &[(Partition, Batch)]) -> Result<(), CommitError>;
}

/// One of the workers that share the tasks.
pub trait Worker: Send {
    /// Tells which tasks there are, keeps the membership alive, and says what changed hands since the last call.
    ///
    /// # Errors
    /// Where the membership is lost for good.
    fn assign(&mut self, tasks: &[TaskSpec]) -> Result<Assignment, LogError>;

    /// Commits several tasks' turns and outcomes in one transaction, each checked for ownership. A task may have several
    /// turns, one after the other.
    ///
    /// # Errors
    /// [`CommitError`], by what the worker must do.
    fn commit(&mut self, commits: &[Commit]) -> Result<(), CommitError>;

    /// Begins to commit, and says how it ended; nothing where that takes its time: then [`Worker::end`] says so, before
    /// anything else is committed.
    fn begin(&mut self, commits: &Arc<Vec<Commit>>) -> Option<Result<(), CommitError>> {
        Some(self.commit(commits))
    }

    /// Whether what was begun has ended, so that [`Worker::end`] does not wait.
    fn has_ended(&self) -> bool {
        true
    }

    /// Waits for the end of what was begun.
    ///
    /// # Errors
    /// As [`Worker::commit`].
    fn end(&mut self) -> Result<(), CommitError> {
        Ok(())
    }
}

/// Why nothing is known to have been committed, by what the caller must do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Nothing was written and the caller still owns its tasks: send the same again.
    #[error("the commit was aborted: {0}; it is sent again")]
    Aborted(String),
    /// Another owner took over; nothing was written: drop the tasks.
    #[error("{0} was fenced: a newer owner has taken over; stop, or join again")]
    Fenced(String),
    /// Whether it was written is not known: rebuild from the last turn.
    #[error("the commit's end is unknown: {0}; the last turn decides")]
    Unknown(String),
    /// The log refuses.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// What a log can refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// No such topic or partition.
    #[error("there is no partition {0}; run `mainstem apply`, which creates the topics")]
    UnknownTopic(Partition),
    /// A topic exists with another number of partitions.
    #[error(
        "topic {topic} has {actual} partitions, not {wanted}; the count is fixed for life: choose another project name, or the old count"
    )]
    Partitions {
        /// Topic.
        topic: String,
        /// Count it has.
        actual: u32,
        /// Count asked for.
        wanted: u32,
    },
    /// The records at an offset are gone.
    #[error(
        "{partition} starts at offset {earliest}, after {offset}; restore the older records, or start from a snapshot beyond them"
    )]
    OutOfRange {
        /// Partition.
        partition: Partition,
        /// Offset asked for.
        offset: u64,
        /// First kept offset.
        earliest: u64,
    },
    /// A record or commit is larger than the log takes.
    #[error(
        "{what} of {size} bytes is over the limit of {limit}; split it, or store the bytes and publish their digest"
    )]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The disk is full.
    #[error(
        "the disk that holds {0} is full; free space and start again: nothing acknowledged is lost"
    )]
    Full(String),
    /// The log cannot be written.
    #[error("{0} cannot be written; check its permissions, or choose another directory with --dir")]
    ReadOnly(String),
    /// Stored bytes do not read as they were written.
    #[error("damaged bytes in {0}; run `mainstem audit verify`, and restore the file from a copy")]
    Damaged(String),
    /// Anything else that the adapter reports.
    #[error("{0}")]
    Other(String),
}

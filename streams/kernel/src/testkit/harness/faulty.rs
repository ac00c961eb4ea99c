//! A log that fails by plan.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use mainstem_schemas::Batch;
use mainstem_schemas::events::Turn;

use super::Planted;
use crate::log::{
    Assignment, Commit, CommitError, FetchLimit, Log, LogError, Partition, Reader, TopicSpec,
    Worker, Writer,
};
use crate::memory::MemoryLog;
use crate::task::{TaskId, TaskSpec};

/// A memory log whose workers fail by plan.
pub(super) struct Faulty {
    pub log: MemoryLog,
    pub choices: Vec<u8>,
    pub planted: Planted,
}

impl Faulty {
    fn failing(&self, worker: Box<dyn Worker>) -> Result<Box<dyn Worker>, LogError> {
        Ok(Box::new(FaultyWorker {
            worker,
            writer: self.log.writer("planted")?,
            choices: self.choices.clone(),
            at: self.log.seen() as usize,
            aborts: 0,
            planted: self.planted,
            begun: Arc::default(),
        }))
    }
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
    fn writer(&self, name: &str) -> Result<Box<dyn Writer>, LogError> {
        self.log.writer(name)
    }
    fn worker(&self, name: &str) -> Result<Box<dyn Worker>, LogError> {
        self.failing(self.log.worker(name)?)
    }
    fn slot(&self, task: &TaskSpec) -> Result<Box<dyn Worker>, LogError> {
        self.failing(self.log.slot(task)?)
    }
    fn last_turn(&self, task: &TaskId) -> Result<Option<Turn>, LogError> {
        self.log.last_turn(task)
    }
    fn truncate(&self, partition: &Partition, before: u64) -> Result<(), LogError> {
        self.log.truncate(partition, before)
    }
    fn seen(&self) -> u64 {
        self.log.seen()
    }
    fn wait(&self, seen: u64, timeout: Duration) -> bool {
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
        // However often a run is read, it is turned round alike: what is then found is what the fold makes of it.
        if self.planted == Planted::RunOutOfOrder && !is_chain(partition) {
            let mut turned = Batch::new();
            for record in into.iter().rev() {
                turned.push_record(&record);
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
    fn range(&mut self, partition: &Partition) -> Result<Range<u64>, LogError> {
        self.reader.range(partition)
    }
}

struct FaultyWorker {
    worker: Box<dyn Worker>,
    writer: Box<dyn Writer>,
    choices: Vec<u8>,
    at: usize,
    aborts: u32,
    planted: Planted,
    begun: Arc<Vec<Commit>>,
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

    fn begin(&mut self, commits: &Arc<Vec<Commit>>) -> Option<Result<(), CommitError>> {
        self.begun = Arc::clone(commits);
        None
    }

    /// By a bit of the choice that does not say how the commit ends.
    fn has_ended(&self) -> bool {
        let choice = self.choices.get(self.at % self.choices.len().max(1));
        self.begun.is_empty() || choice.is_some_and(|choice| choice & 8 == 0)
    }

    fn end(&mut self) -> Result<(), CommitError> {
        let begun = std::mem::take(&mut self.begun);
        self.commit(&begun)
    }
}

fn is_chain(partition: &Partition) -> bool {
    partition.topic.ends_with(".turns") || partition.topic.ends_with(".snapshots")
}

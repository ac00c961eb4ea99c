//! The crash harness of doors: tasks without a lead, which answer questions that are no records of the log.
//!
//! A question is asked until its answer is known to be written, as a front door does: again after an abort and after a
//! crash, and after an unknown end only where the slot's last turn is not the one that held the answer.

use std::sync::Arc;

use mainstem_schemas::Batch;

use super::faulty::Faulty;
use super::{History, MemoryBlobs, Plan, Planted, max_steps, read_all, told, topics};
use crate::Resolver;
use crate::log::{CommitError, Log, Partition, Reader, Worker};
use crate::memory::MemoryLog;
use crate::restore::{Sources, restore_one};
use crate::runner::Runner;
use crate::task::TaskSpec;

/// What is fed to a door.
pub struct DoorCase {
    /// The task.
    pub spec: TaskSpec,
    /// Its machine.
    pub factory: Arc<crate::worker::Factory>,
    /// Models and profiles.
    pub resolver: Arc<dyn Resolver>,
    /// In merge order: schemas and the definition first.
    pub feed: Vec<Fed>,
}

/// One thing that is fed to a door.
pub enum Fed {
    /// Records of an input.
    Records(Partition, Batch),
    /// Questions that are answered in one turn.
    Questions(Vec<String>),
}

/// Runs a case under a plan and returns its history.
///
/// # Errors
/// Words for what went wrong: an error of the door, or a livelock.
pub fn door_history(case: &DoorCase, plan: &Plan, planted: Planted) -> Result<History, String> {
    let log = MemoryLog::new();
    let topics = topics(&case.spec);
    log.create_topics(&topics).map_err(told)?;
    let mut writer = log.writer("feed").map_err(told)?;
    let faulty = Faulty {
        log: log.clone(),
        choices: plan.choices.clone(),
        planted,
    };
    let mut door = Door {
        case,
        plan,
        reader: faulty.reader().map_err(told)?,
        log: faulty,
        blobs: MemoryBlobs::default(),
        lease: None,
    };
    for fed in &case.feed {
        match fed {
            Fed::Records(partition, batch) => {
                let records = [(partition.clone(), batch.clone())];
                writer.append(&records).map_err(told)?;
                door.work(&[], max_steps(batch.len()))?;
            }
            Fed::Questions(questions) => door.work(questions, max_steps(questions.len()))?,
        }
    }
    read_all(&log, &topics).map_err(told)
}

struct Door<'a> {
    case: &'a DoorCase,
    plan: &'a Plan,
    log: Faulty,
    reader: Box<dyn Reader>,
    blobs: MemoryBlobs,
    lease: Option<Lease>,
}

struct Lease {
    runner: Runner,
    worker: Box<dyn Worker>,
}

impl Door<'_> {
    /// Takes turns until the questions are answered or, without any, nothing waits.
    fn work(&mut self, questions: &[String], steps: usize) -> Result<(), String> {
        for _ in 0..steps {
            if self.plan.next().is_multiple_of(11) {
                self.lease = None;
            }
            if self.step(questions)? {
                return Ok(());
            }
        }
        Err("the door does not come to rest".into())
    }

    /// Says whether that was all.
    fn step(&mut self, questions: &[String]) -> Result<bool, String> {
        let mut lease = match self.lease.take() {
            Some(lease) => lease,
            None => self.take()?,
        };
        let (mut asked, mut refused) = (false, None);
        let commit = lease.runner.turn_with(
            self.reader.as_mut(),
            self.case.resolver.as_ref(),
            &self.blobs,
            self.plan.limit(),
            &mut |task, known, out| {
                asked = true;
                let answers = questions.iter().map(|asked| task.answer(known, asked, out));
                refused = answers.filter_map(Result::err).next();
            },
        );
        if let Some(refused) = refused {
            return Err(refused.to_string());
        }
        let Some(commit) = commit.map_err(told)? else {
            self.lease = Some(lease);
            return Ok(true);
        };
        let done = asked && !questions.is_empty();
        if self.plan.next().is_multiple_of(13) {
            // A crash between the turn and its commit.
            return Ok(false);
        }
        loop {
            match lease.worker.commit(std::slice::from_ref(&commit)) {
                Ok(()) => {
                    self.lease = Some(lease);
                    return Ok(done);
                }
                Err(CommitError::Aborted(_)) if self.plan.next().is_multiple_of(5) => {
                    return Ok(false);
                }
                Err(CommitError::Aborted(_)) => {}
                Err(CommitError::Unknown(_)) => {
                    let again = self.take()?;
                    let turn = commit.turn.as_ref().map(|turn| (turn.number, turn.hash));
                    let written = turn == Some(again.runner.last());
                    self.lease = Some(again);
                    return Ok(done && written);
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Owned first, then restored: what is read then is all that there will be of older owners.
    fn take(&self) -> Result<Lease, String> {
        let spec = &self.case.spec;
        let worker = self.log.slot(spec).map_err(told)?;
        let task = (self.case.factory)(spec).ok_or("there is no machine for it")?;
        let runner = Runner::new(spec.clone(), task).snapshot_every(self.plan.snapshots());
        let sources = Sources {
            log: &self.log,
            resolver: self.case.resolver.as_ref(),
            blobs: &self.blobs,
            observer: &(),
        };
        let mut reader = self.log.reader().map_err(told)?;
        let (runner, passed_over) = restore_one(runner, sources, reader.as_mut()).map_err(told)?;
        match passed_over.into_iter().next() {
            None => Ok(Lease { runner, worker }),
            Some(wrong) => Err(wrong),
        }
    }
}

//! The log port on one SQLite file: the default on a fresh machine, where no server runs.
//!
//! What comes in are appends and commits of any number of threads; one writer thread a process ([`queue`]) gathers
//! them and commits them together, each under a savepoint of its own. What goes out are batches: every reader has a
//! connection of its own and sees whole commits only. Several processes of one machine may open one directory; a lock
//! file puts their transactions in line, and [`worker`] shares the tasks among them.
//!
//! What it promises: what was acknowledged is on the disk, whatever is killed; a commit shows as a whole or not at all;
//! a worker or writer that was replaced commits nothing more; damaged bytes are named, never returned.
//!
//! The directory holds `log.sqlite` (with `-wal` and `-shm` beside it), `writer.lock`, and one `workers/<name>.lock` for
//! each live worker. It must not be on a network file system: SQLite's shared memory and the locks would not hold.
#![forbid(unsafe_code)]

mod bell;
mod error;
mod members;
mod queue;
mod reader;
mod rows;
mod shared;
mod slot;
mod store;
#[cfg(test)]
mod tests;
mod worker;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mainstem_kernel::log::{Log, LogError, Partition, Reader, TopicSpec, Worker, Writer};
use mainstem_kernel::task::{TaskId, TaskSpec};
use mainstem_schemas::events::Turn;

use crate::reader::LocalReader;
use crate::shared::Shared;
use crate::slot::LocalSlot;
use crate::worker::LocalWorker;
use crate::writer::LocalWriter;

/// A log in a directory of this machine.
pub struct LocalLog {
    shared: Arc<Shared>,
}

impl LocalLog {
    /// Opens the log in `dir`, which is created where it is missing. Handles of one process share a writer thread.
    ///
    /// # Errors
    /// [`LogError::ReadOnly`] where the directory cannot be written, [`LogError::Damaged`] where the file is no log,
    /// [`LogError::Full`] where it does not fit.
    pub fn open(dir: &Path) -> Result<LocalLog, LogError> {
        Ok(LocalLog {
            shared: Shared::open(dir)?,
        })
    }
}

impl Log for LocalLog {
    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        let topics = topics.to_vec();
        let create = move |store: &mut store::Store| {
            topics
                .iter()
                .try_for_each(|topic| store.create_topic(topic))
        };
        self.shared.submit(0, create).map_err(error::of_commit)
    }

    fn topics(&self) -> Result<Vec<TopicSpec>, LogError> {
        self.shared.look_up(store::topics)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(LocalReader::open(&self.shared)?))
    }

    fn writer(&self, name: &str) -> Result<Box<dyn Writer>, LogError> {
        Ok(Box::new(LocalWriter::open(&self.shared, name)?))
    }

    fn worker(&self, name: &str) -> Result<Box<dyn Worker>, LogError> {
        Ok(Box::new(LocalWorker::join(&self.shared, name)?))
    }

    fn slot(&self, task: &TaskSpec) -> Result<Box<dyn Worker>, LogError> {
        Ok(Box::new(LocalSlot::take(&self.shared, &task.id)?))
    }

    fn last_turn(&self, task: &TaskId) -> Result<Option<Turn>, LogError> {
        let stored = self.shared.look_up(|c| store::last_turn(c, task))?;
        stored
            .map(|bytes| self.shared.decode_turn(task, &bytes))
            .transpose()
    }

    fn truncate(&self, partition: &Partition, before: u64) -> Result<(), LogError> {
        loop {
            let at = partition.clone();
            let cut = move |store: &mut store::Store| store.truncate(&at, before);
            if self.shared.submit(0, cut).map_err(error::of_commit)? {
                return Ok(());
            }
        }
    }

    fn seen(&self) -> u64 {
        self.shared.bell.count()
    }

    fn wait(&self, seen: u64, timeout: Duration) -> bool {
        self.shared.wait(seen, timeout)
    }
}

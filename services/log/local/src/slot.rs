//! A slot: the lease of one task that a door takes for itself, without a share in the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstem_kernel::log::{Assignment, Commit, CommitError, LogError, Worker};
use mainstem_kernel::task::{TaskId, TaskSpec};
use rusqlite::{OptionalExtension, params};

use crate::error::of_commit;
use crate::shared::Shared;
use crate::worker::{commit_as, lease};

/// The owner of every slot, as the lease names it: no worker's file has this name, for theirs hold no space. The epoch
/// tells one owner from the next.
const SEAT: &str = "a slot";

pub(crate) struct LocalSlot {
    shared: Arc<Shared>,
    task: TaskId,
    /// The lease.
    leases: BTreeMap<TaskId, i64>,
}

impl LocalSlot {
    /// Takes the lease, whoever has it.
    pub(crate) fn take(shared: &Arc<Shared>, task: &TaskId) -> Result<Self, LogError> {
        let wanted = task.clone();
        let epoch = shared.submit(0, move |store| {
            let text = "SELECT epoch FROM tasks WHERE task = ?1";
            let last: Option<i64> = store
                .connection()
                .prepare_cached(text)?
                .query_row([&wanted.0], |row| row.get(0))
                .optional()?;
            let epoch = last.unwrap_or(0) + 1;
            lease(store, &wanted, SEAT, epoch)?;
            Ok(epoch)
        });
        Ok(LocalSlot {
            shared: Arc::clone(shared),
            task: task.clone(),
            leases: BTreeMap::from([(task.clone(), epoch.map_err(of_commit)?)]),
        })
    }
}

impl Worker for LocalSlot {
    fn assign(&mut self, _: &[TaskSpec]) -> Result<Assignment, LogError> {
        Ok(Assignment::default())
    }

    fn commit(&mut self, commits: &[Commit]) -> Result<(), CommitError> {
        commit_as(&self.shared, SEAT, &self.leases, commits)
    }
}

impl Drop for LocalSlot {
    fn drop(&mut self) {
        let (task, epoch) = (self.task.clone(), self.leases.get(&self.task).copied());
        // Should this fail, the next owner takes the lease all the same.
        let _ = self.shared.submit(0, move |store| {
            let text =
                "UPDATE tasks SET owner = NULL WHERE task = ?1 AND owner = ?2 AND epoch = ?3";
            let mut release = store.connection().prepare_cached(text)?;
            release.execute(params![task.0, SEAT, epoch])?;
            Ok(())
        });
    }
}

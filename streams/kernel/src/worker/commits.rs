//! What a worker has sealed, on its way into the log: one commit under way, and one that waits for its end.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::log::{Commit, CommitError, LogError, Worker};
use crate::observer::Observer;
use crate::runner::TaskError;
use crate::task::{TaskId, TaskSpec};

use super::{Actuator, Crew, Progress};

impl<A: Actuator> Crew<A> {
    /// Has the log begin with what waits first; says whether the step goes on.
    pub(super) fn begin(
        &mut self,
        tasks: &[TaskSpec],
        progress: &mut Progress,
    ) -> Result<bool, CommitError> {
        let Some(first) = self.pending.front() else {
            return Ok(true);
        };
        self.observer.committing();
        match self.worker.begin(first) {
            Some(ended) => self.ended(ended, tasks, progress),
            None => {
                self.under_way = true;
                Ok(true)
            }
        }
    }

    /// Waits for what is under way; says whether the step goes on.
    pub(super) fn settle(
        &mut self,
        tasks: &[TaskSpec],
        progress: &mut Progress,
    ) -> Result<bool, CommitError> {
        if !std::mem::take(&mut self.under_way) {
            return Ok(true);
        }
        let ended = self.worker.end();
        self.ended(ended, tasks, progress)
    }

    fn ended(
        &mut self,
        ended: Result<(), CommitError>,
        tasks: &[TaskSpec],
        progress: &mut Progress,
    ) -> Result<bool, CommitError> {
        let Err(error) = ended else {
            if let Some(commits) = self.pending.pop_front() {
                self.observer.committed(&commits);
                progress.commits += commits.len();
            }
            return Ok(true);
        };
        self.observer.refused(&error);
        match error {
            // Still the owner: the same again on the next step.
            CommitError::Aborted(_) => Ok(false),
            CommitError::Log(LogError::TooLarge { .. }) => {
                self.commit_apart(tasks, progress).map(|()| true)
            }
            error => {
                self.forget(tasks);
                Err(error)
            }
        }
    }

    /// One commit is too large for the log: its task stands still, the others go on.
    fn commit_apart(
        &mut self,
        tasks: &[TaskSpec],
        progress: &mut Progress,
    ) -> Result<(), CommitError> {
        let Some(first) = self.pending.pop_front() else {
            return Ok(());
        };
        let mut left = VecDeque::from(Arc::unwrap_or_clone(first));
        while let Some(one) = left.front() {
            let one = std::slice::from_ref(one);
            match commit(self.worker.as_mut(), one, self.observer.as_ref()) {
                Ok(()) => {
                    left.pop_front();
                    progress.commits += 1;
                }
                Err(CommitError::Aborted(_)) => {
                    self.pending.push_front(Arc::new(left.into()));
                    return Ok(());
                }
                Err(CommitError::Log(error @ LogError::TooLarge { .. })) => {
                    let task = one[0].task.clone();
                    if let Some(owned) = self.owned.remove(&task) {
                        self.waiting.insert(task.clone(), owned.runner.spec.clone());
                    }
                    left.retain(|commit| commit.task != task);
                    self.drop_commits(&task);
                    progress.stopped.push(TaskError::Log {
                        task: task.0,
                        error,
                    });
                }
                Err(error) => {
                    self.forget(tasks);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Drops what a task has sealed and the log has not.
    pub(super) fn drop_commits(&mut self, task: &TaskId) {
        for commits in &mut self.pending {
            if commits.iter().any(|commit| commit.task == *task) {
                Arc::make_mut(commits).retain(|commit| commit.task != *task);
            }
        }
        self.pending.retain(|commits| !commits.is_empty());
    }
}

/// Commits, and tells whoever watches.
///
/// # Errors
/// The worker's.
pub fn commit(
    worker: &mut dyn Worker,
    commits: &[Commit],
    observer: &dyn Observer,
) -> Result<(), CommitError> {
    observer.committing();
    let done = worker.commit(commits);
    match &done {
        Ok(()) => observer.committed(commits),
        Err(error) => observer.refused(error),
    }
    done
}

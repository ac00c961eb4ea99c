//! Who watches a worker. The kernel reads no clock, so how long something takes is measured by its shell, which is told
//! when it begins and when it has ended.

use mainstem_schemas::events::Turn;

use crate::log::{Commit, CommitError};
use crate::task::TaskId;

/// Is told what a worker does; nothing that it does changes anything for the worker.
pub trait Observer: Send + Sync {
    /// Tasks that came to the worker, and tasks that left it.
    fn changed_hands(&self, _gained: &[TaskId], _lost: &[TaskId]) {}

    /// A task is to be restored; all that are restored in one pass begin together.
    fn restoring(&self, _task: &TaskId) {}

    /// Its state is that of the snapshot after this turn (0: of the beginning), and turns up to `last` are to follow.
    fn resumed(&self, _task: &TaskId, _snapshot: i64, _last: i64) {}

    /// A turn was folded again.
    fn refolded(&self, _task: &TaskId, _turn: &Turn) {}

    /// It stands after its last turn.
    fn restored(&self, _task: &TaskId) {}

    /// It could not be restored; another try may come.
    fn not_restored(&self, _task: &TaskId) {}

    /// A commit begins; what is told next is how it ends.
    fn committing(&self) {}

    /// It is in the log.
    fn committed(&self, _commits: &[Commit]) {}

    /// It is not known to be in the log.
    fn refused(&self, _error: &CommitError) {}
}

/// Watches nothing.
impl Observer for () {}

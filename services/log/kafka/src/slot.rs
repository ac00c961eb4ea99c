//! A slot: one task that a door takes for itself. The transactional id is the lease: whoever opens it fences the one
//! before, and what that one left open is aborted. No offset is sent, for the task has no lead.

use std::sync::Arc;

use mainstem_kernel::log::{Assignment, Commit, CommitError, LogError, Worker};
use mainstem_kernel::{Partition, TaskId, TaskSpec};
use mainstem_schemas::Batch;

use crate::cluster::Cluster;
use crate::producer::Transactions;
use crate::turns::Turns;
use crate::watch::Watch;

/// The owner of a slot.
pub(crate) struct KafkaSlot {
    watch: Arc<Watch>,
    turns: Arc<Turns>,
    transactions: Transactions,
    project: String,
    task: TaskId,
    /// Number of the last turn, where it is known.
    last: Option<i64>,
}

impl KafkaSlot {
    pub(crate) fn take(
        cluster: Arc<Cluster>,
        watch: Arc<Watch>,
        turns: Arc<Turns>,
        task: &TaskSpec,
    ) -> Result<Self, LogError> {
        let id = format!("{}-slot-{}", cluster.options.project, task.id);
        let transactions = Transactions::open(cluster, &id, task.id.to_string())?;
        Ok(KafkaSlot {
            watch,
            turns,
            transactions,
            project: task.project.clone(),
            task: task.id.clone(),
            last: None,
        })
    }

    /// Number of the last turn. Once the transactional id is ours, no older owner's turn can come to be.
    fn last(&mut self) -> Result<i64, LogError> {
        let last = match self.last {
            Some(last) => last,
            None => {
                let turn = self.turns.last(&self.project, &self.task)?;
                turn.map_or(0, |turn| turn.number)
            }
        };
        self.last = Some(last);
        Ok(last)
    }
}

impl Worker for KafkaSlot {
    fn assign(&mut self, _: &[TaskSpec]) -> Result<Assignment, LogError> {
        Ok(Assignment::default())
    }

    fn commit(&mut self, commits: &[Commit]) -> Result<(), CommitError> {
        let mut last = self.last()?;
        for commit in commits {
            let task = &commit.task;
            if *task != self.task {
                return Err(CommitError::Fenced(task.to_string()));
            }
            let Some(turn) = &commit.turn else { continue };
            last += 1;
            if turn.number != last {
                let why = format!("{task} (turn {} where {last} is next)", turn.number);
                return Err(CommitError::Fenced(why));
            }
        }
        let records: Vec<&(Partition, Batch)> =
            commits.iter().flat_map(|commit| &commit.outputs).collect();
        let committed = self.transactions.commit(&records, &[]);
        self.last = committed.is_ok().then_some(last);
        if committed.is_ok() {
            self.watch.ring();
        }
        committed
    }
}

//! Brings effects about: data sets, trainings, naive forecasts.
//!
//! In come the requests of the room [`training`](mainstem_rooms::training); out go their outcomes, facts of the topic
//! `outcomes`: `DatasetBuilt` ([`dataset`]), `TrainingCompleted` ([`fit`]), `BaselineBuilt`, or `EffectFailed` with the
//! reason. Large bytes (Parquet, ONNX, profiles) lie in the blob store; outcomes name their digests.
//!
//! Promised: the same log, request and parameters give the same digests, on one target triple; a panic fails the effect
//! and not the process; nothing here decides, for whether a failure is tried again and whether a model is good enough
//! is the rooms' to say.
//!
//! One effect at a time is at work per actuator: training takes one thread and much memory, and the other threads are
//! the workers'.

mod baseline;
mod dataset;
mod desk;
mod failure;
mod fit;
mod outcome;
mod parameters;
mod parquet;
mod rows;
mod tail;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use mainstem_kernel::runner::Blobs;
use mainstem_kernel::worker::{Actuator, Outcome};
use mainstem_kernel::{Effect, Log, TaskId};

use desk::{Desk, Job};
use outcome::Office;

/// Performs the effects of a worker's tasks in a thread of its own, one after the other.
///
/// An effect is under way from `perform` until its outcome was handed out; asked for again meanwhile, it is left alone.
/// Asked for again later, it is done again and comes out equal, but for what is observed.
pub struct TrainerActuator {
    desk: Arc<Desk>,
}

impl TrainerActuator {
    /// An actuator for the effects of one project's tasks.
    #[must_use]
    pub fn new(log: Arc<dyn Log>, blobs: Arc<dyn Blobs>, project: &str) -> Self {
        let desk = Arc::new(Desk::default());
        let office = Office {
            log,
            blobs,
            project: project.into(),
        };
        let worker = Arc::clone(&desk);
        let body = move || worker.work(|job| office.outcome_of(job, &worker));
        if let Err(error) = std::thread::Builder::new()
            .name("trainer".into())
            .spawn(body)
        {
            tracing::error!(%error, "no thread for the trainer; effects stay undone until another worker does them");
        }
        TrainerActuator { desk }
    }
}

impl Actuator for TrainerActuator {
    fn perform(&mut self, task: &TaskId, effect: &Effect) {
        let job = Job {
            task: task.clone(),
            effect: effect.clone(),
        };
        if !self.desk.put(job) {
            // It expires in log time, and comes again under another attempt.
            tracing::warn!(%task, effect = %effect.id, "too many effects are waiting; this one is left");
        }
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        self.desk.take_outcomes()
    }
}

impl Drop for TrainerActuator {
    fn drop(&mut self) {
        self.desk.close();
    }
}

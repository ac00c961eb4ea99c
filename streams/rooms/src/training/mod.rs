//! Training: from a request to a trained model.
//!
//! A retrain's request begins a run, which carries its id. The run asks the world for two things, one after the other:
//! a data set ([`Request::BuildDataset`]) and a model trained on it ([`Request::Train`]); beside the first run of all,
//! for the naive forecast ([`Request::BuildBaseline`]). Each is an effect with an attempt; an outcome counts only for
//! the attempt that is being waited for. A failure that may pass, and an effect without an outcome for
//! `training.effect_timeout` of log time, begin the next attempt, until there have been `training.attempts`.
//!
//! The next room is [`crate::registry`]: it makes a version of a run that ended well.

mod effects;
mod report;
mod run;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::convert::Infallible;

use mainstem_kernel::Effect;
use mainstem_kernel::decider::{Decider, Decision, Moment, Recent, Taken};
use mainstem_schemas::EventId;
use mainstem_schemas::events::{Event, RetrainOutcome, RetrainRequested, RunStarted, TagSet};
use serde::{Deserialize, Serialize};

pub use effects::Request;

use effects::{Job, Tries};
use run::Run;

/// Ranks of the inputs. The third, `requests.trainer`, holds nothing that this version acts on.
mod input {
    pub const TRIGGERS: usize = 0;
    pub const OUTCOMES: usize = 1;
}

/// Runs at once. The trigger keeps one retrain open; others are runs whose retrain expired a moment ago.
const MAX_RUNS: usize = 16;

/// The trainer of one model.
pub struct TrainerMachine {
    model: String,
}

impl TrainerMachine {
    /// The trainer of that model.
    #[must_use]
    pub fn new(model: &str) -> Self {
        TrainerMachine {
            model: model.into(),
        }
    }
}

/// What the trainer knows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Requests whose run has not begun.
    requested: BTreeMap<EventId, RetrainRequested>,
    /// Retrains that expired before their request came.
    expired: Recent,
    runs: BTreeMap<EventId, Run>,
    baseline: Baseline,
}

/// How far the naive forecast is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
enum Baseline {
    #[default]
    Absent,
    /// The effect, and the run that it was begun beside.
    Asked {
        job: Job,
        run: EventId,
    },
    /// Given up after that attempt; the next run asks again.
    Failed {
        attempt: u32,
    },
    Built,
}

impl State {
    fn jobs(&self) -> impl Iterator<Item = &Job> {
        let baseline = match &self.baseline {
            Baseline::Asked { job, .. } => Some(job),
            _ => None,
        };
        baseline
            .into_iter()
            .chain(self.runs.values().filter_map(Run::job))
            .filter(|job| job.failed.is_none())
    }

    fn jobs_mut(&mut self) -> impl Iterator<Item = &mut Job> {
        let baseline = match &mut self.baseline {
            Baseline::Asked { job, .. } => Some(job),
            _ => None,
        };
        baseline
            .into_iter()
            .chain(self.runs.values_mut().filter_map(Run::job_mut))
            .filter(|job| job.failed.is_none())
    }

    fn take_trigger(&mut self, id: EventId, event: &Event) {
        match event {
            Event::RetrainRequested(requested) => {
                let expired = self.expired.remove(&id);
                if !expired {
                    self.requested.insert(id, requested.clone());
                }
            }
            Event::RetrainClosed(closed) if closed.outcome == RetrainOutcome::Expired => {
                if let Some(run) = self.runs.get_mut(&closed.retrain) {
                    run.abandon("its retrain expired");
                } else if self.requested.remove(&closed.retrain).is_none() {
                    self.expired.put(closed.retrain);
                }
            }
            _ => {}
        }
    }

    fn take_outcome(&mut self, at: &Moment<'_>, event: &Event) {
        match event {
            Event::DatasetBuilt(built) => {
                for run in self.runs.values_mut() {
                    run.take_dataset(built);
                }
            }
            Event::TrainingCompleted(completed) => {
                for run in self.runs.values_mut() {
                    run.take_training(completed);
                }
            }
            Event::BaselineBuilt(built) => {
                let awaited = matches!(
                    &self.baseline,
                    Baseline::Asked { job, .. } if job.awaits(built.effect, built.attempt)
                );
                if awaited {
                    self.baseline = Baseline::Built;
                }
            }
            Event::EffectFailed(failed) => {
                let tries = Tries::of(at);
                let awaited = |job: &&mut Job| job.awaits(failed.effect, failed.attempt);
                if let Some(job) = self.jobs_mut().find(awaited) {
                    job.fail(&failed.reason, failed.retriable, tries);
                }
            }
            _ => {}
        }
    }
}

impl Decider for TrainerMachine {
    const VERSION: u32 = 1;
    type State = State;
    type Refusal = Infallible;

    fn model(&self) -> &str {
        &self.model
    }

    fn take(&self, state: &mut State, at: &Moment<'_>, taken: &Taken) {
        match taken.input {
            input::TRIGGERS => state.take_trigger(taken.id(), &taken.event),
            input::OUTCOMES => state.take_outcome(at, &taken.event),
            _ => {}
        }
    }

    fn pass(&self, state: &mut State, at: &Moment<'_>) {
        let tries = Tries::of(at);
        for job in state.jobs_mut() {
            job.expire(tries);
        }
    }

    fn decide(&self, state: &State, at: &Moment<'_>) -> Result<Vec<Decision>, Infallible> {
        if let Some(decision) = self.give_up_baseline(state) {
            return Ok(vec![decision]);
        }
        for (id, run) in &state.runs {
            let decisions = run.decide(&self.model, *id, at);
            if !decisions.is_empty() {
                return Ok(decisions);
            }
        }
        Ok(self.start(state).into_iter().collect())
    }

    fn evolve(&self, state: &mut State, at: &Moment<'_>, _id: EventId, event: &Event) {
        match event {
            Event::RunStarted(started) => {
                if let Some(requested) = state.requested.remove(&started.run) {
                    let run = Run::start(at, &self.model, started.run, &requested);
                    state.runs.insert(started.run, run);
                    self.begin_baseline(state, at, started.run);
                }
            }
            Event::TrainingStarted(started) => {
                if let Some(run) = state.runs.get_mut(&started.run) {
                    run.train(at, &self.model, started.run, started.effect);
                }
            }
            Event::TagSet(tag) if tag.name == report::BASELINE_FAILED => {
                if let Baseline::Asked { job, .. } = &state.baseline {
                    let attempt = job.attempt;
                    state.baseline = Baseline::Failed { attempt };
                }
            }
            Event::RunFinished(finished) => {
                state.runs.remove(&finished.run);
            }
            Event::RunFailed(failed) => {
                state.runs.remove(&failed.run);
            }
            _ => {}
        }
    }

    fn effects(&self, state: &State) -> Vec<Effect> {
        state.jobs().map(Job::effect).collect()
    }
}

impl TrainerMachine {
    fn start(&self, state: &State) -> Option<Decision> {
        let (id, _) = state.requested.first_key_value()?;
        if state.runs.len() >= MAX_RUNS {
            return None;
        }
        let started = RunStarted {
            model: self.model.clone(),
            run: *id,
        };
        Some(Decision::new(started, *id, "run_started"))
    }

    fn begin_baseline(&self, state: &mut State, at: &Moment<'_>, run: EventId) {
        let attempt = match state.baseline {
            Baseline::Absent => 1,
            Baseline::Failed { attempt } => attempt + 1,
            Baseline::Asked { .. } | Baseline::Built => return,
        };
        if let Some(request) = Request::build_baseline(at, &self.model) {
            let id = at.derive(self.model.as_bytes(), "effect/baseline");
            let job = Job::begin(id, attempt, at.now(), &request);
            state.baseline = Baseline::Asked { job, run };
        }
    }

    /// A model can do without its baseline; the run is told.
    fn give_up_baseline(&self, state: &State) -> Option<Decision> {
        let Baseline::Asked { job, run } = &state.baseline else {
            return None;
        };
        let tag = TagSet {
            model: self.model.clone(),
            run: *run,
            name: report::BASELINE_FAILED.into(),
            value: job.failed.clone()?,
        };
        let name = format!("tag/{}", report::BASELINE_FAILED);
        Some(Decision::new(tag, *run, name).because_of(Some(job.id)))
    }
}

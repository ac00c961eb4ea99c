//! One run: data set, training, end.

use std::collections::BTreeMap;

use mainstem_kernel::decider::{Decision, Moment};
use mainstem_schemas::events::{
    DatasetBound, DatasetBuilt, RetrainRequested, RunFailed, TrainingCompleted, TrainingStarted,
};
use mainstem_schemas::{EventId, Millis};
use serde::{Deserialize, Serialize};

use super::effects::{Job, Request};
use super::report;

/// A run that has not ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    as_of: Millis,
    plan: Plan,
    step: Step,
    dataset: Option<DatasetBuilt>,
    /// Why it is given up, whatever it waits for.
    abandoned: Option<String>,
}

/// What the definition said when the run began: the data set and the model fit one another even if it changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Plan {
    threshold: f64,
    validation: f64,
    parameters: BTreeMap<String, f64>,
    min_rows: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Step {
    /// The data set is being built.
    Dataset(Job),
    /// The data set is there; it is not bound yet.
    Built(EventId),
    /// The model is being trained.
    Training(Job),
    /// The model is there; the run has not ended yet.
    Trained(TrainingCompleted),
}

impl Run {
    pub fn start(at: &Moment<'_>, model: &str, run: EventId, requested: &RetrainRequested) -> Self {
        let id = at.derive(&run.0, "effect/dataset");
        let job = match Request::build_dataset(at, model, run, requested.as_of) {
            Ok(request) => Job::begin(id, 1, at.now(), &request),
            Err(why) => Job::impossible(id, at.now(), why),
        };
        let training = &at.model().training;
        Run {
            as_of: requested.as_of,
            plan: Plan {
                threshold: at.model().threshold,
                validation: training.validation,
                parameters: training.parameters.clone(),
                min_rows: training.min_rows,
            },
            step: Step::Dataset(job),
            dataset: None,
            abandoned: None,
        }
    }

    /// The effect that it waits for.
    pub fn job(&self) -> Option<&Job> {
        match &self.step {
            Step::Dataset(job) | Step::Training(job) if self.abandoned.is_none() => Some(job),
            _ => None,
        }
    }

    pub fn job_mut(&mut self) -> Option<&mut Job> {
        match &mut self.step {
            Step::Dataset(job) | Step::Training(job) if self.abandoned.is_none() => Some(job),
            _ => None,
        }
    }

    pub fn abandon(&mut self, why: &str) {
        self.abandoned = Some(why.into());
    }

    pub fn take_dataset(&mut self, built: &DatasetBuilt) {
        if let Step::Dataset(job) = &self.step
            && job.awaits(built.effect, built.attempt)
        {
            self.step = Step::Built(job.id);
            self.dataset = Some(built.clone());
        }
    }

    pub fn take_training(&mut self, completed: &TrainingCompleted) {
        if let Step::Training(job) = &self.step
            && job.awaits(completed.effect, completed.attempt)
        {
            self.step = Step::Trained(completed.clone());
        }
    }

    /// What follows next; nothing while it waits.
    pub fn decide(&self, model: &str, run: EventId, at: &Moment<'_>) -> Vec<Decision> {
        if let Some(why) = &self.abandoned {
            return vec![fail(model, run, why, None)];
        }
        match (&self.step, &self.dataset) {
            (Step::Dataset(job) | Step::Training(job), _) => {
                let failed = job.failed.iter();
                failed
                    .map(|why| fail(model, run, why, Some(job.id)))
                    .collect()
            }
            (Step::Built(effect), Some(built)) => self.bind(model, run, *effect, built, at),
            (Step::Trained(completed), Some(built)) => report::of(model, run, built, completed),
            // Neither step is reached without a data set.
            (Step::Built(_) | Step::Trained(_), None) => {
                vec![fail(model, run, "it has no data set", None)]
            }
        }
    }

    fn bind(
        &self,
        model: &str,
        run: EventId,
        effect: EventId,
        built: &DatasetBuilt,
        at: &Moment<'_>,
    ) -> Vec<Decision> {
        if built.rows < i64::from(self.plan.min_rows) {
            let why = format!(
                "{} labelled rows up to {}, and training.min_rows is {}; wait for more, or lower it",
                built.rows, self.as_of, self.plan.min_rows
            );
            return vec![fail(model, run, &why, Some(effect))];
        }
        let bound = DatasetBound {
            model: model.into(),
            run,
            view: built.view,
            features: built.features.clone(),
            from: built.from,
            to: built.to,
            as_of: self.as_of,
            rows: built.rows,
            content: built.content,
            parquet: built.parquet,
            profile: built.profile,
        };
        let started = TrainingStarted {
            model: model.into(),
            run,
            effect: at.derive(&run.0, "effect/train"),
        };
        vec![
            Decision::new(bound, run, "dataset_bound").because_of(Some(effect)),
            Decision::new(started, run, "training_started").because_of(Some(effect)),
        ]
    }

    /// Training begins.
    pub fn train(&mut self, at: &Moment<'_>, model: &str, run: EventId, effect: EventId) {
        let Some(dataset) = &self.dataset else {
            return;
        };
        let request = Request::Train {
            project: at.project().name.clone(),
            model: model.into(),
            run,
            parquet: dataset.parquet,
            profile: dataset.profile,
            features: dataset.features.clone(),
            threshold: self.plan.threshold,
            validation: self.plan.validation,
            parameters: self.plan.parameters.clone(),
        };
        self.step = Step::Training(Job::begin(effect, 1, at.now(), &request));
    }
}

fn fail(model: &str, run: EventId, why: &str, effect: Option<EventId>) -> Decision {
    let failed = RunFailed {
        model: model.into(),
        run,
        reason: why.into(),
    };
    Decision::new(failed, run, "run_failed").because_of(effect.or(Some(run)))
}

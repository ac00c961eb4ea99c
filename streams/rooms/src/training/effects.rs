//! What the trainer asks of the world, and how often.

use std::collections::BTreeMap;

use mainstem_kernel::Effect;
use mainstem_kernel::decider::Moment;
use mainstem_schemas::definition::{self, Baseline, Label};
use mainstem_schemas::{Digest, EventId, Millis, Span};
use serde::{Deserialize, Serialize};

/// An effect's request, as JSON in [`Effect::request`]: everything that an actuator needs beside the log and the blob
/// store. Its outcome names the effect and the attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// Write the last labelled rows of a view as Parquet, and the profile of their features. Outcome: `DatasetBuilt`.
    BuildDataset {
        /// Project: the prefix of the topics.
        project: String,
        /// Model.
        model: String,
        /// The run.
        run: EventId,
        /// Name of the view.
        view: String,
        /// Digest of its definition.
        view_digest: Digest,
        /// Source of the view: its arrivals hold the labels.
        source: String,
        /// The features, in the order of the columns.
        features: Vec<String>,
        /// What labels a row.
        label: Label,
        /// Log time that the data are as of: no row and no label is later.
        #[serde(with = "mainstem_schemas::time::text")]
        as_of: Millis,
        /// Labelled rows at most, the last ones.
        rows: u32,
    },
    /// Train on a data set, check on its last rows, refit on all. Outcome: `TrainingCompleted`.
    Train {
        /// Project.
        project: String,
        /// Model.
        model: String,
        /// The run.
        run: EventId,
        /// Digest of the Parquet file.
        parquet: Digest,
        /// Digest of the profile of its features.
        profile: Digest,
        /// The features, in the order of the columns.
        features: Vec<String>,
        /// Probability from which on the class is 1.
        threshold: f64,
        /// Share of the rows, by time the last, that the model is checked on.
        validation: f64,
        /// Parameters of the trainer.
        parameters: BTreeMap<String, f64>,
    },
    /// Write the naive forecast as a model. Outcome: `BaselineBuilt`.
    BuildBaseline {
        /// Project.
        project: String,
        /// Model that it stands beside.
        model: String,
        /// The features, in the order of the inputs.
        features: Vec<String>,
        /// What it forecasts.
        baseline: Baseline,
    },
}

impl Request {
    /// The naive forecast that the definition asks for, if any.
    pub(super) fn build_baseline(at: &Moment<'_>, model: &str) -> Option<Self> {
        Some(Request::BuildBaseline {
            project: at.project().name.clone(),
            model: model.into(),
            features: at.model().features.clone(),
            baseline: at.model().baseline.clone()?,
        })
    }

    /// The data set of a run, or why there can be none.
    pub(super) fn build_dataset(
        at: &Moment<'_>,
        model: &str,
        run: EventId,
        as_of: Millis,
    ) -> Result<Self, String> {
        let name = &at.model().view;
        let view = at.project().views.get(name);
        let view = view.ok_or_else(|| format!("the definition has no view {name}; apply one"))?;
        Ok(Request::BuildDataset {
            project: at.project().name.clone(),
            model: model.into(),
            run,
            view: name.clone(),
            view_digest: definition::digest_of(view),
            source: view.source.clone(),
            features: at.model().features.clone(),
            label: at.model().label.clone(),
            as_of,
            rows: at.model().training.rows,
        })
    }
}

/// How often an effect is tried, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Tries {
    attempts: u32,
    timeout: Span,
    now: Millis,
}

impl Tries {
    pub fn of(at: &Moment<'_>) -> Self {
        let training = &at.model().training;
        Tries {
            attempts: training.attempts,
            timeout: Span(training.effect_timeout.at_least_one()),
            now: at.now(),
        }
    }
}

/// An effect under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Job {
    pub id: EventId,
    /// The attempt that is waited for.
    pub attempt: u32,
    /// The first attempt: a job that is asked for again goes on counting.
    first: u32,
    /// Log time of the attempt.
    since: Millis,
    /// The request as JSON.
    request: String,
    /// Why it is given up.
    pub failed: Option<String>,
}

impl Job {
    pub fn begin(id: EventId, attempt: u32, since: Millis, request: &Request) -> Self {
        let (request, failed) = match serde_json::to_string(request) {
            Ok(request) => (request, None),
            Err(error) => (String::new(), Some(error.to_string())),
        };
        Job {
            id,
            attempt,
            first: attempt,
            since,
            request,
            failed,
        }
    }

    /// One that failed before it began.
    pub fn impossible(id: EventId, since: Millis, why: String) -> Self {
        Job {
            id,
            attempt: 1,
            first: 1,
            since,
            request: String::new(),
            failed: Some(why),
        }
    }

    pub fn effect(&self) -> Effect {
        Effect {
            id: self.id,
            attempt: self.attempt,
            request: self.request.clone(),
        }
    }

    /// Whether an outcome is the one waited for; those of older attempts and repeated ones are not.
    pub fn awaits(&self, effect: EventId, attempt: i32) -> bool {
        self.failed.is_none() && self.id == effect && u32::try_from(attempt) == Ok(self.attempt)
    }

    /// The attempt failed: the next one, or none.
    pub fn fail(&mut self, why: &str, retriable: bool, tries: Tries) {
        let made = self.attempt - self.first + 1;
        if !retriable {
            self.failed = Some(why.into());
        } else if made >= tries.attempts {
            self.failed = Some(format!("{why} (attempt {made} of {})", tries.attempts));
        } else {
            self.attempt += 1;
            self.since = tries.now;
        }
    }

    /// The attempt fails if it has gone without an outcome for too long.
    pub fn expire(&mut self, tries: Tries) {
        if tries.now.since(self.since) >= tries.timeout {
            let why = format!("no outcome within {} of log time", tries.timeout);
            self.fail(&why, true, tries);
        }
    }
}

//! From a job to its outcome: a record of the topic `outcomes`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstem_kernel::log::LogError;
use mainstem_kernel::runner::Blobs;
use mainstem_kernel::worker::{Outcome, read_catalog};
use mainstem_kernel::{Effect, Log, Partition};
use mainstem_rooms::topology::CONTROL;
use mainstem_rooms::training::Request;
use mainstem_schemas::events::{
    BaselineBuilt, DatasetBuilt, EffectFailed, Event, TrainingCompleted,
};
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::{Batch, Envelope, EventId, topics};

use super::desk::{Desk, Job};
use super::failure::Failure;
use super::{baseline, dataset, fit};
use crate::log_time::last_tick;

/// Time between tries to read for an effect and to write its outcome: the log is away, or lacks our schemas until
/// `mainstem apply`.
const REST: Duration = Duration::from_secs(1);

/// How often an effect is begun within one attempt while the log is away: two minutes and the client's own time-outs, in
/// which a broker restarts. A failed attempt is a fact that the rooms answer on a tick of its own; a broker's restart is
/// none of theirs.
const MAX_TRIES: usize = 120;

/// Where requests become outcomes.
pub(super) struct Office {
    pub log: Arc<dyn Log>,
    pub blobs: Arc<dyn Blobs>,
    pub project: String,
}

impl Office {
    /// Does a job; nothing where the desk was closed meanwhile.
    pub fn outcome_of(&self, job: &Job, desk: &Desk) -> Option<Outcome> {
        let (effect, closed) = (&job.effect, || desk.is_closed());
        let request = serde_json::from_str::<Request>(&effect.request);
        let (model, run) = match &request {
            Ok(request) => named(request),
            // `trainer/<model>/0`
            Err(_) => (job.task.0.split('/').nth(1).unwrap_or_default(), None),
        };
        let done = match &request {
            Err(error) => Err(Failure::lasting(format!(
                "this version does not know the request: {error}"
            ))),
            Ok(request) => {
                let what = what(request);
                tracing::info!(model, what, attempt = effect.attempt, "an effect begins");
                self.try_to_perform(effect, request, desk)
            }
        };
        let event = done.unwrap_or_else(|failure| failed(effect, model, failure));
        loop {
            if closed() {
                return None;
            }
            // A thread that died here would leave every later effect undone.
            let records = AssertUnwindSafe(|| self.records(effect, model, run, &event));
            let records =
                catch_unwind(records).unwrap_or_else(|panic| Err(text_of(panic.as_ref()).into()));
            match records {
                Ok(records) => {
                    let (task, effect, attempt) = (job.task.clone(), effect.id, effect.attempt);
                    return Some(Outcome {
                        task,
                        effect,
                        attempt,
                        records,
                    });
                }
                Err(why) => {
                    tracing::warn!(effect = %effect.id, why, "an outcome waits to be written")
                }
            }
            desk.rest(REST);
        }
    }

    /// Performs an effect, again and again while the log is away.
    fn try_to_perform(
        &self,
        effect: &Effect,
        request: &Request,
        desk: &Desk,
    ) -> Result<Event, Failure> {
        let closed = || desk.is_closed();
        let once = || {
            catch_unwind(AssertUnwindSafe(|| self.perform(effect, request, &closed)))
                .unwrap_or_else(|panic| {
                    let text = text_of(panic.as_ref());
                    Err(Failure::lasting(format!("it panicked: {text}")))
                })
        };
        let mut tries = 1;
        loop {
            match once() {
                Err(failure) if failure.log_away && tries < MAX_TRIES && desk.rest(REST) => {
                    let why = failure.reason;
                    tracing::warn!(effect = %effect.id, why, "an effect waits for the log");
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    fn perform(
        &self,
        effect: &Effect,
        request: &Request,
        closed: &dyn Fn() -> bool,
    ) -> Result<Event, Failure> {
        let begun = Instant::now();
        let (log, blobs) = (self.log.as_ref(), self.blobs.as_ref());
        let (id, attempt) = (effect.id, effect.attempt as i32);
        Ok(match request {
            Request::BuildDataset {
                project,
                model,
                run: _,
                view,
                view_digest,
                source,
                features,
                label,
                as_of,
                rows,
            } => {
                let order = dataset::Order {
                    project,
                    view,
                    source,
                    features,
                    label,
                    as_of: *as_of,
                    rows: *rows as usize,
                };
                let built = dataset::build(log, blobs, &order, closed)?;
                Event::DatasetBuilt(DatasetBuilt {
                    effect: id,
                    attempt,
                    model: model.clone(),
                    view: *view_digest,
                    features: features.clone(),
                    from: built.from,
                    to: built.to,
                    rows: built.rows,
                    content: built.content,
                    parquet: built.parquet,
                    profile: built.profile,
                    observed_positions: built.positions,
                })
            }
            Request::Train {
                model,
                parquet,
                features,
                threshold,
                validation,
                parameters,
                ..
            } => {
                let (threshold, validation) = (*threshold, *validation);
                let order = fit::Order {
                    dataset: parquet,
                    features,
                    threshold,
                    validation,
                    parameters,
                };
                let fitted = fit::fit(blobs, &order, closed)?;
                Event::TrainingCompleted(TrainingCompleted {
                    effect: id,
                    attempt,
                    model: model.clone(),
                    onnx: fitted.onnx,
                    prediction_profile: fitted.prediction_profile,
                    validation_rows: fitted.check.rows,
                    validation_correct: fitted.check.correct,
                    majority_correct: fitted.check.majority_correct,
                    parameters: fitted.parameters,
                    trainer: mainstem_models::TRAINER.into(),
                    observed_seconds: begun.elapsed().as_secs_f64(),
                })
            }
            Request::BuildBaseline {
                model,
                features,
                baseline,
                ..
            } => {
                let onnx = baseline::build(blobs, features, baseline)?;
                Event::BaselineBuilt(BaselineBuilt {
                    effect: id,
                    attempt,
                    model: model.clone(),
                    features: features.clone(),
                    onnx,
                })
            }
        })
    }

    /// The outcome as a record. Its time is log time: in a paced run the tick that asked, for the next one waits.
    fn records(
        &self,
        effect: &Effect,
        model: &str,
        run: Option<EventId>,
        event: &Event,
    ) -> Result<Vec<(Partition, Batch)>, String> {
        let told = |error: LogError| error.to_string();
        let mut reader = self.log.reader().map_err(told)?;
        let catalog = read_catalog(reader.as_mut(), &self.project).map_err(told)?;
        let time = last_tick(&catalog, reader.as_mut(), &self.project).map_err(told)?;
        let mut value = Vec::new();
        event
            .encode(&catalog, &mut value)
            .map_err(|error| error.to_string())?;
        let name = [&effect.id.0[..], &effect.attempt.to_le_bytes()].concat();
        let envelope = Envelope {
            id: EventId::named("outcome", &name),
            kind: event.name().into(),
            source: "trainer".into(),
            time,
            correlation: run,
            causation: Some(effect.id),
            attempt: Some(effect.attempt),
            ..Envelope::default()
        };
        let mut batch = Batch::new();
        envelope.push(&mut batch, Some(model.as_bytes()), &value);
        let topic = topics::fixed(&self.project, "outcomes");
        Ok(vec![(
            Partition::new(&topic, partition_of(model.as_bytes(), CONTROL)),
            batch,
        )])
    }
}

/// Model and run of a request.
fn named(request: &Request) -> (&str, Option<EventId>) {
    match request {
        Request::BuildDataset { model, run, .. } | Request::Train { model, run, .. } => {
            (model, Some(*run))
        }
        Request::BuildBaseline { model, .. } => (model, None),
    }
}

/// A request in words.
fn what(request: &Request) -> &'static str {
    match request {
        Request::BuildDataset { .. } => "data set",
        Request::Train { .. } => "training",
        Request::BuildBaseline { .. } => "naive forecast",
    }
}

fn failed(effect: &Effect, model: &str, failure: Failure) -> Event {
    Event::EffectFailed(EffectFailed {
        effect: effect.id,
        attempt: effect.attempt as i32,
        model: model.into(),
        reason: failure.reason,
        retriable: failure.retriable,
    })
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given")
}

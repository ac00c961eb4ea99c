//! The join of predictions with their labels.

use mainstem_kernel::{Context, Machine, Need, Outbox, Run};
use mainstem_schemas::Digest;
use mainstem_schemas::definition::{self, Project, Source, digest_of};
use mainstem_schemas::events::Event;
use serde::{Deserialize, Serialize};

use super::labels::LabelReader;
use super::pending::{MOST, Pending};
use super::{EVENTS, QUARANTINE};
use crate::arrivals::{Refusal, Refuser};
use crate::foreign::{InPlace, incoming, needs_in_place};

/// Inputs of the task.
const ARRIVALS: usize = 0;
const PREDICTIONS: usize = 1;

/// Joins the predictions of one model with their labels.
#[derive(Clone, Debug)]
pub struct JoinMachine {
    model: String,
    name: String,
}

/// What it remembers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct JoinState {
    pending: Pending,
    #[serde(skip)]
    work: Option<Box<Work>>,
}

/// What is made from the definition, and made again after a restore.
#[derive(Debug)]
struct Work {
    labels: LabelReader,
    definition: Digest,
    /// Where the source's topic is read in place.
    in_place: Option<Box<InPlace>>,
}

impl JoinMachine {
    /// The machine of a model. `project` is the prefix of the topics.
    #[must_use]
    pub fn new(_project: &str, model: &str) -> Self {
        JoinMachine {
            model: model.into(),
            name: format!("join/{model}"),
        }
    }

    fn definition<'a>(&self, project: &'a Project) -> Result<&'a definition::Model, String> {
        let model = project.models.get(&self.model);
        model.ok_or_else(|| format!("the definition has no model {}", self.model))
    }

    fn prepare(&self, project: &Project) -> Result<Box<Work>, String> {
        let model = self.definition(project)?;
        let (name, source) = source_of(project, model).ok_or_else(|| {
            format!(
                "the definition has no view {} or no source of it",
                model.view
            )
        })?;
        Ok(Box::new(Work {
            labels: LabelReader::new(source, &model.label.column)?,
            definition: digest_of(model),
            in_place: InPlace::of(project, name)?,
        }))
    }

    fn gather(
        &self,
        state: &mut JoinState,
        cx: &Context<'_>,
        run: &Run<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let timeout = self.definition(cx.project)?.label.timeout;
        let mut work = match state.work.take() {
            Some(work) => work,
            None => self.prepare(cx.project)?,
        };
        let (definition, now) = (work.definition, cx.tick.time);
        let refuser = Refuser {
            input: run.input,
            output: QUARANTINE,
            definition: &definition,
            name: &self.name,
        };
        let partition = cx
            .spec
            .inputs
            .get(run.input)
            .map_or(0, |input| input.partition.index);
        match run.input {
            ARRIVALS => {
                if let Some(read) = &mut work.in_place {
                    read.take(cx.catalog, partition, run.batch)?;
                }
                for given in incoming(run.batch, work.in_place.as_deref(), None) {
                    match work.labels.read(cx.catalog, partition, cx.horizon, &given) {
                        Ok(Some(label)) => state.pending.label(label, now, timeout),
                        Ok(None) => {}
                        Err((outside, refusal)) => {
                            refuser.quarantine(cx, &given.record, Some(outside), &refusal, out);
                        }
                    }
                }
            }
            PREDICTIONS => {
                for record in run.batch.iter() {
                    match Event::decode(cx.catalog, record.value.unwrap_or_default()) {
                        Ok(Event::PredictionMade(made)) => {
                            state.pending.prediction(made, now, timeout);
                        }
                        other => {
                            let what = other.map_or_else(
                                |error| error.to_string(),
                                |event| event.name().to_owned(),
                            );
                            refuser.quarantine(cx, &record, None, &Refusal::NotOurs(what), out);
                        }
                    }
                }
            }
            other => {
                return Err(format!(
                    "a run of input {other}, which the join does not have"
                ));
            }
        }
        state.work = Some(work);
        Ok(())
    }
}

/// The source of a model's view, with its name.
fn source_of<'a>(project: &'a Project, model: &definition::Model) -> Option<(&'a str, &'a Source)> {
    let name = &project.views.get(&model.view)?.source;
    Some((name, project.sources.get(name)?))
}

impl Machine for JoinMachine {
    const VERSION: u32 = 1;
    type State = JoinState;

    fn define(&self, state: &mut JoinState, _project: &Project) {
        state.work = None;
    }

    fn needs(&self, _state: &JoinState, cx: &Context<'_>, run: Option<&Run<'_>>) -> Vec<Need> {
        let run = run.filter(|run| run.input == ARRIVALS);
        let model = cx.project.models.get(&self.model);
        let source = model.and_then(|model| source_of(cx.project, model));
        match (source, run) {
            (Some((source, _)), Some(run)) => needs_in_place(cx, source, run),
            _ => Vec::new(),
        }
    }

    fn fold(&self, state: &mut JoinState, cx: &Context<'_>, run: &Run<'_>, out: &mut Outbox) {
        if let Err(why) = self.gather(state, cx, run, out) {
            out.fault(why);
        }
    }

    fn tick(&self, state: &mut JoinState, cx: &Context<'_>, out: &mut Outbox) {
        let round = i64::try_from(cx.tick.round).unwrap_or(i64::MAX);
        state
            .pending
            .tick(cx.tick.time, round, MOST, |entity, event| {
                out.put_event(cx, EVENTS, entity.as_bytes(), &event);
            });
    }
}

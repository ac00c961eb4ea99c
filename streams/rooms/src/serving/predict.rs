//! Predictions: every deployed version answers every row of features.

use mainstem_kernel::{Context, Machine, Need, Outbox, Run};
use mainstem_schemas::definition::{self, Project, View};
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::Event;
use serde::{Deserialize, Serialize};

use super::answers::Answers;
use super::{QUARANTINE, models};
use crate::arrivals::Refuser;

/// Inputs of the task.
const DEPLOYMENTS: usize = 0;
const ROWS: usize = 1;

/// Rows that are decoded and predicted at once: some batches of a model, and little memory.
const CHUNK: usize = 1024;

/// Predicts with the deployed versions of one model.
#[derive(Clone, Debug)]
pub struct PredictMachine {
    model: String,
    name: String,
}

/// What it remembers: the deployments.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PredictState {
    deployed: Deployed,
    #[serde(skip)]
    work: Option<Box<Answers>>,
}

impl PredictMachine {
    /// The machine of a model. `project` is the prefix of the topics.
    #[must_use]
    pub fn new(_project: &str, model: &str) -> Self {
        PredictMachine {
            model: model.into(),
            name: format!("predict/{model}"),
        }
    }

    fn definition<'a>(
        &self,
        project: &'a Project,
    ) -> Result<(&'a definition::Model, &'a View), String> {
        let model = project.models.get(&self.model);
        let model = model.ok_or_else(|| format!("the definition has no model {}", self.model))?;
        let view = project.views.get(&model.view);
        Ok((
            model,
            view.ok_or_else(|| format!("the definition has no view {}", model.view))?,
        ))
    }

    fn take_deployments(
        &self,
        state: &mut PredictState,
        cx: &Context<'_>,
        run: &Run<'_>,
        out: &mut Outbox,
    ) {
        for record in run.batch.iter() {
            match Event::decode(cx.catalog, record.value.unwrap_or_default()) {
                Ok(event) => {
                    if state.deployed.take(&self.model, &event) {
                        state.work = None;
                    }
                }
                Err(error) => out.fault(format!(
                    "offset {} of the topic `deployments`: {error}",
                    record.offset
                )),
            }
        }
    }

    fn take_rows(
        &self,
        work: &mut Answers,
        cx: &Context<'_>,
        run: &Run<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let (model, _) = self.definition(cx.project)?;
        let definition = work.definition;
        let refuser = Refuser {
            input: run.input,
            output: QUARANTINE,
            definition: &definition,
            name: &self.name,
        };
        let mut records = Vec::with_capacity(run.batch.len().min(CHUNK));
        for record in run.batch.iter() {
            match work.decode(cx.catalog, &record) {
                Ok(()) => records.push(record),
                Err(refusal) => refuser.quarantine(cx, &record, None, &refusal, out),
            }
            if records.len() == CHUNK {
                work.predict(model, cx, &refuser, &records, out)?;
                records.clear();
            }
        }
        work.predict(model, cx, &refuser, &records, out)
    }
}

impl Machine for PredictMachine {
    const VERSION: u32 = 1;
    type State = PredictState;

    fn define(&self, state: &mut PredictState, _project: &Project) {
        state.work = None;
    }

    fn needs(&self, state: &PredictState, cx: &Context<'_>, run: Option<&Run<'_>>) -> Vec<Need> {
        let deployments = run.filter(|run| run.input == DEPLOYMENTS);
        models(&state.deployed, &self.model, cx, deployments)
    }

    fn fold(&self, state: &mut PredictState, cx: &Context<'_>, run: &Run<'_>, out: &mut Outbox) {
        match run.input {
            DEPLOYMENTS => self.take_deployments(state, cx, run, out),
            ROWS if state.deployed.active().is_empty() => {}
            ROWS => {
                let work = match state.work.take() {
                    Some(work) => Ok(work),
                    None => self
                        .definition(cx.project)
                        .and_then(|(model, view)| Answers::new(&state.deployed, model, view)),
                };
                let done = work.and_then(|mut work| {
                    self.take_rows(&mut work, cx, run, out)?;
                    Ok(work)
                });
                match done {
                    Ok(work) => state.work = Some(work),
                    Err(why) => out.fault(why),
                }
            }
            other => out.fault(format!(
                "a run of input {other}, which predictions do not have"
            )),
        }
    }
}

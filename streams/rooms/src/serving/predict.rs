//! Predictions: every deployed version answers every row of features.

use mainstem_columns::{Columns, Kind, Layout, Wanted};
use mainstem_kernel::{Context, Machine, Need, Outbox, Run};
use mainstem_schemas::definition::{self, Project, View, digest_of};
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::{DeploymentStarted, Event, PredictionMade};
use mainstem_schemas::{Catalog, Digest, RecordRef, wire};
use serde::{Deserialize, Serialize};

use super::inference::{Asked, made};
use super::{EVENTS, QUARANTINE};
use crate::arrivals::{Decoders, Outside, Refusal, Refuser};

/// Inputs of the task.
const DEPLOYMENTS: usize = 0;
const ROWS: usize = 1;

/// Rows that are decoded and predicted at once: some batches of a model, and little memory.
const CHUNK: usize = 1024;

/// Columns of a row before its features.
const ORIGIN: usize = 0;
const TIME: usize = 1;
const ENTITY: usize = 2;
const FEATURES: usize = 3;

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
    work: Option<Box<Work>>,
}

/// What is made from the definition and the deployments, and made again after a restore.
#[derive(Debug)]
struct Work {
    decoders: Decoders,
    columns: Columns,
    versions: Vec<Version>,
    definition: Digest,
}

/// A deployment, with the columns that hold its inputs.
#[derive(Debug)]
struct Version {
    deployment: DeploymentStarted,
    inputs: Vec<usize>,
    /// Row-major inputs and the answers to them.
    rows: Vec<f32>,
    answers: Vec<f32>,
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

    fn prepare(&self, deployed: &Deployed, project: &Project) -> Result<Box<Work>, String> {
        let (model, view) = self.definition(project)?;
        let place = |version: &DeploymentStarted, name: &String| {
            let feature = view
                .features
                .iter()
                .position(|feature| feature.name == *name);
            feature.map(|at| FEATURES + at).ok_or_else(|| {
                let DeploymentStarted { model, version, .. } = version;
                format!(
                    "version {version} of {model} takes the feature {name}, which the view lacks"
                )
            })
        };
        let mut versions = Vec::new();
        for deployment in deployed.active() {
            let inputs: Result<_, _> = deployment
                .features
                .iter()
                .map(|name| place(deployment, name))
                .collect();
            let (rows, answers) = (Vec::new(), Vec::new());
            versions.push(Version {
                deployment: deployment.clone(),
                inputs: inputs?,
                rows,
                answers,
            });
        }
        let head = [
            ("origin", Kind::Origin),
            ("event_time", Kind::Time),
            ("entity", Kind::Text),
        ];
        let head = head.map(|(name, kind)| Wanted::required(name, kind));
        let features = view
            .features
            .iter()
            .map(|feature| Wanted::optional(&feature.name, Kind::Number));
        let layout =
            Layout::new(head.into_iter().chain(features)).map_err(|twice| twice.to_string())?;
        Ok(Box::new(Work {
            columns: Columns::new(&layout),
            decoders: Decoders::new(layout),
            versions,
            definition: digest_of(model),
        }))
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
        work: &mut Work,
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

impl Work {
    fn decode(&mut self, catalog: &Catalog, record: &RecordRef<'_>) -> Result<(), Refusal> {
        let value = record.value.ok_or(Refusal::NoValue)?;
        let (schema, body) = wire::split(value)?;
        let decoded = self
            .decoders
            .append(catalog, schema, body, &mut self.columns);
        decoded.map_err(|refusal| Refusal::NotOurs(refusal.to_string()))
    }

    /// Predicts the rows that were decoded, and forgets them.
    fn predict(
        &mut self,
        model: &definition::Model,
        cx: &Context<'_>,
        refuser: &Refuser<'_>,
        records: &[RecordRef<'_>],
        out: &mut Outbox,
    ) -> Result<(), String> {
        for version in &mut self.versions {
            version.answer(cx, &self.columns)?;
        }
        let columns = &self.columns;
        for (row, record) in records.iter().enumerate() {
            let origin = columns.origin(ORIGIN, row);
            let (time, entity) = (columns.time(TIME, row), columns.text(ENTITY, row));
            let (Some(origin), Some(event_time), Some(entity)) = (origin, time, entity) else {
                continue;
            };
            for (place, version) in self.versions.iter().enumerate() {
                let asked = Asked {
                    origin,
                    event_time,
                    entity,
                };
                let event = version.prediction(cx, model, &asked, row);
                if let Some(event) = event {
                    out.put_event(cx, EVENTS, entity.as_bytes(), &event.into());
                    continue;
                }
                // A version that stands in two roles is refused once.
                let named =
                    |other: &Version| other.deployment.version == version.deployment.version;
                if !self.versions[..place].iter().any(named) {
                    version.refuse(cx, refuser, &asked, record, out);
                }
            }
        }
        self.columns.clear();
        Ok(())
    }
}

impl Version {
    /// Answers every row of the columns.
    fn answer(&mut self, cx: &Context<'_>, columns: &Columns) -> Result<(), String> {
        self.rows.clear();
        self.answers.clear();
        let DeploymentStarted {
            model: name,
            version,
            onnx,
            ..
        } = &self.deployment;
        let model = cx.known.model(onnx);
        let model = model.ok_or_else(|| format!("version {version} of {name} was not resolved"))?;
        for row in 0..columns.rows() {
            let value = |column: &usize| {
                columns
                    .number(*column, row)
                    .map_or(f32::NAN, |value| value as f32)
            };
            self.rows.extend(self.inputs.iter().map(value));
        }
        let failed = |why| format!("version {version} of {name}: {why}");
        model
            .predict(&self.rows, &mut self.answers)
            .map_err(failed)?;
        match self.answers.len() == columns.rows() {
            true => Ok(()),
            false => Err(failed(format!(
                "{} answers to {} rows",
                self.answers.len(),
                columns.rows()
            ))),
        }
    }

    /// The answer to a row is no number.
    fn refuse(
        &self,
        cx: &Context<'_>,
        refuser: &Refuser<'_>,
        asked: &Asked<'_>,
        record: &RecordRef<'_>,
        out: &mut Outbox,
    ) {
        let version = self.deployment.version.clone();
        let name = format!("{}/{version}", refuser.name);
        let outside = Outside {
            origin: asked.origin,
            time: Some(asked.event_time),
        };
        let refuser = Refuser {
            name: &name,
            ..*refuser
        };
        refuser.quarantine(
            cx,
            record,
            Some(outside),
            &Refusal::NoAnswer { version },
            out,
        );
    }

    /// The event of one row; none where the answer is no number.
    fn prediction(
        &self,
        cx: &Context<'_>,
        model: &definition::Model,
        asked: &Asked<'_>,
        row: usize,
    ) -> Option<PredictionMade> {
        let runtime = cx.known.model(&self.deployment.onnx)?.runtime();
        made(
            &self.deployment,
            model,
            asked,
            *self.answers.get(row)?,
            runtime,
            None,
        )
    }
}

impl Machine for PredictMachine {
    const VERSION: u32 = 1;
    type State = PredictState;

    fn define(&self, state: &mut PredictState, _project: &Project) {
        state.work = None;
    }

    fn needs(&self, state: &PredictState, cx: &Context<'_>, run: Option<&Run<'_>>) -> Vec<Need> {
        let need = |version: &DeploymentStarted| Need::Model {
            onnx: version.onnx,
            inputs: version.features.len(),
        };
        let mut needs: Vec<Need> = state.deployed.active().iter().map(need).collect();
        if let Some(run) = run.filter(|run| run.input == DEPLOYMENTS) {
            for record in run.batch.iter() {
                let event = Event::decode(cx.catalog, record.value.unwrap_or_default());
                if let Ok(Event::DeploymentStarted(version)) = event
                    && version.model == self.model
                {
                    needs.push(need(&version));
                }
            }
        }
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    fn fold(&self, state: &mut PredictState, cx: &Context<'_>, run: &Run<'_>, out: &mut Outbox) {
        match run.input {
            DEPLOYMENTS => self.take_deployments(state, cx, run, out),
            ROWS if state.deployed.active().is_empty() => {}
            ROWS => {
                let work = match state.work.take() {
                    Some(work) => Ok(work),
                    None => self.prepare(&state.deployed, cx.project),
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

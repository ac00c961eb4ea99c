//! Rows of features, decoded into columns, and what each deployed version answers to them.

use mainstem_columns::{Columns, Kind, Layout, Wanted};
use mainstem_kernel::{Context, Outbox};
use mainstem_schemas::definition::{self, View, digest_of};
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::{DeploymentStarted, PredictionMade};
use mainstem_schemas::{Catalog, Digest, RecordRef};

use super::EVENTS;
use super::inference::{Asked, made};
use crate::arrivals::{Decoders, Outside, Refusal, Refuser, split};

/// Columns of a row before its features.
const ORIGIN: usize = 0;
const TIME: usize = 1;
const ENTITY: usize = 2;
const FEATURES: usize = 3;

/// What is made from the definition and the deployments, and made again after a restore.
#[derive(Debug)]
pub(super) struct Answers {
    decoders: Decoders,
    columns: Columns,
    versions: Vec<Version>,
    /// Digest of the model's definition.
    pub definition: Digest,
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

impl Answers {
    /// Readies the deployed versions for rows of the view.
    pub fn new(
        deployed: &Deployed,
        model: &definition::Model,
        view: &View,
    ) -> Result<Box<Self>, String> {
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
        Ok(Box::new(Answers {
            columns: Columns::new(&layout),
            decoders: Decoders::new(layout),
            versions,
            definition: digest_of(model),
        }))
    }

    /// Appends a row of the view.
    pub fn decode(&mut self, catalog: &Catalog, record: &RecordRef<'_>) -> Result<(), Refusal> {
        let (schema, body) = split(record)?;
        let decoded = self
            .decoders
            .append(catalog, schema, body, &mut self.columns);
        decoded.map_err(|refusal| Refusal::NotOurs(refusal.to_string()))
    }

    /// Predicts the rows that were decoded, and forgets them.
    pub fn predict(
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
        )
    }
}

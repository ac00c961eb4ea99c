//! The door: predictions for whoever asks at a front door, and not for a row of a view.
//!
//! A door is a task without a lead: it reads deployments (and what every task reads), and its answers are outputs of its
//! turns. The questions are no records of the log, so each answer carries its inputs: an audit folds the turn's runs
//! again and asks the same once more ([`Question::of`]).

use mainstem_kernel::task::{Input, Mode, Output, TaskId, TaskSpec};
use mainstem_kernel::{Answer, Context, Machine, Need, Outbox, Partition, Refused, Run};
use mainstem_schemas::definition::Project;
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::{Event, PredictionMade, Role};
use mainstem_schemas::{Digest, EventId, Millis, topics};
use serde::{Deserialize, Serialize};

use super::{EVENTS, Inference, NoInference, inference, models};

/// Answers questions about one model.
#[derive(Clone, Debug)]
pub struct DoorMachine {
    model: String,
}

/// What it remembers: the deployments.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct DoorState {
    deployed: Deployed,
}

/// What a front door asks: all rows are answered, or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// The rows.
    pub rows: Vec<AskedRow>,
}

/// A row that is to be predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskedRow {
    /// Id of the request, and of the row in it.
    pub origin: EventId,
    /// Who asks.
    pub actor: Option<String>,
    /// Event time; the last tick where there is none.
    pub event_time: Option<Millis>,
    /// Entity.
    pub entity: String,
    /// The champion's features in its order.
    pub inputs: Vec<Option<f64>>,
}

/// Why a door has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnswered {
    /// The definition in force has no such model.
    #[error("the definition in force has no model {0}; apply one that has it")]
    NoModel(String),
    /// An event time that lies too far ahead.
    #[error(
        "event time {given} is more than a day ahead of the log, which takes times up to {latest}; see to the asker's clock"
    )]
    Ahead {
        /// Event time that was given.
        given: Millis,
        /// Event time that is taken at most.
        latest: Millis,
    },
    /// The model has none.
    #[error(transparent)]
    Inference(#[from] NoInference),
}

impl Question {
    /// The question that a door's prediction answers; nothing where it answers none.
    #[must_use]
    pub fn of(made: &PredictionMade) -> Option<Self> {
        let inputs = made.inputs.as_ref()?;
        let known = |value: &f64| (!value.is_nan()).then_some(*value);
        let row = AskedRow {
            origin: made.origin,
            actor: made.actor.clone(),
            event_time: Some(made.event_time),
            entity: made.entity.clone(),
            inputs: inputs.iter().map(known).collect(),
        };
        Some(Question { rows: vec![row] })
    }

    /// As a machine is asked.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Id of a prediction: its value holds its origin, and this is computed when somebody asks. `definition` is the digest
/// of the model's own definition.
#[must_use]
pub fn prediction_id(
    project: &str,
    model: &str,
    definition: &Digest,
    made: &PredictionMade,
) -> EventId {
    let role = match made.role {
        Role::Champion => "champion",
        Role::Shadow => "shadow",
        Role::Control => "control",
        Role::Baseline => "baseline",
    };
    let topic = topics::of(project, "predictions", model);
    let discriminator = format!("{}/{role}", made.version);
    EventId::derived(
        project,
        &topic,
        definition,
        &made.origin.0,
        discriminator.as_bytes(),
    )
}

impl DoorMachine {
    /// The door of a model.
    #[must_use]
    pub fn new(model: &str) -> Self {
        DoorMachine {
            model: model.into(),
        }
    }

    /// The task of a slot: each process that opens a door has one of its own.
    #[must_use]
    pub fn spec(project: &Project, model: &str, slot: u32) -> TaskSpec {
        let deployments = topics::fixed(&project.name, "deployments");
        TaskSpec {
            id: TaskId(format!("door/{model}/{slot}")),
            project: project.name.clone(),
            lead: None,
            inputs: vec![Input {
                partition: Partition::new(&deployments, 0),
                mode: Mode::Immediate,
            }],
            outputs: vec![Output {
                topic: topics::of(&project.name, "predictions", model),
                partitions: project.partitions,
            }],
        }
    }

    fn predict(
        &self,
        state: &DoorState,
        cx: &Context<'_>,
        row: AskedRow,
    ) -> Result<PredictionMade, NotAnswered> {
        let model = cx.project.models.get(&self.model);
        let model = model.ok_or_else(|| NotAnswered::NoModel(self.model.clone()))?;
        let event_time = row.event_time.unwrap_or(cx.tick.time);
        if event_time > cx.horizon {
            return Err(NotAnswered::Ahead {
                given: event_time,
                latest: cx.horizon,
            });
        }
        let champion = state.deployed.champion().ok_or(NoInference::NoChampion)?;
        let compiled = cx
            .known
            .model(&champion.onnx)
            .ok_or_else(|| NoInference::Failed {
                version: champion.version.clone(),
                why: "it was not resolved".into(),
            })?;
        let request = Inference {
            origin: row.origin,
            actor: row.actor,
            event_time,
            entity: row.entity,
            inputs: row
                .inputs
                .iter()
                .map(|value| value.unwrap_or(f64::NAN))
                .collect(),
        };
        Ok(inference(
            &state.deployed,
            compiled.as_ref(),
            model,
            request,
        )?)
    }
}

impl Machine for DoorMachine {
    const VERSION: u32 = 1;
    type State = DoorState;

    fn needs(&self, state: &DoorState, cx: &Context<'_>, run: Option<&Run<'_>>) -> Vec<Need> {
        models(&state.deployed, &self.model, cx, run)
    }

    fn fold(&self, state: &mut DoorState, cx: &Context<'_>, run: &Run<'_>, out: &mut Outbox) {
        for record in run.batch.iter() {
            match Event::decode(cx.catalog, record.value.unwrap_or_default()) {
                Ok(event) => {
                    state.deployed.take(&self.model, &event);
                }
                Err(error) => out.fault(format!(
                    "offset {} of the topic `deployments`: {error}",
                    record.offset
                )),
            }
        }
    }

    fn answer(
        &self,
        state: &DoorState,
        cx: &Context<'_>,
        question: &str,
    ) -> Result<Vec<Answer>, Refused> {
        let question: Question = serde_json::from_str(question)?;
        let rows = question.rows.into_iter();
        rows.map(|row| {
            let made = self.predict(state, cx, row)?;
            Ok(Answer {
                output: EVENTS,
                key: made.entity.clone().into_bytes(),
                event: made.into(),
            })
        })
        .collect()
    }
}

//! From a model's answer to the event: the same for a row of features and for a question at a front door.

use mainstem_kernel::Model;
use mainstem_schemas::definition;
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::{DeploymentStarted, PredictionMade};
use mainstem_schemas::{EventId, Millis};

use super::labels;

/// What a prediction is about.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub origin: EventId,
    pub event_time: Millis,
    pub entity: &'a str,
}

/// The one place where an answer becomes an event.
pub(super) fn made(
    deployment: &DeploymentStarted,
    model: &definition::Model,
    asked: &Asked<'_>,
    answer: f32,
    runtime: &str,
) -> Option<PredictionMade> {
    let probability = f64::from(answer);
    (!probability.is_nan()).then(|| PredictionMade {
        origin: asked.origin,
        event_time: asked.event_time,
        entity: asked.entity.to_owned(),
        target_time: labels::target(asked.event_time, model.label.horizon),
        version: deployment.version.clone(),
        role: deployment.role,
        probability,
        class: i32::from(probability >= model.threshold),
        inputs: None,
        actor: None,
        runtime: runtime.to_owned(),
    })
}

/// What a front door asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Inference {
    /// Id of the request.
    pub origin: EventId,
    /// Who asks.
    pub actor: Option<String>,
    /// Event time.
    pub event_time: Millis,
    /// Entity.
    pub entity: String,
    /// The champion's features in its order; NaN is missing.
    pub inputs: Vec<f64>,
}

/// Why a door has no prediction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoInference {
    /// Nothing is deployed.
    #[error("no version is deployed yet; train and promote one first")]
    NoChampion,
    /// Another number of inputs.
    #[error("version {version} takes {takes} inputs ({features}), not {given}")]
    Inputs {
        /// The champion.
        version: String,
        /// Inputs that it takes.
        takes: usize,
        /// Inputs that it was given.
        given: usize,
        /// Their names.
        features: String,
    },
    /// The model failed.
    #[error("version {version}: {why}")]
    Failed {
        /// The champion.
        version: String,
        /// The runtime's words.
        why: String,
    },
}

/// A front door's prediction: the champion's, with the inputs in the event, for they are no row of the view.
///
/// # Errors
/// [`NoInference`].
pub fn inference(
    deployed: &Deployed,
    compiled: &dyn Model,
    model: &definition::Model,
    request: Inference,
) -> Result<PredictionMade, NoInference> {
    let champion = deployed.champion().ok_or(NoInference::NoChampion)?;
    let version = champion.version.clone();
    if request.inputs.len() != champion.features.len() {
        return Err(NoInference::Inputs {
            version,
            takes: champion.features.len(),
            given: request.inputs.len(),
            features: champion.features.join(", "),
        });
    }
    let row: Vec<f32> = request.inputs.iter().map(|value| *value as f32).collect();
    let mut answers = Vec::with_capacity(1);
    let failed = |why: String| NoInference::Failed {
        version: version.clone(),
        why,
    };
    compiled.predict(&row, &mut answers).map_err(failed)?;
    let answer = *answers.first().ok_or_else(|| failed("no answer".into()))?;
    let asked = Asked {
        origin: request.origin,
        event_time: request.event_time,
        entity: &request.entity,
    };
    let event = made(champion, model, &asked, answer, compiled.runtime());
    let event = event
        .ok_or_else(|| failed("it gave no number; see that it takes missing inputs".into()))?;
    Ok(PredictionMade {
        inputs: Some(request.inputs),
        actor: request.actor,
        ..event
    })
}

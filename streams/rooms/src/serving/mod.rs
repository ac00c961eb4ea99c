//! The room of serving: predictions as a fold of features and deployments, and the labels that come to them.
//!
//! *Predict* ([`predict`]) reads a view's rows and the deployments of a model; out goes one `PredictionMade` per row and
//! deployed version, whatever the version is deployed for. A front door ([`door`]) predicts by the same function
//! ([`inference()`]).
//!
//! *Join* ([`join`]) reads the predictions and the arrivals that carry the label; on each tick out go, in a fixed order,
//! the predictions that met their label since the tick before, labels that were corrected, and labels that waited in
//! vain. [`labels`] says what a label is; the training sets are labelled by the same functions.
//!
//! Next room: [`drift`](crate::drift) measures what is labelled.

mod answers;
pub mod door;
pub mod inference;
pub mod join;
pub mod labels;
pub mod pending;
pub mod predict;
#[cfg(test)]
mod tests;

pub use door::{AskedRow, DoorMachine, NotAnswered, Question, prediction_id};
pub use inference::{Inference, NoInference, inference};
pub use join::JoinMachine;
pub use labels::{LabelReader, label_rows};
pub use predict::PredictMachine;

use mainstem_kernel::{Context, Need, Run};
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::{DeploymentStarted, Event};

/// Outputs of both tasks: the events, and what could not be read.
const EVENTS: usize = 0;
const QUARANTINE: usize = 1;

/// The models of everything deployed, and of what a run of deployments adds: a promotion makes a champion of a shadow
/// without naming its model again.
fn models(deployed: &Deployed, model: &str, cx: &Context<'_>, run: Option<&Run<'_>>) -> Vec<Need> {
    let need = |version: &DeploymentStarted| Need::Model {
        onnx: version.onnx,
        inputs: version.features.len(),
    };
    let mut needs: Vec<Need> = deployed.active().iter().map(need).collect();
    for record in run.iter().flat_map(|run| run.batch.iter()) {
        let event = Event::decode(cx.catalog, record.value.unwrap_or_default());
        if let Ok(Event::DeploymentStarted(version)) = event
            && version.model == model
        {
            needs.push(need(&version));
        }
    }
    needs.sort_unstable();
    needs.dedup();
    needs
}

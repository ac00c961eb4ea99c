//! Drift and performance: is the champion still given what it was trained on, and is it still right?
//!
//! Three machines. [`ProfileMachine`] (one per model, partition and subject) counts rows of features, or of the
//! champion's predictions, into the cells of the champion's [`ReferenceProfile`] and emits a `ProfileMeasured` for
//! every event-time window. [`DriftMachine`] (one per model) merges the partitions of a window, compares them with
//! the reference (PSI, KS: `DriftMeasured`) and keeps the alarms (`DriftDetected`, `DriftCleared`).
//! [`PerformanceMachine`] (one per model and partition) counts labelled predictions into `PerformanceMeasured`, each
//! version beside the champion on the same rows.
//!
//! Promised: counts are integers and windows are in event time, so how rows come in between two ticks changes
//! nothing; a window is compared with one reference only; a column is the same numbers for the reference and for
//! the windows, 32-bit floats as the model is given them.
//!
//! Two more machines watch a source without a model. [`SourceProfileMachine`] (one per monitor and partition) counts the
//! arrivals' own columns into bins that the project declares, and [`MonitorMachine`] (one per monitor) does with them
//! what [`DriftMachine`] does with a model's.
//!
//! Retrains that follow from what is measured are the next room, `trigger`.

mod alarms;
mod counted;
mod declared;
mod gathered;
mod monitor;
mod performance;
mod profile;
mod reference;
mod report;
mod rows;
mod scores;
mod source;
#[cfg(test)]
mod tests;
mod windows;

use mainstem_kernel::{Context, Need, Run};
use mainstem_schemas::definition::Model;
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::{DeploymentStarted, Event, Subject};
use mainstem_schemas::{Digest, EventId, RecordRef};

pub use declared::MonitorMachine;
pub use monitor::DriftMachine;
pub use performance::PerformanceMachine;
pub use profile::ProfileMachine;
pub use reference::{Column, NotProfile, PROBABILITY, ReferenceProfile};
pub use source::SourceProfileMachine;

/// What stands for the version where the reference is declared.
const DECLARED: &str = "declared";

/// Rank of the topic `deployments` in the models' three machines.
const DEPLOYMENTS: usize = 0;

fn model_of<'a>(cx: &Context<'a>, model: &str) -> Option<&'a Model> {
    cx.project.models.get(model)
}

/// Reads a record of a topic that only our own tasks write: what cannot be read is a defect or damage, which stops
/// the task.
fn read(cx: &Context<'_>, record: &RecordRef<'_>) -> Result<Event, String> {
    let value = record.value.unwrap_or_default();
    Event::decode(cx.catalog, value)
        .map_err(|error| format!("the record at offset {}: {error}", record.offset))
}

/// Digest of the reference of a deployed version; the baseline has none.
fn reference_of(deployed: &DeploymentStarted, subject: Subject) -> Option<Digest> {
    match subject {
        Subject::Features => deployed.profile,
        Subject::Predictions => deployed.prediction_profile,
        Subject::Arrivals => None,
    }
}

/// The references of everything deployed, and of what a run of deployments adds: a promotion names a version that
/// was deployed before, so that its reference is here when it is released.
fn references(
    cx: &Context<'_>,
    model: &str,
    deployed: &Deployed,
    run: Option<&Run<'_>>,
    subjects: &[Subject],
) -> Vec<Need> {
    let mut started: Vec<DeploymentStarted> = deployed.active().to_vec();
    if let Some(run) = run.filter(|run| run.input == DEPLOYMENTS) {
        started.extend(
            run.batch
                .iter()
                .filter_map(|record| match read(cx, &record) {
                    Ok(Event::DeploymentStarted(event)) if event.model == model => Some(event),
                    _ => None,
                }),
        );
    }
    let of = |event: &DeploymentStarted| -> Vec<Digest> {
        subjects
            .iter()
            .filter_map(|subject| reference_of(event, *subject))
            .collect()
    };
    let mut needs: Vec<Need> = started.iter().flat_map(of).map(Need::Blob).collect();
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// A reference that was resolved.
fn resolved(cx: &Context<'_>, reference: &Digest) -> Result<ReferenceProfile, String> {
    let bytes = cx
        .known
        .blob(reference)
        .ok_or_else(|| format!("the reference profile {reference} was not resolved"))?;
    ReferenceProfile::from_bytes(bytes).map_err(|error| format!("blob {reference}: {error}"))
}

/// Id of an event on the machine's output, by its natural key and what tells it from others of that key.
fn id_of(cx: &Context<'_>, definition: &Digest, key: &[&[u8]], discriminator: &[&[u8]]) -> EventId {
    cx.derive(0, definition, &framed(key), &framed(discriminator))
}

/// Parts framed by their lengths, so that a byte moved between two of them makes another key.
fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let frame = |part: &&[u8]| [&(part.len() as u64).to_le_bytes(), *part].concat();
    parts.iter().flat_map(frame).collect()
}

/// A subject's name in natural keys; frozen.
fn subject_key(subject: Subject) -> &'static [u8] {
    match subject {
        Subject::Features => b"features",
        Subject::Predictions => b"predictions",
        Subject::Arrivals => b"arrivals",
    }
}

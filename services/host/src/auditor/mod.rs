//! The auditor: everything that was ever derived is computed again from the log and compared, bit for bit.
//!
//! [`verify`] reads the topic `turns` once. Each turn must follow the one before it under the hash chain; the records
//! that it read must have the digests that it holds; folding them again must give what it says that it wrote, and what
//! is stored. Every chain must end with the turn that the log remembers as the task's last. Blobs that events name must hold what their digests say, snapshots must be the state after their turns.
//!
//! A difference is placed: a derived record to its field, with both values; a fact to its block of 64 records; a turn, a
//! snapshot and a blob to itself. Damage does not stop the audit: a task whose inputs or turns are damaged is compared by
//! the digests of its turns alone, until a later snapshot lets it fold again.
//!
//! What a topic of others has forgotten since it was copied is no damage: the copies are compared with the digests of the
//! turns that wrote them, and the report states the horizon.
//!
//! What a topic that is read in place has forgotten cannot be recomputed, and is counted as beyond its horizon: what was
//! written from it is compared with the digests, until a later snapshot. Records that happened within the horizon and
//! are gone are damage.
//!
//! [`explain()`] goes the way back: from a prediction to the arrival, the version and everything that brought it about.

mod audit;
mod beyond;
mod chain;
mod door;
mod ends;
pub mod explain;
mod fields;
mod found;
mod holes;
mod inputs;
mod lane;
mod outputs;
mod report;
mod schemas;
mod stores;
mod task;

use std::collections::BTreeMap;

use mainstem_kernel::log::{Log, LogError, Partition};
use mainstem_kernel::runner::Blobs;
use mainstem_kernel::worker::{Factory, for_each};
use mainstem_kernel::{Resolver, TaskId, TaskSpec};
use mainstem_rooms::topology::tasks_of;
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::Event;
use mainstem_schemas::topics;

pub use explain::{Asked, ExplainError, Explanation, explain};
pub use report::{Beyond, Finding, Horizon, MAX_FINDINGS, Place, Report, Uncovered, Unfolded};

/// What an audit reads and computes with.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// The log.
    pub log: &'a dyn Log,
    /// The blobs.
    pub blobs: &'a dyn Blobs,
    /// Looks models and profiles up.
    pub resolver: &'a dyn Resolver,
    /// Machines by task.
    pub factory: &'a Factory,
    /// The definition in force.
    pub project: &'a Project,
}

/// How far an audit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Records of the topic `turns` that were read.
    pub done: u64,
    /// Records of the topic `turns`.
    pub total: u64,
    /// Turns.
    pub turns: u64,
    /// Derived events that were recomputed and are equal.
    pub derived_events: u64,
}

/// Audits a log: the tasks of every definition that was ever applied.
///
/// # Errors
/// The log's, where it cannot be opened or read at all. Damage is no error: it is in the report.
pub fn verify(parts: &Parts<'_>, progress: &mut dyn FnMut(&Progress)) -> Result<Report, LogError> {
    let specs = specs(parts)?;
    verify_tasks(parts, specs, progress)
}

/// Audits the tasks of a log.
///
/// # Errors
/// As [`verify`].
pub fn verify_tasks(
    parts: &Parts<'_>,
    specs: impl IntoIterator<Item = TaskSpec>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Report, LogError> {
    let specs = specs.into_iter().map(|spec| (spec.id.clone(), spec));
    let specs: BTreeMap<TaskId, TaskSpec> = specs.collect();
    audit::Audit::open(parts, &specs)?.run(progress)
}

/// The tasks of all definitions, each as the last one that has it says, and with what it read and wrote before that. A
/// turn may have been taken under an older definition than the one that it folded, for a worker hears of a new one after
/// it is in the log; what a task may read is therefore any of its inputs, and what it did read its turns say.
fn specs(parts: &Parts<'_>) -> Result<Vec<TaskSpec>, LogError> {
    let mut specs: BTreeMap<TaskId, TaskSpec> = BTreeMap::new();
    for project in definitions(parts)?.iter().chain([parts.project]) {
        for mut spec in tasks_of(project) {
            if let Some(before) = specs.remove(&spec.id) {
                add_missing(&mut spec.inputs, before.inputs, |input| &input.partition);
                add_missing(&mut spec.outputs, before.outputs, |output| &output.topic);
            }
            specs.insert(spec.id.clone(), spec);
        }
    }
    Ok(specs.into_values().collect())
}

fn add_missing<T, K: PartialEq>(to: &mut Vec<T>, from: Vec<T>, key: impl Fn(&T) -> &K) {
    for one in from {
        if !to.iter().any(|other| key(other) == key(&one)) {
            to.push(one);
        }
    }
}

/// The definitions that were applied, in order. One that cannot be read is found by its digest, as any fact is.
fn definitions(parts: &Parts<'_>) -> Result<Vec<Project>, LogError> {
    let mut reader = parts.log.reader()?;
    let name = &parts.project.name;
    let catalog = schemas::read(reader.as_mut(), name, &mut found::Found::default())?;
    let mut definitions = Vec::new();
    let partition = Partition::new(&topics::fixed(name, "definitions"), 0);
    let read = for_each(reader.as_mut(), &partition, |record| {
        let event = Event::decode(&catalog, record.value.unwrap_or_default());
        if let Ok(Event::DefinitionApplied(applied)) = event
            && let Ok(project) = serde_json::from_str::<Project>(&applied.definition)
            && project.name == *name
        {
            definitions.push(project);
        }
        Ok(())
    });
    match read {
        Ok(()) | Err(LogError::Damaged(_) | LogError::OutOfRange { .. }) => Ok(definitions),
        Err(error) => Err(error),
    }
}

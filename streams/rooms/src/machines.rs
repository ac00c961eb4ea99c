//! The machine of each task, by the room that its name begins with.

use mainstem_kernel::Machine;
use mainstem_kernel::rounds::Frame;
use mainstem_kernel::task::{Task, TaskSpec};
use mainstem_schemas::events::Subject;

use crate::audit::AuditMachine;
use crate::copy::CopyMachine;
use crate::drift::{
    DriftMachine, MonitorMachine, PerformanceMachine, ProfileMachine, SourceProfileMachine,
};
use crate::features::FeatureMachine;
use crate::registry::RegistryMachine;
use crate::rollout::RolloutMachine;
use crate::serving::{DoorMachine, JoinMachine, PredictMachine};
use crate::training::TrainerMachine;
use crate::trigger::TriggerMachine;

/// Makes the machine of a task, of its object and partition.
pub type Make = fn(&TaskSpec, &str, u32) -> Box<dyn Task>;

/// Every kind of machine, by the first part of its tasks' names.
pub const KINDS: [(&str, Make); 16] = [
    ("copy", |spec, source, _| {
        framed(CopyMachine::new(source), spec)
    }),
    ("features", |spec, view, _| {
        framed(FeatureMachine::new(&spec.project, view), spec)
    }),
    ("predict", |spec, model, _| {
        framed(PredictMachine::new(&spec.project, model), spec)
    }),
    ("door", |spec, model, _| {
        framed(DoorMachine::new(model), spec)
    }),
    ("join", |spec, model, _| {
        framed(JoinMachine::new(&spec.project, model), spec)
    }),
    ("profile_features", |spec, model, partition| {
        let subject = Subject::Features;
        framed(ProfileMachine::new(model, partition, subject), spec)
    }),
    ("profile_predictions", |spec, model, partition| {
        let subject = Subject::Predictions;
        framed(ProfileMachine::new(model, partition, subject), spec)
    }),
    ("profile_source", |spec, monitor, partition| {
        framed(SourceProfileMachine::new(monitor, partition), spec)
    }),
    ("monitor", |spec, monitor, _| {
        framed(MonitorMachine::new(monitor), spec)
    }),
    ("performance", |spec, model, partition| {
        framed(PerformanceMachine::new(model, partition), spec)
    }),
    ("drift", |spec, model, _| {
        framed(DriftMachine::new(model), spec)
    }),
    ("trigger", |spec, model, _| {
        framed(TriggerMachine::new(model), spec)
    }),
    ("trainer", |spec, model, _| {
        framed(TrainerMachine::new(model), spec)
    }),
    ("registry", |spec, model, _| {
        framed(RegistryMachine::new(model), spec)
    }),
    ("rollout", |spec, model, _| {
        framed(RolloutMachine::new(model), spec)
    }),
    ("auditor", |spec, _, _| framed(AuditMachine, spec)),
];

/// A task at the beginning of its inputs; nothing for a room that this version does not have.
#[must_use]
pub fn machine(spec: &TaskSpec) -> Option<Box<dyn Task>> {
    let mut parts = spec.id.0.split('/');
    let (kind, object, partition) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
    let (_, make) = KINDS.iter().find(|(name, _)| *name == kind)?;
    Some(make(spec, object, partition))
}

fn framed<M: Machine>(machine: M, spec: &TaskSpec) -> Box<dyn Task> {
    Box::new(Frame::new(machine, spec.clone()))
}

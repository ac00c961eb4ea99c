//! The machine of each task, by the room that its name begins with.

use mainstem_kernel::rounds::Frame;
use mainstem_kernel::task::{Task, TaskSpec};
use mainstem_schemas::events::Subject;

use crate::audit::AuditMachine;
use crate::drift::{DriftMachine, PerformanceMachine, ProfileMachine};
use crate::features::FeatureMachine;
use crate::registry::RegistryMachine;
use crate::rollout::RolloutMachine;
use crate::serving::{DoorMachine, JoinMachine, PredictMachine};
use crate::training::TrainerMachine;
use crate::trigger::TriggerMachine;

/// A task at the beginning of its inputs; nothing for a room that this version does not have.
#[must_use]
pub fn machine(spec: &TaskSpec) -> Option<Box<dyn Task>> {
    let mut parts = spec.id.0.split('/');
    let (room, object, partition) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
    let spec = spec.clone();
    Some(match room {
        "features" => Box::new(Frame::new(FeatureMachine::new(&spec.project, object), spec)),
        "predict" => Box::new(Frame::new(PredictMachine::new(&spec.project, object), spec)),
        "door" => Box::new(Frame::new(DoorMachine::new(object), spec)),
        "join" => Box::new(Frame::new(JoinMachine::new(&spec.project, object), spec)),
        "profile_features" => Box::new(Frame::new(
            ProfileMachine::new(object, partition, Subject::Features),
            spec,
        )),
        "profile_predictions" => Box::new(Frame::new(
            ProfileMachine::new(object, partition, Subject::Predictions),
            spec,
        )),
        "performance" => Box::new(Frame::new(PerformanceMachine::new(object, partition), spec)),
        "drift" => Box::new(Frame::new(DriftMachine::new(object), spec)),
        "trigger" => Box::new(Frame::new(TriggerMachine::new(object), spec)),
        "trainer" => Box::new(Frame::new(TrainerMachine::new(object), spec)),
        "registry" => Box::new(Frame::new(RegistryMachine::new(object), spec)),
        "rollout" => Box::new(Frame::new(RolloutMachine::new(object), spec)),
        "auditor" => Box::new(Frame::new(AuditMachine, spec)),
        _ => return None,
    })
}

//! Which version serves, which runs in its shadow, and who changes that.

mod asked;
mod shadows;
mod versions;

use mainstem_kernel::decider::testing::{Order, Scene, example_project};
use mainstem_schemas::Digest;
use mainstem_schemas::events::{
    ModelApproved, ModelRejected, ModelVersionRegistered, Paired, PerformanceMeasured,
    PromotionAsked, RetrainClosed, RollbackAsked,
};

use super::*;
use crate::harness::{inputs_of, spec};

const DAY: i64 = 86_400_000;

fn day(n: i64) -> Millis {
    Millis(n * DAY)
}

fn scene() -> Scene<RolloutMachine> {
    let project = example_project();
    let spec = spec(&project, "rollout/m/0");
    Scene::new(RolloutMachine::new("m"), project, spec)
}

/// The retrain that makes version `v<n>`.
fn run(n: u64) -> EventId {
    EventId::row(1, 1, n)
}

fn registered(n: u64) -> ModelVersionRegistered {
    ModelVersionRegistered {
        model: "m".into(),
        version: format!("v{n}"),
        run: Some(run(n)),
        onnx: Digest::of(&n.to_le_bytes()),
        features: vec!["x".into()],
        view: Digest::of(b"view"),
        content: None,
        profile: Some(Digest::of(b"profile")),
        prediction_profile: None,
    }
}

fn approved(n: u64) -> ModelApproved {
    ModelApproved {
        model: "m".into(),
        version: format!("v{n}"),
        detail: String::new(),
    }
}

fn rejected(n: u64) -> ModelRejected {
    ModelRejected {
        model: "m".into(),
        version: format!("v{n}"),
        retrain: run(n),
        detail: String::new(),
    }
}

fn paired(champion: &str, rows: i64, correct: i64, champion_correct: i64) -> Paired {
    Paired {
        champion: champion.into(),
        rows,
        correct,
        champion_correct,
    }
}

fn measured(n: u64, start: i64, revision: i32, paired: Vec<Paired>) -> PerformanceMeasured {
    PerformanceMeasured {
        model: "m".into(),
        version: format!("v{n}"),
        role: Role::Shadow,
        partition: 0,
        window_start: day(start),
        window_end: day(start + 1),
        revision,
        rows: 0,
        true_positives: 0,
        false_positives: 0,
        true_negatives: 0,
        false_negatives: 0,
        accuracy: None,
        precision: None,
        recall: None,
        f1: None,
        paired,
        uncounted: 0,
    }
}

fn promotion(version: &str) -> PromotionAsked {
    PromotionAsked {
        model: "m".into(),
        version: version.into(),
        note: "it looks good".into(),
    }
}

fn rollback() -> RollbackAsked {
    RollbackAsked {
        model: "m".into(),
        note: "complaints".into(),
    }
}

fn expired(retrain: EventId) -> RetrainClosed {
    RetrainClosed {
        model: "m".into(),
        retrain,
        outcome: RetrainOutcome::Expired,
    }
}

/// What happened, in few words.
fn told(events: &[Event]) -> Vec<String> {
    let tell = |event: &Event| match event {
        Event::DeploymentStarted(e) => format!("{:?} {}", e.role, e.version),
        Event::DeploymentEnded(e) => format!("end {:?} {}", e.role, e.version),
        Event::Promoted(e) => format!("promoted {} over {:?}", e.version, e.previous),
        Event::RolledBack(e) => format!("back to {} from {}", e.version, e.previous),
        other => panic!("{other:?}"),
    };
    events.iter().map(tell).collect()
}

fn approve(scene: &mut Scene<RolloutMachine>, n: u64) {
    scene.given(input::MODELS, registered(n));
    scene.given(input::MODELS, approved(n));
}

/// v1 serves since day 1, v2 is its shadow since day 2.
fn challenged() -> Scene<RolloutMachine> {
    let mut scene = scene();
    approve(&mut scene, 1);
    scene.tick(day(1));
    approve(&mut scene, 2);
    assert_eq!(told(&scene.events(day(2))), ["Shadow v2"]);
    scene
}

#[test]
fn the_inputs_are_those_of_the_topology() {
    let topics = inputs_of(&example_project(), "rollout/m/0");
    assert_eq!(topics[input::MODELS], "p.models");
    assert_eq!(topics[input::PERFORMANCE], "p.performance");
    assert_eq!(topics[input::TRIGGERS], "p.triggers");
    assert_eq!(topics[input::REQUESTS], "p.requests.rollout");
}

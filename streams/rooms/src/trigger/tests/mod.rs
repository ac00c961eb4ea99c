//! What the trigger asks for, what it holds back, and why.

mod drift;
mod performance;
mod requests;

use mainstem_kernel::decider::testing::{Order, Scene, example_project};
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::{
    DeploymentEnded, DeploymentStarted, DriftCleared, DriftDetected, DriftMethod, ModelRejected,
    PerformanceMeasured, Promoted, RetrainAsked, Role, RunFailed, Subject,
};
use mainstem_schemas::{Digest, Millis, Span};

use super::*;
use crate::harness::{inputs_of, spec};

const DAY: i64 = 86_400_000;

fn day(n: i64) -> Millis {
    Millis(n * DAY)
}

fn scene_of(project: Project) -> Scene<TriggerMachine> {
    let spec = spec(&project, "trigger/m/0");
    Scene::new(TriggerMachine::new("m"), project, spec)
}

/// The first training is not asked for, so that each test begins without an open retrain.
fn scene() -> Scene<TriggerMachine> {
    scene_of(without_initial())
}

fn without_initial() -> Project {
    let mut project = example_project();
    project.models.get_mut("m").unwrap().retrain.initial = None;
    project
}

fn asked() -> RetrainAsked {
    RetrainAsked {
        model: "m".into(),
        note: "new tariff".into(),
    }
}

fn promoted(version: &str, retrain: Option<EventId>, since: Millis) -> Promoted {
    Promoted {
        model: "m".into(),
        version: version.into(),
        previous: None,
        retrain,
        detail: String::new(),
        since,
    }
}

fn alarm(version: &str, method: DriftMethod) -> DriftDetected {
    DriftDetected {
        model: "m".into(),
        subject: Subject::Features,
        feature: "x".into(),
        method,
        version: version.into(),
        statistic: 0.31,
        threshold: 0.2,
        windows: 2,
        window_end: day(9),
        evidence: Vec::new(),
    }
}

fn cleared(detected: EventId) -> DriftCleared {
    DriftCleared {
        model: "m".into(),
        subject: Subject::Features,
        feature: "x".into(),
        method: DriftMethod::Psi,
        detected,
        reason: "below threshold".into(),
    }
}

fn measured(role: Role, start: i64, correct: i64, revision: i32) -> PerformanceMeasured {
    PerformanceMeasured {
        model: "m".into(),
        version: if role == Role::Baseline {
            "baseline"
        } else {
            "v1"
        }
        .into(),
        role,
        partition: 0,
        window_start: day(start),
        window_end: day(start + 1),
        revision,
        rows: 100,
        true_positives: correct,
        false_positives: 100 - correct,
        true_negatives: 0,
        false_negatives: 0,
        accuracy: None,
        precision: None,
        recall: None,
        f1: None,
        paired: Vec::new(),
        uncounted: 0,
    }
}

fn requested(events: &[Event]) -> &RetrainRequested {
    match events {
        [Event::RetrainRequested(requested)] => requested,
        other => panic!("{other:?}"),
    }
}

fn suppressed(events: &[Event]) -> &RetrainSuppressed {
    match events {
        [Event::RetrainSuppressed(suppressed)] => suppressed,
        other => panic!("{other:?}"),
    }
}

fn closed(events: &[Event]) -> &RetrainClosed {
    match events {
        [Event::RetrainClosed(closed)] => closed,
        other => panic!("{other:?}"),
    }
}

/// A champion of day 1, and a request answered and closed on day 1: cool-down until day 8.
fn serving() -> Scene<TriggerMachine> {
    let mut scene = scene();
    scene.given(input::REQUESTS, asked());
    let retrain = scene.tick(day(1))[0].envelope.id;
    scene.given(input::DEPLOYMENTS, promoted("v1", Some(retrain), day(1)));
    assert_eq!(
        closed(&scene.events(day(1))).outcome,
        RetrainOutcome::Promoted
    );
    scene
}

fn behind(scene: &mut Scene<TriggerMachine>, start: i64) {
    scene.given(input::PERFORMANCE, measured(Role::Champion, start, 70, 0));
    scene.given(input::PERFORMANCE, measured(Role::Baseline, start, 80, 0));
}

#[test]
fn the_inputs_are_those_of_the_topology() {
    let topics = inputs_of(&example_project(), "trigger/m/0");
    assert_eq!(topics[input::DEPLOYMENTS], "p.deployments");
    assert_eq!(topics[input::PERFORMANCE], "p.performance");
    assert_eq!(topics[input::DRIFT], "p.drift");
    assert_eq!(topics[input::MODELS], "p.models");
    assert_eq!(topics[input::RUNS], "p.runs");
    assert_eq!(topics[input::REQUESTS], "p.requests.trigger");
}

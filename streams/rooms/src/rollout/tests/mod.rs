use mainstem_kernel::decider::testing::{Order, Scene, example_project};
use mainstem_schemas::Digest;
use mainstem_schemas::events::{
    ModelApproved, ModelRejected, ModelVersionRegistered, Paired, PerformanceMeasured,
    PromotionAsked, RetrainClosed, RollbackAsked,
};

use super::*;
use crate::topology::tasks_of;

const DAY: i64 = 86_400_000;

fn day(n: i64) -> Millis {
    Millis(n * DAY)
}

fn scene() -> Scene<RolloutMachine> {
    let project = example_project();
    let specs = tasks_of(&project);
    let spec = specs.into_iter().find(|spec| spec.id.0 == "rollout/m/0");
    Scene::new(RolloutMachine::new("m"), project, spec.unwrap())
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
    let specs = tasks_of(&example_project());
    let spec = specs
        .iter()
        .find(|spec| spec.id.0 == "rollout/m/0")
        .unwrap();
    let topics: Vec<&str> = spec.inputs.iter().map(|i| &*i.partition.topic).collect();
    assert_eq!(topics[input::MODELS], "p.models");
    assert_eq!(topics[input::PERFORMANCE], "p.performance");
    assert_eq!(topics[input::TRIGGERS], "p.triggers");
    assert_eq!(topics[input::REQUESTS], "p.requests.rollout");
}

#[test]
fn the_first_version_serves_with_its_control_and_the_next_is_a_shadow() {
    for order in [Order::Given, Order::Reversed] {
        let mut scene = scene().in_order(order);
        approve(&mut scene, 1);
        let events = scene.events(day(1));
        let wanted = ["Champion v1", "promoted v1 over None", "Control v1"];
        assert_eq!(told(&events), wanted);
        let Event::Promoted(promoted) = &events[1] else {
            panic!()
        };
        assert_eq!((promoted.retrain, promoted.since), (Some(run(1)), day(1)));
        approve(&mut scene, 2);
        assert_eq!(told(&scene.events(day(1))), ["Shadow v2"]);
        assert!(scene.events(day(1)).is_empty());
    }
}

#[test]
fn without_a_control_none_is_deployed() {
    let mut scene = scene();
    scene.project.models.get_mut("m").unwrap().control = false;
    approve(&mut scene, 1);
    assert_eq!(
        told(&scene.events(day(1))),
        ["Champion v1", "promoted v1 over None"]
    );
}

#[test]
fn a_verdict_waits_for_its_version_and_a_version_for_its_verdict() {
    let mut scene = scene();
    scene.given(input::MODELS, approved(1));
    assert!(scene.events(day(1)).is_empty());
    scene.given(input::MODELS, registered(2));
    assert!(scene.events(day(1)).is_empty());
    scene.given(input::MODELS, registered(1));
    assert_eq!(scene.events(day(1)).len(), 3);
    scene.given(input::MODELS, rejected(2));
    assert!(scene.events(day(1)).is_empty());
}

#[test]
fn two_versions_of_one_tick_are_a_champion_and_a_shadow_by_their_numbers() {
    let mut scene = scene().in_order(Order::Reversed);
    approve(&mut scene, 2);
    approve(&mut scene, 10);
    let events = told(&scene.events(day(1)));
    assert_eq!(
        events,
        [
            "Champion v2",
            "promoted v2 over None",
            "Control v2",
            "Shadow v10"
        ]
    );
}

#[test]
fn the_baseline_is_deployed_at_once() {
    let mut scene = scene();
    let baseline = ModelVersionRegistered {
        version: "baseline".into(),
        run: None,
        profile: None,
        ..registered(0)
    };
    scene.given(input::MODELS, baseline);
    assert_eq!(told(&scene.events(day(1))), ["Baseline baseline"]);
    assert!(scene.events(day(1)).is_empty());
}

#[test]
fn a_better_shadow_is_promoted_when_its_time_and_its_rows_are_there() {
    let mut scene = challenged();
    scene.given(
        input::PERFORMANCE,
        measured(2, 2, 0, vec![paired("v1", 99, 60, 50)]),
    );
    assert!(scene.events(Millis(9 * DAY - 1)).is_empty(), "too early");
    assert!(scene.events(day(9)).is_empty(), "too few rows");
    scene.given(
        input::PERFORMANCE,
        measured(2, 3, 0, vec![paired("v1", 10, 4, 5)]),
    );
    let emitted = scene.tick(day(9));
    let Event::Promoted(promoted) = &emitted[0].event else {
        panic!("{emitted:?}")
    };
    assert_eq!(emitted.len(), 1);
    assert_eq!(promoted.previous.as_deref(), Some("v1"));
    assert_eq!(promoted.retrain, Some(run(2)));
    assert_eq!(
        promoted.detail,
        "v2 had 64 of 109 labelled rows right, the champion v1 55"
    );
    assert_eq!(emitted[0].envelope.correlation, Some(run(2)));
    assert!(scene.events(day(10)).is_empty());
}

#[test]
fn a_shadow_that_is_not_better_ends() {
    let mut scene = challenged();
    scene.given(
        input::PERFORMANCE,
        measured(2, 2, 0, vec![paired("v1", 100, 50, 50)]),
    );
    let events = scene.events(day(9));
    let [Event::DeploymentEnded(ended)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((ended.role, ended.retrain), (Role::Shadow, Some(run(2))));
    assert_eq!(
        ended.reason,
        "v2 had 50 of 100 labelled rows right, the champion v1 50"
    );
    assert!(scene.events(day(10)).is_empty());
}

#[test]
fn only_the_latest_revision_of_each_window_and_partition_counts() {
    for order in [Order::Given, Order::Reversed] {
        let mut scene = challenged().in_order(order);
        scene.given(
            input::PERFORMANCE,
            measured(2, 2, 0, vec![paired("v1", 60, 60, 0)]),
        );
        scene.given(
            input::PERFORMANCE,
            measured(2, 2, 1, vec![paired("v1", 60, 10, 20)]),
        );
        let other = PerformanceMeasured {
            partition: 1,
            ..measured(2, 2, 0, vec![paired("v1", 60, 25, 20)])
        };
        scene.given(input::PERFORMANCE, other);
        let events = scene.events(day(9));
        assert!(
            matches!(&events[..], [Event::DeploymentEnded(e)] if e.reason.contains("35 of 120")),
            "{order:?} {events:?}"
        );
    }
}

#[test]
fn rows_of_other_roles_versions_and_champions_do_not_count() {
    let mut scene = challenged();
    scene.given(
        input::PERFORMANCE,
        measured(3, 2, 0, vec![paired("v1", 500, 500, 0)]),
    );
    let control = PerformanceMeasured {
        role: Role::Control,
        ..measured(2, 2, 0, vec![paired("v1", 500, 500, 0)])
    };
    scene.given(input::PERFORMANCE, control);
    scene.given(
        input::PERFORMANCE,
        measured(2, 3, 0, vec![paired("v0", 500, 500, 0)]),
    );
    assert!(scene.events(day(20)).is_empty());
}

#[test]
fn an_expired_retrain_ends_its_shadow_before_the_gate() {
    let mut scene = challenged();
    scene.given(
        input::PERFORMANCE,
        measured(2, 2, 0, vec![paired("v1", 100, 60, 50)]),
    );
    scene.given(input::TRIGGERS, expired(run(2)));
    let events = scene.events(day(9));
    let [Event::DeploymentEnded(ended)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(ended.reason, "its retrain expired after 7d of shadow");
}

#[test]
fn a_version_of_an_expired_retrain_is_not_deployed_in_either_order() {
    for order in [Order::Given, Order::Reversed] {
        let mut scene = scene().in_order(order);
        scene.given(input::TRIGGERS, expired(run(1)));
        approve(&mut scene, 1);
        assert!(scene.events(day(1)).is_empty(), "{order:?}");
    }
}

#[test]
fn a_shadow_is_promoted_before_its_time_when_asked() {
    let mut scene = challenged();
    let asked = scene.given(input::REQUESTS, promotion("v2"));
    let emitted = scene.tick(day(3));
    let [one] = &emitted[..] else {
        panic!("{emitted:?}")
    };
    assert_eq!(one.envelope.causation, Some(asked));
    let Event::Promoted(promoted) = &one.event else {
        panic!("{one:?}")
    };
    assert_eq!(promoted.previous.as_deref(), Some("v1"));
    assert_eq!(promoted.retrain, Some(run(2)), "its retrain ends with it");
    assert_eq!(promoted.detail, "asked for: it looks good");
    assert!(scene.events(day(9)).is_empty());
}

#[test]
fn a_version_that_is_not_deployed_is_started_when_asked() {
    let mut scene = challenged();
    scene.given(input::REQUESTS, promotion("v2"));
    scene.tick(day(3));
    scene.given(input::REQUESTS, promotion("v1"));
    let events = scene.events(day(4));
    assert_eq!(
        told(&events),
        ["Champion v1", "promoted v1 over Some(\"v2\")"]
    );
    assert!(matches!(&events[1], Event::Promoted(p) if p.retrain.is_none()));
}

#[test]
fn a_promotion_asked_on_the_tick_of_the_registration_finds_it_in_either_order() {
    for order in [Order::Given, Order::Reversed] {
        let mut scene = scene().in_order(order);
        scene.given(input::REQUESTS, promotion("v1"));
        approve(&mut scene, 1);
        let events = scene.events(day(1));
        let wanted = ["Champion v1", "promoted v1 over None", "Control v1"];
        assert_eq!(told(&events), wanted, "{order:?}");
        assert!(scene.events(day(2)).is_empty());
    }
}

#[test]
fn what_is_asked_and_cannot_be_is_refused_by_name_and_the_next_is_answered() {
    let mut scene = challenged();
    approve(&mut scene, 3);
    scene.given(input::MODELS, rejected(3));
    for version in ["baseline", "v3", "v1"] {
        scene.given(input::REQUESTS, promotion(version));
    }
    scene.given(input::REQUESTS, rollback());
    scene.given(input::REQUESTS, promotion("v2"));
    let events = scene.events(day(3));
    assert_eq!(told(&events), ["promoted v2 over Some(\"v1\")"]);
    assert!(scene.state().asked.is_empty());
}

#[test]
fn a_version_that_is_not_known_yet_is_waited_for_a_minute() {
    let mut scene = challenged();
    scene.given(input::REQUESTS, promotion("v3"));
    scene.given(input::REQUESTS, promotion("v4"));
    assert!(scene.events(day(3)).is_empty());
    scene.given(input::MODELS, registered(3));
    let events = scene.events(Millis(3 * DAY + 59_000));
    assert_eq!(
        told(&events),
        ["Champion v3", "promoted v3 over Some(\"v1\")"]
    );
    assert_eq!(scene.state().asked.len(), 1);
    scene.tick(Millis(3 * DAY + 60_000));
    assert!(scene.state().asked.is_empty());
}

#[test]
fn a_roll_back_brings_the_champion_before_and_then_the_one_before_it() {
    let mut scene = challenged();
    for (n, at) in [(2, 3), (3, 4)] {
        scene.given(input::MODELS, registered(n));
        scene.given(input::REQUESTS, promotion(&format!("v{n}")));
        scene.tick(day(at));
    }
    let asked = scene.given(input::REQUESTS, rollback());
    let emitted = scene.tick(day(5));
    assert!(emitted.iter().all(|e| e.envelope.causation == Some(asked)));
    let events: Vec<Event> = emitted.into_iter().map(|e| e.event).collect();
    assert_eq!(told(&events), ["Champion v2", "back to v2 from v3"]);
    scene.given(input::REQUESTS, rollback());
    let events = scene.events(day(6));
    assert_eq!(told(&events), ["Champion v1", "back to v1 from v2"]);
    scene.given(input::REQUESTS, rollback());
    assert!(scene.events(day(7)).is_empty(), "nothing before v1");
    assert_eq!(scene.state().deployed.champion().unwrap().version, "v1");
}

#[test]
fn the_champion_changes_once_at_a_time() {
    let mut scene = challenged();
    scene.given(input::MODELS, registered(3));
    scene.given(input::REQUESTS, promotion("v3"));
    scene.given(input::REQUESTS, rollback());
    assert_eq!(scene.events(day(3)).len(), 2);
    assert!(
        scene.events(day(3)).is_empty(),
        "another round of the same time"
    );
    let events = scene.events(Millis(3 * DAY + 1));
    assert_eq!(told(&events), ["Champion v1", "back to v1 from v3"]);
}

#[test]
fn after_a_change_a_shadow_is_compared_with_the_present_champion() {
    let mut scene = challenged();
    scene.given(
        input::PERFORMANCE,
        measured(2, 2, 0, vec![paired("v1", 100, 60, 50)]),
    );
    scene.given(input::MODELS, registered(3));
    scene.given(input::REQUESTS, promotion("v3"));
    assert_eq!(scene.events(day(9)).len(), 2);
    assert!(scene.events(day(10)).is_empty(), "no rows beside v3");
    let both = vec![paired("v1", 10, 10, 0), paired("v3", 100, 50, 60)];
    scene.given(input::PERFORMANCE, measured(2, 9, 0, both));
    assert_eq!(told(&scene.events(day(10))), ["end Shadow v2"]);
}

#[test]
fn old_versions_are_forgotten_but_those_that_one_could_roll_back_to() {
    let mut scene = scene();
    for n in [1, 2] {
        scene.given(input::MODELS, registered(n));
        scene.given(input::REQUESTS, promotion(&format!("v{n}")));
        scene.tick(day(n as i64));
    }
    for n in 3..=400 {
        scene.given(input::MODELS, registered(n));
    }
    scene.tick(day(3));
    assert_eq!(scene.state().versions.names().count(), 256);
    scene.given(input::REQUESTS, rollback());
    let events = scene.events(day(500));
    assert_eq!(told(&events), ["Champion v1", "back to v1 from v2"]);
}

#[test]
fn refusals_say_what_to_do() {
    let refusal = Refusal::UnknownVersion {
        asked: run(1),
        version: "v9".into(),
    };
    assert_eq!(refusal.asked(), run(1));
    assert_eq!(
        refusal.to_string(),
        "there is no version v9; ask for one that is registered"
    );
}

use mainstem_kernel::decider::testing::{Order, Scene, example_project};
use mainstem_schemas::Millis;
use mainstem_schemas::events::{
    DatasetBound, DeploymentEnded, DeploymentStarted, Promoted, Role, RolledBack, RunFailed,
};

use super::*;
use crate::harness::{inputs_of, spec};

const DAY: i64 = 86_400_000;

fn scene() -> Scene<RegistryMachine> {
    let project = example_project();
    let spec = spec(&project, "registry/m/0");
    Scene::new(RegistryMachine::new("m"), project, spec)
}

fn run(n: u64) -> EventId {
    EventId::row(1, 1, n)
}

fn bound(run: EventId) -> DatasetBound {
    DatasetBound {
        model: "m".into(),
        run,
        view: Digest::of(b"view"),
        features: ["x", "y"].map(str::to_owned).to_vec(),
        from: Millis(0),
        to: Millis(DAY),
        as_of: Millis(DAY),
        rows: 500,
        content: Digest::of(b"content"),
        parquet: Digest::of(b"parquet"),
        profile: Digest::of(b"profile"),
    }
}

fn naive(attempt: i32, onnx: &[u8]) -> BaselineBuilt {
    BaselineBuilt {
        effect: run(7),
        attempt,
        model: "m".into(),
        features: ["x", "y"].map(str::to_owned).to_vec(),
        onnx: Digest::of(onnx),
    }
}

fn finished(run: EventId, correct: i64) -> RunFinished {
    RunFinished {
        model: "m".into(),
        run,
        onnx: Digest::of(b"onnx"),
        profile: Digest::of(b"profile"),
        prediction_profile: Digest::of(b"predictions"),
        content: Digest::of(b"content"),
        validation_rows: 200,
        validation_correct: correct,
        majority_correct: 110,
    }
}

fn give_run(scene: &mut Scene<RegistryMachine>, n: u64, correct: i64) {
    scene.given(input::RUNS, bound(run(n)));
    scene.given(input::RUNS, finished(run(n), correct));
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(Event::name).collect()
}

fn registered(event: &Event) -> &ModelVersionRegistered {
    match event {
        Event::ModelVersionRegistered(registered) => registered,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_inputs_are_those_of_the_topology() {
    let topics = inputs_of(&example_project(), "registry/m/0");
    assert_eq!(topics[input::DEPLOYMENTS], "p.deployments");
    assert_eq!(topics[input::RUNS], "p.runs");
    assert_eq!(topics[input::OUTCOMES], "p.outcomes");
}

#[test]
fn a_run_becomes_a_version_and_meets_the_gate_in_whatever_order_it_is_read() {
    for order in [Order::Given, Order::Reversed] {
        let mut scene = scene().in_order(order);
        give_run(&mut scene, 1, 111);
        let events = scene.events(Millis(DAY));
        assert_eq!(names(&events), ["ModelVersionRegistered", "ModelApproved"]);
        let version = registered(&events[0]);
        assert_eq!(
            (version.version.as_str(), version.run),
            ("v1", Some(run(1)))
        );
        assert_eq!(version.features, ["x", "y"]);
        assert_eq!(version.view, Digest::of(b"view"));
        assert_eq!(version.content, Some(Digest::of(b"content")));
        assert_eq!(version.prediction_profile, Some(Digest::of(b"predictions")));
        let Event::ModelApproved(approved) = &events[1] else {
            panic!()
        };
        assert_eq!(
            approved.detail,
            "111 of 200 validation rows right, the majority class 110"
        );
        assert!(scene.events(Millis(DAY)).is_empty());
    }
}

#[test]
fn versions_are_numbered_in_turn() {
    let mut scene = scene();
    for n in 1..=11 {
        give_run(&mut scene, n, 150);
        let events = scene.events(Millis(DAY));
        assert_eq!(registered(&events[0]).version, format!("v{n}"));
    }
}

#[test]
fn as_good_as_the_majority_is_not_good_enough() {
    let mut scene = scene();
    give_run(&mut scene, 1, 110);
    let events = scene.events(Millis(DAY));
    let Event::ModelRejected(rejected) = &events[1] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (rejected.version.as_str(), rejected.retrain),
        ("v1", run(1))
    );
}

#[test]
fn a_run_of_which_something_is_missing_waits_and_a_failed_one_is_forgotten() {
    let mut scene = scene();
    scene.given(input::RUNS, finished(run(1), 150));
    scene.given(input::RUNS, bound(run(2)));
    assert!(scene.events(Millis(DAY)).is_empty());
    let failed = RunFailed {
        model: "m".into(),
        run: run(2),
        reason: String::new(),
    };
    scene.given(input::RUNS, failed);
    scene.given(input::RUNS, bound(run(1)));
    assert_eq!(scene.events(Millis(DAY)).len(), 2);
    assert!(scene.state().runs.is_empty());
}

/// The registry hears of a run when the definition has already gone on.
#[test]
fn a_version_has_the_features_that_it_was_trained_on() {
    let mut scene = scene();
    let model = scene.project.models.get_mut("m").unwrap();
    model.features.reverse();
    assert_eq!(model.features, ["y", "x"]);
    give_run(&mut scene, 1, 150);
    scene.given(input::OUTCOMES, naive(1, b"one"));
    let events = scene.events(Millis(DAY));
    let is_version = |event: &&Event| event.name() == "ModelVersionRegistered";
    let versions: Vec<_> = events.iter().filter(is_version).map(registered).collect();
    assert_eq!(versions.len(), 2);
    for version in versions {
        assert_eq!(version.features, ["x", "y"], "{}", version.version);
    }
}

#[test]
fn runs_that_never_end_are_forgotten_beyond_a_limit_oldest_first() {
    let mut scene = scene();
    for n in 0..100 {
        scene.given(input::RUNS, bound(run(n)));
        scene.tick(Millis(DAY + n as i64));
    }
    assert_eq!(scene.state().runs.len(), 64);
    assert!(scene.state().runs.contains_key(&run(99)));
    assert!(!scene.state().runs.contains_key(&run(35)));
}

#[test]
fn the_first_baseline_is_registered_and_no_other() {
    let mut scene = scene();
    scene.given(input::OUTCOMES, naive(1, b"one"));
    scene.given(input::OUTCOMES, naive(2, b"two"));
    let events = scene.events(Millis(DAY));
    assert_eq!(names(&events), ["ModelVersionRegistered"]);
    let baseline = registered(&events[0]);
    assert_eq!(
        (baseline.version.as_str(), baseline.run),
        ("baseline", None)
    );
    assert_eq!(baseline.onnx, Digest::of(b"one"));
    assert_eq!((baseline.profile, baseline.content), (None, None));
    let view = &scene.project.views["v"];
    assert_eq!(baseline.view, definition::digest_of(view));
    scene.given(input::OUTCOMES, naive(1, b"one"));
    assert!(scene.events(Millis(DAY)).is_empty());
}

#[test]
fn a_version_that_lost_as_a_shadow_is_rejected() {
    let mut scene = scene();
    let ended = |retrain| DeploymentEnded {
        model: "m".into(),
        version: "v2".into(),
        role: Role::Shadow,
        retrain,
        reason: "it had fewer right".into(),
        since: Millis(DAY),
    };
    scene.given(input::DEPLOYMENTS, ended(None));
    assert!(scene.events(Millis(DAY)).is_empty());
    let cause = scene.given(input::DEPLOYMENTS, ended(Some(run(1))));
    let emitted = scene.tick(Millis(DAY));
    let Event::ModelRejected(rejected) = &emitted[0].event else {
        panic!("{emitted:?}")
    };
    assert_eq!(
        (rejected.version.as_str(), rejected.retrain),
        ("v2", run(1))
    );
    assert_eq!(rejected.detail, "it had fewer right");
    assert_eq!(emitted[0].envelope.causation, Some(cause));
    assert!(scene.events(Millis(DAY)).is_empty());
}

#[test]
fn the_alias_follows_the_champion_in_whatever_order_it_is_read() {
    let champion = |version: &str, role, day: i64| DeploymentStarted {
        model: "m".into(),
        version: version.into(),
        role,
        onnx: Digest::default(),
        features: Vec::new(),
        view: Digest::default(),
        profile: None,
        prediction_profile: None,
        since: Millis(day * DAY),
    };
    let promoted = |version: &str, day: i64| Promoted {
        model: "m".into(),
        version: version.into(),
        previous: None,
        retrain: None,
        detail: String::new(),
        since: Millis(day * DAY),
    };
    let alias = |scene: &mut Scene<RegistryMachine>, day: i64| {
        let events = scene.events(Millis(day * DAY));
        assert!(events.len() < 2, "{events:?}");
        events.first().map(|event| match event {
            Event::AliasSet(set) => format!("{}={}", set.alias, set.version),
            other => panic!("{other:?}"),
        })
    };
    for order in [Order::Given, Order::Reversed] {
        let mut scene = scene().in_order(order);
        scene.given(input::DEPLOYMENTS, champion("v1", Role::Champion, 1));
        scene.given(input::DEPLOYMENTS, promoted("v1", 1));
        scene.given(input::DEPLOYMENTS, champion("v1", Role::Control, 1));
        assert_eq!(alias(&mut scene, 1).as_deref(), Some("champion=v1"));
        scene.given(input::DEPLOYMENTS, champion("v2", Role::Shadow, 2));
        assert_eq!(alias(&mut scene, 2), None);
        // Three changes at once, as one reads them who was away: only the last counts.
        scene.given(input::DEPLOYMENTS, promoted("v2", 3));
        scene.given(input::DEPLOYMENTS, promoted("v3", 4));
        let back = RolledBack {
            model: "m".into(),
            version: "v2".into(),
            previous: "v3".into(),
            detail: String::new(),
            since: Millis(5 * DAY),
        };
        scene.given(input::DEPLOYMENTS, back);
        assert_eq!(
            alias(&mut scene, 5).as_deref(),
            Some("champion=v2"),
            "{order:?}"
        );
        assert_eq!(alias(&mut scene, 5), None);
    }
}

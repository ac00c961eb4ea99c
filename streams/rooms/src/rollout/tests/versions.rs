//! Versions as they come: from registration and verdict to their deployment.

use super::*;

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

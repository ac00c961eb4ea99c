//! Shadows beside their champion.

use super::*;

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

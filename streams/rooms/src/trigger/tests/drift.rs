//! Alarms of drift as a reason.

use super::*;

#[test]
fn drift_of_the_champion_is_followed_after_the_cool_down_and_said_once_before() {
    let mut scene = serving();
    let first = scene.given(input::DRIFT, alarm("v1", DriftMethod::Psi));
    let events = scene.events(day(3));
    assert_eq!(suppressed(&events).evidence, [first]);
    assert!(
        suppressed(&events).because.contains("1970-01-09"),
        "{events:?}"
    );
    assert!(scene.events(day(4)).is_empty());
    let second = scene.given(input::DRIFT, alarm("v1", DriftMethod::Psi));
    assert_eq!(suppressed(&scene.events(day(5))).evidence.len(), 2);
    assert!(scene.events(Millis(8 * DAY - 1)).is_empty());
    let events = scene.events(day(8));
    let mut both = requested(&events).evidence.clone();
    both.sort_unstable();
    let mut wanted = [first, second];
    wanted.sort_unstable();
    assert_eq!(both, wanted);
    assert_eq!(requested(&events).reason, RetrainReason::Drift);
    assert!(requested(&events).detail.contains("PSI of x is 0.3100"));
    // The alarms that it rests on are not said to be held back by it.
    assert!(scene.events(day(9)).is_empty());
}

#[test]
fn an_alarm_of_a_monitor_that_has_the_models_name_is_none_of_the_models() {
    let mut scene = serving();
    let mut of_a_monitor = alarm("v1", DriftMethod::Psi);
    of_a_monitor.subject = Subject::Arrivals;
    scene.given(input::DRIFT, of_a_monitor);
    assert_eq!(scene.events(day(8)), []);
    let own = scene.given(input::DRIFT, alarm("v1", DriftMethod::Psi));
    assert_eq!(requested(&scene.events(day(9))).evidence, [own]);
}

#[test]
fn a_rejected_retrain_is_asked_for_again_while_the_alarm_is_open() {
    let mut scene = serving();
    let alarm = scene.given(input::DRIFT, alarm("v1", DriftMethod::Psi));
    let first = scene.tick(day(8))[0].envelope.id;
    let rejected = ModelRejected {
        model: "m".into(),
        version: "v2".into(),
        retrain: first,
        detail: String::new(),
    };
    scene.given(input::MODELS, rejected);
    let names: Vec<&str> = scene.events(day(9)).iter().map(Event::name).collect();
    assert_eq!(names, ["RetrainClosed", "RetrainSuppressed"]);
    assert!(scene.events(day(10)).is_empty());
    let again = scene.tick(day(15));
    assert_ne!(again[0].envelope.id, first);
    assert!(matches!(&again[0].event, Event::RetrainRequested(r) if r.evidence == [alarm]));
}

#[test]
fn alarms_of_other_tests_other_champions_and_closed_ones_ask_for_nothing() {
    for order in [Order::Given, Order::Reversed] {
        let mut scene = serving().in_order(order);
        scene.given(input::DRIFT, alarm("v1", DriftMethod::Ks));
        scene.given(input::DRIFT, alarm("v0", DriftMethod::Psi));
        let id = scene.given(input::DRIFT, alarm("v1", DriftMethod::Psi));
        scene.given(input::DRIFT, cleared(id));
        assert!(scene.events(day(9)).is_empty(), "{order:?}");
    }
}

/// The promotion that answers an alarm and the alarm's end are read on different ticks.
#[test]
fn an_alarm_that_a_promotion_answered_asks_for_nothing_while_it_is_being_cleared() {
    let mut scene = serving();
    scene.given(input::DRIFT, alarm("v1", DriftMethod::Psi));
    let retrain = scene.tick(day(8))[0].envelope.id;
    scene.given(input::DEPLOYMENTS, promoted("v2", Some(retrain), day(16)));
    assert_eq!(closed(&scene.events(day(16))).retrain, retrain);
    assert!(scene.events(day(16)).is_empty());
}

/// Without a cool-down a retrain that fails at once is not requested again at the same time, round after round.
#[test]
fn no_time_is_not_enough_of_a_cool_down() {
    let mut project = without_initial();
    project.models.get_mut("m").unwrap().retrain.cooldown = Span(0);
    let mut scene = scene_of(project);
    scene.given(input::DEPLOYMENTS, promoted("v1", None, day(1)));
    scene.given(input::DRIFT, alarm("v1", DriftMethod::Psi));
    let run = scene.tick(day(2))[0].envelope.id;
    let failed = RunFailed {
        model: "m".into(),
        run,
        reason: String::new(),
    };
    scene.given(input::RUNS, failed);
    let names: Vec<&str> = scene.events(day(2)).iter().map(Event::name).collect();
    assert_eq!(names, ["RetrainClosed", "RetrainSuppressed"]);
    assert!(scene.events(day(2)).is_empty());
    assert_eq!(
        requested(&scene.events(Millis(2 * DAY + 1))).reason,
        RetrainReason::Drift
    );
}

#[test]
fn a_champion_is_known_from_a_deployment_alone() {
    let mut scene = scene();
    let started = DeploymentStarted {
        model: "m".into(),
        version: "v1".into(),
        role: Role::Champion,
        onnx: Digest::default(),
        features: Vec::new(),
        view: Digest::default(),
        profile: None,
        prediction_profile: None,
        since: day(1),
    };
    scene.given(input::DEPLOYMENTS, started);
    scene.given(input::DRIFT, alarm("v1", DriftMethod::Psi));
    assert_eq!(
        requested(&scene.events(day(2))).reason,
        RetrainReason::Drift
    );
}

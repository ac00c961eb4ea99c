use mainstem_kernel::decider::testing::{Order, Scene, example_project};
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::{
    DeploymentEnded, DeploymentStarted, DriftCleared, DriftDetected, DriftMethod, ModelRejected,
    PerformanceMeasured, Promoted, RetrainAsked, Role, RunFailed, Subject,
};
use mainstem_schemas::{Digest, Millis, Span};

use super::*;
use crate::topology::tasks_of;

const DAY: i64 = 86_400_000;

fn day(n: i64) -> Millis {
    Millis(n * DAY)
}

fn scene_of(project: Project) -> Scene<TriggerMachine> {
    let specs = tasks_of(&project);
    let spec = specs.into_iter().find(|spec| spec.id.0 == "trigger/m/0");
    Scene::new(TriggerMachine::new("m"), project, spec.unwrap())
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
    let specs = tasks_of(&example_project());
    let spec = specs
        .iter()
        .find(|spec| spec.id.0 == "trigger/m/0")
        .unwrap();
    let topics: Vec<&str> = spec.inputs.iter().map(|i| &*i.partition.topic).collect();
    assert_eq!(topics[input::DEPLOYMENTS], "p.deployments");
    assert_eq!(topics[input::PERFORMANCE], "p.performance");
    assert_eq!(topics[input::DRIFT], "p.drift");
    assert_eq!(topics[input::MODELS], "p.models");
    assert_eq!(topics[input::RUNS], "p.runs");
    assert_eq!(topics[input::REQUESTS], "p.requests.trigger");
}

#[test]
fn the_first_training_is_requested_once_when_its_time_has_come() {
    let mut scene = scene_of(example_project());
    assert!(scene.events(Millis(DAY - 1)).is_empty());
    let emitted = scene.tick(Millis(DAY + 5));
    let [first] = emitted.as_slice() else {
        panic!("{emitted:?}")
    };
    let Event::RetrainRequested(requested) = &first.event else {
        panic!("{first:?}")
    };
    assert_eq!(requested.reason, RetrainReason::Initial);
    assert_eq!(requested.as_of, Millis(DAY + 5));
    assert_eq!(first.envelope.correlation, Some(first.envelope.id));
    assert!(scene.events(day(2)).is_empty());
    let failed = RunFailed {
        model: "m".into(),
        run: first.envelope.id,
        reason: "too few rows".into(),
    };
    scene.given(input::RUNS, failed);
    assert_eq!(
        closed(&scene.events(day(2))).outcome,
        RetrainOutcome::Failed
    );
    assert!(scene.events(day(20)).is_empty());
}

#[test]
fn a_request_is_not_held_back_by_the_cool_down_but_by_an_open_retrain() {
    let mut scene = serving();
    let first = scene.given(input::REQUESTS, asked());
    let second = scene.given(input::REQUESTS, asked());
    let events = scene.events(day(2));
    let [
        Event::RetrainRequested(requested),
        Event::RetrainSuppressed(suppressed),
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(requested.evidence, [first]);
    assert_eq!(suppressed.evidence, [second]);
    assert_eq!(suppressed.reason, RetrainReason::OnDemand);
    assert!(suppressed.because.contains("is open"), "{suppressed:?}");
    assert!(scene.events(day(3)).is_empty());
}

#[test]
fn a_retrain_that_ends_on_the_tick_of_a_request_gives_way_to_it_in_either_order() {
    let run = |order| {
        let mut scene = scene().in_order(order);
        scene.given(input::REQUESTS, asked());
        let retrain = scene.tick(day(1))[0].envelope.id;
        scene.given(input::DEPLOYMENTS, promoted("v1", Some(retrain), day(2)));
        scene.given(input::REQUESTS, asked());
        let names: Vec<&str> = scene.events(day(2)).iter().map(Event::name).collect();
        assert_eq!(names, ["RetrainClosed", "RetrainRequested"]);
    };
    run(Order::Given);
    run(Order::Reversed);
}

#[test]
fn every_end_of_a_retrain_closes_it_and_those_of_others_do_not() {
    type End = (usize, fn(EventId) -> Event, RetrainOutcome);
    let ends: [End; 4] = [
        (
            input::DEPLOYMENTS,
            |id| promoted("v1", Some(id), day(2)).into(),
            RetrainOutcome::Promoted,
        ),
        (
            input::DEPLOYMENTS,
            |id| {
                DeploymentEnded {
                    model: "m".into(),
                    version: "v2".into(),
                    role: Role::Shadow,
                    retrain: Some(id),
                    reason: String::new(),
                    since: day(2),
                }
                .into()
            },
            RetrainOutcome::Rejected,
        ),
        (
            input::MODELS,
            |id| {
                ModelRejected {
                    model: "m".into(),
                    version: "v2".into(),
                    retrain: id,
                    detail: String::new(),
                }
                .into()
            },
            RetrainOutcome::Rejected,
        ),
        (
            input::RUNS,
            |id| {
                RunFailed {
                    model: "m".into(),
                    run: id,
                    reason: String::new(),
                }
                .into()
            },
            RetrainOutcome::Failed,
        ),
    ];
    for (input, end, outcome) in ends {
        let mut scene = scene();
        scene.given(input::REQUESTS, asked());
        let retrain = scene.tick(day(1))[0].envelope.id;
        scene.given(input, end(EventId::row(1, 1, 1)));
        assert!(scene.events(day(2)).is_empty());
        scene.given(input, end(retrain));
        scene.given(input, end(retrain));
        let events = scene.events(day(2));
        assert_eq!(
            (closed(&events).retrain, closed(&events).outcome),
            (retrain, outcome)
        );
        scene.given(input, end(retrain));
        assert!(scene.events(day(3)).is_empty());
    }
}

#[test]
fn an_old_open_retrain_expires() {
    let mut scene = scene();
    scene.given(input::REQUESTS, asked());
    let retrain = scene.tick(day(1))[0].envelope.id;
    assert!(scene.events(Millis(31 * DAY - 1)).is_empty());
    let events = scene.events(day(31));
    assert_eq!(closed(&events).retrain, retrain);
    assert_eq!(closed(&events).outcome, RetrainOutcome::Expired);
}

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

#[test]
fn a_champion_behind_the_baseline_over_all_windows_asks_for_a_retrain() {
    let mut scene = serving();
    behind(&mut scene, 7);
    assert!(scene.events(day(8)).is_empty(), "one window of two");
    behind(&mut scene, 8);
    let events = scene.events(day(9));
    assert_eq!(requested(&events).reason, RetrainReason::Performance);
    assert_eq!(requested(&events).evidence.len(), 4);
    assert!(
        requested(&events).detail.starts_with(
            "champion 140 of 200 right (70.00 %), baseline 160 of 200 right (80.00 %)"
        ),
        "{events:?}"
    );
    assert!(scene.events(day(9)).is_empty());
}

#[test]
fn the_same_windows_are_not_followed_twice() {
    let mut scene = serving();
    behind(&mut scene, 7);
    behind(&mut scene, 8);
    let run = scene.tick(day(9))[0].envelope.id;
    let failed = RunFailed {
        model: "m".into(),
        run,
        reason: String::new(),
    };
    scene.given(input::RUNS, failed);
    assert_eq!(
        closed(&scene.events(day(9))).outcome,
        RetrainOutcome::Failed
    );
    assert!(scene.events(day(20)).is_empty());
    behind(&mut scene, 9);
    assert_eq!(requested(&scene.events(day(20))).evidence.len(), 4);
}

#[test]
fn within_the_tolerance_without_rows_without_neighbours_or_half_measured_nothing_is_asked() {
    let quiet = |give: &dyn Fn(&mut Scene<TriggerMachine>)| {
        let mut scene = serving();
        give(&mut scene);
        assert!(scene.events(day(30)).is_empty());
    };
    quiet(&|scene| {
        for start in [7, 8] {
            scene.given(input::PERFORMANCE, measured(Role::Champion, start, 79, 0));
            scene.given(input::PERFORMANCE, measured(Role::Baseline, start, 80, 0));
        }
    });
    quiet(&|scene| {
        behind(scene, 6);
        behind(scene, 8);
    });
    quiet(&|scene| {
        behind(scene, 7);
        scene.given(input::PERFORMANCE, measured(Role::Champion, 8, 70, 0));
    });
    quiet(&|scene| {
        behind(scene, 7);
        let empty = PerformanceMeasured {
            rows: 0,
            true_positives: 0,
            ..measured(Role::Champion, 8, 0, 0)
        };
        scene.given(input::PERFORMANCE, empty);
        scene.given(input::PERFORMANCE, measured(Role::Baseline, 8, 80, 0));
    });
    // Other roles, and windows before the champion's promotion.
    quiet(&|scene| {
        for start in [7, 8] {
            scene.given(input::PERFORMANCE, measured(Role::Shadow, start, 70, 0));
            scene.given(input::PERFORMANCE, measured(Role::Baseline, start, 80, 0));
        }
    });
    quiet(&|scene| {
        behind(scene, -1);
        behind(scene, 0);
    });
}

#[test]
fn every_partition_must_have_measured_a_window() {
    let mut project = without_initial();
    project.partitions = 2;
    let mut scene = scene_of(project);
    scene.given(input::DEPLOYMENTS, promoted("v1", None, day(1)));
    behind(&mut scene, 7);
    behind(&mut scene, 8);
    assert!(scene.events(day(9)).is_empty());
    for start in [7, 8] {
        for (role, correct) in [(Role::Champion, 60), (Role::Baseline, 80)] {
            let other = PerformanceMeasured {
                partition: 1,
                ..measured(role, start, correct, 0)
            };
            scene.given(input::PERFORMANCE, other);
        }
    }
    let events = scene.events(day(9));
    assert!(requested(&events).detail.starts_with("champion 260 of 400"));
    assert_eq!(requested(&events).evidence.len(), 8);
}

#[test]
fn the_latest_revision_counts_in_either_order() {
    for order in [Order::Given, Order::Reversed] {
        let mut scene = serving().in_order(order);
        behind(&mut scene, 7);
        behind(&mut scene, 8);
        scene.given(input::PERFORMANCE, measured(Role::Champion, 8, 100, 1));
        assert!(scene.events(day(9)).is_empty(), "{order:?}");
    }
}

#[test]
fn drift_goes_before_performance_and_covers_it() {
    let mut scene = serving();
    scene.given(input::DRIFT, alarm("v1", DriftMethod::Psi));
    behind(&mut scene, 7);
    behind(&mut scene, 8);
    assert_eq!(
        requested(&scene.events(day(9))).reason,
        RetrainReason::Drift
    );
    assert!(scene.events(day(9)).is_empty());
    behind(&mut scene, 9);
    let events = scene.events(day(10));
    assert_eq!(suppressed(&events).reason, RetrainReason::Performance);
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

/// As many windows as a definition may ask for.
#[test]
fn a_request_names_the_newest_events_that_it_rests_on_and_stays_small() {
    let mut project = without_initial();
    let retrain = &mut project.models.get_mut("m").unwrap().retrain;
    retrain.performance.as_mut().unwrap().windows = 10_080;
    let mut scene = scene_of(project);
    scene.given(input::DEPLOYMENTS, promoted("v1", None, day(1)));
    for start in 7..10_087 {
        behind(&mut scene, start);
    }
    let requests = scene.tick(day(10_087));
    let Event::RetrainRequested(requested) = &requests[0].event else {
        panic!("{:?}", requests[0].event);
    };
    let told = "; the evidence is the newest 1000 events of 20160";
    assert!(requested.detail.ends_with(told), "{}", requested.detail);
    let names: std::collections::BTreeSet<_> = requested.evidence.iter().collect();
    assert_eq!(names.len(), 1_000);
    let mut body = Vec::new();
    mainstem_schemas::events::encode_body(requested, &mut body).unwrap();
    assert!(body.len() < 64 << 10, "{}", body.len());
    // The same is not followed twice.
    let failed = RunFailed {
        model: "m".into(),
        run: requests[0].envelope.id,
        reason: String::new(),
    };
    scene.given(input::RUNS, failed);
    assert_eq!(scene.events(day(10_088)).len(), 1, "it is closed");
    assert!(scene.events(day(10_187)).is_empty());
    behind(&mut scene, 10_087);
    assert_eq!(scene.events(day(10_188)).len(), 1);
}

/// A client that sets no headers: each request is known by its bytes, and the same bytes are the same request.
#[test]
fn requests_without_ids_are_told_apart_and_each_is_answered_once() {
    let mut catalog = mainstem_schemas::Catalog::default();
    catalog.register_contracts().unwrap();
    let mut scene = scene();
    let mut answers = Vec::new();
    for (at, note) in [(1, "tariff"), (2, "tariff"), (3, "meter")] {
        let asked = RetrainAsked {
            model: "m".into(),
            note: note.into(),
        };
        let mut value = Vec::new();
        Event::from(asked).encode(&catalog, &mut value).unwrap();
        scene.given_bytes(input::REQUESTS, &value);
        for answer in scene.tick(day(at)) {
            let id = answer.envelope.id;
            let rejected = RunFailed {
                model: "m".into(),
                run: id,
                reason: String::new(),
            };
            scene.given(input::RUNS, rejected);
            assert_eq!(scene.events(day(at)).len(), 1, "it is closed");
            answers.push((at, id));
        }
    }
    assert_eq!([answers[0].0, answers[1].0], [1, 3]);
    assert_ne!(answers[0].1, answers[1].1);
    assert_eq!(answers.len(), 2);
}

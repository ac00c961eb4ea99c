//! Performance behind the baseline as a reason.

use super::*;

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

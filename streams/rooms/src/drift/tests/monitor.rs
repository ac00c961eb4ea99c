//! Drift, from rows to alarms.

use mainstem_schemas::events::{
    ColumnCounts, DriftMeasured, DriftMethod, Event, ProfileMeasured, Role, Subject,
};
use mainstem_schemas::{Batch, Envelope, Millis};
use mainstem_statistics::{Counts, ks, psi};
use proptest::prelude::*;

use super::{FEATURES, Feed, Written, other_reference, project, reference};
use crate::drift::gathered::PATIENCE;
use crate::drift::{DriftMachine, ProfileMachine, ReferenceProfile};

fn drift(partitions: u32) -> Feed {
    Feed::new(&project(partitions), "drift/m/0", || DriftMachine::new("m"))
}

/// A profile of a window of these values of the constant; the ramp is as in the reference.
fn profile(
    reference: &ReferenceProfile,
    partition: i32,
    start: i64,
    constant: &[f32],
) -> ProfileMeasured {
    let ramp: Vec<f32> = (0..constant.len())
        .map(|i| i as f32 / constant.len() as f32)
        .collect();
    let columns = reference
        .columns()
        .iter()
        .zip([constant, &ramp])
        .map(|(column, values)| {
            let counts = Counts::of(&column.grid, values);
            let cells = counts
                .cells()
                .iter()
                .chain([&counts.missing()])
                .map(|count| *count as i64)
                .collect();
            ColumnCounts {
                name: column.name.clone(),
                cells,
            }
        });
    ProfileMeasured {
        model: "m".into(),
        subject: Subject::Features,
        version: "v1".into(),
        reference: reference.digest(),
        partition,
        window_start: Millis(start),
        window_end: Millis(start + 100),
        whole: true,
        rows: constant.len() as i64,
        columns: columns.collect(),
    }
}

/// Alarms as text: `constant psi 300 detected`, with the end of the window or the reason.
fn alarms(written: &[Written]) -> Vec<String> {
    let alarm = |(_, event): &Written| match event {
        Event::DriftDetected(e) => Some(format!(
            "{} {:?} {} detected",
            e.feature, e.method, e.window_end.0
        )),
        Event::DriftCleared(e) => Some(format!("{} {:?} {}", e.feature, e.method, e.reason)),
        _ => None,
    };
    written.iter().filter_map(alarm).collect()
}

fn measured(written: &[Written]) -> Vec<DriftMeasured> {
    let measured = written.iter().filter_map(|(_, event)| match event {
        Event::DriftMeasured(event) => Some(event.clone()),
        _ => None,
    });
    measured.collect()
}

#[test]
fn a_constant_that_starts_to_vary_is_detected_after_two_windows_by_both_tests() {
    let mut rows = Feed::new(&project(1), "profile_features/m/0", || {
        ProfileMachine::new("m", 0, Subject::Features)
    });
    let mut feed = drift(1);
    for feed in [&mut rows, &mut feed] {
        feed.tick(0).deploy("v1", Role::Champion, &[&reference()]);
    }
    for window in 0..6 {
        let constant = |i: i64| {
            if window < 2 {
                0.1
            } else {
                0.1 + i as f64 / 100.0
            }
        };
        let row = |i: i64| {
            (
                100 * window + i,
                [Some(constant(i)), Some(i as f64 / 100.0)],
            )
        };
        rows.tick(100 * window).rows((0..100).map(row));
    }
    let profiles = rows.tick(600).written();
    assert_eq!(profiles.len(), 6);
    for window in 1..=6 {
        feed.tick(100 * window);
        for (envelope, event) in profiles
            .iter()
            .filter(|(envelope, _)| envelope.time == Millis(100 * window))
        {
            let envelope = Envelope {
                round: Some(feed.round()),
                ..envelope.clone()
            };
            let mut batch = Batch::new();
            mainstem_kernel::testkit::toys::push(&mut batch, &feed.catalog, b"m", event, &envelope);
            feed.add(1, batch);
        }
    }
    let written = feed.tick(600).written();
    assert_eq!(
        alarms(&written),
        ["constant Psi 400 detected", "constant Ks 400 detected"],
        "once an excursion"
    );
    let measured = measured(&written);
    assert_eq!(measured.len(), 6 * FEATURES.len() * 2);
    let order: Vec<_> = measured[..4]
        .iter()
        .map(|m| (&m.feature[..], m.method))
        .collect();
    let (psi, ks) = (DriftMethod::Psi, DriftMethod::Ks);
    assert_eq!(
        order,
        [
            ("constant", psi),
            ("constant", ks),
            ("ramp", psi),
            ("ramp", ks)
        ]
    );
    assert!(
        measured
            .iter()
            .filter(|m| m.feature == "ramp")
            .all(|m| m.statistic < 0.1)
    );
    assert_eq!(
        (
            measured[0].statistic,
            measured[0].rows,
            measured[0].reference_rows
        ),
        (0.0, 100, 1_000)
    );

    let detected = written
        .iter()
        .position(|(_, event)| matches!(event, Event::DriftDetected(_)))
        .unwrap();
    let (envelope, Event::DriftDetected(event)) = &written[detected] else {
        panic!()
    };
    assert_eq!(
        envelope.causation,
        Some(written[detected - 1].0.id),
        "by the measurement before it"
    );
    assert_eq!((event.windows, event.evidence.len()), (2, 2));
    assert!(
        event
            .evidence
            .iter()
            .all(|id| written.iter().any(|(envelope, _)| envelope.id == *id))
    );
}

#[test]
fn an_alarm_is_cleared_below_the_threshold_or_by_a_promotion() {
    let varying: Vec<f32> = (0..100).map(|i| i as f32).collect();
    let mut feed = drift(1);
    feed.tick(0)
        .deploy("v1", Role::Champion, &[&reference()])
        .tick(0);
    feed.deploy("v2", Role::Shadow, &[&other_reference()]);
    let windows = [&varying[..], &varying, &[0.1; 100], &varying, &varying];
    for (constant, start) in windows.into_iter().zip((0..).step_by(100)) {
        feed.tick(start + 100)
            .event(1, profile(&reference(), 0, start, constant), start + 100);
    }
    // Promoted on the tick on which the last profile is written: the window is measured first.
    feed.promote("v2").tick(500);
    feed.event(1, profile(&other_reference(), 0, 500, &[0.2; 100]), 600)
        .tick(600);
    let written = feed.written();
    let expected = [
        "constant Psi 200 detected",
        "constant Ks 200 detected",
        "constant Psi below threshold",
        "constant Ks below threshold",
        "constant Psi 500 detected",
        "constant Ks 500 detected",
        "constant Psi reference changed",
        "constant Ks reference changed",
    ];
    assert_eq!(alarms(&written), expected);
    assert_eq!(
        measured(&written)
            .last()
            .map(|m| (m.reference, m.statistic < 0.1)),
        Some((other_reference().digest(), true))
    );
    let ids: std::collections::BTreeSet<_> =
        written.iter().map(|(envelope, _)| envelope.id).collect();
    assert_eq!(ids.len(), written.len(), "every event has an id of its own");
}

#[test]
fn partitions_are_merged_before_they_are_compared() {
    let reference = reference();
    let (left, right): (Vec<f32>, Vec<f32>) = (vec![0.1; 60], (0..40).map(|i| i as f32).collect());
    let mut feed = drift(2);
    feed.tick(0)
        .deploy("v1", Role::Champion, &[&reference])
        .tick(100);
    feed.event(1, profile(&reference, 1, 0, &right), 100)
        .tick(100);
    assert_eq!(feed.written().len(), 0, "a partition is not there yet");
    feed.event(1, profile(&reference, 0, 0, &left), 100)
        .tick(200);
    let measured = measured(&feed.written());
    let column = &reference.columns()[0];
    let window = Counts::of(&column.grid, &[left, right].concat());
    let expected = [
        psi::psi(&column.grid, &column.counts, &window)
            .unwrap()
            .statistic,
        ks::on_grid(&column.grid, &column.counts, &window)
            .unwrap()
            .statistic,
    ];
    assert_eq!([measured[0].statistic, measured[1].statistic], expected);
    assert_eq!(measured[0].rows, 100);
}

#[test]
fn windows_that_are_small_not_whole_or_never_complete_are_not_measured() {
    let mut feed = drift(2);
    feed.tick(0)
        .deploy("v1", Role::Champion, &[&reference()])
        .tick(100);
    let both = |feed: &mut Feed, start: i64, rows: usize| {
        for partition in 0..2 {
            let profile = profile(&reference(), partition, start, &vec![0.1; rows]);
            feed.event(1, profile, start + 100);
        }
    };
    both(&mut feed, 0, 2);
    let profile_of_100 = |partition| profile(&reference(), partition, 100, &[0.1; 50]);
    let not_whole = ProfileMeasured {
        whole: false,
        ..profile_of_100(1)
    };
    feed.event(1, not_whole, 200).tick(200);
    feed.event(1, profile_of_100(0), 200).tick(200);
    feed.event(1, profile(&reference(), 0, 200, &[0.1; 50]), 300)
        .tick(300);
    for at in 0..PATIENCE as i64 {
        assert_eq!(feed.written().len(), 0, "the window of 200 is waited for");
        both(&mut feed, 300 + 100 * at, 50);
        feed.tick(400 + 100 * at);
    }
    let starts: Vec<i64> = measured(&feed.written())
        .iter()
        .map(|m| m.window_start.0)
        .collect();
    assert_eq!((starts.len(), starts.first()), (PATIENCE * 4, Some(&300)));
    feed.event(1, profile(&reference(), 1, 200, &[0.1; 50]), 300)
        .tick(9_000);
    assert_eq!(measured(&feed.written()).len(), PATIENCE * 4, "too late");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn cuts_interleavings_and_crashes_change_nothing(choices in proptest::collection::vec(any::<u8>(), 1..60)) {
        let varying: Vec<f32> = (0..50).map(|i| i as f32).collect();
        let mut feed = drift(2);
        feed.tick(0).deploy("v1", Role::Champion, &[&reference()]);
        for start in [0, 100, 200, 300] {
            feed.tick(start + 100);
            feed.event(1, profile(&reference(), 0, start, &varying), start + 100);
            feed.event(1, profile(&reference(), 1, start, &[0.1; 20]), start + 100);
            if start == 200 {
                feed.deploy("v2", Role::Champion, &[&other_reference()]);
            }
        }
        let written = feed.tick(500).written();
        prop_assert!(alarms(&written).contains(&"constant Psi reference changed".to_owned()));
        prop_assert_eq!(feed.written_by(&choices), written);
    }
}

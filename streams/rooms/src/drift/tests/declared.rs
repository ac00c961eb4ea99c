//! The monitor of a source, from profiles to alarms.

use mainstem_schemas::Millis;
use mainstem_schemas::definition::digest_of;
use mainstem_schemas::events::{ColumnCounts, DriftMeasured, Event, ProfileMeasured, Subject};

use super::source::watched;
use super::{Feed, Written};
use crate::drift::gathered::PATIENCE;
use crate::drift::{DECLARED, MonitorMachine};

impl Feed {
    /// A profile of a window of 100 in a partition of the monitor; the last bin of `x` has as many as the one before.
    fn profile(&mut self, partition: i32, start: i64, cells: [[i64; 3]; 2]) -> &mut Self {
        self.of_window(partition, (start, true), cells)
    }

    fn of_window(
        &mut self,
        partition: i32,
        (start, whole): (i64, bool),
        [x, y]: [[i64; 3]; 2],
    ) -> &mut Self {
        let monitor = &watched(2).monitors["w"];
        let profile = ProfileMeasured {
            model: "w".into(),
            subject: Subject::Arrivals,
            version: DECLARED.into(),
            reference: digest_of(&monitor.columns),
            partition,
            window_start: Millis(start),
            window_end: Millis(start + 100),
            whole,
            rows: y.iter().sum(),
            columns: vec![
                ColumnCounts {
                    name: "x".into(),
                    cells: vec![x[0], x[1], x[2], x[2], 0],
                },
                ColumnCounts {
                    name: "y".into(),
                    cells: y.to_vec(),
                },
            ],
        };
        self.event(0, profile, start + 100)
    }
}

fn monitor() -> Feed {
    Feed::new(&watched(2), "monitor/w/0", || MonitorMachine::new("w"))
}

fn measured(written: &[Written]) -> Vec<DriftMeasured> {
    let measured = written.iter().filter_map(|(_, event)| match event {
        Event::DriftMeasured(event) => Some(event.clone()),
        _ => None,
    });
    measured.collect()
}

/// Windows that were measured, by their begins.
fn starts(written: &[Written]) -> Vec<i64> {
    let x = measured(written).into_iter().filter(|e| e.feature == "x");
    x.map(|event| event.window_start.0).collect()
}

/// The index, the plain way.
fn plain(expected: &[f64], counts: &[i64]) -> f64 {
    let rows: i64 = counts.iter().sum();
    let shares = counts.iter().map(|count| *count as f64 / rows as f64);
    let terms = expected.iter().zip(shares).map(|(p, q)| {
        let (p, q) = (p.max(1e-4), q.max(1e-4));
        (q - p) * (q / p).ln()
    });
    terms.sum()
}

#[test]
fn the_partitions_of_a_window_are_merged_and_compared_with_the_declared_shares() {
    let mut feed = monitor();
    feed.tick(100)
        .profile(0, 0, [[3, 1, 0], [1, 0, 3]])
        .profile(1, 0, [[2, 0, 5], [2, 4, 1]]);
    let written = feed.tick(200).tick(300).written();
    let measured = measured(&written);
    let [x, y] = &measured[..] else {
        panic!("{measured:?}");
    };
    assert_eq!((&x.feature[..], &y.feature[..]), ("x", "y"));
    let by_hand = plain(&[0.25, 0.25, 0.25, 0.25, 0.0], &[5, 1, 5, 5, 0]);
    assert!((x.statistic - by_hand).abs() < 1e-12, "{}", x.statistic);
    let by_hand = plain(&[0.2, 0.3, 0.5], &[3, 4, 4]);
    assert!((y.statistic - by_hand).abs() < 1e-12, "{}", y.statistic);
    assert_eq!((x.rows, x.reference_rows, x.threshold), (11, 0, 0.25));
    assert_eq!((x.subject, &x.version[..]), (Subject::Arrivals, DECLARED));
}

#[test]
fn a_column_is_detected_after_two_windows_and_cleared_when_it_is_back() {
    let (usual, shifted) = ([[2, 2, 2], [1, 1, 4]], [[6, 0, 0], [1, 1, 4]]);
    let mut feed = monitor();
    feed.tick(100);
    for (n, cells) in (0..).zip([usual, shifted, shifted, shifted, usual]) {
        feed.profile(0, 100 * n, cells).profile(1, 100 * n, cells);
        feed.tick(200 + 100 * n);
    }
    let alarms = |(_, event): &Written| match event {
        Event::DriftDetected(e) if e.feature == "x" => Some((e.window_end.0, "detected")),
        Event::DriftCleared(e) if e.feature == "x" => Some((0, "cleared")),
        _ => None,
    };
    let written = feed.written();
    let alarms: Vec<_> = written.iter().filter_map(alarms).collect();
    assert_eq!(alarms, [(300, "detected"), (0, "cleared")]);
    assert_eq!(starts(&written), [0, 100, 200, 300, 400]);
}

#[test]
fn small_windows_and_those_that_lost_rows_are_not_measured() {
    let mut feed = monitor();
    feed.tick(100)
        .profile(0, 0, [[1, 0, 0], [1, 0, 0]])
        .profile(1, 0, [[1, 1, 0], [2, 0, 0]])
        .of_window(0, (100, false), [[9, 9, 9], [9, 9, 9]])
        .profile(1, 100, [[9, 9, 9], [9, 9, 9]])
        .profile(0, 200, [[9, 9, 9], [9, 9, 9]])
        .profile(1, 200, [[0, 0, 0], [0, 0, 0]]);
    assert_eq!(starts(&feed.tick(300).written()), [200]);
}

#[test]
fn a_partition_that_begins_later_had_no_rows_before_and_one_that_is_silent_holds_up() {
    let cells = [[9, 9, 9], [9, 9, 9]];
    let mut feed = monitor();
    feed.tick(100).profile(0, 0, cells).profile(0, 100, cells);
    let held = feed.tick(200).profile(1, 100, cells).tick(300).written();
    assert_eq!(starts(&held), [0, 100]);
    let mut feed = monitor();
    feed.tick(100);
    (0..PATIENCE as i64 + 1).for_each(|n| _ = feed.profile(0, 100 * n, cells));
    feed.tick(200);
    feed.profile(1, 0, cells).profile(1, 100, cells);
    // The first was given up without partition 1, which then still has its say on the second.
    assert_eq!(starts(&feed.tick(300).written()), [100]);
}

#[test]
fn what_is_declared_anew_closes_the_alarms_and_profiles_of_before_count_no_more() {
    let shifted = [[6, 0, 0], [1, 1, 4]];
    let mut changed = watched(2);
    changed.monitors.get_mut("w").unwrap().columns[0].edges[0] = -2.0;
    let mut feed = monitor();
    feed.tick(100);
    for n in 0..2 {
        feed.profile(0, 100 * n, shifted)
            .profile(1, 100 * n, shifted);
    }
    feed.tick(200).define(&changed).tick(300);
    feed.profile(0, 200, shifted).profile(1, 200, shifted);
    let written = feed.tick(400).written();
    let cleared = written.iter().filter_map(|(envelope, event)| match event {
        Event::DriftCleared(e) => Some((&e.reason[..], envelope.time.0)),
        _ => None,
    });
    assert_eq!(cleared.collect::<Vec<_>>(), [("reference changed", 300)]);
    assert_eq!(starts(&written), [0, 100]);
}

#[test]
fn profiles_of_a_model_of_that_name_are_not_the_monitors() {
    let mut feed = monitor();
    feed.tick(100);
    let monitor = &watched(2).monitors["w"];
    for partition in 0..2 {
        let profile = ProfileMeasured {
            model: "w".into(),
            subject: Subject::Features,
            version: "v1".into(),
            reference: digest_of(&monitor.columns),
            partition,
            window_start: Millis(0),
            window_end: Millis(100),
            whole: true,
            rows: 9,
            columns: vec![],
        };
        feed.event(0, profile, 100);
    }
    feed.profile(0, 100, [[9; 3]; 2])
        .profile(1, 100, [[9; 3]; 2]);
    assert_eq!(starts(&feed.tick(200).written()), [100]);
}

#[test]
fn a_monitor_has_a_task_a_partition_and_one_that_merges_them() {
    let name = |(topic, index): (&str, u32)| format!("{topic}/{index}");
    let told = |spec: &mainstem_kernel::TaskSpec| {
        let inputs = spec.inputs.iter().map(|input| &input.partition);
        let inputs: Vec<_> = inputs.map(|p| name((&p.topic, p.index))).collect();
        let outputs: Vec<_> = spec.outputs.iter().map(|o| o.topic.clone()).collect();
        assert_eq!(spec.lead.as_ref(), spec.inputs.last().map(|i| &i.partition));
        format!("{} {} > {}", spec.id, inputs.join(" "), outputs.join(" "))
    };
    let tasks = crate::topology::tasks_of(&watched(2));
    let of_features = |spec: &&mainstem_kernel::TaskSpec| spec.id.0.starts_with("features/");
    assert_eq!(tasks.iter().filter(of_features).count(), 2);
    let others = tasks
        .iter()
        .filter(|spec| !spec.id.0.starts_with("features/"));
    let others: Vec<String> = others
        .filter(|spec| spec.lead.is_some())
        .map(told)
        .collect();
    let auditor = &others[0];
    assert!(auditor.starts_with("auditor/p/0"), "{auditor}");
    assert_eq!(
        others[1..],
        [
            "monitor/w/0 p.profiles/0 p.requests.drift/0 > p.drift",
            "profile_source/w/0 p.arrivals.s/0 > p.profiles p.quarantine",
            "profile_source/w/1 p.arrivals.s/1 > p.profiles p.quarantine",
        ]
    );
}

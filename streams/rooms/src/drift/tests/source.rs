//! A source's own columns against declared bins, from arrivals to alarms.

use mainstem_columns::{put, source_schema};
use mainstem_kernel::Partition;
use mainstem_schemas::definition::{
    DeclaredColumn, DeclaredDrift, Monitor, Project, Source, Thresholds, Windows, digest_of,
};
use mainstem_schemas::events::{ColumnCounts, DriftMeasured, Event, ProfileMeasured, Subject};
use mainstem_schemas::{Batch, EventId, Millis, Span};
use proptest::prelude::*;

use super::{Feed, Written, project};
use crate::drift::gathered::PATIENCE;
use crate::drift::{DECLARED, MonitorMachine, SourceProfileMachine};
use crate::harness::{arrive, put_optional};

const EDGES: [f64; 3] = [-1.0, 0.0, 1.5];

/// Monitor `w` of a source `s` of two columns, `x` and `y`, of which `y` may be missing.
fn watched(partitions: u32) -> Project {
    let mut project = project(partitions);
    let source: Source = serde_json::from_value(serde_json::json!({
        "number": 3,
        "fields": [
            {"name": "other", "type": "string"},
            {"name": "x", "type": "double"},
            {"name": "y", "type": "double", "optional": true},
        ],
        "entity": {"column": "other"},
        "time": {"row": {"start": "1970-01-01T00:00:00Z", "every": "1ms"}},
    }))
    .unwrap();
    let column = |name: &str, edges: &[f64], shares: &[f64], missing| DeclaredColumn {
        name: name.into(),
        edges: edges.into(),
        shares: shares.into(),
        missing,
    };
    let monitor = Monitor {
        source: "s".into(),
        windows: Windows {
            origin: Millis(0),
            length: Span(100),
        },
        drift: DeclaredDrift {
            psi: Thresholds {
                detect: 0.25,
                clear: 0.1,
            },
            windows: 2,
            min_rows: 4,
        },
        columns: vec![
            column("x", &EDGES, &[0.25; 4], 0.0),
            column("y", &[0.5], &[0.4, 0.6], 0.5),
        ],
    };
    project.sources = [("s".to_owned(), source)].into();
    project.models.clear();
    project.monitors = [("w".to_owned(), monitor)].into();
    project
}

/// Arrivals for the task of partition 0, and the id of their schema.
fn arrivals() -> Feed {
    let project = watched(1);
    let mut feed = Feed::new(&project, "profile_source/w/0", || {
        SourceProfileMachine::new("w", 0)
    });
    let schema = source_schema("p", "s", &project.sources["s"]);
    let event = feed.catalog.plan("s-value", &schema).unwrap().unwrap();
    let fact = serde_json::to_vec(&event).unwrap();
    feed.begin[0].1.push(None, Some(&fact), []);
    feed.rows_schema = event.id;
    feed.catalog.register(event);
    feed
}

/// A row: its time, `x` and `y`.
type Row = (i64, f64, Option<f64>);

impl Feed {
    fn arrive(&mut self, rows: impl IntoIterator<Item = Row>) -> &mut Self {
        let mut batch = Batch::new();
        for (row, (time, x, y)) in rows.into_iter().enumerate() {
            let id = EventId::row(3, time as u32, row as u64);
            arrive(&mut batch, self.rows_schema, "e", id, Millis(time), |out| {
                put::put_text(out, "e");
                put::put_double(out, x);
                put_optional(out, y);
            });
        }
        self.add(0, batch)
    }

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

fn profiles(written: Vec<Written>) -> Vec<ProfileMeasured> {
    let profile = |(envelope, event): Written| match event {
        Event::ProfileMeasured(profile) => {
            assert_eq!(envelope.time, profile.window_end);
            profile
        }
        other => panic!("{other:?}"),
    };
    written.into_iter().map(profile).collect()
}

/// (begin, rows, whole) of each.
fn shape(profiles: &[ProfileMeasured]) -> Vec<(i64, i64, bool)> {
    let shape = |profile: &ProfileMeasured| (profile.window_start.0, profile.rows, profile.whole);
    profiles.iter().map(shape).collect()
}

#[test]
fn every_value_falls_into_its_bin_and_an_edge_into_the_one_below() {
    let mut feed = arrivals();
    let values = [
        -7.0,
        -1.0,
        -0.9,
        -0.0,
        0.0,
        0.1,
        1.5,
        1.6,
        f64::INFINITY,
        f64::NAN,
    ];
    let rows = values.into_iter().enumerate();
    let y = |n| (n % 2 == 0).then_some(n as f64);
    feed.tick(0)
        .arrive(rows.map(|(n, x)| (n as i64, x, y(n))))
        .tick(100);
    let profiles = profiles(feed.written());
    let [profile] = &profiles[..] else {
        panic!("{profiles:?}");
    };
    let whose = (&profile.model[..], profile.subject, &profile.version[..]);
    assert_eq!(whose, ("w", Subject::Arrivals, DECLARED));
    let declared = digest_of(&watched(1).monitors["w"].columns);
    assert_eq!((profile.reference, profile.rows), (declared, 10));
    let cells: Vec<_> = profile
        .columns
        .iter()
        .map(|c| (&c.name[..], &c.cells[..]))
        .collect();
    assert_eq!(
        cells,
        [("x", &[2, 3, 2, 2, 1][..]), ("y", &[1, 4, 5][..])],
        "the missing values last"
    );
}

#[test]
fn windows_are_closed_by_ticks_also_when_empty_and_late_rows_are_in_none() {
    let row = |time| (time, 0.0, None);
    let mut feed = arrivals();
    feed.tick(150).arrive([row(160), row(299), row(300)]);
    feed.tick(300).arrive([row(199), row(301)]);
    feed.tick(500).tick(600);
    let of = shape(&profiles(feed.written()));
    let all = [
        (100, 1, true),
        (200, 1, true),
        (300, 2, true),
        (400, 0, true),
        (500, 0, true),
    ];
    assert_eq!(of, all, "the row of 199 came after its window was closed");
}

#[test]
fn rows_that_came_before_the_first_tick_have_their_windows() {
    let mut feed = arrivals();
    feed.steps.push((50, vec![]));
    let mut before = arrivals();
    before.tick(0).arrive([(120, 0.0, None), (330, 0.0, None)]);
    // What was fed after a tick of 0 comes first here.
    let batch = before.steps.remove(0).1;
    feed.begin.extend(batch);
    feed.steps[0].0 = 400;
    let of = shape(&profiles(feed.written()));
    assert_eq!(of, [(100, 1, true), (200, 0, true), (300, 1, true)]);
}

#[test]
fn a_record_that_is_no_arrival_goes_to_quarantine_and_is_not_counted() {
    let mut feed = arrivals();
    let mut bad = Batch::new();
    let time = ("ce_time", &b"1970-01-01T00:00:00.010Z"[..]);
    bad.push(Some(b"e"), Some(b"\0\0\0\0"), [time]);
    bad.push(Some(b"e"), Some(b"\0\0\0\0\x01"), []);
    let far = 86_400_001;
    feed.tick(0)
        .add(0, bad)
        .arrive([(20, 0.0, None), (far, 0.0, None)])
        .tick(100);
    let history = feed.history(&[]);
    assert_eq!(history[&Partition::new("p.quarantine", 0)].len(), 3);
    assert_eq!(shape(&profiles(feed.written())), [(0, 1, true)]);
}

#[test]
fn bins_declared_anew_begin_the_open_windows_anew() {
    let row = |time| (time, 0.0, None);
    let mut changed = watched(1);
    let columns = &mut changed.monitors.get_mut("w").unwrap().columns;
    columns.pop();
    let mut feed = arrivals();
    feed.tick(0).arrive([row(10), row(110), row(150)]);
    feed.tick(110).define(&changed);
    feed.tick(120).arrive([row(160), row(210)]);
    feed.tick(300);
    let profiles = profiles(feed.written());
    assert_eq!(
        shape(&profiles),
        [(0, 1, true), (100, 1, false), (200, 1, true)]
    );
    let columns: Vec<usize> = profiles.iter().map(|p| p.columns.len()).collect();
    assert_eq!(columns, [2, 1, 1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However rows are cut into runs, whatever crashes: the same profiles, which are those of a plain count.
    #[test]
    fn profiles_are_the_plain_counts(
        rows in prop::collection::vec((0..400i64, -3.0..3.0f64, prop::option::of(0.0..1.0f64)), 1..400),
        choices in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let mut feed = arrivals();
        feed.tick(0).arrive(rows.clone()).tick(400);
        let profiles = profiles(feed.written_by(&choices));
        prop_assert_eq!(profiles.len(), 4);
        for profile in profiles {
            let inside = |row: &&Row| row.0 / 100 * 100 == profile.window_start.0;
            let mut x = vec![0; 5];
            let mut y = vec![0; 3];
            for (_, a, b) in rows.iter().filter(inside) {
                x[EDGES.iter().filter(|edge| *a > **edge).count()] += 1;
                y[b.map_or(2, |b| usize::from(b > 0.5))] += 1;
            }
            prop_assert_eq!(&profile.columns[0].cells, &x);
            prop_assert_eq!(&profile.columns[1].cells, &y);
        }
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

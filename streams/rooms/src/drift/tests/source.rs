//! Profiles of a source's own columns in declared bins.

use mainstem_columns::{put, source_schema};
use mainstem_kernel::Partition;
use mainstem_schemas::definition::{
    DeclaredColumn, DeclaredDrift, Monitor, Project, Source, Thresholds, Windows, digest_of,
};
use mainstem_schemas::events::Subject;
use mainstem_schemas::{Batch, EventId, Millis, Span};
use proptest::prelude::*;

use super::profile::{profiles, shape};
use super::{Feed, project};
use crate::drift::{DECLARED, SourceProfileMachine};
use crate::harness::{arrive, put_optional};

const EDGES: [f64; 3] = [-1.0, 0.0, 1.5];

/// Monitor `w` of a source `s` of two columns, `x` and `y`, of which `y` may be missing.
pub fn watched(partitions: u32) -> Project {
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

//! Definitions that add sources and take them out again, under workers that run.

use std::time::{Duration, Instant};

use mainstem_host::Store;
use mainstem_host::apply::apply;
use mainstem_host::auditor::{Parts, Progress, Report, verify};
use mainstem_host::processor::{self, Handle, Options};
use mainstem_host::publisher::{Format, Input, Pace, Published, publish_paced};
use mainstem_host::resolver::StoreResolver;
use mainstem_rooms::machines::machine;
use mainstem_schemas::definition::Project;
use mainstem_schemas::{Millis, Span};

/// Far beyond what a step takes, on a machine that builds beside it.
const PATIENCE: Duration = Duration::from_secs(60);

const HOUR: i64 = 3_600_000;

/// The first hour of the data.
const BEGIN: i64 = 1_704_067_200_000;

/// A project of these sources, with a view of the first.
fn project(sources: &[&str]) -> Project {
    let source = |name: &&str| {
        format!(
            "  {name}: {{fields: {{x: double, at: long}}, entity: {{constant: all}}, time: {{column: at}}}}\n"
        )
    };
    let all: String = sources.iter().map(source).collect();
    let view = format!(
        "views:\n  v: {{source: {}, features: {{x: x}}}}\n",
        sources[0]
    );
    let text = format!("project: shop\nclock: stream\npartitions: 2\nsources:\n{all}{view}");
    mainstem_project::parse("mainstem.yaml", &text).unwrap()
}

fn put(store: &Store, sources: &[&str]) {
    apply(store, &project(sources), "ada", Millis(0)).unwrap();
}

fn workers(store: &Store) -> Handle {
    let options = Options::new(2, "test".into());
    processor::start(store, &options).unwrap()
}

/// Publishes ten hours of rows, paced.
fn publish(store: &Store, source: &str, day: i64) -> Published {
    let begin = BEGIN + day * 24 * HOUR;
    let row = |hour: i64| format!("{hour}.5,{}\n", begin + hour * HOUR);
    let text: String = std::iter::once("x,at\n".to_owned())
        .chain((0..10).map(row))
        .collect();
    let input = Input {
        project: &store.project().unwrap(),
        source,
        name: &format!("{source}-{day}.csv"),
        format: Format::Csv,
        bytes: text.as_bytes(),
        actor: "ada",
        resume: false,
        is_file: true,
    };
    let started = Instant::now();
    let pace = Pace {
        first: Millis(begin + 5 * HOUR),
        step: Span(5 * HOUR),
        stop: &|| started.elapsed() > PATIENCE,
        progress: &mut |_, _| {},
        waiting: &mut |_| {},
    };
    publish_paced(store, input, pace).unwrap()
}

fn audited(store: &Store) -> Report {
    audited_with(store, &mut |_| {})
}

fn audited_with(store: &Store, progress: &mut dyn FnMut(&Progress)) -> Report {
    let resolver = StoreResolver::new(store.blobs.clone());
    let parts = Parts {
        log: store.log.as_ref(),
        blobs: store.blobs.as_ref(),
        resolver: &resolver,
        factory: &machine,
        project: &store.project().unwrap(),
    };
    verify(&parts, progress).unwrap()
}

#[test]
fn a_source_that_was_taken_out_and_comes_back_is_verified() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    put(&store, &["a", "b"]);
    for (day, sources) in [&["a", "b"][..], &["a"], &["a", "b"]].iter().enumerate() {
        put(&store, sources);
        // Workers of their own each time: they rebuild the tasks from what was written before.
        let running = workers(&store);
        for source in *sources {
            publish(&store, source, day as i64);
        }
        running.stop();
        let report = audited(&store);
        assert!(report.is_clean(), "{report}");
        assert_eq!(
            (&report.uncovered[..], &report.unfolded[..]),
            (&[][..], &[][..])
        );
    }
}

#[test]
fn workers_that_run_take_a_new_source_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    put(&store, &["a"]);
    let running = workers(&store);
    publish(&store, "a", 0);
    put(&store, &["a", "b"]);
    publish(&store, "b", 1);
    put(&store, &["a"]);
    publish(&store, "a", 2);
    put(&store, &["a", "b"]);
    publish(&store, "b", 3);
    running.stop();
    let report = audited(&store);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.uncovered, []);
}

#[test]
fn an_audit_beside_workers_that_run_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    put(&store, &["a"]);
    let running = workers(&store);
    for day in 0..8 {
        publish(&store, "a", day);
    }
    let mut more = 0;
    let report = audited_with(&store, &mut |_| {
        publish(&store, "a", 8 + more);
        more += 1;
    });
    assert!(report.is_clean() && more > 0, "{report}");
    running.stop();
    let after = audited(&store);
    assert!(after.is_clean() && after.turns > report.turns, "{after}");
    assert_ne!(after.head, report.head);
}

//! What was taken away at the end of the log.

use std::path::Path;

use mainstem_host::auditor::{Finding, Report};
use mainstem_kernel::testkit::toys;
use mainstem_schemas::Batch;
use mainstem_schemas::events::{Event, Turn};
use rusqlite::Connection;

use crate::log::{File, at, audit, fill};

fn records(file: &File, topic: &str) -> Batch {
    let mut records = Batch::new();
    for row in file.rows(&at(topic, 0)) {
        row.batch()
            .iter()
            .for_each(|record| records.push_record(&record));
    }
    records
}

fn events(file: &File, topic: &str) -> Vec<Event> {
    let (catalog, ..) = toys::preamble();
    let stored = records(file, topic);
    let event = |value: &[u8]| Event::decode(&catalog, value).unwrap();
    stored.iter().map(|r| event(r.value.unwrap())).collect()
}

fn turns(file: &File) -> Vec<Turn> {
    let turn = |event| match event {
        Event::Turn(turn) => turn,
        other => panic!("{other:?}"),
    };
    events(file, "turns").into_iter().map(turn).collect()
}

/// Takes the turns from one on away, with all that they wrote.
fn cut_off(dir: &Path, kept: usize) {
    let file = File::open(dir);
    let all = turns(&file);
    for topic in ["sums", "answers", "orders"] {
        let written = all[..kept].iter().flat_map(|turn| &turn.outputs);
        let written = written.filter(|written| written.topic == *at(topic, 0).topic);
        let count: i64 = written.map(|written| written.count).sum();
        file.cut(&at(topic, 0), count as u64);
    }
    let taken = |event: &Event| {
        let after = |turn: &Turn| matches!(event, Event::SnapshotTaken(e) if (&e.task, e.turn) == (&turn.task, turn.number));
        all[..kept].iter().any(after)
    };
    let snapshots = events(&file, "snapshots");
    let snapshots = snapshots.iter().take_while(|event| taken(event)).count();
    file.cut(&at("snapshots", 0), snapshots as u64);
    file.cut(&at("turns", 0), kept as u64);
}

/// The tasks whose chains do not end as the log remembers, where nothing else is found.
fn ends(report: &Report) -> Vec<&str> {
    let task = |finding: &'_ Finding| match finding {
        Finding::ChainBroken { at: place, why, .. } => {
            assert_eq!(place.partition, at("turns", 0));
            assert!(
                why.contains("remembers") && why.contains("restore"),
                "{why}"
            );
        }
        _ => panic!("{report}"),
    };
    report.findings.iter().for_each(task);
    let tasks = report.findings.iter().map(|finding| match finding {
        Finding::ChainBroken { task, .. } => task.as_str(),
        _ => "",
    });
    tasks.collect()
}

#[test]
fn an_end_that_was_cut_off_with_all_that_it_wrote_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let sound = audit(dir.path());
    let again = audit(dir.path());
    assert_eq!((sound.mismatches, sound.head), (0, again.head));
    assert!(sound.to_string().contains(&sound.head.to_string()));
    let kept = sound.turns as usize * 2 / 3;
    cut_off(dir.path(), kept);
    let report = audit(dir.path());
    assert_eq!(report.turns as usize, kept);
    let all = ["answer/toy/0", "auditor/toy/0", "sum/toy/0", "sum/toy/1"];
    assert_eq!(ends(&report), all, "{report}");
    assert_ne!(report.head, sound.head);
}

#[test]
fn a_task_all_of_whose_turns_are_gone_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let file = File::open(dir.path());
    for topic in ["turns", "snapshots"] {
        let mut kept = Batch::new();
        for record in records(&file, topic).iter() {
            if record.key != Some(b"auditor/toy/0") {
                kept.push_record(&record);
            }
        }
        file.rewrite(&at(topic, 0), &kept);
    }
    let report = audit(dir.path());
    assert_eq!(ends(&report), ["auditor/toy/0"], "{report}");
    assert!(
        report.to_string().contains("there is no turn of it"),
        "{report}"
    );
}

#[test]
fn a_last_turn_that_the_log_forgot_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let connection = Connection::open(dir.path().join("log.sqlite")).unwrap();
    let text = "UPDATE tasks SET turn = NULL WHERE task = 'answer/toy/0'";
    assert_eq!(connection.execute(text, []).unwrap(), 1);
    let other = "UPDATE tasks SET turn = (SELECT turn FROM tasks WHERE task = 'sum/toy/1') \
        WHERE task = 'sum/toy/0'";
    assert_eq!(connection.execute(other, []).unwrap(), 1);
    let report = audit(dir.path());
    assert_eq!(ends(&report), ["answer/toy/0", "sum/toy/0"], "{report}");
}

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

fn turns(file: &File) -> Vec<Turn> {
    let (catalog, ..) = toys::preamble();
    let stored = records(file, "turns");
    let turn = |value: &[u8]| match Event::decode(&catalog, value).unwrap() {
        Event::Turn(turn) => turn,
        other => panic!("{other:?}"),
    };
    stored.iter().map(|r| turn(r.value.unwrap())).collect()
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
    file.cut(&at("turns", 0), kept as u64);
    let lost = |task: &str, turn: i64| {
        let mut lost = all[kept..].iter();
        lost.any(|other| other.task == task && other.number == turn)
    };
    forget_snapshots(&file, lost);
}

/// Takes the snapshots after some turns away.
fn forget_snapshots(file: &File, lost: impl Fn(&str, i64) -> bool) {
    let (catalog, ..) = toys::preamble();
    let stored = records(file, "snapshots");
    let mut kept = Batch::new();
    for record in stored.iter() {
        match Event::decode(&catalog, record.value.unwrap()).unwrap() {
            Event::SnapshotTaken(taken) if lost(&taken.task, taken.turn) => {}
            _ => kept.push_record(&record),
        }
    }
    file.rewrite(&at("snapshots", 0), &kept);
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
    let (all, stored) = (turns(&file), records(&file, "turns"));
    let mut kept = Batch::new();
    let others = all.iter().zip(stored.iter());
    let others = others.filter(|(turn, _)| turn.task != "auditor/toy/0");
    others.for_each(|(_, record)| kept.push_record(&record));
    file.rewrite(&at("turns", 0), &kept);
    forget_snapshots(&file, |task, _| task == "auditor/toy/0");
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

//! An audit of a sound log finds nothing; of one byte that was changed anywhere it names the place. What a log holds is
//! what any machine writes again, whatever goes wrong meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod definitions;
mod doors;
mod ends;
mod life;
mod log;
mod machines;
mod topics;
mod whole;

use std::fs;
use std::path::Path;

use log::{NUMBERS, ROUNDS, TAKEN, at, audit, audit_with, factory, fill};
use mainstem_host::auditor::{Finding, Place};
use mainstem_host::blobs::DirBlobs;
use mainstem_kernel::Partition;
use mainstem_kernel::rounds::Frame;
use mainstem_kernel::task::{Task, TaskSpec};
use mainstem_kernel::testkit::toys;
use mainstem_kernel::{Context, Machine, Outbox, Run};
use mainstem_schemas::{Batch, Digest};

/// The partitions of the log.
const PARTITIONS: [(&str, u32); 11] = [
    ("schemas", 0),
    ("definitions", 0),
    ("clock", 0),
    ("outcomes", 0),
    ("numbers", 0),
    ("numbers", 1),
    ("sums", 0),
    ("answers", 0),
    ("orders", 0),
    ("turns", 0),
    ("snapshots", 0),
];

/// Partition and offsets that a finding is about.
fn places(finding: &Finding) -> Option<(Partition, std::ops::Range<u64>)> {
    let one = |at: &Place| (at.partition.clone(), at.offset..at.offset + 1);
    Some(match finding {
        Finding::ChainBroken { at, .. }
        | Finding::TurnDamaged { at, .. }
        | Finding::TurnDiffers { at, .. }
        | Finding::OutputDiffers { at, .. }
        | Finding::OutputMissing { at, .. }
        | Finding::OutputExtra { at, .. }
        | Finding::SnapshotDiffers { at, .. } => one(at),
        Finding::InputDamaged {
            partition,
            offset,
            next,
            ..
        } => (partition.clone(), *offset..*next),
        Finding::Unreadable { at, next, .. } => (at.partition.clone(), at.offset..*next),
        _ => return None,
    })
}

#[test]
fn a_sound_log_has_no_mismatch() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let report = audit(dir.path());
    assert_eq!(report.findings, [], "{report}");
    let numbers = u64::from(2 * ROUNDS * NUMBERS);
    // Every number gives a sum, every sum an order, and every sum but the first of each partition an answer.
    assert!(
        report.derived_events > 2 * numbers + numbers / 2,
        "{report}"
    );
    assert_eq!((report.tasks, report.snapshots, report.blobs), (4, 6, 8));
    assert!(report.facts > numbers);
    assert_eq!((report.uncovered.len(), report.unfolded.len()), (0, 0));
    assert_eq!((report.sealed_events, report.unjudged_events), (0, 0));
    assert!(report.to_string().ends_with("0 mismatches"));
}

/// Changes bytes all over every partition, one at a time.
fn flip_everywhere(sum: bool, each: usize) {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    for (topic, index) in PARTITIONS {
        let partition = at(topic, index);
        let file = log::File::open(dir.path());
        let rows = file.rows(&partition);
        let total: usize = rows.iter().map(|row| row.bytes().len()).sum();
        assert!(total > 0, "{partition} is empty");
        // A stride that has no factor in common with the records' lengths meets every kind of byte.
        let stride = (total / each).max(1) | 1;
        for n in (0..total).step_by(stride) {
            let (mut rest, mut row) = (n, 0);
            while rest >= rows[row].bytes().len() {
                rest -= rows[row].bytes().len();
                row += 1;
            }
            let byte = rows[row].bytes().start + rest;
            let (offset, frame) = rows[row].record_of(byte);
            file.put(&rows[row].flipped(byte), sum);
            let report = audit(dir.path());
            let within = byte - frame.start;
            let found = report.findings.iter().filter_map(places);
            let placed = found
                .filter(|(at, offsets)| *at == partition && offsets.contains(&offset))
                .count();
            assert!(
                placed > 0,
                "byte {within} of {} of {partition} offset {offset}:\n{report}",
                frame.len()
            );
            // Nobody is left to have written what an unreadable last turn wrote.
            let of_a_turn = if topic == "turns" { TAKEN[1] } else { 0 };
            assert!(
                report.mismatches <= 4 + of_a_turn as u64,
                "{partition} offset {offset}: {report}"
            );
            file.put(&rows[row], true);
        }
    }
    assert_eq!(audit(dir.path()).findings, []);
}

#[test]
fn any_changed_byte_is_found_and_placed() {
    flip_everywhere(true, 10);
}

#[test]
fn any_changed_byte_that_the_log_notices_is_found_and_placed() {
    flip_everywhere(false, 3);
}

#[test]
fn a_derived_value_is_placed_to_its_field() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let file = log::File::open(dir.path());
    let partition = at("sums", 0);
    let rows = file.rows(&partition);
    let row = &rows[rows.len() / 2];
    // The last eight bytes of the value, before the record's headers, are the number.
    let batch = row.batch();
    let record = batch.get(0).unwrap();
    let value = record.value.unwrap();
    let at = row.blob.windows(value.len()).position(|w| w == value);
    let byte = at.unwrap() + value.len() - 2;
    file.put(&row.flipped(byte), true);
    let report = audit(dir.path());
    match &report.findings[..] {
        [
            Finding::OutputDiffers {
                at,
                field,
                expected,
                found,
            },
        ] => {
            assert_eq!((&at.partition, at.offset), (&partition, row.first));
            assert_eq!(field, "value");
            let (expected, found): (f64, f64) = (expected.parse().unwrap(), found.parse().unwrap());
            assert_ne!(expected, found);
        }
        _ => panic!("{report}"),
    }
    // Its reader is compared by digests from there on.
    assert_eq!(report.unfolded.len(), 1, "{report}");
}

#[test]
fn missing_extra_doubled_and_moved_records_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let file = log::File::open(dir.path());
    let partition = at("orders", 0);
    let mut stored = Batch::new();
    for row in file.rows(&partition) {
        row.batch()
            .iter()
            .for_each(|record| stored.push_record(&record));
    }
    let last = stored.len() - 1;
    let changed = |change: &dyn Fn(&mut Vec<usize>)| {
        let mut order: Vec<usize> = (0..stored.len()).collect();
        change(&mut order);
        let mut records = Batch::new();
        for at in order {
            records.push_record(&stored.get(at).unwrap());
        }
        file.rewrite(&partition, &records);
        let report = audit(dir.path());
        assert!(report.mismatches as usize >= report.findings.len());
        let kind = |finding: &Finding| match finding {
            Finding::OutputDiffers { at, .. } => ("differs", at.offset as usize),
            Finding::OutputMissing { at, .. } => ("missing", at.offset as usize),
            Finding::OutputExtra { at, .. } => ("extra", at.offset as usize),
            other => panic!("{other}"),
        };
        report.findings.iter().map(kind).collect::<Vec<_>>()
    };
    assert_eq!(changed(&|_| {}), []);
    assert_eq!(changed(&|all| _ = all.remove(100)), [("missing", 100)]);
    assert_eq!(changed(&|all| _ = all.pop()), [("missing", last)]);
    assert_eq!(
        changed(&|all| drop(all.drain(7..9))),
        [("missing", 7), ("missing", 7)]
    );
    assert_eq!(changed(&|all| all.insert(50, 20)), [("extra", 50)]);
    assert_eq!(changed(&|all| all.push(3)), [("extra", last + 1)]);
    assert_eq!(changed(&|all| all[30] = 5), [("differs", 30)]);
    // Three copies of an older record: either changed, or extra with three missing.
    assert!((3..=6).contains(&changed(&|all| all[30..33].fill(5)).len()));
    let moved = changed(&|all| all.swap(60, 61));
    assert!((1..=2).contains(&moved.len()), "{moved:?}");
    let reversed = changed(&|all| all.reverse());
    assert!(reversed.len() >= 100, "{}", reversed.len());
    assert_eq!(changed(&|_| {}), []);
}

#[test]
fn blobs_that_changed_or_went_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let model = fill(dir.path());
    let blobs = DirBlobs::open(&dir.path().join("blobs")).unwrap();
    for digest in blobs.all().unwrap() {
        let path = blobs.path(&digest);
        let bytes = fs::read(&path).unwrap();
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 0x10;
        fs::write(&path, changed).unwrap();
        let report = audit(dir.path());
        assert!(
            matches!(&report.findings[..], [Finding::BlobDamaged { digest: d, named, .. }]
                if *d == digest && named.contains(" at toy.")),
            "{report}"
        );
        fs::remove_file(&path).unwrap();
        let report = audit(dir.path());
        assert!(
            matches!(&report.findings[..], [Finding::BlobMissing { digest: d, .. }] if *d == digest),
            "{report}"
        );
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(audit(dir.path()).findings, []);
    assert!(blobs.all().unwrap().contains(&model));
}

/// Changes a byte of every blob but some.
fn damage_blobs(dir: &Path, but: &[Digest]) -> usize {
    let blobs = DirBlobs::open(&dir.join("blobs")).unwrap();
    let mut all = blobs.all().unwrap();
    all.retain(|digest| !but.contains(digest));
    for digest in &all {
        let mut bytes = fs::read(blobs.path(digest)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x01;
        fs::write(blobs.path(digest), bytes).unwrap();
    }
    all.len()
}

#[test]
fn damaged_snapshots_are_found_and_a_worker_folds_everything_again() {
    let dir = tempfile::tempdir().unwrap();
    let model = fill(dir.path());
    let specs = log::specs();
    let step = || {
        let progress = log::crew(dir.path(), 50).step(&specs).unwrap();
        assert_eq!((progress.restored, progress.stopped.len()), (4, 0));
        progress.passed_over.len()
    };
    assert_eq!(step(), 0);
    let snapshots = damage_blobs(dir.path(), &[model, toys::project().digest()]);
    assert!(snapshots > 2);
    assert_eq!(step(), snapshots);
    let report = audit(dir.path());
    assert_eq!(report.mismatches, snapshots as u64, "{report}");
    let named = |finding: &Finding| matches!(finding, Finding::BlobDamaged { named, .. } if named.starts_with("SnapshotTaken at toy.snapshots/0 offset "));
    assert!(report.findings.iter().all(named), "{report}");
}

#[test]
fn a_task_with_damaged_inputs_is_folded_again_from_its_next_snapshot_on() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let whole = audit(dir.path());
    let file = log::File::open(dir.path());
    let row = &file.rows(&at("numbers", 0))[0];
    file.put(&row.flipped(row.bytes().start + 40), true);
    let report = audit(dir.path());
    assert!(
        matches!(
            &report.findings[..],
            [Finding::InputDamaged { offset: 0, .. }]
        ),
        "{report}"
    );
    let stopped: Vec<&str> = report.unfolded.iter().map(|u| u.task.as_str()).collect();
    assert_eq!(stopped, ["auditor/toy/0", "sum/toy/0"]);
    let sums = whole.derived_events - report.derived_events;
    assert_eq!(sums, report.sealed_events);
    assert!((1..u64::from(ROUNDS * NUMBERS)).contains(&sums), "{report}");
}

/// The sums' machine in a newer version, which does the same.
struct Newer;

impl Machine for Newer {
    const VERSION: u32 = 2;
    type State = <mainstem_kernel::testkit::toys::Summing as Machine>::State;

    fn fold(&self, state: &mut Self::State, cx: &Context<'_>, run: &Run<'_>, out: &mut Outbox) {
        let old = mainstem_kernel::testkit::toys::Summing {
            bug: mainstem_kernel::testkit::toys::Bug::Nothing,
        };
        old.fold(state, cx, run, out);
    }
}

#[test]
fn another_version_is_named_and_never_called_sound() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let newer = |spec: &TaskSpec| match spec.id.0.as_str() {
        "sum/toy/0" => Some(Box::new(Frame::new(Newer, spec.clone())) as Box<dyn Task>),
        "answer/toy/0" => None,
        _ => factory(spec),
    };
    let report = audit_with(dir.path(), &newer);
    let needs = |finding: &Finding| match finding {
        Finding::NeedsVersion {
            task,
            turn,
            needs,
            has,
            ..
        } => (task.clone(), *turn, *needs, *has),
        other => panic!("{other}"),
    };
    let found: Vec<_> = report.findings.iter().map(needs).collect();
    let expected = [("answer/toy/0", None), ("sum/toy/0", Some(2))];
    let expected = expected.map(|(task, has)| (task.to_owned(), 1, 1, has));
    assert_eq!(found, expected, "{report}");
    assert!(!report.is_clean());
    // What cannot be recomputed is still compared with the digests in the chain.
    assert!(report.sealed_events > 0 && report.to_string().contains("needs machine version 1"));
}

#[test]
fn facts_beyond_the_last_turns_are_told() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    {
        let log = mainstem_log_local::LocalLog::open(dir.path()).unwrap();
        let mut batch = Batch::new();
        batch.push(Some(b"k"), Some(b"v"), []);
        let mut writer = mainstem_kernel::Log::writer(&log, "late").unwrap();
        writer.append(&[(at("numbers", 1), batch)]).unwrap();
    }
    let report = audit(dir.path());
    assert!(report.is_clean(), "{report}");
    let [late] = &report.uncovered[..] else {
        panic!("{report}")
    };
    assert_eq!(
        (&late.partition, late.to - late.from),
        (&at("numbers", 1), 1)
    );
}

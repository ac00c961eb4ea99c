//! Atomic appends, and writers that fence each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Fixture;
use super::desk::{Desk, batch};
use crate::log::{CommitError, FetchLimit};
use mainstem_schemas::Batch;

pub(super) fn an_append_is_whole_or_absent(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "whole", &[("a", 1), ("b", 2), ("c", 1)]);
    let all = [("a", 0), ("b", 0), ("b", 1), ("c", 0)].map(|(topic, index)| desk.at(topic, index));
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    for n in 0..20 {
        let value = n.to_string();
        let mut records: Vec<_> = all
            .iter()
            .map(|at| (at.clone(), batch(&[&value])))
            .collect();
        if n % 4 == 3 {
            records.insert(n % 5, (desk.at("nowhere", 0), batch(&[&value])));
            assert!(writer.append(&records).is_err());
        } else {
            writer.append(&records).unwrap();
        }
        // What was acknowledged is there for a handle that opens now, and what was refused is nowhere.
        let want: Vec<String> = (0..=n)
            .filter(|m| m % 4 != 3)
            .map(|m| m.to_string())
            .collect();
        if n > 16 {
            all.iter().for_each(|at| assert_eq!(desk.values(at), want));
        }
    }
}

pub(super) fn nobody_sees_a_part(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "part", &[("records", 2)]);
    let done = AtomicBool::new(false);
    let size = 7;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let log = fixture.open();
            let mut writer = log.writer(&desk.name("writer")).unwrap();
            for n in 0..60 {
                let values = vec![n.to_string(); size];
                let both = [0, 1].map(|index| (desk.at("records", index), batch(&values)));
                writer.append(&both).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        for index in [0, 1] {
            let (desk, done) = (&desk, &done);
            scope.spawn(move || {
                let log = fixture.open();
                let mut reader = log.reader().unwrap();
                let at = desk.at("records", index);
                let deadline = Instant::now() + fixture.patience;
                let (mut next, mut all) = (0, Batch::new());
                while all.len() < 60 * size {
                    assert!(Instant::now() < deadline, "only {} records came", all.len());
                    let ended = done.load(Ordering::SeqCst);
                    let before = all.len();
                    let limit = FetchLimit {
                        records: 3,
                        ..FetchLimit::default()
                    };
                    reader.fetch(&at, next, limit, &mut all).unwrap();
                    if all.len() == before {
                        assert_eq!(all.len() % size, 0, "the end lies between commits");
                        assert!(!ended, "what was acknowledged is there");
                        std::thread::sleep(Duration::from_micros(200));
                    }
                    next = all.offsets().last().map_or(0, |last| last + 1);
                }
            });
        }
    });
}

pub(super) fn concurrent_appends_stay_whole(fixture: &Fixture<'_>) {
    let (threads, appends, size) = (6, 15, 5);
    let desk = Desk::new(fixture, "concurrent", &[("records", 1), ("others", 1)]);
    let at = desk.at("records", 0);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let desk = &desk;
            scope.spawn(move || {
                let log = fixture.open();
                let mut writer = log.writer(&desk.name(&format!("writer{thread}"))).unwrap();
                for n in 0..appends {
                    let values: Vec<String> =
                        (0..size).map(|m| format!("{thread} {n} {m}")).collect();
                    let mut records = vec![(desk.at("records", 0), batch(&values))];
                    if n % 3 == 2 {
                        // A refused append between the others takes none of them with it.
                        records.push((desk.at("nowhere", 0), batch(&["x"])));
                        assert!(writer.append(&records).is_err());
                        records.pop();
                    }
                    records.push((desk.at("others", 0), batch(&[format!("{thread} {n}")])));
                    writer.append(&records).unwrap();
                }
            });
        }
    });
    let records = desk.values(&at);
    assert_eq!(records.len(), threads * appends * size);
    let mut next = vec![0; threads];
    for group in records.chunks(size) {
        let thread: usize = group[0].split(' ').next().unwrap().parse().unwrap();
        let n = next[thread];
        next[thread] += 1;
        let want: Vec<String> = (0..size).map(|m| format!("{thread} {n} {m}")).collect();
        assert_eq!(
            group, want,
            "an append is contiguous, and a writer's appends are in order"
        );
    }
    assert_eq!(desk.values(&desk.at("others", 0)).len(), threads * appends);
}

pub(super) fn a_newer_writer_fences(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "writers", &[("records", 1), ("others", 1)]);
    let at = desk.at("records", 0);
    let value = |value: &str| {
        [
            (desk.at("records", 0), batch(&[value])),
            (desk.at("others", 0), batch(&[value])),
        ]
    };
    let mut old = desk.log.writer(&desk.name("same")).unwrap();
    let mut other = desk.log.writer(&desk.name("other")).unwrap();
    old.append(&value("old")).unwrap();
    let mut new = fixture.open().writer(&desk.name("same")).unwrap();
    for _ in 0..2 {
        let refused = old.append(&value("zombie"));
        assert!(
            matches!(refused, Err(CommitError::Fenced(_))),
            "{refused:?}"
        );
    }
    new.append(&value("new")).unwrap();
    let refused = old.append(&value("zombie"));
    assert!(
        matches!(refused, Err(CommitError::Fenced(_))),
        "{refused:?}"
    );
    other.append(&value("other")).unwrap();
    drop(old);
    new.append(&value("still")).unwrap();
    for at in [at, desk.at("others", 0)] {
        assert_eq!(desk.values(&at), ["old", "new", "other", "still"]);
    }
}

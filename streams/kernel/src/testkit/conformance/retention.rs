//! Where a partition starts and ends.

use super::Fixture;
use super::desk::{Desk, batch, values};
use crate::log::{FetchLimit, LogError};
use mainstem_schemas::Batch;

pub(super) fn the_end_is_told(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "end", &[("records", 2)]);
    let at = desk.at("records", 1);
    let mut reader = fixture.open().reader().unwrap();
    let range = reader.range(&at).unwrap();
    assert!(range.is_empty());
    assert!(reader.at_end(&at, range.end).unwrap());
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    writer
        .append(&[(at.clone(), batch(&["a", "b", "c"]))])
        .unwrap();
    let all = desk.read(&at);
    let range = reader.range(&at).unwrap();
    let last = all.offsets()[2];
    assert!(range.start <= all.offsets()[0] && range.end > last);
    for offset in all.offsets() {
        assert!(!reader.at_end(&at, *offset).unwrap());
    }
    // The offset after the last record is an end too, though a log may count something of its own behind it.
    assert!(reader.at_end(&at, last + 1).unwrap());
    assert!(reader.at_end(&at, range.end).unwrap());
    for end in [last + 1, range.end] {
        let mut nothing = Batch::new();
        reader
            .fetch(&at, end, FetchLimit::default(), &mut nothing)
            .unwrap();
        assert!(nothing.is_empty());
    }
    assert!(reader.range(&desk.at("records", 0)).unwrap().is_empty());
}

pub(super) fn what_is_forgotten_is_out_of_range(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "forgotten", &[("records", 2)]);
    let at = desk.at("records", 0);
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    for n in 0..3 {
        let both = [0, 1].map(|index| {
            (
                desk.at("records", index),
                batch(&[n.to_string(), "x".into()]),
            )
        });
        writer.append(&both).unwrap();
    }
    let all = desk.read(&at);
    let mut reader = fixture.open().reader().unwrap();
    let end = reader.range(&at).unwrap().end;
    desk.log.truncate(&at, end).unwrap();
    let range = reader.range(&at).unwrap();
    assert!(range.start > all.offsets()[5] && range.is_empty());
    for offset in [all.offsets()[0], all.offsets()[5]] {
        let want = LogError::OutOfRange {
            partition: at.clone(),
            offset,
            earliest: range.start,
        };
        let got = reader.fetch(&at, offset, FetchLimit::default(), &mut Batch::new());
        assert_eq!(got, Err(want));
    }
    writer.append(&[(at.clone(), batch(&["new"]))]).unwrap();
    let new = desk.read(&at);
    assert_eq!(values(&new), ["new"]);
    assert!(
        new.offsets()[0] > all.offsets()[5],
        "offsets are never used again"
    );
    assert_eq!(desk.read(&desk.at("records", 1)).len(), 6);
}

pub(super) fn what_is_kept_stays(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "stays", &[("records", 1)]);
    let at = desk.at("records", 0);
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    for n in 0..4 {
        let values: Vec<String> = (0..50).map(|m| format!("{n}.{m}")).collect();
        writer.append(&[(at.clone(), batch(&values))]).unwrap();
    }
    let all = desk.read(&at);
    let mut reader = fixture.open().reader().unwrap();
    for row in [0, 49, 50, 75, 130] {
        let before = all.offsets()[row];
        desk.log.truncate(&at, before).unwrap();
        let mut got = Batch::new();
        reader
            .fetch(&at, before, FetchLimit::default(), &mut got)
            .unwrap();
        assert_eq!(got.offsets()[0], before);
    }
    // An earlier bound brings nothing back and takes nothing away.
    desk.log.truncate(&at, all.offsets()[75]).unwrap();
    let kept = desk.read(&at);
    assert!(
        kept.len() >= 70,
        "nothing at or beyond the bound is forgotten"
    );
    let rows = all.len() - kept.len()..all.len();
    assert_eq!(kept.frames(0..kept.len()), all.frames(rows.clone()));
    assert_eq!(kept.offsets(), &all.offsets()[rows]);
}

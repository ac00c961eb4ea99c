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

pub(super) fn one_look_at_many_says_what_many_looks_say(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "looks", &[("records", 3)]);
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    for name in ["a", "b", "c"] {
        let both = [0, 2].map(|index| (desk.at("records", index), batch(&[name])));
        writer.append(&both).unwrap();
    }
    let forgotten = desk.read(&desk.at("records", 2)).offsets()[1];
    desk.log
        .truncate(&desk.at("records", 2), forgotten)
        .unwrap();
    let mut reader = fixture.open().reader().unwrap();
    let known = [2, 0, 1].map(|index| desk.at("records", index));
    let ranges = known.each_ref().map(|at| reader.range(at).unwrap());
    // The same one twice, and some that there are not.
    let asked = [
        known[0].clone(),
        desk.at("nowhere", 0),
        known[1].clone(),
        known[2].clone(),
        known[1].clone(),
        desk.at("records", 3),
    ];
    let [two, nought, one] = ranges.clone().map(Some);
    let want = [two, None, nought.clone(), one, nought, None];
    assert_eq!(reader.ranges(&asked).unwrap(), want);
    assert_eq!(reader.ranges(&[]).unwrap(), []);

    let all = desk.read(&known[1]);
    let places = [
        (known[1].clone(), all.offsets()[2]),
        (known[0].clone(), ranges[0].end),
        (known[1].clone(), all.offsets()[2] + 1),
        (known[1].clone(), all.offsets()[0]),
        (known[2].clone(), 0),
    ];
    let want = [false, true, true, false, true];
    assert_eq!(reader.which_are_at_end(&places).unwrap(), want);
    let single = places
        .each_ref()
        .map(|(at, offset)| reader.at_end(at, *offset).unwrap());
    assert_eq!(single, want);
    let unknown = [places[1].clone(), (desk.at("nowhere", 0), 0)];
    let want = LogError::UnknownTopic(desk.at("nowhere", 0));
    assert_eq!(reader.which_are_at_end(&unknown), Err(want));
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

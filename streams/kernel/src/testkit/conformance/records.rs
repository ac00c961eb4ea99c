//! Topics, records, offsets, limits.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::Fixture;
use super::desk::{Desk, batch, plain, read_on, values};
use crate::log::{CommitError, FetchLimit, LogError, Partition, TopicSpec};
use mainstem_schemas::Batch;

pub(super) fn topics_are_created_once(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "created", &[("one", 1), ("three", 3)]);
    let spec = |name: &str, partitions| TopicSpec {
        name: desk.topic(name),
        partitions,
    };
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    writer
        .append(&[(desk.at("three", 2), batch(&["kept"]))])
        .unwrap();
    let again = [spec("three", 3), spec("new", 2)];
    fixture.open().create_topics(&again).unwrap();
    assert_eq!(desk.values(&desk.at("three", 2)), ["kept"]);

    let mut found = fixture.open().topics().unwrap();
    found.retain(|topic| topic.name.starts_with(&desk.topic("")));
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let want = [
        ("new", 2),
        ("one", 1),
        ("snapshots", 1),
        ("three", 3),
        ("turns", 1),
    ];
    assert_eq!(found, want.map(|(name, partitions)| spec(name, partitions)));

    let refused = desk.log.create_topics(&[spec("three", 4)]);
    let want = LogError::Partitions {
        topic: desk.topic("three"),
        actual: 3,
        wanted: 4,
    };
    assert_eq!(refused, Err(want));
}

pub(super) fn an_unknown_partition_is_named(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "unknown", &[("known", 2)]);
    let mut reader = desk.log.reader().unwrap();
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    for unknown in [desk.at("nowhere", 0), desk.at("known", 2)] {
        let want = LogError::UnknownTopic(unknown.clone());
        let fetched = reader.fetch(&unknown, 0, FetchLimit::default(), &mut Batch::new());
        assert_eq!(fetched, Err(want.clone()));
        assert_eq!(reader.range(&unknown), Err(want.clone()));
        assert_eq!(reader.at_end(&unknown, 0), Err(want.clone()));
        assert_eq!(desk.log.truncate(&unknown, 0), Err(want.clone()));
        let known = (desk.at("known", 0), batch(&["with it"]));
        let refused = writer.append(&[known, (unknown, batch(&["lost"]))]);
        assert_eq!(refused, Err(CommitError::Log(want)));
    }
    assert_eq!(desk.values(&desk.at("known", 0)), [""; 0]);
    let known = (desk.at("known", 0), batch(&["after it"]));
    writer.append(&[known]).unwrap();
    assert_eq!(desk.values(&desk.at("known", 0)), ["after it"]);
}

pub(super) fn every_shape_of_record_comes_back(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "shapes", &[("records", 1)]);
    let at = desk.at("records", 0);
    let mut sent = Batch::new();
    sent.push(None, None, []);
    sent.push(Some(b""), Some(b""), []);
    sent.push(Some(b"key"), None, [("", &b""[..])]);
    sent.push(
        None,
        Some(&[0, 255, 0]),
        [("twice", &b"1"[..]), ("twice", b"2")],
    );
    sent.push(
        Some("schlüssel".as_bytes()),
        Some(&vec![b'v'; 70_000]),
        [("ce_id", &b"1"[..]), ("größe", &[0; 300])],
    );
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    writer.append(&[(at.clone(), sent.clone())]).unwrap();
    let read = desk.read(&at);
    assert_eq!(plain(&read), plain(&sent));
    assert_eq!(
        read.frames(0..5),
        sent.frames(0..5),
        "what is hashed is the same"
    );
    assert_eq!(desk.read(&at), read, "and read again, with its timestamps");
}

pub(super) fn order_is_kept_and_offsets_rise(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "order", &[("left", 1), ("right", 2)]);
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    let mut want = Vec::new();
    for n in 0..30 {
        let values: Vec<String> = (0..n % 4).map(|m| format!("{n}.{m}")).collect();
        writer
            .append(&[
                (desk.at("left", 0), batch(&values)),
                (desk.at("right", 1), batch(&[n.to_string()])),
                (desk.at("left", 0), batch(&["again"])),
            ])
            .unwrap();
        want.extend(values);
        want.push("again".into());
    }
    writer.append(&[]).unwrap();
    assert_eq!(desk.values(&desk.at("left", 0)), want);
    let right = desk.read(&desk.at("right", 1));
    assert_eq!(
        values(&right),
        (0..30).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    assert!(right.offsets().is_sorted_by(|a, b| a < b));
    assert!(desk.read(&desk.at("right", 0)).is_empty());
}

pub(super) fn a_fetch_resumes_anywhere(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "resume", &[("records", 1)]);
    let at = desk.at("records", 0);
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    for n in 0..3 {
        let values: Vec<String> = (0..500).map(|m| format!("{n}.{m}")).collect();
        writer.append(&[(at.clone(), batch(&values))]).unwrap();
    }
    let all = desk.read(&at);
    assert_eq!(all.len(), 1_500);
    let mut reader = fixture.open().reader().unwrap();
    for row in [0, 1, 250, 499, 500, 501, 999, 1_000, 1_499] {
        let from = all.offsets()[row];
        let rest = read_on(&mut *reader, &at, from, FetchLimit::default());
        assert_eq!(rest.offsets(), &all.offsets()[row..]);
        assert_eq!(rest.frames(0..rest.len()), all.frames(row..all.len()));
        assert_eq!(rest.timestamps(), &all.timestamps()[row..]);
        let small = FetchLimit {
            records: 7,
            ..FetchLimit::default()
        };
        assert_eq!(read_on(&mut *reader, &at, from, small), rest);
    }
    let mut into = batch(&["there before"]);
    let last = all.offsets()[1_499];
    reader
        .fetch(&at, last, FetchLimit::default(), &mut into)
        .unwrap();
    assert_eq!(values(&into), ["there before", "2.499"]);
}

pub(super) fn limits_hold_but_one_record_comes(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "limits", &[("records", 1)]);
    let at = desk.at("records", 0);
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    writer
        .append(&[(at.clone(), batch(&vec![[b'x'; 100]; 50]))])
        .unwrap();
    writer
        .append(&[(at.clone(), batch(&vec![[b'y'; 100]; 50]))])
        .unwrap();
    let mut reader = desk.log.reader().unwrap();
    let start = reader.range(&at).unwrap().start;
    let mut fetch = |records, bytes| {
        let mut into = batch(&["not counted"]);
        let limit = FetchLimit { records, bytes };
        reader.fetch(&at, start, limit, &mut into).unwrap();
        (into.len() - 1, into.bytes() - into.frames(0..1).len())
    };
    for (records, bytes) in [
        (1, 1 << 20),
        (10, 1 << 20),
        (60, 1 << 20),
        (100, 1_000),
        (100, 8_000),
    ] {
        let (count, size) = fetch(records, bytes);
        assert!(
            (1..=records).contains(&count),
            "{count} of {records} records"
        );
        assert!(size <= bytes, "{size} of {bytes} bytes");
    }
    assert_eq!(fetch(100, 1).0, 1, "one that is over the limit");
    assert_eq!(fetch(0, 0).0, 1, "one where nothing is allowed");
}

pub(super) fn a_record_too_large_is_refused(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "large", &[("records", 1), ("others", 1)]);
    let at = desk.at("records", 0);
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    let refused = writer.append(&[
        (desk.at("others", 0), batch(&["with it"])),
        (at.clone(), batch(&[vec![b'x'; 2 << 20]])),
    ]);
    match refused {
        Err(CommitError::Log(LogError::TooLarge { size, limit, .. })) => assert!(size > limit),
        other => panic!("2 MiB are {other:?}"),
    }
    assert!(desk.read(&desk.at("others", 0)).is_empty());
    // Ten records that a broker takes one by one, and more together than it takes in one request.
    let large = vec![vec![b'y'; 900_000]; 10];
    writer.append(&[(at.clone(), batch(&large))]).unwrap();
    let read = desk.read(&at);
    assert_eq!(read.len(), 10);
    assert!(
        read.iter()
            .all(|record| record.value == Some(&large[0][..]))
    );
}

pub(super) fn many_partitions_keep_apart(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "many", &[("records", 48)]);
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    let some = |round: usize| -> Vec<(Partition, Batch)> {
        let value = |index| format!("{round} of {index}");
        (0..48)
            .map(|index| (desk.at("records", index), batch(&[value(index)])))
            .collect()
    };
    for round in 0..3 {
        writer.append(&some(round)).unwrap();
    }
    for index in 0..48 {
        let want: Vec<String> = (0..3).map(|round| format!("{round} of {index}")).collect();
        assert_eq!(desk.values(&desk.at("records", index)), want);
    }
}

/// Partition, and the sizes of its records.
type Append = (u32, Vec<usize>);

/// Appends of any sizes, read back in steps of any size.
pub(super) fn any_mix_of_appends_comes_back(fixture: &Fixture<'_>) {
    let desk = Desk::new(fixture, "mix", &[("records", 4)]);
    let mut writer = desk.log.writer(&desk.name("writer")).unwrap();
    let mut reader = desk.log.reader().unwrap();
    let appends = prop::collection::vec(
        (0u32..4, prop::collection::vec(0usize..20_000, 0..60)),
        1..12,
    );
    let limits = (1usize..200, 1usize..100_000);
    let config = Config {
        cases: 6,
        failure_persistence: None,
        ..Config::default()
    };
    let mut serial = 0u64;
    let mut want: [Vec<Vec<u8>>; 4] = Default::default();
    let mut check = |(appends, (records, bytes)): (Vec<Append>, (usize, usize))| {
        let mut sent = Vec::new();
        for (index, sizes) in appends {
            let mut value = |size: &usize| {
                serial += 1;
                let mut value = serial.to_le_bytes().to_vec();
                value.resize(8 + size, serial as u8);
                value
            };
            let values: Vec<Vec<u8>> = sizes.iter().map(&mut value).collect();
            sent.push((desk.at("records", index), batch(&values)));
            want[index as usize].extend(values);
        }
        writer.append(&sent).unwrap();
        for index in 0..4 {
            let at = desk.at("records", index);
            let start = reader.range(&at).unwrap().start;
            let read = read_on(&mut *reader, &at, start, FetchLimit { records, bytes });
            let got: Vec<&[u8]> = read.iter().filter_map(|record| record.value).collect();
            prop_assert!(got == want[index as usize], "partition {index}");
        }
        Ok(())
    };
    // One history that grows, for a log cannot be started anew; so nothing is to be shrunk either.
    let check = std::cell::RefCell::new(&mut check);
    TestRunner::new_with_rng(config, rng())
        .run(&(appends, limits), |input| (check.borrow_mut())(input))
        .unwrap();
}

fn rng() -> proptest::test_runner::TestRng {
    proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha)
}

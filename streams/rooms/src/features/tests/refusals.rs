//! What is refused, and how.

use mainstem_schemas::Digest;
use mainstem_schemas::events::{Event, RecordQuarantined};
use mainstem_schemas::{Batch, EventId, Millis};
use serde_json::json;

use super::{DAY, bench, rows};
use crate::features::{BadView, FeatureMachine, Plan};
use crate::harness::{Bench, arrive, body, project};

#[test]
fn views_that_cannot_be_computed_are_refused_by_name() {
    let refusal = |features: serde_json::Value| {
        let project = project(features);
        Plan::compile(&project.views["v"], &project.sources["s"]).unwrap_err()
    };
    let column = |name: &str, of: &str| json!({"name": name, "of": {"column": of}});
    assert_eq!(
        refusal(json!([column("a", "x"), column("a", "x")])),
        BadView::Twice("a".into())
    );
    assert_eq!(
        refusal(json!([column("a", "b"), column("b", "a")])),
        BadView::Circle("a".into())
    );
    assert!(matches!(
        refusal(json!([column("a", "nothing")])),
        BadView::Unknown { .. }
    ));
    assert!(matches!(
        refusal(json!([column("a", "note")])),
        BadView::Text { .. }
    ));
    let lag = json!([{"name": "a", "of": {"lag": {"of": "x", "by": 0}}}]);
    assert!(matches!(refusal(lag), BadView::Length { records: 0, .. }));
}

pub(super) fn quarantined(bench: &Bench<FeatureMachine>) -> Vec<RecordQuarantined> {
    let events = bench.events("p.quarantine").into_iter();
    events
        .map(|event| match event {
            Event::RecordQuarantined(event) => event,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn what_cannot_be_taken_goes_whole_to_quarantine_and_leaves_no_trace() {
    let project = project(
        json!([{"name": "n", "of": {"window": {"statistic": "sum", "of": "n", "last": 3}}}]),
    );
    let mut bench = bench(&project);
    let schema = bench.catalog.id_of("s").unwrap();
    let good = |batch: &mut Batch, row: u64, time: i64| {
        arrive(
            batch,
            schema,
            "e",
            EventId::row(7, 1, row),
            Millis(time),
            |out| body(out, None, 1, true, None),
        );
    };
    let mut batch = Batch::new();
    good(&mut batch, 0, 1000);
    good(&mut batch, 1, 500);
    good(&mut batch, 2, 1000);
    good(&mut batch, 3, 2 * DAY + 1);
    let value = batch.get(0).unwrap().value.unwrap().to_vec();
    let (id, time) = (EventId::row(7, 1, 9).to_string(), Millis(2000).to_string());
    let (id, time) = (("ce_id", id.as_bytes()), ("ce_time", time.as_bytes()));
    batch.push(None, Some(&value), [id, time]);
    batch.push(Some(&[0xff]), Some(&value), [id, time]);
    batch.push(Some(b"e"), Some(&value), [id]);
    batch.push(Some(b"e"), Some(&value), [id, ("ce_time", &b"noon"[..])]);
    batch.push(Some(b"e"), None, [id, time]);
    batch.push(Some(b"e"), Some(b"{}"), [id, time]);
    batch.push(Some(b"e"), Some(&[0, 0, 0, 9, 9, 1]), [id, time]);
    batch.push(Some(b"e"), Some(&value[..value.len() - 1]), [id, time]);
    batch.push(
        Some(b"e"),
        Some(&value[..6]),
        [("ce_id", &b"theirs"[..]), ("ce_source", b"shop"), time],
    );
    batch.push(Some(b"e"), Some(&value[..6]), [time]);
    good(&mut batch, 4, 2 * DAY);
    bench.feed(0, &batch);

    assert_eq!(rows(&bench, &project), [[1.0], [2.0]]);
    let quarantined = quarantined(&bench);
    let reasons = [
        "equal to or older",
        "equal to or older",
        "more than a day ahead",
        "no key",
        "not UTF-8",
        "no header ce_time",
        "ce_time is no time",
        "no value",
        "starts with byte 0x7b",
        "schema id 2313 is not registered",
        "note: the record ends",
        "the record ends",
        "the record ends",
    ];
    assert_eq!(quarantined.len(), reasons.len());
    for (at, (record, reason)) in quarantined.iter().zip(reasons).enumerate() {
        assert!(
            record.reason.contains(reason),
            "{at}: {} for {reason}",
            record.reason
        );
        let source = batch.get(at + 1).unwrap();
        assert_eq!(record.value, source.value.unwrap_or_default());
        assert_eq!(record.digest, Digest::of(&record.value));
        assert_eq!(record.length, record.value.len() as i64);
        assert_eq!(record.key.as_ref().map(|key| &key.bytes[..]), source.key);
        assert_eq!(
            (record.observed_partition, record.observed_offset),
            (0, source.offset as i64)
        );
        assert_eq!(
            (record.topic.as_str(), record.task.as_str()),
            ("p.arrivals.s", "features/v/0")
        );
    }
    let origins: Vec<_> = quarantined
        .iter()
        .map(|record| record.origin.unwrap())
        .collect();
    assert_eq!(origins[0], EventId::row(7, 1, 1));
    assert_eq!(origins[11], EventId::named("shop", b"theirs"));
    assert_eq!(origins[12], EventId::foreign(7, 0, 13));
    assert_eq!(
        (quarantined[0].schema_id, quarantined[8].schema_id),
        (Some(schema as i32), None)
    );
}

/// As long as the log takes a record: 1 MiB. What says so must be shorter, or no task of its worker goes on.
#[test]
fn a_record_as_long_as_the_log_takes_is_quarantined_by_its_beginning() {
    let project = project(json!([{"name": "n", "of": {"column": "n"}}]));
    let mut bench = bench(&project);
    let schema = bench.catalog.id_of("s").unwrap();
    let (long, name) = (vec![b'x'; 1_047_900], vec![b'k'; 100_000]);
    let mut batch = Batch::new();
    batch.push(Some(b"e"), Some(&long), []);
    for key in [&name[..], &name[..1025], &name[..1024]] {
        let origin = EventId::row(7, 1, key.len() as u64);
        let key = std::str::from_utf8(key).unwrap();
        arrive(&mut batch, schema, key, origin, Millis(1000), |out| {
            body(out, None, 1, true, None);
        });
    }
    bench.feed(0, &batch);

    assert_eq!(rows(&bench, &project), [[1.0]], "a key of 1 KiB is taken");
    let quarantined = quarantined(&bench);
    let [value, keys @ ..] = &quarantined[..] else {
        panic!("nothing is quarantined");
    };
    assert_eq!(value.value, long[..64 << 10]);
    assert_eq!(
        (value.length, value.digest),
        (1_047_900, Digest::of(&long)),
        "of the whole"
    );
    for (record, length) in keys.iter().zip([100_000, 1025]) {
        let told = format!("its key has {length} bytes, and 1024 is the limit; write a shorter");
        assert!(record.reason.starts_with(&told), "{}", record.reason);
        let key = record.key.as_ref().unwrap();
        assert_eq!((&key.bytes[..], key.length), (&name[..1024], length));
    }
    assert_eq!(keys.len(), 2);
    let longest = bench
        .output("p.quarantine")
        .iter()
        .filter_map(|r| r.value.map(<[u8]>::len))
        .max();
    assert!(longest.unwrap() < 80 << 10);
}

/// In tests 1,024 are remembered.
#[test]
fn records_of_entities_beyond_the_limit_are_quarantined_and_the_known_go_on() {
    let project = project(json!([{"name": "n", "of": {"column": "n"}}]));
    let mut bench = bench(&project);
    let schema = bench.catalog.id_of("s").unwrap();
    let mut batch = Batch::new();
    let names = (0..1_026).chain([0, 1_023, 1_025]);
    for (row, name) in names.enumerate() {
        let (id, time) = (EventId::row(7, 1, row as u64), Millis(row as i64));
        arrive(&mut batch, schema, &name.to_string(), id, time, |out| {
            body(out, None, 1, true, None);
        });
    }
    bench.feed(0, &batch);
    assert_eq!(rows(&bench, &project).len(), 1_024 + 2);
    let quarantined = quarantined(&bench);
    let keys = quarantined
        .iter()
        .map(|record| &record.key.as_ref().unwrap().bytes[..]);
    assert_eq!(keys.collect::<Vec<_>>(), [b"1024", b"1025", b"1025"]);
    let told = "its entity is new, and 1024 are remembered in this partition, which is the limit";
    assert!(
        quarantined
            .iter()
            .all(|record| record.reason.starts_with(told))
    );
}

#[test]
fn a_step_that_was_opened_moves_the_horizon() {
    let project = project(json!([{"name": "n", "of": {"column": "n"}}]));
    let mut bench = bench(&project);
    bench.open(Millis(100 * DAY));
    let schema = bench.catalog.id_of("s").unwrap();
    let mut batch = Batch::new();
    arrive(
        &mut batch,
        schema,
        "e",
        EventId::row(7, 1, 0),
        Millis(100 * DAY),
        |out| body(out, None, 1, true, None),
    );
    bench.feed(0, &batch);
    assert_eq!(rows(&bench, &project), [[1.0]]);
}

//! What a reader hands out at once.

use std::time::Duration;

use mainstem_kernel::Log;
use mainstem_kernel::log::FetchLimit;
use mainstem_schemas::Batch;

use crate::support::{Room, broker, one, records};

/// Between records that come one by one lie events that say that the partition ended: a fetch goes on beyond them.
#[test]
fn records_that_came_one_by_one_are_handed_out_together() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "single", 1, &[]);
    let at = room.at("out", 0);
    let mut writer = room.log.writer("w").unwrap();
    let mut append = |value: &str| writer.append(&[(at.clone(), one(value))]).unwrap();
    append("first");
    append("second");
    let (mut reader, mut batch) = (room.log.reader().unwrap(), Batch::new());
    // One is left, so that the client goes on fetching, and hears of each end.
    let first = FetchLimit {
        records: 1,
        ..FetchLimit::default()
    };
    reader.fetch(&at, 0, first, &mut batch).unwrap();
    assert_eq!(batch.len(), 1);
    for value in ["third", "fourth", "fifth"] {
        append(value);
        std::thread::sleep(Duration::from_millis(200));
    }
    let next = batch.offsets()[0] + 1;
    let limit = FetchLimit::default();
    reader.fetch(&at, next, limit, &mut batch).unwrap();
    let values = batch.iter().map(|record| record.value.unwrap().to_vec());
    let wanted = ["first", "second", "third", "fourth", "fifth"];
    assert_eq!(values.collect::<Vec<_>>(), wanted.map(Vec::from));
}

/// Tasks of one worker share its reader. One that has read a partition to its end, where a transaction's marker is all that
/// is left, looks there with each step: what the client has fetched for another task, which is behind, stays with it.
#[test]
fn a_task_at_the_end_takes_nothing_from_one_that_is_behind() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "apart", 1, &[]);
    let at = room.at("out", 0);
    let mut many = Batch::new();
    (0..2_000u32).for_each(|n| many.push(None, Some(&n.to_le_bytes()), []));
    let mut writer = room.log.writer("w").unwrap();
    writer.append(&[(at.clone(), many)]).unwrap();
    let (mut reader, mut batch) = (room.log.reader().unwrap(), Batch::new());
    let (marker, end) = (2_000, 2_001);
    assert_eq!(reader.range(&at).unwrap(), 0..end);
    let mut fetch = |from, records| {
        let limit = FetchLimit {
            records,
            ..FetchLimit::default()
        };
        reader.fetch(&at, from, limit, &mut batch).unwrap();
        batch.len()
    };
    assert_eq!(fetch(marker, 1), 0);
    // As many as the reader takes from the client at once, so that it holds none itself.
    assert_eq!(fetch(0, 512), 512);
    assert_eq!((fetch(marker, 1), fetch(end, 1)), (512, 512));
    // Whoever goes back to the broker finds nothing.
    room.log.truncate(&at, end).unwrap();
    assert_eq!(fetch(512, 10_000), 2_000);
}

/// Headers of another client: none, several of one name, empty and null values, and more bytes and headers than a short
/// varint says.
#[test]
fn headers_of_a_java_producer_come_as_they_were_sent() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "headers", 1, &[]);
    let at = room.at("out", 0);
    let long = "x".repeat(20_000);
    let many: Vec<(String, &str)> = (0..200).map(|n| (format!("é{n}"), "v")).collect();
    let several = [
        ("a", "1"),
        ("b", ""),
        ("a", "2"),
        ("c", "NULL"),
        ("d", &long),
    ];
    let several = several.map(|(name, value)| (name.to_owned(), value));
    let sent = [&[][..], &several[..], &many[..], &[][..]];
    let line = |headers: &&[(String, &str)]| {
        let headers: Vec<String> = headers.iter().map(|(n, v)| format!("{n}:{v}")).collect();
        let headers = Some(headers.join(",")).filter(|text| !text.is_empty());
        format!("{}\tkey\tvalue\n", headers.as_deref().unwrap_or("NULL"))
    };
    let lines: String = sent.iter().map(line).collect();
    let mut arguments = vec![
        "--bootstrap-server",
        broker.bootstrap(),
        "--topic",
        &at.topic,
    ];
    for property in ["parse.headers=true", "parse.key=true", "null.marker=NULL"] {
        arguments.extend(["--property", property]);
    }
    let class = "org.apache.kafka.tools.ConsoleProducer";
    broker.tool(class, &arguments, &lines).unwrap();
    let batch = records(&room.log, &at);
    assert_eq!(batch.len(), sent.len());
    for (record, sent) in batch.iter().zip(sent) {
        assert_eq!(
            (record.key, record.value),
            (Some(&b"key"[..]), Some(&b"value"[..]))
        );
        let sent = sent
            .iter()
            .map(|(name, value)| (name.as_str(), value.replace("NULL", "")));
        let came = record
            .headers()
            .map(|(n, v)| (n, String::from_utf8(v.to_vec()).unwrap()));
        assert!(
            came.eq(sent),
            "headers differ: {:?}",
            record.headers().collect::<Vec<_>>()
        );
    }
}

//! Transactions that are open or aborted, brokers that restart, and the slow defaults.

use std::time::{Duration, Instant};

use mainstem_kernel::Log;
use mainstem_kernel::log::{CommitError, FetchLimit, Partition, TopicSpec};
use mainstem_schemas::Batch;
use mainstem_test_broker::{Broker, KAFKA};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::support::{Room, broker, connect, connect_with, one, records, run_name, values};

const LONG: Duration = Duration::from_secs(20);

/// Another program's producer, with rdkafka's defaults.
fn stranger(broker: &Broker, id: &str) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("transactional.id", id)
        .create()
        .unwrap();
    producer.init_transactions(LONG).unwrap();
    producer
}

fn open(producer: &BaseProducer, at: &Partition, value: &str) {
    producer.begin_transaction().unwrap();
    let record = BaseRecord::<(), str>::to(&at.topic)
        .partition(at.index as i32)
        .payload(value);
    producer.send(record).map_err(|(why, _)| why).unwrap();
    producer.flush(LONG).unwrap();
}

#[test]
fn open_transactions_hold_and_aborted_ones_are_invisible() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "open", 1, &[]);
    let (at, log) = (room.at("out", 0), &room.log);
    let mut writer = log.writer("w").unwrap();
    let mut reader = log.reader().unwrap();
    writer.append(&[(at.clone(), one("before"))]).unwrap();
    let mut fetch = |from| {
        let mut batch = Batch::new();
        let limit = FetchLimit::default();
        reader.fetch(&at, from, limit, &mut batch).unwrap();
        (batch.offsets().to_vec(), reader.at_end(&at, from).unwrap())
    };
    let next = fetch(0).0[0] + 1;
    assert_eq!(fetch(next), (Vec::new(), true));

    let other = stranger(broker, &run_name("stranger"));
    open(&other, &at, "aborted");
    assert_eq!(fetch(next), (Vec::new(), false), "a transaction is open");
    other.abort_transaction(LONG).unwrap();
    let deadline = Instant::now() + LONG;
    while fetch(next) != (Vec::new(), true) {
        assert!(Instant::now() < deadline, "the abort ends it");
    }
    let mut fresh = log.reader().unwrap();
    assert!(fresh.at_end(&at, next).unwrap(), "a fresh reader agrees");

    open(&other, &at, "held back");
    let start = Instant::now();
    writer.append(&[(at.clone(), one("behind"))]).unwrap();
    let waited = start.elapsed();
    assert!(waited < LONG / 2, "{waited:?}: a commit is not held back");
    assert_eq!(values(log, &at), ["before"]);
    other.commit_transaction(LONG).unwrap();
    while values(log, &at).len() < 3 {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(values(log, &at), ["before", "held back", "behind"]);
}

/// A worker died in the midst of a transaction: whoever asks for the last turn waits until it is decided.
#[test]
fn the_last_turn_waits_for_what_is_undecided() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "undecided", 1, &[]);
    let tasks = [room.task("a", Some(0))];
    let mut worker = room.owner("w", &tasks);
    worker.commit(&[room.commit(&tasks[0], 1)]).unwrap();
    let dead = stranger(broker, &run_name("dead"));
    dead.begin_transaction().unwrap();
    let turns = room.at("turns", 0);
    let commit = room.commit(&tasks[0], 2);
    let record = commit.outputs[1].1.get(0).unwrap();
    let record = BaseRecord::to(&turns.topic)
        .partition(0)
        .key(record.key.unwrap())
        .payload(record.value.unwrap());
    dead.send(record).map_err(|(why, _)| why).unwrap();
    dead.flush(LONG).unwrap();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| room.last(&tasks[0]));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!asked.is_finished(), "turn 2 may still count");
        dead.commit_transaction(LONG).unwrap();
        assert_eq!(asked.join().unwrap(), Some(2));
    });
}

/// Nothing acknowledged is lost when the broker is killed, and nothing is written twice.
#[test]
fn a_broker_that_restarts_is_outlived() {
    if broker().is_none() || std::env::var_os(KAFKA).is_some() {
        return;
    }
    let mut broker = Broker::start().unwrap();
    let project = run_name("restart");
    let log = connect(&broker, &project);
    let at = Partition::new(&format!("{project}.records"), 0);
    let topic = TopicSpec {
        name: at.topic.to_string(),
        partitions: 1,
    };
    log.create_topics(&[topic]).unwrap();
    let mut writer = log.writer("w").unwrap();
    let mut reader = log.reader().unwrap();
    let mut seen = Batch::new();
    let mut written = Vec::new();
    for round in 0..3 {
        for n in 0..5 {
            let value = format!("{round}.{n}");
            loop {
                match writer.append(&[(at.clone(), one(&value))]) {
                    Ok(()) => break,
                    // The same again: what was aborted was not written.
                    Err(CommitError::Aborted(_)) => {}
                    Err(CommitError::Unknown(_)) => {
                        writer = log.writer("w").unwrap();
                        if values(&log, &at).last() == Some(&value) {
                            break;
                        }
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            written.push(value);
        }
        while seen.len() < written.len() {
            let next = seen.offsets().last().map_or(0, |last| last + 1);
            let limit = FetchLimit::default();
            reader.fetch(&at, next, limit, &mut seen).unwrap();
        }
        if round < 2 {
            broker.restart().unwrap();
        }
    }
    assert_eq!(values(&log, &at), written);
    assert_eq!(seen.len(), written.len());
}

/// Left to its defaults, rdkafka's flush waits in steps of 100 ms, which makes small commits ten times slower: the
/// same work on the same broker at the same time is the measure.
#[test]
fn small_commits_do_not_wait_for_a_slow_flush() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "flush", 1, &[]);
    let at = room.at("out", 0);
    let slow = stranger(broker, &run_name("slow"));
    let mut writer = room.log.writer("w").unwrap();
    let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..10 {
        let start = Instant::now();
        open(&slow, &at, "x");
        slow.commit_transaction(LONG).unwrap();
        theirs += start.elapsed();
        let start = Instant::now();
        writer.append(&[(at.clone(), one("x"))]).unwrap();
        ours += start.elapsed();
    }
    assert!(ours * 2 < theirs, "{ours:?} against {theirs:?}");
}

/// What librdkafka has fetched ahead is used where the next fetch skips some of it, and dropped where it goes back.
#[test]
fn a_reader_skips_and_goes_back() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "skips", 1, &[]);
    let at = room.at("out", 0);
    let mut writer = room.log.writer("w").unwrap();
    let mut reader = room.log.reader().unwrap();
    let mut jump = 1u64;
    for round in 1..30u64 {
        let mut batch = Batch::new();
        for n in 0..8 {
            batch.push(None, Some(format!("{round}.{n}").as_bytes()), []);
        }
        writer.append(&[(at.clone(), batch)]).unwrap();
        let all = records(&room.log, &at);
        for _ in 0..6 {
            jump = jump
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(round);
            let from = (jump >> 33) % (round * 9 + 2);
            let start = all.offsets().partition_point(|offset| *offset < from);
            let want = &all.offsets()[start..all.len().min(start + 3)];
            let limit = FetchLimit {
                records: 3,
                ..FetchLimit::default()
            };
            let mut got = Batch::new();
            reader.fetch(&at, from, limit, &mut got).unwrap();
            assert!(want.starts_with(got.offsets()), "{from}: {want:?}");
            assert_eq!(got.is_empty(), want.is_empty(), "{from}");
            assert_eq!(reader.at_end(&at, from).unwrap(), want.is_empty(), "{from}");
        }
    }
}

/// The default of `fetch.queue.backoff.ms`, a second, starves a reader that is faster than the wire: the same records
/// from the same broker at the same time are the measure.
#[test]
fn a_fast_reader_does_not_wait_for_a_full_queue() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "backoff", 1, &[]);
    let at = room.at("out", 0);
    let mut batch = Batch::new();
    for n in 0..60_000u32 {
        batch.push(Some(&n.to_le_bytes()), Some(&[7; 80]), []);
    }
    let mut writer = room.log.writer("w").unwrap();
    writer.append(&[(at.clone(), batch)]).unwrap();
    let slow = connect_with(broker, &room.project, &[("fetch.queue.backoff.ms", "1000")]);
    let read = |log: &dyn Log| {
        let start = Instant::now();
        assert_eq!(records(log, &at).len(), 60_000);
        start.elapsed()
    };
    let (theirs, ours) = (read(&slow), read(&room.log));
    assert!(ours * 2 < theirs, "{ours:?} against {theirs:?}");
}

//! Figures of the adapter, for people: `cargo test -p mainstem-log-kafka -- --ignored --nocapture figures`.

use std::time::Instant;

use mainstem_kernel::Log;
use mainstem_kernel::log::{FetchLimit, Partition, TopicSpec};
use mainstem_schemas::Batch;

use crate::support::{Room, broker, connect, run_name};

#[test]
#[ignore = "prints figures"]
fn figures() {
    let Some(broker) = broker() else { return };
    let project = run_name("figures");
    let log = connect(broker, &project);
    let topic = format!("{project}.records");
    log.create_topics(&[TopicSpec {
        name: topic.clone(),
        partitions: 4,
    }])
    .unwrap();
    let mut writer = log.writer("w").unwrap();
    let mut one = Batch::new();
    one.push(Some(b"key"), Some(&[7; 80]), []);
    for round in 0..3 {
        let start = Instant::now();
        for _ in 0..100 {
            writer
                .append(&[(Partition::new(&topic, 3), one.clone())])
                .unwrap();
        }
        println!("append of one, round {round}: {:?}", start.elapsed() / 100);
    }
    let mut many = Batch::new();
    for n in 0..100_000u32 {
        many.push(Some(&n.to_le_bytes()), Some(&[7; 80]), []);
    }
    for round in 0..3 {
        let start = Instant::now();
        writer
            .append(&[(Partition::new(&topic, 0), many.clone())])
            .unwrap();
        println!("append of 100,000, round {round}: {:?}", start.elapsed());
    }
    let mut headed = Batch::new();
    for n in 0..100_000u32 {
        headed.push(
            Some(&n.to_le_bytes()),
            Some(&[7; 80]),
            [("ce_id", &b"1234567890123456"[..]), ("ce_type", b"X")],
        );
    }
    let start = Instant::now();
    writer
        .append(&[(Partition::new(&topic, 1), headed.clone())])
        .unwrap();
    println!("append of 100,000 with two headers: {:?}", start.elapsed());
    for index in [0, 1] {
        let mut reader = log.reader().unwrap();
        let start = Instant::now();
        let (mut next, mut count, mut batch) = (0, 0, Batch::new());
        loop {
            batch.clear();
            reader
                .fetch(
                    &Partition::new(&topic, index),
                    next,
                    FetchLimit::default(),
                    &mut batch,
                )
                .unwrap();
            let Some(last) = batch.offsets().last() else {
                break;
            };
            next = last + 1;
            count += batch.len();
        }
        println!("read of {count}: {:?}", start.elapsed());
    }
    let mut reader = log.reader().unwrap();
    let at = Partition::new(&topic, 2);
    let mut batch = Batch::new();
    let start = Instant::now();
    for _ in 0..100 {
        reader
            .fetch(&at, 0, FetchLimit::default(), &mut batch)
            .unwrap();
    }
    println!("fetch of nothing: {:?}", start.elapsed() / 100);
    let start = Instant::now();
    for _ in 0..100 {
        reader.at_end(&at, 0).unwrap();
    }
    println!("at_end: {:?}", start.elapsed() / 100);
    let mut next = 0;
    let mut spent = [std::time::Duration::ZERO; 3];
    for _ in 0..100 {
        let start = Instant::now();
        writer.append(&[(at.clone(), one.clone())]).unwrap();
        spent[0] += start.elapsed();
        let start = Instant::now();
        batch.clear();
        reader
            .fetch(&at, next, FetchLimit::default(), &mut batch)
            .unwrap();
        spent[1] += start.elapsed();
        let start = Instant::now();
        next = batch.offsets().last().unwrap() + 1;
        batch.clear();
        reader
            .fetch(&at, next, FetchLimit::default(), &mut batch)
            .unwrap();
        assert!(batch.is_empty());
        spent[2] += start.elapsed();
    }
    println!(
        "append, fetch, fetch of nothing: {:?}",
        spent.map(|d| d / 100)
    );
    let start = Instant::now();
    for _ in 0..50 {
        batch.clear();
        reader
            .fetch(&at, 0, FetchLimit::default(), &mut batch)
            .unwrap();
    }
    println!("a step back: {:?}", start.elapsed() / 50);
    let start = Instant::now();
    let mut fresh = log.reader().unwrap();
    for index in 0..4 {
        let at = Partition::new(&topic, index);
        batch.clear();
        fresh
            .fetch(&at, 0, FetchLimit::default(), &mut batch)
            .unwrap();
    }
    println!("the first fetch of four partitions: {:?}", start.elapsed());
}

/// What a commit of a worker costs: turns of four tasks, ten records each, one commit after the other.
#[test]
#[ignore = "prints figures"]
fn commits_of_a_worker() {
    let Some(broker) = broker() else { return };
    let room = Room::new(broker, "commits", 4, &[]);
    let tasks: Vec<_> = (0..4).map(|n| room.task(&n.to_string(), Some(n))).collect();
    let mut worker = room.owner("w", &tasks);
    let mut number = 0;
    for round in 0..5 {
        let start = Instant::now();
        for _ in 0..100 {
            number += 1;
            let commits: Vec<_> = tasks.iter().map(|task| room.commit(task, number)).collect();
            worker.commit(&commits).unwrap();
        }
        println!(
            "commit of four tasks, round {round}: {:?}",
            start.elapsed() / 100
        );
    }
}

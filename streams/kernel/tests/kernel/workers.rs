//! A worker's tasks beside one that cannot go on, a log that hands out little at a time, and a step that is too long.

use std::ops::Range;
use std::sync::Arc;

use mainstem_kernel::known::Nothing;
use mainstem_kernel::log::{FetchLimit, Log, LogError, Partition, Reader};
use mainstem_kernel::machine::Context;
use mainstem_kernel::memory::MemoryLog;
use mainstem_kernel::rounds::Frame;
use mainstem_kernel::runner::{Runner, SnapshotEvery, TaskError};
use mainstem_kernel::task::{Mode, TaskSpec};
use mainstem_kernel::testkit::harness::MemoryBlobs;
use mainstem_kernel::testkit::toys::{self, Bug, Summing};
use mainstem_kernel::worker::{Crew, Inert, Parts};
use mainstem_kernel::{Machine, Outbox, Run, TopicSpec};
use mainstem_schemas::{Batch, Envelope, EventId, Millis};

use crate::{at, input, numbers, spec};

/// Writes more for each record than a log takes.
struct Loud;

impl Machine for Loud {
    const VERSION: u32 = 1;
    type State = ();

    fn fold(&self, (): &mut (), _: &Context<'_>, _: &Run<'_>, out: &mut Outbox) {
        out.put(0, b"k", |value| value.resize(2 << 20, 7));
    }
}

fn log_of(topics: &[&str]) -> MemoryLog {
    let log = MemoryLog::new();
    let chain = ["schemas", "definitions", "clock", "turns", "snapshots"];
    let topics = chain.iter().chain(topics).map(|name| TopicSpec {
        name: at(name).topic.to_string(),
        partitions: 1,
    });
    log.create_topics(&topics.collect::<Vec<_>>()).unwrap();
    let (_, schemas, definitions) = toys::preamble();
    append(&log, "schemas", schemas);
    append(&log, "definitions", definitions);
    log
}

fn append(log: &MemoryLog, topic: &str, batch: Batch) {
    let mut writer = log.writer("feed").unwrap();
    writer.append(&[(at(topic), batch)]).unwrap();
}

#[test]
fn a_commit_that_is_too_large_stops_its_own_task_alone() {
    let log = log_of(&["numbers", "sums", "noise"]);
    append(&log, "numbers", numbers([1.0, 2.0], 1));
    let reads = || vec![input("numbers", Mode::Immediate)];
    let tasks = [
        spec("loud/toy/0", reads(), &["noise"]),
        spec("sum/toy/0", reads(), &["sums"]),
    ];
    let parts = Parts {
        log: Arc::new(log.clone()),
        resolver: Arc::new(Nothing),
        blobs: Arc::new(MemoryBlobs::default()),
        factory: Arc::new(|spec: &TaskSpec| match spec.id.0.starts_with("loud") {
            true => Some(Box::new(Frame::new(Loud, spec.clone()))),
            false => {
                let bug = Bug::Nothing;
                Some(Box::new(Frame::new(Summing { bug }, spec.clone())))
            }
        }),
        limit: FetchLimit::default(),
        snapshots: SnapshotEvery::default(),
    };
    let mut crew = Crew::join(parts, "worker", Inert).unwrap();
    for _ in 0..3 {
        let progress = crew.step(&tasks).unwrap();
        let [TaskError::Log { task, error }] = progress.stopped.as_slice() else {
            panic!("{progress:?}");
        };
        assert!(task == "loud/toy/0" && matches!(error, LogError::TooLarge { .. }));
    }
    let mut reader = log.clone();
    assert_eq!(reader.range(&at("sums")).unwrap(), 0..2);
    assert_eq!(reader.range(&at("noise")).unwrap(), 0..0);
}

/// Hands out one record at a time, as a log may that has fetched no more yet.
struct Drip(MemoryLog);

impl Reader for Drip {
    fn fetch(
        &mut self,
        partition: &Partition,
        from: u64,
        limit: FetchLimit,
        into: &mut Batch,
    ) -> Result<(), LogError> {
        let one = FetchLimit {
            records: 1,
            ..limit
        };
        self.0.fetch(partition, from, one, into)
    }

    fn at_end(&mut self, partition: &Partition, offset: u64) -> Result<bool, LogError> {
        self.0.at_end(partition, offset)
    }

    fn range(&mut self, partition: &Partition) -> Result<Range<u64>, LogError> {
        self.0.range(partition)
    }
}

#[test]
fn data_wait_until_what_their_writer_saw_is_read_however_little_a_log_hands_out() {
    let log = log_of(&["numbers", "sums"]);
    let (catalog, schemas, _) = toys::preamble();
    for tick in 1..=10 {
        append(&log, "clock", toys::tick(&catalog, tick, tick));
    }
    append(&log, "numbers", numbers([1.0, 2.0], 1));
    let spec = spec(
        "sum/toy/0",
        vec![input("numbers", Mode::Immediate)],
        &["sums"],
    );
    let bug = Bug::Nothing;
    let mut runner = Runner::new(spec.clone(), Box::new(Frame::new(Summing { bug }, spec)));
    let blobs = MemoryBlobs::default();
    let mut reader = Drip(log);
    let commit = runner.turn(&mut reader, &Nothing, &blobs, FetchLimit::default());
    let turn = commit.unwrap().unwrap().turn.unwrap();
    let counts: Vec<i64> = turn.runs.iter().map(|run| run.count).collect();
    assert_eq!(counts, [schemas.len() as i64, 1, 10, 1]);
}

#[test]
fn a_step_that_is_too_long_to_be_held_is_told_and_not_waited_for() {
    let log = log_of(&["outcomes", "numbers", "sums"]);
    let inputs = vec![
        input("numbers", Mode::Immediate),
        input("outcomes", Mode::Held),
    ];
    let spec = spec("sum/toy/0", inputs, &["sums"]);
    for row in 0..80 {
        let (id, time) = (EventId::row(1, 1, row), Millis(row as i64));
        let envelope = Envelope {
            id,
            time,
            ..Envelope::default()
        };
        let mut batch = Batch::new();
        envelope.push(&mut batch, Some(b"k"), &[7; 1_000_000]);
        append(&log, "outcomes", batch);
    }
    let bug = Bug::Nothing;
    let mut runner = Runner::new(spec.clone(), Box::new(Frame::new(Summing { bug }, spec)));
    let (blobs, mut reader) = (MemoryBlobs::default(), log);
    let told = loop {
        match runner.turn(&mut reader, &Nothing, &blobs, FetchLimit::default()) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it waits for a tick that cannot come"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(told.contains("shorter --pace"), "{told}");
}

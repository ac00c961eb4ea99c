//! The kernel's properties, on toy machines: crashes change nothing, planted bugs are found, paced runs are equal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod observers;
mod restores;
mod workers;

use std::sync::Arc;

use mainstem_kernel::Effect;
use mainstem_kernel::known::Nothing;
use mainstem_kernel::log::{FetchLimit, Log, Partition, TopicSpec};
use mainstem_kernel::memory::MemoryLog;
use mainstem_kernel::pace::Pacer;
use mainstem_kernel::rounds::Frame;
use mainstem_kernel::runner::SnapshotEvery;
use mainstem_kernel::task::{Input, Mode, Output, Task, TaskId, TaskSpec};
use mainstem_kernel::testkit::harness::{Case, MemoryBlobs, Plan, Planted, history};
use mainstem_kernel::testkit::toys::{self, Answering, Bug, PROJECT, Summing};
use mainstem_kernel::worker::{Crew, Inert, Parts};
use mainstem_schemas::{Batch, Envelope, EventId, Millis};
use proptest::prelude::*;

fn at(topic: &str) -> Partition {
    Partition::new(&format!("{PROJECT}.{topic}"), 0)
}

fn input(topic: &str, mode: Mode) -> Input {
    let partition = at(topic);
    Input { partition, mode }
}

fn spec(id: &str, inputs: Vec<Input>, outputs: &[&str]) -> TaskSpec {
    let output = |name: &&str| Output {
        topic: format!("{PROJECT}.{name}"),
        partitions: 1,
    };
    TaskSpec {
        id: TaskId(id.into()),
        project: PROJECT.into(),
        lead: inputs.last().map(|input| input.partition.clone()),
        inputs,
        outputs: outputs.iter().map(output).collect(),
    }
}

fn numbers(values: impl IntoIterator<Item = f64>, publication: u32) -> Batch {
    let (catalog, ..) = toys::preamble();
    let mut batch = Batch::new();
    for (row, value) in values.into_iter().enumerate() {
        let id = EventId::row(1, publication, row as u64);
        let envelope = Envelope {
            id,
            time: Millis(row as i64 % 3),
            ..Envelope::default()
        };
        toys::push(&mut batch, &catalog, b"k", &toys::number(value), &envelope);
    }
    batch
}

/// What a worker on a log is built of, where its tasks sum.
fn parts(log: &MemoryLog) -> Parts {
    Parts {
        log: Arc::new(log.clone()),
        resolver: Arc::new(Nothing),
        blobs: Arc::new(MemoryBlobs::default()),
        factory: restores::sums(),
        limit: FetchLimit::default(),
        snapshots: SnapshotEvery::default(),
    }
}

/// Every effect comes about; its outcome comes with a stale attempt before it and again after it.
fn react(effect: &Effect) -> Vec<(Partition, Batch)> {
    let (catalog, ..) = toys::preamble();
    let mut batch = Batch::new();
    for attempt in [effect.attempt + 7, effect.attempt, effect.attempt] {
        let id = EventId::named(
            "outcome",
            &[&effect.id.0[..], &attempt.to_le_bytes()].concat(),
        );
        let envelope = Envelope {
            id,
            causation: Some(effect.id),
            attempt: Some(attempt),
            ..Envelope::default()
        };
        toys::push(&mut batch, &catalog, b"k", &toys::number(1.0), &envelope);
    }
    vec![(Partition::new(&format!("{PROJECT}.outcomes"), 0), batch)]
}

fn summing(bug: Bug) -> Case {
    let inputs = vec![
        input("outcomes", Mode::Held),
        input("numbers", Mode::Immediate),
    ];
    // The numbers are input 1 by rank; the toy folds whatever comes at once.
    let spec = spec("summing/toy/0", inputs, &["sums"]);
    let (catalog, schemas, definitions) = toys::preamble();
    let mut feed = vec![(at("schemas"), schemas), (at("definitions"), definitions)];
    for step in 0..4 {
        feed.push((
            at("numbers"),
            numbers((0..25).map(|n| f64::from(n) * 0.1), step),
        ));
        feed.push((
            at("clock"),
            toys::tick(&catalog, i64::from(step) * 10, i64::from(step) + 1),
        ));
    }
    Case {
        spec,
        factory: Arc::new(move |spec| {
            Some(Box::new(Frame::new(Summing { bug }, spec.clone())) as Box<dyn Task>)
        }),
        resolver: Arc::new(Nothing),
        feed,
        react: Arc::new(react),
    }
}

fn sums(history: &mainstem_kernel::testkit::harness::History) -> &Vec<Vec<u8>> {
    &history[&Partition::new(&format!("{PROJECT}.sums"), 0)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn cuts_crashes_aborts_and_repeated_outcomes_change_no_byte(
        choices in proptest::collection::vec(any::<u8>(), 1..60)
    ) {
        let case = summing(Bug::Nothing);
        let undisturbed = history(&case, &Plan::new(vec![]), Planted::Nothing).unwrap();
        prop_assert_eq!(sums(&undisturbed).len(), 100 + 10);
        let disturbed = history(&case, &Plan::new(choices), Planted::Nothing).unwrap();
        prop_assert_eq!(sums(&undisturbed), sums(&disturbed));
    }
}

/// Whether some plan shows the bug: the harness must turn red.
fn is_found(case: &Case, honest: &Case, planted: Planted) -> bool {
    let undisturbed = history(honest, &Plan::new(vec![]), Planted::Nothing).unwrap();
    (0..40u8).any(|seed| {
        let choices = (1..40u8)
            .map(|n| seed.wrapping_mul(31) ^ n.wrapping_mul(47))
            .collect();
        history(case, &Plan::new(choices), planted)
            .map_or(true, |found| sums(&found) != sums(&undisturbed))
    })
}

#[test]
fn the_harness_finds_nothing_where_there_is_nothing() {
    assert!(!is_found(
        &summing(Bug::Nothing),
        &summing(Bug::Nothing),
        Planted::Nothing
    ));
}

#[test]
fn planted_ids_that_depend_on_the_batch_are_found() {
    assert!(is_found(
        &summing(Bug::BatchInIds),
        &summing(Bug::BatchInIds),
        Planted::Nothing
    ));
}

#[test]
fn a_planted_stale_attempt_is_found() {
    assert!(is_found(
        &summing(Bug::AnyAttempt),
        &summing(Bug::Nothing),
        Planted::Nothing
    ));
}

#[test]
fn planted_publishing_before_the_commit_is_found() {
    assert!(is_found(
        &summing(Bug::Nothing),
        &summing(Bug::Nothing),
        Planted::PublishBeforeCommit
    ));
}

#[test]
fn a_planted_advance_on_abort_is_found() {
    assert!(is_found(
        &summing(Bug::Nothing),
        &summing(Bug::Nothing),
        Planted::AdvanceOnAbort
    ));
}

#[test]
fn a_planted_run_out_of_order_is_found() {
    assert!(is_found(
        &summing(Bug::Nothing),
        &summing(Bug::Nothing),
        Planted::RunOutOfOrder
    ));
}

/// Two machines that answer each other, on two workers that step in a random order, paced.
fn paced(seed: u64) -> Vec<Vec<u8>> {
    let specs = vec![
        spec(
            "a/toy/0",
            vec![input("b", Mode::Held), input("numbers", Mode::Held)],
            &["a", "order_a"],
        ),
        spec(
            "b/toy/0",
            vec![input("numbers", Mode::Held), input("a", Mode::Held)],
            &["b", "order_b"],
        ),
    ];
    let log = MemoryLog::new();
    let names = [
        "schemas",
        "definitions",
        "clock",
        "numbers",
        "a",
        "b",
        "order_a",
        "order_b",
        "turns",
        "snapshots",
    ];
    let topic = |name: &&str| TopicSpec {
        name: format!("{PROJECT}.{name}"),
        partitions: 1,
    };
    log.create_topics(&names.iter().map(topic).collect::<Vec<_>>())
        .unwrap();
    let (_, schemas, definitions) = toys::preamble();
    let mut writer = log.writer("doors").unwrap();
    writer
        .append(&[(at("schemas"), schemas), (at("definitions"), definitions)])
        .unwrap();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let workers: Vec<_> = (0..2u64)
        .map(|n| {
            let (log, specs, stop) = (log.clone(), specs.clone(), Arc::clone(&stop));
            std::thread::spawn(move || work(&log, &specs, seed + n * 7919, &stop))
        })
        .collect();
    let mut pacer = Pacer::new(&log, PROJECT, specs).unwrap();
    for step in 0..3u32 {
        pacer.open("numbers", 1, Millis(1_000)).unwrap();
        writer
            .append(&[(at("numbers"), numbers([8.0, 3.0, 5.0, 16.0, 2.0], step))])
            .unwrap();
        pacer
            .settle(Millis(1_000 * (i64::from(step) + 1)), &|| false)
            .unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    workers
        .into_iter()
        .for_each(|worker| worker.join().unwrap());
    let mut frames = Vec::new();
    for topic in ["a", "b", "order_a", "order_b"] {
        let mut batch = Batch::new();
        let all = FetchLimit {
            records: usize::MAX,
            bytes: usize::MAX,
        };
        log.reader()
            .unwrap()
            .fetch(&at(topic), 0, all, &mut batch)
            .unwrap();
        frames.push(batch.frames(0..batch.len()).to_vec());
    }
    frames
}

fn work(log: &MemoryLog, specs: &[TaskSpec], seed: u64, stop: &std::sync::atomic::AtomicBool) {
    let parts = Parts {
        factory: Arc::new(|spec| {
            let name = if spec.id.0.starts_with('a') { "a" } else { "b" };
            Some(Box::new(Frame::new(Answering { name }, spec.clone())) as Box<dyn Task>)
        }),
        limit: FetchLimit {
            records: 1 + (seed % 3) as usize,
            bytes: usize::MAX,
        },
        snapshots: SnapshotEvery {
            records: 7 + seed % 5,
            turns: 3,
        },
        ..parts(log)
    };
    let mut crew = Crew::join(parts, &format!("w{seed}"), Inert).unwrap();
    let mut state = seed | 1;
    while !stop.load(std::sync::atomic::Ordering::SeqCst) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        std::thread::sleep(std::time::Duration::from_micros(state % 300));
        // A worker that joined later takes tasks over: the loser is fenced, drops them, and goes on.
        let _ = crew.step(specs);
    }
}

/// An older version beside a newer definition: what it cannot host stands still, and that is said for as long as it does.
#[test]
fn a_task_without_a_machine_stands_still_on_every_step() {
    let log = MemoryLog::new();
    let names = ["schemas", "definitions", "clock", "numbers", "turns"];
    let topics = names.map(|name| TopicSpec {
        name: format!("{PROJECT}.{name}"),
        partitions: 1,
    });
    log.create_topics(&topics).unwrap();
    let specs = [spec(
        "new/toy/0",
        vec![input("numbers", Mode::Held)],
        &["numbers"],
    )];
    let parts = Parts {
        factory: Arc::new(|_| None),
        ..parts(&log)
    };
    let mut crew = Crew::join(parts, "old", Inert).unwrap();
    for _ in 0..3 {
        let stopped = crew.step(&specs).unwrap().stopped;
        let told: Vec<String> = stopped.iter().map(ToString::to_string).collect();
        assert!(
            told.len() == 1 && told[0].contains("run a newer version"),
            "{told:?}"
        );
    }
}

#[test]
fn paced_runs_are_equal_however_the_workers_interleave() {
    let first = paced(3);
    assert!(first.iter().all(|frames| !frames.is_empty()));
    for seed in [11, 1_000_003, 77] {
        assert_eq!(paced(seed), first, "seed {seed}");
    }
}

//! A worker's tasks beside one that cannot go on, a log that hands out little at a time, and a step that is too long.

use std::ops::Range;
use std::sync::Arc;

use mainstem_kernel::known::Nothing;
use mainstem_kernel::log::{CommitError, FetchLimit, Log, LogError, Partition, Reader};
use mainstem_kernel::machine::Context;
use mainstem_kernel::memory::MemoryLog;
use mainstem_kernel::rounds::Frame;
use mainstem_kernel::runner::{Runner, TaskError};
use mainstem_kernel::task::{Mode, TaskSpec};
use mainstem_kernel::testkit::harness::MemoryBlobs;
use mainstem_kernel::testkit::toys::{self, Bug, Summing};
use mainstem_kernel::worker::{Actuator, Crew, Inert, Outcome, Parts};
use mainstem_kernel::{Effect, Machine, Outbox, Run, TaskId, TopicSpec};
use mainstem_schemas::definition::Clock;
use mainstem_schemas::{Batch, Envelope, EventId, Millis};

use crate::restores::summing;
use crate::{at, input, numbers, parts, react, spec};

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

fn end(log: &MemoryLog, topic: &str) -> u64 {
    log.clone().range(&at(topic)).unwrap().end
}

/// A worker whose tasks take two records at once.
fn little(log: &MemoryLog) -> Parts {
    Parts {
        limit: FetchLimit {
            records: 2,
            ..FetchLimit::default()
        },
        ..parts(log)
    }
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
        factory: Arc::new(|spec: &TaskSpec| match spec.id.0.starts_with("loud") {
            true => Some(Box::new(Frame::new(Loud, spec.clone()))),
            false => Some(summing(spec)),
        }),
        ..parts(&log)
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

/// Brings every effect about twice: at once, and again long after.
#[derive(Default)]
struct Forgetful {
    ready: Vec<Outcome>,
    again: Vec<Outcome>,
}

impl Actuator for Forgetful {
    fn perform(&mut self, task: &TaskId, effect: &Effect) {
        let outcome = || Outcome {
            task: task.clone(),
            effect: effect.id,
            attempt: effect.attempt,
            records: react(effect),
        };
        self.ready.push(outcome());
        self.again.push(outcome());
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(match self.ready.is_empty() {
            true => &mut self.again,
            false => &mut self.ready,
        })
    }
}

/// As where the end of a commit was unknown: the first outcome is in the log when the effect is brought about again.
#[test]
fn an_outcome_that_nobody_waits_for_any_more_is_not_written() {
    let log = log_of(&["outcomes", "numbers", "sums"]);
    append(&log, "numbers", numbers((0..10).map(f64::from), 1));
    let inputs = vec![
        input("outcomes", Mode::Held),
        input("numbers", Mode::Immediate),
    ];
    let tasks = [spec("sum/toy/0", inputs, &["sums"])];
    let mut crew = Crew::join(parts(&log), "worker", Forgetful::default()).unwrap();
    for _ in 0..10 {
        crew.step(&tasks).unwrap();
    }
    // One effect at the tenth number; its outcome is three records.
    assert_eq!(log.clone().range(&at("outcomes")).unwrap(), 0..3);
}

/// A retraining must not wait until a worker has read what another of its tasks has before it.
#[test]
fn an_effect_does_not_wait_for_other_tasks_that_are_behind() {
    let log = log_of(&["outcomes", "numbers", "sums", "more", "noise"]);
    append(&log, "numbers", numbers((0..10).map(f64::from), 1));
    append(&log, "more", numbers((0..400).map(f64::from), 1));
    let asks = vec![
        input("outcomes", Mode::Held),
        input("numbers", Mode::Immediate),
    ];
    let tasks = [
        spec("sum/asks/0", asks, &["sums"]),
        spec(
            "sum/behind/0",
            vec![input("more", Mode::Immediate)],
            &["noise"],
        ),
    ];
    let mut crew = Crew::join(little(&log), "worker", Forgetful::default()).unwrap();
    while end(&log, "outcomes") == 0 && end(&log, "noise") < 400 {
        crew.step(&tasks).unwrap();
    }
    let read = end(&log, "noise");
    assert!(read < 100, "{read} were read before");
}

/// The commit that is under way as tasks change hands is refused as a whole: the worker drops what it lost all the same,
/// and what is left goes on.
#[test]
fn tasks_change_hands_also_where_what_is_under_way_is_refused() {
    let log = log_of(&["numbers", "sums"]);
    append(&log, "numbers", numbers((0..40).map(f64::from), 1));
    let reads = || vec![input("numbers", Mode::Immediate)];
    let tasks = ["sum/a/0", "sum/b/0"].map(|id| spec(id, reads(), &["sums"]));
    let crew = |name: &str| Crew::join(little(&log), name, Inert).unwrap();
    let mut first = crew("first");
    first.step(&tasks).unwrap();
    while !first.is_at_work() {
        first.step(&tasks).unwrap();
    }
    let mut second = crew("second");
    let refused = first.step(&tasks).unwrap_err();
    assert!(matches!(refused, CommitError::Fenced(_)), "{refused}");
    for _ in 0..60 {
        first.step(&tasks).unwrap();
        second.step(&tasks).unwrap();
    }
    assert_eq!((first.tasks().count(), second.tasks().count()), (1, 1));
    let mut reader = log.clone();
    assert_eq!(reader.range(&at("sums")).unwrap(), 0..80);
}

/// A worker of two tasks on one partition, of which one came earlier and has taken so many records.
fn early_and_late(log: &MemoryLog, parts: Parts, taken: u64) -> (Crew<Inert>, [TaskSpec; 2]) {
    let reads = || vec![input("numbers", Mode::Immediate)];
    let tasks = [("sum/early/0", "sums"), ("sum/late/0", "more")]
        .map(|(id, output)| spec(id, reads(), &[output]));
    let mut crew = Crew::join(parts, "worker", Inert).unwrap();
    while end(log, "sums") < taken {
        crew.step(&tasks[..1]).unwrap();
    }
    (crew, tasks)
}

/// A task that comes later, with the partition's first records still to take, is waited for: both then take the rest together.
#[test]
fn tasks_on_one_partition_that_are_behind_come_into_step() {
    let log = log_of(&["numbers", "sums", "more"]);
    append(&log, "numbers", numbers((0..400).map(f64::from), 1));
    let (mut crew, tasks) = early_and_late(&log, little(&log), 60);
    let taken = |topic: &str| end(&log, topic);
    while taken("more") < 200 {
        crew.step(&tasks).unwrap();
    }
    let (early, late) = (taken("sums"), taken("more"));
    assert!(early - late <= 4, "{early} and {late} were taken");
    while taken("more") < 400 {
        crew.step(&tasks).unwrap();
    }
    assert_eq!(taken("sums"), 400);
}

/// Four hundred numbers, of which a worker takes much and little in turns, as a log may hand out.
fn much_and_little(log: &MemoryLog) -> Parts {
    let (few, mut many) = (numbers([1.0], 1), Batch::new());
    let record = few.get(0).unwrap();
    for row in 0..400 {
        let key = vec![b'k'; if row % 2 == 0 { 1 } else { 10_000 }];
        many.push(Some(&key), record.value, record.headers());
    }
    append(log, "numbers", many);
    Parts {
        limit: FetchLimit {
            records: 40,
            bytes: 10_000,
        },
        ..parts(log)
    }
}

#[test]
fn tasks_that_take_much_and_little_in_turns_come_into_step() {
    let log = log_of(&["numbers", "sums", "more"]);
    let parts = much_and_little(&log);
    let (mut crew, tasks) = early_and_late(&log, parts, 60);
    let taken = |topic: &str| end(&log, topic);
    while taken("more") < 200 {
        crew.step(&tasks).unwrap();
    }
    let (early, late) = (taken("sums"), taken("more"));
    assert!(early - late <= 44, "{early} and {late} were taken");
}

/// A task that begins with the history holds none up that has less to go than it is behind, and lets it finish: two places
/// of one partition are not read in turns.
#[test]
fn a_task_that_is_nearly_done_goes_first() {
    let log = log_of(&["numbers", "sums", "more"]);
    append(&log, "numbers", numbers((0..400).map(f64::from), 1));
    let (mut crew, tasks) = early_and_late(&log, little(&log), 300);
    let taken = |topic: &str| end(&log, topic);
    while taken("sums") < 400 {
        crew.step(&tasks).unwrap();
    }
    let beside = taken("more");
    assert!(beside < 40, "{beside} were read in turns");
    while taken("more") < 400 {
        crew.step(&tasks).unwrap();
    }
}

/// A commit takes its time whatever it holds: a worker that is behind gives it more of its turns, not more commits.
#[test]
fn turns_that_wait_for_the_last_commit_are_the_next_one_together() {
    let log = log_of(&["numbers", "sums"]);
    append(&log, "numbers", numbers((0..40).map(f64::from), 1));
    let tasks = [spec(
        "sum/toy/0",
        vec![input("numbers", Mode::Immediate)],
        &["sums"],
    )];
    let mut crew = Crew::join(little(&log), "worker", Inert).unwrap();
    let mut commits = Vec::new();
    for _ in 0..40 {
        commits.push(crew.step(&tasks).unwrap().commits);
    }
    let (turns, most) = (commits.iter().sum::<usize>(), commits.iter().max());
    assert!(turns >= 20 && most > Some(&2), "{commits:?}");
    assert_eq!(log.clone().range(&at("sums")).unwrap(), 0..40);
}

/// A worker that is behind waits for no commit because a log hands out little for once.
#[test]
fn a_worker_that_takes_little_for_once_is_still_behind() {
    let log = log_of(&["numbers", "sums"]);
    let parts = much_and_little(&log);
    let tasks = [spec(
        "sum/toy/0",
        vec![input("numbers", Mode::Immediate)],
        &["sums"],
    )];
    let mut crew = Crew::join(parts, "worker", Inert).unwrap();
    while end(&log, "sums") < 3 {
        crew.step(&tasks).unwrap();
    }
    while end(&log, "sums") < 380 {
        assert!(crew.is_behind(), "after {}", end(&log, "sums"));
        crew.step(&tasks).unwrap();
    }
    for _ in 0..40 {
        crew.step(&tasks).unwrap();
    }
    assert!(!crew.is_behind() && !crew.is_at_work());
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

/// A runner on a log of the wall clock.
fn of_the_wall(log: &MemoryLog) -> Runner {
    let project = mainstem_schemas::definition::Project {
        clock: Clock::Wall,
        ..toys::project()
    };
    let (_, _, definitions) = toys::preamble_of(&project);
    append(log, "definitions", definitions);
    let spec = spec(
        "sum/toy/0",
        vec![input("numbers", Mode::Immediate)],
        &["sums"],
    );
    let bug = Bug::Nothing;
    Runner::new(spec.clone(), Box::new(Frame::new(Summing { bug }, spec)))
}

#[test]
fn ticks_that_bring_about_nothing_wait_for_the_next_turn() {
    let log = log_of(&["numbers", "sums"]);
    let mut runner = of_the_wall(&log);
    let (catalog, _, definitions) = toys::preamble();
    let (blobs, mut reader) = (MemoryBlobs::default(), log.clone());
    let mut turn = || {
        let commit = runner.turn(&mut reader, &Nothing, &blobs, FetchLimit::default());
        let turn = commit.unwrap()?.turn.unwrap();
        Some(
            turn.runs
                .iter()
                .map(|run| {
                    (
                        run.topic.rsplit('.').next().unwrap().to_owned(),
                        run.first,
                        run.count,
                    )
                })
                .collect::<Vec<_>>(),
        )
    };
    turn().unwrap();
    let mut now = 0;
    let mut tick = || {
        now += 1;
        append(&log, "clock", toys::tick(&catalog, now, now));
    };
    let run = |topic: &str, first, count| (topic.to_owned(), first, count);
    for _ in 0..7 {
        tick();
        assert_eq!(turn(), None);
    }
    append(&log, "numbers", numbers([1.0], 1));
    assert_eq!(turn(), Some(vec![run("clock", 0, 7), run("numbers", 0, 1)]));
    // A definition is folded before the ticks of its turn: those that came before it have their own.
    tick();
    assert_eq!(turn(), None);
    append(&log, "definitions", definitions);
    tick();
    assert_eq!(turn(), Some(vec![run("clock", 7, 1)]));
    // The definition is the stream clock's: each tick has its turn.
    assert_eq!(
        turn(),
        Some(vec![run("definitions", 2, 1), run("clock", 8, 1)])
    );
    tick();
    assert_eq!(turn(), Some(vec![run("clock", 9, 1)]));
}

#[test]
fn ticks_do_not_wait_for_ever() {
    let log = log_of(&["numbers", "sums"]);
    let mut runner = of_the_wall(&log);
    let (catalog, ..) = toys::preamble();
    let (blobs, mut reader) = (MemoryBlobs::default(), log.clone());
    let mut turns = 0;
    for now in 1..=600 {
        append(&log, "clock", toys::tick(&catalog, now, now));
        let commit = runner.turn(&mut reader, &Nothing, &blobs, FetchLimit::default());
        turns += i32::from(commit.unwrap().is_some());
    }
    assert_eq!(turns, 1 + 599 / 60);
}

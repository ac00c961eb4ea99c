//! Restores: from a snapshot where one serves, from the beginning where none does, and never to another state.

use std::sync::{Arc, Mutex};

use mainstem_kernel::known::Nothing;
use mainstem_kernel::log::{FetchLimit, Log, LogError, Partition, Reader};
use mainstem_kernel::machine::Context;
use mainstem_kernel::memory::MemoryLog;
use mainstem_kernel::restore::{Sources, restore_one};
use mainstem_kernel::rounds::Frame;
use mainstem_kernel::runner::{BlobError, Blobs, Runner, SnapshotEvery, TaskError};
use mainstem_kernel::task::{Mode, Task, TaskSpec};
use mainstem_kernel::testkit::harness::MemoryBlobs;
use mainstem_kernel::testkit::toys::{self, Bug, Sum, Summing};
use mainstem_kernel::worker::{Crew, Factory, Inert, Parts, read_catalog, read_events};
use mainstem_kernel::{Machine, Outbox, Run, TopicSpec};
use mainstem_schemas::events::{Event, SnapshotTaken};
use mainstem_schemas::{Batch, Digest, Envelope};

use crate::{at, input, numbers, parts, spec};

/// A log on which the numbers are summed, a turn for every five of them.
pub struct World {
    pub log: MemoryLog,
    blobs: Arc<MemoryBlobs>,
    pub spec: TaskSpec,
}

const NUMBERS: usize = 5;

impl World {
    pub fn new() -> Self {
        let spec = spec(
            "sum/toy/0",
            vec![input("numbers", Mode::Immediate)],
            &["sums"],
        );
        let log = MemoryLog::new();
        let names = [
            "schemas",
            "definitions",
            "clock",
            "numbers",
            "sums",
            "turns",
            "snapshots",
        ];
        let topic = |name| TopicSpec {
            name: at(name).topic.to_string(),
            partitions: 1,
        };
        log.create_topics(&names.map(topic)).unwrap();
        let (_, schemas, definitions) = toys::preamble();
        let before = [(at("schemas"), schemas), (at("definitions"), definitions)];
        log.writer("feed").unwrap().append(&before).unwrap();
        let blobs = Arc::new(MemoryBlobs::default());
        World { log, blobs, spec }
    }

    /// A worker that has not joined in anything yet.
    pub fn crew(&self, snapshots: SnapshotEvery, factory: Arc<Factory>) -> Crew<Inert> {
        let parts = Parts {
            blobs: self.blobs.clone(),
            factory,
            snapshots,
            ..parts(&self.log)
        };
        Crew::join(parts, "worker", Inert).unwrap()
    }

    /// A worker takes that many turns and is gone.
    pub fn work(&self, turns: u32, snapshots: SnapshotEvery, factory: Arc<Factory>) {
        let mut crew = self.crew(snapshots, factory);
        let mut writer = self.log.writer("feed").unwrap();
        for turn in 0..turns {
            let values = (0..NUMBERS).map(|n| n as f64 * 0.1 + f64::from(turn));
            writer
                .append(&[(at("numbers"), numbers(values, turn))])
                .unwrap();
            let progress = crew.step(std::slice::from_ref(&self.spec)).unwrap();
            assert_eq!((progress.commits, progress.stopped), (1, vec![]));
            assert_eq!(progress.passed_over, [""; 0]);
        }
    }

    fn snapshots(&self) -> Vec<SnapshotTaken> {
        let mut reader = self.log.clone();
        let catalog = read_catalog(&mut reader, toys::PROJECT).unwrap();
        let mut snapshots = Vec::new();
        read_events(
            &mut reader,
            &catalog,
            &at("snapshots").topic,
            |event| match event {
                Event::SnapshotTaken(taken) => snapshots.push(taken),
                other => panic!("{other:?}"),
            },
        )
        .unwrap();
        snapshots
    }

    /// Tells of a snapshot behind the task's back.
    fn tell(&self, taken: SnapshotTaken) {
        let (catalog, ..) = toys::preamble();
        let mut batch = Batch::new();
        let (key, envelope) = (taken.task.clone(), Envelope::default());
        toys::push(
            &mut batch,
            &catalog,
            key.as_bytes(),
            &taken.into(),
            &envelope,
        );
        let mut writer = self.log.writer("hand").unwrap();
        writer.append(&[(at("snapshots"), batch)]).unwrap();
    }

    fn restore(&self, task: Box<dyn Task>) -> Result<(Runner, Vec<String>), TaskError> {
        self.restore_with(task, self.blobs.as_ref(), &mut self.log.clone())
    }

    fn restore_with(
        &self,
        task: Box<dyn Task>,
        blobs: &dyn Blobs,
        reader: &mut dyn Reader,
    ) -> Result<(Runner, Vec<String>), TaskError> {
        let sources = Sources {
            log: &self.log,
            resolver: &Nothing,
            blobs,
            observer: &(),
        };
        restore_one(Runner::new(self.spec.clone(), task), sources, reader)
    }
}

pub fn often(turns: u64) -> SnapshotEvery {
    SnapshotEvery {
        turns,
        ..SnapshotEvery::default()
    }
}

pub fn summing(spec: &TaskSpec) -> Box<dyn Task> {
    Box::new(Frame::new(Summing { bug: Bug::Nothing }, spec.clone()))
}

pub fn sums() -> Arc<Factory> {
    Arc::new(|spec| Some(summing(spec)))
}

/// The state of a task that has folded everything from the beginning, without any snapshot.
fn from_the_beginning(world: &World, task: fn(&TaskSpec) -> Box<dyn Task>) -> Vec<u8> {
    let other = World {
        log: world.log.clone(),
        blobs: Arc::default(),
        spec: world.spec.clone(),
    };
    let (runner, _) = other.restore(task(&other.spec)).unwrap();
    assert!(runner.last().0 > 0);
    runner.snapshot().unwrap()
}

/// The sums' machine in a newer version, whose state is another: it counts every number twice.
struct Newer;

impl Machine for Newer {
    const VERSION: u32 = 2;
    type State = Sum;

    fn fold(&self, state: &mut Sum, cx: &Context<'_>, run: &Run<'_>, out: &mut Outbox) {
        let old = Summing { bug: Bug::Nothing };
        old.fold(state, cx, run, out);
        old.fold(state, cx, run, out);
    }
}

fn newer(spec: &TaskSpec) -> Box<dyn Task> {
    Box::new(Frame::new(Newer, spec.clone()))
}

#[test]
fn a_snapshot_of_an_older_version_is_not_taken_and_every_turn_is_folded() {
    let world = World::new();
    world.work(12, often(5), sums());
    assert_eq!(world.snapshots().len(), 2);
    let (runner, passed_over) = world.restore(newer(&world.spec)).unwrap();
    assert_eq!((runner.last().0, passed_over.len()), (12, 0));
    let expected = from_the_beginning(&world, newer);
    assert!(runner.snapshot() == Ok(expected));
    assert_ne!(runner.snapshot(), Ok(from_the_beginning(&world, summing)));

    // It takes snapshots of its own, and the older version goes on from its own.
    world.work(2, often(1), Arc::new(|spec| Some(newer(spec))));
    let versions = world
        .snapshots()
        .iter()
        .map(|taken| taken.machine_version)
        .collect::<Vec<_>>();
    assert_eq!(versions, [1, 1, 2, 2]);
    let (runner, _) = world.restore(summing(&world.spec)).unwrap();
    assert!(runner.snapshot() == Ok(from_the_beginning(&world, summing)));
}

#[test]
fn snapshots_come_after_as_many_records_or_turns_as_it_is_told() {
    let turns = |every| {
        let world = World::new();
        world.work(9, every, sums());
        // A worker that came back knows when the last one was taken.
        world.work(3, every, sums());
        world
            .snapshots()
            .iter()
            .map(|taken| taken.turn)
            .collect::<Vec<_>>()
    };
    assert_eq!(turns(SnapshotEvery::default()), [0; 0]);
    assert_eq!(turns(often(4)), [4, 8, 12]);
    let records = 2 * NUMBERS as u64;
    let every = SnapshotEvery {
        records,
        ..SnapshotEvery::default()
    };
    // The first turn takes the schemas too.
    assert_eq!(turns(every), [1, 3, 5, 7, 9, 11]);
}

#[test]
fn a_snapshot_that_serves_not_is_passed_over_and_told() {
    let world = World::new();
    world.work(10, often(4), sums());
    let [fourth, eighth] = &world.snapshots()[..] else {
        panic!("two snapshots")
    };
    let expected = from_the_beginning(&world, summing);
    let restored = || {
        let (runner, passed_over) = world.restore(summing(&world.spec)).unwrap();
        assert!(runner.snapshot() == Ok(expected.clone()));
        passed_over
    };
    assert_eq!(restored(), [""; 0]);
    // The state after turn 4, said to be the one after turn 9; and bytes that are no state at all.
    for (turn, state) in [
        (9, fourth.state),
        (10, Digest::of(b"lost")),
        (10, world.blobs.put(b"nothing").unwrap()),
    ] {
        world.tell(SnapshotTaken {
            turn,
            state,
            ..eighth.clone()
        });
    }
    let told = restored();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[2].contains("state of sum/toy/0 in version 1 after turn 4"),
        "{told:?}"
    );
    assert!(
        told.iter().all(|why| why.contains("mainstem audit verify")),
        "{told:?}"
    );
    // The whole store is lost: everything is folded from the beginning.
    let (mut reader, nothing) = (world.log.clone(), MemoryBlobs::default());
    let restored = world.restore_with(summing(&world.spec), &nothing, &mut reader);
    let (runner, told) = restored.unwrap();
    assert!(runner.snapshot() == Ok(expected));
    assert_eq!(told.len(), 5);
}

/// A store that does not answer.
struct Away;

impl Blobs for Away {
    fn put(&self, _bytes: &[u8]) -> Result<Digest, BlobError> {
        Err(BlobError::Store("nobody answers".into()))
    }

    fn get(&self, _digest: &Digest) -> Result<Arc<[u8]>, BlobError> {
        Err(BlobError::Store("nobody answers".into()))
    }

    fn check(&self) -> Result<(), BlobError> {
        Err(BlobError::Store("nobody answers".into()))
    }
}

#[test]
fn a_task_waits_for_a_store_that_does_not_answer_instead_of_folding_everything_again() {
    let world = World::new();
    world.work(6, often(4), sums());
    let stopped = world.restore_with(summing(&world.spec), &Away, &mut world.log.clone());
    let waits = TaskError::Unresolved {
        task: "sum/toy/0".into(),
        why: "nobody answers".into(),
    };
    assert_eq!(stopped.err(), Some(waits));
    // Without a snapshot there is nothing to wait for.
    let world = World::new();
    world.work(6, often(100), sums());
    let restored = world.restore_with(summing(&world.spec), &Away, &mut world.log.clone());
    let expected = from_the_beginning(&world, summing);
    assert!(restored.unwrap().0.snapshot() == Ok(expected));
}

#[test]
fn a_state_of_another_past_stops_the_task() {
    // Two lives that differ in one number have turns of the same numbers and other hashes.
    let [world, other] = [World::new(), World::new()];
    let mut writer = other.log.writer("feed").unwrap();
    writer
        .append(&[(at("numbers"), numbers([7.0], 99))])
        .unwrap();
    world.work(6, often(100), sums());
    other.work(6, often(5), sums());
    let taken = other.snapshots().remove(0);
    world
        .blobs
        .put(&other.blobs.get(&taken.state).unwrap())
        .unwrap();
    world.tell(taken);
    let error = world
        .restore(summing(&world.spec))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("turn 5 is not the one that its snapshot follows"),
        "{error}"
    );
}

#[test]
fn turns_that_went_stop_a_task_but_for_those_before_its_snapshot() {
    let world = World::new();
    world.work(10, often(4), sums());
    let expected = from_the_beginning(&world, summing);
    world.log.truncate(&at("turns"), 7).unwrap();
    let (runner, _) = world.restore(summing(&world.spec)).unwrap();
    assert!(runner.snapshot() == Ok(expected));
    let (nothing, mut reader) = (MemoryBlobs::default(), world.log.clone());
    let stopped = world.restore_with(summing(&world.spec), &nothing, &mut reader);
    let error = stopped.err().unwrap().to_string();
    assert!(
        error.contains("turn 8 does not follow the one before it"),
        "{error}"
    );
    world.log.truncate(&at("turns"), 8).unwrap();
    let error = world
        .restore(summing(&world.spec))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("turn 9 is not the one that its snapshot follows"),
        "{error}"
    );
    world.log.truncate(&at("turns"), 10).unwrap();
    let error = world
        .restore(summing(&world.spec))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("turn 8 is not in the topic `turns`"),
        "{error}"
    );
}

/// Hands records on, changed on the way.
struct Changing<F> {
    log: MemoryLog,
    change: F,
}

impl<F: FnMut(&Partition, Batch) -> Batch + Send> Reader for Changing<F> {
    fn fetch(
        &mut self,
        partition: &Partition,
        from: u64,
        limit: FetchLimit,
        into: &mut Batch,
    ) -> Result<(), LogError> {
        let mut batch = Batch::new();
        self.log.fetch(partition, from, limit, &mut batch)?;
        let batch = (self.change)(partition, batch);
        batch.iter().for_each(|record| into.push_record(&record));
        Ok(())
    }
    fn at_end(&mut self, partition: &Partition, offset: u64) -> Result<bool, LogError> {
        self.log.at_end(partition, offset)
    }
    fn range(&mut self, partition: &Partition) -> Result<std::ops::Range<u64>, LogError> {
        self.log.range(partition)
    }
}

#[test]
fn inputs_that_are_not_what_was_folded_stop_the_task() {
    let world = World::new();
    world.work(4, often(100), sums());
    let other = numbers([5.0], 77);
    let change = |partition: &Partition, batch: Batch| {
        let mut changed = Batch::new();
        for record in batch.iter() {
            let (offset, timestamp) = (record.offset, record.timestamp);
            let mine = *partition == at("numbers") && offset == 12;
            changed.push_record(&if mine { other.get(0).unwrap() } else { record });
            changed.stamp_last(offset, timestamp);
        }
        changed
    };
    let mut reader = Changing {
        log: world.log.clone(),
        change,
    };
    let stopped = world.restore_with(summing(&world.spec), world.blobs.as_ref(), &mut reader);
    let error = stopped.err().unwrap().to_string();
    assert!(
        error.contains("turn 3 read other records of toy.numbers/0 from offset 10 on"),
        "{error}"
    );
}

#[test]
fn a_restore_reads_of_the_chain_what_its_snapshot_leaves() {
    let world = World::new();
    world.work(5_000, often(120), sums());
    let read = Arc::new(Mutex::new(0));
    let count = Arc::clone(&read);
    let change = move |partition: &Partition, batch: Batch| {
        if *partition == at("turns") {
            *count.lock().unwrap() += batch.len();
        }
        batch
    };
    let mut reader = Changing {
        log: world.log.clone(),
        change,
    };
    let restored = world.restore_with(summing(&world.spec), world.blobs.as_ref(), &mut reader);
    assert_eq!(restored.unwrap().0.last().0, 5_000);
    // The last 80 turns, which are looked for from the end.
    assert!(*read.lock().unwrap() <= 3 * 80 + 64, "{read:?}");
    let nothing = MemoryBlobs::default();
    let restored = world.restore_with(summing(&world.spec), &nothing, &mut reader);
    assert_eq!(restored.unwrap().0.last().0, 5_000);
}

/// An hour of ticks.
fn an_hour(world: &World) {
    let (catalog, ..) = toys::preamble();
    let mut ticks = Batch::new();
    for second in 1..=3_600 {
        let tick = toys::tick(&catalog, second * 1_000, second);
        tick.iter().for_each(|tick| ticks.push_record(&tick));
    }
    let mut crew = world.crew(SnapshotEvery::default(), sums());
    let tasks = std::slice::from_ref(&world.spec);
    assert_eq!(crew.step(tasks).unwrap().stopped, []);
    let mut writer = world.log.writer("clock").unwrap();
    writer.append(&[(at("clock"), ticks)]).unwrap();
    assert_eq!(crew.step(tasks).unwrap().commits, 1);
}

#[test]
fn what_was_read_in_place_is_under_a_snapshot_within_an_hour_and_may_then_be_forgotten() {
    for (mode, wanted) in [(Mode::Immediate, &[][..]), (Mode::InPlace, &[3][..])] {
        let mut world = World::new();
        world.spec.inputs[0].mode = mode;
        world.work(2, SnapshotEvery::default(), sums());
        an_hour(&world);
        let turns: Vec<i64> = world.snapshots().iter().map(|taken| taken.turn).collect();
        assert_eq!(turns, wanted, "{mode:?}");
        if mode == Mode::Immediate {
            continue;
        }
        let state = from_the_beginning(&world, summing);
        world.log.truncate(&at("numbers"), 10).unwrap();
        let (runner, _) = world.restore(summing(&world.spec)).unwrap();
        assert!(runner.snapshot() == Ok(state));

        // What came since must be there.
        world.work(1, SnapshotEvery::default(), sums());
        world.log.truncate(&at("numbers"), 12).unwrap();
        let Err(error) = world.restore(summing(&world.spec)) else {
            panic!("it is rebuilt of nothing")
        };
        let told = error.to_string();
        for part in [
            "sum/toy/0",
            "from offset 10 to 12",
            "after the last snapshot",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }
}

#[test]
fn what_is_forgotten_before_it_is_read_in_place_stops_the_task() {
    let mut world = World::new();
    world.spec.inputs[0].mode = Mode::InPlace;
    let mut crew = world.crew(SnapshotEvery::default(), sums());
    let mut writer = world.log.writer("feed").unwrap();
    let tasks = std::slice::from_ref(&world.spec);
    for (turn, kept) in [(0, 2), (1, 7)] {
        let values = (0..NUMBERS).map(|n| n as f64);
        let numbers = numbers(values, turn);
        writer.append(&[(at("numbers"), numbers)]).unwrap();
        world.log.truncate(&at("numbers"), kept).unwrap();
        let progress = crew.step(tasks).unwrap();
        // It begins with the first record that is kept, and passes none by from then on.
        if turn == 0 {
            assert_eq!((progress.commits, progress.stopped), (1, vec![]));
        } else {
            let told: Vec<String> = progress.stopped.iter().map(ToString::to_string).collect();
            assert!(
                told[0].contains("from offset 5 to 7 before they were read"),
                "{told:?}"
            );
        }
    }
}

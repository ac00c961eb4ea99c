//! One machine with a joined and a broadcast input, through kills: worker processes that are killed in the midst of
//! their work, one after the other, write the same history as one that is left alone.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstem_kernel::log::{FetchLimit, Log, Partition, TopicSpec};
use mainstem_kernel::machine::{Context, Machine, Run};
use mainstem_kernel::memory::MemoryLog;
use mainstem_kernel::outbox::{Head, Outbox};
use mainstem_kernel::quiet::is_quiet;
use mainstem_kernel::rounds::Frame;
use mainstem_kernel::runner::SnapshotEvery;
use mainstem_kernel::testkit::harness::MemoryBlobs;
use mainstem_kernel::testkit::toys;
use mainstem_kernel::worker::{Crew, Inert, Parts, read_catalog, read_events};
use mainstem_kernel::{Input, Mode, Need, Output, Resolver, TaskId, TaskSpec};
use mainstem_schemas::events::{Event, Turn};
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::{Batch, Catalog, Digest, Envelope, EventId, Millis};
use serde::{Deserialize, Serialize};

use crate::support::{broker, connect, records, run_name};

/// Partitions of the joined inputs, and tasks.
const TASKS: u32 = 2;

/// A minute: past every time-out of a transaction, and of a worker that takes over.
const LONG: Duration = Duration::from_secs(60);

/// Records a turn may take: a segment is then some forty turns long.
const LIMIT: FetchLimit = FetchLimit {
    records: 7,
    bytes: 1 << 20,
};

/// Joins numbers by key, each side waiting for the other, and scales the sum by what was broadcast last.
struct Joining;

#[derive(Default, Serialize, Deserialize)]
struct Sides {
    factor: f64,
    waiting: [BTreeMap<Vec<u8>, (EventId, f64)>; 2],
}

impl Machine for Joining {
    const VERSION: u32 = 1;
    type State = Sides;

    fn fold(&self, state: &mut Sides, cx: &Context<'_>, run: &Run<'_>, out: &mut Outbox) {
        for record in run.batch.iter() {
            let Some(value) = toys::value_of(cx.catalog, &record) else {
                continue;
            };
            if run.input == 0 {
                state.factor = value;
                continue;
            }
            let (key, id) = (record.key.unwrap_or_default(), Envelope::read(&record).id);
            let side = run.input - 1;
            let Some((other, found)) = state.waiting[1 - side].remove(key) else {
                state.waiting[side].insert(key.to_vec(), (id, value));
                continue;
            };
            let head = Head {
                id: cx.derive(0, &Digest::default(), &[id.0, other.0].concat(), b""),
                time: Millis(0),
                correlation: Some(id),
                causation: Some(other),
            };
            out.event(
                cx,
                0,
                key,
                &toys::number((value + found) * state.factor),
                head,
            );
        }
    }
}

struct Nothing;

impl Resolver for Nothing {
    fn resolve(&self, _: &Need) -> Result<mainstem_kernel::known::Resolved, String> {
        Err("the machine needs nothing".into())
    }
}

fn at(project: &str, topic: &str, index: u32) -> Partition {
    Partition::new(&format!("{project}.{topic}"), index)
}

pub(super) fn specs(project: &str) -> Vec<TaskSpec> {
    let spec = |index| {
        let input = |topic, index| Input {
            partition: at(project, topic, index),
            mode: Mode::Immediate,
        };
        let lead = at(project, "left", index);
        TaskSpec {
            id: TaskId(format!("join/toy/{index}")),
            project: project.into(),
            lead: Some(lead),
            inputs: vec![
                input("factors", 0),
                input("right", index),
                input("left", index),
            ],
            outputs: vec![Output {
                topic: format!("{project}.joined"),
                partitions: TASKS,
            }],
        }
    };
    (0..TASKS).map(spec).collect()
}

pub(super) fn create_topics(log: &dyn Log, project: &str) {
    let one = [
        "schemas",
        "definitions",
        "clock",
        "factors",
        "turns",
        "snapshots",
    ];
    let many = ["left", "right", "joined"];
    let spec = |name: &&str, partitions| TopicSpec {
        name: format!("{project}.{name}"),
        partitions,
    };
    let one = one.iter().map(|name| spec(name, 1));
    let many = many.iter().map(|name| spec(name, TASKS));
    log.create_topics(&one.chain(many).collect::<Vec<_>>())
        .unwrap();
}

pub(super) type Segment = Vec<(Partition, Batch)>;

/// Segments in the order in which they are folded; each is at rest before the next comes.
pub(super) fn feed(project: &str) -> Vec<Segment> {
    let definition = mainstem_schemas::definition::Project {
        name: project.into(),
        ..toys::project()
    };
    let (catalog, schemas, definitions) = toys::preamble_of(&definition);
    let factor = |value| {
        let mut batch = Batch::new();
        toys::push(
            &mut batch,
            &catalog,
            b"",
            &toys::number(value),
            &Envelope::default(),
        );
        vec![(at(project, "factors", 0), batch)]
    };
    vec![
        vec![(at(project, "schemas", 0), schemas)],
        vec![(at(project, "definitions", 0), definitions)],
        vec![(at(project, "clock", 0), toys::tick(&catalog, 1, 1))],
        factor(2.0),
        side(project, &catalog, "left", 0..300),
        factor(3.0),
        side(project, &catalog, "right", 100..500),
        factor(5.0),
        side(project, &catalog, "left", 300..600),
    ]
}

fn side(project: &str, catalog: &Catalog, topic: &str, numbers: std::ops::Range<u32>) -> Segment {
    let mut batches = vec![Batch::new(); TASKS as usize];
    for n in numbers {
        let key = format!("entity-{n}");
        let id = Digest::of(format!("{topic} {n}").as_bytes());
        let envelope = Envelope {
            id: EventId(std::array::from_fn(|byte| id.0[byte])),
            ..Envelope::default()
        };
        let index = partition_of(key.as_bytes(), TASKS);
        let batch = &mut batches[index as usize];
        toys::push(
            batch,
            catalog,
            key.as_bytes(),
            &toys::number(f64::from(n)),
            &envelope,
        );
    }
    let partitions = (0..TASKS).map(|index| at(project, topic, index));
    partitions.zip(batches).collect()
}

fn crew(log: Arc<dyn Log>, name: &str) -> Crew<Inert> {
    let parts = Parts {
        log,
        resolver: Arc::new(Nothing),
        blobs: Arc::new(MemoryBlobs::default()),
        factory: Arc::new(|spec| Some(Box::new(Frame::new(Joining, spec.clone())))),
        limit: LIMIT,
        snapshots: SnapshotEvery::default(),
    };
    Crew::join(parts, name, Inert).unwrap()
}

/// The records of the output, by partition, without offsets and times.
pub(super) fn history(log: &dyn Log, project: &str) -> Vec<Vec<Vec<u8>>> {
    let partition = |index| {
        let all = records(log, &at(project, "joined", index));
        let frames = (0..all.len()).map(|row| all.frames(row..row + 1).to_vec());
        frames.collect()
    };
    (0..TASKS).map(partition).collect()
}

pub(super) fn undisturbed(project: &str) -> Vec<Vec<Vec<u8>>> {
    let log = MemoryLog::new();
    create_topics(&log, project);
    let mut writer = log.writer("feed").unwrap();
    let mut crew = crew(Arc::new(log.clone()), "only");
    for segment in feed(project) {
        writer.append(&segment).unwrap();
        while !is_quiet(&log, &mut log.clone(), &specs(project)).unwrap() {
            let progress = crew.step(&specs(project)).unwrap();
            assert!(progress.stopped.is_empty(), "{:?}", progress.stopped);
        }
    }
    history(&log, project)
}

const WORKER: &str = "MAINSTEM_TEST_WORKER";

/// Not a test: what a worker process of the test below does until it is killed.
#[test]
#[ignore = "started by another test as a process of its own"]
fn worker_process() {
    let Ok(arguments) = std::env::var(WORKER) else {
        return;
    };
    let [project, name] = arguments.split('|').collect::<Vec<_>>()[..] else {
        panic!()
    };
    // The parent's end of the pipe closes with the parent, however that ends.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let broker = broker().unwrap();
    let log = Arc::new(connect(broker, project));
    // One crew for all of its life: whatever a commit ends with, the next step goes on.
    let mut crew = crew(log.clone(), name);
    loop {
        let seen = log.seen();
        if crew
            .step(&specs(project))
            .is_ok_and(|progress| progress.commits == 0)
        {
            log.wait(seen, Duration::from_millis(20));
        }
    }
}

pub(super) struct Process(Child);

impl Process {
    pub(super) fn start(bootstrap: &str, project: &str, name: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "takeover::worker_process",
                "--ignored",
                "--nocapture",
            ])
            .env(WORKER, format!("{project}|{name}"))
            .env(mainstem_test_broker::KAFKA, bootstrap)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        Process(child.unwrap())
    }

    /// SIGSTOP or SIGCONT, as `kill` takes it.
    pub(super) fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// SIGKILL: nothing is cleaned up.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_killed_worker_s_tasks_go_on_as_if_nothing_had_been() {
    let Some(broker) = broker() else { return };
    let project = run_name("takeover");
    let log = connect(broker, &project);
    create_topics(&log, &project);
    let specs = specs(&project);
    let mut writer = log.writer("feed").unwrap();
    let mut worker = Process::start(broker.bootstrap(), &project, "worker-0");
    let mut kills = 0;
    for segment in feed(&project) {
        let large = segment.iter().any(|(_, batch)| batch.len() > 50);
        let before = turns(&log, &specs);
        writer.append(&segment).unwrap();
        if large {
            // After some turns of the segment, in whatever the worker is doing just then.
            for after in [3, 17] {
                await_turns(&log, &specs, before + after);
                worker.kill();
                kills += 1;
                // The same name takes a transaction over at once; another waits for its timeout.
                let name = format!("worker-{}", kills / 2);
                worker = Process::start(broker.bootstrap(), &project, &name);
            }
        }
        rest(&log, &specs);
    }
    assert_eq!(kills, 6);
    let joined = history(&log, &project);
    assert_eq!(joined.iter().map(Vec::len).sum::<usize>(), 400);
    assert!(joined == undisturbed(&project), "the history differs");
    assert_chained(&log, &project, &specs);
}

/// Turns that all tasks have committed.
pub(super) fn turns(log: &dyn Log, specs: &[TaskSpec]) -> i64 {
    let number = |task: &TaskSpec| log.last_turn(&task.id).unwrap().map_or(0, |t| t.number);
    specs.iter().map(number).sum()
}

/// Waits until there are so many, without a pause: what comes next is to come in the midst of a turn.
pub(super) fn await_turns(log: &dyn Log, specs: &[TaskSpec], count: i64) {
    let deadline = Instant::now() + LONG;
    while turns(log, specs) < count {
        assert!(Instant::now() < deadline, "no turns come");
    }
}

/// Waits until there is nothing left to do.
pub(super) fn rest(log: &dyn Log, specs: &[TaskSpec]) {
    let mut reader = log.reader().unwrap();
    let deadline = Instant::now() + LONG;
    while !is_quiet(log, reader.as_mut(), specs).unwrap() {
        assert!(Instant::now() < deadline, "the tasks do not come to rest");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every turn follows the one before, none is missing, none is there twice.
pub(super) fn assert_chained(log: &dyn Log, project: &str, specs: &[TaskSpec]) {
    let mut reader = log.reader().unwrap();
    let catalog = read_catalog(reader.as_mut(), project).unwrap();
    let mut last: BTreeMap<String, Turn> = BTreeMap::new();
    let mut check = |event| {
        let Event::Turn(turn) = event else {
            panic!("{event:?}")
        };
        let (number, hash) = last
            .get(&turn.task)
            .map_or((0, Digest::default()), |t| (t.number, t.hash));
        assert_eq!((turn.number, turn.previous), (number + 1, hash));
        assert_eq!(turn.hash, mainstem_kernel::turn::hash(&turn));
        last.insert(turn.task.clone(), turn);
    };
    read_events(
        reader.as_mut(),
        &catalog,
        &format!("{project}.turns"),
        &mut check,
    )
    .unwrap();
    assert_eq!(last.len(), specs.len());
}

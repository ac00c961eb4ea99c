//! The broker that the tests of this binary share, logs on it, and a room of tasks to commit turns of.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstem_kernel::log::{
    Commit, FetchLimit, Log, LogError, Partition, Reader, TopicSpec, Worker, Writer,
};
use mainstem_kernel::{TaskId, TaskSpec};
use mainstem_log_kafka::{KafkaLog, Options};
use mainstem_schemas::events::{Event, InputPosition, Turn};
use mainstem_schemas::{Batch, Catalog, Digest};
use mainstem_test_broker::Broker;

/// The shared broker, or nothing where these tests were left out.
pub fn broker() -> Option<&'static Broker> {
    Broker::for_tests().unwrap()
}

/// A name that no earlier run on the same broker had.
pub fn run_name(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{count}", now.as_millis())
}

/// Sessions for tests.
pub const SHORT: [(&str, &str); 2] = [
    ("session.timeout.ms", "2000"),
    ("heartbeat.interval.ms", "100"),
];

/// Connects with sessions as short as tests want them.
pub fn connect(broker: &Broker, project: &str) -> KafkaLog {
    connect_with(broker, project, &[])
}

/// The same with further settings.
pub fn connect_with(broker: &Broker, project: &str, settings: &[(&str, &str)]) -> KafkaLog {
    connect_to(broker.bootstrap(), project, |options| {
        for (key, value) in settings {
            let (key, value) = ((*key).to_owned(), (*value).to_owned());
            options.settings.insert(key, value);
        }
    })
}

/// The same at any brokers, with whatever else is to be.
pub fn connect_to(brokers: &str, project: &str, more: impl FnOnce(&mut Options)) -> KafkaLog {
    let mut options = Options::new(brokers, project);
    let short = SHORT.map(|(key, value)| (key.to_owned(), value.to_owned()));
    options.settings.extend(short);
    more(&mut options);
    KafkaLog::connect(options).unwrap()
}

/// A project of its own: tasks of one room that are led by the partitions of `lead` and write to `out`.
pub struct Room {
    pub project: String,
    pub log: KafkaLog,
    catalog: Catalog,
}

impl Room {
    pub fn new(broker: &'static Broker, name: &str, leads: u32, settings: &[(&str, &str)]) -> Self {
        let project = run_name(name);
        let log = connect_with(broker, &project, settings);
        Room::of(project, log, leads)
    }

    /// The same in a project on any log.
    pub fn of(project: String, log: KafkaLog, leads: u32) -> Self {
        let topic = |name: &str, partitions| TopicSpec {
            name: format!("{project}.{name}"),
            partitions,
        };
        let topics = [("lead", leads), ("out", 1), ("turns", 1), ("schemas", 1)];
        log.create_topics(&topics.map(|(name, count)| topic(name, count)))
            .unwrap();
        let mut catalog = Catalog::default();
        let mut schemas = Batch::new();
        for event in catalog.register_contracts().unwrap() {
            schemas.push(None, Some(&serde_json::to_vec(&event).unwrap()), []);
        }
        let at = Partition::new(&format!("{project}.schemas"), 0);
        let mut writer = log.writer("setup").unwrap();
        writer.append(&[(at, schemas)]).unwrap();
        Room {
            project,
            log,
            catalog,
        }
    }

    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub fn at(&self, topic: &str, index: u32) -> Partition {
        Partition::new(&format!("{}.{topic}", self.project), index)
    }

    /// A task led by a partition of `lead`, or by none.
    pub fn task(&self, object: &str, lead: Option<u32>) -> TaskSpec {
        TaskSpec {
            id: TaskId(format!("room/{object}/0")),
            project: self.project.clone(),
            lead: lead.map(|index| self.at("lead", index)),
            inputs: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// A commit of a turn with its record, and a record to `out`.
    pub fn commit(&self, task: &TaskSpec, number: i64) -> Commit {
        let positions = task.lead.iter().map(|lead| InputPosition {
            topic: lead.topic.to_string(),
            partition: lead.index as i32,
            next: number * 10,
        });
        let turn = Turn {
            task: task.id.0.clone(),
            number,
            machine_version: 1,
            definition: Digest::default(),
            runs: Vec::new(),
            positions: positions.collect(),
            outputs: Vec::new(),
            outstanding: 0,
            previous: Digest::default(),
            hash: Digest::of(&number.to_le_bytes()),
        };
        let mut record = Batch::new();
        let event = Event::Turn(turn.clone());
        let key = task.id.0.as_bytes();
        record.push_value(
            Some(key),
            |out| event.encode(&self.catalog, out).unwrap(),
            [],
        );
        Commit {
            task: task.id.clone(),
            turn: Some(turn),
            outputs: vec![
                (self.at("out", 0), one(&format!("{} {number}", task.id))),
                (self.at("turns", 0), record),
            ],
        }
    }

    /// A worker that owns all of these tasks.
    pub fn owner(&self, name: &str, tasks: &[TaskSpec]) -> Box<dyn Worker> {
        let mut worker = self.log.worker(name).unwrap();
        own(worker.as_mut(), tasks, tasks.len());
        worker
    }

    pub fn last(&self, task: &TaskSpec) -> Option<i64> {
        let turn = self.log.last_turn(&task.id).unwrap();
        turn.map(|turn| turn.number)
    }

    /// What readers see in `out` once all is decided: a worker's commit is seen a little later than it returns.
    pub fn out(&self) -> Vec<String> {
        let at = self.at("out", 0);
        let mut reader = self.log.reader().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let end = reader.range(&at).unwrap().end;
            if reader.at_end(&at, end).unwrap() {
                return values(&self.log, &at);
            }
            assert!(Instant::now() < deadline, "{at} stays undecided");
        }
    }
}

/// Polls a worker until it holds so many tasks.
pub fn own(worker: &mut dyn Worker, tasks: &[TaskSpec], count: usize) {
    let mut held: Vec<TaskId> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    while held.len() < count {
        assert!(Instant::now() < deadline, "only {held:?} came");
        let change = worker.assign(tasks).unwrap();
        held.retain(|id| !change.lost.contains(id));
        held.extend(change.gained);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A record with this value.
pub fn one(value: &str) -> Batch {
    let mut batch = Batch::new();
    batch.push(None, Some(value.as_bytes()), []);
    batch
}

/// All records of a partition.
pub fn records(log: &dyn Log, at: &Partition) -> Batch {
    let mut batch = Batch::new();
    let mut reader = log.reader().unwrap();
    let mut next = reader.range(at).unwrap().start;
    loop {
        let before = batch.len();
        reader
            .fetch(at, next, FetchLimit::default(), &mut batch)
            .unwrap();
        if batch.len() == before {
            return batch;
        }
        next = batch.offsets()[batch.len() - 1] + 1;
    }
}

/// All values of a partition.
pub fn values(log: &dyn Log, at: &Partition) -> Vec<String> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let batch = records(log, at);
    let values = batch.iter().map(|record| record.value.map(text));
    values.map(Option::unwrap_or_default).collect()
}

/// One handle for the conformance suite, whose cases are projects of their own: the first part of a task's name is
/// its project there.
pub struct Cases {
    log: KafkaLog,
    broker: &'static Broker,
}

impl Cases {
    pub fn open(broker: &'static Broker) -> Self {
        let log = connect(broker, "cases");
        Cases { log, broker }
    }
}

impl Log for Cases {
    fn last_turn(&self, task: &TaskId) -> Result<Option<Turn>, LogError> {
        let project = task.0.split('/').next().unwrap();
        connect(self.broker, project).last_turn(task)
    }

    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        self.log.create_topics(topics)
    }
    fn topics(&self) -> Result<Vec<TopicSpec>, LogError> {
        self.log.topics()
    }
    fn reader(&self) -> Result<Box<dyn Reader>, LogError> {
        self.log.reader()
    }
    fn writer(&self, name: &str) -> Result<Box<dyn Writer>, LogError> {
        self.log.writer(name)
    }
    fn worker(&self, name: &str) -> Result<Box<dyn Worker>, LogError> {
        self.log.worker(name)
    }
    fn slot(&self, task: &TaskSpec) -> Result<Box<dyn Worker>, LogError> {
        connect(self.broker, &task.project).slot(task)
    }
    fn truncate(&self, partition: &Partition, before: u64) -> Result<(), LogError> {
        self.log.truncate(partition, before)
    }
    fn seen(&self) -> u64 {
        self.log.seen()
    }
    fn wait(&self, seen: u64, timeout: Duration) -> bool {
        self.log.wait(seen, timeout)
    }
}

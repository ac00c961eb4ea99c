//! The broker that the tests of this binary share, and logs on it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstem_kernel::TaskId;
use mainstem_kernel::log::{Log, LogError, Partition, Reader, TopicSpec, Worker, Writer};
use mainstem_log_kafka::{KafkaLog, Options};
use mainstem_schemas::events::Turn;
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

/// Connects with sessions as short as tests want them.
pub fn connect(broker: &Broker, project: &str) -> KafkaLog {
    let mut options = Options::new(broker.bootstrap(), project);
    for (key, value) in [
        ("session.timeout.ms", "2000"),
        ("heartbeat.interval.ms", "100"),
    ] {
        options.settings.insert(key.into(), value.into());
    }
    KafkaLog::connect(options).unwrap()
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
        connect(self.broker, task.0.split('/').next().unwrap()).last_turn(task)
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

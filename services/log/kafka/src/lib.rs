//! The log port on Apache Kafka.
//!
//! What comes in are batches, turns and the tasks that there are; what goes out are transactions: one holds a worker's
//! outputs, its turns and the offsets of its lead inputs, so a reader sees all of a turn or nothing, and a worker that
//! was replaced cannot write any more. Readers see committed records only.
//!
//! | Here | Kafka |
//! |---|---|
//! | reader (`reader`) | a consumer outside every group, `read_committed`, a queue a partition |
//! | writer (`writer`) | a producer with the transactional id `<project>-writer-<name>` |
//! | worker (`worker`) | a producer `<project>-worker-<name>`, and a member of the group `<project>.<room>` of every room |
//! | slot (`slot`) | a producer with the transactional id `<project>-slot-<task>`, outside every group |
//! | ownership (`membership`) | the room's lead partitions, given out by the group; its generation fences |
//! | head of a chain (`heads`, `turns`) | metadata of the lead's committed offset; the topic `<project>.turns` |
//!
//! [`Options`] hands any further setting to librdkafka (TLS, SASL, sizes), but for those that exactly-once stands on.
//! `docs/kafka.md` says what a user of the cluster must be allowed to do.
//! The unsafe code of the workspace is in `native`. The next room is `mainstem_kernel::worker`, which drives this.

mod cluster;
mod error;
mod failure;
mod headers;
mod heads;
mod horizon;
mod membership;
#[expect(unsafe_code, reason = "calls of librdkafka that rdkafka does not wrap")]
mod native;
mod place;
mod producer;
mod reader;
mod room;
mod sending;
mod settings;
mod slot;
mod topics;
mod trouble;
mod turns;
mod watch;
mod worker;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use mainstem_kernel::log::LogError;
use mainstem_kernel::log::{Log, Partition, Reader, TopicSpec, Worker, Writer};
use mainstem_kernel::{TaskId, TaskSpec};
use mainstem_schemas::Span;
use mainstem_schemas::events::Turn;

use cluster::Cluster;
use turns::Turns;
use watch::Watch;

/// How to reach a cluster, and as what.
#[derive(Clone)]
pub struct Options {
    /// `host:port`, several with commas.
    pub bootstrap: String,
    /// The project: prefix of its topics, groups and transactional ids.
    pub project: String,
    /// Further settings of librdkafka, as its documentation names them: `security.protocol`, `sasl.*`, `ssl.*`, sizes.
    pub settings: BTreeMap<String, String>,
    /// Copies of each topic that is created; the brokers' default (`default.replication.factor`) where nothing is said.
    pub replication: Option<u16>,
}

impl Options {
    /// Plain text, default settings.
    #[must_use]
    pub fn new(bootstrap: &str, project: &str) -> Self {
        Options {
            bootstrap: bootstrap.into(),
            project: project.into(),
            settings: BTreeMap::new(),
            replication: None,
        }
    }

    /// A text of librdkafka's without the values of settings that are secret.
    fn without_secrets(&self, text: &str) -> String {
        const SECRET: [&str; 5] = ["password", "secret", "pem", "token", "oauthbearer.config"];
        let secret = |key: &str| SECRET.iter().any(|word| key.contains(word));
        let secrets = self
            .settings
            .iter()
            .filter(|(key, value)| secret(key) && !value.is_empty());
        secrets.fold(text.to_owned(), |text, (_, value)| {
            text.replace(value, "***")
        })
    }
}

impl fmt::Debug for Options {
    /// Names settings without their values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("bootstrap", &self.bootstrap)
            .field("project", &self.project)
            .field("settings", &self.settings.keys())
            .field("replication", &self.replication)
            .finish()
    }
}

/// A project's log on a Kafka cluster.
#[derive(Clone)]
pub struct KafkaLog {
    cluster: Arc<Cluster>,
    watch: Arc<Watch>,
    turns: Arc<Turns>,
}

impl KafkaLog {
    /// Connects, and looks whether brokers answer.
    ///
    /// # Errors
    /// Where none answers, or a setting is wrong or ours.
    pub fn connect(options: Options) -> Result<KafkaLog, LogError> {
        native::keep_memory();
        let cluster = Arc::new(Cluster::connect(options)?);
        let watch = Arc::new(Watch::default());
        let turns = Arc::new(Turns::new(cluster.clone(), watch.clone()));
        Ok(KafkaLog {
            cluster,
            watch,
            turns,
        })
    }
}

impl Log for KafkaLog {
    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        self.cluster.create(topics)
    }

    fn topics(&self) -> Result<Vec<TopicSpec>, LogError> {
        self.cluster.topics()
    }

    fn check_horizon(&self, topic: &str, horizon: Span) -> Result<(), LogError> {
        self.cluster.check_horizon(topic, horizon)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, LogError> {
        let reader = reader::KafkaReader::open(self.cluster.clone(), self.watch.clone())?;
        Ok(Box::new(reader))
    }

    fn writer(&self, name: &str) -> Result<Box<dyn Writer>, LogError> {
        let writer = writer::KafkaWriter::open(self.cluster.clone(), self.watch.clone(), name)?;
        Ok(Box::new(writer))
    }

    fn worker(&self, name: &str) -> Result<Box<dyn Worker>, LogError> {
        let (cluster, watch, turns) =
            (self.cluster.clone(), self.watch.clone(), self.turns.clone());
        let worker = worker::KafkaWorker::join(cluster, watch, turns, name)?;
        Ok(Box::new(worker))
    }

    fn slot(&self, task: &TaskSpec) -> Result<Box<dyn Worker>, LogError> {
        let (cluster, watch, turns) =
            (self.cluster.clone(), self.watch.clone(), self.turns.clone());
        Ok(Box::new(slot::KafkaSlot::take(
            cluster, watch, turns, task,
        )?))
    }

    fn last_turn(&self, task: &TaskId) -> Result<Option<Turn>, LogError> {
        self.turns.last(&self.cluster.options.project, task)
    }

    fn last_turns(&self, tasks: &[&TaskId]) -> Result<Vec<Option<Turn>>, LogError> {
        self.turns.all_last(&self.cluster.options.project, tasks)
    }

    fn truncate(&self, partition: &Partition, before: u64) -> Result<(), LogError> {
        self.cluster.truncate(partition, before)
    }

    fn seen(&self) -> u64 {
        self.watch.seen()
    }

    fn wait(&self, seen: u64, timeout: Duration) -> bool {
        self.watch.wait(&self.cluster, seen, timeout)
    }
}

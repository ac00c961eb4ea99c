//! A log on which something happens whenever a reader or a writer is asked for: for tests.

use std::sync::Arc;
use std::time::Duration;

use mainstem_kernel::log::{Log, LogError, Partition, Reader, TopicSpec, Worker, Writer};
use mainstem_kernel::{TaskId, TaskSpec};
use mainstem_schemas::events::Turn;

type OnReader = dyn Fn() -> Result<(), LogError> + Send + Sync;
type OnWriter = dyn Fn(&dyn Log, &str) -> Result<(), LogError> + Send + Sync;

/// Another log, but for what happens.
pub struct Unruly {
    log: Arc<dyn Log>,
    on_reader: Box<OnReader>,
    on_writer: Box<OnWriter>,
}

impl Unruly {
    pub fn new(log: Arc<dyn Log>) -> Self {
        Unruly {
            log,
            on_reader: Box::new(|| Ok(())),
            on_writer: Box::new(|_, _| Ok(())),
        }
    }

    /// Before a reader is handed out.
    pub fn before_reader(
        mut self,
        happens: impl Fn() -> Result<(), LogError> + Send + Sync + 'static,
    ) -> Self {
        self.on_reader = Box::new(happens);
        self
    }

    /// Between a writer's making and its handing out: on the log, with the writer's name.
    pub fn after_writer(
        mut self,
        happens: impl Fn(&dyn Log, &str) -> Result<(), LogError> + Send + Sync + 'static,
    ) -> Self {
        self.on_writer = Box::new(happens);
        self
    }
}

impl Log for Unruly {
    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        self.log.create_topics(topics)
    }

    fn topics(&self) -> Result<Vec<TopicSpec>, LogError> {
        self.log.topics()
    }

    fn reader(&self) -> Result<Box<dyn Reader>, LogError> {
        (self.on_reader)()?;
        self.log.reader()
    }

    fn writer(&self, name: &str) -> Result<Box<dyn Writer>, LogError> {
        let writer = self.log.writer(name)?;
        (self.on_writer)(self.log.as_ref(), name)?;
        Ok(writer)
    }

    fn worker(&self, name: &str) -> Result<Box<dyn Worker>, LogError> {
        self.log.worker(name)
    }

    fn slot(&self, task: &TaskSpec) -> Result<Box<dyn Worker>, LogError> {
        self.log.slot(task)
    }

    fn last_turn(&self, task: &TaskId) -> Result<Option<Turn>, LogError> {
        self.log.last_turn(task)
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

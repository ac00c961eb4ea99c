//! A publication that others get ahead of.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mainstem_kernel::log::{Log, LogError, Partition, Reader, TopicSpec, Worker, Writer};
use mainstem_kernel::{TaskId, TaskSpec};
use mainstem_schemas::Millis;
use mainstem_schemas::events::Turn;

use super::{Format, Input, PublishError, publish};
use crate::Store;

/// A log on which somebody else begins a publication as soon as one is about to be begun, so many times.
struct Crowded {
    log: Arc<dyn Log>,
    others: AtomicUsize,
}

impl Log for Crowded {
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
        let writer = self.log.writer(name)?;
        let another = |left: usize| left.checked_sub(1);
        let others = &self.others;
        if others
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, another)
            .is_ok()
        {
            self.log.writer(name)?;
        }
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

/// Publishes a row, where so many others begin meanwhile.
fn among(others: usize) -> Result<u64, PublishError> {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let project = mainstem_project::parse("mainstem.yaml", mainstem_project::example()).unwrap();
    crate::apply::apply(&store, &project, "test", Millis(0)).unwrap();
    store.log = Arc::new(Crowded {
        log: Arc::clone(&store.log),
        others: AtomicUsize::new(others),
    });
    let row = "{\"nswprice\": 0.1}\n";
    let input = Input {
        project: &project,
        source: "market",
        name: "rows.jsonl",
        format: Format::JsonLines,
        bytes: row.as_bytes(),
        actor: "test",
        resume: false,
        is_file: true,
    };
    let published = publish(&store, input)?;
    Ok(published.accepted + published.rejected)
}

#[test]
fn a_publication_that_others_get_ahead_of_is_begun_after_them() {
    assert_eq!(among(0).unwrap(), 1);
    assert_eq!(among(30).unwrap(), 1);
}

#[test]
fn a_publication_that_others_get_ahead_of_for_ever_stops_with_the_reason() {
    let why = among(usize::MAX).unwrap_err().to_string();
    for word in ["100 tries", "fenced", "publish it again"] {
        assert!(why.contains(word), "{why}");
    }
}

//! Watches one worker, or one prediction door, with a clock in hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mainstem_kernel::log::{Commit, CommitError};
use mainstem_kernel::worker::read_catalog;
use mainstem_kernel::{Observer, TaskId};
use mainstem_schemas::events::{Event, Turn};
use mainstem_schemas::{Batch, Catalog, topics};

use super::Metrics;
use super::families::REFUSALS;
use crate::store::Store;

/// What is known of a worker; when it is gone, what it owned is no longer counted.
pub(crate) struct Watcher {
    metrics: Metrics,
    store: Store,
    project: String,
    quarantine: String,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    owned: BTreeSet<TaskId>,
    stopped: i64,
    restoring: BTreeMap<TaskId, Restoring>,
    committing: Option<Instant>,
    catalog: Catalog,
}

struct Restoring {
    begun: Instant,
    /// Turn of the snapshot that it begins with, and its last one.
    turns: (i64, i64),
    records: u64,
}

impl Watcher {
    pub fn new(metrics: &Metrics, store: &Store, project: &str) -> Self {
        Watcher {
            metrics: metrics.clone(),
            store: store.clone(),
            project: project.to_owned(),
            quarantine: topics::fixed(project, "quarantine"),
            seen: Mutex::default(),
        }
    }

    /// So many tasks of the worker stand still.
    pub fn stopped(&self, tasks: usize) {
        let tasks = tasks as i64;
        let before = std::mem::replace(&mut self.seen().stopped, tasks);
        self.metrics.workers().stopped.inc_by(tasks - before);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a task off those that are being restored.
    fn end(&self, task: &TaskId) -> Option<Restoring> {
        let restoring = self.seen().restoring.remove(task)?;
        let workers = self.metrics.workers();
        workers.restoring.dec();
        workers.turns_left.remove(&of(task));
        Some(restoring)
    }

    fn count(&self, commit: &Commit) {
        let workers = self.metrics.workers();
        if let Some(turn) = &commit.turn {
            workers.turns.get_or_create(&of(&commit.task)).inc();
            for run in &turn.runs {
                let labels = [("task", turn.task.clone()), ("topic", run.topic.clone())];
                let read = workers.read.get_or_create(&labels);
                read.inc_by(run.count.unsigned_abs());
            }
        }
        for (partition, batch) in &commit.outputs {
            let topic = [("topic", partition.topic.to_string())];
            let records = batch.len() as u64;
            workers.written.get_or_create(&topic).inc_by(records);
            let bytes = workers.written_bytes.get_or_create(&topic);
            bytes.inc_by(batch.bytes() as u64);
            if *partition.topic == *self.quarantine {
                self.count_quarantined(batch);
            }
        }
    }

    /// By the topics that held them, which only the events tell.
    fn count_quarantined(&self, batch: &Batch) {
        let mut seen = self.seen();
        for record in batch.iter() {
            let value = record.value.unwrap_or_default();
            let mut event = Event::decode(&seen.catalog, value);
            if event.is_err() {
                let read = || read_catalog(self.store.log.reader()?.as_mut(), &self.project);
                if let Ok(catalog) = read() {
                    seen.catalog = catalog;
                }
                event = Event::decode(&seen.catalog, value);
            }
            if let Ok(Event::RecordQuarantined(refused)) = event {
                let quarantined = &self.metrics.workers().quarantined;
                quarantined.get_or_create(&[("topic", refused.topic)]).inc();
            }
        }
    }
}

impl Observer for Watcher {
    fn changed_hands(&self, gained: &[TaskId], lost: &[TaskId]) {
        let workers = self.metrics.workers();
        workers.rebalances.inc();
        workers.gained.inc_by(gained.len() as u64);
        workers.lost.inc_by(lost.len() as u64);
        let mut seen = self.seen();
        for task in lost.iter().filter(|task| seen.owned.remove(task)) {
            self.metrics.lose(task);
        }
        for task in gained {
            if seen.owned.insert(task.clone()) {
                self.metrics.gain(task);
            }
        }
    }

    fn restoring(&self, task: &TaskId) {
        let begun = Restoring {
            begun: Instant::now(),
            turns: (0, 0),
            records: 0,
        };
        if self.seen().restoring.insert(task.clone(), begun).is_none() {
            self.metrics.workers().restoring.inc();
        }
    }

    fn resumed(&self, task: &TaskId, snapshot: i64, last: i64) {
        if let Some(restoring) = self.seen().restoring.get_mut(task) {
            restoring.turns = (snapshot, last);
        }
        let left = &self.metrics.workers().turns_left;
        left.get_or_create(&of(task)).set(last - snapshot);
    }

    fn refolded(&self, task: &TaskId, turn: &Turn) {
        let records = turn.runs.iter().map(|run| run.count.unsigned_abs()).sum();
        let mut last = turn.number;
        if let Some(restoring) = self.seen().restoring.get_mut(task) {
            restoring.records += records;
            last = restoring.turns.1;
        }
        let workers = self.metrics.workers();
        workers.refolded_turns.inc();
        workers.refolded_records.inc_by(records);
        let left = workers.turns_left.get_or_create(&of(task));
        left.set((last - turn.number).max(0));
    }

    fn restored(&self, task: &TaskId) {
        let Some(restoring) = self.end(task) else {
            return;
        };
        let seconds = restoring.begun.elapsed().as_secs_f64();
        self.metrics.workers().restore.observe(seconds);
        let ((snapshot, last), records) = (restoring.turns, restoring.records);
        match (snapshot, last) {
            (0, 0) => tracing::debug!("{task} begins in {seconds:.1} s: it has no turn yet"),
            (0, _) => tracing::info!(
                "restored {task} in {seconds:.1} s: {} from its beginning to turn {last}",
                thousands(records)
            ),
            _ => tracing::info!(
                "restored {task} in {seconds:.1} s: {} from the snapshot after turn {snapshot} to turn {last}",
                thousands(records)
            ),
        }
    }

    fn not_restored(&self, task: &TaskId) {
        self.end(task);
        self.metrics.workers().not_restored.inc();
    }

    fn committing(&self) {
        self.seen().committing = Some(Instant::now());
    }

    fn committed(&self, commits: &[Commit]) {
        if let Some(begun) = self.seen().committing.take() {
            let seconds = begun.elapsed().as_secs_f64();
            self.metrics.workers().commit.observe(seconds);
        }
        commits.iter().for_each(|commit| self.count(commit));
    }

    fn refused(&self, error: &CommitError) {
        let [aborted, fenced, unknown, log] = REFUSALS;
        let reason = match error {
            CommitError::Aborted(_) => aborted,
            CommitError::Fenced(_) => fenced,
            CommitError::Unknown(_) => unknown,
            CommitError::Log(_) => log,
        };
        let refused = &self.metrics.workers().refused;
        refused.get_or_create(&[("reason", reason.into())]).inc();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stopped(0);
        let seen = std::mem::take(&mut *self.seen());
        seen.owned.iter().for_each(|task| self.metrics.lose(task));
        for task in seen.restoring.keys() {
            self.metrics.workers().restoring.dec();
            self.metrics.workers().turns_left.remove(&of(task));
        }
    }
}

fn of(task: &TaskId) -> [(&'static str, String); 1] {
    [("task", task.0.clone())]
}

/// `1 record`, `1,000,000 records`.
fn thousands(records: u64) -> String {
    let digits = records.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + if records == 1 { " record" } else { " records" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_reason_and_a_worker_that_is_gone_owns_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (store, metrics) = (Store::open(dir.path()).unwrap(), Metrics::default());
        let watcher = Watcher::new(&metrics, &store, "p");
        let tasks = ["a", "b"].map(|name| TaskId(name.into()));
        watcher.changed_hands(&tasks, &[]);
        watcher.restoring(&tasks[0]);
        watcher.stopped(1);
        watcher.refused(&CommitError::Fenced("a".into()));
        watcher.refused(&CommitError::Fenced("b".into()));
        let page = || metrics.page().unwrap();
        for line in [
            "mainstem_commits_refused_total{reason=\"fenced\"} 2\n",
            "mainstem_commits_refused_total{reason=\"aborted\"} 0\n",
            "mainstem_tasks_owned 2\n",
            "mainstem_tasks_stopped 1\n",
            "mainstem_tasks_restoring 1\n",
        ] {
            assert!(page().contains(line), "{line} is not in {}", page());
        }
        drop(watcher);
        for name in ["owned", "stopped", "restoring"] {
            assert!(
                page().contains(&format!("mainstem_tasks_{name} 0\n")),
                "{}",
                page()
            );
        }
        assert!(metrics.owned().is_empty());
    }

    #[test]
    fn numbers_are_told_as_people_write_them() {
        let told = [0, 1, 999, 1_000, 1_000_000].map(thousands);
        let expected = [
            "0 records",
            "1 record",
            "999 records",
            "1,000 records",
            "1,000,000 records",
        ];
        assert_eq!(told, expected);
    }
}

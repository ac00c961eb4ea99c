//! What a process measures of itself, as Prometheus asks for it (OpenMetrics text). `docs/metrics.md` lists it all.
//!
//! Workers and prediction doors are watched ([`Watcher`]), requests are counted where they are answered, and how far tasks
//! are behind is read from the log when somebody asks ([`lag`]): a worker that is gone cannot tell.

mod families;
mod lag;
mod watcher;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mainstem_kernel::TaskId;
use mainstem_schemas::definition::Project;

pub(crate) use self::families::{Http, Workers};
pub(crate) use self::watcher::Watcher;
use crate::store::Store;

/// What a page is sent as.
pub(crate) const MEDIA: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The figures of a process; its services share one.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: prometheus_client::registry::Registry,
    workers: Workers,
    http: Http,
    lag: lag::Lag,
    /// Tasks that the workers of this process own; one that moves between two of them is owned twice for a moment.
    owned: Mutex<BTreeMap<TaskId, usize>>,
}

/// Whose lag a page tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Every task's, whoever works on it, or nobody.
    All,
    /// That of the tasks that this process owns.
    Own,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = prometheus_client::registry::Registry::with_prefix("mainstem");
        let workers = Workers::register(&mut registry);
        let http = Http::register(&mut registry);
        let lag = lag::Lag::register(&mut registry);
        Metrics(Arc::new(Inner {
            registry,
            workers,
            http,
            lag,
            owned: Mutex::default(),
        }))
    }
}

impl Metrics {
    pub(crate) fn workers(&self) -> &Workers {
        &self.0.workers
    }

    pub(crate) fn http(&self) -> &Http {
        &self.0.http
    }

    /// Reads how far tasks are behind; within a second the last reading stands.
    pub(crate) fn look(&self, store: &Store, project: &Project, whose: Whose) {
        let tasks = mainstem_rooms::topology::tasks_of(project).into_iter();
        let owned = self.owned();
        let tasks = tasks.filter(|spec| whose == Whose::All || owned.contains_key(&spec.id));
        let tasks = tasks.collect();
        drop(owned);
        self.0.lag.look(store, tasks);
    }

    /// The log cannot be read now.
    pub(crate) fn cannot_look(&self) {
        self.0.lag.fail();
    }

    /// The page.
    ///
    /// # Errors
    /// Where a figure cannot be written, which is a defect.
    pub(crate) fn page(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &self.0.registry)?;
        Ok(page)
    }

    fn owned(&self) -> std::sync::MutexGuard<'_, BTreeMap<TaskId, usize>> {
        self.0.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gain(&self, task: &TaskId) {
        *self.owned().entry(task.clone()).or_default() += 1;
        self.workers().owned.inc();
    }

    fn lose(&self, task: &TaskId) {
        let mut owned = self.owned();
        if let Some(count) = owned.get_mut(task) {
            *count -= 1;
            if *count == 0 {
                owned.remove(task);
            }
        }
        self.workers().owned.dec();
    }
}

//! Hosts the tasks: threads that are workers of the log. Any number of processes may do so at once; the log shares
//! the tasks out.

mod cadence;

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mainstem_kernel::Observer;
use mainstem_kernel::log::{CommitError, FetchLimit, LogError};
use mainstem_kernel::runner::{SnapshotEvery, TaskError};
use mainstem_kernel::worker::{Crew, Parts};
use mainstem_rooms::machines::machine;
use mainstem_rooms::topology::tasks_of;

use crate::log_time::Fresh;
use crate::metrics::{Metrics, Watcher};
use crate::outside::{OutsideRegistry, OutsideSchemas};
use crate::refusals::{REMEDY, Refusals, Refused};
use crate::resolver::StoreResolver;
use crate::store::{Store, StoreError};
use crate::trainer::TrainerActuator;

pub use cadence::{INTERVALS, TURN, TURNS};

/// How long an idle worker waits for news before it looks after its membership anyway.
const IDLE: Duration = Duration::from_millis(50);

/// How long a worker rests after an error that another try may mend.
const REST: Duration = Duration::from_millis(500);

/// How often a worker looks for a new definition: on a log that is far away a look takes as long as some other requests.
const LOOK: Duration = Duration::from_millis(200);

/// How often it is said that a task still stands.
const AGAIN: Duration = Duration::from_secs(60);

/// What a processor is told.
#[derive(Clone)]
pub struct Options {
    /// Workers in this process.
    pub threads: usize,
    /// Names the workers; unique among live processes.
    pub name: String,
    /// What a task takes in a turn at most.
    pub turn: FetchLimit,
    /// How long a worker that is not behind lets records gather: it begins a step that long after it began the last one
    /// that committed. By default what suits the log.
    pub commit_interval: Option<Duration>,
    /// Knows the schemas of topics that others write.
    pub registry: Option<Arc<dyn OutsideRegistry>>,
    /// What the process measures.
    pub metrics: Metrics,
}

impl Options {
    /// So many workers, named after the process.
    #[must_use]
    pub fn new(threads: usize, name: String) -> Self {
        Options {
            threads,
            name,
            turn: TURN,
            commit_interval: None,
            registry: None,
            metrics: Metrics::default(),
        }
    }
}

/// Running workers.
pub struct Handle {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Handle {
    /// Stops the workers and waits until they have let go of their tasks.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in &self.threads {
            thread.thread().unpark();
        }
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker panicked; its tasks go to the others");
            }
        }
    }

    /// Whether all workers still run.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }
}

/// Starts the workers.
///
/// # Errors
/// Where there is no project, or the log refuses.
pub fn start(store: &Store, options: &Options) -> Result<Handle, StoreError> {
    store.project()?;
    let schemas = OutsideSchemas::new(store.clone(), options.registry.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for index in 0..options.threads.max(1) {
        let (store, stop) = (store.clone(), Arc::clone(&stop));
        let name = format!("{}-{index}", options.name);
        let (schemas, options) = (Arc::clone(&schemas), options.clone());
        let body = move || {
            let _span = tracing::info_span!("worker", seat = name).entered();
            while !stop.load(Ordering::SeqCst) {
                if let Err(error) = work(&store, &name, &schemas, &options, &stop) {
                    tracing::warn!(%error, "the worker joins again");
                    std::thread::sleep(REST);
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(body);
        threads.push(thread.map_err(StoreError::Thread)?);
    }
    Ok(Handle { stop, threads })
}

/// Joins, and steps until told to stop or until the membership is lost.
fn work(
    store: &Store,
    name: &str,
    schemas: &Arc<OutsideSchemas>,
    options: &Options,
    stop: &AtomicBool,
) -> Result<(), StoreError> {
    let metrics = &options.metrics;
    let mut refusals = Refusals::default();
    let resolver = StoreResolver::new(store.blobs.clone());
    let resolver = Arc::new(resolver.with_schemas(Arc::clone(schemas)));
    let mut project = store.project()?;
    let mut tasks = tasks_of(&project);
    let parts = Parts {
        log: Arc::clone(&store.log),
        resolver,
        blobs: store.blobs.clone(),
        factory: Arc::new(machine),
        limit: options.turn,
        snapshots: SnapshotEvery::default(),
    };
    let actuator = TrainerActuator::new(Arc::clone(&store.log), store.blobs.clone(), &project.name);
    let watcher = Arc::new(Watcher::new(metrics, store, &project.name));
    let crew = Crew::join(parts, name, actuator)?;
    let mut crew = crew.observed_by(Arc::clone(&watcher) as Arc<dyn Observer>);
    let mut definitions = Watch::new(store, &project.name)?;
    let (mut clock, mut held) = (Fresh::default(), BTreeSet::new());
    let mut told = Told::default();
    let interval = options.commit_interval;
    let interval = interval.unwrap_or_else(|| cadence::interval(&store.place));
    while !stop.load(Ordering::SeqCst) {
        let seen = store.log.seen();
        if definitions.changed(Instant::now())? {
            project = store.project()?;
            tasks = tasks_of(&project);
        }
        if !clock.look(store, &project)? {
            store.log.wait(seen, IDLE);
            continue;
        }
        let begun = Instant::now();
        let progress = match crew.step(&tasks) {
            Ok(progress) => progress,
            Err(CommitError::Log(error)) => return Err(error.into()),
            Err(CommitError::Fenced(what)) => {
                match refusals.take(Instant::now(), &what) {
                    Refused::Once => tracing::info!(what, "fenced: tasks are rebuilt"),
                    Refused::Again { tell } => {
                        if tell {
                            tracing::warn!(what, remedy = REMEDY, "fenced again and again");
                        }
                        std::thread::sleep(REST);
                    }
                }
                continue;
            }
            Err(error) => {
                tracing::info!(%error, "tasks are rebuilt");
                continue;
            }
        };
        if !crew.tasks().eq(&held) {
            held = crew.tasks().cloned().collect();
            let tasks: Vec<&str> = held.iter().map(|task| task.0.as_str()).collect();
            tracing::info!(tasks = tasks.join(" "), "the worker's share changed");
        }
        for why in &progress.passed_over {
            tracing::warn!(why, "a snapshot is passed over");
        }
        metrics
            .workers()
            .passed_over
            .inc_by(progress.passed_over.len() as u64);
        watcher.stopped(progress.stopped.len());
        told.tell(&progress.stopped);
        // Tasks that stand still hold nobody back who has work.
        match (progress.commits, progress.stopped.is_empty()) {
            _ if crew.is_at_work() => {}
            (0, true) => {
                store.log.wait(seen, IDLE);
            }
            (0, false) => std::thread::sleep(REST),
            _ if crew.is_behind() => {}
            _ => cadence::rest(begun, interval, stop),
        }
    }
    Ok(())
}

/// Why tasks stand still, each told when it begins and once in a while after.
#[derive(Default)]
struct Told(BTreeMap<String, Instant>);

impl Told {
    fn tell(&mut self, stopped: &[TaskError]) {
        let errors: BTreeSet<String> = stopped.iter().map(ToString::to_string).collect();
        self.0
            .retain(|error, since| errors.contains(error) && since.elapsed() < AGAIN);
        for error in errors {
            if let Entry::Vacant(place) = self.0.entry(error) {
                tracing::error!(error = place.key(), "a task stands still");
                place.insert(Instant::now());
            }
        }
    }
}

/// Sees when a definition was applied.
struct Watch {
    reader: Box<dyn mainstem_kernel::Reader>,
    partition: mainstem_kernel::Partition,
    /// None before the first look, which sees a change: one may have come since the definition was read.
    end: Option<u64>,
    /// When it looks again.
    next: Option<Instant>,
}

impl Watch {
    fn new(store: &Store, project: &str) -> Result<Self, LogError> {
        let topic = mainstem_schemas::topics::fixed(project, "definitions");
        Ok(Watch {
            reader: store.log.reader()?,
            partition: mainstem_kernel::Partition::new(&topic, 0),
            end: None,
            next: None,
        })
    }

    fn changed(&mut self, now: Instant) -> Result<bool, LogError> {
        if self.next.is_some_and(|next| now < next) {
            return Ok(false);
        }
        self.next = Some(now + LOOK);
        let end = Some(self.reader.range(&self.partition)?.end);
        Ok(std::mem::replace(&mut self.end, end) != end)
    }
}

#[cfg(test)]
mod tests {
    use mainstem_schemas::Millis;

    use super::*;
    use crate::apply::apply;

    /// To join takes seconds on Kafka: a definition that is applied meanwhile must not be missed.
    #[test]
    fn a_definition_that_comes_while_a_worker_joins_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let put = |sources: &str| {
            let text = format!(
                "project: shop\nsources: {{{sources}}}\nviews: {{v: {{source: a, features: {{x: x}}}}}}\n"
            );
            let project = mainstem_project::parse("mainstem.yaml", &text);
            let project = project.unwrap_or_else(|mistakes| panic!("{}", mistakes[0]));
            apply(&store, &project, "ada", Millis(0)).unwrap();
        };
        let source = |name: &str| {
            format!(
                "{name}: {{fields: {{x: double, at: long}}, entity: {{constant: all}}, time: {{column: at}}}}"
            )
        };
        put(&source("a"));
        let known = store.project().unwrap();
        put(&format!("{}, {}", source("a"), source("b")));
        let mut watch = Watch::new(&store, &known.name).unwrap();
        let begun = Instant::now();
        let mut changed = |looks| watch.changed(begun + LOOK * looks).unwrap();
        assert!(changed(0) && !changed(1));
        put(&source("a"));
        assert!(!changed(1), "before it is time");
        assert!(changed(2) && !changed(3));
    }
}

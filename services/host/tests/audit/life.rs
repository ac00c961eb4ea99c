//! A whole life in small, lived by the services and recorded once: rows by a paced publisher and over HTTP, questions at
//! a front door, requests of people, trainings. The model is good, until what it learnt is turned round; then the rows
//! drift for a while. What becomes of it is asserted here, for the tests that use the record count on it.

mod people;
mod visits;

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;

use mainstem_host::publisher::{Format, Input, Pace, publish_paced};
use mainstem_host::resolver::StoreResolver;
use mainstem_host::store::each_event;
use mainstem_host::trainer::TrainerActuator;
use mainstem_host::{Store, apply, gateway};
use mainstem_kernel::known::Resolved;
use mainstem_kernel::log::FetchLimit;
use mainstem_kernel::runner::SnapshotEvery;
use mainstem_kernel::worker::{Crew, Parts};
use mainstem_kernel::{Need, Partition, Reader, Resolver, TaskSpec};
use mainstem_rooms::machines::machine;
use mainstem_rooms::serving::DoorMachine;
use mainstem_rooms::topology::tasks_of;
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::{Event, Subject, Turn};
use mainstem_schemas::{Batch, Digest, Millis, Span};

use people::People;

const PROJECT: &str = "
project: shop
clock: stream
partitions: 2
sources:
  orders:
    fields: {customer: string, at: long, x: double, y: double?, late: long}
    entity: {column: customer}
    time: {column: at}
views:
  orders:
    source: orders
    features:
      x: x
      y: y
      late: late
      y_mean: {mean: y, last: 4}
      x_change: {change: x, by: 1}
models:
  late:
    view: orders
    features: [x, y, late]
    label: {column: late, horizon: 4h, timeout: 1d}
    training:
      rows: 48
      min_rows: 30
      attempts: 2
      parameters: {iterations: 8, max_depth: 2, learning_rate: 0.5}
    baseline: {persistence: late}
    control: true
    windows: {length: 1d}
    drift:
      ks: {detect: 0.8, clear: 0.6}
      windows: 2
      min_rows: 15
    retrain:
      initial: {at: 2024-01-02T00:00}
      drift: [ks]
      performance: {windows: 2}
      cooldown: 4d
      expiry: 20d
    rollout: {shadow: 1d, min_rows: 15}
monitors:
  orders:
    windows: {length: 1d}
    drift: {psi: {detect: 2.0, clear: 1.5}, min_rows: 10}
    columns:
      x: {edges: [0.25, 0.5, 0.75]}
      y: {edges: [0.5], missing: 0.02}
";

/// Customers; each has a row every four hours.
const CUSTOMERS: [&str; 4] = ["ada", "bob", "cy", "dee"];
const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
/// Midnight before the first row.
const BEGIN: i64 = 1_704_067_200_000;
const DAYS: i64 = 19;
/// From that day on, what was late is in time and the other way round.
const TURNED: i64 = 6;
/// On these days `x` lies elsewhere, which has nothing to do with being late.
const DRIFTED: std::ops::Range<i64> = 11..14;

/// Chance that is the same every time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The rows: `late` says of the row before whether its `y` was above a half, or below.
fn rows() -> String {
    let mut text = String::from("customer,at,x,y,late\n");
    let (mut dice, mut before) = (Dice(20_240_104), BTreeMap::new());
    for slot in 0..DAYS * 6 {
        let day = slot / 6;
        for customer in CUSTOMERS {
            let late = before.get(customer).is_some_and(|y| *y > 0.5) != (day >= TURNED);
            let x = dice.next() + if DRIFTED.contains(&day) { 2.0 } else { 0.0 };
            let y = dice.next();
            before.insert(customer, y);
            let (at, late) = (BEGIN + slot * 4 * HOUR, i64::from(late));
            // Here and there something is missing, and a row is none.
            let shown = if dice.next() < 0.02 {
                String::new()
            } else {
                y.to_string()
            };
            text.push_str(&format!("{customer},{at},{x},{shown},{late}\n"));
        }
        if slot % 20 == 17 {
            text.push_str("ada,when?,much,1,0\n");
        }
    }
    text
}

/// The record.
pub struct Life {
    pub dir: PathBuf,
    pub store: Store,
    pub project: Project,
    /// The tasks of the project, and the door's.
    pub tasks: Vec<TaskSpec>,
}

/// The life; whoever comes first lives it.
pub fn life() -> &'static Life {
    static LIFE: LazyLock<Life> = LazyLock::new(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("life");
        if dir.exists() {
            std::fs::remove_dir_all(&dir).unwrap();
        }
        std::fs::create_dir_all(&dir).unwrap();
        let life = Life::live(&dir);
        life.check();
        life
    });
    &LIFE
}

impl Life {
    fn live(dir: &Path) -> Self {
        let store = Store::open(dir).unwrap();
        let project = mainstem_project::parse("shop.yaml", PROJECT).unwrap_or_else(|mistakes| {
            let text = mistakes.iter().map(ToString::to_string);
            panic!("{}", text.collect::<String>())
        });
        // Somebody else's topic is copied beside it. The project file would not have that under a paced clock, where such
        // records come with no step; nothing follows from these.
        visits::write(&store);
        let mut project = project;
        project.sources.insert("visits".into(), visits::source());
        apply::apply(&store, &project, "ada", Millis(BEGIN)).unwrap();
        let project = store.project().unwrap();
        let tasks = tasks_of(&project);
        let stop = Arc::new(AtomicBool::new(false));
        let workers = [0, 1].map(|n| {
            let (store, tasks, stop) = (store.clone(), tasks.clone(), Arc::clone(&stop));
            std::thread::spawn(move || work(&store, &tasks, n, &stop))
        });
        let gateway = gateway::start(&store, &gateway::Options::default()).unwrap();
        let people = People {
            store: &store,
            address: gateway.address(),
        };
        let text = rows();
        let input = Input {
            project: &project,
            source: "orders",
            name: "orders.csv",
            format: Format::Csv,
            bytes: BufReader::new(text.as_bytes()),
            actor: "ada",
            resume: false,
            is_file: true,
        };
        let pace = Pace {
            first: Millis(BEGIN + DAY),
            step: Span(DAY),
            stop: &|| workers.iter().any(JoinHandle::is_finished),
            progress: &mut |until, _| people.act((until.0 - BEGIN) / DAY),
            waiting: &mut |_| {},
        };
        publish_paced(&store, input, pace).unwrap();
        gateway.stop();
        stop.store(true, Ordering::SeqCst);
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
        let mut tasks = tasks;
        tasks.push(DoorMachine::spec(&project, "late", 0));
        Life {
            dir: dir.to_owned(),
            store,
            project,
            tasks,
        }
    }

    /// The events of a topic, over its partitions.
    pub fn events(&self, topic: &str) -> Vec<Event> {
        let name = format!("shop.{topic}");
        let topics = self.store.log.topics().unwrap();
        let partitions = topics.iter().find(|t| t.name == name).unwrap().partitions;
        let catalog = self.store.catalog("shop").unwrap();
        let mut reader = self.store.log.reader().unwrap();
        let mut events = Vec::new();
        for index in 0..partitions {
            let at = Partition::new(&name, index);
            each_event(reader.as_mut(), &catalog, &at, |_, event| {
                events.push(event)
            })
            .unwrap();
        }
        events
    }

    /// Turns of all tasks, in the order of their commits.
    pub fn turns(&self) -> Vec<Turn> {
        let turn = |event| match event {
            Event::Turn(turn) => turn,
            other => panic!("{other:?}"),
        };
        self.events("turns").into_iter().map(turn).collect()
    }

    /// So many records from an offset on.
    pub fn read(
        &self,
        reader: &mut dyn Reader,
        partition: &Partition,
        mut from: u64,
        records: usize,
    ) -> Batch {
        let (mut batch, end) = (Batch::new(), from + records as u64);
        while batch.len() < records {
            let limit = FetchLimit {
                records: records - batch.len(),
                bytes: usize::MAX,
            };
            reader.fetch(partition, from, limit, &mut batch).unwrap();
            from = batch.offsets().last().unwrap() + 1;
        }
        assert_eq!(from, end);
        batch
    }

    fn check(&self) {
        for (topic, expected) in EXPECTED {
            let found: BTreeSet<String> = self.events(topic).iter().map(kind).collect();
            for kind in expected {
                assert!(found.contains(*kind), "{topic} has no {kind}: {found:?}");
            }
        }
    }
}

/// What the tests count on: every way that a model's life can go.
const EXPECTED: [(&str, &[&str]); 9] = [
    (
        "triggers",
        &[
            "RetrainRequested Initial",
            "RetrainRequested OnDemand",
            "RetrainRequested Performance",
            "RetrainRequested Drift",
            "RetrainSuppressed OnDemand",
            "RetrainClosed Failed",
            "RetrainClosed Promoted",
            "RetrainClosed Rejected",
        ],
    ),
    (
        "drift",
        &[
            "DriftMeasured",
            "DriftMeasured of arrivals",
            "DriftDetected of arrivals",
            "DriftDetected",
            "DriftCleared below threshold",
            "DriftCleared reference changed",
        ],
    ),
    (
        "deployments",
        &["Promoted", "RolledBack", "DeploymentEnded"],
    ),
    (
        "outcomes",
        &["DatasetBuilt", "TrainingCompleted", "BaselineBuilt"],
    ),
    (
        "labelled.late",
        &["PredictionLabelled", "LabelCorrected", "LabelOrphaned"],
    ),
    (
        "predictions.late",
        &["PredictionMade", "PredictionMade at the door"],
    ),
    ("quarantine", &["RecordQuarantined"]),
    ("rejects.orders", &["RecordRejected"]),
    ("snapshots", &["SnapshotTaken"]),
];

/// The name of an event, and what tells it from others of that name.
fn kind(event: &Event) -> String {
    let detail = match event {
        Event::RetrainRequested(e) => format!(" {:?}", e.reason),
        Event::RetrainSuppressed(e) => format!(" {:?}", e.reason),
        Event::RetrainClosed(e) => format!(" {:?}", e.outcome),
        Event::DriftMeasured(e) if e.subject == Subject::Arrivals => " of arrivals".into(),
        Event::DriftDetected(e) if e.subject == Subject::Arrivals => " of arrivals".into(),
        Event::DriftCleared(e) => format!(" {}", e.reason),
        Event::PredictionMade(e) if e.inputs.is_some() => " at the door".into(),
        _ => String::new(),
    };
    format!("{}{detail}", event.name())
}

/// Keeps what was resolved: a model is compiled once, and not after every crash and for every audit.
pub struct Keeping {
    resolver: StoreResolver,
    kept: Mutex<BTreeMap<Digest, Resolved>>,
}

impl Keeping {
    pub fn new(life: &Life) -> Self {
        Keeping {
            resolver: StoreResolver::new(life.store.blobs.clone()),
            kept: Mutex::default(),
        }
    }
}

impl Resolver for Keeping {
    fn resolve(&self, need: &Need) -> Result<Resolved, String> {
        let mut kept = self.kept.lock().unwrap();
        if let Some(resolved) = kept.get(&need.digest()) {
            return Ok(resolved.clone());
        }
        let resolved = self.resolver.resolve(need)?;
        kept.insert(need.digest(), resolved.clone());
        Ok(resolved)
    }
}

/// A worker, as the processor's are, that stores states after some turns.
fn work(store: &Store, tasks: &[TaskSpec], n: usize, stop: &AtomicBool) {
    let parts = Parts {
        log: Arc::clone(&store.log),
        resolver: Arc::new(StoreResolver::new(store.blobs.clone())),
        blobs: store.blobs.clone(),
        factory: Arc::new(machine),
        limit: FetchLimit::default(),
        snapshots: SnapshotEvery {
            records: 400,
            turns: 60,
        },
    };
    let actuator = TrainerActuator::new(Arc::clone(&store.log), store.blobs.clone(), "shop");
    let mut crew = Crew::join(parts, &format!("life-{n}"), actuator).unwrap();
    while !stop.load(Ordering::SeqCst) {
        let seen = store.log.seen();
        // A worker that joined later takes tasks over: the loser is fenced, drops them, and goes on.
        let Ok(progress) = crew.step(tasks) else {
            continue;
        };
        assert_eq!(progress.stopped, []);
        if progress.commits == 0 {
            store.log.wait(seen, std::time::Duration::from_millis(50));
        }
    }
}

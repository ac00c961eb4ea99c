//! A project on the broker, its services in this process, and its clock.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mainstem_host::blobs::DirBlobs;
use mainstem_host::store::{Place, each_event};
use mainstem_host::{Store, apply, gateway, processor};
use mainstem_kernel::Partition;
use mainstem_kernel::pace::Pacer;
use mainstem_log_kafka::{KafkaLog, Options};
use mainstem_rooms::topology::tasks_of;
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::Event;
use mainstem_schemas::{Digest, Millis};

/// Midnight before the first row.
pub const BEGIN: i64 = 1_704_067_200_000;
pub const DAY: i64 = 86_400_000;
pub const CUSTOMERS: [&str; 4] = ["ada", "bob", "cy", "dee"];

pub struct Shop {
    dir: tempfile::TempDir,
    pub store: Store,
    pub project: Project,
}

fn connect(brokers: &str, project: &str, dir: &Path) -> Store {
    let log = KafkaLog::connect(Options::new(brokers, project)).unwrap();
    let blobs = DirBlobs::open(&dir.join("blobs")).unwrap();
    Store {
        place: Place::kafka(brokers, project),
        log: Arc::new(log),
        blobs: Arc::new(blobs),
    }
}

/// The services.
pub struct Running {
    gateway: gateway::Handle,
    workers: processor::Handle,
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    pub fn stop(self) {
        self.gateway.stop();
        self.workers.stop();
    }
}

impl Shop {
    /// Under a name that no earlier run on the same broker had.
    pub fn open(brokers: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("shop{}_{count}", now.as_millis());
        let text = format!(
            "
project: {name}
clock: stream
partitions: 2
sources:
  orders:
    fields: {{customer: string, at: long, x: double, y: double?, late: long}}
    entity: {{column: customer}}
    time: {{column: at}}
views:
  orders:
    source: orders
    features: {{x: x, y: y, late: late}}
models:
  late:
    view: orders
    features: [x, y, late]
    label: {{column: late, horizon: 4h, timeout: 1d}}
    training:
      rows: 48
      min_rows: 30
      attempts: 2
      parameters: {{iterations: 8, max_depth: 2, learning_rate: 0.5}}
    baseline: {{persistence: late}}
    windows: {{length: 1d}}
    drift:
      ks: {{detect: 0.8, clear: 0.6}}
      windows: 2
      min_rows: 15
    retrain:
      initial: {{at: 2024-01-03T00:00}}
    rollout: {{shadow: 1d, min_rows: 15}}
"
        );
        let project = mainstem_project::parse("shop.yaml", &text).unwrap_or_else(|mistakes| {
            let text = mistakes.iter().map(ToString::to_string);
            panic!("{}", text.collect::<String>())
        });
        let dir = tempfile::tempdir().unwrap();
        let store = connect(brokers, &name, dir.path());
        apply::apply(&store, &project, "test", Millis(BEGIN)).unwrap();
        Shop {
            dir,
            store,
            project,
        }
    }

    /// The same log by other connections, as from another machine.
    pub fn elsewhere(&self, brokers: &str) -> Store {
        connect(brokers, &self.project.name, self.dir.path())
    }

    pub fn run(&self) -> Running {
        let options = processor::Options::new(1, "test".into());
        Running {
            workers: processor::start(&self.store, &options).unwrap(),
            gateway: gateway::start(&self.store, &gateway::Options::default()).unwrap(),
        }
    }

    pub fn pacer(&self) -> Pacer<'_> {
        let tasks = tasks_of(&self.project);
        Pacer::new(self.store.log.as_ref(), &self.project.name, tasks).unwrap()
    }

    /// Brings everything to rest at a time.
    pub fn settle(&self, pacer: &mut Pacer<'_>, time: Millis) {
        let began = Instant::now();
        let patience = || began.elapsed().as_secs() > 120;
        if let Err(error) = pacer.settle(time, &patience) {
            panic!("{error}: {}", self.behind());
        }
    }

    /// What each task has not read: for whoever must find out why nothing comes to rest.
    fn behind(&self) -> String {
        let mut reader = self.store.log.reader().unwrap();
        let mut told = String::new();
        for task in tasks_of(&self.project) {
            let turn = self.store.log.last_turn(&task.id).unwrap();
            let at = |partition: &Partition| {
                let positions = turn.iter().flat_map(|turn| &turn.positions);
                let mut found = positions.filter(|one| {
                    one.topic == *partition.topic && one.partition == partition.index as i32
                });
                found.next().map_or(0, |one| one.next as u64)
            };
            for input in &task.inputs {
                let (at, end) = (
                    at(&input.partition),
                    reader.range(&input.partition).unwrap().end,
                );
                if !reader.at_end(&input.partition, at).unwrap() {
                    told.push_str(&format!(
                        "{} is at {at} of {end} in {}\n",
                        task.id, input.partition
                    ));
                }
            }
        }
        told
    }

    pub fn topic(&self, room: &str) -> String {
        format!("{}.{room}", self.project.name)
    }

    /// What the clients read.
    pub fn topics(&self) -> Vec<String> {
        ["features.orders", "drift", "predictions.late"]
            .map(|room| self.topic(room))
            .to_vec()
    }

    /// The events of a topic, in the order of partitions and offsets.
    pub fn events(&self, room: &str) -> Vec<Event> {
        let topic = self.topic(room);
        let topics = self.store.log.topics().unwrap();
        let partitions = topics
            .iter()
            .find(|one| one.name == topic)
            .unwrap()
            .partitions;
        let catalog = self.store.catalog(&self.project.name).unwrap();
        let mut reader = self.store.log.reader().unwrap();
        let mut events = Vec::new();
        for index in 0..partitions {
            let at = Partition::new(&topic, index);
            each_event(reader.as_mut(), &catalog, &at, |_, event| {
                events.push(event)
            })
            .unwrap();
        }
        events
    }

    /// What is true of a customer in a slot of four hours, the same every time: `late` says whether the `y` before it was
    /// above a half.
    pub fn truth(customer: &str, slot: i64) -> (f64, f64, i64) {
        let chance = |what: &str, slot: i64| {
            let digest = Digest::of(format!("{customer} {what} {slot}").as_bytes());
            f64::from(u32::from_le_bytes([
                digest.0[0],
                digest.0[1],
                digest.0[2],
                0,
            ])) / f64::from(1 << 24)
        };
        let late = i64::from(slot > 0 && chance("y", slot - 1) > 0.5);
        (chance("x", slot), chance("y", slot), late)
    }
}

//! A log with a topic that somebody else writes, and the services on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstem_host::apply::{ApplyError, Plan, apply};
use mainstem_host::auditor::{Parts, Report, verify};
use mainstem_host::blobs::DirBlobs;
use mainstem_host::outside::OutsideRegistry;
use mainstem_host::processor::{self, Options};
use mainstem_host::resolver::StoreResolver;
use mainstem_host::store::{Place, each_event};
use mainstem_host::{Store, ticker};
use mainstem_kernel::log::FetchLimit;
use mainstem_kernel::quiet::{is_quiet, waits_for};
use mainstem_kernel::runner::SnapshotEvery;
use mainstem_kernel::worker::{Crew, Inert, Parts as CrewParts, for_each};
use mainstem_kernel::{Log, Partition, TopicSpec};
use mainstem_rooms::machines::machine;
use mainstem_rooms::topology::tasks_of;
use mainstem_schemas::events::{Event, RecordQuarantined};
use mainstem_schemas::{Batch, EventId, Millis, wire};

/// Far beyond what any step takes, on a machine that builds beside it.
const PATIENCE: Duration = Duration::from_secs(180);

/// An arrival as a test looks at it.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrived {
    pub key: String,
    pub id: EventId,
    pub time: Millis,
    pub body: Vec<u8>,
    pub headers: BTreeMap<String, String>,
}

pub struct World {
    _dir: tempfile::TempDir,
    pub store: Store,
    project: String,
}

impl World {
    /// A log with a foreign topic of two partitions.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let world = World {
            _dir: dir,
            store,
            project: "shop".into(),
        };
        world.create("web.clicks", 2);
        world
    }

    /// Another log, for a project of that name.
    pub fn on(log: Arc<dyn Log>, project: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Arc::new(DirBlobs::open(&dir.path().join("blobs")).unwrap());
        let store = Store {
            place: Place::kafka("test", project),
            log,
            blobs,
        };
        World {
            _dir: dir,
            store,
            project: project.into(),
        }
    }

    pub fn create(&self, name: &str, partitions: u32) {
        let topic = TopicSpec {
            name: name.into(),
            partitions,
        };
        self.store.log.create_topics(&[topic]).unwrap();
    }

    /// Applies a project of these lines.
    pub fn apply(&self, text: &str) -> Result<Plan, ApplyError> {
        let project = mainstem_project::parse("mainstem.yaml", text)
            .unwrap_or_else(|mistakes| panic!("{}", mistakes[0]));
        apply(&self.store, &project, "ada", Millis(0))
    }

    /// Writes records of somebody else's: key, value, headers.
    pub fn write(&self, partition: u32, records: &[Foreign<'_>]) {
        let mut writer = self.store.log.writer("web").unwrap();
        let mut batch = Batch::new();
        for (key, value, headers) in records {
            batch.push(*key, *value, headers.iter().copied());
        }
        let at = Partition::new("web.clicks", partition);
        writer.append(&[(at, batch)]).unwrap();
    }

    /// Runs the services until nothing waits.
    pub fn run(&self) {
        self.run_with(None, &mut || true);
    }

    /// Runs them with a registry, until nothing waits and `done`.
    pub fn run_with(
        &self,
        registry: Option<Arc<dyn OutsideRegistry>>,
        done: &mut dyn FnMut() -> bool,
    ) {
        let mut options = Options::new(2, "test".into());
        options.registry = registry;
        let ticker = ticker::start(&self.store).unwrap();
        let workers = processor::start(&self.store, &options).unwrap();
        let tasks = tasks_of(&self.store.project().unwrap());
        let mut reader = self.store.log.reader().unwrap();
        // Ticks keep the tasks busy: what is asked is whether data wait.
        let mut data = tasks;
        for task in &mut data {
            task.project = "nobody".into();
        }
        self.create("nobody.schemas", 1);
        self.create("nobody.definitions", 1);
        self.create("nobody.clock", 1);
        let begun = Instant::now();
        while !(is_quiet(self.store.log.as_ref(), reader.as_mut(), &data).unwrap() && done()) {
            if begun.elapsed() > PATIENCE {
                let log = self.store.log.as_ref();
                let waits = waits_for(log, reader.as_mut(), &data).unwrap();
                panic!("it does not come to rest: {waits:?}; {:?}", self.stopped());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        workers.stop();
        ticker.stop();
    }

    /// Steps a worker until tasks stand still, and says why.
    pub fn stopped(&self) -> Vec<String> {
        let parts = CrewParts {
            log: Arc::clone(&self.store.log),
            resolver: Arc::new(StoreResolver::new(self.store.blobs.clone())),
            blobs: self.store.blobs.clone(),
            factory: Arc::new(machine),
            limit: FetchLimit::default(),
            snapshots: SnapshotEvery::default(),
        };
        let mut crew = Crew::join(parts, "steps", Inert).unwrap();
        let tasks = tasks_of(&self.store.project().unwrap());
        let begun = Instant::now();
        loop {
            let stopped = crew.step(&tasks).unwrap().stopped;
            if !stopped.is_empty() || begun.elapsed() > PATIENCE {
                return stopped.iter().map(ToString::to_string).collect();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// One task stands still, for a reason with all these words.
    pub fn stops_for(&self, words: [&str; 4]) {
        let stopped = self.stopped();
        let [why] = stopped.as_slice() else {
            panic!("{stopped:?}");
        };
        for part in words {
            assert!(why.contains(part), "{part} is not in {why}");
        }
    }

    /// The records of a topic's partitions, in order.
    pub fn arrived(&self, topic: &str) -> Vec<Arrived> {
        let topics = self.store.log.topics().unwrap();
        let found = topics.iter().find(|found| found.name == topic).unwrap();
        let mut reader = self.store.log.reader().unwrap();
        let mut arrived = Vec::new();
        for index in 0..found.partitions {
            for_each(reader.as_mut(), &Partition::new(topic, index), |record| {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let headers = record.headers();
                let headers: BTreeMap<String, String> = headers
                    .map(|(name, value)| (name.to_owned(), text(value)))
                    .collect();
                arrived.push(Arrived {
                    key: text(record.key.unwrap()),
                    id: headers["ce_id"].parse().unwrap(),
                    time: headers["ce_time"].parse().unwrap(),
                    body: wire::split(record.value.unwrap()).unwrap().1.to_vec(),
                    headers,
                });
                Ok(())
            })
            .unwrap();
        }
        arrived
    }

    /// How many records a topic holds.
    pub fn count(&self, topic: &str) -> usize {
        let topics = self.store.log.topics().unwrap();
        let found = topics.iter().find(|found| found.name == topic).unwrap();
        let mut reader = self.store.log.reader().unwrap();
        let mut count = 0;
        for index in 0..found.partitions {
            for_each(reader.as_mut(), &Partition::new(topic, index), |_| {
                count += 1;
                Ok(())
            })
            .unwrap();
        }
        count
    }

    /// What the topic `quarantine` holds.
    pub fn quarantined(&self) -> Vec<RecordQuarantined> {
        let catalog = self.store.catalog(&self.project).unwrap();
        let mut reader = self.store.log.reader().unwrap();
        let mut found = Vec::new();
        let at = Partition::new(&format!("{}.quarantine", self.project), 0);
        each_event(reader.as_mut(), &catalog, &at, |_, event| match event {
            Event::RecordQuarantined(event) => found.push(event),
            other => panic!("{other:?}"),
        })
        .unwrap();
        found
    }

    pub fn audit(&self) -> Report {
        let resolver = StoreResolver::new(self.store.blobs.clone());
        let parts = Parts {
            log: self.store.log.as_ref(),
            blobs: self.store.blobs.as_ref(),
            resolver: &resolver,
            factory: &machine,
            project: &self.store.project().unwrap(),
        };
        verify(&parts, &mut |_| {}).unwrap()
    }
}

/// Key, value, headers.
pub type Foreign<'a> = (
    Option<&'a [u8]>,
    Option<&'a [u8]>,
    &'a [(&'a str, &'a [u8])],
);

/// A record with a key and a value.
pub fn record<'a>(key: &'a str, value: &'a str) -> Foreign<'a> {
    (Some(key.as_bytes()), Some(value.as_bytes()), &[])
}

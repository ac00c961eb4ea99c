//! A shop: a log in a directory, or on Kafka, with a project, a model that says what its second feature says, and a
//! gateway.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use mainstem_host::blobs::DirBlobs;
use mainstem_host::gateway::{self, Handle, Options};
use mainstem_host::store::Place;
use mainstem_host::store::each_event;
use mainstem_host::{Store, apply};
use mainstem_kernel::Partition;
use mainstem_kernel::pace::Pacer;
use mainstem_log_kafka::KafkaLog;
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::*;
use mainstem_schemas::{Batch, Digest, Envelope, EventId, Millis};
use tempfile::TempDir;

pub struct Shop {
    dir: TempDir,
    pub store: Store,
    pub project: Project,
}

/// Noon of the shop's day.
pub const NOON: Millis = Millis(1_000_000_000_000);

impl Shop {
    /// With a clock of that kind.
    pub fn new(clock: &str) -> Self {
        Shop::opened("shop", clock, |dir| Store::open(dir).unwrap())
    }

    /// The same on a Kafka, where a project has a name of its own.
    pub fn on_kafka(bootstrap: &str, name: &str) -> Self {
        Shop::opened(name, "stream", |dir| Store {
            place: Place::kafka(bootstrap, name),
            log: Arc::new(
                KafkaLog::connect(mainstem_log_kafka::Options::new(bootstrap, name)).unwrap(),
            ),
            blobs: Arc::new(DirBlobs::open(&dir.join("blobs")).unwrap()),
        })
    }

    fn opened(name: &str, clock: &str, open: impl FnOnce(&Path) -> Store) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let text = format!(
            "
project: {name}
clock: {clock}
partitions: 2
sources:
  orders:
    fields:
      customer: string
      at: long
      amount: double
      note: string?
      returned: long
    entity: {{column: customer}}
    time: {{column: at}}
  prices:
    fields: {{price: double, at: long}}
    entity: {{constant: all}}
    time: {{column: at}}
  hours:
    fields: {{price: double}}
    entity: {{constant: all}}
    time: {{start: 2000-01-01T00:00, every: 1h}}
views:
  orders:
    source: orders
    features: {{amount: amount, was: returned}}
models:
  returns:
    view: orders
    label: {{column: returned, horizon: 1d}}
  other:
    view: orders
    label: {{column: returned, horizon: 1d}}
"
        );
        let project = mainstem_project::parse("shop.yaml", &text).unwrap_or_else(|mistakes| {
            panic!(
                "{}",
                mistakes.iter().map(ToString::to_string).collect::<String>()
            )
        });
        apply::apply(&store, &project, "test", NOON).unwrap();
        Shop {
            dir,
            store,
            project,
        }
    }

    /// Where the embedded log lies.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn serve(&self) -> (Handle, SocketAddr) {
        let handle = gateway::start(&self.store, &Options::default()).unwrap();
        let address = handle.address();
        (handle, address)
    }

    pub fn tick(&self, time: Millis) {
        let mut pacer =
            Pacer::new(self.store.log.as_ref(), &self.project.name, Vec::new()).unwrap();
        pacer.tick(time).unwrap();
    }

    pub fn at(&self, topic: &str, index: u32) -> Partition {
        Partition::new(&format!("{}.{topic}", self.project.name), index)
    }

    /// Appends control events, as their room would.
    pub fn write(&self, topic: &str, events: impl IntoIterator<Item = Event>) {
        let catalog = self.store.catalog(&self.project.name).unwrap();
        let mut batch = Batch::new();
        for (number, event) in events.into_iter().enumerate() {
            let mut value = Vec::new();
            event.encode(&catalog, &mut value).unwrap();
            let id = EventId::named(topic, &[&value[..], &[number as u8]].concat());
            Envelope {
                id,
                kind: event.name().into(),
                time: NOON,
                ..Envelope::default()
            }
            .push(&mut batch, Some(b"returns"), &value);
        }
        self.store
            .log
            .writer("test")
            .unwrap()
            .append(&[(self.at(topic, 0), batch)])
            .unwrap();
    }

    /// A model that says what its input of that place says.
    pub fn model(&self, place: usize) -> Digest {
        self.store
            .blobs
            .put(&mainstem_models::persistence(2, place))
            .unwrap()
    }

    pub fn started(&self, version: &str, onnx: Digest) -> Event {
        DeploymentStarted {
            model: "returns".into(),
            version: version.into(),
            role: Role::Champion,
            onnx,
            features: vec!["amount".into(), "was".into()],
            view: Digest::default(),
            profile: None,
            prediction_profile: None,
            since: NOON,
        }
        .into()
    }

    pub fn registered(&self, version: &str, onnx: Digest) -> Event {
        ModelVersionRegistered {
            model: "returns".into(),
            version: version.into(),
            run: Some(EventId::named("run", version.as_bytes())),
            onnx,
            features: vec!["amount".into(), "was".into()],
            view: Digest::default(),
            content: None,
            profile: None,
            prediction_profile: None,
        }
        .into()
    }

    /// The events of a topic with their envelopes, over its partitions.
    pub fn events(&self, topic: &str) -> Vec<(Envelope, Event)> {
        let catalog = self.store.catalog(&self.project.name).unwrap();
        let partitions = self.partitions(topic);
        let mut events = Vec::new();
        let mut reader = self.store.log.reader().unwrap();
        for index in 0..partitions {
            each_event(
                reader.as_mut(),
                &catalog,
                &self.at(topic, index),
                |record, event| {
                    events.push((Envelope::read(record), event));
                },
            )
            .unwrap();
        }
        events
    }

    /// Keys and ids of the records of a topic, over its partitions.
    pub fn records(&self, topic: &str) -> Vec<(String, EventId)> {
        let mut records = Vec::new();
        let mut reader = self.store.log.reader().unwrap();
        for index in 0..self.partitions(topic) {
            mainstem_kernel::worker::for_each(reader.as_mut(), &self.at(topic, index), |record| {
                let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                records.push((key, Envelope::read(&record).id));
                Ok(())
            })
            .unwrap();
        }
        records
    }

    fn partitions(&self, topic: &str) -> u32 {
        let name = format!("{}.{topic}", self.project.name);
        self.store
            .log
            .topics()
            .unwrap()
            .into_iter()
            .find(|t| t.name == name)
            .unwrap()
            .partitions
    }

    pub fn predictions(&self) -> Vec<PredictionMade> {
        let made = self
            .events("predictions.returns")
            .into_iter()
            .map(|(_, event)| match event {
                Event::PredictionMade(made) => made,
                other => panic!("{other:?}"),
            });
        made.collect()
    }
}

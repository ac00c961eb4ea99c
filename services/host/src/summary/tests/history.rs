//! A scripted little history, written into a local log event by event.

use std::collections::BTreeMap;

use mainstem_kernel::log::{Partition, TopicSpec};
use mainstem_kernel::testkit::toys;
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::*;
use mainstem_schemas::{Batch, Catalog, Digest, Envelope, EventId, Millis, topics};

use crate::Store;

pub const MODEL: &str = "up";

const FILE: &str = "
project: market
clock: stream
partitions: 1
sources:
  prices:
    fields: {price: double, class: long}
    entity: {constant: all}
    time: {start: 1996-05-07T00:00, every: 1h}
views:
  prices:
    source: prices
    features: {price: price, class: class}
models:
  up:
    view: prices
    label: {column: class, horizon: 1h, timeout: 2d}
    baseline: {persistence: class}
    control: true
    windows: {origin: 1996-05-08T00:00, length: 12h}
    retrain:
      initial: {at: 1996-05-08T00:00}
";

/// A moment by its row: rows are an hour apart.
pub fn row(row: i64) -> Millis {
    let start: Millis = "1996-05-07T00:00".parse().unwrap();
    Millis(start.0 + row * 3_600_000)
}

pub fn id(name: &str) -> EventId {
    EventId::named("test", name.as_bytes())
}

/// What is written, and where to.
pub struct History {
    pub project: Project,
    pub store: Store,
    /// Removed with this.
    _dir: tempfile::TempDir,
    catalog: Catalog,
    batches: BTreeMap<String, Batch>,
}

impl History {
    pub fn new() -> Self {
        let project = mainstem_project::parse("test.yaml", FILE).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.log.create_topics(&all_topics()).unwrap();
        let (catalog, schemas, definitions) = toys::preamble_of(&project);
        let batches = BTreeMap::from([
            ("schemas".into(), schemas),
            ("definitions".into(), definitions),
        ]);
        History {
            project,
            store,
            _dir: dir,
            catalog,
            batches,
        }
    }

    pub fn put(
        &mut self,
        topic: &str,
        name: &str,
        time: Millis,
        event: impl Into<Event>,
    ) -> &mut Self {
        let envelope = Envelope {
            id: id(name),
            time,
            ..Envelope::default()
        };
        let batch = self.batches.entry(topic.into()).or_default();
        toys::push(batch, &self.catalog, b"k", &event.into(), &envelope);
        self
    }

    /// A record that no reader of the summary looks into.
    pub fn bytes(&mut self, topic: &str, time: Millis) -> &mut Self {
        let envelope = Envelope {
            time,
            ..Envelope::default()
        };
        envelope.push(
            self.batches.entry(topic.into()).or_default(),
            Some(b"all"),
            b"opaque",
        );
        self
    }

    /// Appends what was put.
    pub fn write(&mut self) {
        let place = |(room, batch)| (Partition::new(&topics::fixed("market", room), 0), batch);
        let batches = std::mem::take(&mut self.batches);
        let records: Vec<_> = batches
            .iter()
            .map(|(room, batch)| place((room.as_str(), batch.clone())))
            .collect();
        self.store
            .log
            .writer("test")
            .unwrap()
            .append(&records)
            .unwrap();
    }

    /// A prediction for the row after `at`, and its label.
    pub fn forecast(&mut self, at: i64, (version, role): (&str, Role), class: i32, label: i32) {
        let (origin, probability) = (EventId::row(0, 1, at as u64), f64::from(class));
        let (entity, version) = (String::from("all"), String::from(version));
        let made = PredictionMade {
            origin,
            event_time: row(at),
            entity: entity.clone(),
            target_time: row(at + 1),
            version: version.clone(),
            role,
            probability,
            class,
            inputs: None,
            actor: None,
            runtime: "test".into(),
        };
        let labelled = PredictionLabelled {
            origin,
            label_origin: EventId::row(0, 1, at as u64 + 1),
            entity,
            target_time: row(at + 1),
            version,
            role,
            probability,
            class,
            label,
            round: at,
        };
        self.put("predictions.up", "", row(at), made)
            .put("labelled.up", "", row(at), labelled);
    }

    pub fn requested(&mut self, name: &str, at: i64, reason: RetrainReason, evidence: &[&str]) {
        let evidence = evidence.iter().map(|name| id(name)).collect();
        let detail = format!("why {name} is needed");
        let event = RetrainRequested {
            model: MODEL.into(),
            reason,
            detail,
            evidence,
            as_of: row(at),
        };
        self.put("triggers", name, row(at), event);
    }

    pub fn closed(&mut self, retrain: &str, at: i64, outcome: RetrainOutcome) {
        let event = RetrainClosed {
            model: MODEL.into(),
            retrain: id(retrain),
            outcome,
        };
        self.put("triggers", "", row(at), event);
    }

    pub fn registered(&mut self, version: &str, retrain: &str, at: i64) {
        let event = ModelVersionRegistered {
            model: MODEL.into(),
            version: version.into(),
            run: Some(id(retrain)),
            onnx: Digest::default(),
            features: vec!["price".into()],
            view: Digest::default(),
            content: None,
            profile: None,
            prediction_profile: None,
        };
        self.put("models", "", row(at), event);
    }

    pub fn approved(&mut self, version: &str, at: i64) {
        let detail = "60 of 80 validation rows right, the majority class 50".into();
        let event = ModelApproved {
            model: MODEL.into(),
            version: version.into(),
            detail,
        };
        self.put("models", "", row(at), event);
    }

    pub fn rejected(&mut self, version: &str, retrain: &str, at: i64, detail: &str) {
        let (version, detail) = (version.into(), detail.into());
        let event = ModelRejected {
            model: MODEL.into(),
            version,
            retrain: id(retrain),
            detail,
        };
        self.put("models", "", row(at), event);
    }

    pub fn shadow(&mut self, version: &str, at: i64) {
        let event = DeploymentStarted {
            model: MODEL.into(),
            version: version.into(),
            role: Role::Shadow,
            onnx: Digest::default(),
            features: Vec::new(),
            view: Digest::default(),
            profile: None,
            prediction_profile: None,
            since: row(at),
        };
        self.put("deployments", "", row(at), event);
    }

    pub fn ended(&mut self, version: &str, retrain: &str, at: i64, reason: &str) {
        let event = DeploymentEnded {
            model: MODEL.into(),
            version: version.into(),
            role: Role::Shadow,
            retrain: Some(id(retrain)),
            reason: reason.into(),
            since: row(at),
        };
        self.put("deployments", "", row(at), event);
    }

    pub fn promoted(&mut self, version: &str, previous: Option<&str>, retrain: &str, at: i64) {
        let event = Promoted {
            model: MODEL.into(),
            version: version.into(),
            previous: previous.map(Into::into),
            retrain: Some(id(retrain)),
            detail: format!("{version} had more right"),
            since: row(at),
        };
        self.put("deployments", "", row(at), event);
    }

    pub fn drift(&mut self, feature: &str, method: DriftMethod, end: i64, statistic: f64) {
        let event = DriftMeasured {
            model: MODEL.into(),
            subject: Subject::Features,
            feature: feature.into(),
            method,
            version: "v1".into(),
            reference: Digest::default(),
            window_start: row(end - 12),
            window_end: row(end),
            statistic,
            threshold: 0.25,
            rows: 12,
            reference_rows: 24,
            error_bound: 0.0,
        };
        self.put("drift", "", row(end), event);
    }

    pub fn detected(&mut self, name: &str, feature: &str, method: DriftMethod, end: i64) {
        let event = DriftDetected {
            model: MODEL.into(),
            subject: Subject::Features,
            feature: feature.into(),
            method,
            version: "v1".into(),
            statistic: 0.4,
            threshold: 0.25,
            windows: 2,
            window_end: row(end),
            evidence: Vec::new(),
        };
        self.put("drift", name, row(end), event);
    }
}

fn all_topics() -> Vec<TopicSpec> {
    let fixed = topics::FIXED
        .iter()
        .map(|(room, ..)| topics::fixed("market", room));
    let chain = topics::CHAIN
        .iter()
        .map(|room| topics::fixed("market", room));
    let of_source = topics::OF_SOURCE
        .iter()
        .map(|(room, ..)| topics::of("market", room, "prices"));
    let of_view = topics::OF_VIEW
        .iter()
        .map(|(room, ..)| topics::of("market", room, "prices"));
    let of_model = topics::OF_MODEL
        .iter()
        .map(|(room, ..)| topics::of("market", room, MODEL));
    let names = fixed
        .chain(chain)
        .chain(of_source)
        .chain(of_view)
        .chain(of_model);
    names
        .map(|name| TopicSpec {
            name,
            partitions: 1,
        })
        .collect()
}

//! A log with a project, arrivals and rows of features; effects performed on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstem_columns::{put, put_features, source_schema, view_schema};
use mainstem_kernel::runner::Blobs;
use mainstem_kernel::worker::{Actuator, Outcome, read_catalog};
use mainstem_kernel::{Effect, Log, Partition, TaskId};
use mainstem_rooms::topology::topics_of;
use mainstem_rooms::training::Request;
use mainstem_schemas::definition::{Label, Project, digest_of};
use mainstem_schemas::events::{ClockTicked, DefinitionApplied, Event};
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::{Batch, Catalog, Digest, EventId, Millis, Span, wire};

use crate::trainer::TrainerActuator;

pub const FEATURES: [&str; 3] = ["x", "y", "up"];

/// A source with columns x, y and the label up; a view that passes them on; a model of it.
pub fn project(partitions: u32) -> Project {
    let feature = |name: &str| serde_json::json!({"name": name, "of": {"column": name}});
    serde_json::from_value(serde_json::json!({
        "name": "p", "clock": "stream", "partitions": partitions,
        "sources": {"s": {
            "number": 1,
            "fields": [
                {"name": "x", "type": "double", "optional": true},
                {"name": "y", "type": "double"},
                {"name": "up", "type": "double", "optional": true},
            ],
            "entity": {"column": "x"},
            "time": {"row": {"start": "1996-05-07T00:00:00Z", "every": "30m"}},
        }},
        "views": {"v": {"source": "s", "features": FEATURES.map(feature)}},
        "models": {},
    }))
    .unwrap()
}

/// An arrival, which is a row of features too.
#[derive(Clone)]
pub struct Row {
    pub entity: String,
    pub time: i64,
    pub x: Option<f64>,
    pub up: Option<f64>,
}

/// Rows of two entities, one a second each; a row's x says, mostly, what `up` is a second later.
pub fn rows(count: usize) -> Vec<Row> {
    let mut state = 7u64;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1u32 << 24)
    };
    let mut last = [0.0f64; 2];
    let row = |at: usize| {
        let (x, noise) = (next(), next());
        let up = f64::from(u8::from(last[at % 2] + noise / 5.0 > 0.6));
        last[at % 2] = x;
        Row {
            entity: ["a", "b"][at % 2].into(),
            time: 1_000 * (at / 2) as i64,
            x: (at % 17 != 3).then_some(x),
            up: Some(up),
        }
    };
    (0..count).map(row).collect()
}

pub struct Fixture {
    pub log: Arc<dyn Log>,
    pub catalog: Catalog,
    pub project: Project,
}

impl Fixture {
    pub fn new(log: Arc<dyn Log>, project: Project) -> Self {
        log.create_topics(&topics_of(&project)).unwrap();
        let mut catalog = Catalog::default();
        let mut registered = catalog.register_contracts().unwrap();
        let (source, features) = (&project.sources["s"], FEATURES.map(str::to_owned));
        let own = [
            ("arrivals.s", source_schema("p", "s", source)),
            ("features.v", view_schema("p", "v", &features)),
        ];
        for (subject, schema) in own {
            let event = catalog.plan(subject, &schema).unwrap().unwrap();
            catalog.register(event.clone());
            registered.push(event);
        }
        let mut schemas = Batch::new();
        for event in registered {
            schemas.push(None, Some(&serde_json::to_vec(&event).unwrap()), []);
        }
        let fixture = Fixture {
            log,
            catalog,
            project,
        };
        fixture.append("p.schemas", 0, schemas);
        let (digest, definition) = (fixture.project.digest(), fixture.project.canonical());
        fixture.event(
            "p.definitions",
            DefinitionApplied {
                project: "p".into(),
                digest,
                definition,
            },
        );
        fixture
    }

    pub fn append(&self, topic: &str, index: u32, batch: Batch) {
        let mut writer = self.log.writer("test").unwrap();
        writer
            .append(&[(Partition::new(topic, index), batch)])
            .unwrap();
    }

    pub fn event(&self, topic: &str, event: impl Into<Event>) {
        let (mut value, mut batch) = (Vec::new(), Batch::new());
        event.into().encode(&self.catalog, &mut value).unwrap();
        batch.push(None, Some(&value), []);
        self.append(topic, 0, batch);
    }

    pub fn tick(&self, time: i64) {
        self.event(
            "p.clock",
            ClockTicked {
                time: Millis(time),
                round: 1,
            },
        );
    }

    /// Appends the rows' arrivals and, as the view's task would, their features.
    pub fn publish(&self, rows: &[Row]) {
        self.arrive(rows);
        let schema = self.catalog.id_of("features.v").unwrap();
        self.put("p.features.v", rows, |batch, row, id| {
            let values = [row.x, Some(row.time as f64), row.up];
            let write = |out: &mut Vec<u8>| {
                put_features(out, schema, &id, Millis(row.time), &row.entity, values)
            };
            batch.push_value(Some(row.entity.as_bytes()), write, []);
        });
    }

    pub fn arrive(&self, rows: &[Row]) {
        let schema = self.catalog.id_of("arrivals.s").unwrap();
        self.put("p.arrivals.s", rows, |batch, row, id| {
            let write = |out: &mut Vec<u8>| {
                wire::put_header(out, schema);
                optional(out, row.x);
                put::put_double(out, row.time as f64);
                optional(out, row.up);
            };
            let (id, time) = (id.to_string(), Millis(row.time).to_string());
            let headers = [("ce_id", id.as_bytes()), ("ce_time", time.as_bytes())];
            batch.push_value(Some(row.entity.as_bytes()), write, headers);
        });
    }

    fn put(&self, topic: &str, rows: &[Row], write: impl Fn(&mut Batch, &Row, EventId)) {
        let mut batches = BTreeMap::<u32, Batch>::new();
        for (at, row) in rows.iter().enumerate() {
            let index = partition_of(row.entity.as_bytes(), self.project.partitions);
            write(
                batches.entry(index).or_default(),
                row,
                EventId::row(1, 1, at as u64),
            );
        }
        batches
            .into_iter()
            .for_each(|(index, batch)| self.append(topic, index, batch));
    }

    pub fn actuator(&self, blobs: Arc<dyn Blobs>) -> TrainerActuator {
        TrainerActuator::new(Arc::clone(&self.log), blobs, "p")
    }

    /// The data set of `rows` labelled rows as of a time.
    pub fn dataset(&self, as_of: i64, rows: u32) -> Request {
        Request::BuildDataset {
            project: "p".into(),
            model: "m".into(),
            run: EventId::row(9, 9, 9),
            view: "v".into(),
            view_digest: digest_of(&self.project.views["v"]),
            source: "s".into(),
            features: FEATURES.map(str::to_owned).to_vec(),
            label: Label {
                column: "up".into(),
                horizon: Span(1_000),
                timeout: Span(10_000),
            },
            as_of: Millis(as_of),
            rows,
        }
    }

    /// The event of an outcome, with what the log's readers see of it.
    pub fn read(&self, outcome: &Outcome) -> Event {
        let (_, batch) = &outcome.records[0];
        let catalog = read_catalog(self.log.reader().unwrap().as_mut(), "p").unwrap();
        Event::decode(&catalog, batch.get(0).unwrap().value.unwrap()).unwrap()
    }

    /// Performs a request and waits for what comes of it.
    pub fn perform(&self, actuator: &mut TrainerActuator, name: u8, request: &Request) -> Event {
        actuator.perform(&task(), &effect(name, request));
        let outcomes = wait(actuator);
        assert_eq!(outcomes.len(), 1);
        self.read(&outcomes[0])
    }
}

fn optional(out: &mut Vec<u8>, value: Option<f64>) {
    match value {
        None => put::put_null(out),
        Some(value) => {
            put::put_some(out);
            put::put_double(out, value);
        }
    }
}

pub fn task() -> TaskId {
    TaskId("trainer/m/0".into())
}

pub fn effect(name: u8, request: &Request) -> Effect {
    Effect {
        id: EventId([name; 16]),
        attempt: 1,
        request: serde_json::to_string(request).unwrap(),
    }
}

pub fn train(parquet: Digest, parameters: &[(&str, f64)]) -> Request {
    Request::Train {
        project: "p".into(),
        model: "m".into(),
        run: EventId::row(9, 9, 9),
        parquet,
        profile: Digest::default(),
        features: FEATURES.map(str::to_owned).to_vec(),
        threshold: 0.5,
        validation: 0.2,
        parameters: parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect(),
    }
}

/// The next outcomes.
pub fn wait(actuator: &mut TrainerActuator) -> Vec<Outcome> {
    let begun = Instant::now();
    loop {
        let outcomes = actuator.outcomes();
        if !outcomes.is_empty() {
            return outcomes;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "no outcome came"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

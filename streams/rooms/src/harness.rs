//! For tests: one machine in its frame, fed by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstem_columns::{put, source_schema, view_schema};
use mainstem_kernel::fetched::Memo;
use mainstem_kernel::known::{Nothing, Resolved};
use mainstem_kernel::rounds::Frame;
use mainstem_kernel::task::rank;
use mainstem_kernel::{
    Known, Machine, Model, Need, Outbox, Partition, Resolver, Run, Task, TaskSpec,
};
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::{ClockTicked, DefinitionApplied, Event, StepOpened};
use mainstem_schemas::{Batch, Catalog, EventId, Millis, wire};

/// One machine, its frame and all that it wrote.
pub struct Bench<M: Machine> {
    frame: Frame<M>,
    outbox: Outbox,
    known: Known,
    resolver: Arc<dyn Resolver>,
    round: i64,
    pub catalog: Catalog,
    pub wrote: BTreeMap<Partition, Batch>,
}

/// What comes before the data: schemas and the definition, and the catalog that they make.
pub fn preamble(project: &Project) -> (Catalog, Batch, Batch) {
    let mut catalog = Catalog::default();
    let mut registered = catalog.register_contracts().unwrap();
    let sources = project
        .sources
        .iter()
        .map(|(name, s)| (name.clone(), source_schema(&project.name, name, s)));
    let views = project.views.iter().map(|(name, view)| {
        let features = crate::features::view_outputs(view);
        (
            format!("features.{name}"),
            view_schema(&project.name, name, &features),
        )
    });
    for (subject, schema) in sources.chain(views) {
        let event = catalog.plan(&subject, &schema).unwrap().unwrap();
        catalog.register(event.clone());
        registered.push(event);
    }
    let mut schemas = Batch::new();
    for event in registered {
        schemas.push(None, Some(&serde_json::to_vec(&event).unwrap()), []);
    }
    let applied = DefinitionApplied {
        project: project.name.clone(),
        digest: project.digest(),
        definition: project.canonical(),
    };
    let definitions = events(&catalog, "", [applied.into()]);
    (catalog, schemas, definitions)
}

/// Events without headers, as the data plane has them.
pub fn events(catalog: &Catalog, key: &str, events: impl IntoIterator<Item = Event>) -> Batch {
    let mut batch = Batch::new();
    for event in events {
        let mut value = Vec::new();
        event.encode(catalog, &mut value).unwrap();
        batch.push(Some(key.as_bytes()), Some(&value), []);
    }
    batch
}

/// The events of a batch.
pub fn read(catalog: &Catalog, batch: &Batch) -> Vec<Event> {
    batch
        .iter()
        .map(|record| Event::decode(catalog, record.value.unwrap()).unwrap())
        .collect()
}

/// Appends an arrival; `body` writes its fields.
pub fn arrive(
    batch: &mut Batch,
    schema: u32,
    entity: &str,
    id: EventId,
    time: Millis,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let mut value = Vec::new();
    wire::put_header(&mut value, schema);
    body(&mut value);
    let (id, time) = (id.to_string(), time.to_string());
    let headers = [("ce_id", id.as_bytes()), ("ce_time", time.as_bytes())];
    batch.push(Some(entity.as_bytes()), Some(&value), headers);
}

/// Appends an optional double.
pub fn put_optional(out: &mut Vec<u8>, value: Option<f64>) {
    match value {
        None => put::put_null(out),
        Some(value) => {
            put::put_some(out);
            put::put_double(out, value);
        }
    }
}

/// The rows of a batch that came one after the other, cut after those numbers.
pub fn cut(batch: &Batch, cuts: &[usize]) -> Vec<Batch> {
    let mut parts = vec![Batch::new()];
    for (row, record) in batch.iter().enumerate() {
        if cuts.contains(&row) {
            parts.push(Batch::new());
        }
        parts.last_mut().unwrap().push_record(&record);
    }
    parts
}

impl<M: Machine> Bench<M> {
    pub fn new(machine: M, spec: TaskSpec, project: &Project) -> Self {
        let (catalog, schemas, definitions) = preamble(project);
        let mut bench = Bench {
            outbox: Outbox::new(&spec.outputs),
            frame: Frame::new(machine, spec),
            known: Known::default(),
            resolver: Arc::new(Nothing),
            round: 0,
            catalog,
            wrote: BTreeMap::new(),
        };
        bench.fold(rank::SCHEMAS, &schemas);
        bench.fold(rank::DEFINITIONS, &definitions);
        bench
    }

    pub fn with(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    fn fold(&mut self, input: usize, batch: &Batch) {
        self.fold_run(&Run::new(input, batch));
    }

    fn fold_run(&mut self, run: &Run<'_>) {
        let needs = self.frame.needs(&self.known, Some(run));
        self.known.learn(&needs, &*self.resolver).unwrap();
        self.frame.fold(&self.known, run, &mut self.outbox);
        for (partition, batch) in self.outbox.take().unwrap() {
            let wrote = self.wrote.entry(partition).or_default();
            batch
                .iter()
                .for_each(|record| wrote.push(record.key, record.value, record.headers()));
        }
    }

    /// Feeds a run of the room's input.
    pub fn feed(&mut self, input: usize, batch: &Batch) {
        if !batch.is_empty() {
            self.fold(rank::FIRST + input, batch);
        }
    }

    /// Feeds a run that other tasks take too.
    pub fn feed_shared(&mut self, input: usize, batch: &Batch, memo: &Memo) {
        self.fold_run(&Run {
            memo: Some(memo),
            ..Run::new(rank::FIRST + input, batch)
        });
    }

    /// Learns one more schema; its id.
    pub fn register(&mut self, subject: &str, schema: &str) -> u32 {
        let event = self.catalog.plan(subject, schema).unwrap().unwrap();
        let mut schemas = Batch::new();
        schemas.push(None, Some(&serde_json::to_vec(&event).unwrap()), []);
        self.fold(rank::SCHEMAS, &schemas);
        let id = event.id;
        self.catalog.register(event);
        id
    }

    pub fn tick(&mut self, time: Millis) {
        self.round += 1;
        let tick = ClockTicked {
            time,
            round: self.round,
        };
        let batch = events(&self.catalog, "", [tick.into()]);
        self.fold(rank::CLOCK, &batch);
    }

    pub fn open(&mut self, until: Millis) {
        let step = StepOpened {
            source: String::new(),
            publication: 1,
            until,
        };
        let batch = events(&self.catalog, "", [step.into()]);
        self.fold(rank::CLOCK, &batch);
    }

    /// Goes on from its own snapshot, as after a crash.
    pub fn restore(&mut self) {
        let bytes = self.frame.snapshot().unwrap();
        self.frame.restore(&bytes).unwrap();
        assert_eq!(self.frame.snapshot().unwrap(), bytes);
    }

    /// What it remembers.
    pub fn snapshot(&self) -> Vec<u8> {
        self.frame.snapshot().unwrap()
    }

    /// All that was written to a topic's only partition.
    pub fn output(&self, topic: &str) -> Batch {
        self.wrote
            .get(&Partition::new(topic, 0))
            .cloned()
            .unwrap_or_default()
    }

    pub fn events(&self, topic: &str) -> Vec<Event> {
        read(&self.catalog, &self.output(topic))
    }
}

/// A model whose answer is its first input times a factor.
pub struct Times(pub f32, pub usize);

impl Model for Times {
    fn inputs(&self) -> usize {
        self.1
    }
    fn predict(&self, rows: &[f32], out: &mut Vec<f32>) -> Result<(), String> {
        out.extend(rows.chunks_exact(self.1).map(|row| row[0] * self.0));
        Ok(())
    }
    fn runtime(&self) -> &str {
        "times 1"
    }
}

/// Gives every need a [`Times`] of half.
pub struct Halves;

impl Resolver for Halves {
    fn resolve(&self, need: &Need) -> Result<Resolved, String> {
        match need {
            Need::Model { inputs, .. } => Ok(Resolved::Model(Arc::new(Times(0.5, *inputs)))),
            Need::Blob(digest) => Err(format!("no blob {digest}")),
            Need::Schema { id, .. } => Err(format!("no schema {id}")),
        }
    }
}

/// A project of one source, view and model: columns x (optional double), n (long), up (boolean), up_late (optional double).
pub fn project(features: serde_json::Value) -> Project {
    serde_json::from_value(serde_json::json!({
        "name": "p", "clock": "stream", "partitions": 1,
        "sources": {"s": {
            "number": 7,
            "fields": [
                {"name": "x", "type": "double", "optional": true},
                {"name": "n", "type": "long"},
                {"name": "up", "type": "boolean"},
                {"name": "label", "type": "double", "optional": true},
                {"name": "note", "type": "string"},
            ],
            "entity": {"column": "note"},
            "time": {"row": {"start": "1996-05-07T00:00:00Z", "every": "30m"}},
        }},
        "views": {"v": {"source": "s", "features": features}},
        "models": {"m": {
            "view": "v", "features": ["f"],
            "label": {"column": "label", "horizon": "1s", "timeout": "10s"},
            "threshold": 0.5,
            "training": {"rows": 10, "min_rows": 1, "validation": 0.2, "parameters": {}, "attempts": 1, "effect_timeout": "1h"},
            "baseline": null, "control": false,
            "windows": {"origin": "1970-01-01T00:00:00Z", "length": "1d"},
            "drift": {"psi": {"detect": 0.2, "clear": 0.1}, "ks": {"detect": 0.2, "clear": 0.1}, "windows": 1, "min_rows": 1},
            "retrain": {"initial": null, "drift": [], "performance": null, "cooldown": "1d", "expiry": "1d"},
            "rollout": {"shadow": "1d", "min_rows": 1},
        }},
    }))
    .unwrap()
}

/// The body of an arrival of that project.
pub fn body(out: &mut Vec<u8>, x: Option<f64>, n: i64, up: bool, label: Option<f64>) {
    put_optional(out, x);
    put::put_long(out, n);
    put::put_boolean(out, up);
    put_optional(out, label);
    put::put_text(out, "note");
}

/// The topics that a task reads, by rank.
pub fn inputs_of(project: &Project, id: &str) -> Vec<String> {
    let inputs = spec(project, id).inputs.into_iter();
    inputs
        .map(|input| input.partition.topic.to_string())
        .collect()
}

/// The task of a room in that project.
pub fn spec(project: &Project, id: &str) -> TaskSpec {
    let tasks = crate::topology::tasks_of(project);
    tasks.into_iter().find(|task| task.id.0 == id).unwrap()
}

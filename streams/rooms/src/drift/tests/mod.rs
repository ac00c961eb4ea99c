//! Whole machines in the kernel's frame, on a log in memory.

mod declared;
mod monitor;
mod performance;
mod profile;
mod source;

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstem_columns::{put_features, view_schema};
use mainstem_kernel::known::Resolved;
use mainstem_kernel::outbox::Fault;
use mainstem_kernel::rounds::Frame;
use mainstem_kernel::task::rank;
use mainstem_kernel::testkit::harness::{Case, Plan, Planted, history};
use mainstem_kernel::testkit::toys;
use mainstem_kernel::worker::Factory;
use mainstem_kernel::{
    Effect, Known, Machine, Need, Outbox, Partition, Resolver, Run, Task, TaskSpec,
};
use mainstem_schemas::catalog::Catalog;
use mainstem_schemas::definition::{
    Clock, DriftMonitor, Label, Model, Project, RetrainPolicy, Rollout, Thresholds, Training, View,
    Windows,
};
use mainstem_schemas::events::{DeploymentStarted, Event, Promoted, Role};
use mainstem_schemas::{Batch, Digest, Envelope, EventId, Millis, Span};

use super::ReferenceProfile;
use crate::topology::tasks_of;

const FEATURES: [&str; 2] = ["constant", "ramp"];

fn project(partitions: u32) -> Project {
    let features: Vec<String> = FEATURES.map(str::to_owned).to_vec();
    let model = Model {
        view: "v".into(),
        features,
        label: Label {
            column: "up".into(),
            horizon: Span(10),
            timeout: Span(250),
        },
        threshold: 0.5,
        training: Training {
            rows: 100,
            min_rows: 10,
            validation: 0.25,
            parameters: BTreeMap::new(),
            attempts: 3,
            effect_timeout: Span(100),
        },
        baseline: None,
        control: false,
        windows: Windows {
            origin: Millis(0),
            length: Span(100),
        },
        drift: DriftMonitor {
            psi: Thresholds {
                detect: 0.25,
                clear: 0.1,
            },
            ks: Thresholds {
                detect: 0.4,
                clear: 0.3,
            },
            windows: 2,
            min_rows: 5,
        },
        retrain: RetrainPolicy {
            initial: None,
            drift: vec![],
            performance: None,
            cooldown: Span(0),
            expiry: Span(0),
        },
        rollout: Rollout {
            shadow: Span(0),
            min_rows: 0,
        },
    };
    Project {
        name: "p".into(),
        clock: Clock::Stream,
        partitions,
        sources: BTreeMap::new(),
        views: [(
            "v".to_owned(),
            View {
                source: "s".into(),
                features: vec![],
            },
        )]
        .into(),
        models: [("m".to_owned(), model)].into(),
        monitors: BTreeMap::new(),
    }
}

#[derive(Clone, Default)]
struct Blobs(BTreeMap<Digest, Arc<[u8]>>);

impl Resolver for Blobs {
    fn resolve(&self, need: &Need) -> Result<Resolved, String> {
        let blob = self.0.get(&need.digest()).ok_or("no such blob")?;
        Ok(Resolved::Blob(Arc::clone(blob)))
    }
}

/// What is fed to one task, tick after tick.
struct Feed {
    spec: TaskSpec,
    factory: Arc<Factory>,
    catalog: Catalog,
    rows_schema: u32,
    begin: Vec<(Partition, Batch)>,
    /// Per tick: the tick, then what comes before the next one.
    steps: Vec<(i64, Vec<(Partition, Batch)>)>,
    blobs: Blobs,
}

/// An event that a task wrote, with its envelope.
type Written = (Envelope, Event);

impl Feed {
    fn new<M: Machine>(project: &Project, task: &str, machine: fn() -> M) -> Self {
        let spec = tasks_of(project)
            .into_iter()
            .find(|spec| spec.id.0 == task)
            .unwrap();
        let (mut catalog, mut schemas, definitions) = toys::preamble_of(project);
        let features = FEATURES.map(str::to_owned);
        let event = catalog
            .plan("v-value", &view_schema("p", "v", &features))
            .unwrap()
            .unwrap();
        schemas.push(None, Some(&serde_json::to_vec(&event).unwrap()), []);
        catalog.register(event.clone());
        let at = |topic: &str| Partition::new(&format!("p.{topic}"), 0);
        Feed {
            factory: Arc::new(move |spec: &TaskSpec| {
                let (task, spec) = (Frame::new(machine(), spec.clone()), spec.clone());
                Some(Box::new(Restored {
                    task,
                    spec,
                    machine,
                }) as Box<dyn Task>)
            }),
            begin: vec![(at("schemas"), schemas), (at("definitions"), definitions)],
            rows_schema: event.id,
            steps: vec![],
            blobs: Blobs::default(),
            catalog,
            spec,
        }
    }

    fn tick(&mut self, time: i64) -> &mut Self {
        self.steps.push((time, vec![]));
        self
    }

    fn round(&self) -> u64 {
        self.steps.len() as u64
    }

    fn add(&mut self, input: usize, batch: Batch) -> &mut Self {
        let partition = self.spec.inputs[input].partition.clone();
        self.steps.last_mut().unwrap().1.push((partition, batch));
        self
    }

    /// An event of a control topic, emitted on the last tick.
    fn event(&mut self, input: usize, event: impl Into<Event>, time: i64) -> &mut Self {
        let event = event.into();
        let id = EventId::named("test", format!("{event:?}").as_bytes());
        let envelope = Envelope {
            id,
            time: Millis(time),
            round: Some(self.round()),
            ..Envelope::default()
        };
        let mut batch = Batch::new();
        toys::push(&mut batch, &self.catalog, b"m", &event, &envelope);
        self.add(input, batch)
    }

    /// An event of the data plane.
    fn value(&mut self, input: usize, event: impl Into<Event>) -> &mut Self {
        let mut value = Vec::new();
        event.into().encode(&self.catalog, &mut value).unwrap();
        let mut batch = Batch::new();
        batch.push(Some(b"e"), Some(&value), []);
        self.add(input, batch)
    }

    /// Rows of features at these times.
    fn rows(&mut self, rows: impl IntoIterator<Item = (i64, [Option<f64>; 2])>) -> &mut Self {
        let mut batch = Batch::new();
        for (time, values) in rows {
            let id = EventId::row(0, 0, time as u64);
            let write = |out: &mut Vec<u8>| {
                put_features(out, self.rows_schema, &id, Millis(time), "e", values)
            };
            batch.push_value(Some(b"e"), write, []);
        }
        self.add(1, batch)
    }

    /// Another definition.
    fn define(&mut self, project: &Project) -> &mut Self {
        let (_, _, definitions) = toys::preamble_of(project);
        let partition = self.begin[1].0.clone();
        self.steps
            .last_mut()
            .unwrap()
            .1
            .push((partition, definitions));
        self
    }

    /// A version of these references, champion from the last tick on or shadow.
    fn deploy(&mut self, version: &str, role: Role, references: &[&ReferenceProfile]) -> &mut Self {
        for reference in references {
            self.blobs
                .0
                .insert(reference.digest(), reference.to_bytes().into());
        }
        let since = self.steps.last().unwrap().0;
        let started = DeploymentStarted {
            model: "m".into(),
            version: version.into(),
            role,
            onnx: Digest::default(),
            features: FEATURES.map(str::to_owned).to_vec(),
            view: Digest::default(),
            profile: references.first().map(|reference| reference.digest()),
            prediction_profile: references.last().map(|reference| reference.digest()),
            since: Millis(since),
        };
        self.event(0, started, since)
    }

    fn promote(&mut self, version: &str) -> &mut Self {
        self.promote_since(version, self.steps.last().unwrap().0)
    }

    /// A promotion that the task hears of late.
    fn promote_since(&mut self, version: &str, since: i64) -> &mut Self {
        let promoted = Promoted {
            model: "m".into(),
            version: version.into(),
            previous: None,
            retrain: None,
            detail: String::new(),
            since: Millis(since),
        };
        self.event(0, promoted, since)
    }

    /// What the task writes, however its records are cut into runs, however the partitions interleave between two
    /// ticks, and whatever crashes: by these choices.
    fn history(&self, choices: &[u8]) -> BTreeMap<Partition, Vec<Vec<u8>>> {
        let mut feed = self.begin.clone();
        let mut choose = choices.iter().cycle().copied();
        for ((time, segments), round) in self.steps.iter().zip(1..) {
            feed.push((
                Partition::new("p.clock", 0),
                toys::tick(&self.catalog, *time, round),
            ));
            let mut queues: BTreeMap<&Partition, Vec<&Batch>> = BTreeMap::new();
            segments
                .iter()
                .rev()
                .for_each(|(partition, batch)| queues.entry(partition).or_default().push(batch));
            while !queues.is_empty() {
                let at = usize::from(choose.next().unwrap_or(0)) % queues.len();
                let partition = *queues.keys().nth(at).unwrap();
                match queues.get_mut(partition).unwrap().pop() {
                    Some(batch) => feed.push((partition.clone(), batch.clone())),
                    None => drop(queues.remove(partition)),
                }
            }
        }
        let case = Case {
            spec: self.spec.clone(),
            factory: Arc::clone(&self.factory),
            resolver: Arc::new(self.blobs.clone()),
            feed,
            react: Arc::new(|_| vec![]),
        };
        history(&case, &Plan::new(choices.to_vec()), Planted::Nothing).unwrap()
    }

    /// The same, read from its first output.
    fn written_by(&self, choices: &[u8]) -> Vec<Written> {
        let history = self.history(choices);
        let output = Partition::new(&self.spec.outputs[0].topic, 0);
        let read = |frame: &Vec<u8>| {
            let mut batch = Batch::new();
            batch.push_frames(frame, 0, 0, 1).unwrap();
            let record = batch.get(0).unwrap();
            (
                Envelope::read(&record),
                Event::decode(&self.catalog, record.value.unwrap()).unwrap(),
            )
        };
        history[&output].iter().map(read).collect()
    }

    fn written(&self) -> Vec<Written> {
        self.written_by(&[])
    }
}

/// A task that goes on from its own snapshot at every tick, when most is waiting.
struct Restored<M: Machine> {
    task: Frame<M>,
    spec: TaskSpec,
    machine: fn() -> M,
}

impl<M: Machine> Task for Restored<M> {
    fn version(&self) -> u32 {
        self.task.version()
    }
    fn definition(&self) -> Digest {
        self.task.definition()
    }
    fn needs(&self, known: &Known, run: Option<&Run<'_>>) -> Vec<Need> {
        self.task.needs(known, run)
    }
    fn fold(&mut self, known: &Known, run: &Run<'_>, out: &mut Outbox) {
        if run.input == rank::CLOCK {
            let bytes = self.task.snapshot().unwrap();
            self.task = Frame::new((self.machine)(), self.spec.clone());
            self.task.restore(&bytes).unwrap();
            assert_eq!(self.task.snapshot(), Ok(bytes));
        }
        self.task.fold(known, run, out);
    }
    fn is_full(&self) -> bool {
        self.task.is_full()
    }
    fn is_paced(&self) -> bool {
        self.task.is_paced()
    }
    fn outstanding(&self) -> Vec<Effect> {
        self.task.outstanding()
    }
    fn encode(&self, event: &Event, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.task.encode(event, out)
    }
    fn snapshot(&self) -> Result<Vec<u8>, Fault> {
        self.task.snapshot()
    }
    fn restore(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.task.restore(bytes)
    }
}

/// The reference of a constant 0.1 and a ramp from 0 to 1.
fn reference() -> ReferenceProfile {
    let ramp = (0..1_000).map(|i| f64::from(i) / 1_000.0).collect();
    ReferenceProfile::of_columns(&FEATURES.map(str::to_owned), &[vec![0.1; 1_000], ramp]).unwrap()
}

/// The same with another constant.
fn other_reference() -> ReferenceProfile {
    let ramp = (0..1_000).map(|i| f64::from(i) / 1_000.0).collect();
    ReferenceProfile::of_columns(&FEATURES.map(str::to_owned), &[vec![0.2; 1_000], ramp]).unwrap()
}

//! A log with the four rooms at work on it, monitors and a trainer that are made up, and a worker that dies.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a defect of the world fails the test"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstem_kernel::known::Nothing;
use mainstem_kernel::log::FetchLimit;
use mainstem_kernel::memory::MemoryLog;
use mainstem_kernel::quiet::is_quiet;
use mainstem_kernel::rounds::Frame;
use mainstem_kernel::runner::SnapshotEvery;
use mainstem_kernel::testkit::harness::MemoryBlobs;
use mainstem_kernel::worker::{Actuator, Crew, Outcome, Parts, read_events};
use mainstem_kernel::{Effect, Log, Partition, Task, TaskId, TaskSpec};
use mainstem_rooms::registry::RegistryMachine;
use mainstem_rooms::rollout::RolloutMachine;
use mainstem_rooms::topology::{tasks_of, topics_of};
use mainstem_rooms::training::{Request, TrainerMachine};
use mainstem_rooms::trigger::TriggerMachine;
use mainstem_schemas::definition::Project;
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::*;
use mainstem_schemas::{Batch, Catalog, Digest, Envelope, EventId, Millis, Span};

pub const DAY: i64 = 86_400_000;
pub const TOPICS: [&str; 4] = ["triggers", "runs", "models", "deployments"];

fn machine(spec: &TaskSpec) -> Option<Box<dyn Task>> {
    let spec = spec.clone();
    Some(match spec.id.0.split('/').next()? {
        "trigger" => Box::new(Frame::new(TriggerMachine::new("m"), spec)),
        "trainer" => Box::new(Frame::new(TrainerMachine::new("m"), spec)),
        "registry" => Box::new(Frame::new(RegistryMachine::new("m"), spec)),
        "rollout" => Box::new(Frame::new(RolloutMachine::new("m"), spec)),
        _ => return None,
    })
}

/// A trainer that fails first attempts now and then, and answers every request at once.
struct Workshop {
    catalog: Catalog,
    ready: Vec<Outcome>,
}

impl Workshop {
    fn outcome(effect: &Effect) -> Event {
        let (id, attempt) = (effect.id, effect.attempt as i32);
        if attempt == 1 && id.0[1] % 3 == 0 {
            return Event::EffectFailed(EffectFailed {
                effect: id,
                attempt,
                model: "m".into(),
                reason: "the store is away".into(),
                retriable: true,
            });
        }
        match serde_json::from_str(&effect.request).unwrap() {
            Request::BuildDataset {
                model,
                run,
                view_digest,
                as_of,
                rows,
                ..
            } => Event::DatasetBuilt(DatasetBuilt {
                effect: id,
                attempt,
                model,
                view: view_digest,
                from: Millis(0),
                to: as_of,
                rows: i64::from(rows),
                content: Digest::of(&run.0),
                parquet: Digest::of(&run.0),
                profile: Digest::of(&run.0),
                observed_positions: Vec::new(),
            }),
            Request::Train { model, parquet, .. } => Event::TrainingCompleted(TrainingCompleted {
                effect: id,
                attempt,
                model,
                onnx: parquet,
                prediction_profile: parquet,
                validation_rows: 200,
                validation_correct: 150,
                majority_correct: 110,
                parameters: Vec::new(),
                trainer: "workshop".into(),
                observed_seconds: 0.0,
            }),
            Request::BuildBaseline { model, .. } => Event::BaselineBuilt(BaselineBuilt {
                effect: id,
                attempt,
                model,
                onnx: Digest::default(),
            }),
        }
    }
}

impl Actuator for Workshop {
    fn perform(&mut self, task: &TaskId, effect: &Effect) {
        let event = Self::outcome(effect);
        let envelope = Envelope {
            id: EventId::named(
                "outcome",
                &[&effect.id.0[..], &effect.attempt.to_le_bytes()].concat(),
            ),
            kind: event.name().into(),
            causation: Some(effect.id),
            attempt: Some(effect.attempt),
            ..Envelope::default()
        };
        let record = record(&self.catalog, &envelope, &event);
        self.ready.push(Outcome {
            task: task.clone(),
            effect: effect.id,
            attempt: effect.attempt,
            records: vec![(Partition::new("p.outcomes", 0), record)],
        });
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.ready)
    }
}

fn record(catalog: &Catalog, envelope: &Envelope, event: &Event) -> Batch {
    let mut value = Vec::new();
    event.encode(catalog, &mut value).unwrap();
    let mut batch = Batch::new();
    envelope.push(&mut batch, Some(b"m"), &value);
    batch
}

pub struct World {
    log: MemoryLog,
    tasks: Vec<TaskSpec>,
    catalog: Catalog,
    blobs: Arc<MemoryBlobs>,
    crew: Crew<Workshop>,
    choices: Vec<u8>,
    at: usize,
    round: i64,
    facts: u64,
}

impl World {
    pub fn new(project: &Project, choices: Vec<u8>) -> Self {
        let log = MemoryLog::new();
        log.create_topics(&topics_of(project)).unwrap();
        let rooms = ["trigger/", "trainer/", "registry/", "rollout/"];
        let ours = |spec: &TaskSpec| rooms.iter().any(|room| spec.id.0.starts_with(room));
        let tasks = tasks_of(project).into_iter().filter(ours).collect();
        let mut catalog = Catalog::default();
        let mut schemas = Batch::new();
        for schema in catalog.register_contracts().unwrap() {
            schemas.push(None, Some(&serde_json::to_vec(&schema).unwrap()), []);
        }
        let schemas = (Partition::new("p.schemas", 0), schemas);
        log.writer("feed").unwrap().append(&[schemas]).unwrap();
        let blobs = Arc::new(MemoryBlobs::default());
        let crew = Self::join(&log, &blobs, &catalog);
        let mut world = World {
            log,
            tasks,
            catalog,
            blobs,
            crew,
            choices,
            at: 0,
            round: 0,
            facts: 0,
        };
        let applied = DefinitionApplied {
            project: "p".into(),
            digest: project.digest(),
            definition: project.canonical(),
        };
        world.append("definitions", Millis(0), applied);
        world
    }

    fn join(log: &MemoryLog, blobs: &Arc<MemoryBlobs>, catalog: &Catalog) -> Crew<Workshop> {
        let parts = Parts {
            log: Arc::new(log.clone()),
            resolver: Arc::new(Nothing),
            blobs: Arc::clone(blobs) as _,
            factory: Arc::new(machine),
            limit: FetchLimit::default(),
            snapshots: SnapshotEvery::default(),
        };
        let workshop = Workshop {
            catalog: catalog.clone(),
            ready: Vec::new(),
        };
        Crew::join(parts, "worker", workshop).unwrap()
    }

    fn append(&mut self, topic: &str, time: Millis, event: impl Into<Event>) {
        let event = event.into();
        self.facts += 1;
        let envelope = Envelope {
            id: EventId::named("world", &self.facts.to_le_bytes()),
            kind: event.name().into(),
            time,
            ..Envelope::default()
        };
        let record = record(&self.catalog, &envelope, &event);
        let partition = Partition::new(&format!("p.{topic}"), 0);
        self.log
            .writer("feed")
            .unwrap()
            .append(&[(partition, record)])
            .unwrap();
    }

    fn choice(&mut self) -> usize {
        self.at += 1;
        match self.choices.len() {
            0 => 255,
            n => usize::from(self.choices[self.at % n]) + self.at / n,
        }
    }

    /// Steps until nothing moves; the worker is killed now and then.
    fn rest(&mut self) {
        for _ in 0..10_000 {
            if self.choice().is_multiple_of(13) {
                self.crew = Self::join(&self.log, &self.blobs, &self.catalog);
            }
            let records = 1 + self.choice() % 9;
            self.crew.set_limit(FetchLimit {
                records,
                bytes: usize::MAX,
            });
            let progress = self.crew.step(&self.tasks).unwrap();
            assert!(progress.stopped.is_empty(), "{:?}", progress.stopped);
            if is_quiet(&self.log, &mut self.log.clone(), &self.tasks).unwrap() {
                return;
            }
        }
        panic!("the life cycle does not come to rest");
    }

    /// Ticks at a time until a round adds nothing.
    fn settle(&mut self, time: Millis) {
        self.rest();
        for _ in 0..100 {
            let before = self.count();
            self.round += 1;
            let round = self.round;
            self.append("clock", time, ClockTicked { time, round });
            self.rest();
            if self.count() == before {
                return;
            }
        }
        panic!("rounds without end at {time}");
    }

    fn count(&self) -> usize {
        ["triggers", "runs", "models", "deployments", "outcomes"]
            .iter()
            .map(|topic| self.events(topic).len())
            .sum()
    }

    pub fn events(&self, topic: &str) -> Vec<Event> {
        let mut events = Vec::new();
        let mut reader = self.log.clone();
        let topic = format!("p.{topic}");
        read_events(&mut reader, &self.catalog, &topic, |event| {
            events.push(event)
        })
        .unwrap();
        events
    }

    /// What monitors would say of the window that ends now: the champion is good for 80 of 100 in its first ten days,
    /// and for 60 after; a shadow is good for 75 if `challenger`, else for 50.
    fn measure(&mut self, end: Millis, challenger: bool) {
        let mut deployed = Deployed::default();
        for event in self.events("deployments") {
            deployed.take("m", &event);
        }
        let Some(champion) = deployed.champion().cloned() else {
            return;
        };
        let fresh = end.since(champion.since) <= Span(10 * DAY);
        let champion_correct = if fresh { 80 } else { 60 };
        for version in deployed.active() {
            let correct = match version.role {
                Role::Champion => champion_correct,
                Role::Shadow if challenger => 75,
                Role::Shadow => 50,
                Role::Control | Role::Baseline => 70,
            };
            let paired = (version.role != Role::Champion).then(|| Paired {
                champion: champion.version.clone(),
                rows: 100,
                correct,
                champion_correct,
            });
            let measured = PerformanceMeasured {
                model: "m".into(),
                version: version.version.clone(),
                role: version.role,
                partition: 0,
                window_start: end.minus(Span(DAY)),
                window_end: end,
                revision: 0,
                rows: 100,
                true_positives: correct,
                false_positives: 100 - correct,
                true_negatives: 0,
                false_negatives: 0,
                accuracy: None,
                precision: None,
                recall: None,
                f1: None,
                paired: paired.into_iter().collect(),
            };
            self.append("performance", end, measured);
        }
    }

    /// Fifty days: a first version, a good challenger, two bad ones, a request while a retrain is open, a roll-back.
    pub fn live(&mut self) -> Story {
        for day in 1..=50 {
            let now = Millis(day * DAY);
            self.measure(now, day < 30);
            if day == 34 {
                let note = "the tariff changes".into();
                self.append(
                    "requests.trigger",
                    now,
                    RetrainAsked {
                        model: "m".into(),
                        note,
                    },
                );
            }
            if day == 45 {
                let note = "complaints".into();
                self.append(
                    "requests.rollout",
                    now,
                    RollbackAsked {
                        model: "m".into(),
                        note,
                    },
                );
            }
            self.settle(now);
        }
        TOPICS
            .iter()
            .map(|topic| (*topic, self.frames(topic)))
            .collect()
    }

    fn frames(&self, topic: &str) -> Vec<Vec<u8>> {
        let mut batch = Batch::new();
        let limit = FetchLimit {
            records: usize::MAX,
            bytes: usize::MAX,
        };
        let partition = Partition::new(&format!("p.{topic}"), 0);
        let mut reader = self.log.reader().unwrap();
        reader.fetch(&partition, 0, limit, &mut batch).unwrap();
        (0..batch.len())
            .map(|row| batch.frames(row..row + 1).to_vec())
            .collect()
    }
}

/// Every record of every topic, as it stands in the log.
pub type Story = BTreeMap<&'static str, Vec<Vec<u8>>>;

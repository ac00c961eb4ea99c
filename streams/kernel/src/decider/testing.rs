//! Given / when / then for deciders: events in, a tick, events out.

use std::collections::BTreeMap;

use mainstem_schemas::definition::{
    Baseline, Clock, DriftMonitor, Entity, EventTime, Expression, Feature, Field, FieldType, Label,
    Model, PerformancePolicy, Project, RetrainPolicy, Rollout, Source, Thresholds, Training, View,
    Windows,
};
use mainstem_schemas::events::{DriftMethod, Event};
use mainstem_schemas::{Batch, Catalog, Envelope, EventId, Millis, Span};

use crate::known::Known;
use crate::machine::{Context, Effect, Machine, Tick};
use crate::outbox::Outbox;
use crate::task::TaskSpec;

/// In which order a tick releases what it releases: of events of one time any may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Order {
    /// As given.
    #[default]
    Given,
    /// The other way round.
    Reversed,
}

/// An event that was emitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Emitted {
    /// What is known of it beside its value.
    pub envelope: Envelope,
    /// The event.
    pub event: Event,
}

/// A machine on its own, with what the next tick will release. Its state goes through its bytes after every tick, so
/// that every test is one of restoring, too.
pub struct Scene<M: Machine> {
    machine: M,
    state: M::State,
    /// The definition in force.
    pub project: Project,
    spec: TaskSpec,
    catalog: Catalog,
    tick: Tick,
    order: Order,
    given: Vec<(usize, Batch)>,
    count: u64,
}

#[allow(
    clippy::unwrap_used,
    reason = "a defect in a test's scene fails the test"
)]
impl<M: Machine> Scene<M> {
    /// A machine at its beginning.
    pub fn new(machine: M, project: Project, spec: TaskSpec) -> Self {
        let mut catalog = Catalog::default();
        catalog.register_contracts().unwrap();
        Scene {
            machine,
            state: M::State::default(),
            project,
            spec,
            catalog,
            tick: Tick::default(),
            order: Order::Given,
            given: Vec::new(),
            count: 0,
        }
    }

    /// Releases in that order from now on.
    #[must_use]
    pub fn in_order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// The next tick releases this event; its id is made up and returned.
    pub fn given(&mut self, input: usize, event: impl Into<Event>) -> EventId {
        self.count += 1;
        let id = EventId::named("scene", &self.count.to_le_bytes());
        self.given_as(input, id, event);
        id
    }

    /// The next tick releases this event under that id.
    pub fn given_as(&mut self, input: usize, id: EventId, event: impl Into<Event>) {
        let event = event.into();
        let envelope = Envelope {
            id,
            kind: event.name().into(),
            time: self.tick.time,
            ..Envelope::default()
        };
        self.given_with(input, &envelope, &event);
    }

    /// The next tick releases this event with that envelope: what another machine emitted.
    pub fn given_with(&mut self, input: usize, envelope: &Envelope, event: &Event) {
        let mut value = Vec::new();
        event.encode(&self.catalog, &mut value).unwrap();
        let mut batch = Batch::new();
        envelope.push(&mut batch, Some(b"key"), &value);
        self.given.push((input, batch));
    }

    /// The next tick releases bytes that are no event.
    pub fn given_bytes(&mut self, input: usize, value: &[u8]) {
        let mut batch = Batch::new();
        batch.push(None, Some(value), []);
        self.given.push((input, batch));
    }

    /// Ticks, and says what was emitted.
    pub fn tick(&mut self, time: Millis) -> Vec<Emitted> {
        self.tick = Tick {
            time,
            round: self.tick.round + 1,
        };
        let known = Known::default();
        let cx = Context {
            known: &known,
            catalog: &self.catalog,
            project: &self.project,
            spec: &self.spec,
            tick: self.tick,
            on_tick: true,
            horizon: time,
        };
        let mut out = Outbox::new(&self.spec.outputs);
        let mut given = std::mem::take(&mut self.given);
        if self.order == Order::Reversed {
            given.reverse();
        }
        for (input, batch) in &given {
            let record = batch.get(0).unwrap();
            self.machine
                .release(&mut self.state, &cx, *input, &record, &mut out);
        }
        self.machine.tick(&mut self.state, &cx, &mut out);
        let written = out.take().unwrap();
        let bytes = postcard::to_stdvec(&self.state).unwrap();
        self.state = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(postcard::to_stdvec(&self.state).unwrap(), bytes);
        let records = written.iter().flat_map(|(_, batch)| batch.iter());
        records
            .map(|record| Emitted {
                envelope: Envelope::read(&record),
                event: Event::decode(&self.catalog, record.value.unwrap()).unwrap(),
            })
            .collect()
    }

    /// Ticks, and says what was emitted, without the envelopes.
    pub fn events(&mut self, time: Millis) -> Vec<Event> {
        let emitted = self.tick(time);
        emitted.into_iter().map(|emitted| emitted.event).collect()
    }

    /// Effects that are to be done and not yet done.
    pub fn outstanding(&self) -> Vec<Effect> {
        self.machine.outstanding(&self.state)
    }

    /// What the machine remembers.
    pub fn state(&self) -> &M::State {
        &self.state
    }
}

/// A definition with round figures: daily windows, a week in the shadow, a week of cool-down.
#[must_use]
pub fn example_model() -> Model {
    const DAY: i64 = 86_400_000;
    Model {
        view: "v".into(),
        features: vec!["x".into(), "y".into()],
        label: Label {
            column: "up".into(),
            horizon: Span(DAY / 48),
            timeout: Span(7 * DAY),
        },
        threshold: 0.5,
        training: Training {
            rows: 1_000,
            min_rows: 100,
            validation: 0.2,
            parameters: BTreeMap::from([("depth".into(), 4.0)]),
            attempts: 3,
            effect_timeout: Span(DAY / 24),
        },
        baseline: Some(Baseline::Persistence("x".into())),
        control: true,
        windows: Windows {
            origin: Millis(0),
            length: Span(DAY),
        },
        drift: DriftMonitor {
            psi: Thresholds {
                detect: 0.2,
                clear: 0.1,
            },
            ks: Thresholds {
                detect: 0.2,
                clear: 0.1,
            },
            windows: 2,
            min_rows: 10,
        },
        retrain: RetrainPolicy {
            initial: Some(Millis(DAY)),
            drift: vec![DriftMethod::Psi],
            performance: Some(PerformancePolicy {
                windows: 2,
                tolerance: 0.01,
            }),
            cooldown: Span(7 * DAY),
            expiry: Span(30 * DAY),
        },
        rollout: Rollout {
            shadow: Span(7 * DAY),
            min_rows: 100,
        },
    }
}

/// The project `p` with the model `m` of [`example_model`], its view `v` and source `s`.
#[must_use]
pub fn example_project() -> Project {
    let field = |name: &str, kind| Field {
        name: name.into(),
        kind,
        optional: false,
    };
    let source = Source {
        number: 1,
        fields: vec![
            field("x", FieldType::Double),
            field("y", FieldType::Double),
            field("up", FieldType::Boolean),
        ],
        entity: Entity::Constant("e".into()),
        time: EventTime::Column("at".into()),
        topic: None,
    };
    let feature = |name: &str| Feature {
        name: name.into(),
        of: Expression::Column(name.into()),
    };
    let view = View {
        source: "s".into(),
        features: vec![feature("x"), feature("y")],
    };
    Project {
        name: "p".into(),
        clock: Clock::Stream,
        partitions: 1,
        sources: BTreeMap::from([("s".into(), source)]),
        views: BTreeMap::from([("v".into(), view)]),
        models: BTreeMap::from([("m".into(), example_model())]),
        monitors: BTreeMap::new(),
    }
}

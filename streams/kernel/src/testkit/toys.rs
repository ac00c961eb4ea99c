//! Toy machines: small enough to see through, with everything that a kernel can get wrong.

use std::sync::OnceLock;

use mainstem_schemas::catalog::Catalog;
use mainstem_schemas::definition::{Clock, Project};
use mainstem_schemas::events::{ClockTicked, DefinitionApplied, Event, MetricLogged};
use mainstem_schemas::{Batch, Digest, Envelope, EventId, Millis, RecordRef};
use serde::{Deserialize, Serialize};

use crate::machine::{Context, Effect, Machine, Run, Stamp};
use crate::outbox::{Head, Outbox};

/// Name of the toys' project.
pub const PROJECT: &str = "toy";

/// A project without objects.
#[must_use]
pub fn project() -> Project {
    let (sources, views, models, monitors) = Default::default();
    Project {
        name: PROJECT.into(),
        clock: Clock::Stream,
        partitions: 1,
        sources,
        views,
        models,
        monitors,
    }
}

/// The records of `schemas` and `definitions` with which every log begins.
#[must_use]
pub fn preamble() -> (Catalog, Batch, Batch) {
    static TOYS: OnceLock<(Catalog, Batch, Batch)> = OnceLock::new();
    TOYS.get_or_init(|| preamble_of(&project())).clone()
}

/// The same for a project of one's own.
#[must_use]
pub fn preamble_of(project: &Project) -> (Catalog, Batch, Batch) {
    let (mut catalog, mut schemas, mut definitions) =
        (Catalog::default(), Batch::new(), Batch::new());
    for event in catalog.register_contracts().unwrap_or_default() {
        schemas.push(
            None,
            Some(&serde_json::to_vec(&event).unwrap_or_default()),
            [],
        );
    }
    let definition = project.canonical();
    let applied = DefinitionApplied {
        project: project.name.clone(),
        digest: project.digest(),
        definition,
    };
    push(
        &mut definitions,
        &catalog,
        b"",
        &Event::DefinitionApplied(applied),
        &Envelope::default(),
    );
    (catalog, schemas, definitions)
}

/// Appends an event with an envelope.
pub fn push(batch: &mut Batch, catalog: &Catalog, key: &[u8], event: &Event, envelope: &Envelope) {
    let mut value = Vec::new();
    if event.encode(catalog, &mut value).is_ok() {
        let kind = event.name().into();
        Envelope {
            kind,
            ..envelope.clone()
        }
        .push(batch, Some(key), &value);
    }
}

/// A tick.
#[must_use]
pub fn tick(catalog: &Catalog, time: i64, round: i64) -> Batch {
    let mut batch = Batch::new();
    let event = Event::ClockTicked(ClockTicked {
        time: Millis(time),
        round,
    });
    push(&mut batch, catalog, b"", &event, &Envelope::default());
    batch
}

/// A number as an event: the toys' only kind.
#[must_use]
pub fn number(value: f64) -> Event {
    Event::MetricLogged(MetricLogged {
        model: "toy".into(),
        run: EventId::default(),
        name: "n".into(),
        value,
    })
}

/// The number that a record holds.
#[must_use]
pub fn value_of(catalog: &Catalog, record: &RecordRef<'_>) -> Option<f64> {
    match Event::decode(catalog, record.value?) {
        Ok(Event::MetricLogged(metric)) => Some(metric.value),
        _ => None,
    }
}

/// Sums what comes (input 0, as it comes), writes the sum for each number, asks for an effect at every tenth
/// number and counts what the effects bring (input 1, held).
pub struct Summing {
    /// A defect planted in the machine.
    pub bug: Bug,
}

/// A defect planted in a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// None.
    Nothing,
    /// Ids hold the place in the run.
    BatchInIds,
    /// Whatever outcome comes is counted, however stale or repeated.
    AnyAttempt,
}

/// What [`Summing`] remembers.
#[derive(Default, Serialize, Deserialize)]
pub struct Sum {
    count: u64,
    sum: f64,
    open: Vec<([u8; 16], u32)>,
    done: u64,
}

impl Machine for Summing {
    const VERSION: u32 = 1;
    type State = Sum;

    fn fold(&self, state: &mut Sum, cx: &Context<'_>, run: &Run<'_>, out: &mut Outbox) {
        for (row, record) in run.batch.iter().enumerate() {
            let Some(value) = value_of(cx.catalog, &record) else {
                continue;
            };
            let origin = Envelope::read(&record).id;
            state.count += 1;
            state.sum += value;
            let discriminator = if self.bug == Bug::BatchInIds {
                row.to_le_bytes().to_vec()
            } else {
                Vec::new()
            };
            let id = cx.derive(0, &Digest::default(), &origin.0, &discriminator);
            let head = Head {
                id,
                time: Millis(state.count as i64),
                correlation: Some(origin),
                causation: None,
            };
            out.event(
                cx,
                0,
                record.key.unwrap_or_default(),
                &number(state.sum),
                head,
            );
            if state.count.is_multiple_of(10) {
                state.open.push((id.0, 1));
            }
        }
    }

    fn release(
        &self,
        state: &mut Sum,
        cx: &Context<'_>,
        _: usize,
        record: &RecordRef<'_>,
        out: &mut Outbox,
    ) {
        let envelope = Envelope::read(record);
        let (Some(effect), Some(attempt)) = (envelope.causation, envelope.attempt) else {
            return;
        };
        let settled = state
            .open
            .iter()
            .position(|open| *open == (effect.0, attempt));
        if settled.is_none() && self.bug != Bug::AnyAttempt {
            return;
        }
        if let Some(settled) = settled {
            state.open.remove(settled);
        }
        state.done += 1;
        let id = cx.derive(0, &Digest::default(), &effect.0, b"done");
        let head = Head {
            id,
            time: cx.tick.time,
            correlation: None,
            causation: Some(effect),
        };
        out.event(cx, 0, b"done", &number(state.done as f64), head);
    }

    fn outstanding(&self, state: &Sum) -> Vec<Effect> {
        let effect = |(id, attempt): &([u8; 16], u32)| Effect {
            id: EventId(*id),
            attempt: *attempt,
            request: String::from("{}"),
        };
        state.open.iter().map(effect).collect()
    }
}

/// Answers every number above one with its half on output 0, and every number with a hash of all that it has seen, in
/// the order seen, on output 1: two of them reading one another show any race.
pub struct Answering {
    /// Tells the two apart.
    pub name: &'static str,
}

/// What [`Answering`] remembers.
#[derive(Default, Serialize, Deserialize)]
pub struct Seen {
    order: Digest,
}

impl Machine for Answering {
    const VERSION: u32 = 1;
    type State = Seen;

    fn stamp(&self, _: &Context<'_>, _: usize, record: &RecordRef<'_>) -> Stamp {
        Stamp::of_envelope(record)
    }

    fn release(
        &self,
        state: &mut Seen,
        cx: &Context<'_>,
        input: usize,
        record: &RecordRef<'_>,
        out: &mut Outbox,
    ) {
        let Some(value) = value_of(cx.catalog, record) else {
            return;
        };
        let origin = Envelope::read(record).id;
        let seen = [&state.order.0[..], &origin.0, &[input as u8]].concat();
        state.order = Digest::of(&seen);
        let head = |output: usize| Head {
            id: cx.derive(output, &Digest::of(self.name.as_bytes()), &origin.0, b""),
            time: cx.tick.time,
            correlation: None,
            causation: Some(origin),
        };
        if value > 1.0 {
            out.event(cx, 0, b"k", &number(value / 2.0), head(0));
        }
        let order = f64::from(u32::from_le_bytes([
            state.order.0[0],
            state.order.0[1],
            state.order.0[2],
            0,
        ]));
        out.event(cx, 1, b"k", &number(order), head(1));
    }
}

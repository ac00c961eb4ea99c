//! Deciders: the machines of the life cycle, which write little and must weigh much.
//!
//! A decider has two halves. What it *knows* changes by the inputs that a tick releases ([`Decider::take`]), by log
//! time itself ([`Decider::pass`]) and by the events that it emitted ([`Decider::evolve`]); nothing else. What it
//! *decides* follows from what it knows alone ([`Decider::decide`]), and is asked on each tick after everything that the
//! tick released was taken, again and again until nothing is left to decide. So the order in which a tick releases
//! events of one time does not matter, and what misses its predecessor simply waits in the state until it comes.

use mainstem_schemas::definition::{self, Model, Project};
use mainstem_schemas::events::{Event, Subject};
use mainstem_schemas::{Envelope, EventId, Millis, RecordRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::machine::{Context, Effect, Machine};
use crate::outbox::{Head, Outbox};

mod recent;
#[cfg(feature = "testkit")]
pub mod testing;

pub use recent::Recent;

/// Decisions of one tick at most. A tick's worth is a handful per request and per retrain; more is a decision that its
/// own event does not settle.
const MAX_DECISIONS: usize = 10_000;

/// One life-cycle room's thinking about one model. The one output is the task's first.
pub trait Decider: Send + 'static {
    /// Version of the code: an edit that changes any output raises it.
    const VERSION: u32;
    /// What it knows; ordered, so that its bytes are canonical.
    type State: Default + Serialize + DeserializeOwned + Send;
    /// Why what was asked is not done, by name.
    type Refusal: std::error::Error;

    /// The model that it is about; events of other models are not taken.
    fn model(&self) -> &str;

    /// Takes an input: what it says is known from now on. One that changes nothing is left.
    fn take(&self, state: &mut Self::State, at: &Moment<'_>, input: &Taken);

    /// Log time passed.
    fn pass(&self, _state: &mut Self::State, _at: &Moment<'_>) {}

    /// What follows next from what is known: events that are emitted and evolve the state together, or none.
    ///
    /// # Errors
    /// The refusal of something asked; [`Decider::refuse`] takes it out of the state.
    fn decide(&self, state: &Self::State, at: &Moment<'_>) -> Result<Vec<Decision>, Self::Refusal>;

    /// An event was decided, under that id. It settles what led to it.
    fn evolve(&self, state: &mut Self::State, at: &Moment<'_>, id: EventId, event: &Event);

    /// Something asked was refused; it is forgotten.
    fn refuse(&self, _state: &mut Self::State, _refusal: &Self::Refusal) {}

    /// Effects that are to be done and not yet done, in a stable order.
    fn effects(&self, _state: &Self::State) -> Vec<Effect> {
        Vec::new()
    }
}

/// An event that an input brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// Rank of the input among the room's own.
    pub input: usize,
    /// What is known of it beside its value.
    pub envelope: Envelope,
    /// The event.
    pub event: Event,
}

impl Taken {
    /// Id of the event.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.envelope.id
    }
}

/// An event to be emitted; its event time is the tick's.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The event.
    pub event: Event,
    /// What started it: an id's bytes, or a natural key.
    pub origin: Vec<u8>,
    /// What tells it from other events of that origin; natural, never a count.
    pub discriminator: String,
    /// The id that the chain shares; its own where it starts one.
    pub correlation: Option<EventId>,
    /// The event or effect that led to it.
    pub causation: Option<EventId>,
}

impl Decision {
    /// An event of the chain that `origin` started.
    #[must_use]
    pub fn new(event: impl Into<Event>, origin: EventId, discriminator: impl Into<String>) -> Self {
        Decision {
            event: event.into(),
            origin: origin.0.to_vec(),
            discriminator: discriminator.into(),
            correlation: Some(origin),
            causation: Some(origin),
        }
    }

    /// An event that starts a chain of its own, from a natural key.
    #[must_use]
    pub fn root(
        event: impl Into<Event>,
        key: impl Into<Vec<u8>>,
        discriminator: impl Into<String>,
    ) -> Self {
        Decision {
            event: event.into(),
            origin: key.into(),
            discriminator: discriminator.into(),
            correlation: None,
            causation: None,
        }
    }

    /// Says what led to it.
    #[must_use]
    pub fn because_of(mut self, causation: Option<EventId>) -> Self {
        self.causation = causation;
        self
    }

    /// Says which chain it belongs to.
    #[must_use]
    pub fn in_chain(mut self, correlation: Option<EventId>) -> Self {
        self.correlation = correlation;
        self
    }
}

/// When and under which definition a decider thinks.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    cx: &'a Context<'a>,
    model: &'a Model,
}

impl<'a> Moment<'a> {
    /// The moment of a fold, or nothing where the definition in force has no such model.
    #[must_use]
    pub fn of(cx: &'a Context<'a>, model: &str) -> Option<Self> {
        let model = cx.project.models.get(model)?;
        Some(Moment { cx, model })
    }

    /// Log time.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.cx.tick.time
    }

    /// The definition in force.
    #[must_use]
    pub fn project(&self) -> &'a Project {
        self.cx.project
    }

    /// The model's own definition.
    #[must_use]
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// Id of a derived event or effect of this room.
    #[must_use]
    pub fn derive(&self, origin: &[u8], discriminator: &str) -> EventId {
        let definition = definition::digest_of(self.model);
        self.cx
            .derive(0, &definition, origin, discriminator.as_bytes())
    }
}

impl<D: Decider> Machine for D {
    const VERSION: u32 = D::VERSION;
    type State = D::State;

    /// A record that is no event of this version changes nothing: anybody may write to a topic of requests, and a newer
    /// version may tell more than this one understands.
    fn release(
        &self,
        state: &mut D::State,
        cx: &Context<'_>,
        input: usize,
        record: &RecordRef<'_>,
        _out: &mut Outbox,
    ) {
        let Some(at) = Moment::of(cx, self.model()) else {
            return;
        };
        let Ok(event) = Event::decode(cx.catalog, record.value.unwrap_or_default()) else {
            return;
        };
        if model_of(&event) == Some(self.model()) {
            let envelope = Envelope::read(record);
            let taken = Taken {
                input,
                envelope,
                event,
            };
            self.take(state, &at, &taken);
        }
    }

    fn tick(&self, state: &mut D::State, cx: &Context<'_>, out: &mut Outbox) {
        let Some(at) = Moment::of(cx, self.model()) else {
            return;
        };
        self.pass(state, &at);
        for _ in 0..MAX_DECISIONS {
            match self.decide(state, &at) {
                Ok(decisions) if decisions.is_empty() => return,
                Ok(decisions) => {
                    for decision in &decisions {
                        let id = emit(&at, self.model(), decision, out);
                        self.evolve(state, &at, id, &decision.event);
                    }
                }
                Err(refusal) => self.refuse(state, &refusal),
            }
        }
        out.fault(format!(
            "{MAX_DECISIONS} decisions on one tick did not settle what led to them"
        ));
    }

    fn outstanding(&self, state: &D::State) -> Vec<Effect> {
        self.effects(state)
    }
}

fn emit(at: &Moment<'_>, model: &str, decision: &Decision, out: &mut Outbox) -> EventId {
    let id = at.derive(&decision.origin, &decision.discriminator);
    let head = Head {
        id,
        time: at.now(),
        correlation: decision.correlation.or(Some(id)),
        causation: decision.causation,
    };
    out.event(at.cx, 0, model.as_bytes(), &decision.event, head);
    id
}

/// The model that a life-cycle, monitoring or outcome event is about; what is about a source's arrivals names a monitor.
#[must_use]
pub fn model_of(event: &Event) -> Option<&str> {
    Some(match event {
        Event::RetrainAsked(e) => &e.model,
        Event::PromotionAsked(e) => &e.model,
        Event::RollbackAsked(e) => &e.model,
        Event::DatasetBuilt(e) => &e.model,
        Event::TrainingCompleted(e) => &e.model,
        Event::BaselineBuilt(e) => &e.model,
        Event::EffectFailed(e) => &e.model,
        Event::ProfileMeasured(e) if e.subject != Subject::Arrivals => &e.model,
        Event::DriftMeasured(e) if e.subject != Subject::Arrivals => &e.model,
        Event::DriftDetected(e) if e.subject != Subject::Arrivals => &e.model,
        Event::DriftCleared(e) if e.subject != Subject::Arrivals => &e.model,
        Event::PerformanceMeasured(e) => &e.model,
        Event::RetrainRequested(e) => &e.model,
        Event::RetrainSuppressed(e) => &e.model,
        Event::RetrainClosed(e) => &e.model,
        Event::RunStarted(e) => &e.model,
        Event::DatasetBound(e) => &e.model,
        Event::TrainingStarted(e) => &e.model,
        Event::ParamLogged(e) => &e.model,
        Event::MetricLogged(e) => &e.model,
        Event::TagSet(e) => &e.model,
        Event::RunFinished(e) => &e.model,
        Event::RunFailed(e) => &e.model,
        Event::ModelVersionRegistered(e) => &e.model,
        Event::ModelApproved(e) => &e.model,
        Event::ModelRejected(e) => &e.model,
        Event::AliasSet(e) => &e.model,
        Event::DeploymentStarted(e) => &e.model,
        Event::Promoted(e) => &e.model,
        Event::RolledBack(e) => &e.model,
        Event::DeploymentEnded(e) => &e.model,
        _ => return None,
    })
}

#[cfg(all(test, feature = "testkit"))]
mod tests;

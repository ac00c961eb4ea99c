//! One room's thinking.

use mainstem_schemas::definition::Project;
use mainstem_schemas::events::Event;
use mainstem_schemas::{Batch, Catalog, Digest, Envelope, EventId, Millis, RecordRef, Span};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fetched::Memo;
use crate::known::{Known, Need};
use crate::outbox::Outbox;
use crate::task::TaskSpec;

/// Log time and its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, serde::Deserialize)]
pub struct Tick {
    /// Log time.
    pub time: Millis,
    /// Number of the tick; 0 before the first.
    pub round: u64,
}

/// A contiguous range of records of one input partition.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Rank of the input among the room's own (the kernel's three are not counted).
    pub input: usize,
    /// The records.
    pub batch: &'a Batch,
    /// What a task made of them that took them before, where tasks share them.
    pub memo: Option<&'a Memo>,
}

impl<'a> Run<'a> {
    /// Records that no other task takes.
    #[must_use]
    pub fn new(input: usize, batch: &'a Batch) -> Self {
        let memo = None;
        Run { input, batch, memo }
    }

    /// The same records as another rank's.
    pub(crate) fn ranked(&self, input: usize) -> Self {
        Run { input, ..*self }
    }
}

/// What a fold may look at beside its state and its records.
pub struct Context<'a> {
    /// What was resolved by digest.
    pub known: &'a Known,
    /// The log's schemas.
    pub catalog: &'a Catalog,
    /// The definition in force.
    pub project: &'a Project,
    /// The task.
    pub spec: &'a TaskSpec,
    /// The last tick.
    pub tick: Tick,
    /// Whether the fold happens on that tick: what is emitted then carries its number.
    pub on_tick: bool,
    /// Event time beyond which a record is quarantined: a day after the last tick or opened step.
    pub horizon: Millis,
}

/// How far an event time may lie ahead of log time before it is taken for a mistake.
pub const AHEAD: Span = Span(86_400_000);

impl Context<'_> {
    /// Id of a derived event on one of the room's outputs.
    #[must_use]
    pub fn derive(
        &self,
        output: usize,
        definition: &Digest,
        origin: &[u8],
        discriminator: &[u8],
    ) -> EventId {
        let topic = self
            .spec
            .outputs
            .get(output)
            .map_or("", |output| output.topic.as_str());
        EventId::derived(&self.spec.project, topic, definition, origin, discriminator)
    }
}

/// Where a held record stands among those of its tick.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, serde::Deserialize)]
pub struct Stamp {
    /// Event time.
    pub time: Millis,
    /// Id of the event, or the origin of a data-plane value with what tells it from others of that origin hashed in.
    pub id: EventId,
    /// Tick on which it was emitted; 0 for facts.
    pub round: u64,
}

impl Stamp {
    /// The stamp of a record that carries an envelope.
    #[must_use]
    pub fn of_envelope(record: &RecordRef<'_>) -> Self {
        let envelope = Envelope::read(record);
        Stamp {
            time: envelope.time,
            id: envelope.id,
            round: envelope.round.unwrap_or(0),
        }
    }
}

/// Something to be done in the world, once its request is committed. Performed at least once under an attempt;
/// actuators are idempotent by (id, attempt).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    /// Id: derived from what asked for it.
    pub id: EventId,
    /// Attempt, counting from 1; a new one is minted only by a failure or by expiry in log time.
    pub attempt: u32,
    /// What to do, as JSON of the room's own type.
    pub request: String,
}

/// What a machine answers to a question: a data-plane record.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Output of the room.
    pub output: usize,
    /// Key of the record.
    pub key: Vec<u8>,
    /// The event.
    pub event: Event,
}

/// Why a question has no answer; a room's own type, for whoever asked.
pub type Refused = Box<dyn std::error::Error + Send + Sync>;

/// One room's thinking: pure and synchronous. `self` holds the task's fixed particulars (which model, which view),
/// never anything that a fold changes.
///
/// Results may not depend on where a run ends. A defect (a state that cannot be) goes to
/// [`Outbox::fault`], which stops the task before it commits.
pub trait Machine: Send + 'static {
    /// Version of the code: an edit that changes any output raises it.
    const VERSION: u32;
    /// All that it remembers; ordered, so that its bytes are canonical.
    type State: Default + Serialize + DeserializeOwned + Send;

    /// The definition in force changed.
    fn define(&self, _state: &mut Self::State, _project: &Project) {}

    /// What `run` or (without one) the state needs from outside.
    fn needs(&self, _state: &Self::State, _cx: &Context<'_>, _run: Option<&Run<'_>>) -> Vec<Need> {
        Vec::new()
    }

    /// Folds a run of an input that is taken as it comes.
    fn fold(&self, _state: &mut Self::State, _cx: &Context<'_>, _run: &Run<'_>, _out: &mut Outbox) {
    }

    /// The stamp of a record of a held input. Values without an envelope override it.
    fn stamp(&self, _cx: &Context<'_>, _input: usize, record: &RecordRef<'_>) -> Stamp {
        Stamp::of_envelope(record)
    }

    /// Folds one record that a tick released.
    fn release(
        &self,
        _state: &mut Self::State,
        _cx: &Context<'_>,
        _input: usize,
        _record: &RecordRef<'_>,
        _out: &mut Outbox,
    ) {
    }

    /// The tick itself, after everything that it released.
    fn tick(&self, _state: &mut Self::State, _cx: &Context<'_>, _out: &mut Outbox) {}

    /// Answers a question that is no record of the log: a front door's, as JSON of the room's own type. The state stays
    /// as it is, and answers carry what was asked: so a task is rebuilt without its questions, and an audit asks them
    /// again.
    ///
    /// # Errors
    /// The room's refusal.
    fn answer(
        &self,
        _state: &Self::State,
        _cx: &Context<'_>,
        _question: &str,
    ) -> Result<Vec<Answer>, Refused> {
        Err("this task answers no questions".into())
    }

    /// What is to be done and not yet done, in a stable order.
    fn outstanding(&self, _state: &Self::State) -> Vec<Effect> {
        Vec::new()
    }
}

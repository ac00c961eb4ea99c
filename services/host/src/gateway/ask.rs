//! Requests of people and programs: appended as facts, answered by the event that names them as its cause.

use std::time::{Duration, Instant};

use mainstem_kernel::log::{CommitError, FetchLimit, LogError, Partition, Reader};
use mainstem_schemas::definition::{Clock, Project};
use mainstem_schemas::envelope::attribute;
use mainstem_schemas::events::{Event, Unreadable};
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::{Batch, Catalog, Envelope, EventId, topics};

pub use super::standing::Refused;
use super::standing::Standing;
use crate::log_time::{last_tick, wall};
use crate::store::{Store, StoreError};

/// How long an answer is waited for under the wall clock: a tick comes each second and a change of champion may wait for
/// the next one, so an answer takes two or three; after ten nobody ticks or nobody folds.
const LIMIT: Duration = Duration::from_secs(10);

/// The same under `clock: stream`, where the tick comes when a paced publisher ends its step: perhaps at once, perhaps
/// tomorrow.
const LIMIT_OF_STREAM: Duration = Duration::from_secs(1);

/// How long one look at the log waits for news before it looks anyway.
const LOOK: Duration = Duration::from_millis(100);

/// How often an append is tried that another request got ahead of: each time one of them has gone through.
const TRIES: usize = 100;

/// How a request was answered.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "an answer is moved once, to whoever asked"
)]
pub enum Answer {
    /// By the event that it caused.
    Caused(Event),
    /// Not yet: the request is in the log under this id, and the next ticks of the clock answer it.
    Waiting(EventId),
}

/// Why a request was not appended, or its answer cannot be looked for.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No such model.
    #[error("there is no model {model:?} in the project; it has: {known}")]
    UnknownModel {
        /// What was asked about.
        model: String,
        /// What there is.
        known: String,
    },
    /// It would be refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log refuses.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The append failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The schemas are not registered.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The system gives no random bytes.
    #[error(
        "the system gives no random bytes for the request's id: {0}; give it an idempotency key"
    )]
    Random(String),
}

/// Appends a request about a model to a topic of requests and waits for its answer.
///
/// # Errors
/// [`AskError`]; nothing was appended then, but after [`CommitError::Unknown`].
pub fn ask(
    store: &Store,
    project: &Project,
    topic_room: &str,
    model: &str,
    event: &Event,
    actor: &str,
) -> Result<Answer, AskError> {
    let ask = Ask {
        store,
        project,
        topic_room,
        model,
        event,
        actor,
        key: None,
        stop: &|| false,
    };
    Ok(ask.run()?.1)
}

/// A request, as a door has it.
pub(super) struct Ask<'a> {
    pub store: &'a Store,
    pub project: &'a Project,
    pub topic_room: &'a str,
    pub model: &'a str,
    pub event: &'a Event,
    pub actor: &'a str,
    /// Makes it one and the same, however often it is sent.
    pub key: Option<&'a str>,
    /// Asked between looks whether to stop waiting.
    pub stop: &'a dyn Fn() -> bool,
}

impl Ask<'_> {
    /// Appends the request, once, and waits for its answer; gives the request's id with it.
    pub fn run(&self) -> Result<(EventId, Answer), AskError> {
        check_model(self.project, self.model)?;
        let catalog = self.store.catalog(&self.project.name)?;
        let mut reader = self.store.log.reader()?;
        let id = self.id()?;
        let sent_before = self.key.is_some() && self.is_there(reader.as_mut(), &id)?;
        if !sent_before {
            self.check(&catalog)?;
        }
        let answers = self.answers();
        let mut from = 0;
        if let Some(answers) = &answers {
            let range = reader.range(answers)?;
            from = if self.key.is_some() {
                range.start
            } else {
                range.end
            };
        }
        if !sent_before {
            self.append(&catalog, reader.as_mut(), &id)?;
        }
        let event = match &answers {
            Some(answers) => self.wait(&catalog, reader.as_mut(), answers, from, &id)?,
            None => None,
        };
        Ok((id, event.map_or(Answer::Waiting(id), Answer::Caused)))
    }

    fn id(&self) -> Result<EventId, AskError> {
        Ok(match self.key {
            // The same key of another actor, or for another thing, is another request.
            Some(key) => {
                let parts = [
                    self.actor,
                    self.topic_room,
                    self.model,
                    self.event.name(),
                    key,
                ];
                EventId::named("request", parts.join("\0").as_bytes())
            }
            None => EventId::named("request", &random()?),
        })
    }

    /// What can be refused before it is asked. The room decides all the same: it may know more by then.
    fn check(&self, catalog: &Catalog) -> Result<(), AskError> {
        let standing = || Standing::read(self.store, catalog, self.project, self.model);
        match self.event {
            Event::PromotionAsked(asked) => match standing()?.refuses(&asked.version) {
                Some(refused) => Err(refused.into()),
                None => Ok(()),
            },
            Event::RollbackAsked(_) if standing()?.champions.len() < 2 => {
                Err(Refused::NothingBefore.into())
            }
            _ => Ok(()),
        }
    }

    fn requests(&self) -> Partition {
        let topic = topics::fixed(&self.project.name, self.topic_room);
        Partition::new(&topic, partition_of(self.model.as_bytes(), 1))
    }

    /// Where the answers of a room of requests come.
    fn answers(&self) -> Option<Partition> {
        let room = match self.topic_room {
            "requests.trigger" => "triggers",
            "requests.rollout" => "deployments",
            _ => return None,
        };
        Some(Partition::new(&topics::fixed(&self.project.name, room), 0))
    }

    /// Whether a request is in the log.
    fn is_there(&self, reader: &mut dyn Reader, id: &EventId) -> Result<bool, AskError> {
        let mut there = false;
        mainstem_kernel::worker::for_each(reader, &self.requests(), |record| {
            there |= attribute::<EventId>(&record, "ce_id") == Some(*id);
            Ok(())
        })?;
        Ok(there)
    }

    /// Appends the request. Whoever takes the writer's name over fences the others, looks, and writes: so two that send
    /// the same request at once write it once.
    fn append(
        &self,
        catalog: &Catalog,
        reader: &mut dyn Reader,
        id: &EventId,
    ) -> Result<(), AskError> {
        let (mut batch, mut value) = (Batch::new(), Vec::new());
        self.event.encode(catalog, &mut value)?;
        let time = match self.project.clock {
            Clock::Wall => wall(),
            Clock::Stream => last_tick(catalog, reader, &self.project.name)?,
        };
        let envelope = Envelope {
            id: *id,
            kind: self.event.name().into(),
            source: "gateway".into(),
            time,
            actor: Some(self.actor.into()),
            correlation: Some(*id),
            ..Envelope::default()
        };
        envelope.push(&mut batch, Some(self.model.as_bytes()), &value);
        let records = [(self.requests(), batch)];
        for _ in 0..TRIES {
            let mut writer = self.store.log.writer("requests")?;
            if self.key.is_some() && self.is_there(reader, id)? {
                return Ok(());
            }
            match writer.append(&records) {
                Err(CommitError::Fenced(_) | CommitError::Aborted(_)) => {}
                done => return Ok(done?),
            }
        }
        Err(CommitError::Aborted(format!("{TRIES} times running")).into())
    }

    fn wait(
        &self,
        catalog: &Catalog,
        reader: &mut dyn Reader,
        answers: &Partition,
        mut from: u64,
        id: &EventId,
    ) -> Result<Option<Event>, AskError> {
        let limit = match self.project.clock {
            Clock::Wall => LIMIT,
            Clock::Stream => LIMIT_OF_STREAM,
        };
        let end = Instant::now() + limit;
        let mut batch = Batch::new();
        loop {
            let seen = self.store.log.seen();
            batch.clear();
            reader.fetch(answers, from, FetchLimit::default(), &mut batch)?;
            for record in batch.iter() {
                from = record.offset + 1;
                if attribute::<EventId>(&record, "ce_causationid") != Some(*id) {
                    continue;
                }
                let event = Event::decode(catalog, record.value.unwrap_or_default())?;
                if answers_it(&event) {
                    return Ok(Some(event));
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if batch.is_empty() && (left.is_zero() || (self.stop)()) {
                return Ok(None);
            }
            if batch.is_empty() {
                self.store.log.wait(seen, LOOK.min(left));
            }
        }
    }
}

/// Whether an event says what became of a request, and not only what was done on the way.
fn answers_it(event: &Event) -> bool {
    !matches!(
        event,
        Event::DeploymentStarted(_) | Event::DeploymentEnded(_)
    )
}

/// Refuses a model that the project does not have.
pub(super) fn check_model(project: &Project, model: &str) -> Result<(), AskError> {
    if project.models.contains_key(model) {
        return Ok(());
    }
    let known = project
        .models
        .keys()
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    Err(AskError::UnknownModel {
        model: model.into(),
        known,
    })
}

/// Bytes that nobody else has.
pub(super) fn random() -> Result<[u8; 16], AskError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| AskError::Random(error.to_string()))?;
    Ok(bytes)
}

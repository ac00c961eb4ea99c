//! The room of copies: a topic that others write, as arrivals of a source.
//!
//! In come the records of one partition of a foreign topic; out go arrivals as a publication would have written them,
//! keyed by the entity, with the same encoding, checks and envelope. A record keeps its place as its id (source number,
//! partition and offset), or the hash of its `ce_id` and `ce_source` where it is a CloudEvent; its other headers are
//! kept, within bounds ([`headers`]). Nothing is asked of a producer: fields that the source does not declare are
//! passed by.
//!
//! Passed by are tombstones, which are no event of an entity, and other event types than the source takes
//! ([`sort`](sort::Sorter)). What cannot be read goes to `quarantine`, with its origin, its bytes and the reason; the
//! records after it go on.
//!
//! Avro is read with its writer's schema. An outside registry's is copied into the topic `schemas` before its first use:
//! until it is there the task stands still ([`CopyMachine::needs`](mainstem_kernel::Machine::needs)).
//!
//! The room remembers nothing, so that a task is rebuilt without records that their topic may have forgotten.
//! The next room is [`features`](crate::features).

mod headers;
mod key;
mod sort;
mod value;
mod wire_schema;

use mainstem_columns::rows::{Encoder, Good, Outside};
use mainstem_columns::source_schema;
use mainstem_kernel::task::TaskId;
use mainstem_kernel::{Context, Machine, Need, Outbox, Run};
use mainstem_schemas::catalog::fingerprint;
use mainstem_schemas::definition::{Entity, EventTime, KeyFormat, Project, Source, digest_of};
use mainstem_schemas::{Digest, EventId, Millis, RecordRef, wire};
use serde::{Deserialize, Serialize};

use crate::arrivals::{self, MAX_KEY, Refusal, Refuser};
use sort::{Sort, Sorter};
use value::Values;
use wire_schema::Writers;

/// Outputs of the room.
const ARRIVALS: usize = 0;
const QUARANTINE: usize = 1;

/// Copies one partition of a source's topic.
#[derive(Clone, Debug)]
pub struct CopyMachine {
    source: String,
    /// Subject of the arrivals' schema.
    subject: String,
    name: String,
}

/// Nothing that any record left behind.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CopyState {
    #[serde(skip)]
    work: Option<Box<Work>>,
}

/// What is made from the definition, and made again after a restore.
#[derive(Debug)]
struct Work {
    encoder: Encoder,
    values: Values,
    sorter: Sorter,
    writers: Writers,
    key: Option<KeyFormat>,
    timestamp: bool,
    number: u16,
    /// Digest of the source's definition without what was observed.
    definition: Digest,
    fingerprint: Digest,
}

impl CopyMachine {
    /// The machine of a source.
    #[must_use]
    pub fn new(source: &str) -> Self {
        CopyMachine {
            source: source.into(),
            subject: format!("arrivals.{source}"),
            name: format!("copy/{source}"),
        }
    }

    fn prepare(&self, project: &Project) -> Result<Box<Work>, String> {
        let name = &self.source;
        let source = project.sources.get(name);
        let source = source.ok_or_else(|| format!("the definition has no source {name}"))?;
        let topic = source.topic.as_ref();
        let topic = topic.ok_or_else(|| format!("the source {name} has no topic"))?;
        Ok(Box::new(Work {
            encoder: Encoder::new(name, source).map_err(|bad| bad.to_string())?,
            values: Values::new(topic.format, source)?,
            sorter: Sorter::new(topic)?,
            writers: Writers::new(topic),
            key: match source.entity {
                Entity::Key(format) => Some(format),
                _ => None,
            },
            timestamp: source.time == EventTime::Timestamp,
            number: source.number,
            definition: digest_of(&unobserved(source)),
            fingerprint: fingerprint(&source_schema(&project.name, name, source))?,
        }))
    }
}

/// A source as the project file has it.
fn unobserved(source: &Source) -> Source {
    let mut source = source.clone();
    if let Some(topic) = &mut source.topic {
        topic.partitions = 0;
    }
    source
}

impl Machine for CopyMachine {
    const VERSION: u32 = 1;
    type State = CopyState;

    fn define(&self, state: &mut CopyState, _project: &Project) {
        state.work = None;
    }

    fn needs(&self, _state: &CopyState, cx: &Context<'_>, run: Option<&Run<'_>>) -> Vec<Need> {
        let source = cx.project.sources.get(&self.source);
        match (source, run) {
            (Some(source), Some(run)) => wire_schema::needs(cx.catalog, source, run.batch),
            _ => Vec::new(),
        }
    }

    fn fold(&self, state: &mut CopyState, cx: &Context<'_>, run: &Run<'_>, out: &mut Outbox) {
        let work = state
            .work
            .take()
            .map_or_else(|| self.prepare(cx.project), Ok);
        let mut work = match work {
            Ok(work) => work,
            Err(why) => return out.fault(why),
        };
        let Some(schema) = cx.catalog.id_with(&self.subject, &work.fingerprint) else {
            let subject = &self.subject;
            return out.fault(format!(
                "the schema of {subject} is not registered; run `mainstem apply`"
            ));
        };
        let input = cx.spec.inputs.get(run.input);
        let partition = input.map_or(0, |input| input.partition.index);
        let definition = work.definition;
        let refuser = Refuser {
            input: run.input,
            output: QUARANTINE,
            definition: &definition,
            name: &self.name,
        };
        for record in run.batch.iter() {
            let origin = work.origin(&record, partition);
            match work.read(cx, &record) {
                Ok(None) => {}
                Ok(Some(good)) => {
                    let by = (&cx.spec.id, self.source.as_str());
                    work.write(by, schema, origin, &good, &record, out);
                }
                Err(refusal) => {
                    let outside = arrivals::Outside { origin, time: None };
                    refuser.quarantine(cx, &record, Some(outside), &refusal, out);
                }
            }
        }
        state.work = Some(work);
    }
}

impl Work {
    /// A CloudEvent has a name of its own; any other record is known by its place.
    fn origin(&self, record: &RecordRef<'_>, partition: u32) -> EventId {
        let text = |name| {
            let text = std::str::from_utf8(record.header(name)?).ok()?;
            (!text.is_empty()).then_some(text)
        };
        match (text("ce_source"), text("ce_id")) {
            (Some(source), Some(id)) => EventId::named(source, id.as_bytes()),
            _ => EventId::foreign(self.number, partition, record.offset),
        }
    }

    /// The record as a row of the source; nothing where it is passed by.
    fn read(&mut self, cx: &Context<'_>, record: &RecordRef<'_>) -> Result<Option<Good>, Refusal> {
        let Some(value) = record.value else {
            return Ok(None);
        };
        if self
            .sorter
            .sort(cx.catalog, &mut self.writers, record, value)?
            == Sort::Other
        {
            return Ok(None);
        }
        let key = match self.key {
            None => None,
            Some(format) => key::text(format, record.key, cx.catalog, &mut self.writers)?,
        };
        let time = (self.timestamp && record.timestamp >= 0).then_some(Millis(record.timestamp));
        self.encoder.set_outside(Outside { key, time });
        let good = self
            .values
            .row(cx.catalog, &mut self.writers, &mut self.encoder, value)?;
        if good.key.len() > MAX_KEY {
            return Err(Refusal::LongKey(good.key.len()));
        }
        Ok(Some(good))
    }

    fn write(
        &self,
        (task, source): (&TaskId, &str),
        schema: u32,
        origin: EventId,
        good: &Good,
        record: &RecordRef<'_>,
        out: &mut Outbox,
    ) {
        let (id, time) = (origin.to_string(), good.event_time.to_string());
        let own = [
            ("ce_specversion", &b"1.0"[..]),
            ("ce_id", id.as_bytes()),
            ("ce_type", source.as_bytes()),
            ("ce_source", task.0.as_bytes()),
            ("ce_time", time.as_bytes()),
        ];
        let write = |value: &mut Vec<u8>| {
            wire::put_header(value, schema);
            value.extend_from_slice(&good.body);
        };
        let headers = own.into_iter().chain(headers::kept(record));
        out.put_with(ARRIVALS, &good.key, write, headers);
    }
}

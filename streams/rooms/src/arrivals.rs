//! Arrivals as every room reads them: whom they are about, when, which row; and where those go that cannot be read.

use std::collections::BTreeMap;

use mainstem_columns::rows::Fault;
use mainstem_columns::{BadRecord, Columns, FlatDecoder, Layout, Unreadable};
use mainstem_kernel::machine::Context;
use mainstem_kernel::outbox::{Head, Outbox};
use mainstem_schemas::events::{Event, KeyBytes, RecordQuarantined};
use mainstem_schemas::wire::{self, NotWire};
use mainstem_schemas::{Catalog, Digest, EventId, Millis, RecordRef};

/// Longest key in bytes: it is kept with each entity, and travels with whatever follows from a record.
pub const MAX_KEY: usize = 1 << 10;

/// Bytes of a value that the topic `quarantine` keeps, as `rejects.<source>` does: a record may be as long as the log
/// takes, and one that holds it whole beside the reason would be longer.
pub const KEPT_BYTES: usize = 64 << 10;

/// Characters of a reason that are kept: it may quote a foreign schema.
const KEPT_REASON: usize = 4 << 10;

/// Why a record is not taken: what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Nobody knows whom it is about.
    #[error("it has no key; write the entity as the record's key")]
    NoKey,
    /// A key that is no name.
    #[error(
        "its key has {0} bytes, and {MAX_KEY} is the limit; write a shorter name of the entity, or a digest of it, as the key"
    )]
    LongKey(usize),
    /// A key in another encoding.
    #[error("its key is not UTF-8; write the entity as text")]
    KeyNotText,
    /// Nobody knows when it happened.
    #[error("it has no header ce_time; write the event time there, as 1996-08-19T04:00:00Z")]
    NoTime,
    /// A header that is no time.
    #[error("its header ce_time is no time; write it as 1996-08-19T04:00:00Z")]
    BadTime,
    /// A clock gone wrong, or log time that stands still.
    #[error(
        "its event time {0} is more than a day ahead of log time; check the writer's clock, or publish with a pace that moves log time"
    )]
    Ahead(Millis),
    /// A duplicate, a correction or a late record.
    #[error(
        "its event time {time} is equal to or older than {newest}, the newest of its entity, so that windows have passed it; publish an entity's records in the order of their event times, each once"
    )]
    NotNewer {
        /// Event time of the record.
        time: Millis,
        /// The newest event time of the entity.
        newest: Millis,
    },
    /// No room for another.
    #[error(
        "its entity is new, and {0} are remembered in this partition, which is the limit; choose entities that are finite in number, or more partitions"
    )]
    TooManyEntities(usize),
    /// A tombstone.
    #[error("it has no value; write a record")]
    NoValue,
    /// Not in the wire format.
    #[error(transparent)]
    NotWire(#[from] NotWire),
    /// A schema that the log does not have.
    #[error(
        "schema id {0} is not registered in the topic `schemas`; register the writer's schema before writing with it"
    )]
    UnknownSchema(u32),
    /// A schema that Avro does not read.
    #[error("schema id {id} is no Avro schema: {why}")]
    NotAvro {
        /// The id.
        id: u32,
        /// The parser's words.
        why: String,
    },
    /// A schema that cannot give what the room reads.
    #[error("schema id {id}: {why}")]
    Schema {
        /// The id.
        id: u32,
        /// What is missing.
        why: Unreadable,
    },
    /// A body that does not follow its schema.
    #[error(transparent)]
    Body(#[from] BadRecord),
    /// Values that do not fit the source.
    #[error(transparent)]
    Row(#[from] Fault),
    /// A key in another encoding than the source says.
    #[error("its key is {what}; {remedy}")]
    Key {
        /// What it is.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A record of a topic that is read in place, in the partition of another key.
    #[error(
        "it lies in partition {partition}, and Java's partitioner (murmur2 of the key) gives {belongs}: a topic that is read in place must be partitioned so; set the producer's partitioner (for librdkafka `partitioner=murmur2_random`), or read the topic as a new source with `read: copy`"
    )]
    Elsewhere {
        /// Where it lies.
        partition: u32,
        /// Where its key belongs.
        belongs: u32,
    },
    /// A value that is no record of the event types to be told apart.
    #[error("{0}")]
    Unsorted(String),
    /// A schema that an outside registry did not have as Avro.
    #[error(
        "the schema registry had no Avro schema of id {0} when it was asked; write the record with an Avro serialiser that uses that registry"
    )]
    NotInRegistry(u32),
    /// A label that is no class.
    #[error("its label {column} is {value}; a binary label is 0 or 1, false or true")]
    NotBinary {
        /// The column.
        column: String,
        /// What it holds.
        value: f64,
    },
    /// A model that has no answer.
    #[error("version {version} gave no number for this row; see that it takes missing inputs")]
    NoAnswer {
        /// The version.
        version: String,
    },
    /// A derived topic that somebody else wrote to.
    #[error("{0}; let nobody but the topic's own task write to it")]
    NotOurs(String),
}

/// The outside of an arrival.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Whom it is about: the key.
    pub entity: &'a str,
    /// Event time.
    pub time: Millis,
    /// Id of the row, or of its position in a foreign topic.
    pub origin: EventId,
    /// Id of the schema it was written with.
    pub schema: u32,
    /// The record.
    pub body: &'a [u8],
}

/// What the headers say, as far as they do.
#[derive(Clone, Copy, Debug)]
pub struct Outside {
    /// Id of the row, or of its position in a foreign topic.
    pub origin: EventId,
    /// Event time, where there is one.
    pub time: Option<Millis>,
}

/// Reads the outside of an arrival: headers, key and the value's five bytes of header. `number` is the source's,
/// `horizon` the event time beyond which a record is refused.
pub fn open<'a>(
    record: &RecordRef<'a>,
    number: u16,
    partition: u32,
    horizon: Millis,
) -> (Outside, Result<Arrival<'a>, Refusal>) {
    let (mut id, mut source, mut time) = (None, &b""[..], None);
    for (name, value) in record.raw_headers() {
        match name {
            b"ce_id" => id = Some(value),
            b"ce_source" => source = value,
            b"ce_time" => time = Some(moment(value)),
            _ => {}
        }
    }
    let origin = match id {
        Some(id) => EventId::of_header(id, source),
        None => EventId::foreign(number, partition, record.offset),
    };
    let outside = Outside {
        origin,
        time: time.flatten(),
    };
    (outside, inside(record, origin, time, horizon))
}

fn moment(text: &[u8]) -> Option<Millis> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn inside<'a>(
    record: &RecordRef<'a>,
    origin: EventId,
    time: Option<Option<Millis>>,
    horizon: Millis,
) -> Result<Arrival<'a>, Refusal> {
    let key = record.key.ok_or(Refusal::NoKey)?;
    if key.len() > MAX_KEY {
        return Err(Refusal::LongKey(key.len()));
    }
    let entity = std::str::from_utf8(key).map_err(|_| Refusal::KeyNotText)?;
    let time = time.ok_or(Refusal::NoTime)?.ok_or(Refusal::BadTime)?;
    if time > horizon {
        return Err(Refusal::Ahead(time));
    }
    let (schema, body) = wire::split(record.value.ok_or(Refusal::NoValue)?)?;
    Ok(Arrival {
        entity,
        time,
        origin,
        schema,
        body,
    })
}

/// As [`open`], for whom it does not matter which row it is: the arrival's origin is nothing.
///
/// # Errors
/// [`Refusal`]; [`open`] says the outside of the same record.
pub fn inside_of<'a>(record: &RecordRef<'a>, horizon: Millis) -> Result<Arrival<'a>, Refusal> {
    // The last of that name counts, as in `open`.
    let time = record.raw_headers().filter(|(name, _)| *name == b"ce_time");
    inside(
        record,
        EventId::default(),
        time.last().map(|(_, text)| moment(text)),
        horizon,
    )
}

/// Decoders of every writer's schema that came by, all into one layout.
#[derive(Debug)]
pub struct Decoders {
    layout: Layout,
    by_schema: BTreeMap<u32, Result<FlatDecoder, Unreadable>>,
}

impl Decoders {
    /// Decoders into `layout`.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Decoders {
            layout,
            by_schema: BTreeMap::new(),
        }
    }

    /// Appends the record that a body holds. A refused one leaves the columns as they were.
    ///
    /// # Errors
    /// [`Refusal`], by field where it is about one.
    pub fn append(
        &mut self,
        catalog: &Catalog,
        schema: u32,
        body: &[u8],
        columns: &mut Columns,
    ) -> Result<(), Refusal> {
        if !self.by_schema.contains_key(&schema) {
            let known = catalog
                .known(schema)
                .ok_or(Refusal::UnknownSchema(schema))?;
            let writer = known
                .schema()
                .map_err(|why| Refusal::NotAvro { id: schema, why })?;
            self.by_schema
                .insert(schema, FlatDecoder::compile(writer, &self.layout));
        }
        match self.by_schema.get(&schema) {
            Some(Ok(decoder)) => Ok(decoder.append(body, columns)?),
            Some(Err(why)) => Err(Refusal::Schema {
                id: schema,
                why: why.clone(),
            }),
            None => Err(Refusal::UnknownSchema(schema)),
        }
    }
}

/// Who refuses, in words that make the id of the quarantined record its own.
#[derive(Clone, Copy, Debug)]
pub struct Refuser<'a> {
    /// Rank of the input that held the record.
    pub input: usize,
    /// Rank of the output `quarantine`.
    pub output: usize,
    /// Digest of the definition of the view or model.
    pub definition: &'a Digest,
    /// Room and object; what else tells two refusals of one record apart.
    pub name: &'a str,
}

impl Refuser<'_> {
    /// Writes a refused record to the topic `quarantine`, the first [`KEPT_BYTES`] of its value and [`MAX_KEY`] of its
    /// key. A record without an origin is known by its bytes: a position enters no id.
    pub fn quarantine(
        &self,
        cx: &Context<'_>,
        record: &RecordRef<'_>,
        outside: Option<Outside>,
        refusal: &Refusal,
        out: &mut Outbox,
    ) {
        let value = record.value.unwrap_or_default();
        let digest = Digest::of(value);
        let origin = outside.map(|outside| outside.origin);
        let partition = cx.spec.inputs.get(self.input).map(|input| &input.partition);
        let event = RecordQuarantined {
            topic: partition.map_or_else(String::new, |partition| partition.topic.to_string()),
            origin,
            key: record.key.map(|key| KeyBytes {
                bytes: first(key, MAX_KEY),
                length: key.len() as i64,
            }),
            value: first(value, KEPT_BYTES),
            length: value.len() as i64,
            digest,
            schema_id: wire::split(value)
                .ok()
                .and_then(|(id, _)| i32::try_from(id).ok()),
            reason: refusal.to_string().chars().take(KEPT_REASON).collect(),
            task: cx.spec.id.0.clone(),
            observed_partition: partition.map_or(0, |partition| partition.index as i32),
            observed_offset: record.offset as i64,
        };
        let known_by = origin
            .as_ref()
            .map_or(&digest.0[..], |origin| &origin.0[..]);
        let head = Head {
            id: cx.derive(self.output, self.definition, known_by, self.name.as_bytes()),
            time: outside
                .and_then(|outside| outside.time)
                .unwrap_or(cx.tick.time),
            correlation: origin,
            causation: origin,
        };
        let key = origin.map_or_else(|| cx.spec.id.0.clone(), |origin| origin.to_string());
        out.event(cx, self.output, key.as_bytes(), &Event::from(event), head);
    }
}

fn first(bytes: &[u8], limit: usize) -> Vec<u8> {
    bytes[..bytes.len().min(limit)].to_vec()
}

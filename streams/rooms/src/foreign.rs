//! Records of topics that others write, as arrivals of a source: what the room of copies writes down, and what the
//! rooms that read a topic in place see.
//!
//! A [`Translator`] reads one record: the same encoding and checks as a publication's, so that nothing after it knows
//! the difference. A record keeps its place as its id (source number, partition and offset), or the hash of its `ce_id`
//! and `ce_source` where it is a CloudEvent. Nothing is asked of a producer: fields that the source does not declare are
//! passed by, and so are tombstones, which are no event of an entity, and other event types than the source takes
//! ([`sort`](sort::Sorter)).
//!
//! Avro is read with its writer's schema. An outside registry's is copied into the topic `schemas` before its first use:
//! until it is there the task stands still ([`needs`]).
//!
//! [`InPlace`] makes a run of such a topic the arrivals that a copy would have written, in memory; [`incoming`] hands a
//! room its records, wherever they come from.

mod headers;
mod in_place;
mod key;
mod sort;
mod value;
mod wire_schema;

use mainstem_columns::rows::{Encoder, Good, Outside};
use mainstem_columns::source_schema;
use mainstem_schemas::catalog::fingerprint;
use mainstem_schemas::definition::{Entity, EventTime, KeyFormat, Project, Source};
use mainstem_schemas::{Catalog, Digest, EventId, Millis, RecordRef};

use crate::arrivals::{MAX_KEY, Refusal};
pub(crate) use headers::kept;
pub(crate) use in_place::needs_in_place;
pub use in_place::{Given, InPlace, incoming};
use sort::{Sort, Sorter};
use value::Values;
use wire_schema::Writers;
pub(crate) use wire_schema::needs;

/// Reads records of a source's topic.
#[derive(Debug)]
pub struct Translator {
    /// Subject of the arrivals' schema.
    subject: String,
    encoder: Encoder,
    values: Values,
    sorter: Sorter,
    writers: Writers,
    key: Option<KeyFormat>,
    timestamp: bool,
    number: u16,
    fingerprint: Digest,
}

/// The source of a name.
pub(crate) fn source<'a>(project: &'a Project, name: &str) -> Result<&'a Source, String> {
    let source = project.sources.get(name);
    source.ok_or_else(|| format!("the definition has no source {name}"))
}

impl Translator {
    /// A translator of a source's topic.
    ///
    /// # Errors
    /// Where the definition has no such source, or it has no topic.
    pub fn new(project: &Project, name: &str) -> Result<Self, String> {
        let source = source(project, name)?;
        let topic = source.topic.as_ref();
        let topic = topic.ok_or_else(|| format!("the source {name} has no topic"))?;
        Ok(Translator {
            subject: format!("arrivals.{name}"),
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
            fingerprint: fingerprint(&source_schema(&project.name, name, source))?,
        })
    }

    /// Id of the schema that arrivals are written with.
    ///
    /// # Errors
    /// Where it is not registered.
    pub fn schema(&self, catalog: &Catalog) -> Result<u32, String> {
        let id = catalog.id_with(&self.subject, &self.fingerprint);
        id.ok_or_else(|| {
            let subject = &self.subject;
            format!("the schema of {subject} is not registered; run `mainstem apply`")
        })
    }

    /// A CloudEvent has a name of its own; any other record is known by its place.
    #[must_use]
    pub fn origin(&self, record: &RecordRef<'_>, partition: u32) -> EventId {
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
    ///
    /// # Errors
    /// [`Refusal`] where it cannot be read.
    pub fn read(
        &mut self,
        catalog: &Catalog,
        record: &RecordRef<'_>,
    ) -> Result<Option<Good>, Refusal> {
        let Some(value) = record.value else {
            return Ok(None);
        };
        let sort = self
            .sorter
            .sort(catalog, &mut self.writers, record, value)?;
        if sort == Sort::Other {
            return Ok(None);
        }
        let key = match self.key {
            None => None,
            Some(format) => key::text(format, record.key, catalog, &mut self.writers)?,
        };
        let time = (self.timestamp && record.timestamp >= 0).then_some(Millis(record.timestamp));
        self.encoder.set_outside(Outside { key, time });
        let good = self
            .values
            .row(catalog, &mut self.writers, &mut self.encoder, value)?;
        if good.key.len() > MAX_KEY {
            return Err(Refusal::LongKey(good.key.len()));
        }
        Ok(Some(good))
    }
}

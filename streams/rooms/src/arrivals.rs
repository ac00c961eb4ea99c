//! Arrivals as every room reads them: whom they are about, when, which row; and where those go that cannot be read.

mod opener;
mod refusal;
mod sheet;
#[cfg(test)]
mod tests;

use apache_avro::Schema;
use mainstem_columns::{Columns, FlatDecoder, Layout, Unreadable};
use mainstem_kernel::machine::Context;
use mainstem_kernel::outbox::{Head, Outbox};
use mainstem_schemas::events::{Event, KeyBytes, RecordQuarantined};
use mainstem_schemas::{Catalog, Digest, RecordRef, wire};

pub use opener::{Arrival, Opener, Outside, origin_of, split};
pub use refusal::Refusal;
pub use sheet::{Sharing, Sheet};

/// Longest key in bytes: it is kept with each entity, and travels with whatever follows from a record.
pub const MAX_KEY: usize = 1 << 10;

/// Bytes of a value that the topic `quarantine` keeps, as `rejects.<source>` does: a record may be as long as the log
/// takes, and one that holds it whole beside the reason would be longer.
pub const KEPT_BYTES: usize = 64 << 10;

/// Characters of a reason that are kept: it may quote a foreign schema.
const KEPT_REASON: usize = 4 << 10;

/// Decoders of every writer's schema that came by, all into one layout.
#[derive(Debug)]
pub struct Decoders {
    layout: Layout,
    /// A source has few: what is looked up for every record is found sooner in a row than in a tree.
    by_schema: Vec<(u32, Result<FlatDecoder, Unreadable>)>,
}

impl Decoders {
    /// Decoders into `layout`.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Decoders {
            layout,
            by_schema: Vec::new(),
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
        Ok(self.of(catalog, schema)?.append(body, columns)?)
    }

    /// The decoder of a writer's schema.
    ///
    /// # Errors
    /// [`Refusal`] of a schema that is unknown, or cannot give what the layout wants.
    pub fn of(&mut self, catalog: &Catalog, schema: u32) -> Result<&FlatDecoder, Refusal> {
        let found = self.by_schema.iter().position(|(id, _)| *id == schema);
        let at = match found {
            Some(at) => at,
            None => {
                let decoder = FlatDecoder::compile(writer(catalog, schema)?, &self.layout);
                self.by_schema.push((schema, decoder));
                self.by_schema.len() - 1
            }
        };
        let (id, decoder) = &self.by_schema[at];
        decoder.as_ref().map_err(|why| Refusal::Schema {
            id: *id,
            why: why.clone(),
        })
    }
}

fn writer(catalog: &Catalog, id: u32) -> Result<&Schema, Refusal> {
    let known = catalog.known(id).ok_or(Refusal::UnknownSchema(id))?;
    known.schema().map_err(|why| Refusal::NotAvro { id, why })
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

//! Which records of a topic with several event types are the source's.

use mainstem_columns::{Columns, FlatDecoder, Kind, Layout, Wanted};
use mainstem_schemas::definition::{ForeignTopic, Format, Only};
use mainstem_schemas::{Catalog, RecordRef};
use serde_json::Value;
use std::collections::BTreeMap;

use super::wire_schema::Writers;
use crate::arrivals::Refusal;

/// Whose a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// The source's.
    Ours,
    /// Another event type.
    Other,
}

/// Tells event types apart.
#[derive(Debug)]
pub(super) struct Sorter {
    only: Option<Only>,
    format: Format,
    /// The field that tells, of each writer's schema that has it as text.
    layout: Layout,
    decoders: BTreeMap<u32, Option<FlatDecoder>>,
    columns: Columns,
}

impl Sorter {
    pub(super) fn new(topic: &ForeignTopic) -> Result<Self, String> {
        let field = match &topic.only {
            Some(Only::Field(name, _)) => Some(Wanted::optional(name, Kind::Text)),
            _ => None,
        };
        let layout = Layout::new(field).map_err(|error| error.to_string())?;
        Ok(Sorter {
            only: topic.only.clone(),
            format: topic.format,
            decoders: BTreeMap::new(),
            columns: Columns::new(&layout),
            layout,
        })
    }

    /// Sorts a record.
    ///
    /// # Errors
    /// [`Refusal`] where it cannot be told.
    pub(super) fn sort(
        &mut self,
        catalog: &Catalog,
        writers: &mut Writers,
        record: &RecordRef<'_>,
        value: &[u8],
    ) -> Result<Sort, Refusal> {
        let ours = match &self.only {
            None => true,
            Some(Only::Header(name, wanted)) => record.header(name) == Some(wanted.as_bytes()),
            Some(Only::Record(wanted)) => writers.name(catalog, value)? == *wanted,
            Some(Only::Field(name, wanted)) => match self.format {
                Format::Json => json(value, name)?.as_ref() == Some(wanted),
                Format::Avro => {
                    let wanted = wanted.clone();
                    self.field(catalog, writers, value)? == Some(wanted.as_str())
                }
            },
        };
        Ok(if ours { Sort::Ours } else { Sort::Other })
    }

    /// The field's text in an Avro record; nothing where its schema has no such field of text.
    fn field(
        &mut self,
        catalog: &Catalog,
        writers: &mut Writers,
        value: &[u8],
    ) -> Result<Option<&str>, Refusal> {
        let (id, body, schema) = writers.schema(catalog, value)?;
        let decoder = self
            .decoders
            .entry(id)
            .or_insert_with(|| FlatDecoder::compile(schema, &self.layout).ok());
        let Some(decoder) = decoder else {
            return Ok(None);
        };
        self.columns.clear();
        decoder.append(body, &mut self.columns)?;
        Ok(self.columns.text(0, 0))
    }
}

/// The text, or the whole number, of an object's key.
fn json(value: &[u8], name: &str) -> Result<Option<String>, Refusal> {
    let object: BTreeMap<String, Value> = serde_json::from_slice(value).map_err(|error| {
        Refusal::Unsorted(format!(
            "it is no JSON object, so its event type cannot be told: {error}; write one object a record"
        ))
    })?;
    Ok(match object.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::Bool(boolean)) => Some(boolean.to_string()),
        _ => None,
    })
}

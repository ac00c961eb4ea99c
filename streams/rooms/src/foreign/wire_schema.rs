//! The schemas that foreign values and keys were written with.

use std::collections::{BTreeMap, BTreeSet};

use apache_avro::Schema;
use mainstem_kernel::{Context, Need};
use mainstem_schemas::catalog::outside_subject;
use mainstem_schemas::definition::{Entity, ForeignTopic, Format, KeyFormat, Only, RegistryOf};
use mainstem_schemas::{Batch, Catalog, wire};

use super::key::wrong;
use crate::arrivals::Refusal;

/// Looks up the schemas of ids.
#[derive(Debug)]
pub(super) struct Writers {
    topic: String,
    registry: RegistryOf,
    /// Ids of an outside registry, with those that their copies have in this log.
    copied: BTreeMap<u32, u32>,
}

impl Writers {
    pub(super) fn new(topic: &ForeignTopic) -> Self {
        Writers {
            topic: topic.name.clone(),
            registry: topic.registry,
            copied: BTreeMap::new(),
        }
    }

    /// Id, body and schema of a value.
    ///
    /// # Errors
    /// [`Refusal`] where it is not in the wire format, or its schema is none that is known.
    pub(super) fn schema<'c, 'v>(
        &mut self,
        catalog: &'c Catalog,
        value: &'v [u8],
    ) -> Result<(u32, &'v [u8], &'c Schema), Refusal> {
        let (id, body) = wire::split(value)?;
        Ok((id, body, self.of_id(catalog, id)?))
    }

    fn of_id<'c>(&mut self, catalog: &'c Catalog, id: u32) -> Result<&'c Schema, Refusal> {
        let here = match (self.registry, self.copied.get(&id)) {
            (RegistryOf::Own, _) => Some(id),
            (RegistryOf::Outside, Some(copy)) => Some(*copy),
            (RegistryOf::Outside, None) => catalog.id_of(&outside_subject(&self.topic, id)),
        };
        let known = here.and_then(|here| Some((here, catalog.known(here)?)));
        let (here, known) = known.ok_or(Refusal::UnknownSchema(id))?;
        self.copied.insert(id, here);
        match known.schema() {
            // What is written down where the registry had no answer.
            Ok(Schema::Null) if self.registry == RegistryOf::Outside => {
                Err(Refusal::NotInRegistry(id))
            }
            Ok(schema) => Ok(schema),
            Err(why) => Err(Refusal::NotAvro { id, why }),
        }
    }

    /// Full name of the record that a value was written with; of another type none.
    ///
    /// # Errors
    /// As [`Writers::schema`].
    pub(super) fn name(&mut self, catalog: &Catalog, value: &[u8]) -> Result<String, Refusal> {
        let (_, _, schema) = self.schema(catalog, value)?;
        let name = schema.name().map(|name| name.fullname(None));
        Ok(name.unwrap_or_default())
    }

    /// A key's text.
    ///
    /// # Errors
    /// As [`Writers::schema`], or where it is no string, int or long.
    pub(super) fn key(
        &mut self,
        catalog: &Catalog,
        id: u32,
        body: &[u8],
    ) -> Result<String, Refusal> {
        let schema = self.of_id(catalog, id)?;
        mainstem_columns::key_text(schema, body).map_err(|why| wrong(why.to_string()))
    }
}

/// The schemas of an outside registry that a run was written with and that are not in the log yet.
pub(crate) fn needs(cx: &Context<'_>, source: &str, batch: &Batch) -> Vec<Need> {
    let source = cx.project.sources.get(source);
    let Some((source, topic)) = source.and_then(|source| Some((source, source.topic.as_ref()?)))
    else {
        return Vec::new();
    };
    if topic.registry == RegistryOf::Own {
        return Vec::new();
    }
    let keys = source.entity == Entity::Key(KeyFormat::Avro);
    let values = topic.format == Format::Avro;
    let mut ids = BTreeSet::new();
    for record in batch.iter().filter(|_| keys || values) {
        // Tombstones and other event types are not read.
        let other = match &topic.only {
            Some(Only::Header(name, wanted)) => record.header(name) != Some(wanted.as_bytes()),
            _ => false,
        };
        let Some(value) = record.value.filter(|_| !other) else {
            continue;
        };
        let key = record.key.filter(|_| keys);
        let written = key.into_iter().chain(Some(value).filter(|_| values));
        ids.extend(written.filter_map(|bytes| Some(wire::split(bytes).ok()?.0)));
    }
    let missing = |id: &u32| {
        cx.catalog
            .id_of(&outside_subject(&topic.name, *id))
            .is_none()
    };
    let source = source.number;
    let missing = ids.into_iter().filter(missing);
    missing.map(|id| Need::Schema { source, id }).collect()
}

//! The schemas of a log: ids are allotted by events of the topic `schemas`, so every reader gives them the same
//! meaning.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::OnceLock;

use apache_avro::Schema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::events::CONTRACTS;
use crate::registry::{RegistryFact, SchemaFact};

/// Largest id that a registry gives: clients hold them in 32 bits with a sign. What lies above stands for schemas that a
/// registry did not have.
pub const MAX_GIVEN: u32 = i32::MAX as u32;

/// A schema got its id: the one event in plain JSON, for it is needed to read the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaRegistered {
    /// Id in the wire format.
    pub id: u32,
    /// Subject: the record's name, or `<source>-value`, `<view>-value`.
    pub subject: String,
    /// Fingerprint: BLAKE3 of the canonical form, the same in every log.
    pub fingerprint: Digest,
    /// The Avro schema as JSON text.
    pub schema: String,
}

/// All schemas of a log up to some position of its topic `schemas`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    schemas: BTreeMap<u32, Known>,
    latest: BTreeMap<String, u32>,
}

/// A registered schema.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Known {
    /// Name of the record, without namespace.
    pub name: String,
    /// Subject that it was registered under.
    pub subject: String,
    /// Fingerprint of the schema.
    pub fingerprint: Digest,
    text: String,
    #[serde(skip)]
    parsed: OnceLock<Result<Schema, String>>,
    #[serde(skip)]
    is_contract: OnceLock<bool>,
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        (&self.subject, &self.text) == (&other.subject, &other.text)
    }
}

impl Known {
    /// The parsed schema.
    ///
    /// # Errors
    /// The parser's words, for a text that is no Avro schema.
    pub fn schema(&self) -> Result<&Schema, String> {
        let parse = || Schema::parse_str(&self.text).map_err(|error| error.to_string());
        self.parsed
            .get_or_init(parse)
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Whether it is the contract of its name: the first answer is kept. Most are, to the letter, and are not parsed.
    pub(crate) fn is_contract(&self, avsc: &str, contract: &Schema) -> bool {
        let same = || self.schema().is_ok_and(|schema| schema == contract);
        *self.is_contract.get_or_init(|| self.text == avsc || same())
    }
}

/// Why a schema cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schema of {subject} is not Avro: {why}")]
pub struct NotAvro {
    subject: String,
    why: String,
}

impl Catalog {
    /// Takes a fact of the topic `schemas`. A client's version can be read from now on and is no subject's latest: what
    /// the product writes with is its own to say.
    pub fn take(&mut self, fact: SchemaFact) {
        match fact {
            SchemaFact::Registered(event) => self.register(event),
            SchemaFact::Registry(RegistryFact::VersionRegistered(version)) => {
                self.know(SchemaRegistered {
                    schema: version.text().to_owned(),
                    id: version.id,
                    subject: version.subject,
                    fingerprint: version.fingerprint,
                });
            }
            SchemaFact::Registry(_) => {}
        }
    }

    /// Takes a registration of the product. The first fact of an id wins: ids are immutable. A subject goes back to an
    /// older id where an outside registry gives the same schema the same id again.
    pub fn register(&mut self, event: SchemaRegistered) {
        let known = self.schemas.get(&event.id);
        if known.is_none_or(|known| known.text == event.schema) {
            self.latest.insert(event.subject.clone(), event.id);
        }
        self.know(event);
    }

    fn know(&mut self, event: SchemaRegistered) {
        let name = record_name(&event.schema).unwrap_or_else(|| event.subject.clone());
        let Entry::Vacant(fresh) = self.schemas.entry(event.id) else {
            return;
        };
        fresh.insert(Known {
            name,
            subject: event.subject,
            fingerprint: event.fingerprint,
            text: event.schema,
            parsed: OnceLock::new(),
            is_contract: OnceLock::new(),
        });
    }

    /// The schema of an id.
    #[must_use]
    pub fn known(&self, id: u32) -> Option<&Known> {
        self.schemas.get(&id)
    }

    /// The latest id of a subject.
    #[must_use]
    pub fn id_of(&self, subject: &str) -> Option<u32> {
        self.latest.get(subject).copied()
    }

    /// The id of the subject's schema with that fingerprint.
    #[must_use]
    pub fn id_with(&self, subject: &str, fingerprint: &Digest) -> Option<u32> {
        let is = |known: &Known| known.subject == subject && known.fingerprint == *fingerprint;
        self.iter().find(|(_, known)| is(known)).map(|(id, _)| id)
    }

    /// Ids and schemas in the order of ids.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Known)> {
        self.schemas.iter().map(|(id, known)| (*id, known))
    }

    /// The first id after those that registries give.
    #[must_use]
    pub fn next_id(&self) -> u32 {
        let last = self.schemas.range(..=MAX_GIVEN).next_back();
        last.map_or(1, |(last, _)| last.saturating_add(1))
    }

    /// The event that would register a schema under the next id, or nothing where it is the subject's latest.
    ///
    /// # Errors
    /// [`NotAvro`] where the text is no Avro schema.
    pub fn plan(&self, subject: &str, schema: &str) -> Result<Option<SchemaRegistered>, NotAvro> {
        let fingerprint = fingerprint(schema).map_err(|why| NotAvro {
            subject: subject.into(),
            why,
        })?;
        let latest = self.id_of(subject).and_then(|id| self.known(id));
        if latest.is_some_and(|known| known.fingerprint == fingerprint) {
            return Ok(None);
        }
        Ok(Some(SchemaRegistered {
            id: self.next_id(),
            subject: subject.into(),
            fingerprint,
            schema: schema.into(),
        }))
    }

    /// Registers every event of this version of the product that is not there yet, and says what was added.
    ///
    /// # Errors
    /// [`NotAvro`], which the compiled contracts rule out.
    pub fn register_contracts(&mut self) -> Result<Vec<SchemaRegistered>, NotAvro> {
        let mut added = Vec::new();
        for (name, avsc) in CONTRACTS {
            if let Some(event) = self.plan(name, avsc)? {
                self.register(event.clone());
                added.push(event);
            }
        }
        Ok(added)
    }
}

/// Subject of a copied schema: `id` of the registry beside the foreign topic.
#[must_use]
pub fn outside_subject(topic: &str, id: u32) -> String {
    format!("outside/{topic}/{id}")
}

/// BLAKE3 of a schema's parsing canonical form.
///
/// # Errors
/// The parser's words.
pub fn fingerprint(schema: &str) -> Result<Digest, String> {
    let parsed = Schema::parse_str(schema).map_err(|error| error.to_string())?;
    Ok(Digest::of(parsed.canonical_form().as_bytes()))
}

fn record_name(schema: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let Named { name } = serde_json::from_str(schema).ok()?;
    Some(name.rsplit('.').next().unwrap_or(&name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client may register any name, also one of the product's.
    #[test]
    fn a_clients_version_is_read_and_never_written_with() {
        let schema = r#"{"type":"record","name":"Turn","fields":[]}"#;
        let mut catalog = Catalog::default();
        catalog.register_contracts().unwrap();
        let (id, ours) = (catalog.next_id(), catalog.id_of("Turn"));
        catalog.take(SchemaFact::Registry(RegistryFact::VersionRegistered(
            crate::registry::VersionRegistered {
                subject: "Turn".into(),
                version: 1,
                id,
                fingerprint: fingerprint(schema).unwrap(),
                schema: "a text with references".into(),
                references: Vec::new(),
                whole: Some(schema.into()),
            },
        )));
        assert!(catalog.known(id).unwrap().schema().is_ok());
        assert_eq!((catalog.id_of("Turn"), catalog.next_id()), (ours, id + 1));
    }

    #[test]
    fn the_first_schema_of_an_id_stays_and_no_subject_moves_to_anothers() {
        let schema = |name: &str| format!(r#"{{"type":"record","name":"{name}","fields":[]}}"#);
        let register = |catalog: &mut Catalog, id, subject: &str| {
            catalog.register(SchemaRegistered {
                id,
                subject: subject.into(),
                fingerprint: fingerprint(&schema(subject)).unwrap(),
                schema: schema(subject),
            });
        };
        let mut catalog = Catalog::default();
        register(&mut catalog, 1, "a");
        register(&mut catalog, 2, "b");
        let before = catalog.clone();
        register(&mut catalog, 1, "b");
        register(&mut catalog, 2, "c");
        assert_eq!(catalog, before);
        assert_eq!((catalog.id_of("b"), catalog.id_of("c")), (Some(2), None));
        let planned = catalog.plan("c", &schema("c")).unwrap().unwrap();
        assert_eq!(planned.id, 3);
    }
}

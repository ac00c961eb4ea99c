//! Requests: what a client wants, and the fact that would say so. Nothing changes before the fact is taken.

use std::collections::BTreeMap;

use mainstem_schemas::catalog::fingerprint;
use mainstem_schemas::registry::{Level, Mode, Reference, RegistryFact, VersionRegistered};

use crate::avro::{Invalid, Types};
use crate::change::refuse;
use crate::compatibility::{Incompatibility, Which, can_read};
use crate::error::RegistryError;
use crate::state::{Registered, Registry, Schema, Version};
use crate::text::{minified, normalised, record_name, whole};

/// Largest id and version that may be imported: clients hold them in 32 bits with a sign, and those that are given after it
/// must fit too.
const MAX_IMPORTED: u32 = 2_000_000_000;

/// Bytes of a schema with its references: it goes into one record, of which a broker takes 1 MiB by default, twice where it
/// has references.
const MAX_TEXT: usize = 400 << 10;

/// How deep references may refer on: chains of real schemas have a few.
const MAX_CHAIN: usize = 32;

/// A schema that a client sends.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// The schema.
    pub schema: String,
    /// Its type, where the client says one; Avro is the only one.
    pub kind: Option<String>,
    /// What it refers to.
    pub references: Vec<Reference>,
    /// Whether texts that mean the same are the same.
    pub normalize: bool,
    /// Id and version to take, where versions are imported.
    pub id: Option<u32>,
    /// The same.
    pub version: Option<u32>,
}

/// Whether those who read the subject's records for the product can read a schema: said by whoever knows them.
pub type Readable<'a> = &'a dyn Fn(&str, &str) -> Vec<Incompatibility>;

/// Which versions a schema is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// Those that the level asks for: the last one, or all.
    Level,
    /// The last one.
    Latest,
    /// This one.
    Version(u32),
}

/// What registering comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// The schema's id.
    pub id: u32,
    /// The subject's version.
    pub version: u32,
    /// The fact that makes it so; none where it is so already.
    pub fact: Option<RegistryFact>,
}

impl Registry {
    /// What registering a schema under a subject comes to.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn register(
        &self,
        subject: &str,
        wish: &Wish,
        readable: Readable<'_>,
    ) -> Result<Register, RegistryError> {
        let schema = self.understand(wish)?;
        if let Some(found) = self.find(subject, &schema, wish.normalize, false)
            && wish.id.is_none_or(|id| id == found.id)
        {
            let (id, version) = (found.id, found.version);
            return Ok(Register {
                id,
                version,
                fact: None,
            });
        }
        self.may_write(subject)?;
        let (id, version) = self.place(subject, wish, &schema)?;
        if self.mode(Some(subject)) != Mode::Import {
            let messages = self.misfits(subject, Against::Level, &schema, readable)?;
            if !messages.is_empty() {
                let subject = subject.into();
                return Err(RegistryError::Incompatible { subject, messages });
            }
        }
        let fingerprint = fingerprint(schema.whole()).map_err(|why| invalid(wish, why))?;
        let fact = RegistryFact::VersionRegistered(VersionRegistered {
            subject: subject.into(),
            version,
            id,
            fingerprint,
            schema: schema.text,
            references: schema.references,
            whole: schema.whole,
        });
        Ok(Register {
            id,
            version,
            fact: Some(fact),
        })
    }

    /// The id and the version that a new schema gets.
    fn place(
        &self,
        subject: &str,
        wish: &Wish,
        schema: &Schema,
    ) -> Result<(u32, u32), RegistryError> {
        let next = self.subject(subject).map_or(1, |found| found.next());
        let known = self.id_of(&schema.text, &schema.references);
        let Some(id) = wish.id else {
            if self.mode(Some(subject)) != Mode::Readwrite {
                return refuse(format!("Subject {subject} is not in read-write mode"));
            }
            return Ok((known.unwrap_or_else(|| self.next_id()), next));
        };
        if self.mode(Some(subject)) != Mode::Import {
            return refuse(format!("Subject {subject} is not in import mode"));
        }
        let taken = self.schemas.get(&id).is_some_and(|other| other != schema);
        if id == 0 || id > MAX_IMPORTED {
            return refuse(format!(
                "Id {id} cannot be imported; {MAX_IMPORTED} is the largest"
            ));
        }
        if taken {
            return refuse(format!(
                "Overwrite new schema with id {id} is not permitted."
            ));
        }
        let version = wish.version.unwrap_or(next);
        let is_there = self
            .subject(subject)
            .is_some_and(|found| found.versions.contains_key(&version));
        if is_there || version == 0 || version > MAX_IMPORTED {
            return refuse(format!(
                "Version {version} of subject {subject} is there already; import another"
            ));
        }
        Ok((id, version))
    }

    /// The version of a subject that a schema has.
    ///
    /// # Errors
    /// [`RegistryError::NoSubject`], [`RegistryError::NoSchema`], [`RegistryError::InvalidSchema`].
    pub fn lookup<'a>(
        &'a self,
        subject: &'a str,
        wish: &Wish,
        deleted: bool,
    ) -> Result<Registered<'a>, RegistryError> {
        self.versions(subject, deleted)?;
        let schema = self.understand(wish)?;
        let found = self.find(subject, &schema, wish.normalize, deleted);
        found.ok_or(RegistryError::NoSchema)
    }

    fn find<'a>(
        &'a self,
        subject: &'a str,
        schema: &Schema,
        normalize: bool,
        deleted: bool,
    ) -> Option<Registered<'a>> {
        let same = |id: u32| {
            self.schemas.get(&id).is_some_and(|known| {
                let texts = known.text == schema.text
                    || (normalize && normalised(&known.text).is_ok_and(|text| text == schema.text));
                texts && known.references == schema.references
            })
        };
        let is = |(_, version): &(u32, Version)| same(version.id);
        let shown = self.subject(subject)?.shown(deleted).rev().find(is)?;
        self.registered(subject, shown)
    }

    /// What keeps a schema from being the subject's next version, or from fitting one version; empty where nothing does.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSchema`], or no such version.
    pub fn test(
        &self,
        subject: &str,
        against: Against,
        wish: &Wish,
        readable: Readable<'_>,
    ) -> Result<Vec<String>, RegistryError> {
        if let Against::Version(number) = against {
            self.version(subject, Some(number), false)?;
        }
        let schema = self.understand(wish)?;
        self.misfits(subject, against, &schema, readable)
    }

    fn misfits(
        &self,
        subject: &str,
        against: Against,
        schema: &Schema,
        readable: Readable<'_>,
    ) -> Result<Vec<String>, RegistryError> {
        use Level::{
            Backward, BackwardTransitive, Forward, ForwardTransitive, Full, FullTransitive,
        };
        let level = self.level(Some(subject));
        if level == Level::None {
            return Ok(Vec::new());
        }
        let invalid = |Invalid(why)| RegistryError::InvalidSchema {
            kind: AVRO.into(),
            why,
        };
        let new = Types::parse(schema.whole()).map_err(invalid)?;
        let transitive = matches!(
            level,
            BackwardTransitive | ForwardTransitive | FullTransitive
        );
        let backward = matches!(level, Backward | BackwardTransitive | Full | FullTransitive);
        let forward = matches!(level, Forward | ForwardTransitive | Full | FullTransitive);
        let mut messages: Vec<String> = readable(subject, schema.whole())
            .iter()
            .map(ToString::to_string)
            .collect();
        let shown = self
            .subject(subject)
            .into_iter()
            .flat_map(|found| found.shown(false));
        let mut olds: Vec<(u32, Version)> = shown.collect();
        match against {
            Against::Version(number) => olds.retain(|(one, _)| *one == number),
            Against::Level if transitive => {}
            Against::Level | Against::Latest => {
                olds.drain(..olds.len().saturating_sub(1));
            }
        }
        for shown in olds.into_iter().rev() {
            let Some(old) = self.registered(subject, shown) else {
                continue;
            };
            let types = Types::parse(old.schema.whole()).map_err(invalid)?;
            let mut found = Vec::new();
            if backward {
                found.extend(can_read(&new, &types, Which::NewReads));
            }
            if forward {
                found.extend(can_read(&types, &new, Which::OldReads));
            }
            if !found.is_empty() {
                messages.extend(found.iter().map(ToString::to_string));
                messages.push(format!("{{oldSchemaVersion: {}}}", old.version));
                messages.push(format!("{{oldSchema: '{}'}}", old.schema.text));
            }
        }
        if !messages.is_empty() {
            messages.push(format!("{{compatibility: '{level}'}}"));
        }
        Ok(messages)
    }

    /// A client's schema as the registry keeps it.
    fn understand(&self, wish: &Wish) -> Result<Schema, RegistryError> {
        if let Some(kind) = wish.kind.as_deref().filter(|kind| *kind != AVRO) {
            let why = "this registry keeps Avro schemas only; leave schemaType out, or say AVRO"
                .to_owned();
            return Err(RegistryError::InvalidSchema {
                kind: kind.into(),
                why,
            });
        }
        let told = |Invalid(why)| invalid(wish, why);
        if wish.schema.len() > 2 * MAX_TEXT {
            return Err(invalid(wish, format!("it has more than {MAX_TEXT} bytes")));
        }
        let mut text = minified(&wish.schema)
            .or_else(|why| plain(&wish.schema).ok_or(why))
            .map_err(told)?;
        let mut references = wish.references.clone();
        references.sort();
        let whole = if references.is_empty() {
            None
        } else {
            let mut referred = BTreeMap::new();
            self.gather(&references, &mut referred, 0)
                .map_err(|why| invalid(wish, why))?;
            Some(whole(&text, &referred).map_err(told)?)
        };
        let all = whole.as_deref().unwrap_or(&text);
        if all.len() > MAX_TEXT {
            let why = format!(
                "it has {} bytes with its references, and {MAX_TEXT} is the limit",
                all.len()
            );
            return Err(invalid(wish, why));
        }
        Types::parse(all).map_err(told)?;
        if wish.normalize {
            text = normalised(&text).map_err(told)?;
        }
        Ok(Schema {
            text,
            references,
            whole,
        })
    }

    fn gather(
        &self,
        references: &[Reference],
        into: &mut BTreeMap<String, String>,
        chain: usize,
    ) -> Result<(), String> {
        if chain > MAX_CHAIN {
            return Err(format!(
                "its references refer on more than {MAX_CHAIN} times"
            ));
        }
        for Reference {
            name,
            subject,
            version,
        } in references
        {
            let found = self.version(subject, Some(*version), true).map_err(|_| {
                format!("No schema reference found for subject \"{subject}\" and version {version}; register it first")
            })?;
            let text = &found.schema.text;
            if into
                .insert(
                    record_name(text).unwrap_or_else(|| name.clone()),
                    text.clone(),
                )
                .is_none()
            {
                self.gather(&found.schema.references, into, chain + 1)?;
            }
        }
        Ok(())
    }
}

/// The type of schemas that are kept.
const AVRO: &str = "AVRO";

/// A primitive's bare name, which clients may send without quotation marks.
fn plain(text: &str) -> Option<String> {
    let name = text.trim();
    crate::avro::Primitive::of_name(name).map(|_| format!("\"{name}\""))
}

fn invalid(wish: &Wish, why: String) -> RegistryError {
    let kind = wish.kind.clone().unwrap_or_else(|| AVRO.into());
    RegistryError::InvalidSchema { kind, why }
}

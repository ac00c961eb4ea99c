//! What the facts of the topic `schemas` fold to: subjects, versions, ids, levels and modes.
//!
//! *Subjects.* What the product registers appears under the subject that clients of the topic look for: a source's schema
//! under `<project>.arrivals.<source>-value`, a view's under `<project>.features.<view>-value`, an event's under its full
//! name, for most control topics hold several types; and, where a topic holds one type only, under `<topic>-value` too.
//! Of all of these only arrivals take versions of clients: the others are written by the product alone.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use mainstem_schemas::catalog::{MAX_GIVEN, SchemaRegistered};
use mainstem_schemas::definition::Project;
use mainstem_schemas::registry::{
    Level, Mode, Reference, RegistryFact, SchemaFact, VersionRegistered,
};

use crate::text::{minified, record_name};

/// Topics that hold one type of event, whole or by object.
const SINGLE: [(&str, &str); 7] = [
    ("definitions", "DefinitionApplied"),
    ("profiles", "ProfileMeasured"),
    ("quarantine", "RecordQuarantined"),
    ("turns", "Turn"),
    ("snapshots", "SnapshotTaken"),
    ("rejects", "RecordRejected"),
    ("predictions", "PredictionMade"),
];

/// A schema as clients get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The Avro schema, without white space between its parts.
    pub text: String,
    /// What it refers to.
    pub references: Vec<Reference>,
    /// The text with its references in it, where it has any.
    pub whole: Option<String>,
}

impl Schema {
    /// The text that records are read by.
    #[must_use]
    pub fn whole(&self) -> &str {
        self.whole.as_deref().unwrap_or(&self.text)
    }
}

/// A version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered<'a> {
    /// Subject.
    pub subject: &'a str,
    /// Version.
    pub version: u32,
    /// Id in the wire format.
    pub id: u32,
    /// The schema.
    pub schema: &'a Schema,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub id: u32,
    pub hidden: bool,
    /// The product registered it.
    pub own: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    pub versions: BTreeMap<u32, Version>,
}

/// The registry up to some offset of the topic `schemas`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    project: String,
    pub(crate) schemas: BTreeMap<u32, Schema>,
    ids: BTreeMap<(String, Vec<Reference>), u32>,
    pub(crate) subjects: BTreeMap<String, Subject>,
    /// Subjects that are another name of an event's.
    aliases: BTreeMap<String, String>,
    pub(crate) levels: BTreeMap<Option<String>, Level>,
    pub(crate) modes: BTreeMap<Option<String>, Mode>,
}

impl Subject {
    pub fn next(&self) -> u32 {
        let last = self.versions.keys().next_back();
        last.map_or(1, |last| last.saturating_add(1))
    }

    /// Versions in order, hidden ones too where they are wanted.
    pub fn shown(&self, hidden: bool) -> impl DoubleEndedIterator<Item = (u32, Version)> {
        let shown = move |(_, version): &(&u32, &Version)| hidden || !version.hidden;
        self.versions
            .iter()
            .filter(shown)
            .map(|(number, version)| (*number, *version))
    }
}

impl Registry {
    /// Of a project, before the first fact.
    #[must_use]
    pub fn new(project: &str) -> Self {
        Registry {
            project: project.into(),
            ..Registry::default()
        }
    }

    /// Takes a fact.
    pub fn take(&mut self, fact: SchemaFact) {
        match fact {
            SchemaFact::Registered(event) => self.take_own(event),
            SchemaFact::Registry(fact) => self.take_asked(fact),
        }
    }

    fn take_own(&mut self, event: SchemaRegistered) {
        let (id, subject) = (
            event.id,
            own_subject(&self.project, &event.subject, &event.schema),
        );
        let text = self.know(id, &event.schema, Vec::new(), None);
        if self.schemas.get(&id).is_none_or(|known| known.text != text) {
            return;
        }
        let (hidden, own) = (false, true);
        let subject = self.subjects.entry(subject).or_default();
        if subject
            .shown(true)
            .next_back()
            .is_none_or(|(_, last)| last.id != id)
        {
            subject
                .versions
                .insert(subject.next(), Version { id, hidden, own });
        }
    }

    fn take_asked(&mut self, fact: RegistryFact) {
        match fact {
            RegistryFact::VersionRegistered(version) => self.take_version(version),
            RegistryFact::VersionDeleted {
                subject,
                version,
                permanent,
            } => {
                if let Some(found) = self.subjects.get_mut(&subject) {
                    hide(found, &[version], permanent);
                }
                self.drop_empty(&subject);
            }
            RegistryFact::SubjectDeleted { subject, permanent } => {
                if let Some(found) = self.subjects.get_mut(&subject) {
                    let all: Vec<u32> = found.shown(permanent).map(|(number, _)| number).collect();
                    hide(found, &all, permanent);
                }
                self.drop_empty(&subject);
                self.levels.remove(&Some(subject.clone()));
                self.modes.remove(&Some(subject));
            }
            RegistryFact::LevelSet { subject, level } => set(&mut self.levels, subject, level),
            RegistryFact::ModeSet { subject, mode } => set(&mut self.modes, subject, mode),
        }
    }

    fn take_version(&mut self, event: VersionRegistered) {
        let VersionRegistered {
            subject,
            version,
            id,
            schema,
            references,
            whole,
            ..
        } = event;
        self.know(id, &schema, references, whole);
        let (hidden, own) = (false, false);
        let subject = self.subjects.entry(subject).or_default();
        subject
            .versions
            .entry(version)
            .or_insert(Version { id, hidden, own });
    }

    /// The first fact of an id wins, as everywhere. Gives the text as it is kept.
    fn know(
        &mut self,
        id: u32,
        schema: &str,
        references: Vec<Reference>,
        whole: Option<String>,
    ) -> String {
        let text = minified(schema).unwrap_or_else(|_| schema.to_owned());
        if let Entry::Vacant(fresh) = self.schemas.entry(id) {
            self.ids
                .entry((text.clone(), references.clone()))
                .or_insert(id);
            fresh.insert(Schema {
                text: text.clone(),
                references,
                whole,
            });
        }
        text
    }

    fn drop_empty(&mut self, subject: &str) {
        if self
            .subjects
            .get(subject)
            .is_some_and(|found| found.versions.is_empty())
        {
            self.subjects.remove(subject);
        }
    }

    /// Names the subjects of topics that a definition has and no fact names: those of one type of event.
    pub fn define(&mut self, project: &Project) {
        let event = |name: &str| format!("mainstem.{name}");
        for (room, name) in SINGLE {
            let objects: Vec<&String> = match room {
                "rejects" => project.sources.keys().collect(),
                "predictions" => project.models.keys().collect(),
                _ => {
                    self.aliases
                        .insert(format!("{}.{room}-value", self.project), event(name));
                    continue;
                }
            };
            for object in objects {
                self.aliases.insert(
                    format!("{}.{room}.{object}-value", self.project),
                    event(name),
                );
            }
        }
    }

    pub(crate) fn subject(&self, name: &str) -> Option<&Subject> {
        let found = self.subjects.get(name);
        found.or_else(|| self.subjects.get(self.aliases.get(name)?))
    }

    /// Whether only the product registers under it.
    pub(crate) fn is_ours(&self, name: &str) -> bool {
        let arrivals = format!("{}.arrivals.", self.project);
        let own = |subject: &Subject| subject.versions.values().any(|version| version.own);
        let is_own = self.subjects.get(name).is_some_and(own);
        (is_own && !name.starts_with(&arrivals)) || self.aliases.contains_key(name)
    }

    /// The source that a subject is of.
    #[must_use]
    pub fn source_of<'s>(&self, subject: &'s str) -> Option<&'s str> {
        let rest = subject.strip_prefix(self.project.as_str())?;
        rest.strip_prefix(".arrivals.")?.strip_suffix("-value")
    }

    /// Every subject, under all of its names.
    pub(crate) fn all(&self) -> BTreeMap<&str, &Subject> {
        let names = self.subjects.keys().chain(self.aliases.keys());
        names
            .filter_map(|name| Some((name.as_str(), self.subject(name)?)))
            .collect()
    }

    pub(crate) fn id_of(&self, text: &str, references: &[Reference]) -> Option<u32> {
        self.ids
            .get(&(text.to_owned(), references.to_vec()))
            .copied()
    }

    /// The largest id so far.
    #[must_use]
    pub fn max_id(&self) -> u32 {
        self.next_id() - 1
    }

    pub(crate) fn next_id(&self) -> u32 {
        let last = self.schemas.range(..=MAX_GIVEN).next_back();
        last.map_or(1, |(last, _)| last.saturating_add(1))
    }
}

/// The subject that clients look for of a schema that the product registers under a name of its own.
#[must_use]
pub fn own_subject(project: &str, name: &str, schema: &str) -> String {
    match name.split_once('.') {
        Some(("arrivals" | "features", _)) => format!("{project}.{name}-value"),
        // A copy of another registry's: the subject of its record may be a client's.
        _ if name.starts_with("outside/") => name.to_owned(),
        _ => record_name(schema).unwrap_or_else(|| name.to_owned()),
    }
}

fn hide(subject: &mut Subject, versions: &[u32], permanent: bool) {
    for number in versions {
        match subject.versions.get_mut(number) {
            Some(version) if !permanent => version.hidden = true,
            Some(version) if version.hidden => {
                subject.versions.remove(number);
            }
            _ => {}
        }
    }
}

fn set<T>(map: &mut BTreeMap<Option<String>, T>, subject: Option<String>, value: Option<T>) {
    match value {
        Some(value) => map.insert(subject, value),
        None => map.remove(&subject),
    };
}

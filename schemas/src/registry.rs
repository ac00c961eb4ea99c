//! The facts of the topic `schemas`: what the product registered, and what clients of the schema registry did. All are
//! plain JSON, for they are needed to read the others.
//!
//! A registration of the product ([`SchemaRegistered`]) says which schema it writes with; a client's ([`VersionRegistered`])
//! says only that there is one, so no client can change what the product writes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::catalog::SchemaRegistered;
use crate::digest::Digest;

/// A fact of the topic `schemas`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaFact {
    /// The product registered a schema that it writes with: the record without the member `fact`.
    Registered(SchemaRegistered),
    /// A client of the registry asked for something.
    Registry(RegistryFact),
}

/// What a client of the registry brought about. A version stays readable for the product whatever becomes of it here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact")]
pub enum RegistryFact {
    /// A subject got a version.
    VersionRegistered(VersionRegistered),
    /// A version was hidden, or for good.
    VersionDeleted {
        /// Subject.
        subject: String,
        /// Version.
        version: u32,
        /// Whether for good; it was hidden before.
        permanent: bool,
    },
    /// All versions of a subject were hidden, or for good.
    SubjectDeleted {
        /// Subject.
        subject: String,
        /// Whether for good; they were hidden before.
        permanent: bool,
    },
    /// A compatibility level was set, or taken back to the one above it.
    LevelSet {
        /// Subject; none for all that have no level of their own.
        subject: Option<String>,
        /// The level; none where it was taken back.
        level: Option<Level>,
    },
    /// A mode was set, or taken back to the one above it.
    ModeSet {
        /// Subject; none for all that have no mode of their own.
        subject: Option<String>,
        /// The mode; none where it was taken back.
        mode: Option<Mode>,
    },
}

/// A subject got a version. The first fact of an id gives it its meaning; an id may have versions in several subjects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRegistered {
    /// Subject.
    pub subject: String,
    /// Version, from 1, never given twice while the subject has others.
    pub version: u32,
    /// Id in the wire format.
    pub id: u32,
    /// Fingerprint of the schema with its references in it.
    pub fingerprint: Digest,
    /// The Avro schema as the client wrote it.
    pub schema: String,
    /// What it refers to by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// The schema with its references in it, where it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<String>,
}

impl VersionRegistered {
    /// The text that bodies are read by.
    #[must_use]
    pub fn text(&self) -> &str {
        self.whole.as_deref().unwrap_or(&self.schema)
    }
}

/// Another subject's version that a schema refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reference {
    /// Name that it is referred to by.
    pub name: String,
    /// Subject.
    pub subject: String,
    /// Version.
    pub version: u32,
}

/// What a new version must be able to read, or be read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// It reads what the last version wrote.
    Backward,
    /// It reads what any version wrote.
    BackwardTransitive,
    /// The last version reads what it writes.
    Forward,
    /// Every version reads what it writes.
    ForwardTransitive,
    /// Both, with the last version.
    Full,
    /// Both, with every version.
    FullTransitive,
    /// Anything goes.
    None,
}

/// Names as clients write them.
const LEVELS: [(Level, &str); 7] = [
    (Level::Backward, "BACKWARD"),
    (Level::BackwardTransitive, "BACKWARD_TRANSITIVE"),
    (Level::Forward, "FORWARD"),
    (Level::ForwardTransitive, "FORWARD_TRANSITIVE"),
    (Level::Full, "FULL"),
    (Level::FullTransitive, "FULL_TRANSITIVE"),
    (Level::None, "NONE"),
];

/// What may be done to a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// Everything.
    Readwrite,
    /// Nothing new, unless the subject's own mode says otherwise.
    Readonly,
    /// Nothing new, whatever subjects say.
    ReadonlyOverride,
    /// Versions with ids that the client gives.
    Import,
}

/// Names as clients write them.
const MODES: [(Mode, &str); 4] = [
    (Mode::Readwrite, "READWRITE"),
    (Mode::Readonly, "READONLY"),
    (Mode::ReadonlyOverride, "READONLY_OVERRIDE"),
    (Mode::Import, "IMPORT"),
];

fn name_in<T: Copy + PartialEq>(names: &[(T, &'static str)], of: T) -> &'static str {
    let found = names.iter().find(|(one, _)| *one == of);
    found.map_or("", |(_, name)| name)
}

fn of_name<T: Copy>(names: &[(T, &'static str)], text: &str) -> Option<T> {
    let found = names.iter().find(|(_, name)| *name == text);
    found.map(|(one, _)| *one)
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_in(&LEVELS, *self))
    }
}

impl FromStr for Level {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        of_name(&LEVELS, text).ok_or(())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_in(&MODES, *self))
    }
}

impl FromStr for Mode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        of_name(&MODES, text).ok_or(())
    }
}

impl SchemaFact {
    /// Reads a record's value.
    ///
    /// # Errors
    /// The parser's words, for what is no fact of this version.
    pub fn read(value: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Tagged {
            fact: Option<serde::de::IgnoredAny>,
        }
        let Tagged { fact } = serde_json::from_slice(value)?;
        if fact.is_some() {
            serde_json::from_slice(value).map(SchemaFact::Registry)
        } else {
            serde_json::from_slice(value).map(SchemaFact::Registered)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_read_back_as_written() {
        let facts = [
            RegistryFact::VersionRegistered(VersionRegistered {
                subject: "s-value".into(),
                version: 2,
                id: 9,
                fingerprint: Digest::of(b"x"),
                schema: "\"int\"".into(),
                references: vec![Reference {
                    name: "a.B".into(),
                    subject: "b".into(),
                    version: 1,
                }],
                whole: Some("\"int\"".into()),
            }),
            RegistryFact::VersionDeleted {
                subject: "s".into(),
                version: 1,
                permanent: false,
            },
            RegistryFact::LevelSet {
                subject: None,
                level: Some(Level::FullTransitive),
            },
            RegistryFact::ModeSet {
                subject: Some("s".into()),
                mode: None,
            },
        ];
        for fact in facts {
            let value = serde_json::to_vec(&fact).unwrap();
            assert_eq!(
                SchemaFact::read(&value).unwrap(),
                SchemaFact::Registry(fact)
            );
        }
    }

    /// As version 0.1 wrote them.
    #[test]
    fn registrations_of_older_logs_are_read() {
        let digest = Digest::of(b"x");
        let value =
            format!(r#"{{"id":1,"subject":"Turn","fingerprint":"{digest}","schema":"\"int\""}}"#);
        let SchemaFact::Registered(event) = SchemaFact::read(value.as_bytes()).unwrap() else {
            panic!("{value}")
        };
        assert_eq!((event.id, event.subject.as_str()), (1, "Turn"));
    }

    #[test]
    fn what_is_no_fact_is_refused() {
        for value in ["", "{}", "[]", r#"{"fact":"SomethingNewer"}"#] {
            assert!(SchemaFact::read(value.as_bytes()).is_err(), "{value}");
        }
    }

    #[test]
    fn names_are_as_clients_write_them() {
        for (level, name) in LEVELS {
            assert_eq!(serde_json::to_value(level).unwrap(), name);
            assert_eq!((name.parse(), level.to_string()), (Ok(level), name.into()));
        }
        for (mode, name) in MODES {
            assert_eq!(serde_json::to_value(mode).unwrap(), name);
            assert_eq!((name.parse(), mode.to_string()), (Ok(mode), name.into()));
        }
        assert!("backward".parse::<Level>().is_err());
    }
}

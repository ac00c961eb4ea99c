//! Refusals of an outside registry, each with what to do.

use super::TRIES;

/// Why an outside registry did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The options cannot be used.
    #[error("the schema registry's {what}: {why}")]
    Options {
        /// Which.
        what: &'static str,
        /// What is wrong and what to do.
        why: String,
    },
    /// Nobody answers.
    #[error(
        "the schema registry at {url} did not answer in {TRIES} tries: {why}; see that it runs, and that this is its address"
    )]
    Silent {
        /// Where.
        url: String,
        /// The last try's words.
        why: String,
    },
    /// It does not know the user, or does not let him.
    #[error(
        "the schema registry at {url} refuses the user ({status}); give a user and password that may read and register"
    )]
    Refused {
        /// Where.
        url: String,
        /// 401 or 403.
        status: u16,
    },
    /// It has no such schema.
    #[error(
        "the schema registry at {url} has no schema {id}; see that the records were written with this registry, and that the schema was not deleted for good"
    )]
    NoSchema {
        /// Where.
        url: String,
        /// The id.
        id: u32,
    },
    /// It does not take the schema.
    #[error(
        "the schema registry at {url} does not take the schema of {subject}: {message} (error {code}); see the subject's compatibility level and mode there"
    )]
    NotTaken {
        /// Where.
        url: String,
        /// Subject.
        subject: String,
        /// Its code.
        code: i64,
        /// Its words.
        message: String,
    },
    /// A schema of another kind.
    #[error(
        "schema {id} is of the type {kind}; only Avro can be read: write the records with an Avro serialiser"
    )]
    NotAvro {
        /// The id.
        id: u32,
        /// Its type.
        kind: String,
    },
    /// An answer that is none.
    #[error("what answers at {url} is no schema registry: {why}; see that this is its address")]
    NoRegistry {
        /// Where.
        url: String,
        /// What is wrong with the answer.
        why: String,
    },
}

//! What is wrong with an input as a whole, and with one row of it.

use mainstem_schemas::Digest;

use crate::lines::KEPT_BYTES;

/// Why an input cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Reading failed.
    #[error("reading failed: {0}; see to the file or the connection, then publish again")]
    Io(#[from] std::io::Error),
    /// The source cannot take rows.
    #[error("source {source_name}: {what}")]
    Source {
        /// Name of the source.
        source_name: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// The first line of a CSV file does not fit the source.
    #[error("line 1, the header: {0}")]
    Header(String),
}

/// A row that does not fit its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The record's bytes without the line's end, at most the first [`KEPT_BYTES`] of them.
    pub bytes: Vec<u8>,
    /// How many bytes there were.
    pub length: u64,
    /// Digest of all the bytes.
    pub digest: Digest,
    /// Field that does not fit, where it is one.
    pub field: Option<String>,
    /// What is wrong and what to do.
    pub reason: String,
}

/// What is wrong with a row: becomes a [`Reject`] with the row's bytes.
#[derive(Debug)]
pub(crate) struct Fault {
    pub field: Option<String>,
    pub reason: String,
}

impl Fault {
    pub fn row(reason: impl Into<String>) -> Self {
        Fault {
            field: None,
            reason: reason.into(),
        }
    }

    /// A fault of one field; its name is put before `what`.
    pub fn field(field: &str, what: &str) -> Self {
        Fault {
            field: Some(field.into()),
            reason: format!("{field} {what}"),
        }
    }

    pub fn reject(self, bytes: &[u8], too_long: Option<(u64, Digest)>) -> Reject {
        let (length, digest) = too_long.unwrap_or_else(|| (bytes.len() as u64, Digest::of(bytes)));
        Reject {
            bytes: bytes.get(..KEPT_BYTES).unwrap_or(bytes).to_vec(),
            length,
            digest,
            field: self.field,
            reason: self.reason,
        }
    }
}

/// A value as a message shows it: in quotes, its first 80 characters.
pub(crate) fn shown(value: &str) -> String {
    match value.char_indices().nth(80) {
        None => format!("{value:?}"),
        Some((at, _)) => format!("{:?}…", value.get(..at).unwrap_or_default()),
    }
}

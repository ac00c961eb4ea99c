//! What is wrong with one row.

use mainstem_schemas::Digest;

/// Bytes of a refused record that are kept: enough to recognise it, and small beside a broker's limit.
pub const KEPT_BYTES: usize = 64 << 10;

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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Fault {
    /// Field that does not fit, where it is one.
    pub field: Option<String>,
    /// What is wrong and what to do.
    pub reason: String,
}

impl Fault {
    /// A fault of the row as a whole.
    pub fn row(reason: impl Into<String>) -> Self {
        Fault {
            field: None,
            reason: reason.into(),
        }
    }

    /// A fault of one field; its name is put before `what`.
    #[must_use]
    pub fn field(field: &str, what: &str) -> Self {
        Fault {
            field: Some(field.into()),
            reason: format!("{field} {what}"),
        }
    }

    /// The reject of these bytes; of a row that is too long they are the first ones.
    #[must_use]
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
#[must_use]
pub fn shown(value: &str) -> String {
    match value.char_indices().nth(80) {
        None => format!("{value:?}"),
        Some((at, _)) => format!("{:?}…", value.get(..at).unwrap_or_default()),
    }
}

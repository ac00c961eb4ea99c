//! What is wrong with an input as a whole.

use mainstem_columns::rows::BadSource;

/// Why an input cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Reading failed.
    #[error("reading failed: {0}; see to the file or the connection, then publish again")]
    Io(#[from] std::io::Error),
    /// The source cannot take rows.
    #[error(transparent)]
    Source(#[from] BadSource),
    /// The first line of a CSV file does not fit the source.
    #[error("line 1, the header: {0}")]
    Header(String),
}

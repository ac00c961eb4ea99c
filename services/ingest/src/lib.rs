//! What people publish, as rows of a source: CSV, JSON Lines, or one JSON record from the HTTP door.
//!
//! In come bytes and a source's definition; out come rows, in order, each either *good* (key, event time and the Avro
//! body that [`source_schema`](mainstem_columns::source_schema) describes) or a *reject* (the bytes, their digest, and
//! a reason that names field, value, limit and remedy). A bad row never stops the ones after it; only what makes every
//! row meaningless does: a header that does not fit, or a failing disk. Memory is bounded whatever comes in.
//!
//! Rows are numbered from 0 over good and bad ones, so a row keeps its number, and its id, when its neighbour is
//! mended. Empty lines are no rows.
//!
//! `lines` cuts the input into records, `csv` into values; what a value is and how a row is written, is
//! [`mainstem_columns::rows`].
//! Start with [`Reader`]; a door uses [`Encoder::json`].
#![forbid(unsafe_code)]

mod csv;
mod error;
mod lines;
mod quotes;
mod reader;

pub use error::IngestError;
pub use mainstem_columns::rows::{Encoder, Good, KEPT_BYTES, RECORD_LIMIT, Reject};
pub use reader::{Reader, Row};

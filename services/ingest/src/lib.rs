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
//! `lines` cuts the input into records, `csv` and `json` into values, `values` gives them types, `encoder` writes them.
//! Start with [`Reader`]; a door uses [`Encoder::json`].
#![forbid(unsafe_code)]

mod csv;
mod encoder;
mod error;
mod json;
mod lines;
mod quotes;
mod reader;
mod values;

pub use encoder::{Encoder, Good, json_record};
pub use error::{IngestError, Reject};
pub use lines::{KEPT_BYTES, RECORD_LIMIT};
pub use reader::{Reader, Row};

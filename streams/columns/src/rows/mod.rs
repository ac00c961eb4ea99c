//! Rows of a source, from values to key, event time and the Avro body that
//! [`source_schema`](crate::source_schema) describes: one path for what people publish and for what is copied from
//! topics of others.
//!
//! `values` says what a value of JSON or CSV is by the field's type, `json` reads an object, `encoder` writes the row,
//! `fault` says what is wrong with it: field, value and remedy.

mod encoder;
mod fault;
mod json;
mod values;

pub use encoder::{BadSource, Encoder, Good, Outside, RECORD_LIMIT, too_long};
pub use fault::{Fault, KEPT_BYTES, Reject, shown};
pub use json::{Others, row as json_row};
pub use values::{Cell, from_text, name};

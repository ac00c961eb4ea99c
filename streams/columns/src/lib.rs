//! Flat Avro records in and out of columns: the codec of the data plane.
//!
//! In come bodies of records (the wire format without its five bytes of header) and the schema each was written with;
//! out come columns of numbers, texts, times and ids, as slices or as Arrow arrays. A record is checked whole before it
//! counts: one that is truncated, too long or out of range is refused by field and reason, and leaves the columns as
//! they were. Records of several writers' schemas may alternate row by row.
//!
//! The columns are plain vectors that Arrow takes over without a copy, rather than Arrow's builders: those cannot take
//! back a row, and a fold reads its rows before any array is built. Nothing is allocated per row.
//!
//! Start with [`Layout`] (what a room wants), [`FlatDecoder`] (one per writer's schema) and [`Columns`] (what they fill).
//! [`source_schema`] and [`view_schema`] say how arrivals and features are written; [`put_features`] writes a row of
//! features, and [`put`] holds the pieces for other bodies; [`rows`] writes arrivals from JSON and from loose values.
#![forbid(unsafe_code)]

mod body;
mod columns;
mod compile;
mod decode;
mod key;
mod nulls;
pub mod put;
pub mod rows;
mod schema;
mod skip;

pub use body::Reason;
pub use columns::{Columns, Kind, Layout, Wanted, WantedTwice};
pub use compile::Unreadable;
pub use decode::{BadRecord, FlatDecoder};
pub use key::{NotKey, key_text};
pub use put::put_features;
pub use schema::{FEATURE_FIELDS, source_schema, view_schema};

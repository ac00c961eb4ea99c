//! Topics that others write, as sources: what is copied, what is passed by, what goes to quarantine, and what an audit
//! says of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod avro;
mod horizon;
mod json;
mod kafka;
mod world;

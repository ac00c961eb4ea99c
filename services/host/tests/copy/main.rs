//! Topics that others write, as sources: what is copied, what is passed by, what goes to quarantine, and what an audit
//! says of it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod avro;
mod horizon;
mod in_place;
mod in_place_kafka;
mod json;
mod kafka;
mod one_writer;
mod sorts;
mod twins;
mod world;

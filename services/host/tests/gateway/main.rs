//! The front doors, over real HTTP on the loopback address.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod client;
mod doors;
mod http;
mod kafka;
mod models;
mod posts;
mod sources;
mod world;

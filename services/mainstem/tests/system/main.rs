//! The whole system, through the binary that users run: real processes, real HTTP, real files; what came of it is read
//! back from the log. What a room does with odd data is tested in its crate, and what the demo promises in `tests/`;
//! here it is about the processes together, and about what they tell a person.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cadence;
#[path = "../../../host/tests/gateway/client.rs"]
mod client;
mod clock;
mod containers;
mod disk;
mod doors;
mod files;
mod history;
mod input;
mod kills;
mod labels;
mod listen;
mod metrics;
mod models;
mod place;
mod process;
mod publish;
mod readme;
mod sharing;
mod shop;
mod stops;

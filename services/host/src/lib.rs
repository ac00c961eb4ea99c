//! The services: what Mainstem does. Each is a thin shell around rooms that think; all share one log and one store.
//!
//! | Service | Does |
//! |---|---|
//! | [`apply`] | makes a definition an event |
//! | [`publisher`] | files and streams into sources, live or paced |
//! | [`processor`] | hosts the tasks: workers that take turns, commit, then act |
//! | [`outside`] | copies the schemas of another registry into the log |
//! | [`trainer`] | brings effects about: data sets, trainings, baselines |
//! | [`gateway`] | HTTP: records in, predictions out, commands, health |
//! | [`auditor`] | recomputes, compares, explains |
//! | [`metrics`] | what a process measures of itself, for Prometheus |
//! | [`summary`] | what happened, read back from the log, for terminals and reports |
#![forbid(unsafe_code)]

pub mod apply;
pub mod auditor;
pub mod gateway;
mod log_time;
pub mod metrics;
pub mod outside;
pub mod processor;
pub mod publisher;
mod refusals;
pub mod resolver;
pub mod store;
pub mod summary;
pub mod ticker;
pub mod trainer;
#[cfg(test)]
mod unruly;

pub use mainstem_blobs as blobs;
pub use store::Store;

//! The rooms: what Mainstem thinks, each a pure fold. They never import one another; they meet through the events of
//! `mainstem-schemas`.
//!
//! | Room | Reads | Writes |
//! |---|---|---|
//! | [`copy`] | topics of others | arrivals |
//! | [`features`] | arrivals | features |
//! | [`serving`] | features, deployments; labels | predictions; labelled |
//! | [`drift`] | features, predictions, labelled, deployments; arrivals | profiles, drift, performance |
//! | [`trigger`] | drift, performance, deployments, runs | triggers |
//! | [`training`] | triggers, outcomes | runs |
//! | [`registry`] | runs, outcomes, deployments | models |
//! | [`rollout`] | models, performance | deployments |
//! | [`audit`] | every fact | turns alone |
//!
//! What others write, [`foreign`] reads: for the room of copies, or in place for the rooms that read arrivals.
//!
//! [`topology`] says which tasks a project implies, [`machines`] builds them.
#![forbid(unsafe_code)]

pub mod arrivals;
pub mod audit;
pub mod copy;
pub mod drift;
pub mod features;
pub mod foreign;
#[cfg(test)]
mod harness;
pub mod machines;
pub mod registry;
pub mod rollout;
pub mod serving;
pub mod topology;
pub mod training;
pub mod trigger;
mod words;

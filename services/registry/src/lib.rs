//! The schema registry, without a socket: what Confluent's API means, as a fold of the log.
//!
//! The facts of the topic `schemas` come in ([`Registry::take`]); questions are answered from the state that they fold to
//! ([`Registry::version`] …), and requests become the facts that would follow ([`Registry::register`] …), which the caller
//! appends. Nothing here reads a clock or a log, so two registries that took the same facts answer alike.
//!
//! | Here | What |
//! |---|---|
//! | `state` | subjects, versions, ids, levels and modes |
//! | `view` | questions |
//! | `ask`, `change` | requests: from what a client wants to the fact that says so |
//! | `compatibility` | which field keeps one schema from reading another's records |
//! | `avro` | schemas as resolution sees them: named types, promotions, no logical types |
//! | `text` | the text of a schema: minified, normalised, its references put in |
//!
//! | `client` | what asks an outside registry instead; a feature, for it brings HTTP and TLS |
//!
//! The gateway of `services/host` serves it, and is the next room.
#![forbid(unsafe_code)]

mod ask;
mod avro;
mod change;
#[cfg(feature = "client")]
pub mod client;
mod compatibility;
mod error;
mod state;
#[cfg(test)]
mod tests;
mod text;
mod view;

pub use ask::{Against, Readable, Register, Wish};
pub use avro::{Invalid, Types};
pub use compatibility::{Incompatibility, Which, can_read};
pub use error::RegistryError;
pub use state::{Registered, Registry, Schema, own_subject};
pub use text::record_name;

/// Who gives the product's schemas their ids, where the log does not.
pub trait Ids {
    /// The id of a schema, which is registered under the subject where it is new.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    fn id(&mut self, subject: &str, schema: &str) -> Result<u32, String>;
}

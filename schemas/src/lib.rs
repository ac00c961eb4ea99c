//! The vocabulary of Mainstem: what every room and every service agrees on.
//!
//! Rooms never import rooms; they meet through this crate. It holds the Avro schemas (`avsc/`, the contract) with
//! their example payloads, the Rust types that are proved equal to them, the Confluent wire format, the CloudEvents
//! envelope, ids, digests, times, the frozen record framing, topic names and the partitioner. It knows nothing of
//! sockets, files or threads.
//!
//! Start with [`events::Event`] (what can happen), [`definition::Project`] (what a user declares) and
//! [`record::Batch`] (how records travel).
#![forbid(unsafe_code)]

mod body;
pub mod catalog;
pub mod definition;
pub mod deployed;
pub mod digest;
pub mod envelope;
pub mod events;
pub mod id;
pub mod partition;
pub mod record;
pub mod registry;
pub mod time;
pub mod topics;
pub mod wire;

pub use catalog::Catalog;
pub use digest::Digest;
pub use envelope::Envelope;
pub use id::{EventId, PredictionId};
pub use record::{Batch, RecordRef};
pub use time::{Millis, Span};

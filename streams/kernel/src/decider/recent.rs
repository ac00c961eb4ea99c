//! A bounded memory of ids: for what comes before its predecessor.

use mainstem_schemas::EventId;
use serde::{Deserialize, Serialize};

/// Ids kept at most. An id waits for an event of its own tick or of one near it; a thousand are far more than a tick
/// brings to one model.
const MAX: usize = 1_000;

/// The last ids that were put in, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent(Vec<EventId>);

impl Recent {
    /// Remembers an id; the oldest is forgotten beyond the limit.
    pub fn put(&mut self, id: EventId) {
        if !self.0.contains(&id) {
            self.0.push(id);
            let over = self.0.len().saturating_sub(MAX);
            self.0.drain(..over);
        }
    }

    /// Whether an id is remembered.
    #[must_use]
    pub fn has(&self, id: &EventId) -> bool {
        self.0.contains(id)
    }

    /// Forgets an id; says whether it was remembered.
    pub fn remove(&mut self, id: &EventId) -> bool {
        let before = self.0.len();
        self.0.retain(|kept| kept != id);
        self.0.len() < before
    }
}

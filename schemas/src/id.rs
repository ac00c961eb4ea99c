//! Event ids: 128 bits, the first byte is the kind.
//!
//! Facts are numbered by where they came from (a foreign topic's offset, a publication's row); derived events are
//! hashed from what they *are*: project, topic, definition, origin and a natural discriminator. Neither a batch, a
//! position nor the name of a Rust item enters a derived id, so any run of the same fold gives the same ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::{Digest, NotHex, read_hex, write_hex};
use crate::partition::route_of;
use crate::record::RecordRef;
use crate::wire;

/// The id of an event; written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId(pub [u8; 16]);

/// What the first byte of an id says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Derived by a fold (0).
    Derived,
    /// A record of a foreign topic (1).
    Foreign,
    /// A row of a publication (2).
    Row,
    /// A request, an outcome or a foreign `ce_id`, hashed with its source; a request without any, by its bytes (3).
    Named,
}

const CONTEXT: &str = "mainstem v1 event id";

impl EventId {
    /// A record of a foreign topic: source number, partition and offset, packed.
    #[must_use]
    pub fn foreign(source: u16, partition: u32, offset: u64) -> Self {
        let mut id = [0; 16];
        id[0] = 1;
        id[1..3].copy_from_slice(&source.to_be_bytes());
        id[4..8].copy_from_slice(&partition.to_be_bytes());
        id[8..].copy_from_slice(&offset.to_be_bytes());
        EventId(id)
    }

    /// A row of a publication: source number, publication number (both allotted by events) and row, packed.
    #[must_use]
    pub fn row(source: u16, publication: u32, row: u64) -> Self {
        let mut id = [0; 16];
        id[0] = 2;
        id[1..3].copy_from_slice(&source.to_be_bytes());
        id[4..8].copy_from_slice(&publication.to_be_bytes());
        id[8..].copy_from_slice(&row.to_be_bytes());
        EventId(id)
    }

    /// A fact that brings its own name: a foreign `ce_id` under its `ce_source`, a request's idempotency key, an
    /// outcome's effect and attempt.
    #[must_use]
    pub fn named(source: &str, name: &[u8]) -> Self {
        Self::hashed(3, &[source.as_bytes(), name])
    }

    /// What a header `ce_id` says: our own id as it is, another's hashed with its `ce_source`.
    #[must_use]
    pub fn of_header(id: &[u8], source: &[u8]) -> Self {
        let own = std::str::from_utf8(id)
            .ok()
            .and_then(|text| text.parse::<EventId>().ok());
        own.filter(|own| own.kind().is_some())
            .unwrap_or_else(|| EventId::named(&String::from_utf8_lossy(source), id))
    }

    /// A record that brings no `ce_id` into a topic that is no source (`requests.*`): known by its key, body and headers.
    /// Neither its position enters nor the id of its schema, which is another in another log; so the same record written
    /// again is the same event.
    #[must_use]
    pub fn of_bytes(record: &RecordRef<'_>) -> Self {
        let value = record.value.unwrap_or_default();
        let body = wire::split(value).map_or(value, |(_, body)| body);
        let headers = record.raw_headers().flat_map(|(name, value)| [name, value]);
        let parts = [record.key.unwrap_or_default(), body];
        let parts: Vec<&[u8]> = parts.into_iter().chain(headers).collect();
        Self::hashed(3, &parts)
    }

    /// A derived event. `definition` is the digest of the view's or model's own definition, `origin` the id of what
    /// started it (or a window's natural key), `discriminator` natural (model version, feature, window), never a
    /// count.
    #[must_use]
    pub fn derived(
        project: &str,
        topic: &str,
        definition: &Digest,
        origin: &[u8],
        discriminator: &[u8],
    ) -> Self {
        Self::hashed(
            0,
            &[
                project.as_bytes(),
                topic.as_bytes(),
                &definition.0,
                origin,
                discriminator,
            ],
        )
    }

    fn hashed(kind: u8, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        id[0] = kind;
        EventId(id)
    }

    /// The kind of this id, or nothing where the first byte is none.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self.0[0] {
            0 => Some(Kind::Derived),
            1 => Some(Kind::Foreign),
            2 => Some(Kind::Row),
            3 => Some(Kind::Named),
            _ => None,
        }
    }

    /// Publication and row of an id of kind [`Kind::Row`].
    #[must_use]
    pub fn publication_row(&self) -> Option<(u32, u64)> {
        let (head, row) = self.0.split_at(8);
        let publication = u32::from_be_bytes(head[4..].try_into().ok()?);
        (self.kind() == Some(Kind::Row))
            .then_some((publication, u64::from_be_bytes(row.try_into().ok()?)))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl FromStr for EventId {
    type Err = NotHex;
    fn from_str(text: &str) -> Result<Self, NotHex> {
        read_hex(text).map(EventId)
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A prediction as its asker knows it: where its key leads, then its id. A label or a question that names it finds its
/// partition without the key; written as 8 hexadecimal digits, a dash and 32 more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PredictionId {
    /// [`route_of`] the key.
    pub route: u32,
    /// The event's id.
    pub event: EventId,
}

impl PredictionId {
    /// The prediction about an entity.
    #[must_use]
    pub fn new(entity: &str, event: EventId) -> Self {
        let route = route_of(entity.as_bytes());
        PredictionId { route, event }
    }
}

impl fmt::Display for PredictionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.route, self.event)
    }
}

impl FromStr for PredictionId {
    type Err = NotHex;
    fn from_str(text: &str) -> Result<Self, NotHex> {
        let (route, event) = text.split_once('-').unwrap_or((text, ""));
        let route = u32::from_be_bytes(read_hex(route)?);
        Ok(PredictionId {
            route,
            event: event.parse()?,
        })
    }
}

impl Serialize for PredictionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::partition_of;

    #[test]
    fn a_prediction_leads_to_its_partition() {
        let id = PredictionId::new("21", EventId::row(3, 7, 45_311));
        let read: PredictionId = id.to_string().parse().unwrap();
        assert_eq!(read, id);
        assert_eq!(read.route % 8, partition_of(b"21", 8));
        for wrong in ["", "-", "0-0", &id.event.to_string()] {
            assert!(wrong.parse::<PredictionId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn parts_are_framed_so_that_moving_a_byte_between_them_changes_the_id() {
        let digest = Digest::default();
        let one = EventId::derived("p", "ab", &digest, b"c", b"");
        let two = EventId::derived("p", "a", &digest, b"bc", b"");
        assert_ne!(one, two);
        assert_eq!(one.kind(), Some(Kind::Derived));
    }

    #[test]
    fn a_row_can_be_read_back_from_its_id() {
        let id = EventId::row(3, 7, 45_311);
        assert_eq!(id.publication_row(), Some((7, 45_311)));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(EventId::foreign(3, 7, 45_311).publication_row(), None);
    }

    /// Frozen: these bytes are in users' logs.
    #[test]
    fn derived_ids_are_frozen() {
        let id = EventId::derived("p", "p.features.v", &Digest::of(b"d"), b"origin", b"x");
        assert_eq!(
            id.to_string(),
            "005b9df9d8e65f5539eda346450993b1",
            "an id's bytes changed"
        );
    }
}

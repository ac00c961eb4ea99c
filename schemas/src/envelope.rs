//! The CloudEvents envelope, as Kafka headers (`ce_` and the attribute's name).
//!
//! Beside the standard attributes: `ce_actor` (who asked), `ce_correlationid` (the origin that started a chain),
//! `ce_causationid` (the event or effect that led to this one), `ce_round` (the tick on which it was emitted) and
//! `ce_attempt` (of the effect that an outcome reports).

use crate::id::EventId;
use crate::record::{Batch, RecordRef};
use crate::time::Millis;

/// What is known of an event beside its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Id of the event.
    pub id: EventId,
    /// Type: the name of the value's schema.
    pub kind: String,
    /// Who wrote it: a task, a door.
    pub source: String,
    /// Event time.
    pub time: Millis,
    /// The person or program behind a fact.
    pub actor: Option<String>,
    /// The id that a chain of events shares.
    pub correlation: Option<EventId>,
    /// The event or effect that led to this one.
    pub causation: Option<EventId>,
    /// The tick on which a task emitted it.
    pub round: Option<u64>,
    /// The attempt of an effect, in an outcome.
    pub attempt: Option<u32>,
}

impl Envelope {
    /// Appends a record with these headers.
    pub fn push(&self, batch: &mut Batch, key: Option<&[u8]>, value: &[u8]) {
        let (id, time) = (self.id.to_string(), self.time.to_string());
        let correlation = self.correlation.map(|id| id.to_string());
        let causation = self.causation.map(|id| id.to_string());
        let round = self.round.map(|round| round.to_string());
        let attempt = self.attempt.map(|attempt| attempt.to_string());
        let headers = [
            ("ce_specversion", Some("1.0")),
            ("ce_id", Some(id.as_str())),
            ("ce_type", Some(self.kind.as_str())),
            ("ce_source", Some(self.source.as_str())),
            ("ce_time", Some(time.as_str())),
            ("ce_actor", self.actor.as_deref()),
            ("ce_correlationid", correlation.as_deref()),
            ("ce_causationid", causation.as_deref()),
            ("ce_round", round.as_deref()),
            ("ce_attempt", attempt.as_deref()),
        ];
        batch.push(
            key,
            Some(value),
            headers
                .iter()
                .filter_map(|(name, text)| Some((*name, (*text)?.as_bytes()))),
        );
    }

    /// The envelope of a record; attributes that are missing or unreadable stay at their defaults, for an event is
    /// read by its value and a foreign writer need not set any. A foreign `ce_id` is hashed with its `ce_source`; a
    /// record without one is known by its bytes.
    #[must_use]
    pub fn read(record: &RecordRef<'_>) -> Self {
        let mut envelope = Envelope::default();
        let (mut id, mut source) = (None, &b""[..]);
        for (name, value) in record.headers() {
            match name {
                "ce_id" => id = Some(value),
                "ce_source" => source = value,
                _ => {}
            }
            let Ok(text) = std::str::from_utf8(value) else {
                continue;
            };
            match name {
                "ce_type" => envelope.kind = text.into(),
                "ce_source" => envelope.source = text.into(),
                "ce_time" => envelope.time = text.parse().unwrap_or_default(),
                "ce_actor" => envelope.actor = Some(text.into()),
                "ce_correlationid" => envelope.correlation = text.parse().ok(),
                "ce_causationid" => envelope.causation = text.parse().ok(),
                "ce_round" => envelope.round = text.parse().ok(),
                "ce_attempt" => envelope.attempt = text.parse().ok(),
                _ => {}
            }
        }
        let bytes = || EventId::of_bytes(record);
        envelope.id = id.map_or_else(bytes, |id| EventId::of_header(id, source));
        envelope
    }
}

/// One attribute of a record, where it is text of that type.
#[must_use]
pub fn attribute<T: std::str::FromStr>(record: &RecordRef<'_>, header: &str) -> Option<T> {
    std::str::from_utf8(record.header(header)?)
        .ok()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_reads_as_written() {
        let envelope = Envelope {
            id: EventId::row(1, 2, 3),
            kind: "DatasetBuilt".into(),
            source: "trainer".into(),
            time: Millis(840_427_200_000),
            actor: Some("ada".into()),
            correlation: Some(EventId::row(1, 2, 4)),
            causation: Some(EventId::row(1, 2, 5)),
            round: Some(9),
            attempt: Some(1),
        };
        let mut batch = Batch::new();
        envelope.push(&mut batch, Some(b"m"), b"v");
        let record = batch.get(0).unwrap();
        assert_eq!(Envelope::read(&record), envelope);
        assert_eq!(attribute(&record, "ce_round"), Some(9u64));
        assert_eq!(attribute::<u64>(&record, "ce_type"), None);
    }

    #[test]
    fn a_foreign_id_is_hashed_with_its_source_and_a_record_without_one_by_its_bytes() {
        let read = |key: &[u8], value: &[u8], headers: &[(&str, &[u8])]| {
            let mut batch = Batch::new();
            batch.push(Some(b"before"), None, []);
            batch.push(Some(key), Some(value), headers.iter().copied());
            let id = Envelope::read(&batch.get(1).unwrap()).id;
            assert_eq!(id.kind(), Some(crate::id::Kind::Named));
            // Nor does another place give another id.
            let mut alone = Batch::new();
            alone.push(Some(key), Some(value), headers.iter().copied());
            assert_eq!(Envelope::read(&alone.get(0).unwrap()).id, id);
            id
        };
        let foreign = [
            &b"7f4c8a52-9d3e-4b3a-8a30-5e0f3b1f2c11"[..],
            b"7f4c8a52-9d3e-4b3a-8a30-5e0f3b1f2c12",
            b"ff000000000000000000000000000000",
            b"\xff",
        ];
        let of = |id, source| read(b"m", b"v", &[("ce_id", id), ("ce_source", source)]);
        for id in foreign {
            assert_eq!(of(id, b"shop"), EventId::named("shop", id));
        }
        let others = [foreign[0], foreign[1]].map(|id| of(id, b"till"));
        let bytes = [
            read(b"m", b"v", &[]),
            read(b"mv", b"", &[]),
            read(b"m", b"w", &[]),
            read(b"m", b"v", &[("ce_time", b"1996-05-07T00:00:00Z")]),
        ];
        let all: std::collections::BTreeSet<EventId> = foreign
            .map(|id| of(id, b"shop"))
            .into_iter()
            .chain(others)
            .chain(bytes)
            .collect();
        assert_eq!(all.len(), 10);
        let schemas = [[0, 0, 0, 0, 1, 9], [0, 0, 0, 0, 2, 9]];
        let [one, two] = schemas.map(|value| read(b"m", &value, &[]));
        assert_eq!(one, two, "the id of its schema is another in another log");
    }
}

//! What the log holds.

use std::collections::BTreeMap;

use mainstem_host::store::each_event;
use mainstem_kernel::Partition;
use mainstem_kernel::worker::for_each;
use mainstem_schemas::events::Event;
use mainstem_schemas::{Envelope, EventId, wire};

use crate::place::Place;
use crate::shop::NAME;

/// A record of a data topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: String,
    /// Its id where it has one in its headers, else the origin that its value begins with.
    pub id: EventId,
    /// Its value without the schema's number.
    pub body: Vec<u8>,
}

impl Place {
    /// The partitions of a topic, by the topic's name without the project's.
    fn partitions(&self, topic: &str) -> Vec<Partition> {
        let name = format!("{NAME}.{topic}");
        let topics = self.store().log.topics().unwrap();
        let found = topics.into_iter().find(|topic| topic.name == name);
        let count = found.map_or(0, |topic| topic.partitions);
        (0..count)
            .map(|index| Partition::new(&name, index))
            .collect()
    }

    /// The records of a data topic, in the order of each partition.
    pub fn rows(&self, topic: &str) -> Vec<Row> {
        let mut reader = self.store().log.reader().unwrap();
        let mut rows = Vec::new();
        for partition in self.partitions(topic) {
            for_each(reader.as_mut(), &partition, |record| {
                let key = String::from_utf8(record.key.unwrap_or_default().to_vec()).unwrap();
                let (_, body) = wire::split(record.value.unwrap()).unwrap();
                let id = match record.header("ce_id") {
                    Some(_) => Envelope::read(&record).id,
                    None => EventId(body[..16].try_into().unwrap()),
                };
                let body = body.to_vec();
                rows.push(Row { key, id, body });
                Ok(())
            })
            .unwrap();
        }
        rows
    }

    /// How many records a topic holds.
    pub fn count(&self, topic: &str) -> u64 {
        let mut reader = self.store().log.reader().unwrap();
        let length = |partition: &Partition| {
            let range = reader.range(partition).unwrap();
            range.end - range.start
        };
        self.partitions(topic).iter().map(length).sum()
    }

    /// The events of a topic with their envelopes.
    pub fn events(&self, topic: &str) -> Vec<(Envelope, Event)> {
        let catalog = self.store().catalog(NAME).unwrap();
        let mut reader = self.store().log.reader().unwrap();
        let mut events = Vec::new();
        for partition in self.partitions(topic) {
            each_event(reader.as_mut(), &catalog, &partition, |record, event| {
                events.push((Envelope::read(record), event));
            })
            .unwrap();
        }
        events
    }
}

/// Rows by key, in their order.
pub fn by_key(rows: Vec<Row>) -> BTreeMap<String, Vec<(EventId, Vec<u8>)>> {
    let mut keys: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for row in rows {
        keys.entry(row.key).or_default().push((row.id, row.body));
    }
    keys
}

//! What the log holds.

use std::collections::BTreeMap;

use mainstem_host::Store;
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
    /// Its value without the schema's number, and without that origin.
    pub body: Vec<u8>,
}

/// The partitions of a topic, by the topic's name without the project's.
fn partitions(store: &Store, topic: &str) -> Vec<Partition> {
    let name = format!("{NAME}.{topic}");
    let topics = store.log.topics().unwrap();
    let found = topics.into_iter().find(|topic| topic.name == name);
    let count = found.map_or(0, |topic| topic.partitions);
    (0..count)
        .map(|index| Partition::new(&name, index))
        .collect()
}

/// The records of a data topic, in the order of each partition.
pub fn rows(store: &Store, topic: &str) -> Vec<Row> {
    let mut reader = store.log.reader().unwrap();
    let mut rows = Vec::new();
    for partition in partitions(store, topic) {
        for_each(reader.as_mut(), &partition, |record| {
            let key = String::from_utf8(record.key.unwrap_or_default().to_vec()).unwrap();
            let (_, body) = wire::split(record.value.unwrap()).unwrap();
            let (id, body) = match record.header("ce_id") {
                Some(_) => (Envelope::read(&record).id, body),
                None => (EventId(body[..16].try_into().unwrap()), &body[16..]),
            };
            let body = body.to_vec();
            rows.push(Row { key, id, body });
            Ok(())
        })
        .unwrap();
    }
    rows
}

impl Place {
    pub fn rows(&self, topic: &str) -> Vec<Row> {
        rows(self.store(), topic)
    }

    /// How many records a topic holds.
    pub fn count(&self, topic: &str) -> u64 {
        let mut reader = self.store().log.reader().unwrap();
        let length = |partition: &Partition| {
            let range = reader.range(partition).unwrap();
            range.end - range.start
        };
        partitions(self.store(), topic).iter().map(length).sum()
    }

    /// The events of a topic with their envelopes.
    pub fn events(&self, topic: &str) -> Vec<(Envelope, Event)> {
        let catalog = self.store().catalog(NAME).unwrap();
        let mut reader = self.store().log.reader().unwrap();
        let mut events = Vec::new();
        for partition in partitions(self.store(), topic) {
            each_event(reader.as_mut(), &catalog, &partition, |record, event| {
                events.push((Envelope::read(record), event));
            })
            .unwrap();
        }
        events
    }

    /// The turns of the view's tasks: the task, and the arrivals that it took.
    pub fn taken(&self) -> Vec<(String, i64)> {
        let mut taken = Vec::new();
        for (_, event) in self.events("turns") {
            let Event::Turn(turn) = event else {
                panic!("{event:?}")
            };
            if turn.task.starts_with("features/") {
                let arrivals = turn.runs.iter();
                let arrivals = arrivals.filter(|run| run.topic.contains(".arrivals."));
                let count = arrivals.map(|run| run.count).sum();
                taken.push((turn.task, count));
            }
        }
        taken
    }
}

/// All that a log holds, but for what two runs of the same data need not have in common: values and headers by topic,
/// key and writer, in their order. Tasks that write to one partition on one tick have no order between them.
pub type Contents = BTreeMap<(String, String, String), Vec<String>>;

/// The chain (how turns are cut differs), outcomes (which hold observed durations and positions), and definitions (which
/// carry the wall clock's time of applying them).
const OBSERVED: [&str; 4] = ["turns", "snapshots", "outcomes", "definitions"];

impl Place {
    pub fn contents(&self) -> Contents {
        let mut contents = Contents::new();
        let mut reader = self.store().log.reader().unwrap();
        for topic in self.store().log.topics().unwrap() {
            let topic = topic.name.strip_prefix("shop.").unwrap();
            if OBSERVED.contains(&topic) {
                continue;
            }
            for partition in partitions(self.store(), topic) {
                for_each(reader.as_mut(), &partition, |record| {
                    let text = |bytes: Option<&[u8]>| {
                        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
                    };
                    let (key, writer) = (text(record.key), text(record.header("ce_source")));
                    let headers: Vec<_> = record.headers().collect();
                    let said = format!("{:?}", (record.value, headers));
                    let place = (topic.to_owned(), key, writer);
                    contents.entry(place).or_default().push(said);
                    Ok(())
                })
                .unwrap();
            }
        }
        contents
    }
}

/// Fails, in few words, with the first record that differs.
#[track_caller]
pub fn assert_same(expected: &Contents, found: &Contents, when: &str) {
    for (place, records) in expected {
        let others = found.get(place).map_or(&[][..], Vec::as_slice);
        let differs = records.iter().zip(others).position(|(one, two)| one != two);
        if let Some(at) = differs {
            panic!(
                "{place:?} {when}: record {at} is {}, expected {}",
                others[at], records[at]
            );
        }
        assert_eq!(records.len(), others.len(), "{place:?} {when}");
    }
    let more: Vec<_> = found
        .keys()
        .filter(|place| !expected.contains_key(place))
        .collect();
    assert!(more.is_empty(), "{more:?} {when}");
}

/// Rows by key, in their order.
pub fn by_key(rows: Vec<Row>) -> BTreeMap<String, Vec<(EventId, Vec<u8>)>> {
    let mut keys: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for row in rows {
        keys.entry(row.key).or_default().push((row.id, row.body));
    }
    keys
}

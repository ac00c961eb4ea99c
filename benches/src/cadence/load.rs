//! Records at a constant rate, and a reader of what became of them.

use std::error::Error;
use std::time::{Duration, Instant};

use mainstem_schemas::partition::partition_of;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::job;

/// How long the records may take after the last was sent.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two lots of records.
const LOT: Duration = Duration::from_millis(5);

/// Moments of a partition's records, in their order.
pub type Moments = Vec<Vec<Instant>>;

/// So many records a second, for that long.
pub struct Load<'a> {
    pub bootstrap: &'a str,
    pub partitions: u32,
    pub rate: usize,
    pub time: Duration,
    /// Records of the job that were sent before: an entity's event times must go on.
    pub after: usize,
}

impl Load<'_> {
    pub fn records(&self) -> usize {
        (self.rate as f64 * self.time.as_secs_f64()) as usize
    }

    fn moments(&self) -> Moments {
        vec![Vec::new(); self.partitions as usize]
    }

    /// Sends them as a user's producer would; says when.
    pub fn send(&self, topic: &str, schema: u32) -> Result<Moments, Box<dyn Error>> {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap)
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .create()?;
        let (begun, mut value) = (Instant::now(), Vec::new());
        let mut sent = self.moments();
        let arrivals = job::arrivals(self.after + self.records());
        let (mut arrivals, mut count) = (arrivals.skip(self.after), 0);
        loop {
            let due = (begun.elapsed().as_secs_f64() * self.rate as f64) as usize;
            for arrival in arrivals.by_ref().take(due.saturating_sub(count)) {
                let key = arrival.key();
                let at = partition_of(key.as_bytes(), self.partitions);
                value.clear();
                arrival.put_value(schema, &mut value);
                let record = BaseRecord::to(topic).partition(at as i32);
                let record = record.key(&key).payload(&value).timestamp(arrival.time.0);
                producer.send(record).map_err(|(why, _)| why)?;
                sent[at as usize].push(Instant::now());
                count += 1;
            }
            if count == self.records() {
                producer.flush(PATIENCE)?;
                return Ok(sent);
            }
            producer.poll(LOT);
        }
    }

    /// Reads as many committed records of a topic, after so many of each partition; says when it saw them.
    pub fn read(&self, topic: &str, skipped: Vec<usize>) -> Result<Moments, Box<dyn Error>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap)
            .set("group.id", "cadence")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "5")
            .create()?;
        let mut list = TopicPartitionList::new();
        for index in 0..self.partitions as i32 {
            list.add_partition_offset(topic, index, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        let (mut seen, mut skipped) = (self.moments(), skipped);
        let mut left = self.records();
        let deadline = Instant::now() + self.time + PATIENCE;
        while left > 0 {
            if let Some(record) = consumer.poll(Duration::from_millis(100)) {
                let at = record?.partition() as usize;
                if skipped[at] > 0 {
                    skipped[at] -= 1;
                    continue;
                }
                seen[at].push(Instant::now());
                left -= 1;
            }
            if Instant::now() > deadline {
                return Err(format!("{left} records did not become rows of {topic}").into());
            }
        }
        Ok(seen)
    }
}

/// How long each record took that was sent after the first part, in order of size.
pub fn delays(sent: &Moments, seen: &Moments, warm: Duration) -> Vec<Duration> {
    let first = sent.iter().flatten().min().copied();
    let pairs = sent.iter().flatten().zip(seen.iter().flatten());
    let mut delays: Vec<Duration> = pairs
        .filter(|(sent, _)| first.is_some_and(|first| **sent - first >= warm))
        .map(|(sent, seen)| *seen - *sent)
        .collect();
    delays.sort_unstable();
    delays
}

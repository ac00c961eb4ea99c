//! The job's records on a topic, and what came of them compared with the plain computation.

use std::error::Error;
use std::time::Duration;

use mainstem_kernel::Partition;
use mainstem_kernel::log::{FetchLimit, Log, Reader};
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::{Batch, Millis, wire};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::job::{self, FEATURES, Plain};

const PATIENCE: Duration = Duration::from_secs(60);

/// Writes the records as a user's producer would that knows nothing of Mainstem: no transaction, no headers.
pub fn generate(
    bootstrap: &str,
    (topic, partitions): (&str, u32),
    schema: u32,
    records: usize,
) -> Result<(), Box<dyn Error>> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "50")
        .set("batch.num.messages", "10000")
        .set("queue.buffering.max.messages", "1000000")
        .create()?;
    let mut value = Vec::new();
    for (row, arrival) in job::arrivals(records).enumerate() {
        let key = arrival.key();
        value.clear();
        arrival.put_value(schema, &mut value);
        let mut record = BaseRecord::to(topic)
            .partition(partition_of(key.as_bytes(), partitions) as i32)
            .key(&key)
            .payload(&value)
            .timestamp(arrival.time.0);
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    producer.poll(Duration::from_millis(10));
                    record = back;
                }
                Err((why, _)) => return Err(why.into()),
            }
        }
        if row % 1000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    Ok(producer.flush(PATIENCE)?)
}

/// How the features differ from the plain computation.
#[derive(Default)]
pub struct Compared {
    /// Rows.
    pub rows: usize,
    /// Per feature, values of the same bits.
    pub equal: [usize; FEATURES],
    /// Per feature, the largest difference of two values, relative to the larger one.
    pub largest: [f64; FEATURES],
}

/// The rows of one output partition, in order.
struct Rows<'a> {
    reader: Box<dyn Reader>,
    partition: Partition,
    next: u64,
    batch: Batch,
    row: usize,
    read: &'a Read<'a>,
}

/// Event time, where a body tells it, and features; missing ones are NaN.
type Values = (Option<Millis>, [f64; FEATURES]);

/// Reads a body.
pub type Read<'a> = dyn Fn(&[u8]) -> Result<Values, Box<dyn Error>> + 'a;

/// A row's key and features.
type Row = (String, [f64; FEATURES]);

impl Rows<'_> {
    /// Event time of the first row, where those before it are deleted.
    fn left(&mut self) -> Result<Option<Millis>, Box<dyn Error>> {
        self.next = self.reader.range(&self.partition)?.start;
        if self.next == 0 {
            return Ok(None);
        }
        self.fill()?;
        let first = self.batch.get(0).ok_or("all rows are deleted")?;
        let (_, body) = wire::split(first.value.unwrap_or_default())?;
        let (time, _) = (self.read)(body)?;
        Ok(Some(time.ok_or("rows without event times")?))
    }

    fn fill(&mut self) -> Result<(), Box<dyn Error>> {
        if self.row == self.batch.len() {
            self.batch.clear();
            self.row = 0;
            self.reader.fetch(
                &self.partition,
                self.next,
                FetchLimit::default(),
                &mut self.batch,
            )?;
        }
        Ok(())
    }

    /// The next row.
    fn next(&mut self) -> Result<Option<Row>, Box<dyn Error>> {
        self.fill()?;
        let Some(record) = self.batch.get(self.row) else {
            return Ok(None);
        };
        self.row += 1;
        self.next = record.offset + 1;
        let key = std::str::from_utf8(record.key.unwrap_or_default())?.to_owned();
        let (_, body) = wire::split(record.value.unwrap_or_default())?;
        let (_, features) = (self.read)(body)?;
        Ok(Some((key, features)))
    }
}

/// Reads what was written, committed records only, beside the records that it was made of; where the first rows are
/// deleted, those that are left.
pub fn compare(
    log: &dyn Log,
    (topic, partitions): (&str, u32),
    records: usize,
    read: &Read<'_>,
) -> Result<Compared, Box<dyn Error>> {
    let mut outputs = Vec::new();
    for index in 0..partitions {
        outputs.push(Rows {
            reader: log.reader()?,
            partition: Partition::new(topic, index),
            next: 0,
            batch: Batch::new(),
            row: 0,
            read,
        });
    }
    let left = outputs.iter_mut().map(Rows::left);
    let left: Vec<Option<Millis>> = left.collect::<Result<_, _>>()?;
    let mut entities = vec![Plain::default(); job::ENTITIES];
    let mut compared = Compared::default();
    for arrival in job::arrivals(records) {
        let want = entities[arrival.entity].features(&arrival.columns);
        let key = arrival.key();
        let at = partition_of(key.as_bytes(), partitions) as usize;
        if Some(arrival.time) < left[at] {
            continue;
        }
        let (of, got) = outputs[at]
            .next()?
            .ok_or_else(|| format!("{topic}/{at} ends after {} rows in all", compared.rows))?;
        if of != key {
            return Err(format!("{topic}/{at}: a row of {of} where one of {key} is next").into());
        }
        compared.rows += 1;
        for (at, (got, want)) in got.iter().zip(&want).enumerate() {
            let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
            compared.equal[at] += usize::from(same);
            if !same {
                let apart = (got - want).abs() / got.abs().max(want.abs());
                let apart = if apart.is_nan() { f64::INFINITY } else { apart };
                compared.largest[at] = compared.largest[at].max(apart);
            }
        }
    }
    for output in &mut outputs {
        if output.next()?.is_some() {
            return Err(format!("{} has more rows than records", output.partition).into());
        }
    }
    Ok(compared)
}

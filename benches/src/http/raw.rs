//! The raw producer: what the gateway wrote, byte for byte, sent to another topic with acks=all.

use std::error::Error;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainstem_host::Store;
use mainstem_kernel::Partition;
use mainstem_kernel::log::TopicSpec;
use mainstem_kernel::worker::for_each;
use mainstem_schemas::definition::Project;
use mainstem_schemas::{Batch, topics};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};

use super::Measured;
use crate::job;

/// Rows that are sent over and over.
const ROWS: usize = 20_000;

/// The topic.
const TOPIC: &str = "raw";

/// How long a producer may take to send what waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// Records that the gateway has written.
pub struct Rows(Vec<(Partition, Batch)>);

impl Rows {
    /// Reads some of each partition.
    pub fn read(store: &Store, project: &Project) -> Result<Self, Box<dyn Error>> {
        let topic = topics::of(&project.name, "arrivals", job::NAME);
        let mut rows = Vec::new();
        let mut reader = store.log.reader()?;
        for index in 0..project.partitions {
            let mut left = ROWS / project.partitions as usize;
            for_each(reader.as_mut(), &Partition::new(&topic, index), |record| {
                if left > 0 {
                    let mut batch = Batch::new();
                    batch.push(record.key, record.value, record.headers());
                    rows.push((Partition::new(TOPIC, index), batch));
                    left -= 1;
                }
                Ok(())
            })?;
        }
        // As they come: neighbours are of different partitions.
        let (count, partitions) = (rows.len(), project.partitions as usize);
        let turn = |at: usize| (at % partitions) * (count / partitions) + at / partitions;
        let mixed = (0..count).filter_map(|at| rows.get(turn(at)).cloned());
        Ok(Rows(mixed.collect()))
    }
}

/// What one batch still waits for.
struct Waits {
    left: Mutex<(usize, bool)>,
    done: Condvar,
}

struct Deliveries;

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Waits>;

    fn delivery(&self, result: &DeliveryResult<'_>, waits: Arc<Waits>) {
        let mut left = waits.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.0 -= 1;
        left.1 |= result.is_err();
        if left.0 == 0 {
            waits.done.notify_one();
        }
    }
}

type Sends = ThreadedProducer<Deliveries>;

/// The raw producer.
pub struct Raw {
    /// Sends at once: whoever waits for each batch gains nothing by linger.
    prompt: Sends,
    /// Gathers large batches.
    patient: Sends,
    rows: Vec<(Partition, Batch)>,
}

impl Raw {
    /// On a topic like that of the arrivals.
    pub fn new(
        bootstrap: &str,
        store: &Store,
        project: &Project,
        rows: Rows,
    ) -> Result<Self, Box<dyn Error>> {
        store.log.create_topics(&[TopicSpec {
            name: TOPIC.into(),
            partitions: project.partitions,
        }])?;
        let producer = |linger: &str| -> Result<Sends, KafkaError> {
            ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .set("acks", "all")
                .set("enable.idempotence", "true")
                .set("socket.nagle.disable", "true")
                .set("linger.ms", linger)
                .set("batch.num.messages", "10000")
                .set("queue.buffering.max.messages", "1000000")
                .create_with_context(Deliveries)
        };
        Ok(Raw {
            prompt: producer("0")?,
            patient: producer("20")?,
            rows: rows.0,
        })
    }

    /// Sends so many records a batch from so many threads, each of which waits for its own.
    pub fn send(
        &self,
        records: usize,
        threads: usize,
        time: Duration,
    ) -> Result<Measured, Box<dyn Error>> {
        let begun = Instant::now();
        let writer = |first: usize| -> Result<Vec<Duration>, String> {
            let mut times = Vec::new();
            let mut rows = self.rows.iter().cycle().skip(first);
            while begun.elapsed() < time {
                let sent = Instant::now();
                let waits = Waits::of(records);
                for row in rows.by_ref().take(records) {
                    put(&self.prompt, row, &waits)?;
                }
                waits.wait()?;
                times.push(sent.elapsed());
            }
            Ok(times)
        };
        let writer = &writer;
        let times = std::thread::scope(|scope| {
            let first = |thread| thread * self.rows.len() / threads;
            let threads: Vec<_> = (0..threads)
                .map(|thread| scope.spawn(move || writer(first(thread))))
                .collect();
            let mut times = Vec::new();
            for thread in threads {
                times.extend(thread.join().map_err(|_| "a thread panicked")??);
            }
            Ok::<_, Box<dyn Error>>(times)
        })?;
        Ok(Measured::new(times.len() * records, begun.elapsed(), times))
    }

    /// Records a second where nothing is waited for but the end.
    pub fn pipelined(&self, time: Duration) -> Result<f64, Box<dyn Error>> {
        let (begun, mut count) = (Instant::now(), 0);
        let waits = Waits::of(usize::MAX);
        for row in self.rows.iter().cycle() {
            if count % 1_000 == 0 && begun.elapsed() >= time {
                break;
            }
            put(&self.patient, row, &waits)?;
            count += 1;
        }
        self.patient.flush(PATIENCE)?;
        Ok(f64::from(count) / begun.elapsed().as_secs_f64())
    }
}

impl Waits {
    fn of(records: usize) -> Arc<Self> {
        Arc::new(Waits {
            left: Mutex::new((records, false)),
            done: Condvar::new(),
        })
    }

    fn wait(&self) -> Result<(), String> {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.done.wait_while(left, |left| left.0 > 0);
        match left.unwrap_or_else(PoisonError::into_inner).1 {
            true => Err("a record was not delivered".into()),
            false => Ok(()),
        }
    }
}

fn put(producer: &Sends, row: &(Partition, Batch), waits: &Arc<Waits>) -> Result<(), String> {
    let (partition, batch) = row;
    let record = batch.get(0).ok_or("an empty row")?;
    let mut headers = OwnedHeaders::new();
    for (key, value) in record.headers() {
        let value = Some(value);
        headers = headers.insert(Header { key, value });
    }
    let mut send: BaseRecord<'_, [u8], [u8], Arc<Waits>> =
        BaseRecord::with_opaque_to(TOPIC, Arc::clone(waits)).partition(partition.index as i32);
    (send.key, send.payload, send.headers) = (record.key, record.value, Some(headers));
    loop {
        match producer.send(send) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                std::thread::sleep(Duration::from_millis(1));
                send = back;
            }
            Err((why, _)) => return Err(why.to_string()),
        }
    }
}

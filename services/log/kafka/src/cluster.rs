//! What all handles of one log share: who to ask for topics and ends, and the bell.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use mainstem_kernel::log::{LogError, Partition, TopicSpec};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::settings::{self, MAX_BATCH, Role};
use crate::{Options, error};

/// Brokers answer in milliseconds; one that restarts is back within this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Between two tries of what a broker could not answer yet.
const PAUSE: Duration = Duration::from_millis(20);

/// How often a client looks again for a partition that it does not know: the first answer has it, where it is there.
const LOOKS: u32 = 3;

/// The connection to the brokers that the handles of a log share.
pub(crate) struct Cluster {
    pub(crate) options: Options,
    // Ends are asked on connections of their own: on a reader's they would wait behind its long-polling fetches.
    committed: BaseConsumer,
    uncommitted: BaseConsumer,
    admin: OnceLock<AdminClient<DefaultClientContext>>,
    counts: Mutex<BTreeMap<String, u32>>,
}

impl Cluster {
    pub(crate) fn connect(options: Options) -> Result<Self, LogError> {
        settings::check(&options)?;
        let probe = |committed| {
            let config = settings::config(&options, Role::Probe { committed });
            config.create::<BaseConsumer>().map_err(|e| error::log(&e))
        };
        let (committed, uncommitted) = (probe(true)?, probe(false)?);
        let cluster = Cluster {
            options,
            committed,
            uncommitted,
            admin: OnceLock::new(),
            counts: Mutex::default(),
        };
        cluster.topics()?;
        Ok(cluster)
    }

    /// The topics that exist, but for Kafka's own.
    pub(crate) fn topics(&self) -> Result<Vec<TopicSpec>, LogError> {
        let metadata = self
            .committed
            .fetch_metadata(None, PATIENCE)
            .map_err(|e| error::log(&e))?;
        let mut topics: Vec<TopicSpec> = metadata
            .topics()
            .iter()
            .filter(|topic| !topic.name().starts_with("__"))
            .map(|topic| TopicSpec {
                name: topic.name().to_owned(),
                partitions: topic.partitions().len() as u32,
            })
            .collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        let mut counts = lock(&self.counts);
        counts.extend(
            topics
                .iter()
                .map(|topic| (topic.name.clone(), topic.partitions)),
        );
        Ok(topics)
    }

    /// Number of partitions, or nothing where there is no such topic. Counts of our own are fixed for life, so they are
    /// kept.
    pub(crate) fn count(&self, topic: &str) -> Result<Option<u32>, LogError> {
        if let Some(count) = lock(&self.counts).get(topic) {
            return Ok(Some(*count));
        }
        let metadata = self
            .committed
            .fetch_metadata(Some(topic), PATIENCE)
            .map_err(|e| error::log(&e))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let led = found.filter(|topic| {
            let partitions = topic.partitions();
            !partitions.is_empty() && partitions.iter().all(|p| p.leader() >= 0)
        });
        let count = led.map(|topic| topic.partitions().len() as u32);
        if let Some(count) = count {
            lock(&self.counts).insert(topic.to_owned(), count);
        }
        Ok(count)
    }

    /// Refuses a partition that does not exist. A topic of others may have grown since it was counted.
    pub(crate) fn require(&self, partition: &Partition) -> Result<(), LogError> {
        let beyond = |count: &u32| *count <= partition.index;
        lock(&self.counts).retain(|topic, count| **topic != *partition.topic || !beyond(count));
        match self.count(&partition.topic)? {
            Some(count) if partition.index < count => Ok(()),
            _ => Err(LogError::UnknownTopic(partition.clone())),
        }
    }

    /// Creates what is missing, and waits until every partition has a leader.
    pub(crate) fn create(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        let batch = MAX_BATCH.to_string();
        let missing: Vec<&TopicSpec> = {
            let existing = self.topics()?;
            let exists = |topic: &TopicSpec| existing.iter().any(|found| found.name == topic.name);
            topics.iter().filter(|topic| !exists(topic)).collect()
        };
        // The replication factor is the broker's default. Everything is kept, and the record's timestamp is the
        // broker's time of writing: one that a client sends could be refused or expired.
        let created: Vec<NewTopic<'_>> = missing
            .iter()
            .map(|topic| {
                NewTopic::new(
                    &topic.name,
                    topic.partitions as i32,
                    TopicReplication::Fixed(-1),
                )
                .set("retention.ms", "-1")
                .set("retention.bytes", "-1")
                .set("cleanup.policy", "delete")
                .set("message.timestamp.type", "LogAppendTime")
                .set("max.message.bytes", &batch)
            })
            .collect();
        if !created.is_empty() {
            let options = AdminOptions::new()
                .request_timeout(Some(PATIENCE))
                .operation_timeout(Some(PATIENCE));
            let results = block_on(self.admin()?.create_topics(&created, &options));
            for result in results.map_err(|e| error::log(&e))? {
                match result {
                    // Another process may create the same topics.
                    Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                    Err((topic, code)) => {
                        return Err(LogError::Other(format!(
                            "Kafka cannot create topic {topic}: {code}"
                        )));
                    }
                }
            }
        }
        for topic in topics {
            self.await_topic(topic)?;
        }
        Ok(())
    }

    fn await_topic(&self, topic: &TopicSpec) -> Result<(), LogError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.count(&topic.name)? {
                Some(actual) if actual == topic.partitions => return Ok(()),
                Some(actual) => {
                    return Err(LogError::Partitions {
                        topic: topic.name.clone(),
                        actual,
                        wanted: topic.partitions,
                    });
                }
                None if Instant::now() < deadline => std::thread::sleep(PAUSE),
                None => {
                    let partition = Partition::new(&topic.name, 0);
                    return Err(LogError::UnknownTopic(partition));
                }
            }
        }
    }

    /// Forgets the records before an offset, or all there are.
    pub(crate) fn truncate(&self, partition: &Partition, before: u64) -> Result<(), LogError> {
        self.require(partition)?;
        let before = before.min(self.end(partition, true)?);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(
            &partition.topic,
            partition.index as i32,
            Offset::Offset(before as i64),
        )
        .map_err(|e| error::of_partition(partition, &e))?;
        let options = AdminOptions::new()
            .request_timeout(Some(PATIENCE))
            .operation_timeout(Some(PATIENCE));
        let done = block_on(self.admin()?.delete_records(&list, &options));
        let done = done.map_err(|e| error::of_partition(partition, &e))?;
        for element in done.elements() {
            match element.error() {
                Ok(()) => {}
                // It starts beyond `before` already.
                Err(KafkaError::OffsetFetch(RDKafkaErrorCode::OffsetOutOfRange)) => {}
                Err(why) => return Err(error::of_partition(partition, &why)),
            }
        }
        Ok(())
    }

    /// The offset at the end: of what is decided (`committed`), or of all that is written.
    pub(crate) fn end(&self, partition: &Partition, committed: bool) -> Result<u64, LogError> {
        let ends = self.offsets(std::slice::from_ref(partition), Offset::End, committed)?;
        Ok(ends.first().copied().unwrap_or(0))
    }

    /// The first offset that is kept.
    pub(crate) fn start(&self, partition: &Partition) -> Result<u64, LogError> {
        let start = self.offsets(std::slice::from_ref(partition), Offset::Beginning, true)?;
        Ok(start.first().copied().unwrap_or(0))
    }

    /// First or last offsets of several partitions, one request a broker. Asks again while a partition has no leader.
    pub(crate) fn offsets(
        &self,
        partitions: &[Partition],
        place: Offset,
        committed: bool,
    ) -> Result<Vec<u64>, LogError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let probe = if committed {
            &self.committed
        } else {
            &self.uncommitted
        };
        let (deadline, mut looks) = (Instant::now() + PATIENCE, LOOKS);
        loop {
            // Events of the client (logs, lost connections) are served and dropped: a call that fails says so.
            let _ = probe.poll(Duration::ZERO);
            match ask(probe, partitions, place) {
                Err((_, why)) if is_passing(&why) && Instant::now() < deadline => {
                    std::thread::sleep(PAUSE);
                }
                Err((partition, why)) if looks > 0 && self.has_grown(&partition, &why) => {
                    looks -= 1;
                    look_again(probe, &partition);
                    std::thread::sleep(PAUSE);
                }
                Err((partition, why)) => return Err(error::of_partition(&partition, &why)),
                Ok(offsets) => return Ok(offsets),
            }
        }
    }

    /// Whether a client that does not know a partition has only not heard of it yet: a topic of others has grown.
    fn has_grown(&self, partition: &Partition, why: &KafkaError) -> bool {
        let unknown = why.rdkafka_error_code().is_some_and(error::is_unknown);
        let counted = lock(&self.counts).get(partition.topic.as_ref()).copied();
        unknown && counted.is_some_and(|count| partition.index < count)
    }

    fn admin(&self) -> Result<&AdminClient<DefaultClientContext>, LogError> {
        if self.admin.get().is_none() {
            let config = settings::config(&self.options, Role::Probe { committed: true });
            let admin = config.create().map_err(|e| error::log(&e))?;
            let _ = self.admin.set(admin);
        }
        let missing = || LogError::Other("Kafka's admin client is gone".into());
        self.admin.get().ok_or_else(missing)
    }
}

/// Has a client look at a topic again, which it does by itself every five minutes.
pub(crate) fn look_again<C: ConsumerContext>(client: &BaseConsumer<C>, partition: &Partition) {
    // What comes of it shows in the next call.
    let _ = client.fetch_metadata(Some(&partition.topic), PATIENCE);
}

fn ask(
    probe: &BaseConsumer,
    partitions: &[Partition],
    place: Offset,
) -> Result<Vec<u64>, (Partition, KafkaError)> {
    let any = &partitions[0];
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition_offset(&partition.topic, partition.index as i32, place)
            .map_err(|why| (partition.clone(), why))?;
    }
    let found = probe
        .offsets_for_times(list, PATIENCE)
        .map_err(|why| (any.clone(), why))?;
    let mut offsets = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let element = found
            .find_partition(&partition.topic, partition.index as i32)
            .ok_or_else(|| (partition.clone(), KafkaError::NoMessageReceived))?;
        element.error().map_err(|why| (partition.clone(), why))?;
        // An empty partition that keeps nothing answers with no offset: it is at its beginning.
        offsets.push(match element.offset() {
            Offset::Offset(offset) => u64::try_from(offset).unwrap_or(0),
            _ => 0,
        });
    }
    Ok(offsets)
}

/// Errors that end when a broker is back or a leader elected.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::ReplicaNotAvailable
                | Code::OffsetNotAvailable
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::BrokerTransportFailure
                | Code::BrokerNotAvailable
                | Code::NetworkException
                | Code::UnknownBroker
        )
    )
}

/// A lock whose holder panicked guards data that are still whole: every change here is one insert.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for rdkafka's admin futures, which its own thread completes: no runtime is needed for them.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

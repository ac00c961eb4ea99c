//! What all handles of one log share: who to ask for topics and ends, and the bell.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use mainstem_kernel::log::{LogError, Partition, TopicSpec};
use rdkafka::admin::AdminClient;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::{Offset, TopicPartitionList};

use crate::Options;
use crate::error::{self, Act};
use crate::settings::{self, Role};
use crate::trouble::{Events, Trouble};

/// Brokers answer in milliseconds; one that restarts is back within this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Between two tries of what a broker could not answer yet.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// How long one try to connect lasts before the client's events are looked at.
const STEP: Duration = Duration::from_secs(1);

/// How long an answer about offsets is waited for: brokers give it in milliseconds, and a dead one gives none.
const ANSWER: Duration = Duration::from_secs(2);

/// How often a client looks again for a partition that it does not know: the first answer has it, where it is there.
const LOOKS: u32 = 3;

/// The connection to the brokers that the handles of a log share.
pub(crate) struct Cluster {
    pub(crate) options: Options,
    // Ends are asked on connections of their own: on a reader's they would wait behind its long-polling fetches.
    committed: BaseConsumer<Events>,
    uncommitted: BaseConsumer<Events>,
    pub(crate) admin: OnceLock<AdminClient<Events>>,
    pub(crate) trouble: Arc<Trouble>,
    counts: Mutex<BTreeMap<String, u32>>,
}

impl Cluster {
    pub(crate) fn connect(options: Options) -> Result<Self, LogError> {
        settings::check(&options)?;
        let trouble = Arc::new(Trouble::default());
        let probe = |committed| {
            let config = settings::config(&options, Role::Probe { committed });
            let probe = config.create_with_context(Events(trouble.clone()));
            probe.map_err(|why| error::log(&options, Act::connect(), &why))
        };
        let (committed, uncommitted) = (probe(true)?, probe(false)?);
        let cluster = Cluster {
            options,
            committed,
            uncommitted,
            admin: OnceLock::new(),
            trouble,
            counts: Mutex::default(),
        };
        cluster.topics()?;
        Ok(cluster)
    }

    /// What an error means, and what to do about it.
    pub(crate) fn explain(&self, act: Act<'_>, why: &KafkaError) -> LogError {
        let vague = error::code(why).is_some_and(error::is_unanswered);
        let told = vague.then(|| {
            self.listen();
            self.trouble.why(&self.options)
        });
        told.flatten()
            .unwrap_or_else(|| error::log(&self.options, act, why))
    }

    /// Serves the clients' events: those that say why a call failed go to the log's trouble.
    fn listen(&self) {
        for probe in [&self.committed, &self.uncommitted] {
            while probe.poll(Duration::ZERO).is_some() {}
        }
    }

    /// Asks about a topic, or all; for as long as a broker may need to come back, but a refused password is told soon.
    fn metadata(&self, topic: Option<&str>) -> Result<Metadata, LogError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.committed.fetch_metadata(topic, STEP) {
                Ok(metadata) => return Ok(metadata),
                Err(why) => {
                    self.listen();
                    if self.trouble.is_final() || Instant::now() > deadline {
                        return Err(self.explain(Act::connect(), &why));
                    }
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// The topics that exist, but for Kafka's own.
    pub(crate) fn topics(&self) -> Result<Vec<TopicSpec>, LogError> {
        let metadata = self.metadata(None)?;
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

    /// How many copies each topic has.
    pub(crate) fn copies(&self) -> Result<BTreeMap<String, usize>, LogError> {
        let metadata = self.metadata(None)?;
        let copies = |topic: &rdkafka::metadata::MetadataTopic| {
            let copies = topic.partitions().first().map_or(1, |p| p.replicas().len());
            (topic.name().to_owned(), copies)
        };
        Ok(metadata.topics().iter().map(copies).collect())
    }

    /// Number of partitions, or nothing where there is no such topic. Counts of our own are fixed for life, so they are
    /// kept.
    pub(crate) fn count(&self, topic: &str) -> Result<Option<u32>, LogError> {
        if let Some(count) = lock(&self.counts).get(topic) {
            return Ok(Some(*count));
        }
        let metadata = self.metadata(Some(topic))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        if let Some(code) = found
            .and_then(|topic| topic.error())
            .map(RDKafkaErrorCode::from)
            && error::is_denied(code)
        {
            return Err(self.explain(Act::describe(topic), &KafkaError::MetadataFetch(code)));
        }
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
                Err((_, why)) if self.may_pass(&why) && Instant::now() < deadline => {
                    // A client goes on asking the leader that it knows, also one that is dead: it is told of the new one.
                    let _ = probe.fetch_metadata(None, STEP);
                    std::thread::sleep(PAUSE);
                }
                Err((partition, why)) if looks > 0 && self.has_grown(&partition, &why) => {
                    looks -= 1;
                    look_again(probe, &partition);
                    std::thread::sleep(PAUSE);
                }
                Err((partition, why)) => return Err(self.explain(Act::read(&partition), &why)),
                Ok(offsets) => return Ok(offsets),
            }
        }
    }

    /// Whether an error ends by itself: a leader that is dead has a successor within seconds.
    fn may_pass(&self, why: &KafkaError) -> bool {
        let unanswered = error::code(why).is_some_and(error::is_unanswered);
        error::is_passing(why) || (unanswered && !self.trouble.is_final())
    }

    /// Whether a client that does not know a partition has only not heard of it yet: a topic of others has grown.
    fn has_grown(&self, partition: &Partition, why: &KafkaError) -> bool {
        let unknown = why.rdkafka_error_code().is_some_and(error::is_unknown);
        let counted = lock(&self.counts).get(partition.topic.as_ref()).copied();
        unknown && counted.is_some_and(|count| partition.index < count)
    }
}

/// Has a client look at a topic again, which it does by itself every five minutes.
pub(crate) fn look_again<C: ConsumerContext>(client: &BaseConsumer<C>, partition: &Partition) {
    // What comes of it shows in the next call.
    let _ = client.fetch_metadata(Some(&partition.topic), PATIENCE);
}

fn ask(
    probe: &BaseConsumer<Events>,
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
        .offsets_for_times(list, ANSWER)
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

/// A lock whose holder panicked guards data that are still whole: every change here is one insert.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

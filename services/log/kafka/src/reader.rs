//! Reads committed records: one consumer outside every group, one queue a partition.
//!
//! *Emptiness.* A fetch may answer with nothing only where the partition ended at or before `from` at some moment
//! after the call began. Kafka's end-of-partition events say what was true when they were made, so a fetch that finds
//! no record asks for the end first, and then waits until a record comes or everything below that end is scanned. The
//! end lies beyond the last record, after the transaction's marker: `scanned` counts markers and aborted records too.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstem_kernel::log::{FetchLimit, LogError, Partition, Reader};
use mainstem_schemas::Batch;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::{Cluster, PATIENCE, look_again};
use crate::native::{Message, Queue};
use crate::settings::{self, Role};
use crate::{error, watch::Watch};

/// Messages taken at one call: 256 to 2,000 are equally fast (measured), and what is over a limit waits in memory.
const CHUNK: usize = 512;

/// How long one wait for a message lasts before the position is looked at again.
const STEP: Duration = Duration::from_millis(2);

/// A reader.
pub(crate) struct KafkaReader {
    // Before the consumer, which must outlive its queues.
    places: BTreeMap<Partition, Place>,
    consumer: Arc<BaseConsumer>,
    cluster: Arc<Cluster>,
    watch: Arc<Watch>,
}

/// How far one partition is read.
struct Place {
    /// Taken from the queue and not yet handed out.
    held: VecDeque<Message>,
    queue: Queue,
    /// The offset that the caller wants next.
    next: u64,
    /// No record that was not taken lies below.
    scanned: u64,
    /// What librdkafka's position may say without meaning anything: events count one too many, and a position does
    /// not fall when the reader goes back.
    vague: u64,
}

impl KafkaReader {
    pub(crate) fn open(cluster: Arc<Cluster>, watch: Arc<Watch>) -> Result<Self, LogError> {
        let config = settings::config(&cluster.options, Role::Reader);
        let consumer: BaseConsumer = config.create().map_err(|e| error::log(&e))?;
        Ok(KafkaReader {
            places: BTreeMap::new(),
            consumer: Arc::new(consumer),
            cluster,
            watch,
        })
    }

    /// Stands at `from`, if the partition reaches that far: `false` where it ends at or before.
    fn stand(&mut self, partition: &Partition, from: u64) -> Result<bool, LogError> {
        if let Some(place) = self.places.get_mut(partition)
            && place.reaches(from)
        {
            return Ok(true);
        }
        self.cluster.require(partition)?;
        self.watch.add(partition);
        if from >= self.cluster.end(partition, true)? {
            return Ok(false);
        }
        let earliest = self.cluster.start(partition)?;
        if from < earliest {
            return Err(LogError::OutOfRange {
                partition: partition.clone(),
                offset: from,
                earliest,
            });
        }
        self.go(partition, from)?;
        Ok(true)
    }

    /// Lets librdkafka fetch from `from` on.
    fn go(&mut self, partition: &Partition, from: u64) -> Result<(), LogError> {
        let (topic, index) = (partition.topic.as_ref(), partition.index as i32);
        let fail = |why| error::of_partition(partition, &why);
        if let Some(place) = self.places.get_mut(partition) {
            place.held.clear();
            let sought = self
                .consumer
                .seek(topic, index, Offset::Offset(from as i64), PATIENCE);
            if sought.is_ok() {
                place.vague = place.vague.max(place.queue.position().unwrap_or(0));
                (place.next, place.scanned) = (from, from);
                return Ok(());
            }
            self.drop_place(partition);
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, index, Offset::Offset(from as i64))
            .map_err(fail)?;
        let queue = Queue::of(&self.consumer, topic, index)
            .ok_or_else(|| LogError::UnknownTopic(partition.clone()))?;
        self.consumer.incremental_assign(&list).map_err(fail)?;
        let place = Place {
            held: VecDeque::new(),
            next: from,
            scanned: from,
            vague: queue.position().unwrap_or(0),
            queue,
        };
        self.places.insert(partition.clone(), place);
        Ok(())
    }

    fn drop_place(&mut self, partition: &Partition) {
        if self.places.remove(partition).is_some() {
            let mut list = TopicPartitionList::new();
            list.add_partition(&partition.topic, partition.index as i32);
            let _ = self.consumer.incremental_unassign(&list);
        }
    }

    /// Takes messages until there are some (`true`) or everything below `end` is scanned (`false`).
    fn take_until(&mut self, partition: &Partition, end: u64) -> Result<bool, LogError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Some(place) = self.places.get_mut(partition) else {
                return Ok(false);
            };
            place.take(CHUNK, Duration::ZERO);
            if let Some(code) = place.settle() {
                return self.refused(partition, code).map(|()| false);
            }
            if !place.held.is_empty() {
                return Ok(true);
            }
            if place.scanned >= end {
                return Ok(false);
            }
            place.take(1, STEP);
            // Errors of the client as a whole: a broker that is gone comes back, or the deadline passes.
            let _ = self.consumer.poll(Duration::ZERO);
            if Instant::now() > deadline {
                return Err(error::of_code(RDKafkaErrorCode::OperationTimedOut));
            }
        }
    }

    /// An error of the partition: the place is given up, and the call answers by what is kept now.
    fn refused(&mut self, partition: &Partition, code: RDKafkaErrorCode) -> Result<(), LogError> {
        use RDKafkaErrorCode as Code;
        let next = self.places.get(partition).map_or(0, |place| place.next);
        self.drop_place(partition);
        if matches!(code, Code::AutoOffsetReset | Code::OffsetOutOfRange) {
            let earliest = self.cluster.start(partition)?;
            return Err(LogError::OutOfRange {
                partition: partition.clone(),
                offset: next,
                earliest,
            });
        }
        if error::is_unknown(code) {
            look_again(&self.consumer, partition);
            return Err(LogError::UnknownTopic(partition.clone()));
        }
        Err(error::of_code(code))
    }
}

impl Reader for KafkaReader {
    fn fetch(
        &mut self,
        partition: &Partition,
        from: u64,
        limit: FetchLimit,
        into: &mut Batch,
    ) -> Result<(), LogError> {
        if !self.stand(partition, from)? {
            return Ok(());
        }
        // Nothing is asked of the broker where records wait already.
        let waits = self.take_until(partition, 0)?;
        if !waits {
            let end = self.cluster.end(partition, true)?;
            self.take_until(partition, end)?;
        }
        if let Some(place) = self.places.get_mut(partition) {
            place.hand_out(limit, into);
        }
        Ok(())
    }

    /// The end of all that is written is asked first. Where less is decided, a transaction is open; where everything
    /// below is scanned without a record, the rest is markers and aborted records.
    fn at_end(&mut self, partition: &Partition, offset: u64) -> Result<bool, LogError> {
        self.cluster.require(partition)?;
        let written = self.cluster.end(partition, false)?;
        if offset >= written {
            return Ok(true);
        }
        if self.cluster.end(partition, true)? < written {
            return Ok(false);
        }
        if !self.stand(partition, offset)? {
            return Ok(true);
        }
        Ok(!self.take_until(partition, written)?)
    }

    fn range(&mut self, partition: &Partition) -> Result<Range<u64>, LogError> {
        self.cluster.require(partition)?;
        let start = self.cluster.start(partition)?;
        Ok(start..self.cluster.end(partition, true)?.max(start))
    }
}

impl Place {
    /// Moves to `from` where that needs nothing of the broker.
    fn reaches(&mut self, from: u64) -> bool {
        let waits = |message: &Message| message.event().is_none() && message.offset() >= from;
        let here = from >= self.next && (from <= self.scanned || self.held.iter().any(waits));
        if here {
            self.next = from;
        }
        here
    }

    fn take(&mut self, max: usize, wait: Duration) {
        if self.held.len() < CHUNK {
            self.queue.take(max, wait, &mut self.held);
        }
    }

    /// Strikes events and skipped records at the front, noting how far the partition is scanned; an error is handed
    /// back.
    fn settle(&mut self) -> Option<RDKafkaErrorCode> {
        while let Some(first) = self.held.front() {
            let (event, offset) = (first.event(), first.offset());
            if event.is_none() && offset >= self.next {
                break;
            }
            self.held.pop_front();
            match event {
                None => self.scanned = self.scanned.max(offset + 1),
                Some(RDKafkaErrorCode::PartitionEOF) => {
                    self.scanned = self.scanned.max(offset);
                    self.vague = self.vague.max(offset + 1);
                }
                Some(_) => {
                    self.vague = self.vague.max(offset + 1);
                    return event;
                }
            }
        }
        if self.held.is_empty() {
            // A marker moves the position and is no message: the end of what it ends need not be waited for.
            let position = self.queue.position().unwrap_or(0);
            if position > self.vague.max(self.scanned) {
                self.scanned = position;
            }
        }
        None
    }

    fn hand_out(&mut self, limit: FetchLimit, into: &mut Batch) {
        let (rows, bytes) = (into.len(), into.bytes());
        while into.len() - rows < limit.records.max(1) {
            if self.held.is_empty() {
                self.take(CHUNK, Duration::ZERO);
            }
            let Some(message) = self.held.front().filter(|m| m.event().is_none()) else {
                break;
            };
            message.push_to(into);
            if into.len() - rows > 1 && into.bytes() - bytes > limit.bytes {
                into.truncate(into.len() - 1);
                break;
            }
            self.next = message.offset() + 1;
            self.scanned = self.scanned.max(self.next);
            self.held.pop_front();
        }
    }
}

//! Reads committed records: one consumer outside every group, one queue a partition.
//!
//! *Emptiness.* A fetch may answer with nothing only where the partition ended at or before `from` at some moment
//! after the call began. Kafka's end-of-partition events say what was true when they were made, so a fetch that finds
//! no record asks for the end first, and then waits until a record comes or everything below that end is scanned. The
//! end lies beyond the last record, after the transaction's marker: `scanned` counts markers and aborted records too.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstem_kernel::log::{FetchLimit, LogError, Partition, Reader};
use mainstem_schemas::Batch;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::{Cluster, PATIENCE, look_again};
use crate::error::{self, Act};
use crate::native::Queue;
use crate::place::Place;
use crate::settings::{self, Role};
use crate::trouble::Events;
use crate::watch::Watch;

/// How long one wait for a message lasts before the position is looked at again.
const STEP: Duration = Duration::from_millis(2);

/// A reader.
pub(crate) struct KafkaReader {
    // Before the consumer, which must outlive its queues.
    places: BTreeMap<Partition, Place>,
    consumer: Arc<BaseConsumer<Events>>,
    cluster: Arc<Cluster>,
    watch: Arc<Watch>,
    /// Ends as of the last look.
    looked: BTreeMap<Partition, u64>,
    /// Where partitions were found to have no record up to their ends: markers, as a rule.
    barren: BTreeMap<Partition, Range<u64>>,
}

/// Ends of a partition: of all that is written, and of what is decided.
#[derive(Clone, Copy, Default)]
struct Ends {
    written: u64,
    decided: u64,
}

impl KafkaReader {
    pub(crate) fn open(cluster: Arc<Cluster>, watch: Arc<Watch>) -> Result<Self, LogError> {
        let config = settings::config(&cluster.options, Role::Reader);
        let consumer = config.create_with_context(Events(cluster.trouble.clone()));
        let consumer: BaseConsumer<Events> =
            consumer.map_err(|why| cluster.explain(Act::connect(), &why))?;
        Ok(KafkaReader {
            places: BTreeMap::new(),
            consumer: Arc::new(consumer),
            cluster,
            watch,
            looked: BTreeMap::new(),
            barren: BTreeMap::new(),
        })
    }

    /// Stands at `from`, if the partition reaches that far: `false` where it ends at or before.
    fn stand(&mut self, partition: &Partition, from: u64) -> Result<bool, LogError> {
        if let Some(place) = self.places.get_mut(partition)
            && place.reaches(from)
        {
            return Ok(true);
        }
        let end = match self.looked.get(partition) {
            Some(end) => *end,
            None => {
                self.cluster.require(partition)?;
                self.watch.add(partition);
                self.cluster.end(partition, true)?
            }
        };
        let is_barren = |barren: &Range<u64>| barren.contains(&from) && barren.end >= end;
        if from >= end || self.barren.get(partition).is_some_and(is_barren) {
            // Another task may be behind on the partition: what it reads goes on.
            let is_read = |place: &Place| place.scanned >= end;
            if self.places.get(partition).is_some_and(is_read) {
                self.rest(partition, true);
            }
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

    /// Those of the partitions that there are.
    fn there<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a Partition>,
    ) -> Result<Vec<Partition>, LogError> {
        let mut there = Vec::new();
        for partition in partitions {
            match self.cluster.require(partition) {
                Ok(()) => there.push(partition.clone()),
                Err(LogError::UnknownTopic(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(there)
    }

    /// The ends of partitions, each named once. That of all that is written is asked first.
    fn ends<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a Partition>,
    ) -> Result<BTreeMap<Partition, Ends>, LogError> {
        let partitions: Vec<Partition> = partitions.into_iter().cloned().collect();
        for partition in &partitions {
            self.cluster.require(partition)?;
        }
        let written = self.cluster.offsets(&partitions, Offset::End, false)?;
        let decided = self.cluster.offsets(&partitions, Offset::End, true)?;
        let ends = written.into_iter().zip(decided);
        let ends = ends.map(|(written, decided)| Ends { written, decided });
        Ok(partitions.into_iter().zip(ends).collect())
    }

    /// Whether nothing lies at or beyond an offset. Where less is decided than written, a transaction is open; where
    /// everything below is scanned without a record, the rest is markers and aborted records.
    fn is_at_end(
        &mut self,
        partition: &Partition,
        offset: u64,
        Ends { written, decided }: Ends,
    ) -> Result<bool, LogError> {
        if offset >= written {
            return Ok(true);
        }
        if decided < written {
            return Ok(false);
        }
        Ok(!(self.stand(partition, offset)? && self.take_until(partition, written)?))
    }

    /// Lets librdkafka fetch from `from` on.
    fn go(&mut self, partition: &Partition, from: u64) -> Result<(), LogError> {
        let (topic, index) = (partition.topic.as_ref(), partition.index as i32);
        let cluster = self.cluster.clone();
        let fail = |why| cluster.explain(Act::read(partition), &why);
        if let Some(place) = self.places.get_mut(partition) {
            if place.go(&self.consumer, partition, from) {
                return Ok(());
            }
            self.drop_place(partition);
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, index, Offset::Offset(from as i64))
            .map_err(fail)?;
        let queue = Queue::of(&self.consumer, topic, index)
            .ok_or_else(|| LogError::UnknownTopic(partition.clone()))?;
        // A client that has not heard of the topic yet would look for its leader once a second.
        look_again(&self.consumer, partition);
        self.consumer.incremental_assign(&list).map_err(fail)?;
        let place = Place::new(queue, from);
        self.places.insert(partition.clone(), place);
        Ok(())
    }

    /// Fetches no more of a partition, or again.
    fn rest(&mut self, partition: &Partition, rest: bool) {
        let Some(place) = self.places.get_mut(partition) else {
            return;
        };
        // What was fetched ahead would be fetched again.
        if place.rests == rest || (rest && !place.held.is_empty()) {
            return;
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(&partition.topic, partition.index as i32);
        if rest {
            place.rests = self.consumer.pause(&list).is_ok();
            return;
        }
        // It would go on where the position is, and the last event has counted one too many; and only a seek wakes the
        // client's thread, which would else sleep for up to a second.
        let scanned = place.scanned;
        if self.consumer.resume(&list).is_ok() && place.seek(&self.consumer, partition, scanned) {
            place.rests = false;
        }
    }

    fn drop_place(&mut self, partition: &Partition) {
        if let Some(place) = self.places.remove(partition) {
            let mut list = TopicPartitionList::new();
            list.add_partition(&partition.topic, partition.index as i32);
            // It would rest still when it is taken up again.
            if place.rests {
                let _ = self.consumer.resume(&list);
            }
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
            place.take();
            if let Some(code) = place.settle() {
                return self.refused(partition, code).map(|()| false);
            }
            if !place.held.is_empty() {
                return Ok(true);
            }
            if place.scanned >= end {
                // Without an end nothing was asked but whether records wait.
                if end > 0 {
                    self.rest(partition, true);
                }
                return Ok(false);
            }
            if place.rests {
                self.rest(partition, false);
            } else {
                place.wait(STEP);
            }
            // Errors of the client as a whole: a broker that is gone comes back, or the deadline passes.
            let _ = self.consumer.poll(Duration::ZERO);
            if Instant::now() > deadline {
                let why = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
                return Err(self.cluster.explain(Act::read(partition), &why));
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
        }
        let why = KafkaError::MessageConsumption(code);
        Err(self.cluster.explain(Act::read(partition), &why))
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
        let looked = self.looked.get(partition).copied();
        // Nothing is asked of the broker where records wait already.
        let waits = self.take_until(partition, 0)?;
        if !waits {
            let end = match looked {
                Some(end) => end,
                None => self.cluster.end(partition, true)?,
            };
            if !self.take_until(partition, end)? {
                self.barren.insert(partition.clone(), from..end);
            }
        }
        if let Some(place) = self.places.get_mut(partition) {
            place.hand_out(limit, looked.unwrap_or(u64::MAX), into);
        }
        Ok(())
    }

    fn at_end(&mut self, partition: &Partition, offset: u64) -> Result<bool, LogError> {
        self.cluster.require(partition)?;
        let written = self.cluster.end(partition, false)?;
        // What is at the end of all that is written costs one request.
        if offset >= written {
            return Ok(true);
        }
        let decided = self.cluster.end(partition, true)?;
        self.is_at_end(partition, offset, Ends { written, decided })
    }

    /// Two requests for all of them. Where several positions of one partition are asked about, the lowest decides.
    fn are_at_end(&mut self, positions: &[(Partition, u64)]) -> Result<bool, LogError> {
        let mut lowest: BTreeMap<&Partition, u64> = BTreeMap::new();
        for (partition, offset) in positions {
            let low = lowest.entry(partition).or_insert(*offset);
            *low = (*low).min(*offset);
        }
        let ends = self.ends(lowest.keys().copied())?;
        if ends.values().any(|ends| ends.decided < ends.written) {
            return Ok(false);
        }
        for ((partition, offset), ends) in lowest.into_iter().zip(ends.into_values()) {
            if !self.is_at_end(partition, offset, ends)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Two requests for all of them.
    fn which_are_at_end(&mut self, positions: &[(Partition, u64)]) -> Result<Vec<bool>, LogError> {
        // A broker refuses a request that names a partition twice.
        let once: BTreeSet<&Partition> = positions.iter().map(|(at, _)| at).collect();
        let ends = self.ends(once)?;
        let at_end = |(partition, offset): &(Partition, u64)| {
            let ends = ends.get(partition).copied().unwrap_or_default();
            self.is_at_end(partition, *offset, ends)
        };
        positions.iter().map(at_end).collect()
    }

    fn look(&mut self, stages: &[Vec<Partition>]) -> Result<(), LogError> {
        self.looked.clear();
        for stage in stages {
            // One that does not exist is its reader's trouble, not the others'.
            let there = self.there(stage)?;
            there.iter().for_each(|partition| self.watch.add(partition));
            let ends = self.cluster.offsets(&there, Offset::End, true)?;
            self.looked.extend(there.into_iter().zip(ends));
        }
        Ok(())
    }

    fn range(&mut self, partition: &Partition) -> Result<Range<u64>, LogError> {
        self.cluster.require(partition)?;
        let start = self.cluster.start(partition)?;
        Ok(start..self.cluster.end(partition, true)?.max(start))
    }

    /// Two requests for all of them.
    fn ranges(&mut self, partitions: &[Partition]) -> Result<Vec<Option<Range<u64>>>, LogError> {
        // A broker refuses a request that names a partition twice.
        let once: BTreeSet<&Partition> = partitions.iter().collect();
        let there = self.there(once)?;
        let starts = self.cluster.offsets(&there, Offset::Beginning, true)?;
        let ends = self.cluster.offsets(&there, Offset::End, true)?;
        let found = there.iter().zip(starts.into_iter().zip(ends));
        let found: BTreeMap<&Partition, (u64, u64)> = found.collect();
        let range = |partition| {
            let (start, end) = found.get(partition)?;
            Some(*start..*end.max(start))
        };
        Ok(partitions.iter().map(range).collect())
    }
}

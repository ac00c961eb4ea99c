//! How far a reader has come on one partition, by the messages and events of its queue.

use std::collections::VecDeque;
use std::time::Duration;

use mainstem_kernel::log::{FetchLimit, Partition};
use mainstem_schemas::Batch;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use crate::cluster::PATIENCE;
use crate::native::{Message, Queue};
use crate::trouble::Events;

/// Messages taken at one call: 256 to 2,000 are equally fast (measured), and what is over a limit waits in memory.
const CHUNK: usize = 512;

/// How far one partition is read.
pub(crate) struct Place {
    /// Taken from the queue and not yet handed out.
    pub(crate) held: VecDeque<Message>,
    queue: Queue,
    /// The offset that the caller wants next.
    pub(crate) next: u64,
    /// No record that was not taken lies below.
    pub(crate) scanned: u64,
    /// What librdkafka's position may say without meaning anything: events count one too many, and a position does
    /// not fall when the reader goes back.
    vague: u64,
    /// Read to its end: nothing is fetched until there is more. Fetches that find nothing, each some milliseconds at the
    /// broker, would else go on for every partition of every reader.
    pub(crate) rests: bool,
}

impl Place {
    pub(crate) fn new(queue: Queue, from: u64) -> Self {
        Place {
            held: VecDeque::new(),
            next: from,
            scanned: from,
            vague: queue.position().unwrap_or(0),
            queue,
            rests: false,
        }
    }

    /// Has librdkafka fetch from `from` on; says whether it does.
    pub(crate) fn seek(
        &mut self,
        consumer: &BaseConsumer<Events>,
        at: &Partition,
        from: u64,
    ) -> bool {
        let (topic, index) = (at.topic.as_ref(), at.index as i32);
        let sought = consumer.seek(topic, index, Offset::Offset(from as i64), PATIENCE);
        if sought.is_ok() {
            self.vague = self.vague.max(self.queue.position().unwrap_or(0));
        }
        sought.is_ok()
    }

    /// As [`Self::seek`], and forgets what was read elsewhere.
    pub(crate) fn go(
        &mut self,
        consumer: &BaseConsumer<Events>,
        at: &Partition,
        from: u64,
    ) -> bool {
        self.held.clear();
        let sought = self.seek(consumer, at, from);
        if sought {
            (self.next, self.scanned) = (from, from);
        }
        sought
    }

    /// Moves to `from` where that needs nothing of the broker.
    pub(crate) fn reaches(&mut self, from: u64) -> bool {
        let waits = |message: &Message| message.event().is_none() && message.offset() >= from;
        let here = from >= self.next && (from <= self.scanned || self.held.iter().any(waits));
        if here {
            self.next = from;
        }
        here
    }

    /// Takes what waits.
    pub(crate) fn take(&mut self) {
        if self.held.len() < CHUNK {
            self.queue.take(CHUNK, Duration::ZERO, &mut self.held);
        }
    }

    /// Waits for a message.
    pub(crate) fn wait(&mut self, wait: Duration) {
        self.queue.take(1, wait, &mut self.held);
    }

    /// Strikes events and skipped records at the front, noting how far the partition is scanned; an error is handed
    /// back.
    pub(crate) fn settle(&mut self) -> Option<RDKafkaErrorCode> {
        while let Some(first) = self.held.front() {
            let (event, offset) = (first.event(), first.offset());
            if event.is_none() && offset >= self.next {
                break;
            }
            if event == Some(RDKafkaErrorCode::PartitionEOF) {
                self.pass_end(offset);
                continue;
            }
            self.held.pop_front();
            match event {
                None => self.scanned = self.scanned.max(offset + 1),
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

    /// Strikes the event at the front that says that the partition ended at `offset` when it was made.
    fn pass_end(&mut self, offset: u64) {
        self.held.pop_front();
        self.scanned = self.scanned.max(offset);
        self.vague = self.vague.max(offset + 1);
    }

    /// Hands records below `end` out. Where they come one by one there is an end between each and the next.
    pub(crate) fn hand_out(&mut self, limit: FetchLimit, end: u64, into: &mut Batch) {
        let (rows, bytes) = (into.len(), into.bytes());
        while into.len() - rows < limit.records.max(1) {
            if self.held.is_empty() {
                self.take();
            }
            let Some(message) = self.held.front() else {
                break;
            };
            let (event, offset) = (message.event(), message.offset());
            if event == Some(RDKafkaErrorCode::PartitionEOF) {
                self.pass_end(offset);
                continue;
            }
            if event.is_some() || offset >= end {
                break;
            }
            message.push_to(into);
            if into.len() - rows > 1 && into.bytes() - bytes > limit.bytes {
                into.truncate(into.len() - 1);
                break;
            }
            self.next = offset + 1;
            self.scanned = self.scanned.max(self.next);
            self.held.pop_front();
        }
    }
}

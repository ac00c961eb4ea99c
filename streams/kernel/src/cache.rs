//! A reader that keeps what it read last. Several tasks of a worker take the same records, each at its own turn; and
//! tasks that are folded again in the turns' order read the same ranges one after the other, a few records at a time,
//! each a step back for the one before: a log that is far away takes several requests for each such step.

use std::collections::VecDeque;
use std::ops::{DerefMut, Range};
use std::sync::Arc;

use mainstem_schemas::Batch;

use crate::fetched::Fetched;
use crate::log::{FetchLimit, LogError, Partition, Reader};

/// Ranges that are kept: some for each input of the tasks of a worker.
const MAX_CHUNKS: usize = 64;

/// Bytes that are kept: several of the largest fetches.
const MAX_BYTES: usize = 32 << 20;

/// Ranges that are no longer kept, whose memory is used again once nobody shares it.
const MAX_SPARE: usize = 8;

/// Reads through a memory of the last ranges. What is committed does not change, so it never answers with anything
/// else than the reader beneath.
pub struct CachedReader<R> {
    reader: R,
    /// The one used last comes first.
    chunks: VecDeque<Chunk>,
    max_bytes: usize,
    spare: VecDeque<Arc<Fetched>>,
}

/// All records of a range.
struct Chunk {
    partition: Partition,
    range: Range<u64>,
    records: Arc<Fetched>,
}

impl<R> CachedReader<R> {
    /// Remembers nothing yet.
    pub fn new(reader: R) -> Self {
        Self::with_room(reader, MAX_BYTES)
    }

    /// Keeps so many bytes, or the last range where that is larger.
    pub fn with_room(reader: R, max_bytes: usize) -> Self {
        CachedReader {
            reader,
            chunks: VecDeque::new(),
            max_bytes,
            spare: VecDeque::new(),
        }
    }

    /// Brings the chunk that holds an offset to the front.
    fn find(&mut self, partition: &Partition, offset: u64) -> Option<&Chunk> {
        let holds = |chunk: &Chunk| chunk.range.contains(&offset) && chunk.partition == *partition;
        let at = self.chunks.iter().position(holds)?;
        let chunk = self.chunks.remove(at)?;
        self.chunks.push_front(chunk);
        self.chunks.front()
    }

    fn keep(&mut self, chunk: Chunk) {
        // Tasks take the same records one after the other: what was made of the ones before has served.
        for before in &self.chunks {
            before.records.memo().clear();
        }
        self.chunks.push_front(chunk);
        let bytes = |chunk: &Chunk| chunk.records.bytes();
        while self.chunks.len() > MAX_CHUNKS
            || (self.chunks.len() > 1
                && self.chunks.iter().map(bytes).sum::<usize>() > self.max_bytes)
        {
            let oldest = self.chunks.pop_back();
            self.spare.extend(oldest.map(|chunk| chunk.records));
        }
        self.spare
            .drain(..self.spare.len().saturating_sub(MAX_SPARE));
    }

    /// Memory for a range.
    fn room(&mut self) -> Arc<Fetched> {
        let unshared = |records: &Arc<Fetched>| Arc::strong_count(records) == 1;
        let at = self.spare.iter().position(unshared);
        at.and_then(|at| self.spare.remove(at)).unwrap_or_default()
    }
}

impl<R> CachedReader<R>
where
    R: DerefMut<Target: Reader> + Send,
{
    /// The chunk that holds an offset, read where it is not known; nothing at the partition's end.
    fn chunk(
        &mut self,
        partition: &Partition,
        from: u64,
        limit: FetchLimit,
    ) -> Result<Option<&Chunk>, LogError> {
        if self.find(partition, from).is_none() {
            let least = FetchLimit::default();
            let limit = FetchLimit {
                records: limit.records.max(least.records),
                bytes: limit.bytes.max(least.bytes),
            };
            let mut records = self.room();
            let into = Fetched::emptied(&mut records);
            let fetched = self.reader.fetch(partition, from, limit, into);
            // What came before some damage is whole; the damage is met again at its own offset.
            let Some(last) = records.offsets().last() else {
                self.spare.push_front(records);
                return fetched.map(|()| None);
            };
            self.keep(Chunk {
                partition: partition.clone(),
                range: from..last + 1,
                records,
            });
        }
        Ok(self.chunks.front())
    }
}

impl Chunk {
    /// Whether it is what a fetch is to have, no more and no less.
    fn is_just(&self, from: u64, limit: FetchLimit) -> bool {
        let records = &self.records;
        let fits = records.len() <= limit.records && records.bytes() <= limit.bytes;
        from == self.range.start && (fits || records.len() == 1)
    }

    /// The records from `from` on, within the limit; one at least.
    fn hand_out(&self, from: u64, limit: FetchLimit, into: &mut Batch) {
        let records = &self.records;
        let first = records.offsets().partition_point(|offset| *offset < from);
        let mut end = records
            .len()
            .min(first.saturating_add(limit.records.max(1)));
        if records.frames(first..end).len() > limit.bytes {
            let (mut low, mut high) = (first + 1, end);
            while low < high {
                let middle = (low + high).div_ceil(2);
                match records.frames(first..middle).len() > limit.bytes {
                    true => high = middle - 1,
                    false => low = middle,
                }
            }
            end = low;
        }
        into.push_rows(records, first..end);
    }
}

impl<R> Reader for CachedReader<R>
where
    R: DerefMut<Target: Reader> + Send,
{
    fn fetch(
        &mut self,
        partition: &Partition,
        from: u64,
        limit: FetchLimit,
        into: &mut Batch,
    ) -> Result<(), LogError> {
        if let Some(chunk) = self.chunk(partition, from, limit)? {
            chunk.hand_out(from, limit, into);
        }
        Ok(())
    }

    fn fetch_shared(
        &mut self,
        partition: &Partition,
        from: u64,
        limit: FetchLimit,
        into: &mut Arc<Fetched>,
    ) -> Result<(), LogError> {
        match self.chunk(partition, from, limit)? {
            Some(chunk) if chunk.is_just(from, limit) => *into = Arc::clone(&chunk.records),
            Some(chunk) => chunk.hand_out(from, limit, Fetched::emptied(into)),
            None => {
                Fetched::emptied(into);
            }
        }
        Ok(())
    }

    fn at_end(&mut self, partition: &Partition, offset: u64) -> Result<bool, LogError> {
        self.reader.at_end(partition, offset)
    }

    fn are_at_end(&mut self, positions: &[(Partition, u64)]) -> Result<bool, LogError> {
        self.reader.are_at_end(positions)
    }

    fn which_are_at_end(&mut self, positions: &[(Partition, u64)]) -> Result<Vec<bool>, LogError> {
        self.reader.which_are_at_end(positions)
    }

    fn look(&mut self, stages: &[Vec<Partition>]) -> Result<(), LogError> {
        self.reader.look(stages)
    }

    fn range(&mut self, partition: &Partition) -> Result<Range<u64>, LogError> {
        self.reader.range(partition)
    }

    fn ranges(&mut self, partitions: &[Partition]) -> Result<Vec<Option<Range<u64>>>, LogError> {
        self.reader.ranges(partitions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Log, TopicSpec};
    use crate::memory::MemoryLog;

    /// Counts what the reader beneath is asked.
    struct Counted(Box<dyn Reader>, usize);

    impl Reader for Counted {
        fn fetch(
            &mut self,
            partition: &Partition,
            from: u64,
            limit: FetchLimit,
            into: &mut Batch,
        ) -> Result<(), LogError> {
            self.1 += 1;
            self.0.fetch(partition, from, limit, into)
        }

        fn at_end(&mut self, partition: &Partition, offset: u64) -> Result<bool, LogError> {
            self.0.at_end(partition, offset)
        }

        fn range(&mut self, partition: &Partition) -> Result<Range<u64>, LogError> {
            self.0.range(partition)
        }
    }

    fn log(records: u32) -> MemoryLog {
        let log = MemoryLog::default();
        let topic = TopicSpec {
            name: "t".into(),
            partitions: 2,
        };
        log.create_topics(&[topic]).unwrap();
        append(&log, 0..records);
        log
    }

    fn append(log: &MemoryLog, numbers: Range<u32>) {
        let mut writer = log.writer("w").unwrap();
        for index in 0..2 {
            let mut batch = Batch::new();
            for number in numbers.clone() {
                batch.push(Some(&[index as u8]), Some(&number.to_le_bytes()), []);
            }
            writer
                .append(&[(Partition::new("t", index), batch)])
                .unwrap();
        }
    }

    #[test]
    fn steps_back_and_forth_are_answered_as_beneath_with_one_fetch_a_range() {
        let log = log(1_000);
        let mut plain = log.reader().unwrap();
        let mut counted = Counted(log.reader().unwrap(), 0);
        let mut cached = CachedReader::new(&mut counted);
        for step in 0..300u64 {
            let partition = Partition::new("t", (step % 2) as u32);
            let from = step * 7_919 % 1_000;
            let limit = FetchLimit {
                records: 1 + (step % 40) as usize,
                bytes: 60 * (1 + step as usize % 9),
            };
            let (mut one, mut two) = (Batch::new(), Batch::new());
            plain.fetch(&partition, from, limit, &mut one).unwrap();
            cached.fetch(&partition, from, limit, &mut two).unwrap();
            assert!(!one.is_empty());
            assert_eq!(one.offsets(), two.offsets(), "{from} {limit:?}");
            assert_eq!(one.frames(0..one.len()), two.frames(0..two.len()));
        }
        assert!(counted.1 < 40, "{} fetches", counted.1);
    }

    #[test]
    fn who_takes_the_same_shares_it_and_its_digests() {
        let log = log(1_000);
        let mut counted = Counted(log.reader().unwrap(), 0);
        let mut cached = CachedReader::with_room(&mut counted, 1);
        let partition = Partition::new("t", 0);
        let limit = FetchLimit {
            records: 10_000,
            bytes: 8 << 20,
        };
        let (mut one, mut two, mut rest) = (Arc::default(), Arc::default(), Arc::default());
        let mut take = |from, into: &mut Arc<Fetched>| {
            cached.fetch_shared(&partition, from, limit, into).unwrap();
        };
        take(0, &mut one);
        take(0, &mut two);
        take(400, &mut rest);
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!((one.len(), rest.len()), (1_000, 600));
        assert_eq!(rest.frames(0..600), one.frames(400..1_000));
        assert_eq!(rest.taken(&partition).first, 400);
        // A copy of one's own may change; what is shared does not.
        Fetched::emptied(&mut two);
        assert_eq!((one.len(), two.len()), (1_000, 0));
        assert_eq!(counted.1, 1, "fetches");
    }

    #[test]
    fn what_was_not_there_is_looked_for_again() {
        let log = log(10);
        let reader = log.reader().unwrap();
        let mut cached = CachedReader::new(reader);
        let partition = Partition::new("t", 0);
        let mut batch = Batch::new();
        let mut count = |from| {
            batch.clear();
            cached
                .fetch(&partition, from, FetchLimit::default(), &mut batch)
                .unwrap();
            batch.len()
        };
        assert_eq!((count(0), count(10)), (10, 0));
        append(&log, 10..13);
        assert_eq!((count(10), count(12), count(4)), (3, 1, 6));
    }

    #[test]
    fn memory_is_bounded() {
        let log = log(5_000);
        let reader = log.reader().unwrap();
        let mut cached = CachedReader::new(reader);
        let mut batch = Batch::new();
        // Each begins before all that are known.
        for from in (4_800..5_000).rev() {
            batch.clear();
            cached
                .fetch(
                    &Partition::new("t", 1),
                    from,
                    FetchLimit::default(),
                    &mut batch,
                )
                .unwrap();
            assert!(cached.chunks.len() <= MAX_CHUNKS);
        }
    }
}

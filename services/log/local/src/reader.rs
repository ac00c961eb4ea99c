//! Reads committed rows on a connection of its own.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use mainstem_kernel::log::{FetchLimit, LogError, Partition, Reader};
use mainstem_schemas::Batch;
use rusqlite::Connection;

use crate::error::{Fail, is_damage};
use crate::rows;
use crate::shared::Shared;
use crate::store::{self, OFFSET_BITS, id};

/// The row that covers an offset, and those behind it.
const ROWS: &str = "
    SELECT id, count, timestamp, length(frames), frames FROM batches
    WHERE id >= coalesce((SELECT max(id) FROM batches WHERE id BETWEEN ?1 AND ?2), ?2) AND id < ?3
    ORDER BY id";

pub(crate) struct LocalReader {
    connection: Connection,
    dir: PathBuf,
    numbers: BTreeMap<Partition, i64>,
    /// A row of which only a part is wanted.
    scratch: Batch,
    /// Keeps the writer thread: the file must not be closed by its last writer while it is read.
    _shared: Arc<Shared>,
}

impl LocalReader {
    pub(crate) fn open(shared: &Arc<Shared>) -> Result<Self, LogError> {
        let connection = store::connect(&shared.dir).map_err(|fail| fail.log(&shared.dir))?;
        Ok(LocalReader {
            connection,
            dir: shared.dir.clone(),
            numbers: BTreeMap::new(),
            scratch: Batch::new(),
            _shared: Arc::clone(shared),
        })
    }

    fn number(&mut self, partition: &Partition) -> Result<i64, Fail> {
        if let Some(number) = self.numbers.get(partition) {
            return Ok(*number);
        }
        let (number, _, _) = store::partition(&self.connection, partition)?;
        self.numbers.insert(partition.clone(), number);
        Ok(number)
    }

    fn bounds(&mut self, partition: &Partition) -> Result<Range<u64>, LogError> {
        let found = store::partition(&self.connection, partition);
        let (_, first, next) = found.map_err(|fail| self.report(fail, partition, None))?;
        Ok(first as u64..next as u64)
    }

    fn report(&self, fail: Fail, partition: &Partition, offset: Option<u64>) -> LogError {
        match (fail, offset) {
            (Fail::Sql(error), Some(offset)) if is_damage(&error) => damaged(partition, offset),
            (fail, _) => fail.log(&self.dir),
        }
    }

    /// Appends the rows from `from` on. Rows are taken whole, but for one that alone is over the limit. Appends nothing
    /// where no row covers `from`.
    fn rows(
        &mut self,
        partition: &Partition,
        from: u64,
        limit: FetchLimit,
        into: &mut Batch,
    ) -> Result<(), Fail> {
        let number = self.number(partition)?;
        let low = number << OFFSET_BITS;
        let (before, bytes) = (into.len(), into.bytes());
        let mut statement = self.connection.prepare_cached(ROWS)?;
        let mut found = statement.query([low, id(number, from), (number + 1) << OFFSET_BITS])?;
        let mut next = from;
        while let Some(row) = found.next()? {
            let (id, count): (i64, i64) = (row.get(0)?, row.get(1)?);
            let base = (id - low) as u64;
            if !(1..=rows::ROW_RECORDS as i64).contains(&count) {
                return Err(damaged(partition, base).into());
            }
            let end = base + count as u64;
            if base > next || end <= next {
                break; // Nothing covers `next`: the end, or a hole that the caller looks into.
            }
            let size = row.get::<_, i64>(3)? as usize;
            let fits = into.len() - before + count as usize <= limit.records
                && into.bytes() - bytes + size <= limit.bytes;
            if !fits && into.len() > before {
                break;
            }
            let timestamp = row.get(2)?;
            let stored = row.get_ref(4)?.as_blob().unwrap_or_default();
            let frames = rows::open(stored, id, count, timestamp);
            let frames = frames.ok_or_else(|| damaged(partition, base))?;
            let whole = fits && base == next;
            let target = if whole { &mut *into } else { &mut self.scratch };
            if !whole {
                target.clear();
            }
            target
                .push_frames(frames, base, timestamp, count as usize)
                .map_err(|_| damaged(partition, base))?;
            if !whole {
                copy_part(&self.scratch, (next - base) as usize, limit, into);
            }
            next = into.offsets().last().map_or(end, |last| last + 1);
            if next < end {
                break;
            }
        }
        Ok(())
    }

    /// The same in one snapshot with the partition's bounds: tells the end, retention and damage apart.
    fn rows_or_why(
        &mut self,
        partition: &Partition,
        from: u64,
        limit: FetchLimit,
        into: &mut Batch,
    ) -> Result<(), LogError> {
        let bounds = self.bounds(partition)?;
        if from < bounds.start {
            return Err(LogError::OutOfRange {
                partition: partition.clone(),
                offset: from,
                earliest: bounds.start,
            });
        }
        if from >= bounds.end {
            return Ok(());
        }
        let before = into.len();
        self.rows(partition, from, limit, into)
            .map_err(|fail| self.report(fail, partition, Some(from)))?;
        if into.len() == before {
            return Err(damaged(partition, from));
        }
        Ok(())
    }
}

impl Reader for LocalReader {
    fn fetch(
        &mut self,
        partition: &Partition,
        from: u64,
        limit: FetchLimit,
        into: &mut Batch,
    ) -> Result<(), LogError> {
        let before = into.len();
        self.rows(partition, from, limit, into)
            .map_err(|fail| self.report(fail, partition, Some(from)))?;
        if into.len() > before {
            return Ok(());
        }
        let begun = self.connection.execute_batch("BEGIN");
        begun.map_err(|error| self.report(error.into(), partition, None))?;
        let looked = self.rows_or_why(partition, from, limit, into);
        let ended = self.connection.execute_batch("COMMIT");
        looked.and(ended.map_err(|error| self.report(error.into(), partition, None)))
    }

    fn at_end(&mut self, partition: &Partition, offset: u64) -> Result<bool, LogError> {
        // Nothing of an open transaction has offsets: they are given while the file is locked.
        Ok(self.bounds(partition)?.end <= offset)
    }

    fn range(&mut self, partition: &Partition) -> Result<Range<u64>, LogError> {
        self.bounds(partition)
    }
}

fn damaged(partition: &Partition, offset: u64) -> LogError {
    LogError::Damaged(format!("{partition} at offset {offset}"))
}

/// Copies the records of a row from number `start` on, as many as the limit allows, at least one.
fn copy_part(row: &Batch, start: usize, limit: FetchLimit, into: &mut Batch) {
    let bytes = into.bytes();
    for number in start..row.len() {
        let copied = number - start;
        let size = into.bytes() - bytes + row.frames(number..number + 1).len();
        if copied > 0 && (copied >= limit.records || size > limit.bytes) {
            break;
        }
        if let Some(record) = row.get(number) {
            into.push_record(&record);
        }
    }
}

//! A row of the table of batches: a CRC, then frames as hashed and as sent.

use mainstem_kernel::log::{LogError, Partition};
use mainstem_schemas::Batch;

/// Bytes of a row: SQLite walks a row page by page, so a row is read whole; and a record of Kafka is no larger.
pub(crate) const ROW: usize = 1 << 20;

/// Records of a row: the default fetch, so that it never has to split one.
pub(crate) const ROW_RECORDS: usize = 8_192;

/// Bytes of one transaction: it lies in memory until it is written, and in the write-ahead log afterwards.
pub(crate) const TRANSACTION: usize = 256 << 20;

const CRC: usize = 4;

/// Some records on their way into the table.
pub(crate) struct Row {
    blob: Vec<u8>,
    frames: crc32fast::Hasher,
    pub(crate) count: i64,
}

impl Row {
    fn of(frames: &[u8], count: usize) -> Self {
        let mut blob = Vec::with_capacity(CRC + frames.len());
        blob.extend_from_slice(&[0; CRC]);
        blob.extend_from_slice(frames);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(frames);
        Row {
            blob,
            frames: hasher,
            count: count as i64,
        }
    }

    /// The bytes to store under `id`. The frames' sum was taken before any lock; the row's place and time join it here.
    pub(crate) fn seal(&mut self, id: i64, timestamp: i64) -> &[u8] {
        let crc = place(self.frames.clone(), id, self.count, timestamp);
        self.blob[..CRC].copy_from_slice(&crc);
        &self.blob
    }
}

/// The frames of a stored row, or nothing where it is not what was sealed.
pub(crate) fn open(blob: &[u8], id: i64, count: i64, timestamp: i64) -> Option<&[u8]> {
    let (crc, frames) = blob.split_at_checked(CRC)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(frames);
    (crc == place(hasher, id, count, timestamp)).then_some(frames)
}

fn place(mut hasher: crc32fast::Hasher, id: i64, count: i64, timestamp: i64) -> [u8; CRC] {
    for part in [id, count, timestamp] {
        hasher.update(&part.to_le_bytes());
    }
    hasher.finalize().to_le_bytes()
}

/// What one caller appends: rows per partition, and their bytes.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) partitions: Vec<(Partition, Vec<Row>)>,
    pub(crate) bytes: usize,
}

impl Rows {
    /// Cuts batches into rows at the bounds of records.
    pub(crate) fn of(batches: &[(Partition, Batch)]) -> Result<Self, LogError> {
        let mut rows = Rows::default();
        for (partition, batch) in batches {
            rows.bytes += batch.bytes();
            if rows.bytes > TRANSACTION {
                return Err(LogError::TooLarge {
                    what: "a commit".into(),
                    size: rows.bytes,
                    limit: TRANSACTION,
                });
            }
            rows.partitions
                .push((partition.clone(), cut(partition, batch)?));
        }
        Ok(rows)
    }
}

fn cut(partition: &Partition, batch: &Batch) -> Result<Vec<Row>, LogError> {
    let mut rows = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for row in 0..batch.len() {
        let size = batch.frames(row..row + 1).len();
        if size > ROW {
            return Err(LogError::TooLarge {
                what: format!("a record for {partition}"),
                size,
                limit: ROW,
            });
        }
        if bytes + size > ROW || row - start == ROW_RECORDS {
            rows.push(Row::of(batch.frames(start..row), row - start));
            (start, bytes) = (row, 0);
        }
        bytes += size;
    }
    if start < batch.len() {
        let rest = batch.frames(start..batch.len());
        rows.push(Row::of(rest, batch.len() - start));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: usize, size: usize) -> Batch {
        let mut batch = Batch::new();
        for _ in 0..records {
            batch.push(None, Some(&vec![7; size]), []);
        }
        batch
    }

    #[test]
    fn rows_are_cut_between_records() {
        let at = Partition::new("t", 0);
        let sizes = |records, size| -> Vec<i64> {
            let rows = cut(&at, &batch(records, size)).unwrap();
            rows.iter().map(|row| row.count).collect()
        };
        assert_eq!(sizes(0, 1), [0; 0]);
        assert_eq!(sizes(3, 300 << 10), [3]);
        assert_eq!(sizes(4, 300 << 10), [3, 1]);
        assert_eq!(sizes(8_193, 0), [8_192, 1]);
        assert!(matches!(
            cut(&at, &batch(1, ROW)),
            Err(LogError::TooLarge { limit: ROW, .. })
        ));
    }

    #[test]
    fn any_changed_bit_or_place_is_seen() {
        let batch = batch(2, 10);
        let mut row = Row::of(batch.frames(0..2), 2);
        let blob = row.seal(7, 99).to_vec();
        assert_eq!(open(&blob, 7, 2, 99), Some(batch.frames(0..2)));
        assert_eq!(open(&blob, 8, 2, 99), None);
        assert_eq!(open(&blob, 7, 1, 99), None);
        assert_eq!(open(&blob, 7, 2, 98), None);
        assert_eq!(open(&[], 7, 2, 99), None);
        for bit in 0..blob.len() * 8 {
            let mut torn = blob.clone();
            torn[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&torn, 7, 2, 99), None);
        }
    }
}

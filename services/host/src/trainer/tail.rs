//! Reading a log for its end: the last rows of topics, in bounded memory, and log time.

use std::collections::BTreeMap;
use std::ops::Range;

use mainstem_kernel::log::{FetchLimit, LogError};
use mainstem_kernel::{Log, Partition, Reader};
use mainstem_schemas::{Batch, Millis};

/// A partition, and the part of it that is read however long others go on writing.
pub(super) type Stretch = (Partition, Range<u64>);

/// All partitions of a topic as they are now.
pub(super) fn stretches(
    log: &dyn Log,
    reader: &mut dyn Reader,
    topic: &str,
) -> Result<Vec<Stretch>, LogError> {
    let count = log
        .topics()?
        .into_iter()
        .find(|spec| spec.name == topic)
        .map_or(0, |spec| spec.partitions);
    if count == 0 {
        return Err(LogError::UnknownTopic(Partition::new(topic, 0)));
    }
    let stretch = |index| {
        let partition = Partition::new(topic, index);
        let range = reader.range(&partition)?;
        Ok((partition, range))
    };
    (0..count).map(stretch).collect()
}

/// Hands the batches of a stretch to `take` until it says to stop; a batch may reach beyond the end by some records,
/// which are cut off.
pub(super) fn batches(
    reader: &mut dyn Reader,
    (partition, range): &Stretch,
    mut take: impl FnMut(&Batch) -> bool,
) -> Result<(), LogError> {
    let (mut from, mut batch) = (range.start, Batch::new());
    while from < range.end {
        batch.clear();
        reader.fetch(partition, from, FetchLimit::default(), &mut batch)?;
        batch.truncate(
            batch
                .offsets()
                .partition_point(|offset| *offset < range.end),
        );
        let Some(last) = batch.offsets().last() else {
            break;
        };
        from = last + 1;
        if !take(&batch) {
            break;
        }
    }
    Ok(())
}

/// The last rows that came by, in (event time, entity) order.
pub(super) struct Tail {
    most: usize,
    rows: BTreeMap<(Millis, String), Box<[f32]>>,
    /// Whether older rows were let go.
    pub cut: bool,
}

impl Tail {
    pub fn new(most: usize) -> Self {
        Tail {
            most,
            rows: BTreeMap::new(),
            cut: false,
        }
    }

    /// Takes a row; of two with one name the later counts.
    pub fn put(&mut self, time: Millis, entity: &str, values: impl Iterator<Item = f32>) {
        let too_old = |((oldest, _), _): (&(Millis, String), _)| time < *oldest;
        if self.rows.len() >= self.most && self.rows.first_key_value().is_some_and(too_old) {
            self.cut = true;
            return;
        }
        self.rows
            .insert((time, entity.to_owned()), values.collect());
        if self.rows.len() > self.most {
            self.rows.pop_first();
            self.cut = true;
        }
    }

    /// Event time of the first row.
    pub fn oldest(&self) -> Option<Millis> {
        self.rows.first_key_value().map(|((time, _), _)| *time)
    }

    /// The rows in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Millis, &str, &[f32])> {
        self.rows
            .iter()
            .map(|((time, entity), values)| (*time, entity.as_str(), &**values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rows_are_kept_whatever_the_order() {
        let rows = [(5, "b"), (1, "a"), (5, "a"), (3, "a"), (4, "c"), (2, "z")];
        for turn in 0..rows.len() {
            let mut tail = Tail::new(3);
            for at in 0..rows.len() {
                let (time, entity) = rows[(at + turn) % rows.len()];
                tail.put(Millis(time), entity, [time as f32].into_iter());
            }
            let kept: Vec<_> = tail
                .iter()
                .map(|(time, entity, _)| (time.0, entity))
                .collect();
            assert_eq!((kept, tail.cut), (vec![(4, "c"), (5, "a"), (5, "b")], true));
            assert_eq!(tail.oldest(), Some(Millis(4)));
        }
    }
}

//! Reading that damage does not stop: what cannot be read is a hole with its bounds.

use mainstem_kernel::Partition;
use mainstem_kernel::log::{FetchLimit, LogError, Reader};
use mainstem_schemas::Batch;

/// Records that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub from: u64,
    pub next: u64,
    pub why: String,
}

/// Fetches as a reader does; where the records at `from` are damaged or gone, says up to where. `end` is the offset
/// after the partition's last record.
///
/// # Errors
/// The reader's, where it is not about these records.
pub(super) fn fetch(
    reader: &mut dyn Reader,
    partition: &Partition,
    from: u64,
    end: u64,
    limit: FetchLimit,
    into: &mut Batch,
) -> Result<Option<Hole>, LogError> {
    let before = into.len();
    match reader.fetch(partition, from, limit, into) {
        Ok(()) => Ok(None),
        // What came before the damage is taken; the damage is met again at its own offset.
        Err(LogError::Damaged(_)) if into.len() > before => Ok(None),
        Err(LogError::OutOfRange { earliest, .. }) if earliest > from => Ok(Some(Hole {
            from,
            next: earliest,
            why: format!("retention has forgotten the records before offset {earliest}"),
        })),
        Err(LogError::Damaged(why)) => Ok(Some(Hole {
            from,
            next: beyond(reader, partition, from, end),
            why: format!("damaged bytes in {why}"),
        })),
        Err(error) => Err(error),
    }
}

/// The first offset after `from` that can be read: by doubling steps, then halving.
fn beyond(reader: &mut dyn Reader, partition: &Partition, from: u64, end: u64) -> u64 {
    let one = FetchLimit {
        records: 1,
        bytes: usize::MAX,
    };
    let mut reads = |offset: u64| {
        reader
            .fetch(partition, offset, one, &mut Batch::new())
            .is_ok()
    };
    let end = end.max(from + 1);
    let (mut bad, mut step) = (from, 1);
    let mut good = loop {
        let at = (bad + step).min(end);
        if at >= end || reads(at) {
            break at;
        }
        (bad, step) = (at, step * 2);
    };
    while good - bad > 1 {
        let middle = bad + (good - bad) / 2;
        if reads(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    good
}

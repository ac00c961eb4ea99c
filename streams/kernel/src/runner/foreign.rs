//! Inputs that are not ours: they begin where their topic does now, and may not be another topic than before.

use crate::log::{LogError, Partition, Reader};
use crate::task::{Mode, TaskSpec};

use super::Runner;

impl Runner {
    /// Looks once whether foreign topics still reach as far as they were read.
    pub(super) fn look_at_foreign(&mut self, reader: &mut dyn Reader) -> Result<(), LogError> {
        if std::mem::replace(&mut self.looked, true) {
            return Ok(());
        }
        for (rank, (partition, at)) in self.partitions.iter().zip(&self.positions).enumerate() {
            if *at > 0 && self.spec.is_foreign(rank) && reader.range(partition)?.end < *at {
                return Err(another_topic(partition, *at));
            }
        }
        Ok(())
    }
}

/// From where a foreign topic is read that no longer holds the records from `from` on: from its first, unless some were
/// read that those which are gone would follow.
pub(super) fn from(partition: &Partition, from: u64, earliest: u64) -> Result<u64, LogError> {
    if from == 0 {
        return Ok(earliest);
    }
    if earliest <= from {
        return Err(another_topic(partition, from));
    }
    Err(LogError::Other(format!(
        "{partition} has forgotten the records from offset {from} to {earliest} before they were read; keep its records longer than the services may stand still, and read the topic on as a new source, which begins at its first kept record"
    )))
}

/// Why a task cannot be rebuilt that read a topic in place which has forgotten what came since the last snapshot.
pub(crate) fn gone(spec: &TaskSpec, rank: usize, error: LogError) -> LogError {
    match error {
        LogError::OutOfRange {
            partition,
            offset,
            earliest,
        } if spec.mode(rank) == Some(Mode::InPlace) => LogError::Other(format!(
            "{partition} has forgotten the records from offset {offset} to {earliest}, which came after the last snapshot: the state cannot be rebuilt without them; keep its records longer, and read the topic on as a new source, or with `read: copy`"
        )),
        error => error,
    }
}

fn another_topic(partition: &Partition, from: u64) -> LogError {
    LogError::Other(format!(
        "{partition} ends before offset {from}, up to which it was read: it was deleted and created anew, or has lost records; read what it holds now as a new source, for its offsets mean other records"
    ))
}

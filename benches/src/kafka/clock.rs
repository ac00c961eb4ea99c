//! Log time behind what the client has taken, as a deployment's clock is behind what its sources write.
//!
//! A record more than a day ahead of log time is refused, and event time advances by a millisecond a record; so the clock
//! has to move during a run of many records. It must not pass an event time that some task has yet to take: that record
//! would come after its window was closed, and be in none.

use std::collections::VecDeque;
use std::error::Error;

use mainstem_kernel::Partition;
use mainstem_kernel::log::Log;
use mainstem_kernel::pace::Pacer;
use mainstem_schemas::Millis;
use mainstem_schemas::partition::partition_of;

use crate::job;

/// Rows of a partition that are not deleted.
const KEPT: u64 = 250_000;

/// An event time, and the records of each partition that come before it.
pub struct Mark {
    time: Millis,
    before: Vec<i64>,
}

/// The event times of every so manieth record.
pub fn marks(records: usize, step: usize, partitions: u32) -> VecDeque<Mark> {
    let mut before = vec![0; partitions as usize];
    let mut marks = VecDeque::new();
    for (row, arrival) in job::arrivals(records).enumerate() {
        if row > 0 && row % step == 0 {
            marks.push_back(Mark {
                time: arrival.time,
                before: before.clone(),
            });
        }
        before[partition_of(arrival.key().as_bytes(), partitions) as usize] += 1;
    }
    marks
}

/// Moves log time to one mark after the other.
pub struct Clock<'a> {
    pacer: Pacer<'a>,
    marks: VecDeque<Mark>,
}

impl<'a> Clock<'a> {
    /// Takes over the clock of a project.
    pub fn new(
        (log, project): (&'a dyn Log, &str),
        marks: VecDeque<Mark>,
    ) -> Result<Self, Box<dyn Error>> {
        let pacer = Pacer::new(log, project, Vec::new())?;
        Ok(Clock { pacer, marks })
    }

    /// Ticks where so many records of each partition are taken, by all groups; says whether it did.
    pub fn follow(&mut self, taken: &[i64]) -> Result<bool, Box<dyn Error>> {
        let mut ticked = false;
        let is_past = |mark: &&Mark| mark.before.iter().zip(taken).all(|(b, t)| b <= t);
        while let Some(mark) = self.marks.front().filter(is_past) {
            self.pacer.tick(mark.time)?;
            self.marks.pop_front();
            ticked = true;
        }
        Ok(ticked)
    }
}

/// Deletes the rows of a topic but for the last, so that a long run needs little disk.
pub fn discard(log: &dyn Log, topic: &str, partitions: u32) -> Result<(), Box<dyn Error>> {
    let mut reader = log.reader()?;
    for index in 0..partitions {
        let partition = Partition::new(topic, index);
        let range = reader.range(&partition)?;
        log.truncate(&partition, range.end.saturating_sub(KEPT).max(range.start))?;
    }
    Ok(())
}

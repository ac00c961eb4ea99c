//! How much a worker commits at once, and how often.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mainstem_kernel::log::FetchLimit;

use crate::store::Place;

/// What a task takes in a turn, where so much waits: with four partitions behind, a commit is then some 100 ms of work,
/// and what is written to a partition goes out as one batch of Kafka's. More costs memory and saves no processor time (2.88
/// s a million records at 8,192 and 2.89 at 16,384; 3.00 at 4,096, 5.10 at 65,536: `mainstem-bench cadence`).
pub const TURN: FetchLimit = FetchLimit {
    records: 8_192,
    bytes: 4 << 20,
};

/// Records of a turn that may be asked for. The bytes of a turn end it before, unless the records are small; and of many
/// tasks' turns only so many go into one commit as have 16 MiB of outputs.
pub const TURNS: RangeInclusive<usize> = 1..=65_536;

/// Intervals of commits that may be asked for. Between its steps only a worker lets go of tasks that others shall have,
/// and each room that a record passes on its way to a prediction may add one interval: a second is far below the ten after
/// which a session or a transaction times out.
pub const INTERVALS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(1);

/// The interval of commits on Kafka: about as long as a commit takes there, so that a step of several rooms waits for little
/// that it would not wait for anyway. Of 5,000 records a second half became rows within 61 ms, and within 149 ms without an
/// interval, which leaves the broker no time between commits (57 ms at 50, 106 ms at 100: `mainstem-bench cadence`).
const ON_KAFKA: Duration = Duration::from_millis(20);

/// The interval of commits where nobody asks for another.
pub(super) fn interval(place: &Place) -> Duration {
    match place {
        // A commit is one flush of a file: to share it saves next to nothing.
        Place::Directory(_) => Duration::ZERO,
        Place::Kafka { .. } => ON_KAFKA,
    }
}

/// Waits until so long after `begun`, or until told to stop: whoever tells wakes the thread.
pub(super) fn rest(begun: Instant, interval: Duration, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let left = interval.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return;
        }
        std::thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests;

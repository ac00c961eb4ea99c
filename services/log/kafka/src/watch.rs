//! The bell: rings for our own commits at once, for others' when a look at the ends finds that one moved.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainstem_kernel::log::Partition;
use rdkafka::Offset;

use crate::cluster::{Cluster, lock};

/// Between two looks: one request a broker for all partitions, so 200 small requests a second while idle.
const LOOK: Duration = Duration::from_millis(5);

/// What the handles of one log have seen.
#[derive(Default)]
pub(crate) struct Watch {
    seen: AtomicU64,
    ends: Mutex<Ends>,
    rung: Condvar,
}

#[derive(Default)]
struct Ends {
    known: BTreeMap<Partition, Option<u64>>,
    looked: Option<Instant>,
}

impl Watch {
    /// Watches a partition from now on: those that somebody reads.
    pub(crate) fn add(&self, partition: &Partition) {
        lock(&self.ends).known.entry(partition.clone()).or_default();
    }

    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }

    pub(crate) fn ring(&self) {
        self.seen.fetch_add(1, Ordering::AcqRel);
        self.rung.notify_all();
    }

    pub(crate) fn wait(&self, cluster: &Cluster, seen: u64, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            if self.seen() > seen {
                return true;
            }
            let now = Instant::now();
            if now >= deadline {
                return false;
            }
            let mut ends = lock(&self.ends);
            if ends.looked.is_none_or(|looked| now - looked >= LOOK) {
                if ends.look(cluster) {
                    self.ring();
                }
                continue;
            }
            let pause = LOOK.min(deadline - now);
            drop(
                self.rung
                    .wait_timeout(ends, pause)
                    .unwrap_or_else(PoisonError::into_inner),
            );
        }
    }
}

impl Ends {
    /// Whether an end moved since the last look. A log that does not answer has not moved: readers say why.
    fn look(&mut self, cluster: &Cluster) -> bool {
        let partitions: Vec<Partition> = self.known.keys().cloned().collect();
        let ends = cluster
            .offsets(&partitions, Offset::End, true)
            .unwrap_or_default();
        self.looked = Some(Instant::now());
        let mut moved = false;
        for (partition, end) in partitions.into_iter().zip(ends) {
            let before = self.known.insert(partition, Some(end));
            moved |= before.flatten() != Some(end);
        }
        moved
    }
}

//! How far tasks are behind the ends of their inputs, as the log says.
//!
//! A position is that of the task's last turn, so what is read and not committed counts as waiting. On Kafka the ends of
//! transactions take offsets too: a few offsets may be nothing else, and are looked at closely.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainstem_kernel::log::{LogError, Partition, Reader};
use mainstem_kernel::{TaskId, TaskSpec};
use mainstem_schemas::events::Turn;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::families::Labels;
use crate::store::Store;

/// How long a reading stands: several Prometheus servers, or an impatient one, cost the log one reading.
const FRESH: Duration = Duration::from_secs(1);

/// So few offsets may all be ends of transactions.
const MARKERS: u64 = 16;

/// The lag of tasks.
pub(super) struct Lag {
    lag: Family<Labels<3>, Gauge>,
    readable: Gauge,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    at: Option<Instant>,
    /// Kept: on Kafka a reader takes a tenth of a second to come and go.
    reader: Option<Box<dyn Reader>>,
}

/// A task's place in an input.
struct At {
    task: TaskId,
    partition: Partition,
    next: u64,
}

impl Lag {
    pub fn register(to: &mut Registry) -> Self {
        let (lag, readable) = (Family::default(), Gauge::default());
        let help =
            "Records that lie behind a task's last turn in an input partition, as the log says";
        to.register("lag_records", help, Family::clone(&lag));
        let help = "Whether the log could be read for this page (1), so that it tells the lag";
        to.register("log_readable", help, readable.clone());
        Lag {
            lag,
            readable,
            last: Mutex::default(),
        }
    }

    /// Looks, where nobody else does and the last look is over a second old.
    pub fn look(&self, store: &Store, tasks: Vec<TaskSpec>) {
        let mut last = match self.last.try_lock() {
            Ok(last) => last,
            Err(std::sync::TryLockError::WouldBlock) => return,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
        };
        if last.at.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        let reader = last.reader.take().map_or_else(|| store.log.reader(), Ok);
        let found = reader.and_then(|mut reader| {
            let found = read(store, &tasks, reader.as_mut())?;
            last.reader = Some(reader);
            Ok(found)
        });
        last.at = Some(Instant::now());
        match found {
            Ok(found) => self.tell(found),
            Err(error) => {
                tracing::warn!(%error, "the lag of the tasks cannot be read");
                self.fail();
            }
        }
    }

    fn tell(&self, found: Vec<(At, u64)>) {
        self.lag.clear();
        for (at, lag) in found {
            let labels = [
                ("task", at.task.0),
                ("topic", at.partition.topic.to_string()),
                ("partition", at.partition.index.to_string()),
            ];
            let lag = i64::try_from(lag).unwrap_or(i64::MAX);
            self.lag.get_or_create(&labels).set(lag);
        }
        self.readable.set(1);
    }

    /// An old figure would be a wrong one: there is none.
    pub fn fail(&self) {
        self.lag.clear();
        self.readable.set(0);
    }
}

fn read(
    store: &Store,
    tasks: &[TaskSpec],
    reader: &mut dyn Reader,
) -> Result<Vec<(At, u64)>, LogError> {
    let ids: Vec<&TaskId> = tasks.iter().map(|spec| &spec.id).collect();
    // The positions first: what is committed meanwhile is behind both.
    let turns = store.log.last_turns(&ids)?;
    let inputs = tasks.iter().flat_map(|spec| &spec.inputs);
    let inputs: BTreeSet<Partition> = inputs.map(|input| input.partition.clone()).collect();
    let inputs: Vec<Partition> = inputs.into_iter().collect();
    let ranges = inputs.iter().zip(reader.ranges(&inputs)?);
    let ranges: BTreeMap<_, _> = ranges.collect();
    let mut found = Vec::new();
    for (spec, turn) in tasks.iter().zip(turns) {
        for partition in spec.inputs.iter().map(|input| &input.partition) {
            // Somebody else's topic may be gone; the tasks that read it stand still and say so.
            let Some(Some(range)) = ranges.get(partition) else {
                continue;
            };
            let next = turn.as_ref().and_then(|turn| position(turn, partition));
            let at = At {
                task: spec.id.clone(),
                partition: partition.clone(),
                next: next.unwrap_or(0).max(range.start),
            };
            let lag = range.end.saturating_sub(at.next);
            found.push((at, lag));
        }
    }
    without_markers(&mut found, reader)?;
    Ok(found)
}

fn position(turn: &Turn, partition: &Partition) -> Option<u64> {
    let here = turn.positions.iter().find(|position| {
        *position.topic == *partition.topic
            && u32::try_from(position.partition) == Ok(partition.index)
    });
    here.and_then(|position| u64::try_from(position.next).ok())
}

fn without_markers(found: &mut [(At, u64)], reader: &mut dyn Reader) -> Result<(), LogError> {
    let mut near: Vec<_> = found
        .iter_mut()
        .filter(|(_, lag)| (1..=MARKERS).contains(lag))
        .collect();
    let places: Vec<(Partition, u64)> = near
        .iter()
        .map(|(at, _)| (at.partition.clone(), at.next))
        .collect();
    for ((_, lag), at_end) in near.iter_mut().zip(reader.which_are_at_end(&places)?) {
        if at_end {
            *lag = 0;
        }
    }
    Ok(())
}

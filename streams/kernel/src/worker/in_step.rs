//! Tasks on one lead partition that are behind read it together: who is ahead waits for the others.

use std::collections::BTreeMap;

use crate::log::{FetchLimit, Partition};
use crate::runner::Runner;

/// Turns that a task waits for the others, at most: who is further behind reads for itself, so that a task that begins with
/// the history does not hold those up that are nearly done with it.
const TURNS: u64 = 64;

/// The places of the tasks that are furthest behind, by lead partition, as a step begins.
pub(super) struct InStep {
    last: BTreeMap<Partition, u64>,
    limit: FetchLimit,
}

impl InStep {
    /// Of the tasks that have more to take: nobody waits for one that waits itself, for a tick or for records.
    pub(super) fn of<'a>(runners: impl Iterator<Item = &'a Runner>, limit: FetchLimit) -> Self {
        let mut last: BTreeMap<Partition, u64> = BTreeMap::new();
        for (lead, place) in runners
            .filter(|runner| runner.took_much(limit))
            .filter_map(place)
        {
            let last = last.entry(lead.clone()).or_insert(place);
            *last = place.min(*last);
        }
        InStep { last, limit }
    }

    /// Whether a task lets the others come up first. One that is less than a turn ahead does not: what it took is still at
    /// hand for them.
    pub(super) fn waits(&self, runner: &Runner) -> bool {
        let turn = self.limit.records as u64;
        let ahead = place(runner).and_then(|(lead, place)| {
            let last = self.last.get(lead)?;
            Some(place.saturating_sub(*last))
        });
        runner.took_much(self.limit)
            && ahead.is_some_and(|ahead| ahead > turn && ahead <= turn.saturating_mul(TURNS))
    }
}

/// Where a task stands on its lead partition.
fn place(runner: &Runner) -> Option<(&Partition, u64)> {
    let lead = runner.spec.lead.as_ref()?;
    let mut inputs = runner.partitions().iter().zip(runner.positions());
    let (lead, place) = inputs.find(|(partition, _)| *partition == lead)?;
    Some((lead, *place))
}

//! Tasks on one lead partition that are behind read it together: who is ahead waits for the others.

use std::collections::BTreeMap;

use crate::log::{FetchLimit, Partition, Reader};
use crate::runner::Runner;

/// The lead partitions whose tasks are apart, as a step begins: where the last of them stands, and the partition's end.
pub(super) struct InStep {
    apart: BTreeMap<Partition, (u64, u64)>,
    limit: FetchLimit,
}

impl InStep {
    /// Of the tasks that have more to take: nobody waits for one that waits itself, for a tick or for records; nor where
    /// the ends cannot be looked at, which the fetches that follow will say.
    pub(super) fn of<'a>(
        runners: impl Iterator<Item = &'a Runner>,
        limit: FetchLimit,
        reader: &mut dyn Reader,
    ) -> Self {
        let mut places: BTreeMap<&Partition, (u64, u64)> = BTreeMap::new();
        for (lead, place) in runners
            .filter(|runner| runner.took_much(limit))
            .filter_map(place)
        {
            let (last, first) = places.entry(lead).or_insert((place, place));
            (*last, *first) = (place.min(*last), place.max(*first));
        }
        places.retain(|_, (last, first)| *first - *last > limit.records as u64);
        let leads: Vec<Partition> = places.keys().map(|lead| (*lead).clone()).collect();
        let ranges = match leads.is_empty() {
            true => Vec::new(),
            false => reader.ranges(&leads).unwrap_or_default(),
        };
        let apart = leads.into_iter().zip(places.values()).zip(ranges);
        let apart =
            apart.filter_map(|((lead, (last, _)), range)| Some((lead, (*last, range?.end))));
        InStep {
            apart: apart.collect(),
            limit,
        }
    }

    /// Whether a task lets the others come up first. One that is less than a turn ahead does not: what it took is still at
    /// hand for them. Nor one that has less to go than they are behind: it is done before they are up, and a task that
    /// begins with the history holds none up that is nearly at the end.
    pub(super) fn waits(&self, runner: &Runner) -> bool {
        let apart = place(runner).and_then(|(lead, place)| {
            let (last, end) = self.apart.get(lead)?;
            Some((place.saturating_sub(*last), end.saturating_sub(place)))
        });
        let turn = self.limit.records as u64;
        runner.took_much(self.limit)
            && apart.is_some_and(|(ahead, to_go)| ahead > turn && ahead <= to_go)
    }
}

/// Where a task stands on its lead partition.
fn place(runner: &Runner) -> Option<(&Partition, u64)> {
    let lead = runner.spec.lead.as_ref()?;
    let mut inputs = runner.partitions().iter().zip(runner.positions());
    let (lead, place) = inputs.find(|(partition, _)| *partition == lead)?;
    Some((lead, *place))
}

//! Tasks on one lead partition that are behind read it together, or one after the other.

use std::collections::BTreeMap;

use crate::log::{FetchLimit, Partition, Reader};
use crate::runner::Runner;

/// The lead partitions whose tasks are apart, as a step begins. A reader stands at one place of a partition: two tasks that
/// read on at two places would have it step back and forth, fetching anew each time.
pub(super) struct InStep {
    apart: BTreeMap<Partition, Apart>,
    /// Records of a turn.
    turn: u64,
}

/// Where the tasks of a partition stand.
struct Apart {
    last: u64,
    first: u64,
    end: u64,
}

impl InStep {
    /// Of the tasks that go on: nobody waits for one that waits itself, for a tick or for records; nor where the ends cannot
    /// be looked at, which the fetches that follow will say.
    pub(super) fn of<'a>(
        runners: impl Iterator<Item = &'a Runner>,
        limit: FetchLimit,
        reader: &mut dyn Reader,
    ) -> Self {
        let turn = limit.records as u64;
        let mut places: BTreeMap<&Partition, (u64, u64)> = BTreeMap::new();
        for (lead, place) in runners.filter_map(Runner::leads_on) {
            let (last, first) = places.entry(lead).or_insert((place, place));
            (*last, *first) = (place.min(*last), place.max(*first));
        }
        places.retain(|_, (last, first)| *first - *last > turn);
        let leads: Vec<Partition> = places.keys().map(|lead| (*lead).clone()).collect();
        let ranges = match leads.is_empty() {
            true => Vec::new(),
            false => reader.ranges(&leads).unwrap_or_default(),
        };
        let apart = leads.into_iter().zip(places.values()).zip(ranges);
        let apart = apart.filter_map(|((lead, (last, first)), range)| {
            let (last, first, end) = (*last, *first, range?.end);
            Some((lead, Apart { last, first, end }))
        });
        InStep {
            apart: apart.collect(),
            turn,
        }
    }

    /// Whether a task waits for others on its partition.
    pub(super) fn waits(&self, runner: &Runner) -> bool {
        runner.leads_on().is_some_and(|(lead, place)| {
            let apart = self.apart.get(lead);
            apart.is_some_and(|apart| apart.waits(place, self.turn))
        })
    }
}

impl Apart {
    /// Who is ahead waits until the others are up; but they wait for who is done before that, so that a task that begins
    /// with the history holds none up that is nearly at the end. Nobody waits for who stays at the end, nor where less than
    /// a turn lies between: what the one took is at hand for the other.
    fn waits(&self, place: u64, turn: u64) -> bool {
        let to_go = self.end.saturating_sub(self.first);
        if to_go >= self.first - self.last {
            return place.saturating_sub(self.last) > turn;
        }
        to_go > turn && self.first.saturating_sub(place) > turn
    }
}

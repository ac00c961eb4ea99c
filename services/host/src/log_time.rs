//! Log time beside the wall clock: the last tick, and whether it is fresh enough to judge what comes in.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstem_kernel::log::{LogError, Partition, Reader};
use mainstem_schemas::definition::{Clock, Project};
use mainstem_schemas::events::Event;
use mainstem_schemas::{Catalog, Millis, Span, topics};

use crate::store::{Store, StoreError, each_event_from};

/// Records of the clock that are looked through for the last tick at first.
const TICKS: u64 = 64;

/// How far log time may be behind the wall clock before workers wait for a tick: well within the day by which an event
/// may be ahead of log time, and no clock that ticks each second ever is.
const BEHIND: Span = Span(3_600_000);

/// How long workers wait without a word: who starts the services one after the other takes less.
const PATIENCE: Duration = Duration::from_secs(5);

/// The wall clock.
pub(crate) fn wall() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Time of the last tick: looked for from the clock's end backwards, for a clock may be long.
///
/// # Errors
/// The reader's, or a damaged event.
pub(crate) fn last_tick(
    catalog: &Catalog,
    reader: &mut dyn Reader,
    project: &str,
) -> Result<Millis, LogError> {
    let clock = Partition::new(&topics::fixed(project, "clock"), 0);
    let range = reader.range(&clock)?;
    let mut back = TICKS;
    loop {
        let first = range.end.saturating_sub(back).max(range.start);
        let mut last = None;
        each_event_from(reader, catalog, &clock, first, |_, event| {
            if let Event::ClockTicked(tick) = event {
                last = Some(tick.time);
            }
        })?;
        match last {
            None if first > range.start => back = back.saturating_mul(4),
            last => return Ok(last.unwrap_or_default()),
        }
    }
}

/// Whether the log's clock is fresh. Rooms judge event times by log time, for ever: where the clock stands still, as it
/// does until the first tick after a start, a record of today would go to quarantine as one of the far future.
#[derive(Default)]
pub(crate) struct Fresh {
    until: Millis,
    waiting: Option<Instant>,
}

impl Fresh {
    /// Looks, and says once in a while that the clock is waited for.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn look(&mut self, store: &Store, project: &Project) -> Result<bool, StoreError> {
        if project.clock == Clock::Stream || wall() < self.until {
            return Ok(true);
        }
        let catalog = store.catalog(&project.name)?;
        let last = last_tick(&catalog, store.log.reader()?.as_mut(), &project.name)?;
        self.until = last.plus(BEHIND);
        let fresh = wall() < self.until;
        let waiting = self.waiting.get_or_insert_with(Instant::now);
        if !fresh && waiting.elapsed() >= PATIENCE {
            tracing::warn!(
                "the log's clock stands still, and the tasks wait for it; start `mainstem run clock`, or `mainstem up`"
            );
        }
        if fresh || waiting.elapsed() >= PATIENCE {
            self.waiting = None;
        }
        Ok(fresh)
    }
}

//! Where a paced publication stands, by what it has written: a look from outside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstem_kernel::Partition;
use mainstem_kernel::log::{CommitError, FetchLimit, Log, Reader};
use mainstem_schemas::time::Span;
use mainstem_schemas::{Batch, Millis, RecordRef};

use super::NAME;

/// How long one look for a step waits, before the services are looked after.
const LOOK: Duration = Duration::from_millis(500);

/// How far the publication is, by what it has written.
pub struct Publication {
    log: Arc<dyn Log>,
    reader: Box<dyn Reader>,
    /// Next offsets of the clock and the arrivals.
    next: [u64; 2],
    /// End of the step that is open; none while its ticks come.
    until: Option<Millis>,
    newest: Millis,
}

impl Publication {
    /// Of a project's log; none where that cannot be read.
    pub fn new(log: Arc<dyn Log>) -> Option<Self> {
        Some(Publication {
            reader: log.reader().ok()?,
            log,
            next: [0; 2],
            until: None,
            newest: Millis::default(),
        })
    }

    /// Waits until rows of an open step are still to come, which they are for some milliseconds of each.
    pub fn await_step(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < LOOK {
            if self.goes_on() {
                return true;
            }
        }
        false
    }

    /// Whether rows of the open step are still to come.
    pub fn goes_on(&mut self) -> bool {
        for (kind, time) in self.news(0, "clock") {
            self.until = (kind == "StepOpened").then_some(time);
        }
        for (_, time) in self.news(1, "arrivals.market") {
            self.newest = time;
        }
        let day = Span(86_400_000);
        self.until
            .is_some_and(|until| self.newest.plus(day) < until)
    }

    /// Writes a value of another writer among the rows.
    pub fn put(&self, value: &[u8]) -> Result<(), CommitError> {
        let mut batch = Batch::new();
        batch.push(Some(b"nsw"), Some(value), []);
        let at = Partition::new(&format!("{NAME}.arrivals.market"), 0);
        self.log.writer("poison")?.append(&[(at, batch)])
    }

    /// Types and times of the records since the last look.
    fn news(&mut self, place: usize, topic: &str) -> Vec<(String, Millis)> {
        let (partition, mut batch) = (Partition::new(&format!("{NAME}.{topic}"), 0), Batch::new());
        loop {
            let (from, had) = (self.next[place], batch.len());
            let limit = FetchLimit::default();
            let fetched = self.reader.fetch(&partition, from, limit, &mut batch);
            if fetched.is_err() || batch.len() == had {
                break;
            }
            self.next[place] = batch.offsets().last().map_or(from, |last| last + 1);
        }
        let text = |record: &RecordRef<'_>, name| {
            let text = std::str::from_utf8(record.header(name)?);
            text.ok().map(str::to_owned)
        };
        let news = |record: RecordRef<'_>| {
            let time = text(&record, "ce_time")?.parse();
            Some((text(&record, "ce_type")?, time.ok()?))
        };
        batch.iter().filter_map(news).collect()
    }
}

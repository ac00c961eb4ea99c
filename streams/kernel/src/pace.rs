//! Paced runs: history replayed as a backtest, so that everybody gets the same figures.
//!
//! The pacer opens a step, its caller publishes the rows, the pacer waits for quiet and ticks, and repeats the tick
//! with the same time and the next round, each after quiet, until a round adds nothing but ticks and turns.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstem_schemas::events::{ClockTicked, Event, RunTaken, StepOpened};
use mainstem_schemas::{Batch, Catalog, Envelope, EventId, Millis, topics};

use crate::log::{CommitError, FetchLimit, Log, LogError, Partition, Reader, Writer};
use crate::quiet::is_quiet;
use crate::task::TaskSpec;

/// Rounds of one step at most: a life cycle takes about ten; more is a loop of events that feeds itself.
const MAX_ROUNDS: u32 = 1_000;

/// How often an aborted append is sent again: an abort is over in some milliseconds, or it is no passing trouble.
const RETRIES: usize = 20;

/// How long one look at the log waits for news before it looks anyway.
const LOOK: Duration = Duration::from_millis(50);

/// Whether there is a record is all that is asked.
const ONE: FetchLimit = FetchLimit {
    records: 1,
    bytes: 1,
};

/// Why a paced run stopped.
#[derive(Debug, thiserror::Error)]
pub enum PaceError {
    /// The log refuses.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The clock could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The clock's schemas are not registered.
    #[error("{0}")]
    Unreadable(#[from] mainstem_schemas::events::Unreadable),
    /// Events feed themselves.
    #[error("{0} rounds at one time did not come to rest: two tasks keep answering each other")]
    Restless(u32),
    /// The caller asked to stop.
    #[error("stopped before the step came to rest; go on with --resume")]
    Stopped,
}

/// Moves a log's clock.
pub struct Pacer<'a> {
    log: &'a dyn Log,
    reader: Box<dyn Reader>,
    writer: Box<dyn Writer>,
    catalog: Catalog,
    project: String,
    tasks: Vec<TaskSpec>,
    watched: Vec<Partition>,
    last: ClockTicked,
}

impl<'a> Pacer<'a> {
    /// Takes over the clock of a project, where it stands; an older pacer is fenced.
    ///
    /// # Errors
    /// The log's.
    pub fn new(log: &'a dyn Log, project: &str, tasks: Vec<TaskSpec>) -> Result<Self, PaceError> {
        // Fenced first: what is read then is all that there will be of the older pacer.
        let (writer, mut reader) = (log.writer("clock")?, log.reader()?);
        let catalog = crate::worker::read_catalog(reader.as_mut(), project)?;
        let still = ["clock", "turns", "snapshots"].map(|name| topics::fixed(project, name));
        let watched = log.topics()?.into_iter().filter(|topic| {
            topic.name.starts_with(&format!("{project}.")) && !still.contains(&topic.name)
        });
        let watched = watched
            .flat_map(|t| (0..t.partitions).map(move |k| Partition::new(&t.name, k)))
            .collect();
        let mut last = ClockTicked {
            time: Millis::default(),
            round: 0,
        };
        crate::worker::read_events(
            reader.as_mut(),
            &catalog,
            &topics::fixed(project, "clock"),
            |event| {
                if let Event::ClockTicked(tick) = event {
                    last = tick;
                }
            },
        )?;
        Ok(Pacer {
            log,
            reader,
            writer,
            catalog,
            project: project.into(),
            tasks,
            watched,
            last,
        })
    }

    /// The last tick.
    #[must_use]
    pub fn last(&self) -> &ClockTicked {
        &self.last
    }

    /// Says that rows up to a time are about to be published.
    ///
    /// # Errors
    /// The log's.
    pub fn open(&mut self, source: &str, publication: i64, until: Millis) -> Result<(), PaceError> {
        let event = StepOpened {
            source: source.into(),
            publication,
            until,
        };
        self.write(&Event::StepOpened(event), until)
    }

    /// One tick, without waiting for anything: the wall clock's. Log time never goes back.
    ///
    /// # Errors
    /// The log's; [`CommitError::Fenced`] where another pacer took the clock over.
    pub fn tick(&mut self, time: Millis) -> Result<(), PaceError> {
        let time = time.max(self.last.time);
        let tick = ClockTicked {
            time,
            round: self.last.round + 1,
        };
        self.write(&Event::ClockTicked(tick.clone()), time)?;
        self.last = tick;
        Ok(())
    }

    /// Brings everything to rest at a time: quiet, tick, and so on until a round adds nothing.
    ///
    /// # Errors
    /// [`PaceError`]; `stop` is asked between looks.
    pub fn settle(&mut self, time: Millis, stop: &dyn Fn() -> bool) -> Result<(), PaceError> {
        self.wait_quiet(stop)?;
        // A pacer that was killed among the rounds of this time goes on where it was: one empty round more would
        // number everything after it otherwise.
        if self.last.time == time && self.last.round > 0 && !self.last_round_added()? {
            return Ok(());
        }
        let mut ends = self.ends()?;
        for _ in 0..MAX_ROUNDS {
            self.tick(time)?;
            self.wait_quiet(stop)?;
            let after = self.ends()?;
            if !self.has_records(&ends, &after)? {
                return Ok(());
            }
            ends = after;
        }
        Err(PaceError::Restless(MAX_ROUNDS))
    }

    fn wait_quiet(&mut self, stop: &dyn Fn() -> bool) -> Result<(), PaceError> {
        loop {
            let seen = self.log.seen();
            if is_quiet(self.log, self.reader.as_mut(), &self.tasks)? {
                return Ok(());
            }
            if stop() {
                return Err(PaceError::Stopped);
            }
            self.log.wait(seen, LOOK);
        }
    }

    /// Whether anything but ticks and turns was written because of the last tick: by the turns that took it and
    /// those after them.
    fn last_round_added(&mut self) -> Result<bool, PaceError> {
        let clock = Partition::new(&topics::fixed(&self.project, "clock"), 0);
        // The end of the partition may lie further: logs may put marks between records.
        let mut tick = 0;
        crate::worker::for_each(self.reader.as_mut(), &clock, |record| {
            tick = record.offset as i64 + 1;
            Ok(())
        })?;
        let (mut behind, mut added) = (BTreeSet::new(), false);
        crate::worker::read_events(
            self.reader.as_mut(),
            &self.catalog,
            &topics::fixed(&self.project, "turns"),
            |e| {
                let Event::Turn(turn) = e else { return };
                let took = |run: &RunTaken| run.topic == clock.topic.as_ref() && run.next >= tick;
                if turn.runs.iter().any(took) {
                    behind.insert(turn.task.clone());
                }
                added |= behind.contains(&turn.task)
                    && (!turn.outputs.is_empty() || turn.runs.iter().all(|r| !took(r)));
            },
        )?;
        Ok(added)
    }

    fn ends(&mut self) -> Result<Vec<u64>, PaceError> {
        let ranges = self.reader.ranges(&self.watched)?;
        let end = |range: Option<std::ops::Range<u64>>| range.map_or(0, |range| range.end);
        Ok(ranges.into_iter().map(end).collect())
    }

    /// Whether anything was written to what is watched: an aborted transaction moves an end, too, and writes nothing.
    fn has_records(&mut self, ends: &[u64], after: &[u64]) -> Result<bool, PaceError> {
        let mut batch = Batch::new();
        for (partition, (end, after)) in self.watched.iter().zip(ends.iter().zip(after)) {
            if after > end {
                self.reader.fetch(partition, *end, ONE, &mut batch)?;
            }
            if !batch.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn write(&mut self, event: &Event, time: Millis) -> Result<(), PaceError> {
        let mut value = Vec::new();
        event.encode(&self.catalog, &mut value)?;
        let id = EventId::named("clock", &value);
        let mut batch = Batch::new();
        let envelope = Envelope {
            id,
            kind: event.name().into(),
            source: "pacer".into(),
            time,
            ..Envelope::default()
        };
        envelope.push(&mut batch, None, &value);
        let clock = Partition::new(&topics::fixed(&self.project, "clock"), 0);
        for _ in 0..RETRIES {
            match self.writer.append(&[(clock.clone(), batch.clone())]) {
                Err(CommitError::Aborted(_)) => {}
                done => return Ok(done?),
            }
        }
        Err(CommitError::Aborted(format!("{RETRIES} times running")).into())
    }
}

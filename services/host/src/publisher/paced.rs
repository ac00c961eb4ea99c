//! History replayed as a backtest: a step of event time is opened, published, and brought to rest before the next.

use std::io::BufRead;

use mainstem_ingest::Row;
use mainstem_kernel::log::Partition;
use mainstem_kernel::machine::AHEAD;
use mainstem_kernel::pace::{PaceError, Pacer};
use mainstem_rooms::topology::tasks_of;
use mainstem_schemas::definition::Clock;
use mainstem_schemas::events::Event;
use mainstem_schemas::{Millis, Span, topics};

use super::waiting::Watch;
use super::{Input, Publication, PublishError, Published, open, time_of};
use crate::store::{Store, each_event};

/// Steps without a row that are walked at most: 27 years of days or a year of hours are a gap in somebody's history, and
/// take a minute or so; more is a typing mistake in the year, and takes for ever.
const EMPTY_STEPS: i64 = 10_000;

/// How a file is paced.
pub struct Pace<'a> {
    /// End of the first step.
    pub first: Millis,
    /// Length of each later step.
    pub step: Span,
    /// Asked between looks whether to stop.
    pub stop: &'a dyn Fn() -> bool,
    /// Told after each step: its end, and the rows so far.
    pub progress: &'a mut dyn FnMut(Millis, &Published),
    /// Told what is waited for, where nobody seems to be at work.
    pub waiting: &'a mut dyn FnMut(&str),
}

/// Where a row belongs.
enum Place {
    /// Into the open step.
    Here,
    /// Into a later one.
    Later,
    /// Into the open step, because its own is too far to be walked to: the rule of "more than a day ahead" quarantines it.
    Astray,
}

/// Publishes step by step. Every task must be hosted somewhere, or the run waits for it.
///
/// # Errors
/// [`PublishError`].
pub fn publish_paced<R: BufRead>(
    store: &Store,
    input: Input<'_, R>,
    pace: Pace<'_>,
) -> Result<Published, PublishError> {
    if input.project.clock != Clock::Stream {
        return Err(PublishError::WallClock);
    }
    let (project, source) = (input.project, input.source);
    let tasks = tasks_of(project);
    let watch = Watch::new(store.log.as_ref(), &tasks, pace.waiting)?;
    let mut pacer = Pacer::new(store.log.as_ref(), &project.name, tasks.clone())?;
    let (mut publication, mut rows) = open(store, input)?;
    let mut published = Published::default();
    let mut opened = last_opened(store, &project.name, source, publication.number)?;
    let mut until = opened.unwrap_or(pace.first);
    let mut next = rows.next().transpose()?;
    while next.is_some() {
        while let Some(row) = next.take() {
            match place(&row, until, pace.step, &publication) {
                Place::Here => {}
                Place::Later => {
                    next = Some(row);
                    break;
                }
                Place::Astray if published.accepted + published.skipped == 0 => {
                    return Err(far_from_first(&row, until, pace.step));
                }
                Place::Astray => published.astray += 1,
            }
            if opened != Some(until) && !publication.holds(row.row) {
                pacer.open(source, i64::from(publication.number), until)?;
                opened = Some(until);
            }
            publication.put(&row, &mut published)?;
            if publication.is_full() {
                publication.flush()?;
                if (pace.stop)() {
                    return Err(PaceError::Stopped.into());
                }
            }
            next = rows.next().transpose()?;
        }
        publication.flush()?;
        watch.begin();
        settle(&mut pacer, until, &|| {
            watch.look();
            (pace.stop)()
        })?;
        (pace.progress)(until, &published);
        until = until.plus(Span(pace.step.at_least_one()));
    }
    Ok(published)
}

fn place(row: &Row, until: Millis, step: Span, publication: &Publication) -> Place {
    match time_of(row) {
        Some(time) if time >= until && !publication.holds(row.row) => {
            if time > furthest(until, step) {
                Place::Astray
            } else {
                Place::Later
            }
        }
        _ => Place::Here,
    }
}

/// Where the walk ends: not within the day ahead of a step whose rows are not quarantined.
fn furthest(until: Millis, step: Span) -> Millis {
    let steps = step.at_least_one().saturating_mul(EMPTY_STEPS);
    until.plus(Span(steps).max(AHEAD))
}

/// Were the first row put into the first step, so would all the others be.
fn far_from_first(row: &Row, until: Millis, step: Span) -> PublishError {
    PublishError::FarFromFirst {
        row: row.row,
        line: row.line,
        time: time_of(row).unwrap_or_default(),
        first: until,
        step,
        steps: EMPTY_STEPS,
    }
}

fn settle(pacer: &mut Pacer<'_>, until: Millis, stop: &dyn Fn() -> bool) -> Result<(), PaceError> {
    // A step that was settled before the publication was resumed is behind the clock.
    if pacer.last().round > 0 && until < pacer.last().time {
        Ok(())
    } else {
        pacer.settle(until, stop)
    }
}

/// End of the last step that a publication of a source opened.
fn last_opened(
    store: &Store,
    project: &str,
    source: &str,
    number: u32,
) -> Result<Option<Millis>, PublishError> {
    let (catalog, mut last) = (store.catalog(project)?, None);
    let clock = Partition::new(&topics::fixed(project, "clock"), 0);
    each_event(
        store.log.reader()?.as_mut(),
        &catalog,
        &clock,
        |_, event| match event {
            Event::StepOpened(step)
                if step.source == source && step.publication == i64::from(number) =>
            {
                last = Some(step.until);
            }
            _ => {}
        },
    )?;
    Ok(last)
}

//! History replayed as a backtest: a step of event time is opened, published, and brought to rest before the next.

use std::io::BufRead;

use mainstem_kernel::pace::{PaceError, Pacer};
use mainstem_rooms::topology::tasks_of;
use mainstem_schemas::definition::Clock;
use mainstem_schemas::events::Event;
use mainstem_schemas::{Millis, Span, topics};

use super::{Input, PublishError, Published, open, time_of};
use crate::store::{Store, each_event};
use mainstem_kernel::log::Partition;

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
    let mut pacer = Pacer::new(store.log.as_ref(), &project.name, tasks_of(project))?;
    let (mut publication, mut rows) = open(store, input)?;
    let mut published = Published::default();
    let mut opened = last_opened(store, &project.name, publication.number)?;
    let mut until = opened.unwrap_or(pace.first);
    let mut next = rows.next().transpose()?;
    while next.is_some() {
        while let Some(row) = next.take() {
            let beyond = time_of(&row).is_some_and(|time| time >= until);
            if beyond && !publication.holds(row.row) {
                next = Some(row);
                break;
            }
            if opened != Some(until) && !publication.holds(row.row) {
                pacer.open(source, i64::from(publication.number), until)?;
                opened = Some(until);
            }
            publication.put(row, &mut published)?;
            if publication.is_full() {
                publication.flush()?;
                if (pace.stop)() {
                    return Err(PaceError::Stopped.into());
                }
            }
            next = rows.next().transpose()?;
        }
        publication.flush()?;
        settle(&mut pacer, until, pace.stop)?;
        (pace.progress)(until, &published);
        until = until.plus(Span(pace.step.at_least_one()));
    }
    Ok(published)
}

fn settle(pacer: &mut Pacer<'_>, until: Millis, stop: &dyn Fn() -> bool) -> Result<(), PaceError> {
    // A step that was settled before the publication was resumed is behind the clock.
    if pacer.last().round > 0 && until < pacer.last().time {
        Ok(())
    } else {
        pacer.settle(until, stop)
    }
}

/// End of the last step that a publication opened.
fn last_opened(store: &Store, project: &str, number: u32) -> Result<Option<Millis>, PublishError> {
    let (catalog, mut last) = (store.catalog(project)?, None);
    let clock = Partition::new(&topics::fixed(project, "clock"), 0);
    each_event(
        store.log.reader()?.as_mut(),
        &catalog,
        &clock,
        |_, event| match event {
            Event::StepOpened(step) if step.publication == i64::from(number) => {
                last = Some(step.until)
            }
            _ => {}
        },
    )?;
    Ok(last)
}

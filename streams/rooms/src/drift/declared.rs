//! The monitor of a source: profiles of all partitions merged, compared with the shares that the project declares,
//! judged.
//!
//! A window is measured once every partition has sent its profile, where all of them are whole and hold the monitor's
//! least number of rows together. Windows are taken in time order: one that lacks a partition holds the later ones up,
//! until [`PATIENCE`] of them are there. A partition whose first profile is of a later window had no rows before it.
//!
//! Columns or windows that are declared anew close the open alarms, and everything begins anew.

use std::collections::BTreeMap;

use mainstem_kernel::{Context, Machine, Outbox};
use mainstem_schemas::definition::{DeclaredColumn, Monitor, Project, Windows, digest_of};
use mainstem_schemas::events::{DriftMethod, Event, ProfileMeasured, Subject};
use mainstem_schemas::{Digest, Envelope, EventId, Millis, RecordRef};
use mainstem_statistics::{Grid, psi};
use serde::{Deserialize, Serialize};

use super::alarms::Alarms;
use super::gathered::{Gathered, PATIENCE};
use super::report::{Page, Writer, counts};
use super::{DECLARED, read, windows};

const PROFILES: usize = 0;

/// Drift of one monitor's columns.
pub struct MonitorMachine {
    monitor: String,
}

/// What a monitor's task remembers.
#[derive(Default, Serialize, Deserialize)]
pub struct Watching {
    /// What the windows are compared with, and how they are cut.
    declared: Option<(Digest, Windows)>,
    /// Whether it was declared anew since the last tick.
    changed: bool,
    gathered: BTreeMap<Millis, Gathered>,
    /// Begin of each partition's first window.
    first: BTreeMap<i32, Millis>,
    /// End of the last window that was measured or given up.
    done: Option<Millis>,
    alarms: Alarms,
}

impl MonitorMachine {
    /// The machine of a monitor.
    #[must_use]
    pub fn new(monitor: &str) -> Self {
        MonitorMachine {
            monitor: monitor.into(),
        }
    }

    fn writer<'a>(&'a self, cx: &'a Context<'a>, monitor: &Monitor) -> Writer<'a> {
        Writer {
            cx,
            definition: digest_of(monitor),
            name: &self.monitor,
        }
    }

    fn gather(
        &self,
        state: &mut Watching,
        id: EventId,
        profile: &ProfileMeasured,
    ) -> Result<(), String> {
        let start = profile.window_start;
        let ours = profile.subject == Subject::Arrivals && profile.model == self.monitor;
        let of_now = |(reference, windows): &(Digest, Windows)| {
            profile.reference == *reference
                && windows.start_of(start) == start
                && windows::end_of(windows, start) == profile.window_end
        };
        if !ours || !state.declared.as_ref().is_some_and(of_now) {
            return Ok(());
        }
        state.first.entry(profile.partition).or_insert(start);
        if Some(start) < state.done {
            return Ok(());
        }
        let gathered = state.gathered.entry(start);
        gathered
            .or_insert_with(|| Gathered::like(profile))
            .take(id, profile)
    }

    /// Measures the windows that are complete, in time order.
    fn measure(
        &self,
        state: &mut Watching,
        cx: &Context<'_>,
        monitor: &Monitor,
        out: &mut Outbox,
    ) -> Result<(), String> {
        while let Some((start, window, complete)) = ready(state, cx.project.partitions as usize) {
            state.done = Some(window.end);
            let enough = window.rows >= i64::from(monitor.drift.min_rows);
            if !(complete && window.whole && enough) {
                continue;
            }
            let Some((reference, _)) = state.declared else {
                continue;
            };
            let page = Page {
                writer: self.writer(cx, monitor),
                version: DECLARED,
                reference_rows: 0,
                running: monitor.drift.windows,
                key: (start, Subject::Arrivals, reference),
                window: &window,
            };
            write(&page, monitor, &mut state.alarms, out)?;
        }
        Ok(())
    }

    /// The alarms of what was declared before are closed.
    fn change(&self, state: &mut Watching, cx: &Context<'_>, monitor: &Monitor, out: &mut Outbox) {
        if !std::mem::take(&mut state.changed) {
            return;
        }
        let writer = self.writer(cx, monitor);
        for (watched, detected) in state.alarms.close_all() {
            let cause = (cx.tick.time, None);
            writer.cleared(&watched, detected, "reference changed", cause, out);
        }
    }
}

/// The oldest window, if it is to be taken, and whether it has every partition.
fn ready(state: &mut Watching, partitions: usize) -> Option<(Millis, Gathered, bool)> {
    let (start, window) = state.gathered.first_key_value()?;
    let silent = |(partition, first): &(&i32, &Millis)| {
        *first > start && !window.profiles.contains_key(partition)
    };
    let came = window.profiles.len() + state.first.iter().filter(silent).count();
    let complete = came >= partitions;
    if !complete && state.gathered.len() <= PATIENCE {
        return None;
    }
    let (start, window) = state.gathered.pop_first()?;
    Some((start, window, complete))
}

/// Measures every column and judges it.
fn write(
    page: &Page<'_>,
    monitor: &Monitor,
    alarms: &mut Alarms,
    out: &mut Outbox,
) -> Result<(), String> {
    for (column, cells) in monitor.columns.iter().zip(&page.window.columns) {
        let grid = Grid::of_edges(&column.edges).map_err(|error| error.to_string())?;
        // Refused where the window has no values at all: there is nothing to compare.
        if let Ok(report) = psi::declared(&shares(column), &counts(&grid, cells)?) {
            let watched = (Subject::Arrivals, column.name.clone(), DriftMethod::Psi);
            page.measured(&watched, &report, monitor.drift.psi, alarms, out);
        }
    }
    Ok(())
}

/// Shares of all rows, the missing values last.
fn shares(column: &DeclaredColumn) -> Vec<f64> {
    let present = column
        .shares
        .iter()
        .map(|share| share * (1.0 - column.missing));
    present.chain([column.missing]).collect()
}

impl Machine for MonitorMachine {
    const VERSION: u32 = 1;
    type State = Watching;

    fn define(&self, state: &mut Watching, project: &Project) {
        let Some(monitor) = project.monitors.get(&self.monitor) else {
            return;
        };
        let now = (digest_of(&monitor.columns), monitor.windows.clone());
        let before = state.declared.replace(now.clone());
        if before.is_some_and(|before| before != now) {
            state.changed = true;
            state.gathered.clear();
            state.first.clear();
            state.done = None;
        }
    }

    fn release(
        &self,
        state: &mut Watching,
        cx: &Context<'_>,
        input: usize,
        record: &RecordRef<'_>,
        out: &mut Outbox,
    ) {
        if input != PROFILES {
            return;
        }
        let taken = match read(cx, record) {
            Ok(Event::ProfileMeasured(profile)) => {
                self.gather(state, Envelope::read(record).id, &profile)
            }
            Ok(_) => Ok(()),
            Err(why) => Err(why),
        };
        taken.unwrap_or_else(|why| out.fault(why));
    }

    fn tick(&self, state: &mut Watching, cx: &Context<'_>, out: &mut Outbox) {
        let Some(monitor) = cx.project.monitors.get(&self.monitor) else {
            return;
        };
        self.change(state, cx, monitor, out);
        let measured = self.measure(state, cx, monitor, out);
        measured.unwrap_or_else(|why| out.fault(why));
    }
}

//! Profiles of a source's own columns, counted into the bins that a monitor declares.
//!
//! The bins are known beforehand, so nothing waits: a row is counted into its window as it comes. On a tick every window
//! that has ended is emitted, in time order and also when empty. Rows that come after their window was closed are in no
//! profile.
//!
//! The first window is the one of the first row that came before the first tick, else of that tick. Bins or windows
//! that are declared anew begin the open windows anew: a window that lost rows to it is not `whole`. Where log time
//! leaps over more than [`MAX_WINDOWS`] windows, only the last of them are emitted.
//!
//! A record that is no arrival, or whose columns cannot be read, goes to `quarantine` under this task's name too: there
//! may be no view of the source, and a view need not read these columns.

use std::collections::BTreeMap;
use std::ops::Range;

use mainstem_columns::{Columns, Kind, Layout, Wanted};
use mainstem_kernel::outbox::Head;
use mainstem_kernel::{Context, Machine, Need, Outbox, Run};
use mainstem_schemas::definition::{Monitor, Project, Windows, digest_of};
use mainstem_schemas::events::{ColumnCounts, ProfileMeasured, Subject};
use mainstem_schemas::{Catalog, Digest, Millis};
use mainstem_statistics::{Counts, Grid};
use serde::{Deserialize, Serialize};

use super::counted::cells;
use super::windows::{self, MAX_WINDOWS};
use super::{DECLARED, id_of, subject_key};
use crate::arrivals::{Arrival, Decoders, Opener, Refusal, Refuser, Sharing, Sheet};
use crate::foreign::{InPlace, incoming, needs_in_place};

/// Outputs of the machine.
const QUARANTINE: usize = 1;

/// Records that are looked at before they are counted: those that are decoded here stay in the processor's nearest cache.
const CHUNK: usize = 128;

/// Profiles of a monitor's columns in one partition.
pub struct SourceProfileMachine {
    monitor: String,
    name: String,
    partition: u32,
}

/// What it remembers.
#[derive(Default, Serialize, Deserialize)]
pub struct SourceProfiling {
    /// Digest of the columns that are counted, and their windows.
    counted: Option<(Digest, Windows)>,
    /// Begin of the next window to emit; none before the first tick.
    next: Option<Millis>,
    /// Windows that begin before this may lack rows.
    lost: Option<Millis>,
    open: BTreeMap<Millis, Window>,
    #[serde(skip)]
    work: Option<Box<Work>>,
}

/// A window's rows, counted.
#[derive(Serialize, Deserialize)]
struct Window {
    rows: u64,
    /// In the order of the definition.
    columns: Vec<Counts>,
}

/// What is made from the definition, and made again after a restore.
struct Work {
    decoders: Decoders,
    /// Records that are on no sheet.
    columns: Columns,
    /// Where the columns of the bins lie in those.
    places: Vec<usize>,
    sharing: Option<Sharing>,
    /// Event times of the rows at hand, which follow one another.
    times: Vec<Millis>,
    /// The first of them, where they are rows of a sheet.
    first: Option<usize>,
    bins: Vec<Bins>,
    /// A column with what is missing in it marked.
    marked: Vec<f64>,
    definition: Digest,
    windows: Windows,
    opener: Opener,
    /// Where the source's topic is read in place.
    in_place: Option<Box<InPlace>>,
}

struct Bins {
    name: String,
    optional: bool,
    grid: Grid,
}

impl SourceProfileMachine {
    /// The machine of a monitor in one partition.
    #[must_use]
    pub fn new(monitor: &str, partition: u32) -> Self {
        SourceProfileMachine {
            monitor: monitor.into(),
            name: format!("profile_source/{monitor}"),
            partition,
        }
    }

    /// The work at hand; none where the definition has the monitor no more.
    fn work(
        &self,
        state: &mut SourceProfiling,
        project: &Project,
    ) -> Result<Option<Box<Work>>, String> {
        if let Some(work) = state.work.take() {
            return Ok(Some(work));
        }
        let Some(monitor) = project.monitors.get(&self.monitor) else {
            return Ok(None);
        };
        let work = Work::prepare(monitor, project);
        let work = work.map_err(|why| format!("monitor {}: {why}", self.monitor))?;
        Ok(Some(Box::new(work)))
    }

    fn take(
        &self,
        state: &mut SourceProfiling,
        work: &mut Work,
        cx: &Context<'_>,
        run: &Run<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let mut in_place = work.in_place.take();
        if let Some(read) = &mut in_place {
            read.take(cx.catalog, self.partition, run.batch)?;
        }
        let sharing = work.sharing.as_mut();
        let sheet = sharing.and_then(|s| s.sheet(cx.catalog, run, &mut work.decoders));
        let sheet = sheet.as_deref();
        if let Some(times) = sheet.and_then(|sheet| sheet.times(cx.horizon)) {
            work.first = Some(0);
            work.times.extend(times);
            return count(state, work, sheet, cx.tick.time);
        }
        for given in incoming(run.batch, in_place.as_deref(), sheet) {
            if work.times.len() == CHUNK || !work.goes_on(given.row) {
                count(state, work, sheet, cx.tick.time)?;
            }
            let taken = given
                .inside(&mut work.opener, cx.catalog, cx.horizon)
                .and_then(|arrival| work.append(cx.catalog, &arrival, given.row));
            match taken {
                Ok(()) => {}
                Err(refusal) => {
                    let refuser = Refuser {
                        input: run.input,
                        output: QUARANTINE,
                        definition: &work.definition,
                        name: &self.name,
                    };
                    let (outside, _) =
                        given.open(&mut work.opener, cx.catalog, self.partition, cx.horizon);
                    refuser.quarantine(cx, &given.record, Some(outside), &refusal, out);
                }
            }
        }
        work.in_place = in_place;
        count(state, work, sheet, cx.tick.time)
    }

    /// Emits the windows that have ended.
    fn close(&self, state: &mut SourceProfiling, work: &Work, cx: &Context<'_>, out: &mut Outbox) {
        let Some((reference, windows)) = state.counted.clone() else {
            return;
        };
        let first_row = state.open.first_key_value().map(|(start, _)| *start);
        let begin = windows.start_of(cx.tick.time);
        let next = *state
            .next
            .get_or_insert(first_row.map_or(begin, |row| row.min(begin)));
        let due = windows::due(&windows, next, cx.tick.time);
        let Some(last) = due.last() else {
            return;
        };
        state.next = Some(windows::end_of(&windows, *last));
        for start in due {
            let window = state.open.remove(&start);
            let window = window.unwrap_or_else(|| work.empty());
            let event = ProfileMeasured {
                model: self.monitor.clone(),
                subject: Subject::Arrivals,
                version: DECLARED.into(),
                reference,
                partition: self.partition as i32,
                window_start: start,
                window_end: windows::end_of(&windows, start),
                whole: Some(start) >= state.lost,
                rows: window.rows as i64,
                columns: work.cells(&window),
            };
            let (partition, begin) = (self.partition.to_be_bytes(), start.0.to_be_bytes());
            let key = [
                self.monitor.as_bytes(),
                subject_key(Subject::Arrivals),
                &partition,
                &begin,
            ];
            let head = Head {
                id: id_of(cx, &work.definition, &key, &[&reference.0]),
                time: event.window_end,
                correlation: None,
                causation: None,
            };
            out.event(cx, 0, self.monitor.as_bytes(), &event.into(), head);
        }
        let next = state.next;
        state.open.retain(|start, _| Some(*start) >= next);
    }
}

impl Work {
    fn prepare(monitor: &Monitor, project: &Project) -> Result<Self, String> {
        let source = project.sources.get(&monitor.source);
        let source =
            source.ok_or_else(|| format!("the definition has no source {}", monitor.source))?;
        let bins = monitor.columns.iter().map(|column| {
            let field = source.fields.iter().find(|field| field.name == column.name);
            let field = field.ok_or_else(|| format!("its source has no column {}", column.name))?;
            let grid = Grid::of_edges(&column.edges);
            Ok(Bins {
                name: column.name.clone(),
                optional: field.optional,
                grid: grid.map_err(|error| format!("column {}: {error}", column.name))?,
            })
        });
        let bins: Vec<Bins> = bins.collect::<Result<_, String>>()?;
        let layout = Layout::new(bins.iter().map(|bins| match bins.optional {
            true => Wanted::optional(&bins.name, Kind::Number),
            false => Wanted::required(&bins.name, Kind::Number),
        }));
        let layout = layout.map_err(|error| error.to_string())?;
        Ok(Work {
            columns: Columns::new(&layout),
            places: (0..bins.len()).collect(),
            sharing: Sharing::of(project, &monitor.source, &layout),
            decoders: Decoders::new(layout),
            times: Vec::with_capacity(CHUNK),
            first: None,
            bins,
            marked: Vec::new(),
            definition: digest_of(monitor),
            windows: monitor.windows.clone(),
            opener: Opener::of(source)?,
            in_place: InPlace::of(project, &monitor.source)?,
        })
    }

    fn empty(&self) -> Window {
        let columns = self.bins.iter();
        Window {
            rows: 0,
            columns: columns.map(|bins| Counts::new(&bins.grid)).collect(),
        }
    }

    /// Whether a record follows the rows at hand, if it is that row of the sheet, or of none.
    fn goes_on(&self, row: Option<usize>) -> bool {
        let next = self.first.map(|first| first + self.times.len());
        self.times.is_empty() || row == next
    }

    /// Puts an arrival beside the rows at hand, which it follows.
    fn append(
        &mut self,
        catalog: &Catalog,
        arrival: &Arrival<'_>,
        row: Option<usize>,
    ) -> Result<(), Refusal> {
        if row.is_none() {
            let (schema, body) = (arrival.schema, arrival.body);
            self.decoders
                .append(catalog, schema, body, &mut self.columns)?;
        }
        if self.times.is_empty() {
            self.first = row;
        }
        self.times.push(arrival.time);
        Ok(())
    }

    /// Counts some of the rows at hand.
    fn add(
        &mut self,
        window: &mut Window,
        sheet: Option<&Sheet>,
        rows: Range<usize>,
    ) -> Result<(), String> {
        window.rows += rows.len() as u64;
        let (columns, places, first) = match (self.first, sheet, &self.sharing) {
            (Some(first), Some(sheet), Some(sharing)) => (sheet.columns(), sharing.places(), first),
            _ => (&self.columns, &self.places[..], 0),
        };
        let rows = first + rows.start..first + rows.end;
        let counted = self.bins.iter().zip(places).zip(&mut window.columns);
        for ((bins, at), counts) in counted {
            let values = match bins.optional {
                false => columns.numbers(*at).get(rows.clone()).unwrap_or_default(),
                true => {
                    let value = |row| columns.number(*at, row).unwrap_or(f64::NAN);
                    self.marked.clear();
                    self.marked.extend(rows.clone().map(value));
                    &self.marked
                }
            };
            let added = counts.add_column(&bins.grid, values);
            added.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn cells(&self, window: &Window) -> Vec<ColumnCounts> {
        let columns = self.bins.iter().zip(&window.columns);
        let columns = columns.map(|(bins, counts)| ColumnCounts {
            name: bins.name.clone(),
            cells: cells(counts),
        });
        columns.collect()
    }
}

/// Counts the rows at hand into their windows, those that follow one another at once, and lets them go.
fn count(
    state: &mut SourceProfiling,
    work: &mut Work,
    sheet: Option<&Sheet>,
    now: Millis,
) -> Result<(), String> {
    let closed = state
        .next
        .map(|next| windows::oldest(&work.windows, next, now));
    let mut from = 0;
    while let Some(time) = work.times.get(from) {
        let start = work.windows.start_of(*time);
        let window = start..windows::end_of(&work.windows, start);
        let rows = work.times[from..].iter();
        let to = from + rows.take_while(|time| window.contains(time)).count();
        if Some(start) >= closed {
            let window = state.open.entry(start);
            work.add(window.or_insert_with(|| work.empty()), sheet, from..to)?;
            forget_oldest(state, &work.windows);
        }
        from = to;
    }
    work.columns.clear();
    work.times.clear();
    work.first = None;
    Ok(())
}

/// Drops the oldest window where more are open than a tick closes: rows came from far ahead of log time. It will not be
/// whole, nor will those before it.
fn forget_oldest(state: &mut SourceProfiling, windows: &Windows) {
    // The one that is not over yet is open beside those.
    if state.open.len() > MAX_WINDOWS as usize + 1
        && let Some((start, _)) = state.open.pop_first()
    {
        state.lost = state.lost.max(Some(windows::end_of(windows, start)));
    }
}

impl Machine for SourceProfileMachine {
    const VERSION: u32 = 1;
    type State = SourceProfiling;

    fn define(&self, state: &mut SourceProfiling, project: &Project) {
        state.work = None;
        let Some(monitor) = project.monitors.get(&self.monitor) else {
            return;
        };
        let now = (digest_of(&monitor.columns), monitor.windows.clone());
        let before = state.counted.replace(now.clone());
        let Some((_, windows)) = before.filter(|before| *before != now) else {
            return;
        };
        if let Some((start, _)) = state.open.pop_last() {
            state.lost = state.lost.max(Some(windows::end_of(&windows, start)));
        }
        state.open.clear();
        state.next = state
            .next
            .map(|next| windows::first_from(&monitor.windows, next));
    }

    fn needs(
        &self,
        _state: &SourceProfiling,
        cx: &Context<'_>,
        run: Option<&Run<'_>>,
    ) -> Vec<Need> {
        let monitor = cx.project.monitors.get(&self.monitor);
        match (monitor, run) {
            (Some(monitor), Some(run)) => needs_in_place(cx, &monitor.source, run),
            _ => Vec::new(),
        }
    }

    fn fold(&self, state: &mut SourceProfiling, cx: &Context<'_>, run: &Run<'_>, out: &mut Outbox) {
        match self.work(state, cx.project) {
            Ok(None) => {}
            Ok(Some(mut work)) => {
                let taken = self.take(state, &mut work, cx, run, out);
                taken.unwrap_or_else(|why| out.fault(why));
                state.work = Some(work);
            }
            Err(why) => out.fault(why),
        }
    }

    fn tick(&self, state: &mut SourceProfiling, cx: &Context<'_>, out: &mut Outbox) {
        match self.work(state, cx.project) {
            Ok(None) => {}
            Ok(Some(work)) => {
                self.close(state, &work, cx, out);
                state.work = Some(work);
            }
            Err(why) => out.fault(why),
        }
    }
}

//! Profiles of windows: rows counted into the cells of the champion's reference.
//!
//! Rows wait for the tick. On a tick the deployments that it released are in force; rows of event times before the
//! tick are counted, and every window that has ended is emitted, in time order and also when empty. Rows from the
//! tick's time on wait on: a champion promoted at that time is released with a later tick, and they are its rows.
//!
//! The first window is the first that begins under a champion that has a reference. A promotion begins the open
//! windows anew under the new reference: such a window, and every window that lost a row to another reference or to
//! none, is not `whole`. Rows that come after their window was closed are in no profile. Where log time leaps over
//! more than [`MAX_WINDOWS`] windows, only the last of them are emitted, with all their rows.

use std::collections::{BTreeMap, BTreeSet};

use mainstem_columns::{Kind, Layout, Wanted};
use mainstem_kernel::outbox::Head;
use mainstem_kernel::{Context, Machine, Need, Outbox, Run};
use mainstem_schemas::definition::{Project, Windows, digest_of};
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::{DeploymentStarted, Event, ProfileMeasured, Role, Subject};
use mainstem_schemas::{Millis, RecordRef};
use serde::{Deserialize, Serialize};

use super::counted::{Counted, decoded};
use super::reference::narrowed;
use super::rows::Rows;
use super::windows::{self, MAX_WINDOWS};
use super::{DEPLOYMENTS, PROBABILITY, ReferenceProfile};
use super::{id_of, model_of, read, reference_of, references, resolved, subject_key};

/// Rows that wait for a tick; beyond, they are counted as they come. 65,536 rows of a hundred columns are 26 MB.
const MAX_WAITING: usize = 1 << 16;

/// Profiles of one model's features or predictions in one partition.
pub struct ProfileMachine {
    model: String,
    partition: u32,
    subject: Subject,
}

/// What a profile task remembers.
#[derive(Default, Serialize, Deserialize)]
pub struct Profiling {
    deployed: Deployed,
    windows: Option<Windows>,
    /// Begin of the next window to emit; none before the first reference.
    next: Option<Millis>,
    /// Windows that begin before this may lack rows.
    lost: Option<Millis>,
    open: BTreeMap<Millis, Counted>,
    waiting: Rows,
}

impl ProfileMachine {
    /// The machine of a model's features or predictions in one partition.
    #[must_use]
    pub fn new(model: &str, partition: u32, subject: Subject) -> Self {
        ProfileMachine {
            model: model.into(),
            partition,
            subject,
        }
    }

    fn take_features(
        &self,
        state: &mut Profiling,
        cx: &Context<'_>,
        run: &Run<'_>,
    ) -> Result<(), String> {
        let defined = model_of(cx, &self.model)
            .into_iter()
            .flat_map(|model| &model.features);
        let deployed = state
            .deployed
            .active()
            .iter()
            .flat_map(|version| &version.features);
        let wanted: BTreeSet<&str> = defined.chain(deployed).map(String::as_str).collect();
        state.waiting.want(wanted);
        let numbers = state
            .waiting
            .names()
            .iter()
            .map(|name| Wanted::optional(name, Kind::Number));
        let layout = Layout::new(
            [Wanted::required("event_time", Kind::Time)]
                .into_iter()
                .chain(numbers),
        );
        let columns = decoded(cx, run, &layout.map_err(|error| error.to_string())?)?;
        for row in 0..columns.rows() {
            let value = |column| columns.number(column + 1, row).map_or(f32::NAN, narrowed);
            state
                .waiting
                .push(columns.time(0, row).unwrap_or_default(), "", value);
            self.make_room(state, cx)?;
        }
        Ok(())
    }

    fn take_predictions(
        &self,
        state: &mut Profiling,
        cx: &Context<'_>,
        run: &Run<'_>,
    ) -> Result<(), String> {
        state.waiting.want([PROBABILITY]);
        for record in run.batch.iter() {
            if let Event::PredictionMade(made) = read(cx, &record)?
                && made.role == Role::Champion
            {
                state.waiting.push(made.event_time, &made.version, |_| {
                    narrowed(made.probability)
                });
                self.make_room(state, cx)?;
            }
        }
        Ok(())
    }

    fn make_room(&self, state: &mut Profiling, cx: &Context<'_>) -> Result<(), String> {
        if state.waiting.len() < MAX_WAITING {
            return Ok(());
        }
        let all = Millis(i64::MAX);
        self.count(state, cx, all)
    }

    /// The champion, if it has a reference, and the reference.
    fn reference(
        &self,
        state: &Profiling,
        cx: &Context<'_>,
    ) -> Result<Option<(DeploymentStarted, ReferenceProfile)>, String> {
        let Some(champion) = state.deployed.champion() else {
            return Ok(None);
        };
        match reference_of(champion, self.subject) {
            None => Ok(None),
            Some(digest) => Ok(Some((champion.clone(), resolved(cx, &digest)?))),
        }
    }

    /// Counts the waiting rows before a time.
    fn count(&self, state: &mut Profiling, cx: &Context<'_>, before: Millis) -> Result<(), String> {
        if state.waiting.len() == 0 {
            return Ok(());
        }
        let rows = state.waiting.take_before(before);
        let (Some(latest), Some(windows)) = (rows.latest(), state.windows.clone()) else {
            return Ok(());
        };
        let (Some((champion, reference)), Some(next)) = (self.reference(state, cx)?, state.next)
        else {
            state.lost = state
                .lost
                .max(Some(windows::end_of(&windows, windows.start_of(latest))));
            return Ok(());
        };
        let first = windows::oldest(&windows, next, cx.tick.time).max(champion.since);
        let window_of = |row: usize| {
            let (time, by) = (rows.time(row), rows.version(row));
            let counts = first <= time && (by.is_empty() || by == champion.version);
            counts.then(|| windows.start_of(time))
        };
        let mut from = 0;
        while from < rows.len() {
            let start = window_of(from);
            let to = (from..rows.len())
                .find(|row| window_of(*row) != start)
                .unwrap_or(rows.len());
            if let Some(start) = start {
                let window = state
                    .open
                    .entry(start)
                    .or_insert_with(|| Counted::empty(&reference));
                window.add(&reference, &rows, from..to)?;
                forget_oldest(state, &windows);
            }
            from = to;
        }
        Ok(())
    }

    /// Emits the windows that have ended.
    fn close(
        &self,
        state: &mut Profiling,
        cx: &Context<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let (Some(next), Some(windows)) = (state.next, state.windows.clone()) else {
            return Ok(());
        };
        let due = windows::due(&windows, next, cx.tick.time);
        let (Some(last), Some(model)) = (due.last(), model_of(cx, &self.model)) else {
            return Ok(());
        };
        let Some((champion, reference)) = self.reference(state, cx)? else {
            return Ok(());
        };
        let digest = reference_of(&champion, self.subject).unwrap_or_default();
        state.next = Some(windows::end_of(&windows, *last));
        for start in due {
            let window = state
                .open
                .remove(&start)
                .unwrap_or_else(|| Counted::empty(&reference));
            let event = ProfileMeasured {
                model: self.model.clone(),
                subject: self.subject,
                version: champion.version.clone(),
                reference: digest,
                partition: self.partition as i32,
                window_start: start,
                window_end: windows::end_of(&windows, start),
                whole: start >= champion.since && Some(start) >= state.lost,
                rows: window.rows as i64,
                columns: window.cells(&reference),
            };
            let (partition, begin) = (self.partition.to_be_bytes(), start.0.to_be_bytes());
            let key = [
                self.model.as_bytes(),
                subject_key(self.subject),
                &partition,
                &begin,
            ];
            let head = Head {
                id: id_of(cx, &digest_of(model), &key, &[&digest.0]),
                time: event.window_end,
                correlation: None,
                causation: None,
            };
            out.event(cx, 0, self.model.as_bytes(), &event.into(), head);
        }
        let next = state.next;
        state.open.retain(|start, _| Some(*start) >= next);
        Ok(())
    }

    /// Another champion: what is open begins anew.
    fn change(&self, state: &mut Profiling, was_measured: bool) {
        forget_open(state);
        let (Some(champion), Some(windows)) = (state.deployed.champion(), &state.windows) else {
            return;
        };
        if reference_of(champion, self.subject).is_some() && !was_measured {
            let first = windows::first_from(windows, champion.since);
            state.next = Some(state.next.map_or(first, |next| next.max(first)));
        }
    }
}

/// Drops the oldest window where more are open than a tick closes: rows came from far ahead of log time. It will not be
/// whole, nor will those before it.
fn forget_oldest(state: &mut Profiling, windows: &Windows) {
    // The one that is not over yet is open beside those.
    if state.open.len() > MAX_WINDOWS as usize + 1
        && let Some((start, _)) = state.open.pop_first()
    {
        state.lost = state.lost.max(Some(windows::end_of(windows, start)));
    }
}

/// Drops the open windows' counts; those windows will not be whole.
fn forget_open(state: &mut Profiling) {
    if let (Some((start, _)), Some(windows)) = (state.open.pop_last(), &state.windows) {
        state.lost = state.lost.max(Some(windows::end_of(windows, start)));
    }
    state.open.clear();
}

impl Machine for ProfileMachine {
    const VERSION: u32 = 1;
    type State = Profiling;

    /// Windows cut otherwise begin anew, where the old ones have been emitted.
    fn define(&self, state: &mut Profiling, project: &Project) {
        let Some(model) = project.models.get(&self.model) else {
            return;
        };
        if state.windows.as_ref() != Some(&model.windows) {
            forget_open(state);
            state.next = state
                .next
                .map(|next| windows::first_from(&model.windows, next));
            state.windows = Some(model.windows.clone());
        }
    }

    fn needs(&self, state: &Profiling, cx: &Context<'_>, run: Option<&Run<'_>>) -> Vec<Need> {
        references(cx, &self.model, &state.deployed, run, &[self.subject])
    }

    fn fold(&self, state: &mut Profiling, cx: &Context<'_>, run: &Run<'_>, out: &mut Outbox) {
        let taken = match self.subject {
            Subject::Features => self.take_features(state, cx, run),
            Subject::Predictions => self.take_predictions(state, cx, run),
            // Arrivals have a machine of their own.
            Subject::Arrivals => Ok(()),
        };
        taken.unwrap_or_else(|why| out.fault(why));
    }

    fn release(
        &self,
        state: &mut Profiling,
        cx: &Context<'_>,
        input: usize,
        record: &RecordRef<'_>,
        out: &mut Outbox,
    ) {
        debug_assert_eq!(input, DEPLOYMENTS, "rows are not held");
        match read(cx, record) {
            Ok(event) => {
                let before = state
                    .deployed
                    .champion()
                    .map(|old| (old.version.clone(), reference_of(old, self.subject)));
                state.deployed.take(&self.model, &event);
                let champion = state.deployed.champion();
                let now =
                    champion.map(|new| (new.version.clone(), reference_of(new, self.subject)));
                if before != now {
                    self.change(
                        state,
                        before.is_some_and(|(_, reference)| reference.is_some()),
                    );
                }
            }
            Err(why) => out.fault(why),
        }
    }

    fn tick(&self, state: &mut Profiling, cx: &Context<'_>, out: &mut Outbox) {
        let done = self
            .count(state, cx, cx.tick.time)
            .and_then(|()| self.close(state, cx, out));
        done.unwrap_or_else(|why| out.fault(why));
    }
}

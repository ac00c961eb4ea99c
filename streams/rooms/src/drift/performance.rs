//! How right every deployed version is, window by window of the labels' event time.
//!
//! A window is measured on the first tick at or after its end; rows and corrections that come later measure it again,
//! with the next revision, for as long as a label may take (`label.timeout`). A version is measured in the role that
//! it predicted in, and also without rows where it was deployed before the window's end.
//!
//! A window that lacks rows is not measured: one that log time leapt over with more than [`MAX_WINDOWS`] others, one
//! that was open when the definition cut windows otherwise, and one whose rows are no longer kept.
//!
//! Of a window with very many rows only the counts are kept: corrections of those rows are `uncounted`.
//!
//! Versions other than a champion are compared with it on the predictions of the same origin: the same row of
//! features.

use std::collections::{BTreeMap, BTreeSet};

use mainstem_kernel::machine::Stamp;
use mainstem_kernel::outbox::Head;
use mainstem_kernel::{Context, Machine, Outbox};
use mainstem_schemas::definition::{Model, Project, Windows, digest_of};
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::{Event, PerformanceMeasured, Role};
use mainstem_schemas::{Digest, EventId, Millis, RecordRef};
use serde::{Deserialize, Serialize};

use super::scores::{Deployment, Measured, Scored, Scores};
use super::windows::{self, MAX_WINDOWS};
use super::{DEPLOYMENTS, id_of, model_of, read};

/// Rows of closed windows that are kept for corrections; the oldest windows go first. A million are 60 MB.
const MAX_ROWS: usize = 1 << 20;

/// Rows of windows that are still open, 16 MB of them; then all are folded into counts. Log time that stands still, or a
/// long window of a busy source, brings without limit.
const MAX_OPEN: usize = if cfg!(test) { 1 << 8 } else { 1 << 18 };

/// Performance of one model in one partition.
pub struct PerformanceMachine {
    model: String,
    partition: u32,
}

/// What a performance task remembers.
#[derive(Default, Serialize, Deserialize)]
pub struct Performing {
    deployed: Deployed,
    windows: Option<Windows>,
    /// Begin of the next window to close; none before the first deployment.
    next: Option<Millis>,
    /// Windows that begin before this lack rows.
    lost: Option<Millis>,
    /// Windows by their begin: those to come, and those that may still be corrected.
    scores: BTreeMap<Millis, Scores>,
    /// Rows that came for open windows since they were folded.
    open: usize,
}

/// A labelled prediction.
struct Labelled {
    origin: EventId,
    target_time: Millis,
    deployment: Deployment,
    class: i32,
    label: i32,
    revision: i32,
    round: i64,
}

impl Labelled {
    /// None for other events: an orphaned label is of no prediction.
    fn of(event: Event) -> Option<Self> {
        match event {
            Event::PredictionLabelled(event) => Some(Labelled {
                origin: event.origin,
                target_time: event.target_time,
                deployment: (event.role, event.version),
                class: event.class,
                label: event.label,
                revision: 0,
                round: event.round,
            }),
            Event::LabelCorrected(event) => Some(Labelled {
                origin: event.origin,
                target_time: event.target_time,
                deployment: (event.role, event.version),
                class: event.class,
                label: event.label,
                revision: event.revision,
                round: event.round,
            }),
            _ => None,
        }
    }

    /// Names the prediction, then the revision: corrections of one prediction at one tick are taken in their order.
    fn stamp(&self) -> Stamp {
        let (role, version) = &self.deployment;
        let prediction = [&self.origin.0[..], &[*role as u8], version.as_bytes()].concat();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&Digest::of(&prediction).0[..8]);
        id[12..].copy_from_slice(&self.revision.max(0).to_be_bytes());
        Stamp {
            time: self.target_time,
            id: EventId(id),
            round: u64::try_from(self.round).unwrap_or(0),
        }
    }
}

impl PerformanceMachine {
    /// The machine of a model in one partition.
    #[must_use]
    pub fn new(model: &str, partition: u32) -> Self {
        PerformanceMachine {
            model: model.into(),
            partition,
        }
    }

    fn take(&self, state: &mut Performing, cx: &Context<'_>, row: Labelled) {
        let (Some(windows), Some(model)) = (&state.windows, model_of(cx, &self.model)) else {
            return;
        };
        let start = windows.start_of(row.target_time);
        let end = windows::end_of(windows, start);
        let now = cx.tick.time;
        let over = match state.next {
            // Log time may leap over a window and all the time that its labels have: its rows are of this very tick.
            Some(next) if start >= next => start < windows::oldest(windows, next, now),
            _ => forgotten(model, end, now),
        };
        if over || Some(start) < state.lost {
            return;
        }
        let scored = Scored {
            origin: row.origin,
            class: row.class != 0,
            label: row.label != 0,
            corrects: row.revision > 0,
        };
        let known = state.scores.len();
        let scores = state.scores.entry(start).or_default();
        let before = scores.rows();
        scores.take(row.deployment, &scored);
        if Some(start) >= state.next {
            state.open += scores.rows() - before;
            if state.open > MAX_OPEN || state.scores.len() > known {
                make_room(state);
            }
        }
    }

    fn close(&self, state: &mut Performing, cx: &Context<'_>, model: &Model, out: &mut Outbox) {
        let (Some(next), Some(windows)) = (state.next, state.windows.clone()) else {
            return;
        };
        let due = windows::due(&windows, next, cx.tick.time);
        let oldest = windows::oldest(&windows, next, cx.tick.time);
        if oldest > next {
            state
                .scores
                .retain(|start, _| *start < next || *start >= oldest);
            state.lost = state.lost.max(Some(oldest));
        }
        for (start, scores) in state
            .scores
            .range_mut(..next)
            .filter(|(_, scores)| scores.changed)
        {
            let window = (*start, windows::end_of(&windows, *start));
            self.emit(cx, model, window, scores.measure(BTreeSet::new()), out);
        }
        for start in due {
            let end = windows::end_of(&windows, start);
            let before = state
                .deployed
                .active()
                .iter()
                .filter(|version| version.since < end);
            let deployed = before
                .map(|version| (version.role, version.version.clone()))
                .collect();
            state.next = Some(end);
            if Some(start) >= state.lost {
                let measured = state.scores.entry(start).or_default().measure(deployed);
                self.emit(cx, model, (start, end), measured, out);
            }
        }
        let open = state.next.map(|next| state.scores.range(next..));
        state.open = open.map_or(0, |open| open.map(|(_, scores)| scores.rows()).sum());
        forget(state, &windows, model, cx.tick.time);
    }

    fn emit(
        &self,
        cx: &Context<'_>,
        model: &Model,
        (window_start, window_end): (Millis, Millis),
        measured: Vec<(Deployment, Measured)>,
        out: &mut Outbox,
    ) {
        for (
            (role, version),
            Measured {
                revision,
                confusion,
                paired,
                uncounted,
            },
        ) in measured
        {
            let (partition, begin) = (self.partition.to_be_bytes(), window_start.0.to_be_bytes());
            let key = [
                self.model.as_bytes(),
                &partition,
                &begin,
                version.as_bytes(),
                role_key(role),
            ];
            let id = id_of(cx, &digest_of(model), &key, &[&revision.to_be_bytes()]);
            let event = PerformanceMeasured {
                model: self.model.clone(),
                version,
                role,
                partition: self.partition as i32,
                window_start,
                window_end,
                revision,
                rows: confusion.total() as i64,
                true_positives: confusion.tp as i64,
                false_positives: confusion.fp as i64,
                true_negatives: confusion.tn as i64,
                false_negatives: confusion.fn_ as i64,
                accuracy: confusion.accuracy(),
                precision: confusion.precision(),
                recall: confusion.recall(),
                f1: confusion.f1(),
                paired,
                uncounted,
            };
            let head = Head {
                id,
                time: window_end,
                correlation: None,
                causation: None,
            };
            out.event(cx, 0, self.model.as_bytes(), &event.into(), head);
        }
    }
}

/// A role's name in natural keys; frozen.
fn role_key(role: Role) -> &'static [u8] {
    match role {
        Role::Champion => b"champion",
        Role::Shadow => b"shadow",
        Role::Control => b"control",
        Role::Baseline => b"baseline",
    }
}

/// Whether a window can no longer be corrected.
fn forgotten(model: &Model, end: Millis, now: Millis) -> bool {
    end.plus(model.label.timeout) < now
}

/// Keeps what is open within its bounds: rows are folded; of more windows than a tick closes, rows having come from far
/// ahead of log time, the oldest goes and is not measured.
fn make_room(state: &mut Performing) {
    let (Some(next), Some(windows)) = (state.next, &state.windows) else {
        return;
    };
    if state.open > MAX_OPEN {
        let open = state.scores.range_mut(next..);
        open.for_each(|(_, scores)| scores.fold());
        state.open = 0;
    }
    let mut open = state.scores.range(next..).map(|(start, _)| *start);
    // The one that is not over yet is open beside those.
    if let (Some(first), true) = (open.next(), open.count() > MAX_WINDOWS as usize) {
        let rows = state
            .scores
            .remove(&first)
            .map_or(0, |scores| scores.rows());
        state.open -= rows;
        state.lost = state.lost.max(Some(windows::end_of(windows, first)));
    }
}

/// Lets go of closed windows. Rows that come later for one of them do not make it anew.
fn forget(state: &mut Performing, windows: &Windows, model: &Model, now: Millis) {
    let Some(next) = state.next else { return };
    let closed = state.scores.range(..next);
    let (mut count, mut rows) = (0, 0);
    for (_, scores) in closed {
        (count, rows) = (count + 1, rows + scores.rows());
    }
    while let Some(oldest) = state
        .scores
        .first_entry()
        .filter(|oldest| *oldest.key() < next)
    {
        let end = windows::end_of(windows, *oldest.key());
        let room = count <= MAX_WINDOWS as usize && rows <= MAX_ROWS;
        if room && !forgotten(model, end, now) {
            return;
        }
        (count, rows) = (count - 1, rows - oldest.remove().rows());
        state.lost = state.lost.max(Some(end));
    }
}

impl Machine for PerformanceMachine {
    const VERSION: u32 = 1;
    type State = Performing;

    /// Windows cut otherwise begin anew, with the first that begins after every row of the old ones.
    fn define(&self, state: &mut Performing, project: &Project) {
        let Some(model) = project.models.get(&self.model) else {
            return;
        };
        if state.windows.as_ref() != Some(&model.windows) {
            let open = std::mem::take(&mut state.scores).pop_last();
            let old = state.windows.replace(model.windows.clone());
            let counted = old.and_then(|old| Some(windows::end_of(&old, open?.0)));
            // Rows up to there were in windows that are gone.
            let first = state.next.max(counted).max(state.lost);
            let first = first.map(|first| windows::first_from(&model.windows, first));
            state.next = state.next.and(first);
            state.lost = first;
            state.open = 0;
        }
    }

    fn stamp(&self, cx: &Context<'_>, input: usize, record: &RecordRef<'_>) -> Stamp {
        if input == DEPLOYMENTS {
            return Stamp::of_envelope(record);
        }
        // What cannot be read comes first, and is refused when it is released.
        let labelled = read(cx, record).ok().and_then(Labelled::of);
        labelled.map_or_else(|| Stamp::of_envelope(record), |labelled| labelled.stamp())
    }

    fn release(
        &self,
        state: &mut Performing,
        cx: &Context<'_>,
        input: usize,
        record: &RecordRef<'_>,
        out: &mut Outbox,
    ) {
        match (input, read(cx, record)) {
            (_, Err(why)) => out.fault(why),
            (DEPLOYMENTS, Ok(event)) => {
                state.deployed.take(&self.model, &event);
                let first = state
                    .deployed
                    .active()
                    .iter()
                    .map(|version| version.since)
                    .min();
                if let (None, Some(first), Some(windows)) = (state.next, first, &state.windows) {
                    state.next = Some(windows.start_of(first));
                }
            }
            (_, Ok(event)) => {
                if let Some(labelled) = Labelled::of(event) {
                    self.take(state, cx, labelled);
                }
            }
        }
    }

    fn tick(&self, state: &mut Performing, cx: &Context<'_>, out: &mut Outbox) {
        if let Some(model) = model_of(cx, &self.model) {
            self.close(state, cx, model, out);
        }
    }
}

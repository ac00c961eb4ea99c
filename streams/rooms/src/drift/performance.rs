//! How right every deployed version is, window by window of the labels' event time.
//!
//! A window is measured on the first tick at or after its end; rows and corrections that come later measure it again,
//! with the next revision, for as long as a label may take (`label.timeout`). A version is measured in the role that
//! it predicted in, and also without rows where it was deployed before the window's end.
//!
//! Versions other than a champion are compared with it on the predictions of the same origin: the same row of
//! features.

use std::collections::{BTreeMap, BTreeSet};

use mainstem_kernel::machine::Stamp;
use mainstem_kernel::outbox::Head;
use mainstem_kernel::{Context, Machine, Outbox};
use mainstem_schemas::definition::{Model, Project, Windows};
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::{Event, PerformanceMeasured, Role};
use mainstem_schemas::{Digest, EventId, Millis, RecordRef};
use serde::{Deserialize, Serialize};

use super::scores::{Deployment, Measured, Scores};
use super::windows::{self, MAX_WINDOWS};
use super::{DEPLOYMENTS, id_of, model_of, read};

/// Rows of closed windows that are kept for corrections; the oldest windows go first. A million are 60 MB.
const MAX_ROWS: usize = 1 << 20;

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
    /// Windows by their begin: those to come, and those that may still be corrected.
    scores: BTreeMap<Millis, Scores>,
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
        let too_far = state
            .next
            .is_some_and(|next| start >= windows::beyond(windows, next));
        if forgotten(model, end, cx.tick.time) || too_far {
            return;
        }
        let scores = state.scores.entry(start).or_default();
        scores.take(row.origin, row.deployment, row.class != 0, row.label != 0);
    }

    fn close(&self, state: &mut Performing, cx: &Context<'_>, model: &Model, out: &mut Outbox) {
        let (Some(next), Some(windows)) = (state.next, state.windows.clone()) else {
            return;
        };
        let due = windows::due(&windows, next, cx.tick.time);
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
            let measured = state.scores.entry(start).or_default().measure(deployed);
            self.emit(cx, model, (start, end), measured, out);
            state.next = Some(end);
        }
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
            let id = id_of(cx, model, &key, &[&revision.to_be_bytes()]);
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

fn forget(state: &mut Performing, windows: &Windows, model: &Model, now: Millis) {
    let Some(next) = state.next else { return };
    state.scores.retain(|start, _| {
        *start >= next || !forgotten(model, windows::end_of(windows, *start), now)
    });
    let mut closed: usize = state
        .scores
        .range(..next)
        .map(|(_, scores)| scores.rows())
        .sum();
    let mut count = state.scores.range(..next).count();
    while count > MAX_WINDOWS as usize || (closed > MAX_ROWS && count > 0) {
        let Some((_, scores)) = state.scores.pop_first() else {
            return;
        };
        closed -= scores.rows();
        count -= 1;
    }
}

impl Machine for PerformanceMachine {
    const VERSION: u32 = 1;
    type State = Performing;

    /// Windows cut otherwise begin anew, where the old ones have been emitted.
    fn define(&self, state: &mut Performing, project: &Project) {
        let Some(model) = project.models.get(&self.model) else {
            return;
        };
        if state.windows.as_ref() != Some(&model.windows) {
            state.scores.clear();
            state.next = state
                .next
                .map(|next| windows::first_from(&model.windows, next));
            state.windows = Some(model.windows.clone());
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

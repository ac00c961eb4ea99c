//! The drift monitor: profiles of all partitions merged, compared with the reference, judged.
//!
//! A window is measured once every partition has sent its profile under the champion's reference, where all of them
//! are whole and hold the monitor's least number of rows together. Windows are taken in time order: one that lacks a
//! partition holds the later ones up, until [`PATIENCE`] of them are there.
//!
//! On a tick the windows under the reference in force are taken first, then a promotion that the tick released: it
//! closes the open alarms and counts anew.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use mainstem_kernel::{Context, Machine, Need, Outbox, Run};
use mainstem_schemas::definition::{Model, digest_of};
use mainstem_schemas::deployed::Deployed;
use mainstem_schemas::events::{Event, ProfileMeasured, Subject};
use mainstem_schemas::{Digest, Envelope, EventId, Millis, RecordRef};
use serde::{Deserialize, Serialize};

use super::alarms::Alarms;
use super::gathered::{Gathered, PATIENCE};
use super::report::{Page, Writer};
use super::{DEPLOYMENTS, ReferenceProfile, model_of, read, reference_of, references, resolved};

const PROFILES: usize = 1;
const SUBJECTS: [Subject; 2] = [Subject::Features, Subject::Predictions];

/// Drift of one model.
pub struct DriftMachine {
    model: String,
}

/// What a drift task remembers.
#[derive(Default, Serialize, Deserialize)]
pub struct Monitoring {
    deployed: Deployed,
    /// The champion that windows are compared with.
    champion: Option<Champion>,
    /// The event that changed the champion.
    changed_by: EventId,
    gathered: BTreeMap<Key, Gathered>,
    /// End of each subject's last window that was measured or given up.
    done: BTreeMap<Subject, Millis>,
    alarms: Alarms,
}

/// Begin, subject and reference of a window.
pub(super) type Key = (Millis, Subject, Digest);

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Champion {
    version: String,
    since: Millis,
    features: Option<Digest>,
    predictions: Option<Digest>,
}

impl Champion {
    fn of(deployed: &Deployed) -> Option<Self> {
        let champion = deployed.champion()?;
        Some(Champion {
            version: champion.version.clone(),
            since: champion.since,
            features: reference_of(champion, Subject::Features),
            predictions: reference_of(champion, Subject::Predictions),
        })
    }

    fn reference(&self, subject: Subject) -> Option<Digest> {
        match subject {
            Subject::Features => self.features,
            Subject::Predictions => self.predictions,
            Subject::Arrivals => None,
        }
    }

    /// Whether alarms mean the same under both.
    fn is(&self, other: &Champion) -> bool {
        (&self.version, self.features, self.predictions)
            == (&other.version, other.features, other.predictions)
    }
}

impl DriftMachine {
    /// The machine of a model.
    #[must_use]
    pub fn new(model: &str) -> Self {
        DriftMachine {
            model: model.into(),
        }
    }

    fn writer<'a>(&'a self, cx: &'a Context<'a>, model: &Model) -> Writer<'a> {
        Writer {
            cx,
            definition: digest_of(model),
            name: &self.model,
        }
    }

    fn gather(
        &self,
        state: &mut Monitoring,
        id: EventId,
        profile: ProfileMeasured,
    ) -> Result<(), String> {
        let late = state
            .done
            .get(&profile.subject)
            .is_some_and(|done| profile.window_start < *done);
        let other = profile.model != self.model || profile.subject == Subject::Arrivals;
        if late || other {
            return Ok(());
        }
        let key = (profile.window_start, profile.subject, profile.reference);
        let gathered = state.gathered.entry(key);
        gathered
            .or_insert_with(|| Gathered::like(&profile))
            .take(id, &profile)
    }

    /// Measures the windows that are complete, in time order.
    fn measure(
        &self,
        state: &mut Monitoring,
        cx: &Context<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let (Some(champion), Some(model)) = (state.champion.clone(), model_of(cx, &self.model))
        else {
            return Ok(());
        };
        let mut known: BTreeMap<Subject, ReferenceProfile> = BTreeMap::new();
        for key in ready(state, &champion, cx.project.partitions as usize) {
            let (Some(window), subject) = (state.gathered.remove(&key), key.1) else {
                continue;
            };
            state.done.insert(subject, window.end);
            let complete = window.profiles.len() == cx.project.partitions as usize;
            let enough = window.rows >= i64::from(model.drift.min_rows);
            if !(complete && window.whole && enough) {
                continue;
            }
            let reference = match known.entry(subject) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(resolved(cx, &key.2)?),
            };
            let page = Page {
                writer: self.writer(cx, model),
                version: &champion.version,
                reference_rows: reference.rows() as i64,
                running: model.drift.windows,
                key,
                window: &window,
            };
            page.write(reference, &model.drift, &mut state.alarms, out)?;
        }
        let done = &state.done;
        state
            .gathered
            .retain(|(start, subject, _), _| done.get(subject).is_none_or(|done| start >= done));
        Ok(())
    }

    /// Another champion: the open alarms are closed, for they were about another reference.
    fn change(&self, state: &mut Monitoring, cx: &Context<'_>, out: &mut Outbox) {
        let now = Champion::of(&state.deployed);
        let same = match (&state.champion, &now) {
            (Some(was), Some(now)) => was.is(now),
            (was, now) => was.is_none() && now.is_none(),
        };
        if same {
            return;
        }
        let time = now.as_ref().map_or(cx.tick.time, |champion| champion.since);
        state.champion = now;
        let Some(model) = model_of(cx, &self.model) else {
            return;
        };
        for (watched, detected) in state.alarms.close_all() {
            let cause = (time, Some(state.changed_by));
            let writer = self.writer(cx, model);
            writer.cleared(&watched, detected, "reference changed", cause, out);
        }
    }
}

/// Windows to be taken, in (time, subject) order: of each subject those before the first that still lacks a partition,
/// but of more than [`PATIENCE`] the oldest whatever they lack.
fn ready(state: &Monitoring, champion: &Champion, partitions: usize) -> Vec<Key> {
    let mut keys = Vec::new();
    for subject in SUBJECTS {
        let of = |(key, _): &(&Key, &Gathered)| {
            key.1 == subject && Some(key.2) == champion.reference(subject)
        };
        let windows: Vec<(&Key, &Gathered)> = state.gathered.iter().filter(of).collect();
        let surplus = windows.len().saturating_sub(PATIENCE);
        let taken = windows.iter().enumerate();
        let taken = taken
            .take_while(|(at, (_, window))| *at < surplus || window.profiles.len() >= partitions);
        keys.extend(taken.map(|(_, (key, _))| **key));
    }
    keys.sort_unstable();
    keys
}

impl Machine for DriftMachine {
    const VERSION: u32 = 1;
    type State = Monitoring;

    fn needs(&self, state: &Monitoring, cx: &Context<'_>, run: Option<&Run<'_>>) -> Vec<Need> {
        let champion = state.champion.iter();
        let in_force = champion
            .flat_map(|champion| [champion.features, champion.predictions])
            .flatten();
        let mut needs: BTreeSet<Need> = in_force.map(Need::Blob).collect();
        needs.extend(references(cx, &self.model, &state.deployed, run, &SUBJECTS));
        needs.into_iter().collect()
    }

    fn release(
        &self,
        state: &mut Monitoring,
        cx: &Context<'_>,
        input: usize,
        record: &RecordRef<'_>,
        out: &mut Outbox,
    ) {
        let taken = match (input, read(cx, record)) {
            (_, Err(why)) => Err(why),
            (DEPLOYMENTS, Ok(event)) => {
                if state.deployed.take(&self.model, &event) {
                    state.changed_by = Envelope::read(record).id;
                }
                Ok(())
            }
            (PROFILES, Ok(Event::ProfileMeasured(profile))) => {
                self.gather(state, Envelope::read(record).id, profile)
            }
            _ => Ok(()),
        };
        taken.unwrap_or_else(|why| out.fault(why));
    }

    fn tick(&self, state: &mut Monitoring, cx: &Context<'_>, out: &mut Outbox) {
        let mut measured = self.measure(state, cx, out);
        self.change(state, cx, out);
        measured = measured.and_then(|()| self.measure(state, cx, out));
        measured.unwrap_or_else(|why| out.fault(why));
    }
}

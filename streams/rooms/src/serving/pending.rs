//! What waits to be joined: predictions and labels under the (target time, entity) that both name.
//!
//! Nothing is joined as it comes. A tick joins all that was touched since the one before, in the order of names, so that
//! neither the interleaving of the two inputs nor the cut of their runs shows.
//!
//! *How long.* A target waits from the later of its own time and the log time at which it was first heard of, for the
//! model's `label.timeout` of log time. Until then a label finds its predictions, a prediction its label, and a
//! correction what was joined; then the target is forgotten: a label that met no prediction is told as orphaned, a
//! prediction that met no label goes without a word. What names a forgotten target later begins a new one.

use std::collections::{BTreeMap, BTreeSet};

use mainstem_schemas::events::{
    Event, LabelCorrected, LabelOrphaned, PredictionLabelled, PredictionMade, Role,
};
use mainstem_schemas::{EventId, Millis, Span};
use serde::{Deserialize, Serialize};

use super::labels::Label;

/// Predictions and labels that may wait in one partition: some hundred megabytes of state. A tick forgets those over it
/// as if their time were up, the ones that have waited longest first.
pub const MOST: usize = 1 << 20;

/// All that waits.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    targets: BTreeMap<Name, Target>,
    /// When each is forgotten.
    until: BTreeSet<(Millis, Name)>,
    /// Touched since the last tick.
    touched: BTreeSet<Name>,
    /// Predictions and labels in `targets`.
    waiting: usize,
}

/// What labels and predictions have in common.
type Name = (Millis, String);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Target {
    until: Millis,
    label: Option<Known>,
    /// The class that was last told, and how often it was corrected.
    told: Option<i32>,
    revision: i32,
    predictions: BTreeMap<(Role, String, EventId), Made>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Known {
    origin: EventId,
    class: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Made {
    probability: f64,
    class: i32,
    joined: bool,
}

impl Pending {
    /// A label came. One that came before under its name is replaced, and kept if it is the same class again.
    pub fn label(&mut self, label: Label, now: Millis, timeout: Span) {
        let target = touch(self, (label.time, label.entity), now, timeout);
        if target.label.is_none_or(|known| known.class != label.class) {
            let known = Known {
                origin: label.origin,
                class: label.class,
            };
            let fresh = target.label.replace(known).is_none();
            self.waiting += usize::from(fresh);
        }
    }

    /// A prediction came.
    pub fn prediction(&mut self, made: PredictionMade, now: Millis, timeout: Span) {
        let target = touch(self, (made.target_time, made.entity), now, timeout);
        let key = (made.role, made.version, made.origin);
        let fresh = !target.predictions.contains_key(&key);
        target.predictions.entry(key).or_insert(Made {
            probability: made.probability,
            class: made.class,
            joined: false,
        });
        self.waiting += usize::from(fresh);
    }

    /// The tick: joins what was touched, then forgets what waited long enough. Gives each event with its entity.
    pub fn tick(
        &mut self,
        now: Millis,
        round: i64,
        most: usize,
        mut tell: impl FnMut(&str, Event),
    ) {
        for name in std::mem::take(&mut self.touched) {
            if let Some(target) = self.targets.get_mut(&name) {
                target.join(&name, round, &mut tell);
            }
        }
        let mut orphans = BTreeMap::new();
        while let Some((until, _)) = self.until.first()
            && (*until <= now || self.waiting > most)
        {
            let Some((_, name)) = self.until.pop_first() else {
                break;
            };
            let Some(target) = self.targets.remove(&name) else {
                continue;
            };
            self.waiting -= target.size();
            if let (Some(label), true) = (target.label, target.predictions.is_empty()) {
                orphans.insert(name, label);
            }
        }
        for ((target_time, entity), label) in orphans {
            let event = LabelOrphaned {
                label_origin: label.origin,
                entity: entity.clone(),
                target_time,
                label: label.class,
                round,
            };
            tell(&entity, event.into());
        }
    }

    /// Predictions and labels that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }
}

/// The target of a name, which the next tick will look at.
fn touch(pending: &mut Pending, name: Name, now: Millis, timeout: Span) -> &mut Target {
    pending.touched.insert(name.clone());
    let until = &mut pending.until;
    pending.targets.entry(name).or_insert_with_key(|name| {
        let end = name.0.max(now).plus(timeout);
        until.insert((end, name.clone()));
        Target {
            until: end,
            label: None,
            told: None,
            revision: 0,
            predictions: BTreeMap::new(),
        }
    })
}

impl Target {
    fn size(&self) -> usize {
        usize::from(self.label.is_some()) + self.predictions.len()
    }

    fn join(&mut self, name: &Name, round: i64, tell: &mut impl FnMut(&str, Event)) {
        let Some(label) = self.label else { return };
        let (target_time, entity) = name;
        let corrected = self.told.filter(|was| *was != label.class);
        if corrected.is_some() {
            self.revision += 1;
        }
        for ((role, version, origin), made) in &mut self.predictions {
            let event = match (made.joined, corrected) {
                (false, _) => Event::from(PredictionLabelled {
                    origin: *origin,
                    label_origin: label.origin,
                    entity: entity.clone(),
                    target_time: *target_time,
                    version: version.clone(),
                    role: *role,
                    probability: made.probability,
                    class: made.class,
                    label: label.class,
                    round,
                }),
                (true, Some(was)) => Event::from(LabelCorrected {
                    origin: *origin,
                    label_origin: label.origin,
                    entity: entity.clone(),
                    target_time: *target_time,
                    version: version.clone(),
                    role: *role,
                    probability: made.probability,
                    class: made.class,
                    was,
                    label: label.class,
                    revision: self.revision,
                    round,
                }),
                (true, None) => continue,
            };
            made.joined = true;
            self.told = Some(label.class);
            tell(entity, event);
        }
    }
}

//! The gate of a shadow: it must have had more of the same labelled rows right than the present champion.

use std::collections::BTreeMap;

use mainstem_kernel::decider::{Decision, Moment};
use mainstem_schemas::Millis;
use mainstem_schemas::events::{
    DeploymentEnded, DeploymentStarted, Paired, PerformanceMeasured, Role,
};
use serde::{Deserialize, Serialize};

use super::{RolloutMachine, State};

/// Measurements kept of all shadows together: a year of hourly windows; the oldest are forgotten.
const MAX_MEASURES: usize = 8_784;

/// What was measured of the shadows, by begin of the window, partition and version.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pairs(BTreeMap<(Millis, i32, String), Measure>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Measure {
    revision: i32,
    paired: Vec<Paired>,
}

impl Pairs {
    /// Takes a measurement; a later revision replaces an earlier one, in whatever order they come.
    pub fn take(&mut self, measured: &PerformanceMeasured) {
        let key = (
            measured.window_start,
            measured.partition,
            measured.version.clone(),
        );
        let older = |old: &Measure| old.revision < measured.revision;
        if self.0.get(&key).is_none_or(older) {
            let measure = Measure {
                revision: measured.revision,
                paired: measured.paired.clone(),
            };
            self.0.insert(key, measure);
        }
        while self.0.len() > MAX_MEASURES {
            self.0.pop_first();
        }
    }

    pub fn forget(&mut self, version: &str) {
        self.0.retain(|(_, _, of), _| of != version);
    }

    /// All rows that a version and a champion both predicted.
    fn sum(&self, version: &str, champion: &str) -> Paired {
        let mut sum = Paired {
            champion: champion.into(),
            rows: 0,
            correct: 0,
            champion_correct: 0,
        };
        let measures = self.0.iter().filter(|((_, _, of), _)| of == version);
        let pairs = measures.flat_map(|(_, measure)| &measure.paired);
        for pair in pairs.filter(|pair| pair.champion == champion) {
            sum.rows = sum.rows.saturating_add(pair.rows);
            sum.correct = sum.correct.saturating_add(pair.correct);
            sum.champion_correct = sum.champion_correct.saturating_add(pair.champion_correct);
        }
        sum
    }
}

impl RolloutMachine {
    /// What becomes of the first shadow that something becomes of.
    pub(super) fn judge(&self, state: &State, at: &Moment<'_>) -> Option<Decision> {
        let active = state.deployed.active().iter();
        let mut shadows = active.filter(|deployed| deployed.role == Role::Shadow);
        shadows.find_map(|shadow| self.judge_one(state, shadow, at))
    }

    fn judge_one(
        &self,
        state: &State,
        shadow: &DeploymentStarted,
        at: &Moment<'_>,
    ) -> Option<Decision> {
        let version = state.versions.get(&shadow.version)?;
        let run = version.run()?;
        let end = |reason: String| {
            let ended = DeploymentEnded {
                model: self.model.clone(),
                version: shadow.version.clone(),
                role: Role::Shadow,
                retrain: Some(run),
                reason,
                since: at.now(),
            };
            Decision::new(ended, run, "ended/shadow")
        };
        if version.expired {
            let after = at.now().since(shadow.since);
            return Some(end(format!("its retrain expired after {after} of shadow")));
        }
        let rollout = &at.model().rollout;
        let champion = &state.champion()?.version;
        let sum = state.pairs.sum(&shadow.version, champion);
        let due = at.now() >= shadow.since.plus(rollout.shadow);
        if !due || sum.rows < i64::from(rollout.min_rows) || !state.may_change(at.now()) {
            return None;
        }
        let figures = format!(
            "{} had {} of {} labelled rows right, the champion {champion} {}",
            shadow.version, sum.correct, sum.rows, sum.champion_correct
        );
        if sum.correct <= sum.champion_correct {
            return Some(end(figures));
        }
        let previous = Some(champion.clone());
        let promoted = self.promoted(&shadow.version, previous, Some(run), figures, at);
        Some(Decision::new(promoted, run, "promoted"))
    }
}

//! Performance of the last windows, merged over versions and partitions.

use std::collections::BTreeMap;
use std::fmt;

use mainstem_schemas::definition::RetrainPolicy;
use mainstem_schemas::events::{PerformanceMeasured, Role};
use mainstem_schemas::{EventId, Millis};
use serde::{Deserialize, Serialize};

/// Windows kept beyond those that the policy sums: partitions may close a window some ticks apart, and corrections come
/// late.
const SPARE: usize = 8;

/// What was measured of the champion and the baseline, by begin of the window.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Measured(BTreeMap<Millis, Window>);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Window {
    end: Millis,
    measures: BTreeMap<(Role, String, i32), Measure>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Measure {
    id: EventId,
    revision: i32,
    score: Score,
}

/// Rows, and how many of them were right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Score {
    pub rows: i64,
    pub correct: i64,
}

/// The last windows together.
pub(super) struct Last {
    pub champion: Score,
    pub baseline: Score,
    /// End of the last window.
    pub until: Millis,
    /// What was measured, of the newest window first.
    pub evidence: Vec<EventId>,
}

impl Score {
    /// Share that was right; nothing without rows.
    #[allow(
        clippy::cast_precision_loss,
        reason = "counts of rows are far below 2^53"
    )]
    pub fn accuracy(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.correct as f64 / self.rows as f64)
    }

    fn add(&mut self, other: Score) {
        self.rows = self.rows.saturating_add(other.rows);
        self.correct = self.correct.saturating_add(other.correct);
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.accuracy().unwrap_or(0.0);
        write!(
            f,
            "{} of {} right ({percent:.2} %)",
            self.correct, self.rows
        )
    }
}

impl Measured {
    /// Takes a measurement; a later revision replaces an earlier one, in whatever order they come.
    pub fn take(&mut self, id: EventId, measured: &PerformanceMeasured, policy: &RetrainPolicy) {
        let Some(policy) = &policy.performance else {
            return self.0.clear();
        };
        if !matches!(measured.role, Role::Champion | Role::Baseline) {
            return;
        }
        let window = self.0.entry(measured.window_start).or_default();
        window.end = measured.window_end;
        let key = (measured.role, measured.version.clone(), measured.partition);
        let older = |old: &Measure| old.revision < measured.revision;
        if window.measures.get(&key).is_none_or(older) {
            let right = measured
                .true_positives
                .saturating_add(measured.true_negatives);
            let score = Score {
                rows: measured.rows,
                correct: right,
            };
            let measure = Measure {
                id,
                revision: measured.revision,
                score,
            };
            window.measures.insert(key, measure);
        }
        while self.0.len() > policy.windows as usize + SPARE {
            self.0.pop_first();
        }
    }

    /// The last `windows` windows that every partition has measured, if they follow one another and both the champion's
    /// role and the baseline's have rows in each.
    pub fn last(&self, windows: u32, partitions: u32) -> Option<Last> {
        let whole = |window: &&Window| {
            let measured = |role| {
                (0..partitions).all(|k| {
                    let here = |key: &(Role, String, i32)| (key.0, key.2) == (role, k as i32);
                    window.measures.keys().any(here)
                })
            };
            measured(Role::Champion) && measured(Role::Baseline)
        };
        let (_, newest) = self.0.iter().rfind(|(_, window)| whole(window))?;
        let mut last = Last {
            champion: Score::default(),
            baseline: Score::default(),
            until: newest.end,
            evidence: Vec::new(),
        };
        let mut end = newest.end;
        for _ in 0..windows.max(1) {
            let mut before = self.0.range(..end);
            let (start, window) = before.rfind(|(_, window)| window.end == end)?;
            if !whole(&window) {
                return None;
            }
            let (champion, baseline) = (window.score(Role::Champion), window.score(Role::Baseline));
            if champion.rows == 0 || baseline.rows == 0 {
                return None;
            }
            last.champion.add(champion);
            last.baseline.add(baseline);
            last.evidence.extend(window.measures.values().map(|m| m.id));
            end = *start;
        }
        Some(last)
    }
}

impl Window {
    fn score(&self, role: Role) -> Score {
        let mut score = Score::default();
        for ((of, ..), measure) in &self.measures {
            if *of == role {
                score.add(measure.score);
            }
        }
        score
    }
}

//! Labelled predictions of one window, and what was measured of them.
//!
//! Every row is kept with who predicted it and who was right, as bits: a correction changes a bit and the window is
//! counted again, and versions are compared on the rows that both predicted. Where rows are too many to keep they are
//! folded into the counts: their corrections change no figure any more, and are counted as uncounted.

use std::collections::{BTreeMap, BTreeSet};

use mainstem_schemas::EventId;
use mainstem_schemas::events::{Paired, Role};
use mainstem_statistics::Confusion;
use serde::{Deserialize, Serialize};

/// A version in a role.
pub(super) type Deployment = (Role, String);

/// Deployments that a window can tell apart, one bit each; rows of further ones are left out. A window in which more
/// versions serve is longer than a model's life.
const MAX_DEPLOYMENTS: usize = 64;

/// A window's rows.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Scores {
    /// Who predicted rows of it; the place is the bit.
    deployments: Vec<Deployment>,
    /// By origin: versions that predicted the same row share it.
    rows: BTreeMap<EventId, Row>,
    /// Rows that are not kept; empty where all are.
    folded: BTreeMap<Deployment, Folded>,
    measured: BTreeMap<Deployment, Measured>,
    /// Whether a row came or changed since it was measured.
    pub changed: bool,
}

/// A row: a bit per deployment.
#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Row {
    predicted: u64,
    class: u64,
    label: u64,
}

/// Rows that were counted and let go.
#[derive(Default, Serialize, Deserialize)]
struct Folded {
    confusion: Confusion,
    paired: Vec<Paired>,
    /// Corrections of them.
    uncounted: i64,
}

/// What was measured last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub revision: i32,
    pub confusion: Confusion,
    pub paired: Vec<Paired>,
    pub uncounted: i64,
}

/// A labelled prediction, or its correction.
pub(super) struct Scored {
    pub origin: EventId,
    pub class: bool,
    pub label: bool,
    pub corrects: bool,
}

impl Scores {
    /// Takes a labelled prediction, or its correction.
    pub fn take(&mut self, deployment: Deployment, scored: &Scored) {
        let known = self
            .deployments
            .iter()
            .position(|known| *known == deployment);
        let at = known.unwrap_or(self.deployments.len());
        if at >= MAX_DEPLOYMENTS {
            return;
        }
        if scored.corrects && !self.folded.is_empty() && !self.keeps(&scored.origin, at) {
            self.folded.entry(deployment).or_default().uncounted += 1;
            self.changed = true;
            return;
        }
        if known.is_none() {
            self.deployments.push(deployment);
        }
        let set = |bits: u64, on: bool| {
            if on {
                bits | 1 << at
            } else {
                bits & !(1 << at)
            }
        };
        let row = self.rows.entry(scored.origin).or_default();
        let before = *row;
        *row = Row {
            predicted: set(row.predicted, true),
            class: set(row.class, scored.class),
            label: set(row.label, scored.label),
        };
        self.changed |= *row != before;
    }

    /// Whether a deployment's prediction of a row is kept.
    fn keeps(&self, origin: &EventId, at: usize) -> bool {
        let row = self.rows.get(origin);
        row.is_some_and(|row| row.predicted & 1 << at != 0)
    }

    /// Lets the rows go and keeps what they count.
    pub fn fold(&mut self) {
        let fold = |deployment: &Deployment| {
            let folded = Folded {
                confusion: self.confusion(deployment),
                paired: self.paired(deployment),
                uncounted: self.uncounted(deployment),
            };
            (deployment.clone(), folded)
        };
        self.folded = self.deployments.iter().map(fold).collect();
        self.rows.clear();
    }

    /// How many rows it holds.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Counts everything again; the deployments whose figures are new, in their order. Those in `also` are measured
    /// without rows too.
    pub fn measure(&mut self, also: BTreeSet<Deployment>) -> Vec<(Deployment, Measured)> {
        self.changed = false;
        let mut all = also;
        all.extend(self.deployments.iter().cloned());
        let mut news = Vec::new();
        for deployment in all {
            let before = self.measured.get(&deployment);
            let now = Measured {
                revision: before.map_or(0, |before| before.revision + 1),
                confusion: self.confusion(&deployment),
                paired: self.paired(&deployment),
                uncounted: self.uncounted(&deployment),
            };
            let figures = |of: &Measured| (of.confusion, of.paired.clone(), of.uncounted);
            let same = |before: &Measured| figures(before) == figures(&now);
            if !before.is_some_and(same) {
                self.measured.insert(deployment.clone(), now.clone());
                news.push((deployment, now));
            }
        }
        news
    }

    fn bit(&self, deployment: &Deployment) -> u64 {
        let at = self
            .deployments
            .iter()
            .position(|known| known == deployment);
        at.map_or(0, |at| 1 << at)
    }

    fn uncounted(&self, deployment: &Deployment) -> i64 {
        let folded = self.folded.get(deployment);
        folded.map_or(0, |folded| folded.uncounted)
    }

    fn confusion(&self, deployment: &Deployment) -> Confusion {
        let bit = self.bit(deployment);
        let folded = self.folded.get(deployment);
        let mut confusion = folded.map_or_else(Confusion::default, |folded| folded.confusion);
        for row in self.rows.values().filter(|row| row.predicted & bit != 0) {
            confusion.add(row.label & bit != 0, row.class & bit != 0);
        }
        confusion
    }

    /// The rows that it shares with each champion, in the order of their versions; a champion is not compared.
    fn paired(&self, deployment: &Deployment) -> Vec<Paired> {
        if deployment.0 == Role::Champion {
            return Vec::new();
        }
        let own = self.bit(deployment);
        let champions: BTreeSet<&Deployment> = self
            .deployments
            .iter()
            .filter(|(role, _)| *role == Role::Champion)
            .collect();
        let compare = |champion: &Deployment| {
            let both = own | self.bit(champion);
            let folded = self.folded.get(deployment).into_iter();
            let mut folded = folded.flat_map(|folded| &folded.paired);
            let before = folded.find(|paired| paired.champion == champion.1);
            let mut paired = before.cloned().unwrap_or_else(|| Paired {
                champion: champion.1.clone(),
                rows: 0,
                correct: 0,
                champion_correct: 0,
            });
            for row in self
                .rows
                .values()
                .filter(|row| own != 0 && row.predicted & both == both)
            {
                let right = !(row.class ^ row.label);
                paired.rows += 1;
                paired.correct += i64::from(right & own != 0);
                paired.champion_correct += i64::from(right & both & !own != 0);
            }
            paired
        };
        champions
            .into_iter()
            .map(compare)
            .filter(|paired| paired.rows > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn champion() -> Deployment {
        (Role::Champion, "v1".into())
    }

    fn shadow() -> Deployment {
        (Role::Shadow, "v2".into())
    }

    impl Scores {
        fn given(&mut self, origin: EventId, deployment: Deployment, class: bool, label: bool) {
            self.scored(origin, deployment, class, label, false);
        }

        fn scored(
            &mut self,
            origin: EventId,
            deployment: Deployment,
            class: bool,
            label: bool,
            corrects: bool,
        ) {
            let scored = Scored {
                origin,
                class,
                label,
                corrects,
            };
            self.take(deployment, &scored);
        }
    }

    #[test]
    fn versions_are_compared_on_the_rows_that_both_predicted() {
        let mut scores = Scores::default();
        let row = |at| EventId::row(1, 0, at);
        for (at, class, label) in [(0, true, true), (1, true, false), (2, false, false)] {
            scores.given(row(at), champion(), class, label);
        }
        for (at, class, label) in [(1, false, false), (2, false, false), (3, true, false)] {
            scores.given(row(at), shadow(), class, label);
        }
        let measured = scores.measure([(Role::Control, "v0".to_owned())].into());
        let of = |at: usize| (&measured[at].0.1[..], measured[at].1.confusion.total());
        assert_eq!([of(0), of(1), of(2)], [("v1", 3), ("v2", 3), ("v0", 0)]);
        assert_eq!(measured[0].1.paired, []);
        let paired = Paired {
            champion: "v1".into(),
            rows: 2,
            correct: 2,
            champion_correct: 1,
        };
        assert_eq!(measured[1].1.paired, [paired]);
        assert_eq!(scores.measure(BTreeSet::new()), [], "nothing is new");
    }

    #[test]
    fn a_correction_counts_again_and_only_what_it_changed_is_new() {
        let mut scores = Scores::default();
        scores.given(EventId::row(1, 0, 0), champion(), true, true);
        scores.given(EventId::row(1, 0, 1), shadow(), true, true);
        scores.measure(BTreeSet::new());
        scores.given(EventId::row(1, 0, 0), champion(), true, true);
        assert!(!scores.changed, "the same again");
        scores.given(EventId::row(1, 0, 0), champion(), true, false);
        assert!(scores.changed);
        let again = scores.measure(BTreeSet::new());
        let confusion = Confusion {
            fp: 1,
            ..Confusion::default()
        };
        assert_eq!(
            again,
            [(
                champion(),
                Measured {
                    revision: 1,
                    confusion,
                    paired: vec![],
                    uncounted: 0
                }
            )]
        );
    }

    /// All of them, some or none are folded: the figures are the same, but for what can no longer be corrected.
    #[test]
    fn folded_rows_count_as_before_and_their_corrections_are_counted_as_such() {
        let row = |at| EventId::row(1, 0, at);
        let fill = |folds: &[u64]| {
            let mut scores = Scores::default();
            for at in 0..30 {
                scores.given(row(at), champion(), at % 2 == 0, at % 3 == 0);
                scores.given(row(at), shadow(), at % 5 == 0, at % 3 == 0);
                if folds.contains(&at) {
                    scores.fold();
                    assert_eq!(scores.rows(), 0);
                }
            }
            scores
        };
        let all = fill(&[]).measure(BTreeSet::new());
        assert_eq!(all[1].1.paired[0].rows, 30);
        for folds in [&[9][..], &[9, 20], &[29]] {
            assert_eq!(fill(folds).measure(BTreeSet::new()), all);
        }
        let mut scores = fill(&[9]);
        let correct = |scores: &mut Scores, at| {
            scores.scored(row(at), champion(), at % 2 == 0, at % 3 != 0, true);
        };
        correct(&mut scores, 4);
        scores.measure(BTreeSet::new());
        correct(&mut scores, 5);
        let again = scores.measure(BTreeSet::new());
        let [(_, measured)] = &again[..] else {
            panic!("{again:?}");
        };
        let now = (measured.revision, measured.uncounted, measured.confusion);
        assert_eq!(
            now,
            (1, 2, all[0].1.confusion),
            "it is said, and changes nothing"
        );
        correct(&mut scores, 14);
        let again = scores.measure(BTreeSet::new());
        assert_eq!(again[0].1.uncounted, 2);
        assert_ne!(again[0].1.confusion, all[0].1.confusion);
    }
}

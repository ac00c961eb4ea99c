//! The quality of a binary classifier, from counts of its outcomes.
//!
//! Names and formulas are scikit-learn's (`sklearn.metrics`): `accuracy_score`, `precision_score`, `recall_score`,
//! `f1_score`, all shares from 0 to 1. Where a denominator is 0 scikit-learn returns what `zero_division` says, with
//! a warning; here the answer is `None`, for a window without positives has no recall, neither a bad nor a good one.

use crate::Error;
use serde::{Deserialize, Serialize};

/// Outcomes of labelled predictions, counted: the confusion matrix of two classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    /// True positives: predicted and labelled positive.
    pub tp: u64,
    /// False positives: predicted positive, labelled negative.
    pub fp: u64,
    /// True negatives: predicted and labelled negative.
    pub tn: u64,
    /// False negatives: predicted negative, labelled positive.
    #[serde(rename = "fn")]
    pub fn_: u64,
}

impl Confusion {
    /// Adds one prediction and its label.
    pub fn add(&mut self, label: bool, predicted: bool) {
        let outcome = match (label, predicted) {
            (true, true) => &mut self.tp,
            (false, true) => &mut self.fp,
            (false, false) => &mut self.tn,
            (true, false) => &mut self.fn_,
        };
        *outcome += 1;
    }

    /// Adds the counts of other records. The order does not matter.
    ///
    /// # Errors
    /// [`Error::TooMany`] above 2^53 records in all.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        let counts = [
            self.tp, self.fp, self.tn, self.fn_, other.tp, other.fp, other.tn, other.fn_,
        ];
        let total = counts.into_iter().try_fold(0_u64, u64::checked_add);
        if total.is_none_or(|total| total > 1 << 53) {
            return Err(Error::TooMany);
        }
        self.tp += other.tp;
        self.fp += other.fp;
        self.tn += other.tn;
        self.fn_ += other.fn_;
        Ok(())
    }

    /// The number of records.
    #[must_use]
    pub fn total(&self) -> u64 {
        [self.tp, self.fp, self.tn, self.fn_]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// (tp + tn) / (tp + fp + tn + fn); `None` without records.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        ratio(&[self.tp, self.tn], &[self.fp, self.fn_])
    }

    /// tp / (tp + fp); `None` when nothing was predicted positive.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        ratio(&[self.tp], &[self.fp])
    }

    /// tp / (tp + fn); `None` when nothing was labelled positive.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        ratio(&[self.tp], &[self.fn_])
    }

    /// 2 tp / (2 tp + fp + fn), the harmonic mean of precision and recall; `None` when nothing was predicted or
    /// labelled positive, and 0 when only one of the two is defined.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        ratio(&[self.tp, self.tp], &[self.fp, self.fn_])
    }
}

/// hits / (hits + misses), in whole numbers up to the division.
fn ratio(hits: &[u64], misses: &[u64]) -> Option<f64> {
    let sum = |counts: &[u64]| counts.iter().map(|count| u128::from(*count)).sum::<u128>();
    let (hits, misses) = (sum(hits), sum(misses));
    (hits + misses > 0).then(|| hits as f64 / (hits + misses) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_is_none() {
        let nothing = Confusion::default();
        assert_eq!(
            [
                nothing.accuracy(),
                nothing.precision(),
                nothing.recall(),
                nothing.f1()
            ],
            [None; 4]
        );
        let missed = Confusion { fn_: 3, ..nothing };
        assert_eq!(
            [missed.precision(), missed.recall(), missed.f1()],
            [None, Some(0.0), Some(0.0)]
        );
    }

    #[test]
    fn merges_and_refuses_too_many() -> Result<(), Error> {
        let mut sum = Confusion {
            tp: 1,
            fp: 2,
            tn: 3,
            fn_: 4,
        };
        sum.merge(&Confusion {
            tp: 10,
            fp: 20,
            tn: 30,
            fn_: 40,
        })?;
        assert_eq!(
            sum,
            Confusion {
                tp: 11,
                fp: 22,
                tn: 33,
                fn_: 44
            }
        );
        assert_eq!(
            sum.merge(&Confusion {
                tp: u64::MAX,
                ..sum
            }),
            Err(Error::TooMany)
        );
        assert_eq!(sum.total(), 110);
        Ok(())
    }

    #[test]
    fn reads_what_it_writes() {
        let counts = Confusion {
            tp: 1,
            fp: 2,
            tn: 3,
            fn_: 4,
        };
        let json = serde_json::to_string(&counts).unwrap();
        assert_eq!(json, r#"{"tp":1,"fp":2,"tn":3,"fn":4}"#);
        assert_eq!(serde_json::from_str::<Confusion>(&json).unwrap(), counts);
    }
}

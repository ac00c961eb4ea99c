//! What a user may set when training, and its limits.

use super::TrainError;
use serde::{Deserialize, Serialize};

/// Parameters of gradient-boosted trees. Every field has a default; unknown fields are refused, so that a
/// misspelled one cannot pass for the default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainParams {
    /// Trees to grow. Default 100, 1 to 10 000.
    pub iterations: usize,
    /// What each tree's answer is multiplied by: smaller learns slower and overfits later. Default 0.1, above 0 to 1.
    pub learning_rate: f32,
    /// Splits from the root to a leaf. Default 5, 1 to 16 (2^16 leaves fit no table better than 2^10).
    pub max_depth: usize,
    /// Leaves of one tree. Default 32, which depth 5 never exceeds; 2 to 65 536.
    pub max_leaves: usize,
    /// Penalty on the squares of leaf weights. Default 1, 0 to 1 000 000.
    pub l2: f32,
    /// Loss that a split must save. Default 0, 0 to 1 000 000.
    pub gamma: f32,
    /// Least sum of the loss's second derivatives in a leaf: about a quarter per row where the model is unsure.
    /// Default 1, 0 to 1 000 000.
    pub min_leaf_weight: f32,
    /// Values of a column that a split may choose from. Default 256, 2 to 4096.
    pub nbins: u16,
    /// Share of rows that each tree is grown on. Default 1 (all), above 0 to 1.
    pub subsample: f32,
    /// Seed of the sampling; without effect where `subsample` is 1. Default 0.
    pub seed: u64,
}

impl Default for TrainParams {
    fn default() -> TrainParams {
        TrainParams {
            iterations: 100,
            learning_rate: 0.1,
            max_depth: 5,
            max_leaves: 32,
            l2: 1.0,
            gamma: 0.0,
            min_leaf_weight: 1.0,
            nbins: 256,
            subsample: 1.0,
            seed: 0,
        }
    }
}

impl TrainParams {
    /// Checks every parameter against its limits.
    ///
    /// # Errors
    /// Names the first parameter outside of its limits, its value and the limits.
    pub fn validate(&self) -> Result<(), TrainError> {
        const MILLION: f32 = 1_000_000.0;
        let whole = |name, value: usize, least: usize, most: usize| {
            let fits = (least..=most).contains(&value);
            let limits = format!("{least} to {most}");
            if fits {
                Ok(())
            } else {
                Err(TrainError::Parameter {
                    name,
                    value: value.to_string(),
                    limits,
                })
            }
        };
        let real = |name, value: f32, zero: bool, most: f32| {
            // NaN is in no range.
            let fits = (0.0..=most).contains(&value) && (zero || value > 0.0);
            let limits = if zero {
                format!("0 to {most}")
            } else {
                format!("above 0, to {most}")
            };
            if fits {
                Ok(())
            } else {
                Err(TrainError::Parameter {
                    name,
                    value: value.to_string(),
                    limits,
                })
            }
        };
        whole("iterations", self.iterations, 1, 10_000)?;
        real("learning_rate", self.learning_rate, false, 1.0)?;
        whole("max_depth", self.max_depth, 1, 16)?;
        whole("max_leaves", self.max_leaves, 2, 65_536)?;
        real("l2", self.l2, true, MILLION)?;
        real("gamma", self.gamma, true, MILLION)?;
        real("min_leaf_weight", self.min_leaf_weight, true, MILLION)?;
        whole("nbins", self.nbins.into(), 2, 4096)?;
        real("subsample", self.subsample, false, 1.0)
    }
}

//! The built-in trainer: gradient-boosted trees for two classes, by forust.
//!
//! Rows are f32, as they are served, and are handed to forust as f64, so training sees the values that serving
//! will see. Training takes one thread: forust's parallel sums depend on the number of threads. The trees leave as
//! ONNX (`export`), like any other model's.

mod export;
mod params;

pub use params::TrainParams;

use forust_ml::data::Matrix;
use forust_ml::gradientbooster::{GradientBooster, GrowPolicy};
use forust_ml::objective::ObjectiveType;
use forust_ml::sampler::SampleMethod;

/// Columns of a training set. Split search takes time in proportion to them.
const MAX_WIDTH: usize = 4096;
/// Values of a training set: held as f32 and f64 and as bins, this many take about 4 GiB.
const MAX_VALUES: usize = 1 << 28;

/// A trained model.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The model, as [`crate::Onnx::load`] reads it.
    pub onnx: Vec<u8>,
    /// Its trees.
    pub trees: usize,
    /// Their leaves.
    pub leaves: usize,
}

/// Why nothing was trained.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// A parameter is outside of its limits.
    #[error("parameter {name} is {value}; {limits} is allowed")]
    Parameter {
        /// The field of [`TrainParams`].
        name: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        limits: String,
    },
    /// Rows and labels do not make a training set.
    #[error("the training set has {found}; {expected}")]
    Data {
        /// What was found.
        found: String,
        /// What is needed.
        expected: String,
    },
    /// forust failed, or grew something that cannot be written.
    #[error(
        "training failed: {reason}; a larger l2 or min_leaf_weight, or more rows, make leaves steadier"
    )]
    Failed {
        /// Why.
        reason: String,
    },
}

/// Trains on `rows` (row by row, `width` values each, NaN is missing) and their `labels` (0 or 1).
///
/// The same rows, labels and parameters give the same bytes.
///
/// # Errors
/// A parameter outside of its limits, or rows and labels that do not fit each other.
pub fn train(
    params: &TrainParams,
    rows: &[f32],
    width: usize,
    labels: &[f32],
) -> Result<Trained, TrainError> {
    params.validate()?;
    check_data(rows, width, labels)?;
    let booster = fit(params, rows, width, labels)?;
    export::export(&booster, width)
}

fn check_data(rows: &[f32], width: usize, labels: &[f32]) -> Result<(), TrainError> {
    let wrong = |found: String, expected: &str| {
        Err(TrainError::Data {
            found,
            expected: expected.into(),
        })
    };
    if !(1..=MAX_WIDTH).contains(&width) {
        return wrong(
            format!("{width} columns"),
            &format!("1 to {MAX_WIDTH} are allowed"),
        );
    }
    if rows.len() > MAX_VALUES {
        return wrong(
            format!("{} values", rows.len()),
            &format!("at most {MAX_VALUES} are allowed: sample the rows"),
        );
    }
    if labels.len().checked_mul(width) != Some(rows.len()) {
        let found = format!(
            "{} labels, {} values and {width} columns",
            labels.len(),
            rows.len()
        );
        return wrong(found, "each row needs one label and one value per column");
    }
    if let Some(at) = labels
        .iter()
        .position(|label| *label != 0.0 && *label != 1.0)
    {
        return wrong(
            format!("the label {} in row {at}", labels[at]),
            "labels are 0 or 1",
        );
    }
    if let Some(at) = rows.iter().position(|value| value.is_infinite()) {
        let found = format!("{} in row {}, column {}", rows[at], at / width, at % width);
        return wrong(found, "values are finite, or NaN where they are missing");
    }
    let positive = labels.iter().filter(|label| **label == 1.0).count();
    if positive == 0 || positive == labels.len() {
        let found = format!("{} rows, {positive} of them with label 1", labels.len());
        return wrong(found, "both classes are needed to tell them apart");
    }
    Ok(())
}

fn fit(
    params: &TrainParams,
    rows: &[f32],
    width: usize,
    labels: &[f32],
) -> Result<GradientBooster, TrainError> {
    // forust wants column by column.
    let columns: Vec<f64> = (0..width)
        .flat_map(|column| {
            rows.iter()
                .skip(column)
                .step_by(width)
                .map(|value| f64::from(*value))
        })
        .collect();
    let labels: Vec<f64> = labels.iter().map(|label| f64::from(*label)).collect();
    let mut booster = GradientBooster::default();
    booster.objective_type = ObjectiveType::LogLoss;
    booster.iterations = params.iterations;
    booster.learning_rate = params.learning_rate;
    booster.max_depth = params.max_depth;
    booster.max_leaves = params.max_leaves;
    booster.l2 = params.l2;
    booster.gamma = params.gamma;
    booster.min_leaf_weight = params.min_leaf_weight;
    booster.nbins = params.nbins;
    booster.parallel = false;
    booster.subsample = params.subsample;
    booster.seed = params.seed;
    booster.sample_method = if params.subsample < 1.0 {
        SampleMethod::Random
    } else {
        SampleMethod::None
    };
    booster.grow_policy = GrowPolicy::DepthWise;
    booster.initialize_base_score = true;
    booster.missing = f64::NAN;
    // Missing values go left or right, whichever saves more; a third branch has no place in ONNX.
    booster.create_missing_branch = false;
    booster.allow_missing_splits = true;
    booster
        .fit_unweighted(&Matrix::new(&columns, labels.len(), width), &labels, None)
        .map_err(|error| TrainError::Failed {
            reason: error.to_string(),
        })?;
    Ok(booster)
}

#[cfg(test)]
mod tests;

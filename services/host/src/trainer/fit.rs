//! A model from a data set: checked on its last rows, then refitted on all.

use std::collections::BTreeMap;

use mainstem_kernel::runner::Blobs;
use mainstem_models::{Onnx, TrainError, TrainParams, train};
use mainstem_rooms::drift::{PROBABILITY, ReferenceProfile};
use mainstem_schemas::Digest;
use mainstem_schemas::events::Parameter;

use super::failure::Failure;
use super::rows::Rows;
use super::{parameters, parquet};

/// What to train.
pub(super) struct Order<'a> {
    pub dataset: &'a Digest,
    pub features: &'a [String],
    pub threshold: f64,
    pub validation: f64,
    pub parameters: &'a BTreeMap<String, f64>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fitted {
    pub onnx: Digest,
    pub prediction_profile: Digest,
    pub check: Check,
    pub parameters: Vec<Parameter>,
}

/// How the model did on rows that it had not seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Check {
    pub rows: i64,
    pub correct: i64,
    pub majority_correct: i64,
}

/// Trains. `closed` is asked between the stages.
pub(super) fn fit(
    blobs: &dyn Blobs,
    order: &Order<'_>,
    closed: &dyn Fn() -> bool,
) -> Result<Fitted, Failure> {
    let params = parameters::typed(order.parameters)?;
    let rows = parquet::read(blobs.get(order.dataset).map_err(Failure::passing)?)?;
    if rows.features != order.features {
        let (has, wants) = (rows.features.join(", "), order.features.join(", "));
        return Err(Failure::lasting(format!(
            "the data set has the features {has}; the model takes {wants}"
        )));
    }
    let first = split(&rows, order.validation)?;
    let (probabilities, check) = check(&params, &rows, first, order.threshold)?;
    let column = ReferenceProfile::of_columns(&[PROBABILITY.to_owned()], &[probabilities]);
    let profile = column.map_err(|error| Failure::lasting(error.to_string()))?;
    if closed() {
        return Err(Failure::closed());
    }
    let refitted = train(&params, &rows.values, rows.width(), &rows.classes()).map_err(refused)?;
    Ok(Fitted {
        onnx: blobs.put(&refitted.onnx).map_err(Failure::passing)?,
        prediction_profile: blobs.put(&profile.to_bytes()).map_err(Failure::passing)?,
        check,
        parameters: parameters::named(&params),
    })
}

fn refused(error: TrainError) -> Failure {
    Failure::lasting(error.to_string())
}

/// The first of the rows to be checked on: that share of them, by time the last. Rows of one time stay together.
fn split(rows: &Rows, share: f64) -> Result<usize, Failure> {
    let fits = |count: &f64| *count >= 1.0 && *count < rows.len() as f64;
    let count = Some((rows.len() as f64 * share).round()).filter(fits);
    let mut first = count.map_or(0, |count| rows.len() - count as usize);
    while first > 0 && rows.times[first] == rows.times[first - 1] {
        first -= 1;
    }
    if first == 0 {
        let text = format!(
            "{} labelled rows and training.validation = {share} leave no rows to check on, or none before them; \
             wait for more rows, or set a share between 0 and 1",
            rows.len()
        );
        return Err(Failure::lasting(text));
    }
    Ok(first)
}

/// Trains on the rows before `first` and predicts the others.
fn check(
    params: &TrainParams,
    rows: &Rows,
    first: usize,
    threshold: f64,
) -> Result<(Vec<f32>, Check), Failure> {
    let (width, classes) = (rows.width(), rows.classes());
    let (seen, unseen) = rows.values.split_at(first * width);
    let trained = train(params, seen, width, &classes[..first]).map_err(refused)?;
    let broken = |error: mainstem_models::ModelError| Failure::lasting(error.to_string());
    let mut probabilities = Vec::with_capacity(rows.len() - first);
    Onnx::load(&trained.onnx, width)
        .and_then(|model| model.predict(unseen, &mut probabilities))
        .map_err(broken)?;
    let labels = &rows.labels[first..];
    // The rule by which served probabilities become classes.
    let class = |probability: &f32| u8::from(f64::from(*probability) >= threshold);
    let correct = probabilities
        .iter()
        .zip(labels)
        .filter(|(probability, label)| class(probability) == **label);
    let check = Check {
        rows: labels.len() as i64,
        correct: correct.count() as i64,
        majority_correct: majority_correct(&rows.labels[..first], labels),
    };
    Ok((probabilities, check))
}

/// How many labels the class that `seen` has more of classifies right; of two equals it is 0.
fn majority_correct(seen: &[u8], labels: &[u8]) -> i64 {
    let positive = seen.iter().filter(|label| **label == 1).count();
    let majority = u8::from(2 * positive > seen.len());
    labels.iter().filter(|label| **label == majority).count() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstem_schemas::Millis;

    fn rows(times: &[i64]) -> Rows {
        let mut rows = Rows::new(&["a".into()]);
        for (at, time) in times.iter().enumerate() {
            rows.push(Millis(*time), &at.to_string(), &[0.0], 0);
        }
        rows
    }

    #[test]
    fn the_last_share_is_checked_on_and_one_time_is_never_cut() {
        assert_eq!(split(&rows(&[1, 2, 3, 4, 5]), 0.2).unwrap(), 4);
        assert_eq!(split(&rows(&[1, 2, 2, 2, 2]), 0.2).unwrap(), 1);
        for (times, share) in [
            (&[1, 2][..], 0.0),
            (&[1, 2], 1.0),
            (&[1, 1, 1], 0.3),
            (&[], 0.5),
            (&[1, 2], f64::NAN),
        ] {
            let failure = split(&rows(times), share).unwrap_err();
            assert!(
                failure.reason.contains("training.validation"),
                "{failure:?}"
            );
        }
    }

    #[test]
    fn the_majority_is_that_of_the_rows_before() {
        assert_eq!(majority_correct(&[1, 1, 0], &[1, 0, 0]), 1);
        assert_eq!(majority_correct(&[1, 0], &[1, 0, 0]), 2);
    }
}

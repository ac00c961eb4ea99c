//! How leaf weights become scores, a label and probabilities.
//!
//! ONNX leaves this underspecified for two classes, so each case below states ONNX Runtime's behaviour, measured on
//! release 1.31, which the tests repeat. Where ONNX Runtime drops scores or base values (it does for two classes
//! with base values in several places) there is no right answer to give, and the model is refused.

use super::attributes::{Aggregate, Attributes, Transform};
use super::layout::Forest;
use super::{Kind, Score, Scratch};
use crate::ModelError;

/// The last step of an ensemble.
#[derive(Debug, PartialEq)]
pub(super) enum Head {
    /// Two classes, all weights for class 0: the one score speaks for class 1 (gradient boosting).
    Single {
        labels: [i64; 2],
        base: f64,
        transform: Transform,
        all_positive: bool,
    },
    /// Two classes, weights for class 1 or for both: each class has its score.
    Pair {
        labels: [i64; 2],
        transform: Transform,
        half: bool,
    },
    /// Three classes or more.
    Many {
        labels: Vec<i64>,
        base: Vec<f64>,
        transform: Transform,
    },
    /// A regressor.
    Targets {
        base: Vec<f64>,
        aggregate: Aggregate,
        trees: f64,
    },
}

const BASES: &str = "export without base_values, adding them to the first tree's leaves";

impl Head {
    /// Chooses the case, refusing those without an agreed meaning.
    pub(super) fn build(attributes: &Attributes, forest: &Forest) -> Result<Head, ModelError> {
        if attributes.kind == Kind::Regressor {
            return Head::targets(attributes, forest);
        }
        match attributes.labels.as_slice() {
            [no, yes] => Head::two(attributes, forest, [*no, *yes]),
            labels => {
                let base = base_values(attributes, labels.len())?;
                Ok(Head::Many {
                    labels: labels.to_vec(),
                    base,
                    transform: attributes.transform,
                })
            }
        }
    }

    fn two(attributes: &Attributes, forest: &Forest, labels: [i64; 2]) -> Result<Head, ModelError> {
        let (place, transform) = (&attributes.place, attributes.transform);
        let all_positive = forest.weights().iter().all(|weight| weight.weight >= 0.0);
        let uses = |class| forest.weights().iter().any(|weight| weight.class == class);
        if !uses(1) {
            return match attributes.base.as_slice() {
                [] => Ok(Head::Single { labels, base: 0.0, transform, all_positive }),
                [base] => Ok(Head::Single { labels, base: f64::from(*base), transform, all_positive }),
                more => Err(place.refuse(
                    format!("{} base_values where all weights are for one class, at most 1 has a meaning", more.len()),
                    BASES,
                )),
            };
        }
        if !attributes.base.is_empty() {
            return Err(place.refuse(
                "base_values with two classes that have weights of their own: runtimes disagree on them",
                BASES,
            ));
        }
        if uses(0) && !always_speaks(forest, 1) {
            return Err(place.refuse(
                "a row may fall only into leaves without a weight for class 1, while others have weights for both \
                 classes: runtimes disagree on such rows",
                "export with a weight for each class in each leaf (0 where there is none)",
            ));
        }
        Ok(Head::Pair {
            labels,
            transform,
            half: !uses(0) && all_positive,
        })
    }

    fn targets(attributes: &Attributes, forest: &Forest) -> Result<Head, ModelError> {
        let targets = attributes.labels.len();
        let silent = (0..forest.leaf_tree.len()).any(|leaf| forest.leaf(leaf).is_empty());
        if silent {
            return Err(attributes
                .place
                .broken("a leaf of a regressor has no weight"));
        }
        let base = base_values(attributes, targets)?;
        Ok(Head::Targets {
            base,
            aggregate: attributes.aggregate,
            trees: forest.trees() as f64,
        })
    }

    /// Columns of the scores' output.
    pub(super) fn columns(&self) -> usize {
        match self {
            Head::Single { .. } | Head::Pair { .. } => 2,
            Head::Many { labels, .. } => labels.len(),
            Head::Targets { base, .. } => base.len(),
        }
    }

    /// One row.
    pub(super) fn eval(
        &self,
        forest: &Forest,
        row: &[f32],
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> i64 {
        match self {
            Head::Single {
                labels,
                base,
                transform,
                all_positive,
            } => {
                let mut score = 0.0;
                forest.walk(row, |weights| {
                    score += weights.first().map_or(0.0, |weight| weight.weight)
                });
                score += base;
                // Of one score only the logistic makes two; any other transform is ignored.
                let (no, yes) = match (transform, all_positive) {
                    (Transform::Logistic, _) => (logistic(-score), logistic(score)),
                    (_, true) => (1.0 - score, score),
                    (_, false) => (-score, score),
                };
                out.copy_from_slice(&[no as f32, yes as f32]);
                labels[usize::from(score > if *all_positive { 0.5 } else { 0.0 })]
            }
            Head::Pair {
                labels,
                transform,
                half,
            } => {
                sum(forest, row, scratch, 2);
                let score = scratch.scores[1].sum;
                finish(*transform, &mut scratch.scores, out);
                // Not the larger of the two: ONNX Runtime looks at class 1 alone.
                labels[usize::from(score > if *half { 0.5 } else { 0.0 })]
            }
            Head::Many {
                labels,
                base,
                transform,
            } => {
                sum(forest, row, scratch, labels.len());
                for (score, base) in scratch.scores.iter_mut().zip(base) {
                    *score = Score {
                        sum: score.sum + base,
                        spoken: true,
                    };
                }
                let label = labels[winner(&scratch.scores)];
                finish(*transform, &mut scratch.scores, out);
                label
            }
            Head::Targets {
                base,
                aggregate,
                trees,
            } => {
                targets(forest, row, scratch, base.len(), *aggregate);
                for ((out, score), base) in out.iter_mut().zip(&scratch.scores).zip(base) {
                    let average = *aggregate == Aggregate::Average;
                    *out = (if average {
                        score.sum / trees + base
                    } else {
                        score.sum + base
                    }) as f32;
                }
                0
            }
        }
    }
}

fn base_values(attributes: &Attributes, length: usize) -> Result<Vec<f64>, ModelError> {
    let base = &attributes.base;
    if base.is_empty() && attributes.kind == Kind::Classifier {
        return Ok(Vec::new());
    }
    if base.is_empty() {
        return Ok(vec![0.0; length]);
    }
    if base.len() != length {
        let problem = format!("{} base_values for {length} classes or targets", base.len());
        return Err(attributes
            .place
            .refuse(problem, "export one base value each, or none"));
    }
    Ok(base.iter().map(|base| f64::from(*base)).collect())
}

/// Whether every row gets a weight for `class`: one tree whose every leaf has one is enough.
fn always_speaks(forest: &Forest, class: u32) -> bool {
    let mut speaks = vec![true; forest.trees()];
    for (leaf, tree) in forest.leaf_tree.iter().enumerate() {
        speaks[*tree as usize] &= forest.leaf(leaf).iter().any(|weight| weight.class == class);
    }
    speaks.contains(&true)
}

fn sum(forest: &Forest, row: &[f32], scratch: &mut Scratch, classes: usize) {
    scratch.scores.clear();
    scratch.scores.resize(classes, Score::default());
    forest.walk(row, |weights| {
        for weight in weights {
            let score = &mut scratch.scores[weight.class as usize];
            *score = Score {
                sum: score.sum + weight.weight,
                spoken: true,
            };
        }
    });
}

fn targets(
    forest: &Forest,
    row: &[f32],
    scratch: &mut Scratch,
    targets: usize,
    aggregate: Aggregate,
) {
    if matches!(aggregate, Aggregate::Sum | Aggregate::Average) {
        return sum(forest, row, scratch, targets);
    }
    scratch.scores.clear();
    scratch.scores.resize(targets, Score::default());
    forest.walk(row, |weights| {
        for weight in weights {
            let score = &mut scratch.scores[weight.class as usize];
            let better = match aggregate {
                Aggregate::Min => weight.weight < score.sum,
                _ => weight.weight > score.sum,
            };
            if better || !score.spoken {
                *score = Score {
                    sum: weight.weight,
                    spoken: true,
                };
            }
        }
    });
}

/// The first of the largest scores among the classes that a leaf spoke for.
fn winner(scores: &[Score]) -> usize {
    let mut best: Option<usize> = None;
    for (class, score) in scores.iter().enumerate().filter(|(_, score)| score.spoken) {
        if best.is_none_or(|best| score.sum > scores[best].sum) {
            best = Some(class);
        }
    }
    best.unwrap_or(0)
}

fn logistic(score: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-score))
}

/// Applies the transform to two scores or more.
fn finish(transform: Transform, scores: &mut [Score], out: &mut [f32]) {
    let max = scores
        .iter()
        .map(|score| score.sum)
        .fold(f64::NEG_INFINITY, f64::max);
    // SOFTMAX_ZERO leaves zeros at zero. The width of "zero" is ONNX Runtime's.
    let zero = |score: f64| transform == Transform::SoftmaxZero && score.abs() <= 1e-7;
    let mut total = 0.0;
    for score in scores.iter_mut() {
        score.sum = match transform {
            Transform::None => score.sum,
            Transform::Logistic => logistic(score.sum),
            Transform::Softmax | Transform::SoftmaxZero if zero(score.sum) => {
                score.sum * libm::exp(-max)
            }
            Transform::Softmax | Transform::SoftmaxZero => {
                let e = libm::exp(score.sum - max);
                total += e;
                e
            }
        };
    }
    let divisor = if matches!(transform, Transform::Softmax | Transform::SoftmaxZero) {
        total
    } else {
        1.0
    };
    for (out, score) in out.iter_mut().zip(scores.iter()) {
        *out = (score.sum / divisor) as f32;
    }
}

//! Tree ensembles: `TreeEnsembleClassifier` and `TreeEnsembleRegressor` of `ai.onnx.ml`.
//!
//! A node's attributes go through three steps, each refusing what it cannot do, by name:
//! `attributes` reads them into plain vectors, `layout` proves that they are trees (one root, no cycle, nothing
//! unreachable) and lays them out flat, `head` decides how leaf weights become scores, a label and probabilities.
//! `op` shows the result to tract.
//!
//! The specification leaves gaps in how scores become probabilities; where it does, ONNX Runtime is the reference,
//! and where ONNX Runtime contradicts the specification, the combination is refused.
//!
//! Evaluation is row by row in a fixed order of trees and sums in f64, so a row's bits cannot depend on the batch
//! it came in.

mod attributes;
mod head;
mod layout;
mod op;

pub(crate) use op::{classifier, regressor};

use crate::ModelError;
use attributes::Attributes;
use head::Head;
use layout::Forest;
use tract_onnx::pb::NodeProto;

/// Which of the two operators a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Classifier,
    Regressor,
}

impl Kind {
    /// The kind of an operator by its ONNX name.
    pub(crate) fn of(operator: &str) -> Option<Kind> {
        match operator {
            "TreeEnsembleClassifier" => Some(Kind::Classifier),
            "TreeEnsembleRegressor" => Some(Kind::Regressor),
            _ => None,
        }
    }
}

/// A checked ensemble, ready to run.
#[derive(Debug, PartialEq)]
pub(crate) struct Ensemble {
    forest: Forest,
    head: Head,
}

impl Ensemble {
    /// Reads and checks a node.
    pub(crate) fn parse(node: &NodeProto, kind: Kind) -> Result<Ensemble, ModelError> {
        let attributes = Attributes::read(node, kind)?;
        let forest = Forest::build(&attributes)?;
        let head = Head::build(&attributes, &forest)?;
        Ok(Ensemble { forest, head })
    }

    /// Columns that a row must have at least: the largest column of any split, plus one.
    pub(crate) fn min_width(&self) -> usize {
        self.forest.min_width
    }

    /// Columns of the second (classifier) or only (regressor) output.
    pub(crate) fn columns(&self) -> usize {
        self.head.columns()
    }

    /// One row's outputs: `out` has [`Ensemble::columns`] places. The return value is the class label (0 for a
    /// regressor).
    pub(crate) fn eval(&self, row: &[f32], scratch: &mut Scratch, out: &mut [f32]) -> i64 {
        self.head.eval(&self.forest, row, scratch, out)
    }
}

/// One score per class or target, kept between rows so that a row costs no allocation.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    scores: Vec<Score>,
}

/// A class's sum of leaf weights, and whether any leaf spoke for the class at all (ONNX Runtime's `has_score`: a
/// class that no leaf spoke for cannot win).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Score {
    sum: f64,
    spoken: bool,
}

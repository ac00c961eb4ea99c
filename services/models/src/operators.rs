//! The operators that a model may use.
//!
//! The list is what the tests compare with ONNX Runtime, operator by operator or inside a converted model. It leaves
//! out what would break a promise: random numbers, control flow, and operators that make tensors of any size from a
//! number in the file. `Erf` and `Selu` are not on it because tract's differ from ONNX Runtime's by more than 1e-6.
//! To add one: add it to the list and to `tests/python/models.py`.

use crate::{scaler, trees};
use tract_onnx::pb::NodeProto;

/// Operators of the default domain, run by tract.
const DEFAULT: &[&str] = &[
    "Abs",
    "Add",
    "And",
    "ArgMax",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Clip",
    "Concat",
    "Constant",
    "Div",
    "Elu",
    "Equal",
    "Exp",
    "Flatten",
    "Floor",
    "Gather",
    "Gemm",
    "Greater",
    "GreaterOrEqual",
    "HardSigmoid",
    "Identity",
    "IsNaN",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "LogSoftmax",
    "MatMul",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "Pow",
    "Reciprocal",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Sigmoid",
    "Sign",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Tanh",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// Operators of `ai.onnx.ml` run by tract.
const ML: &[&str] = &[
    "ArrayFeatureExtractor",
    "LinearClassifier",
    "LinearRegressor",
    "Normalizer",
];

/// Operators of `ai.onnx.ml` that are ours.
const OURS: &[&str] = &[
    "Scaler",
    "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
    "ZipMap",
];

/// Whether a node's operator is on the list, in its domain: tract itself looks at the name alone.
pub(crate) fn known(node: &NodeProto) -> bool {
    let name = node.op_type.as_str();
    match node.domain.as_str() {
        "" | "ai.onnx" => DEFAULT.contains(&name),
        "ai.onnx.ml" => ML.contains(&name) || OURS.contains(&name),
        _ => false,
    }
}

/// What an operator on the list must not be given: tract's answer would be another than ONNX Runtime's, or none.
pub(crate) fn unfit(node: &NodeProto) -> Option<(&'static str, &'static str)> {
    let attribute = |name| node.attribute.iter().find(|found| found.name == name);
    match node.op_type.as_str() {
        "Normalizer" => {
            let norm = attribute("norm").map(|norm| norm.s.as_slice());
            // Without the attribute it is MAX, too.
            (!matches!(norm, Some(b"L1" | b"L2"))).then_some((
                "attribute norm is MAX, on whose sign runtimes disagree",
                "normalize by L1 or L2",
            ))
        }
        "Transpose" => {
            let mut perm = attribute("perm").map_or(vec![], |perm| perm.ints.clone());
            perm.sort_unstable();
            // Tract plans such a change of the axes forever, until memory ends (0.23.9).
            (!perm.iter().copied().eq(0..perm.len() as i64)).then_some((
                "attribute perm does not name each axis once",
                "export the model again",
            ))
        }
        _ => None,
    }
}

/// The operator's name with its domain, unless that is the default one.
pub(crate) fn full_name(node: &NodeProto) -> String {
    if node.domain.is_empty() {
        node.op_type.clone()
    } else {
        format!("{}.{}", node.domain, node.op_type)
    }
}

/// All names, for messages.
pub(crate) fn list() -> String {
    [DEFAULT, ML, OURS].concat().join(", ")
}

/// Tract's ONNX front end with our operators in place of its own.
pub(crate) fn front_end() -> tract_onnx::Onnx {
    let mut onnx = tract_onnx::onnx();
    onnx.op_register
        .insert("TreeEnsembleClassifier", trees::classifier);
    onnx.op_register
        .insert("TreeEnsembleRegressor", trees::regressor);
    onnx.op_register.insert("Scaler", scaler::scaler);
    onnx.op_register.insert("ZipMap", zip_map);
    onnx
}

/// `ZipMap` turns a row of probabilities into a dictionary. We want the row, so it passes through.
fn zip_map(
    _: &tract_onnx::model::ParsingContext,
    _: &NodeProto,
) -> tract_onnx::prelude::TractResult<(
    Box<dyn tract_onnx::tract_hir::infer::InferenceOp>,
    Vec<String>,
)> {
    Ok((
        Box::new(tract_onnx::tract_core::ops::identity::Identity),
        vec![],
    ))
}

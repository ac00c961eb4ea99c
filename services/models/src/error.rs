//! Why a model file is refused, or rows are.
//!
//! Each message names the place, what was found, the limit and the remedy, because its reader is the person who
//! exported the model and may never have seen this crate.

/// A model that cannot be loaded, or rows that it cannot take.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The file is over [`crate::MAX_BYTES`].
    #[error(
        "the model file has {bytes} bytes, over the limit of {limit}: every replica that runs the model keeps it in \
         memory; export a smaller model (fewer trees, fewer layers)"
    )]
    TooLarge {
        /// The file's size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The bytes are not a usable ONNX file.
    #[error("not an ONNX model: {reason}; export the model to ONNX again and register that file")]
    NotOnnx {
        /// What is wrong with the bytes.
        reason: String,
    },
    /// The graph's inputs or their shape are not one float matrix of the expected width.
    #[error("the model's input does not fit: {found}; expected {expected}")]
    Input {
        /// What the file declares.
        found: String,
        /// What it must declare.
        expected: String,
    },
    /// No output, or several outputs, could be the probability.
    #[error("the model's outputs do not fit: {found}; expected {expected}")]
    Output {
        /// What the file declares.
        found: String,
        /// What it must declare.
        expected: String,
    },
    /// A node uses an operator, an attribute or a value of one that we don't run.
    #[error("node {node:?} ({operator}) is refused: {problem}; {remedy}")]
    Refused {
        /// The node's name, or its first output's where it has none.
        node: String,
        /// The operator, with its domain where that matters.
        operator: String,
        /// What was found, and the limit it breaks.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// Tract could not compile or run the graph.
    #[error(
        "the model cannot be {stage}: {reason}; check the file with onnx.checker and export it again"
    )]
    Engine {
        /// "compiled" or "run".
        stage: &'static str,
        /// Tract's chain of reasons.
        reason: String,
    },
    /// The rows are not whole rows.
    #[error("{values} values are not whole rows: the model takes {width} values a row")]
    Rows {
        /// Values handed in.
        values: usize,
        /// The model's width.
        width: usize,
    },
}

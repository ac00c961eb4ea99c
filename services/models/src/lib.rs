//! Models: ONNX bytes in, probabilities out; rows and labels in, ONNX bytes out.
//!
//! ONNX is the exchange format, so a model from any framework can be registered, and [tract] runs it. Tract's own
//! tree ensembles give wrong answers without a word, and slowly, so the tree operators of `ai.onnx.ml` are ours
//! (`trees`), checked against ONNX Runtime. Whatever we have not checked is refused when the file is loaded, by
//! name: a model that would silently predict something else must never reach a deployment.
//!
//! What this room promises:
//! - [`Onnx::load`] never panics and never reads a file, whatever the bytes are; its errors say what is wrong, which
//!   limit it breaks and what to do.
//! - [`OnnxModel::predict`] gives the same bits for a row however the rows are cut into calls.
//! - [`train()`] gives the same model bytes for the same rows, parameters and seed (on one target triple: the
//!   trainer's loss uses the platform's `exp`).
//!
//! There is no I/O, no clock and no thread here. The room that fetches model bytes by digest and the room that
//! decides when to train are elsewhere.
//!
//! [tract]: https://github.com/sonos/tract
//!
//! ```
//! use mainstem_models::{Onnx, TrainParams, train};
//!
//! let rows = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]; // eight rows of one column
//! let labels = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
//! let params = TrainParams { min_leaf_weight: 0.0, ..TrainParams::default() };
//! let trained = train(&params, &rows, 1, &labels)?;
//!
//! let model = Onnx::load(&trained.onnx, 1)?;
//! let mut probabilities = Vec::new();
//! model.predict(&[1.5, 6.5], &mut probabilities)?;
//! assert!(probabilities[0] < 0.5 && probabilities[1] > 0.5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod check;
mod error;
mod load;
mod operators;
mod persistence;
mod scaler;
mod signature;
mod train;
mod trees;
mod versions;
mod write;

pub use error::ModelError;
pub use load::{BATCH, MAX_BYTES, Onnx, OnnxModel};
pub use persistence::persistence;
pub use train::{TrainError, TrainParams, Trained, train};
pub use versions::{TRAINER, runtime};

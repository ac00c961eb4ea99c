//! The crate against ONNX Runtime, against broken files, and against itself cut differently.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests stop a test as an assertion does"
)]

mod broken;
mod cuts;
mod data;
mod onnx_runtime;
mod python;

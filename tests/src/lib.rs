//! What the tests of the whole system share: the binary that users run, what a log holds, and the faults that must not
//! show in it.
//!
//! | Module | What |
//! |---|---|
//! | [`binary`] | the product's binary, built in the profile of the caller |
//! | [`history`] | all that a log holds, and how two logs differ: lost, doubled and differing records |
//! | [`faults`] | a paced run on a real broker while something goes wrong, compared with an undisturbed one |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

pub mod binary;
pub mod faults;
pub mod history;

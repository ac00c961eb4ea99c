//! For tests of other crates: the conformance suite of the log port, and the crash harness of machines.

pub mod conformance;

//! For tests of other crates: the conformance suite of the log port, the crash harness of machines, toy machines.

pub mod conformance;
pub mod harness;
pub mod toys;

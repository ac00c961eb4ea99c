//! The kernel: how Mainstem thinks, commits and remembers.
//!
//! A room's thinking is a [`Machine`]: pure, synchronous, a fold of *runs* of records into state
//! and outputs. The kernel wraps it as a [`Task`], drives it in *turns* ([`runner`]), commits several
//! tasks' turns at once through the [`Log`] port, and only then lets the
//! `Actuator` act. A task is rebuilt from its last snapshot and by folding its inputs again in the order that its turns
//! wrote down ([`mod@restore`], [`replay`]); an audit does the same and compares.
//!
//! Nothing here reads a clock, a file or a socket: the ports are implemented under `services/`, but for the memory
//! log, which simulations run on.
#![forbid(unsafe_code)]

pub mod cache;
pub mod decider;
pub mod fetched;
pub mod known;
pub mod log;
pub mod machine;
pub mod memory;
pub mod observer;
pub mod outbox;
pub mod pace;
pub mod quiet;
pub mod replay;
pub mod restore;
pub mod rounds;
pub mod runner;
pub mod task;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod turn;
pub mod worker;

pub use known::{Known, Model, Need, Resolver};
pub use log::{Commit, CommitError, Log, LogError, Partition, Reader, TopicSpec, Writer};
pub use machine::{Answer, Context, Effect, Machine, Refused, Run, Tick};
pub use observer::Observer;
pub use outbox::Outbox;
pub use task::{Input, Mode, Output, Task, TaskId, TaskSpec};

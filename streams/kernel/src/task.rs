//! Tasks: one machine at work on one object and partition.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::known::{Known, Need};
use crate::log::Partition;
use crate::machine::{Answer, Effect, Refused, Run};
use crate::outbox::{Fault, Outbox};
use mainstem_schemas::Digest;

/// Name of a task: `<room>/<object>/<partition>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TaskId(pub String);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a task takes an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Folded as it comes: the machine's results do not depend on how it interleaves with the other inputs of a
    /// paced run.
    Immediate,
    /// A topic that is not ours, folded as it comes, from the first record that it keeps. The machine remembers nothing
    /// of its records, so a task is rebuilt without them: their topic may have forgotten them.
    Foreign,
    /// A topic that is not ours, folded as it comes, from the first record that it keeps. The machine remembers what it
    /// read: a task is rebuilt from a snapshot and the records since, which the topic must then still hold. So such a
    /// task stores its state more often.
    InPlace,
    /// Held until a tick: released in (event time, topic, key, id) order, if numbered below the tick.
    Held,
}

/// An input partition of a task. The place in the list is its rank: runs of a turn are taken in rank order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input {
    /// Partition.
    pub partition: Partition,
    /// How it is taken.
    pub mode: Mode,
}

/// An output topic of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// Full name of the topic.
    pub topic: String,
    /// Number of its partitions.
    pub partitions: u32,
}

/// What a task is: where it reads and writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskSpec {
    /// Name.
    pub id: TaskId,
    /// Project: the prefix of the topics.
    pub project: String,
    /// Input whose offset fences the task; a door has none.
    pub lead: Option<Partition>,
    /// Inputs of the room, in rank order, after the kernel's own three.
    pub inputs: Vec<Input>,
    /// Outputs of the room.
    pub outputs: Vec<Output>,
}

/// Ranks of the inputs that every task has; the room's own follow.
pub mod rank {
    /// `schemas`.
    pub const SCHEMAS: usize = 0;
    /// `definitions`.
    pub const DEFINITIONS: usize = 1;
    /// `clock`.
    pub const CLOCK: usize = 2;
    /// The room's first input.
    pub const FIRST: usize = 3;
}

impl TaskSpec {
    /// How the input of that rank is taken; the kernel's own three have no mode.
    #[must_use]
    pub fn mode(&self, rank: usize) -> Option<Mode> {
        let own = rank.checked_sub(rank::FIRST)?;
        self.inputs.get(own).map(|input| input.mode)
    }

    /// Whether the input of that rank is a topic that is not ours.
    #[must_use]
    pub fn is_foreign(&self, rank: usize) -> bool {
        matches!(self.mode(rank), Some(Mode::Foreign | Mode::InPlace))
    }

    /// All input partitions in rank order: `schemas`, `definitions`, `clock`, then the room's.
    #[must_use]
    pub fn partitions(&self) -> Vec<Partition> {
        let own = ["schemas", "definitions", "clock"];
        let own = own
            .iter()
            .map(|name| Partition::new(&format!("{}.{name}", self.project), 0));
        own.chain(self.inputs.iter().map(|input| input.partition.clone()))
            .collect()
    }
}

/// A machine with its state, as the runner drives it.
pub trait Task: Send {
    /// Version of the machine's code.
    fn version(&self) -> u32;
    /// Digest of the definition that the task works under.
    fn definition(&self) -> Digest;
    /// What must be in `known` before `run` can be folded, or (without a run) for the state as it is.
    fn needs(&self, known: &Known, run: Option<&Run<'_>>) -> Vec<Need>;
    /// Folds a run of the input of that rank.
    fn fold(&mut self, known: &Known, run: &Run<'_>, out: &mut Outbox);
    /// Answers a question from the state, which stays as it is.
    ///
    /// # Errors
    /// The room's refusal; nothing was written then.
    fn answer(
        &self,
        _known: &Known,
        _question: &str,
        _out: &mut Outbox,
    ) -> Result<Vec<Answer>, Refused> {
        Err("this task answers no questions".into())
    }
    /// Whether the held records are at their limit: no more data are taken until a tick releases some.
    fn is_full(&self) -> bool;
    /// Whether ticks wait until everything was read: under `clock: stream`.
    fn is_paced(&self) -> bool;
    /// Effects that are to be done and not yet done, in a stable order.
    fn outstanding(&self) -> Vec<Effect>;
    /// Appends the record of a turn or a snapshot in the wire format.
    ///
    /// # Errors
    /// Where the chain's schemas are not registered yet.
    fn encode(
        &self,
        event: &mainstem_schemas::events::Event,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault>;
    /// The state's canonical bytes.
    ///
    /// # Errors
    /// Where a state cannot be written, which is a defect.
    fn snapshot(&self) -> Result<Vec<u8>, Fault>;
    /// Takes a state from its canonical bytes.
    ///
    /// # Errors
    /// Where the bytes are no such state.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), Fault>;
}

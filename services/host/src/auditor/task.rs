//! One task under audit: its chain, and its machine folding again.

use std::collections::BTreeMap;

use mainstem_kernel::runner::{Runner, TaskError};
use mainstem_kernel::task::{Input, Mode};
use mainstem_kernel::turn::output_written;
use mainstem_kernel::worker::Factory;
use mainstem_kernel::{Partition, Resolver, Run, TaskSpec};
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::{OutputWritten, Turn};
use mainstem_schemas::{Batch, Digest};

use super::chain::Link;
use super::door::Door;
use super::report::{Finding, Place, Unfolded};

/// How a task's turns are audited.
pub(super) enum Fold {
    /// Folded again.
    Running(Box<Runner>),
    /// By digests alone: its inputs or its turns are damaged, or there is no machine for it.
    Stopped,
}

pub(super) struct Audited {
    pub spec: Option<TaskSpec>,
    pub fold: Fold,
    pub link: Link,
    /// Where it was stopped by what a topic that is read in place has forgotten: the partition.
    pub beyond: Option<Partition>,
    /// What a prediction door's answers follow from.
    pub door: Option<Box<Door>>,
    /// Turns of versions that the program does not have: the first, and how many.
    versions: BTreeMap<i32, (i64, u64)>,
    unfolded: Option<Unfolded>,
}

/// What folding a turn again gave.
pub(super) struct Refolded {
    pub outputs: Vec<(Partition, Batch)>,
    pub written: Vec<OutputWritten>,
    pub definition: Digest,
    pub outstanding: i32,
}

impl Audited {
    /// A task at its beginning. Doors are no tasks of a definition: their names say what they are.
    pub(super) fn new(
        task: &str,
        spec: Option<&TaskSpec>,
        project: &Project,
        factory: &Factory,
    ) -> Self {
        let (door, spec) = match (spec, Door::of(task, project)) {
            (None, Some((door, spec))) => (Some(Box::new(door)), Some(spec)),
            (spec, _) => (None, spec.cloned()),
        };
        let machine = spec.as_ref().and_then(factory);
        let fold = match (machine, &spec) {
            (Some(machine), Some(spec)) => {
                Fold::Running(Box::new(Runner::new(spec.clone(), machine)))
            }
            _ => Fold::Stopped,
        };
        Audited {
            spec,
            fold,
            beyond: None,
            link: Link::default(),
            door,
            versions: BTreeMap::new(),
            unfolded: None,
        }
    }

    /// How an input is taken that is a topic of others.
    pub(super) fn foreign(&self, topic: &str, partition: i32) -> Option<Mode> {
        let is = |input: &&Input| {
            *input.partition.topic == *topic && input.partition.index as i32 == partition
        };
        let input = self.spec.iter().flat_map(|spec| &spec.inputs).find(is);
        let mode = input.map(|input| input.mode);
        mode.filter(|mode| matches!(mode, Mode::Foreign | Mode::InPlace))
    }

    /// Version of the machine that the program has for the task.
    pub(super) fn version(&self) -> Option<u32> {
        match &self.fold {
            Fold::Running(runner) => Some(runner.task().version()),
            Fold::Stopped => None,
        }
    }

    /// From here on only digests are compared.
    pub(super) fn stop(&mut self) {
        self.fold = Fold::Stopped;
        self.beyond = None;
    }

    /// The same, since records of that partition are gone; where it was stopped before, for the reason that it was.
    pub(super) fn stop_beyond(&mut self, of: Partition) {
        if matches!(self.fold, Fold::Running(_)) {
            self.fold = Fold::Stopped;
            self.beyond = Some(of);
        }
    }

    /// Notes a turn that was not recomputed, and why if that is a version.
    pub(super) fn skipped(&mut self, turn: &Turn, version: bool) {
        if version {
            let noted = self.versions.entry(turn.machine_version);
            noted.or_insert((turn.number, 0)).1 += 1;
            return;
        }
        let unfolded = self.unfolded.get_or_insert_with(|| Unfolded {
            task: turn.task.clone(),
            turn: turn.number,
            turns: 0,
        });
        unfolded.turns += 1;
    }

    /// Folds a turn again; the task then stands after it.
    ///
    /// # Errors
    /// Why it cannot be folded.
    pub(super) fn refold(
        runner: &mut Runner,
        turn: &Turn,
        batches: &[Batch],
        resolver: &dyn Resolver,
    ) -> Result<Refolded, String> {
        for (taken, batch) in turn.runs.iter().zip(batches) {
            let input = runner.rank_of(&taken.topic, taken.partition);
            let input = input.ok_or_else(|| {
                format!(
                    "the definition gives it no input {}/{}",
                    taken.topic, taken.partition
                )
            })?;
            runner
                .refold(&Run::new(input, batch), resolver, taken.next as u64)
                .map_err(|error| error.to_string())?;
        }
        let outputs = runner.take_outputs().map_err(|error| error.to_string())?;
        runner.stand_after(turn);
        let written = outputs
            .iter()
            .map(|(partition, batch)| output_written(partition, batch));
        Ok(Refolded {
            written: written.collect(),
            definition: runner.task().definition(),
            outstanding: runner.task().outstanding().len() as i32,
            outputs,
        })
    }

    /// Goes on folding from a snapshot of this version.
    ///
    /// # Errors
    /// What of it is not the state after the turn.
    pub(super) fn resume(
        &mut self,
        turn: &Turn,
        bytes: &[u8],
        factory: &Factory,
        resolver: &dyn Resolver,
    ) -> Result<(), String> {
        // What a door's answers follow from is not in the state alone.
        let spec = self.spec.as_ref().filter(|_| self.door.is_none());
        let runner = spec.and_then(|spec| Some(Runner::new(spec.clone(), factory(spec)?)));
        let Some(mut runner) =
            runner.filter(|runner| runner.task().version() as i32 == turn.machine_version)
        else {
            return Ok(());
        };
        match runner.resume(bytes, turn.number, resolver) {
            Ok(()) => {}
            Err(TaskError::Fault { fault, .. }) => return Err(fault.0),
            Err(_) => return Ok(()),
        }
        if runner.last() != (turn.number, turn.hash) {
            let hash = runner.last().1;
            return Err(format!("its state is of a turn of hash {hash}"));
        }
        runner.stand_after(turn);
        self.fold = Fold::Running(Box::new(runner));
        self.beyond = None;
        Ok(())
    }

    /// What is to be said of the whole task: the versions that it needs, and the turns that were not recomputed.
    pub(super) fn finish(self, task: &str, factory: &Factory) -> (Vec<Finding>, Option<Unfolded>) {
        let machine = self.spec.as_ref().and_then(factory);
        let has = machine.map(|machine| machine.version());
        let needs = |(needs, (turn, turns)): (i32, (i64, u64))| Finding::NeedsVersion {
            task: task.to_owned(),
            turn,
            turns,
            needs,
            has,
        };
        let findings = self.versions.into_iter().map(needs).collect();
        (findings, self.unfolded)
    }
}

impl Refolded {
    /// What a turn says of itself and folding does not give. What a door writes does not follow from its runs, so that its outputs do not count.
    pub(super) fn differs(&self, turn: &Turn, at: &Place, outputs: bool) -> Option<Finding> {
        let (field, expected, found) = self.difference(turn, outputs)?;
        Some(Finding::TurnDiffers {
            task: turn.task.clone(),
            number: turn.number,
            at: at.clone(),
            field,
            expected,
            found,
        })
    }

    fn difference(&self, turn: &Turn, outputs: bool) -> Option<(String, String, String)> {
        if self.definition != turn.definition {
            let (ours, theirs) = (self.definition.to_string(), turn.definition.to_string());
            return Some(("the definition".into(), ours, theirs));
        }
        if self.outstanding != turn.outstanding {
            let (ours, theirs) = (self.outstanding.to_string(), turn.outstanding.to_string());
            return Some(("the number of effects outstanding".into(), ours, theirs));
        }
        let count = self.written.len().max(turn.outputs.len());
        let count = if outputs { count } else { 0 };
        let (ours, theirs) = (0..count)
            .map(|at| (self.written.get(at), turn.outputs.get(at)))
            .find(|(ours, theirs)| ours != theirs)?;
        let show = |written: Option<&OutputWritten>| {
            written.map_or("nothing".to_owned(), |written| {
                format!("{} records of digest {}", written.count, written.root)
            })
        };
        let to = ours.or(theirs);
        let to = to.map_or_else(String::new, |to| format!("{}/{}", to.topic, to.partition));
        Some((format!("the output to {to}"), show(ours), show(theirs)))
    }
}

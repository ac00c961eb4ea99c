//! A worker: the tasks that it owns, their turns in one commit, and the effects after it.
//!
//! Commit first, then act. An aborted commit is sent again as it was; a fenced one drops the tasks. After a restart
//! what is outstanding is performed again under the same attempt, once everything that waited has been folded: the
//! outcome may be among it.

mod commits;
mod in_step;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use mainstem_schemas::events::Event;
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::registry::SchemaFact;
use mainstem_schemas::{Batch, Catalog, EventId, topics};

use crate::cache::CachedReader;
use crate::known::Resolver;
use crate::log::{
    Assignment, Commit, CommitError, FetchLimit, Log, LogError, Partition, Reader, Worker,
};
use crate::machine::Effect;
use crate::observer::Observer;
use crate::outbox::Fault;
use crate::restore::{Sources, restore};
use crate::runner::{Blobs, Runner, SnapshotEvery, TaskError, Took};
use crate::task::{Task, TaskId, TaskSpec, rank};

pub use commits::commit;
use in_step::InStep;

/// What brings effects about. It may take its time: outcomes come later.
pub trait Actuator: Send {
    /// Begins an effect; one that is under way already, by (id, attempt), is left alone.
    fn perform(&mut self, task: &TaskId, effect: &Effect);

    /// Outcomes that have come about since the last call: the task that asked, and the records to append.
    fn outcomes(&mut self) -> Vec<Outcome>;
}

/// What an effect brought about.
pub struct Outcome {
    /// Task that asked for it.
    pub task: TaskId,
    /// The effect.
    pub effect: EventId,
    /// Its attempt.
    pub attempt: u32,
    /// Records to append.
    pub records: Vec<(Partition, Batch)>,
}

/// Performs nothing: replays and followers drop effects.
pub struct Inert;

impl Actuator for Inert {
    fn perform(&mut self, _: &TaskId, _: &Effect) {}
    fn outcomes(&mut self) -> Vec<Outcome> {
        Vec::new()
    }
}

/// Builds the machine of a task.
pub type Factory = dyn Fn(&TaskSpec) -> Option<Box<dyn Task>> + Send + Sync;

/// What a worker is built of.
pub struct Parts {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Looks models and profiles up.
    pub resolver: Arc<dyn Resolver>,
    /// Snapshots.
    pub blobs: Arc<dyn Blobs>,
    /// Machines by task.
    pub factory: Arc<Factory>,
    /// How much a task takes at once.
    pub limit: FetchLimit,
    /// How often a task's state is stored.
    pub snapshots: SnapshotEvery,
}

/// What a step of a worker did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Turns and outcomes committed.
    pub commits: usize,
    /// Tasks that were restored.
    pub restored: usize,
    /// Snapshots that were of no use to a restore, and why.
    pub passed_over: Vec<String>,
    /// Tasks that stand still, and why; they are restored and tried again on the next step.
    pub stopped: Vec<TaskError>,
}

/// Turns of one commit, more or less, so that a transaction stays short: beyond it the other tasks wait for the next step,
/// and turns that wait for the end of the last commit are joined by no more. They and those that are being written are in
/// memory, in the log's client once more; with half as much, two workers of one broker wait a tenth to a fifth of their
/// time for it (measured).
const MAX_COMMIT_BYTES: usize = 16 << 20;

/// Records that are kept for the other tasks on a lead partition: the last fetch of each of its inputs.
const SHARED_BYTES: usize = 8 << 20;

/// Steps that one look at the ends of all inputs is good for, where tasks are far behind: a look takes several requests,
/// and what it saw of the broadcast inputs holds for all data that it saw.
const STEPS_A_LOOK: usize = 16;

const NO_MACHINE: &str = "this version has no machine for it; run a newer version";

struct Owned {
    runner: Runner,
    caught_up: bool,
    performing: BTreeSet<(EventId, u32)>,
}

impl Owned {
    fn new(runner: Runner) -> Self {
        Owned {
            runner,
            caught_up: false,
            performing: BTreeSet::new(),
        }
    }

    fn awaits(&self, outcome: &Outcome) -> bool {
        let outstanding = names(&self.runner.task().outstanding());
        outstanding.contains(&(outcome.effect, outcome.attempt))
    }

    /// Whether an effect waits to be brought about.
    fn is_to_act(&self) -> bool {
        let outstanding = || names(&self.runner.task().outstanding());
        self.caught_up && !outstanding().is_subset(&self.performing)
    }
}

/// Effects by id and attempt.
fn names(effects: &[Effect]) -> BTreeSet<(EventId, u32)> {
    effects.iter().map(|e| (e.id, e.attempt)).collect()
}

/// A worker's loop, one step at a time.
pub struct Crew<A: Actuator> {
    parts: Parts,
    worker: Box<dyn Worker>,
    /// What several tasks take is read once.
    reader: CachedReader<Box<dyn Reader>>,
    actuator: A,
    observer: Arc<dyn Observer>,
    owned: BTreeMap<TaskId, Owned>,
    /// Owned and to be restored.
    waiting: BTreeMap<TaskId, TaskSpec>,
    /// Sealed and not known to be written, in the order of their commits: two at most.
    pending: VecDeque<Arc<Vec<Commit>>>,
    /// Whether the log has begun to write the first of them.
    under_way: bool,
    /// The task that takes its turn first on the next step; else the first by name.
    first: Option<TaskId>,
    /// Steps that go by the last look at the inputs' ends.
    steps: usize,
    /// Steps for which it counts as behind, however little they take.
    behind: usize,
}

impl<A: Actuator> Crew<A> {
    /// Joins the workers of the log.
    ///
    /// # Errors
    /// The log's.
    pub fn join(parts: Parts, name: &str, actuator: A) -> Result<Self, LogError> {
        let worker = parts.log.worker(name)?;
        let reader = CachedReader::with_room(parts.log.reader()?, SHARED_BYTES);
        let (owned, waiting) = (BTreeMap::new(), BTreeMap::new());
        Ok(Crew {
            parts,
            worker,
            reader,
            actuator,
            observer: Arc::new(()),
            owned,
            waiting,
            pending: VecDeque::new(),
            under_way: false,
            first: None,
            steps: 0,
            behind: 0,
        })
    }

    /// Tells somebody what it does.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Tasks that this worker owns and has restored.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskId> {
        self.owned.keys()
    }

    /// Whether the log has not written yet what was sealed: the next step has something to do.
    pub fn is_at_work(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Changes how much a task takes at once.
    pub fn set_limit(&mut self, limit: FetchLimit) {
        self.parts.limit = limit;
    }

    /// One step: take what changed hands, restore, take turns, commit, act. A worker that is behind takes its next turns
    /// while the log writes the last ones, but where an effect is to be brought about.
    ///
    /// # Errors
    /// [`CommitError`] other than an abort: the next step begins with the last turns that are in the log.
    pub fn step(&mut self, tasks: &[TaskSpec]) -> Result<Progress, CommitError> {
        let mut progress = Progress::default();
        let assignment = self.worker.assign(tasks)?;
        // Whatever changes, it is known by then what the log has; and it changes however that ended.
        let settled = match self.changes(&assignment, tasks) {
            true => self.settle(tasks, &mut progress),
            false => Ok(true),
        };
        self.change_hands(&assignment, tasks);
        if !settled? {
            return Ok(progress);
        }
        if !self.waiting.is_empty() {
            // A restore reads beyond what was seen before.
            self.look_away()?;
            self.restore(&mut progress);
        }
        if self.pending.len() <= usize::from(self.under_way) {
            self.take_step(&mut progress)?;
        }
        while self.has_time() {
            self.take_step(&mut progress)?;
        }
        if !self.settle(tasks, &mut progress)? || !self.begin(tasks, &mut progress)? {
            return Ok(progress);
        }
        if !self.goes_on() && !self.settle(tasks, &mut progress)? {
            return Ok(progress);
        }
        if self.pending.is_empty() {
            self.act();
        }
        Ok(progress)
    }

    fn take_step(&mut self, progress: &mut Progress) -> Result<(), LogError> {
        if self.steps == 0 {
            self.reader.look(&self.stages())?;
            self.steps = STEPS_A_LOOK;
        }
        self.steps -= 1;
        let mut commits = self.take_turns(progress);
        commits.extend(self.take_outcomes());
        match self.pending.get_mut(usize::from(self.under_way)) {
            Some(waiting) => Arc::make_mut(waiting).extend(commits),
            None if commits.is_empty() => {}
            None => self.pending.push_back(Arc::new(commits)),
        }
        // A log may hand out less than there is, for some steps.
        self.behind = match self.took() {
            Took::Much => STEPS_A_LOOK,
            Took::Little => self.behind.saturating_sub(1),
            Took::Nothing => 0,
        };
        if self.steps == 0 || !self.is_behind() {
            self.look_away()?;
        }
        Ok(())
    }

    /// Whether the log still writes the last turns, and there are more for the next commit: one takes its time whatever
    /// it holds.
    fn has_time(&self) -> bool {
        let waiting = self.pending.get(usize::from(self.under_way));
        self.under_way
            && self.goes_on()
            && waiting.is_none_or(|commits| has_room(commits))
            && !self.worker.has_ended()
    }

    /// Whether the next turns are taken while the log writes the last ones. An effect waits for these alone.
    fn goes_on(&self) -> bool {
        self.is_behind() && !self.owned.values().any(Owned::is_to_act)
    }

    /// The next step looks at the ends anew.
    fn look_away(&mut self) -> Result<(), LogError> {
        self.steps = 0;
        self.reader.look(&[])
    }

    /// How much the task that took most took last.
    fn took(&self) -> Took {
        let took = |owned: &Owned| owned.runner.took(self.parts.limit);
        let most = self.owned.values().map(took).max();
        most.unwrap_or(Took::Nothing)
    }

    /// Whether there is work at hand for some steps, by what the last ones took.
    pub fn is_behind(&self) -> bool {
        self.behind > 0
    }

    /// Whether tasks change: hands, or what they are.
    fn changes(&self, assignment: &Assignment, tasks: &[TaskSpec]) -> bool {
        let other = |spec: &TaskSpec| {
            let owned = self.owned.get(&spec.id);
            owned.is_some_and(|owned| owned.runner.spec != *spec)
        };
        *assignment != Assignment::default() || !self.waiting.is_empty() || tasks.iter().any(other)
    }

    fn change_hands(&mut self, assignment: &Assignment, tasks: &[TaskSpec]) {
        if *assignment != Assignment::default() {
            let (gained, lost) = (&assignment.gained, &assignment.lost);
            self.observer.changed_hands(gained, lost);
        }
        for lost in &assignment.lost {
            self.owned.remove(lost);
            self.waiting.remove(lost);
            self.drop_commits(lost);
        }
        for gained in &assignment.gained {
            self.owned.remove(gained);
            if let Some(spec) = tasks.iter().find(|spec| spec.id == *gained) {
                self.waiting.insert(gained.clone(), spec.clone());
            }
        }
        // A definition may give a task other inputs: it is built anew, and goes on after its last turn.
        for spec in tasks {
            let owned = self.owned.get(&spec.id).map(|owned| &owned.runner.spec);
            let known = owned.or_else(|| self.waiting.get(&spec.id));
            if known.is_some_and(|known| known != spec) {
                self.owned.remove(&spec.id);
                self.drop_commits(&spec.id);
                self.waiting.insert(spec.id.clone(), spec.clone());
            }
        }
    }

    /// Whatever was folded and not written is folded again from the last turn.
    fn forget(&mut self, tasks: &[TaskSpec]) {
        self.pending.clear();
        self.behind = 0;
        for id in std::mem::take(&mut self.owned).into_keys() {
            if let Some(spec) = tasks.iter().find(|spec| spec.id == id) {
                self.waiting.insert(id, spec.clone());
            }
        }
    }

    fn restore(&mut self, progress: &mut Progress) {
        let mut waiting = std::mem::take(&mut self.waiting);
        let (mut runners, mut still) = (Vec::new(), Vec::new());
        for (id, spec) in &waiting {
            match (self.parts.factory)(spec) {
                Some(task) => runners
                    .push(Runner::new(spec.clone(), task).snapshot_every(self.parts.snapshots)),
                None => {
                    let (task, fault) = (id.0.clone(), Fault(NO_MACHINE.into()));
                    progress.stopped.push(TaskError::Fault { task, fault });
                    still.push(id.clone());
                }
            }
        }
        let sources = Sources {
            log: self.parts.log.as_ref(),
            resolver: self.parts.resolver.as_ref(),
            blobs: self.parts.blobs.as_ref(),
            observer: self.observer.as_ref(),
        };
        let mut reader = CachedReader::new(&mut self.reader);
        let restored = match restore(runners, sources, &mut reader) {
            Ok(restored) => restored,
            Err(error) => {
                let task = "restore".into();
                progress.stopped.push(TaskError::Log { task, error });
                self.waiting = waiting;
                return;
            }
        };
        progress.restored += restored.runners.len();
        progress.passed_over.extend(restored.passed_over);
        for runner in restored.runners {
            self.owned
                .insert(runner.spec.id.clone(), Owned::new(runner));
        }
        for (id, error) in restored.stopped {
            progress.stopped.push(error);
            still.push(id);
        }
        let still = still.iter().map(|id| waiting.remove_entry(id));
        self.waiting.extend(still.flatten());
    }

    /// The inputs of the tasks in the order of their fetches: rooms' own, clock, definitions, schemas.
    fn stages(&self) -> Vec<Vec<Partition>> {
        let mut stages = vec![BTreeSet::new(); rank::FIRST + 1];
        for owned in self.owned.values() {
            for (rank, partition) in owned.runner.partitions().iter().enumerate() {
                stages[rank.min(rank::FIRST)].insert(partition.clone());
            }
        }
        let stages = stages.into_iter().rev();
        stages.map(|stage| stage.into_iter().collect()).collect()
    }

    fn take_turns(&mut self, progress: &mut Progress) -> Vec<Commit> {
        let (mut commits, mut taken) = (Vec::new(), 0);
        let mut stopped = Vec::new();
        // Tasks that follow one lead partition take the same records one after the other. Where the last step had no room
        // for all, this one begins with those that it left out.
        let mut order: Vec<_> = self.owned.iter_mut().collect();
        order.sort_by(|(a, one), (b, two)| {
            (&one.runner.spec.lead, a).cmp(&(&two.runner.spec.lead, b))
        });
        let first = self.first.take();
        let first = order.iter().position(|(id, _)| Some(*id) == first.as_ref());
        order.rotate_left(first.unwrap_or(0));
        let in_step = InStep::of(
            order.iter().map(|(_, owned)| &owned.runner),
            self.parts.limit,
            &mut self.reader,
        );
        for (id, owned) in order {
            if in_step.waits(&owned.runner) {
                continue;
            }
            if taken > MAX_COMMIT_BYTES {
                self.first = Some(id.clone());
                break;
            }
            let (resolver, blobs) = (self.parts.resolver.as_ref(), self.parts.blobs.as_ref());
            match owned
                .runner
                .turn(&mut self.reader, resolver, blobs, self.parts.limit)
            {
                Ok(None) => owned.caught_up = true,
                Ok(Some(commit)) => {
                    taken += bytes(&commit);
                    commits.push(commit);
                }
                Err(error) => {
                    stopped.push((id.clone(), owned.runner.spec.clone()));
                    progress.stopped.push(error);
                }
            }
        }
        for (id, spec) in stopped {
            self.owned.remove(&id);
            self.waiting.insert(id, spec);
        }
        commits
    }

    fn take_outcomes(&mut self) -> Vec<Commit> {
        let mut commits = Vec::new();
        for outcome in self.actuator.outcomes() {
            // A task that moved on to another worker is asked again there, under the same attempt. One that was asked
            // twice, for the end of a commit was unknown, has its answer already: a second one in the log would be a
            // record that no undisturbed run has, and a paced run would count it as news.
            let owned = self.owned.get(&outcome.task);
            if owned.is_some_and(|owned| owned.awaits(&outcome)) {
                commits.push(Commit {
                    task: outcome.task,
                    turn: None,
                    outputs: outcome.records,
                });
            }
        }
        commits
    }

    fn act(&mut self) {
        for (id, owned) in &mut self.owned {
            if !owned.caught_up {
                continue;
            }
            let outstanding = owned.runner.task().outstanding();
            let open = names(&outstanding);
            owned.performing.retain(|known| open.contains(known));
            for effect in &outstanding {
                if owned.performing.insert((effect.id, effect.attempt)) {
                    self.actuator.perform(id, effect);
                }
            }
        }
    }
}

/// Whether commits that wait may be joined by more.
fn has_room(commits: &[Commit]) -> bool {
    commits.iter().map(bytes).sum::<usize>() <= MAX_COMMIT_BYTES
}

fn bytes(commit: &Commit) -> usize {
    let outputs = commit.outputs.iter();
    outputs.map(|(_, batch)| batch.bytes()).sum()
}

/// The schemas of a log as of now.
///
/// # Errors
/// The reader's, or a damaged event.
pub fn read_catalog(reader: &mut dyn Reader, project: &str) -> Result<Catalog, LogError> {
    let mut catalog = Catalog::default();
    let partition = Partition::new(&topics::fixed(project, "schemas"), 0);
    for_each(reader, &partition, |record| {
        let fact = SchemaFact::read(record.value.unwrap_or_default());
        catalog.take(
            fact.map_err(|_| {
                LogError::Damaged(format!("{partition} at offset {}", record.offset))
            })?,
        );
        Ok(())
    })?;
    Ok(catalog)
}

/// Hands every event of a control topic's partition to `take`.
///
/// # Errors
/// The reader's, or a damaged event.
pub fn read_events(
    reader: &mut dyn Reader,
    catalog: &Catalog,
    topic: &str,
    mut take: impl FnMut(Event),
) -> Result<(), LogError> {
    let partition = Partition::new(topic, partition_of(b"", 1));
    for_each(reader, &partition, |record| {
        let event = Event::decode(catalog, record.value.unwrap_or_default());
        take(event.map_err(|error| {
            LogError::Damaged(format!("{partition} at offset {}: {error}", record.offset))
        })?);
        Ok(())
    })
}

/// Hands every record of a partition to `take`, from its first to its present end.
///
/// # Errors
/// The reader's, or the first of `take`.
pub fn for_each(
    reader: &mut dyn Reader,
    partition: &Partition,
    mut take: impl FnMut(mainstem_schemas::RecordRef<'_>) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let mut from = reader.range(partition)?.start;
    let mut batch = Batch::new();
    loop {
        batch.clear();
        reader.fetch(partition, from, FetchLimit::default(), &mut batch)?;
        let Some(last) = batch.offsets().last() else {
            return Ok(());
        };
        from = last + 1;
        batch.iter().try_for_each(&mut take)?;
    }
}

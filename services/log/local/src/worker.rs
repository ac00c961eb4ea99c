//! Workers share the tasks: a task has one lease, a lease one owner, and every change of owner a new epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstem_kernel::log::{Assignment, Commit, CommitError, LogError, Worker};
use mainstem_kernel::task::{TaskId, TaskSpec};
use rusqlite::{OptionalExtension, params};

use crate::error::{Fail, of_commit};
use crate::members;
use crate::rows::Rows;
use crate::shared::Shared;
use crate::store::Store;

/// How often the share is looked at: it costs a transaction and a look at every worker's file, 0.1 ms together, and a
/// worker asks at every turn.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct LocalWorker {
    shared: Arc<Shared>,
    seat: String,
    /// The lock that says that this worker lives.
    _lock: File,
    /// Leases held, and their epochs.
    leases: BTreeMap<TaskId, i64>,
    looked: Option<(Instant, BTreeSet<TaskId>)>,
}

impl LocalWorker {
    pub(crate) fn join(shared: &Arc<Shared>, name: &str) -> Result<Self, LogError> {
        let seat = members::file_name(name);
        let own = seat.clone();
        let lock = shared.submit(0, move |store| {
            let lock = members::take(store.dir(), &own)?;
            release(store, &own, None)?; // What an earlier worker of this name left behind.
            Ok(lock)
        });
        Ok(LocalWorker {
            shared: Arc::clone(shared),
            seat,
            _lock: lock.map_err(of_commit)?,
            leases: BTreeMap::new(),
            looked: None,
        })
    }
}

impl Worker for LocalWorker {
    fn assign(&mut self, tasks: &[TaskSpec]) -> Result<Assignment, LogError> {
        let tasks: BTreeSet<TaskId> = tasks.iter().map(|task| task.id.clone()).collect();
        if let Some((when, last)) = &self.looked
            && when.elapsed() < LOOK
            && *last == tasks
        {
            return Ok(Assignment::default());
        }
        let (seat, wanted) = (self.seat.clone(), tasks.clone());
        let held = self
            .shared
            .submit(0, move |store| take_share(store, &seat, &wanted))
            .map_err(of_commit)?;
        let absent = |from: &BTreeMap<TaskId, i64>, other: &BTreeMap<TaskId, i64>| {
            let absent = from
                .iter()
                .filter(|(task, epoch)| other.get(*task) != Some(epoch));
            absent.map(|(task, _)| task.clone()).collect()
        };
        let assignment = Assignment {
            gained: absent(&held, &self.leases),
            lost: absent(&self.leases, &held),
        };
        self.leases = held;
        self.looked = Some((Instant::now(), tasks));
        Ok(assignment)
    }

    fn commit(&mut self, commits: &[Commit]) -> Result<(), CommitError> {
        let ended = commit_as(&self.shared, &self.seat, &self.leases, commits);
        if matches!(ended, Err(CommitError::Fenced(_))) {
            self.looked = None;
        }
        ended
    }
}

impl Drop for LocalWorker {
    fn drop(&mut self) {
        let seat = self.seat.clone();
        // Should this fail, the lock's end still tells the others.
        let _ = self.shared.submit(0, move |store| {
            members::remove(store.dir(), &seat);
            release(store, &seat, None)
        });
    }
}

/// Commits under leases that a seat holds.
pub(crate) fn commit_as(
    shared: &Shared,
    seat: &str,
    leases: &BTreeMap<TaskId, i64>,
    commits: &[Commit],
) -> Result<(), CommitError> {
    let mut steps = Vec::with_capacity(commits.len());
    let mut bytes = 0;
    for commit in commits {
        let fenced = || CommitError::Fenced(format!("task {}", commit.task));
        let turn = commit.turn.as_ref();
        let step = Step {
            task: commit.task.clone(),
            epoch: *leases.get(&commit.task).ok_or_else(fenced)?,
            turn: turn
                .map(|turn| Ok::<_, LogError>((turn.number, shared.encode_turn(turn)?)))
                .transpose()?,
            rows: Rows::of(&commit.outputs)?,
        };
        bytes += step.rows.bytes;
        steps.push(step);
    }
    let seat = seat.to_owned();
    shared.submit(bytes, move |store| {
        steps
            .iter_mut()
            .try_for_each(|step| step.take(store, &seat))
    })
}

/// One task's part of a commit.
struct Step {
    task: TaskId,
    epoch: i64,
    turn: Option<(i64, Vec<u8>)>,
    rows: Rows,
}

impl Step {
    fn take(&mut self, store: &mut Store, seat: &str) -> Result<(), Fail> {
        let lease: Option<i64> = store
            .connection()
            .prepare_cached(
                "SELECT number FROM tasks WHERE task = ?1 AND owner = ?2 AND epoch = ?3",
            )?
            .query_row(params![self.task.0, seat, self.epoch], |row| row.get(0))
            .optional()?;
        let last = lease.ok_or_else(|| CommitError::Fenced(format!("task {}", self.task)))?;
        if let Some((number, turn)) = &self.turn {
            if *number != last + 1 {
                // Whoever holds the lease and does not know the last turn has missed one: it is to restore the task.
                return Err(CommitError::Fenced(format!(
                    "task {} (turn {number} does not follow turn {last})",
                    self.task
                ))
                .into());
            }
            store
                .connection()
                .prepare_cached("UPDATE tasks SET number = ?2, turn = ?3 WHERE task = ?1")?
                .execute(params![self.task.0, number, turn])?;
        }
        store.append(&mut self.rows)
    }
}

fn release(store: &Store, seat: &str, task: Option<&TaskId>) -> Result<(), Fail> {
    let text = "UPDATE tasks SET owner = NULL WHERE owner = ?1 AND (?2 IS NULL OR task = ?2)";
    let mut release = store.connection().prepare_cached(text)?;
    release.execute(params![seat, task.map(|task| &task.0)])?;
    Ok(())
}

/// Releases what another live worker is to have, takes what nobody alive holds, and says what is held then. Live workers
/// and tasks are both taken in order, so all workers come to the same shares without talking.
fn take_share(
    store: &mut Store,
    seat: &str,
    tasks: &BTreeSet<TaskId>,
) -> Result<BTreeMap<TaskId, i64>, Fail> {
    let mut live = members::live(store.dir())?;
    live.insert(seat.to_owned());
    let place = live.iter().position(|other| other == seat).unwrap_or(0);
    let share = tasks.iter().skip(place).step_by(live.len());
    let leases = leases(store)?;
    let share: BTreeSet<&TaskId> = share.collect();
    for (task, (owner, _)) in &leases {
        if owner.as_deref() == Some(seat) && !share.contains(task) {
            release(store, seat, Some(task))?;
        }
    }
    let mut held = BTreeMap::new();
    for task in share {
        let (owner, epoch) = leases
            .get(task)
            .map_or((None, 0), |(o, e)| (o.as_deref(), *e));
        let epoch = match owner {
            Some(owner) if owner == seat => epoch,
            Some(owner) if live.contains(owner) => continue,
            _ => {
                lease(store, task, seat, epoch + 1)?;
                epoch + 1
            }
        };
        held.insert(task.clone(), epoch);
    }
    Ok(held)
}

/// Makes a seat the owner of a task.
pub(crate) fn lease(store: &Store, task: &TaskId, seat: &str, epoch: i64) -> Result<(), Fail> {
    let text = "INSERT INTO tasks (task, owner, epoch, number) VALUES (?1, ?2, ?3, 0)
        ON CONFLICT (task) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch";
    let mut lease = store.connection().prepare_cached(text)?;
    lease.execute(params![task.0, seat, epoch])?;
    Ok(())
}

type Leases = BTreeMap<TaskId, (Option<String>, i64)>;

fn leases(store: &Store) -> Result<Leases, Fail> {
    let mut statement = store
        .connection()
        .prepare_cached("SELECT task, owner, epoch FROM tasks")?;
    let found = statement.query_map([], |row| {
        Ok((TaskId(row.get(0)?), (row.get(1)?, row.get(2)?)))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

//! What waits, what is under way, what is done: shared by the worker's thread and the trainer's.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstem_kernel::worker::Outcome;
use mainstem_kernel::{Effect, TaskId};
use mainstem_schemas::EventId;

/// Effects that may wait or be under way. A model has 17 at most (16 runs and the naive forecast), usually one.
const MAX_EFFECTS: usize = 1_024;

/// How long closing waits for the effect at work. It looks for the sign between batches and stages, but one fit of a
/// large data set takes longer; the thread then ends by itself, and what it made is dropped.
const GRACE: Duration = Duration::from_secs(5);

/// An effect and the task that asked.
#[derive(Clone)]
pub(super) struct Job {
    pub task: TaskId,
    pub effect: Effect,
}

#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// Waiting, at work, or done and not handed out.
    under_way: BTreeSet<(EventId, u32)>,
    done: Vec<Outcome>,
    working: bool,
    closed: bool,
}

impl Desk {
    /// Jobs run outside of the lock, so that a panic leaves the state whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job in, unless it is under way; says whether there was room.
    pub fn put(&self, job: Job) -> bool {
        let mut state = self.lock();
        let name = (job.effect.id, job.effect.attempt);
        if state.under_way.contains(&name) {
            return true;
        }
        if state.under_way.len() >= MAX_EFFECTS {
            return false;
        }
        state.under_way.insert(name);
        state.waiting.push_back(job);
        self.changed.notify_all();
        true
    }

    /// What was done since the last call.
    pub fn take_outcomes(&self) -> Vec<Outcome> {
        let mut state = self.lock();
        let done = std::mem::take(&mut state.done);
        for outcome in &done {
            state.under_way.remove(&(outcome.effect, outcome.attempt));
        }
        done
    }

    /// Does job after job until the desk is closed. Nothing as an outcome means that it was closed meanwhile.
    pub fn work(&self, mut perform: impl FnMut(&Job) -> Option<Outcome>) {
        while let Some(job) = self.next() {
            let outcome = perform(&job);
            let mut state = self.lock();
            state.working = false;
            match outcome {
                Some(outcome) => state.done.push(outcome),
                None => {
                    state.under_way.remove(&(job.effect.id, job.effect.attempt));
                }
            }
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.waiting.pop_front() {
                state.working = true;
                return Some(job);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether what is at work should be given up.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits for a while; says whether to go on.
    pub fn rest(&self, time: Duration) -> bool {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), time, |state| !state.closed);
        !waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// Drops what waits and gives what is at work some time to end.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        self.changed.notify_all();
        let waited = self
            .changed
            .wait_timeout_while(state, GRACE, |state| state.working);
        if waited.unwrap_or_else(PoisonError::into_inner).0.working {
            tracing::info!("the trainer is still at work; what it makes is dropped");
        }
    }
}

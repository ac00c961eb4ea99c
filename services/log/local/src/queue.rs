//! The writer thread: gathers what callers submit, and commits it together.
//!
//! One commit costs one flush of the disk, whoever shares it: with 64 callers, eight times the transactions a second
//! of one caller. While a group is being flushed the next one gathers, so nobody waits for company.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use mainstem_kernel::log::CommitError;

use crate::bell::Bell;
use crate::error::{Fail, is_full};
use crate::store::Store;

/// How often other processes' commits are looked for while somebody waits: every millisecond while commits come, and
/// more seldom, by a fiftieth of the silence, after that. A look costs 34 us: 3 % of a core at every millisecond, which a
/// log that nobody writes to is not worth, and 1 % at every fifth.
const LOOK: Duration = Duration::from_millis(1);
const SELDOM: Duration = Duration::from_millis(5);

/// Callers of one group, and bytes after which it is closed: bounds the time that other processes wait for the lock.
const CALLERS: usize = 256;
const BYTES: usize = 8 << 20;

pub(crate) enum Message {
    Job(Box<dyn Job>),
    /// Somebody waits for commits.
    Look,
}

/// One caller's part of a group. It may run more than once before it is finished.
pub(crate) trait Job: Send {
    fn bytes(&self) -> usize;
    /// Does the work; says whether it may be committed.
    fn run(&mut self, store: &mut Store) -> bool;
    /// Tells the caller: its own refusal, or else the group's end.
    fn finish(self: Box<Self>, end: Result<(), CommitError>);
}

/// A job made of a closure.
pub(crate) struct Call<T, F> {
    pub(crate) bytes: usize,
    pub(crate) work: F,
    pub(crate) result: Option<Result<T, CommitError>>,
    pub(crate) reply: SyncSender<Result<T, CommitError>>,
}

impl<T: Send, F: FnMut(&mut Store) -> Result<T, Fail> + Send> Job for Call<T, F> {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn run(&mut self, store: &mut Store) -> bool {
        self.result = None; // What an undone first run holds (a lock on a file) is let go before the second.
        let result = (self.work)(store).map_err(|fail| fail.commit(store.dir()));
        let done = result.is_ok();
        self.result = Some(result);
        done
    }

    fn finish(self: Box<Self>, end: Result<(), CommitError>) {
        let result = match (self.result, end) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Err(refusal)), _) => Err(refusal),
            (_, Err(end)) => Err(end),
            (None, Ok(())) => Err(CommitError::Aborted("it was not run".into())),
        };
        let _ = self.reply.send(result); // A caller that is gone needs no answer.
    }
}

/// How a transaction failed.
enum Failed {
    /// Nothing was written: callers may be tried one by one.
    Undone(CommitError),
    /// The disk refused while flushing: only what is read later tells.
    Unknown(CommitError),
}

pub(crate) struct Thread {
    pub(crate) store: Store,
    pub(crate) lock: File,
    pub(crate) bell: Arc<Bell>,
}

impl Thread {
    /// Serves until every handle is gone.
    pub(crate) fn run(mut self, queue: &Receiver<Message>) {
        let mut last_commit = Instant::now();
        loop {
            let message = if self.bell.is_awaited() {
                queue.recv_timeout((last_commit.elapsed() / 50).clamp(LOOK, SELDOM))
            } else {
                queue.recv().map_err(RecvTimeoutError::from)
            };
            match message {
                Ok(Message::Job(job)) => {
                    let group = gather(job, queue);
                    self.serve(group);
                    last_commit = Instant::now();
                }
                Ok(Message::Look) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.bell.is_awaited() && self.store.others_committed() {
                self.bell.ring();
                last_commit = Instant::now();
            }
        }
        // The last connection to close takes the write-ahead log away: not while another process opens it.
        let _held = self.lock.lock();
        drop(self.store);
    }

    fn serve(&mut self, mut group: Vec<Box<dyn Job>>) {
        let before = self.store.changes();
        let mut ends = Vec::with_capacity(group.len());
        match self.lock.lock() {
            Err(error) => {
                let error = Fail::Io(error).commit(self.store.dir());
                ends.resize(group.len(), Err(error));
            }
            Ok(()) => {
                match self.transact(&mut group) {
                    Ok(()) => ends.resize(group.len(), Ok(())),
                    Err(Failed::Unknown(error)) => ends.resize(group.len(), Err(error)),
                    Err(Failed::Undone(error)) if group.len() == 1 => ends.push(Err(error)),
                    Err(Failed::Undone(_)) => {
                        for job in &mut group {
                            let end = self.transact(std::slice::from_mut(job));
                            ends.push(end.map_err(|failed| match failed {
                                Failed::Undone(error) | Failed::Unknown(error) => error,
                            }));
                        }
                    }
                }
                self.store.tidy();
                let _ = self.lock.unlock();
            }
        }
        if self.store.changes() != before {
            self.bell.ring();
        }
        for (job, end) in group.into_iter().zip(ends) {
            job.finish(end);
        }
    }

    fn transact(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), Failed> {
        let undone = |store: &mut Store, error: rusqlite::Error| {
            let error = Fail::Sql(error).commit(store.dir());
            store.roll_back();
            Failed::Undone(error)
        };
        let store = &mut self.store;
        store
            .execute("BEGIN IMMEDIATE")
            .map_err(|error| undone(store, error))?;
        for job in group {
            store
                .execute("SAVEPOINT caller")
                .map_err(|error| undone(store, error))?;
            let done = job.run(store);
            if !done && !store.in_transaction() {
                // SQLite undid everybody's work, as it does where the disk is full.
                store.roll_back();
                let why = "another caller's records did not fit".into();
                return Err(Failed::Undone(CommitError::Aborted(why)));
            }
            if !done {
                store
                    .execute("ROLLBACK TO caller")
                    .map_err(|error| undone(store, error))?;
            }
            store
                .execute("RELEASE caller")
                .map_err(|error| undone(store, error))?;
        }
        store.execute("COMMIT").map_err(|error| {
            let failed = if is_full(&error) {
                Failed::Undone(Fail::Sql(error).commit(store.dir()))
            } else {
                Failed::Unknown(CommitError::Unknown(error.to_string()))
            };
            store.roll_back();
            failed
        })
    }
}

/// The first job and those that wait behind it.
fn gather(first: Box<dyn Job>, queue: &Receiver<Message>) -> Vec<Box<dyn Job>> {
    let mut bytes = first.bytes();
    let mut group = vec![first];
    while group.len() < CALLERS && bytes < BYTES {
        match queue.try_recv() {
            Ok(Message::Job(job)) => {
                bytes += job.bytes();
                group.push(job);
            }
            Ok(Message::Look) => {}
            Err(_) => break,
        }
    }
    group
}

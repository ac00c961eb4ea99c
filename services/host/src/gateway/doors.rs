//! Prediction doors: a thread a model, which owns a slot of the log as long as it runs. Questions that wait are answered
//! together, in one turn: what came meanwhile in `deployments` and the other inputs is folded, the questions are asked,
//! and only when the turn with its predictions is committed do the askers get them.
//!
//! A slot that another process takes over is left to it: the door goes on with the next one. So any number of gateways
//! serve one model, each with a chain of turns of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use mainstem_kernel::log::{Commit, CommitError, FetchLimit, LogError, Reader, Worker};
use mainstem_kernel::restore::{Sources, restore_one};
use mainstem_kernel::rounds::Frame;
use mainstem_kernel::runner::{Runner, TaskError};
use mainstem_kernel::{Answer, Refused};
use mainstem_rooms::serving::{DoorMachine, Question};
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::{Event, PredictionMade};
use tokio::sync::oneshot;

use super::lock;
use crate::resolver::StoreResolver;
use crate::store::Store;

/// How long a door rests until it folds what came meanwhile, though nobody asks: a day of ticks would make the first
/// question of the morning wait, and a turn a minute is little to store.
const IDLE: Duration = Duration::from_secs(60);

/// Questions of one turn at most, beside the limit on requests: a commit is a few megabytes then.
const MAX_QUESTIONS: usize = 64;

/// How often an aborted commit is sent again: an abort is over in some milliseconds, or it is no passing trouble.
const RETRIES: usize = 20;

/// Slots that are tried before a door gives up: more gateways than one machine has any use for.
const MAX_SLOTS: u32 = 16;

/// How often a stopping gateway is noticed.
const LOOK: Duration = Duration::from_millis(50);

/// The predictions of a request; they are in the log.
pub(super) struct Predicted {
    /// A row each.
    pub made: Vec<PredictionMade>,
}

/// Why a door gives no prediction.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoorError {
    /// The room's refusal.
    #[error("{0}")]
    Refused(Refused),
    /// The door cannot work.
    #[error("the door of the model stands still: {0}")]
    Stands(String),
    /// The gateway stops.
    #[error("the gateway stops; ask again when it is back")]
    Stopped,
}

type Reply = oneshot::Sender<Result<Predicted, DoorError>>;

struct Asked {
    question: String,
    reply: Reply,
}

struct Thread {
    questions: Sender<Asked>,
    handle: JoinHandle<()>,
}

/// The doors of all models, each opened by the first question.
pub(super) struct Doors {
    store: Store,
    resolver: Arc<StoreResolver>,
    stopping: Arc<AtomicBool>,
    threads: Mutex<BTreeMap<String, Thread>>,
}

impl Doors {
    pub fn new(store: &Store, stopping: Arc<AtomicBool>) -> Self {
        let resolver = Arc::new(StoreResolver::new(store.blobs.clone()));
        Doors {
            store: store.clone(),
            resolver,
            stopping,
            threads: Mutex::default(),
        }
    }

    /// Asks the door of a model that the project has.
    pub fn ask(
        &self,
        project: &Arc<Project>,
        model: &str,
        question: Question,
    ) -> oneshot::Receiver<Result<Predicted, DoorError>> {
        let (reply, answer) = oneshot::channel();
        let mut asked = Asked {
            question: question.to_json(),
            reply,
        };
        let mut threads = lock(&self.threads);
        if self.stopping.load(Ordering::SeqCst) {
            let _ = asked.reply.send(Err(DoorError::Stopped));
            return answer;
        }
        if let Some(thread) = threads.get(model) {
            match thread.questions.send(asked) {
                Ok(()) => return answer,
                // It panicked; another takes its place.
                Err(back) => asked = back.0,
            }
        }
        match self.open(project, model) {
            Ok(thread) => {
                let _ = thread.questions.send(asked);
                threads.insert(model.to_owned(), thread);
            }
            Err(error) => {
                let _ = asked
                    .reply
                    .send(Err(DoorError::Stands(format!("no thread: {error}"))));
            }
        }
        answer
    }

    fn open(&self, project: &Arc<Project>, model: &str) -> std::io::Result<Thread> {
        let (questions, waiting) = channel();
        let door = Door {
            store: self.store.clone(),
            resolver: Arc::clone(&self.resolver),
            project: Arc::clone(project),
            model: model.to_owned(),
            stopping: Arc::clone(&self.stopping),
            slot: 0,
            lease: None,
        };
        let body = move || door.run(&waiting);
        let handle = std::thread::Builder::new()
            .name(format!("door {model}"))
            .spawn(body)?;
        Ok(Thread { questions, handle })
    }

    /// Lets go of the slots.
    pub fn close(&self) {
        for (model, thread) in std::mem::take(&mut *lock(&self.threads)) {
            drop(thread.questions);
            if thread.handle.join().is_err() {
                tracing::error!(model, "a door panicked");
            }
        }
    }
}

/// One model's door.
struct Door {
    store: Store,
    resolver: Arc<StoreResolver>,
    project: Arc<Project>,
    model: String,
    stopping: Arc<AtomicBool>,
    slot: u32,
    lease: Option<Lease>,
}

/// A slot that is owned, and the task on it.
struct Lease {
    runner: Runner,
    worker: Box<dyn Worker>,
    reader: Box<dyn Reader>,
}

/// Why a turn came to nothing.
enum Broken {
    /// Another process has the slot.
    Fenced,
    /// Whether the turn was committed is not known.
    Unknown(Box<Commit>, Vec<Told>),
    /// The task or the log stands.
    Stands(String),
}

/// What the room says to a question.
type Told = Result<Vec<Answer>, Refused>;

impl From<TaskError> for Broken {
    fn from(error: TaskError) -> Self {
        Broken::Stands(error.to_string())
    }
}

impl From<LogError> for Broken {
    fn from(error: LogError) -> Self {
        Broken::Stands(error.to_string())
    }
}

impl Door {
    fn run(mut self, waiting: &Receiver<Asked>) {
        loop {
            match waiting.recv_timeout(IDLE) {
                Ok(first) => {
                    let more = waiting.try_iter().take(MAX_QUESTIONS - 1);
                    let asked: Vec<Asked> = std::iter::once(first).chain(more).collect();
                    self.serve(asked);
                }
                Err(RecvTimeoutError::Timeout) => self.catch_up(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Folds what came while nobody asked. What is wrong shows when somebody does.
    fn catch_up(&mut self) {
        if self.lease.is_some() && self.try_once(&[]).is_err() {
            self.lease = None;
        }
    }

    fn serve(&mut self, asked: Vec<Asked>) {
        let (questions, replies): (Vec<String>, Vec<Reply>) = asked
            .into_iter()
            .map(|asked| (asked.question, asked.reply))
            .unzip();
        match self.answer(&questions) {
            Ok(told) => {
                for (told, reply) in told.into_iter().zip(replies) {
                    let _ = reply.send(told.map(predicted).map_err(DoorError::Refused));
                }
            }
            Err(why) => {
                tracing::warn!(model = self.model, why, "the door stands still");
                for reply in replies {
                    let _ = reply.send(Err(DoorError::Stands(why.clone())));
                }
            }
        }
    }

    /// Answers questions, durably, on whichever slot can be had.
    fn answer(&mut self, questions: &[String]) -> Result<Vec<Told>, String> {
        for _ in 0..MAX_SLOTS {
            if self.stopping.load(Ordering::SeqCst) {
                return Err(DoorError::Stopped.to_string());
            }
            match self.try_once(questions) {
                Ok(told) => return Ok(told),
                Err(Broken::Fenced) => {
                    self.lease = None;
                    self.slot = (self.slot + 1) % MAX_SLOTS;
                    tracing::info!(
                        model = self.model,
                        slot = self.slot,
                        "another gateway took the door's slot"
                    );
                }
                Err(Broken::Unknown(commit, told)) => {
                    self.lease = None;
                    // Whoever owns the slot again knows its last turn: it was ours, or nothing was written.
                    if self.was_written(&commit)? {
                        return Ok(told);
                    }
                }
                Err(Broken::Stands(why)) => {
                    self.lease = None;
                    return Err(why);
                }
            }
        }
        Err(format!(
            "{MAX_SLOTS} slots were taken over one after the other; run fewer gateways on this log"
        ))
    }

    fn was_written(&mut self, commit: &Commit) -> Result<bool, String> {
        match self.lease() {
            Ok(lease) => Ok(commit
                .turn
                .as_ref()
                .is_some_and(|turn| lease.runner.last() == (turn.number, turn.hash))),
            Err(Broken::Stands(why)) => Err(format!(
                "{why}; whether the prediction is in the log is not known"
            )),
            Err(Broken::Fenced | Broken::Unknown(..)) => {
                Err("whether the prediction is in the log is not known".into())
            }
        }
    }

    fn try_once(&mut self, questions: &[String]) -> Result<Vec<Told>, Broken> {
        let (store, resolver, stopping) = (
            self.store.clone(),
            Arc::clone(&self.resolver),
            Arc::clone(&self.stopping),
        );
        let lease = self.lease()?;
        loop {
            let mut told = None;
            let commit = lease.runner.turn_with(
                lease.reader.as_mut(),
                resolver.as_ref(),
                store.blobs.as_ref(),
                FetchLimit::default(),
                &mut |task, known, out| {
                    let ask = |question: &String| task.answer(known, question, out);
                    told = Some(questions.iter().map(ask).collect::<Vec<Told>>());
                },
            )?;
            let told = match commit {
                None => told,
                Some(commit) => match send(lease.worker.as_mut(), &commit, &stopping) {
                    Ok(()) => told,
                    Err(CommitError::Fenced(_)) => return Err(Broken::Fenced),
                    Err(CommitError::Unknown(_)) => {
                        return Err(Broken::Unknown(Box::new(commit), told.unwrap_or_default()));
                    }
                    Err(error) => return Err(Broken::Stands(error.to_string())),
                },
            };
            // A door that was far behind has only folded so far.
            if let Some(told) = told {
                return Ok(told);
            }
        }
    }

    /// The slot, taken and restored where it is not owned yet.
    fn lease(&mut self) -> Result<&mut Lease, Broken> {
        if self.lease.is_none() {
            self.lease = Some(self.take()?);
        }
        self.lease.as_mut().ok_or(Broken::Fenced)
    }

    fn take(&self) -> Result<Lease, Broken> {
        let spec = DoorMachine::spec(&self.project, &self.model, self.slot);
        let log = &self.store.log;
        // Owned first: what is read then is all that there will be of older owners.
        let (mut worker, mut reader) = (log.slot(&spec)?, log.reader()?);
        let machine = Frame::new(DoorMachine::new(&self.model), spec.clone());
        let runner = Runner::new(spec, Box::new(machine));
        let (resolver, blobs) = (self.resolver.as_ref(), self.store.blobs.as_ref());
        let sources = Sources {
            log: log.as_ref(),
            resolver,
            blobs,
        };
        let (mut runner, passed_over) = restore_one(runner, sources, reader.as_mut())?;
        for why in passed_over {
            tracing::warn!(why, "a snapshot is passed over");
        }
        while let Some(commit) =
            runner.turn(reader.as_mut(), resolver, blobs, FetchLimit::default())?
        {
            match send(worker.as_mut(), &commit, &self.stopping) {
                Ok(()) => {}
                Err(CommitError::Fenced(_)) => return Err(Broken::Fenced),
                Err(error) => return Err(Broken::Stands(error.to_string())),
            }
        }
        Ok(Lease {
            runner,
            worker,
            reader,
        })
    }
}

/// Commits, again where it was aborted.
fn send(
    worker: &mut dyn Worker,
    commit: &Commit,
    stopping: &AtomicBool,
) -> Result<(), CommitError> {
    let mut sent = worker.commit(std::slice::from_ref(commit));
    for _ in 0..RETRIES {
        if !matches!(sent, Err(CommitError::Aborted(_))) || stopping.load(Ordering::SeqCst) {
            break;
        }
        std::thread::sleep(LOOK);
        sent = worker.commit(std::slice::from_ref(commit));
    }
    sent
}

fn predicted(answers: Vec<Answer>) -> Predicted {
    let made = answers.into_iter().filter_map(|answer| match answer.event {
        Event::PredictionMade(made) => Some(made),
        _ => None,
    });
    Predicted {
        made: made.collect(),
    }
}

//! Prediction doors: a thread a model, which owns a slot of the log as long as it runs. Questions that wait are answered
//! together, in one turn: what came meanwhile in `deployments` and the other inputs is folded, the questions are asked,
//! and only when the turn with its predictions is committed do the askers get them.
//!
//! A slot that another process takes over is left to it: the door goes on with the next one. So any number of gateways
//! serve one model, each with a chain of turns of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use mainstem_kernel::log::{Commit, CommitError, FetchLimit, LogError, Reader, Worker};
use mainstem_kernel::restore::{Sources, restore_one};
use mainstem_kernel::rounds::Frame;
use mainstem_kernel::runner::{Runner, TaskError};
use mainstem_kernel::worker::{self, read_catalog, read_events};
use mainstem_kernel::{Answer, Refused};
use mainstem_rooms::serving::{DoorMachine, Question};
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::{Event, PredictionMade};
use mainstem_schemas::topics;
use tokio::sync::oneshot;

use super::answered::{Answered, OtherQuestion};
use crate::metrics::Watcher;
use crate::resolver::StoreResolver;
use crate::store::{Store, StoreError};

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
    /// The key is another question's.
    #[error(transparent)]
    OtherQuestion(#[from] OtherQuestion),
    /// The gateway stops.
    #[error("the gateway stops; ask again when it is back")]
    Stopped,
}

/// Where an answer goes.
pub(super) type Reply = oneshot::Sender<Result<Predicted, DoorError>>;

/// A question that waits.
pub(super) struct Asked {
    pub question: Question,
    /// Whether it may have been sent before.
    pub keyed: bool,
    pub reply: Reply,
}

/// One model's door.
pub(super) struct Door {
    store: Store,
    resolver: Arc<StoreResolver>,
    project: Arc<Project>,
    model: String,
    stopping: Arc<AtomicBool>,
    watcher: Arc<Watcher>,
    slot: u32,
    lease: Option<Lease>,
    answered: Option<Answered>,
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

/// What was answered to a question that was sent before.
type Before = Result<Vec<PredictionMade>, OtherQuestion>;

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
    /// A door that owns no slot yet.
    pub fn new(
        store: Store,
        resolver: Arc<StoreResolver>,
        project: Arc<Project>,
        model: &str,
        stopping: Arc<AtomicBool>,
        watcher: Arc<Watcher>,
    ) -> Self {
        Door {
            store,
            resolver,
            project,
            model: model.to_owned(),
            stopping,
            watcher,
            slot: 0,
            lease: None,
            answered: None,
        }
    }

    /// Serves until nobody can ask any more.
    pub fn run(mut self, waiting: &Receiver<Asked>) {
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
        let (mut fresh, mut later) = (Vec::<Asked>::new(), Vec::new());
        for one in asked {
            // The same question twice at once: the second finds the answer of the first.
            if one.keyed && fresh.iter().any(|other| is_same(other, &one)) {
                later.push(one);
                continue;
            }
            match one.keyed.then(|| self.before(&one.question)).transpose() {
                Ok(None | Some(None)) => fresh.push(one),
                Ok(Some(Some(told))) => {
                    let made = told.map(|made| Predicted { made });
                    let _ = one.reply.send(made.map_err(DoorError::OtherQuestion));
                }
                Err(why) => {
                    let _ = one.reply.send(Err(DoorError::Stands(why.to_string())));
                }
            }
        }
        if !fresh.is_empty() {
            self.serve_fresh(fresh);
        }
        if !later.is_empty() {
            self.serve(later);
        }
    }

    /// The answer that a question got before. The slot is owned first: what an older owner wrote is all there then.
    fn before(&mut self, question: &Question) -> Result<Option<Before>, StoreError> {
        // What is wrong with the slot shows when the question is asked.
        let _ = self.lease();
        if self.answered.is_none() {
            self.answered = Some(Answered::new(&self.store, &self.project, &self.model)?);
        }
        match &mut self.answered {
            Some(answered) => Ok(answered.find(question)?),
            None => Ok(None),
        }
    }

    fn serve_fresh(&mut self, asked: Vec<Asked>) {
        let (questions, replies): (Vec<String>, Vec<Reply>) = asked
            .into_iter()
            .map(|asked| (asked.question.to_json(), asked.reply))
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

    /// Whether a turn whose commit broke off is in the log. The slot is taken first: what is not there then never comes.
    fn was_written(&mut self, commit: &Commit) -> Result<bool, String> {
        let unknown =
            |why: String| format!("{why}; whether the prediction is in the log is not known");
        let (project, store) = (self.project.name.clone(), self.store.clone());
        self.lease().map_err(|broken| match broken {
            Broken::Stands(why) => unknown(why),
            Broken::Fenced | Broken::Unknown(..) => unknown("another gateway has the slot".into()),
        })?;
        let sent = commit.turn.as_ref().map(|turn| turn.hash);
        let mut found = false;
        let mut look = || -> Result<(), LogError> {
            let mut reader = store.log.reader()?;
            let catalog = read_catalog(reader.as_mut(), &project)?;
            let turns = topics::fixed(&project, "turns");
            read_events(reader.as_mut(), &catalog, &turns, |event| {
                found |= matches!(event, Event::Turn(turn) if Some(turn.hash) == sent);
            })
        };
        look().map_err(|error| unknown(error.to_string()))?;
        Ok(found)
    }

    fn try_once(&mut self, questions: &[String]) -> Result<Vec<Told>, Broken> {
        let (store, resolver) = (self.store.clone(), Arc::clone(&self.resolver));
        let (stopping, watcher) = (Arc::clone(&self.stopping), Arc::clone(&self.watcher));
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
                Some(commit) => match send(lease.worker.as_mut(), &commit, &stopping, &watcher) {
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
            observer: self.watcher.as_ref(),
        };
        let (mut runner, passed_over) = restore_one(runner, sources, reader.as_mut())?;
        let warn = |why: &String| tracing::warn!(why, "a snapshot is passed over");
        passed_over.iter().for_each(warn);
        while let Some(commit) =
            runner.turn(reader.as_mut(), resolver, blobs, FetchLimit::default())?
        {
            match send(worker.as_mut(), &commit, &self.stopping, &self.watcher) {
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
    watcher: &Watcher,
) -> Result<(), CommitError> {
    let mut commit = || worker::commit(worker, std::slice::from_ref(commit), watcher);
    let mut sent = commit();
    for _ in 0..RETRIES {
        if !matches!(sent, Err(CommitError::Aborted(_))) || stopping.load(Ordering::SeqCst) {
            break;
        }
        std::thread::sleep(LOOK);
        sent = commit();
    }
    sent
}

fn is_same(one: &Asked, other: &Asked) -> bool {
    let origin = |asked: &Asked| Some(asked.question.rows.first()?.origin);
    origin(one) == origin(other)
}

fn predicted(answers: Vec<Answer>) -> Predicted {
    let made = |answer: Answer| match answer.event {
        Event::PredictionMade(made) => Some(made),
        _ => None,
    };
    let made = answers.into_iter().filter_map(made).collect();
    Predicted { made }
}

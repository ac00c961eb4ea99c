//! The doors of all models, each opened by the first question.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use mainstem_rooms::serving::Question;
use mainstem_schemas::definition::Project;
use tokio::sync::oneshot;

use super::doors::{Asked, Door, DoorError, Predicted};
use super::lock;
use crate::metrics::{Metrics, Watcher};
use crate::resolver::StoreResolver;
use crate::store::Store;

struct Thread {
    questions: Sender<Asked>,
    handle: JoinHandle<()>,
}

/// The doors.
pub(super) struct Hall {
    store: Store,
    metrics: Metrics,
    resolver: Arc<StoreResolver>,
    stopping: Arc<AtomicBool>,
    threads: Mutex<BTreeMap<String, Thread>>,
}

impl Hall {
    pub fn new(store: &Store, metrics: &Metrics, stopping: Arc<AtomicBool>) -> Self {
        let resolver = Arc::new(StoreResolver::new(store.blobs.clone()));
        Hall {
            store: store.clone(),
            metrics: metrics.clone(),
            resolver,
            stopping,
            threads: Mutex::default(),
        }
    }

    /// Asks the door of a model that the project has. A question under a key gets the answer that it got before.
    pub fn ask(
        &self,
        project: &Arc<Project>,
        model: &str,
        question: Question,
        keyed: bool,
    ) -> oneshot::Receiver<Result<Predicted, DoorError>> {
        let (reply, answer) = oneshot::channel();
        let mut asked = Asked {
            question,
            keyed,
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
        let store = self.store.clone();
        let (resolver, stopping) = (Arc::clone(&self.resolver), Arc::clone(&self.stopping));
        let watcher = Watcher::new(&self.metrics, &store, &project.name);
        let (project, watcher) = (Arc::clone(project), Arc::new(watcher));
        let door = Door::new(store, resolver, project, model, stopping, watcher);
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

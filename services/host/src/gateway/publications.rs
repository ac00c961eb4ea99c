//! Publications of the door: one for each source and actor, begun with the first record. So the rows of all requests are
//! numbered on, and the event that begun a publication names whose records they are.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mainstem_ingest::{Encoder, IngestError, Row};
use mainstem_schemas::definition::{EventTime, Project};
use tokio::sync::oneshot;

use super::lock;
use super::posts::{Post, Posts, Told};
use super::records::Record;
use super::routes::MAX_REQUESTS;
use crate::metrics::Metrics;
use crate::publisher::{PublishError, source_of};
use crate::store::Store;

/// Publications that are kept open: each holds a thread and a writer of the log. The one that was used least lately makes
/// room, and begins anew with its next record.
const MAX_OPEN: usize = 64;

/// Posts that wait for one publication: as many as there are requests at once. Beyond them wait only those whose askers
/// were told that the log is slow.
const MAX_WAITING: usize = MAX_REQUESTS;

/// How long publications may take to end when the gateway stops: nobody waits for their answers any more, and a log that
/// is away would hold the process back for minutes.
const GRACE: Duration = Duration::from_millis(250);

/// How often their end is looked for.
const LOOK: Duration = Duration::from_millis(2);

/// A record that was refused.
pub(super) struct Refused {
    /// Its place among the records of the request, counting from 1.
    pub record: u64,
    /// Line of the body.
    pub line: u64,
    /// Field that does not fit, where it is one.
    pub field: Option<String>,
    /// What is wrong and what to do.
    pub reason: String,
}

/// What becomes of the records of a request.
#[derive(Default)]
pub(super) struct Taken {
    /// Records for `arrivals`.
    pub accepted: u64,
    /// Records for `rejects`.
    pub rejected: Vec<Refused>,
}

/// Reads the records of a request as rows of a source; their numbers are allotted when they are written.
///
/// # Errors
/// Where the source takes no posts.
pub(super) fn rows(
    project: &Project,
    source: &str,
    records: &[Record<'_>],
) -> Result<(Vec<Row>, Taken), PublishError> {
    let declared = source_of(project, source)?;
    if matches!(declared.time, EventTime::Row { .. }) {
        return Err(PublishError::NoDoor(source.into()));
    }
    let mut encoder = Encoder::new(source, declared).map_err(IngestError::from)?;
    let (mut rows, mut taken) = (Vec::with_capacity(records.len()), Taken::default());
    for (record, number) in records.iter().zip(1..) {
        let outcome = encoder.json(0, record.bytes);
        match &outcome {
            Ok(_) => taken.accepted += 1,
            Err(reject) => taken.rejected.push(Refused {
                record: number,
                line: record.line,
                field: reject.field.clone(),
                reason: reject.reason.clone(),
            }),
        }
        rows.push(Row {
            row: 0,
            line: record.line,
            outcome,
        });
    }
    Ok((rows, taken))
}

/// The door's publications.
pub(super) struct Publications {
    store: Store,
    metrics: Metrics,
    /// The one that was used last is the last.
    places: Mutex<VecDeque<Place>>,
    /// Whoever begins fences others who do: inside this process they wait for each other.
    begin: Arc<Mutex<()>>,
}

struct Place {
    source: String,
    actor: String,
    posts: SyncSender<Post>,
    /// How many of them wait.
    queued: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Place {
    /// Hands a post to the thread; it is back where that cannot take it.
    fn hand(&self, post: Post) -> Result<(), TrySendError<Post>> {
        // Counted first: the thread counts down when it has it.
        self.queued.fetch_add(1, Ordering::SeqCst);
        let handed = self.posts.try_send(post);
        if handed.is_err() {
            self.queued.fetch_sub(1, Ordering::SeqCst);
        }
        handed
    }
}

/// Why posts are not taken now.
pub(super) enum NotTaken {
    /// Too many wait.
    Full,
    /// The system gives no thread.
    Thread(std::io::Error),
}

impl Publications {
    pub fn new(store: &Store, metrics: &Metrics) -> Self {
        Publications {
            store: store.clone(),
            metrics: metrics.clone(),
            places: Mutex::default(),
            begin: Arc::default(),
        }
    }

    /// Appends the rows of a request, good and bad ones at once; the answer comes when they are in the log.
    ///
    /// # Errors
    /// Where nothing is or will be appended.
    pub fn publish(
        &self,
        project: &Arc<Project>,
        source: &str,
        actor: &str,
        rows: Vec<Row>,
    ) -> Result<oneshot::Receiver<Told>, NotTaken> {
        let (reply, answer) = oneshot::channel();
        let mut post = Post {
            project: Arc::clone(project),
            rows,
            reply,
        };
        let mut places = lock(&self.places);
        let of = |place: &Place| place.source == source && place.actor == actor;
        if let Some(place) = places.iter().position(of).and_then(|at| places.remove(at)) {
            match place.hand(post) {
                Ok(()) => {
                    places.push_back(place);
                    return Ok(answer);
                }
                Err(TrySendError::Full(_)) => {
                    places.push_back(place);
                    return Err(NotTaken::Full);
                }
                // It panicked; another takes its place.
                Err(TrySendError::Disconnected(back)) => post = back,
            }
        }
        if places.len() >= MAX_OPEN {
            places.pop_front();
        }
        let place = self.open(source, actor).map_err(NotTaken::Thread)?;
        // Its first; it goes into an empty queue.
        let _ = place.hand(post);
        places.push_back(place);
        Ok(answer)
    }

    fn open(&self, source: &str, actor: &str) -> std::io::Result<Place> {
        let (posts, waiting) = sync_channel(MAX_WAITING);
        let (begin, queued) = (Arc::clone(&self.begin), Arc::<AtomicUsize>::default());
        let whose = (source, actor);
        let door = Posts::new(
            &self.store,
            &self.metrics,
            begin,
            whose,
            Arc::clone(&queued),
        );
        let thread = std::thread::Builder::new()
            .name(format!("posts {source}"))
            .spawn(move || door.run(&waiting))?;
        Ok(Place {
            source: source.to_owned(),
            actor: actor.to_owned(),
            posts,
            queued,
            thread,
        })
    }

    /// Has the threads write what waits, and end.
    pub fn close(&self) {
        let places = std::mem::take(&mut *lock(&self.places));
        let threads: Vec<_> = places.into_iter().map(|place| place.thread).collect();
        let deadline = Instant::now() + GRACE;
        while !threads.iter().all(JoinHandle::is_finished) && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
    }
}

//! One publication of the door, on a thread of its own. What is posted while an append is under way is appended together
//! in the next one: an append costs the log the same some milliseconds, whoever shares it. Each post is answered once its
//! own rows are in the log.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstem_ingest::Row;
use mainstem_kernel::log::{CommitError, LogError};
use mainstem_schemas::definition::Project;
use tokio::sync::oneshot;

use super::lock;
use crate::metrics::Metrics;
use crate::publisher::{DOOR, Publication, PublishError, Published};
use crate::store::Store;

/// Rows of one append, but for a post that has more by itself: as many as a post may have, some megabytes. Beyond them the
/// cost of an append no longer counts beside that of its rows.
const ROWS: usize = 10_000;

/// Bytes of one append, but for a post that has more by itself: those of the largest body.
const BYTES: usize = 8 << 20;

/// The part of an append's time for which others are waited for: a tenth is lost where nobody comes, and clients of this
/// machine or the next are back within less.
const SHARE: u32 = 10;

/// The longest that they are waited for: the first append begins the publication, and a broker that restarts takes seconds.
const LONGEST: Duration = Duration::from_millis(5);

/// What becomes of a post. The posts of one append share its error.
pub(super) type Told = Result<(), Arc<PublishError>>;

/// Where it is told.
pub(super) type Reply = oneshot::Sender<Told>;

/// The rows of a request.
pub(super) struct Post {
    /// The definition that they were read by.
    pub project: Arc<Project>,
    pub rows: Vec<Row>,
    pub reply: Reply,
}

impl Post {
    fn bytes(&self) -> usize {
        let bytes = |row: &Row| match &row.outcome {
            Ok(good) => good.key.len() + good.body.len(),
            Err(reject) => reject.bytes.len(),
        };
        self.rows.iter().map(bytes).sum()
    }
}

/// The posts of one actor to one source.
pub(super) struct Posts {
    store: Store,
    metrics: Metrics,
    begin: Arc<Mutex<()>>,
    source: String,
    actor: String,
    open: Option<Open>,
    /// Posts in the queue.
    queued: Arc<AtomicUsize>,
    company: Company,
}

struct Open {
    publication: Publication,
    project: Arc<Project>,
    /// Rows so far.
    rows: u64,
}

/// Who shares the next append. Clients that wait for their answers get them all at once, and post again within a
/// millisecond or so: without a moment's wait the first of them would have an append of its own, or those that waited
/// meanwhile would, and clients be served by halves.
#[derive(Default)]
struct Company {
    /// Posts that were answered last, and those that waited just then: of so many clients at least.
    posts: usize,
    /// How long as many are waited for: a small part of the time that the last append took.
    wait: Duration,
}

impl Posts {
    /// Of a publication that is begun with the first post. `queued` counts those that wait for it.
    pub fn new(
        store: &Store,
        metrics: &Metrics,
        begin: Arc<Mutex<()>>,
        (source, actor): (&str, &str),
        queued: Arc<AtomicUsize>,
    ) -> Self {
        Posts {
            store: store.clone(),
            metrics: metrics.clone(),
            begin,
            source: source.to_owned(),
            actor: actor.to_owned(),
            open: None,
            queued,
            company: Company::default(),
        }
    }

    /// Serves until nobody can post any more and nothing waits.
    pub fn run(mut self, waiting: &Receiver<Post>) {
        let mut next = None;
        while let Some(first) = next.take().or_else(|| self.take(waiting, None)) {
            let (group, beyond) = self.gather(first, waiting);
            next = beyond;
            let begun = Instant::now();
            let served = self.serve(group);
            let queued = self.queued.load(Ordering::SeqCst) + usize::from(next.is_some());
            self.company = Company {
                posts: served.len() + queued,
                wait: (begun.elapsed() / SHARE).min(LONGEST),
            };
            for (reply, told) in served {
                // Who is gone needs no answer.
                let _ = reply.send(told);
            }
        }
    }

    /// The next post: whenever it comes, or within a time.
    fn take(&self, waiting: &Receiver<Post>, within: Option<Duration>) -> Option<Post> {
        let post = match within {
            Some(time) => waiting.recv_timeout(time).ok(),
            None => waiting.recv().ok(),
        };
        let post = post?;
        self.queued.fetch_sub(1, Ordering::SeqCst);
        Some(post)
    }

    /// What is appended with the first post, and the one that is too much or of another definition.
    fn gather(&self, first: Post, waiting: &Receiver<Post>) -> (Vec<Post>, Option<Post>) {
        let (mut rows, mut bytes) = (first.rows.len(), first.bytes());
        let (mut group, deadline) = (vec![first], Instant::now() + self.company.wait);
        while rows < ROWS && bytes < BYTES {
            let wait = match group.len() < self.company.posts {
                true => deadline.saturating_duration_since(Instant::now()),
                false => Duration::ZERO,
            };
            let Some(post) = self.take(waiting, Some(wait)) else {
                break;
            };
            rows += post.rows.len();
            bytes += post.bytes();
            if rows > ROWS || bytes > BYTES || !is_same(&group[0].project, &post.project) {
                return (group, Some(post));
            }
            group.push(post);
        }
        (group, None)
    }

    /// Appends posts, and gives what their askers are told.
    fn serve(&mut self, mut group: Vec<Post>) -> Vec<(Reply, Told)> {
        let told = match self.append(&mut group) {
            // Nothing was written: whose rows they are that the log does not take, shows one by one.
            Err(PublishError::Commit(CommitError::Log(_))) if group.len() > 1 => {
                let alone = |post| self.serve(vec![post]);
                return group.into_iter().flat_map(alone).collect();
            }
            told => told.map_err(Arc::new),
        };
        let answer = |post: Post| (post.reply, told.clone());
        group.into_iter().map(answer).collect()
    }

    /// Appends the rows of posts of one definition, all of them at once.
    fn append(&mut self, group: &mut [Post]) -> Result<(), PublishError> {
        let Some(project) = group.first().map(|post| Arc::clone(&post.project)) else {
            return Ok(());
        };
        let open = self.open.take();
        let mut open = match open.filter(|open| is_same(&open.project, &project)) {
            Some(open) => Open { project, ..open },
            None => self.begin(project)?,
        };
        let (mut row, mut published) = (open.rows, Published::default());
        for one in group.iter_mut().flat_map(|post| &mut post.rows) {
            one.row = row;
            row += 1;
            open.publication.put(one, &mut published)?;
        }
        match open.publication.flush() {
            Ok(()) => open.rows = row,
            Err(error) => {
                // Else the publication is not used again: rows that may be in the log keep their numbers.
                if is_refused(&error, group.len()) {
                    self.open = Some(open);
                }
                return Err(error);
            }
        }
        self.open = Some(open);
        let label = [("source", self.source.clone())];
        self.metrics.http().appends.get_or_create(&label).inc();
        Ok(())
    }

    fn begin(&self, project: Arc<Project>) -> Result<Open, PublishError> {
        let _alone = lock(&self.begin);
        let (store, source) = (&self.store, self.source.as_str());
        let publication = Publication::begin(store, &project, source, DOOR, &self.actor, None)?;
        Ok(Open {
            publication,
            project,
            rows: 0,
        })
    }
}

fn is_same(one: &Arc<Project>, other: &Arc<Project>) -> bool {
    Arc::ptr_eq(one, other) || one.digest() == other.digest()
}

/// Whether the log refuses these rows and will take others. Of several posts only some may be at fault, and their next
/// tries tell.
fn is_refused(error: &PublishError, posts: usize) -> bool {
    match error {
        PublishError::Commit(CommitError::Log(LogError::TooLarge { .. })) => true,
        PublishError::Commit(CommitError::Log(_)) => posts > 1,
        _ => false,
    }
}

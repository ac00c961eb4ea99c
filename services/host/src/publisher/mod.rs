//! Files and streams into sources. What does not fit goes to `rejects` with its bytes and a reason; the rest goes
//! through. Arrivals and rejects of a chunk are one append, so a publication that was killed resumes after the last
//! row that the log holds: nothing is lost, nothing doubled.

mod paced;
mod publication;

use std::io::BufRead;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use mainstem_ingest::{IngestError, Reader, Row};
use mainstem_kernel::log::{CommitError, LogError};
use mainstem_kernel::pace::PaceError;
use mainstem_schemas::definition::{Project, Source};
use mainstem_schemas::events::Unreadable;

use crate::store::{Store, StoreError};

pub use paced::{Pace, publish_paced};
pub use publication::Publication;

/// How long rows of a pipe wait for others to be appended with: a flush takes some milliseconds.
const LINGER: Duration = Duration::from_millis(20);

/// Rows of a pipe that are read ahead: few, for each may have a mebibyte.
const AHEAD: usize = 8;

/// Why publishing stopped. What was appended stays; `--resume` goes on after it.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log refuses.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An append failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The input is unreadable as a whole.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The schemas are not registered.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The paced run stopped.
    #[error(transparent)]
    Pace(#[from] PaceError),
    /// The wall clock moves by itself.
    #[error(
        "--pace moves the log's clock, and the project says `clock: wall`; leave --pace out, or write `clock: stream` into \
         the project file and apply it"
    )]
    WallClock,
    /// No such source.
    #[error("there is no source {name} in the project; it has: {known}")]
    UnknownSource {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Nothing to resume.
    #[error("no publication of {0:?} was begun; publish it without --resume")]
    NothingToResume(String),
}

/// What a publication brought in.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Records in `arrivals`.
    pub accepted: u64,
    /// Records in `rejects`.
    pub rejected: u64,
    /// Rows skipped because the log held them already.
    pub skipped: u64,
}

/// Format of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// CSV with a header.
    Csv,
    /// An object a line.
    JsonLines,
}

/// What is published into what.
pub struct Input<'a, R> {
    /// The project.
    pub project: &'a Project,
    /// Name of the source.
    pub source: &'a str,
    /// Name of what is published.
    pub name: &'a str,
    /// Its format.
    pub format: Format,
    /// Its bytes.
    pub bytes: R,
    /// Who publishes.
    pub actor: &'a str,
    /// Whether to go on with a publication of that name.
    pub resume: bool,
}

/// The source of a name.
///
/// # Errors
/// [`PublishError::UnknownSource`] with the names there are.
pub fn source_of<'a>(project: &'a Project, name: &str) -> Result<&'a Source, PublishError> {
    project
        .sources
        .get(name)
        .ok_or_else(|| PublishError::UnknownSource {
            name: name.into(),
            known: project
                .sources
                .keys()
                .cloned()
                .collect::<Vec<_>>()
                .join(", "),
        })
}

/// Publishes everything at once, as it comes.
///
/// # Errors
/// [`PublishError`].
pub fn publish<R: BufRead>(store: &Store, input: Input<'_, R>) -> Result<Published, PublishError> {
    let (mut publication, rows) = open(store, input)?;
    let mut published = Published::default();
    for row in rows {
        publication.put(row?, &mut published)?;
        if publication.is_full() {
            publication.flush()?;
        }
    }
    publication.flush()?;
    Ok(published)
}

/// Publishes what comes through a pipe, as it comes: rows are appended once none has come for a moment, for the next may
/// be long in coming.
///
/// # Errors
/// [`PublishError`].
pub fn publish_live<R: BufRead + Send + 'static>(
    store: &Store,
    input: Input<'_, R>,
) -> Result<Published, PublishError> {
    let (mut publication, rows) = open(store, input)?;
    let (sender, coming) = sync_channel(AHEAD);
    // Nobody waits for its end: it may stand in a read for ever.
    let read = move || {
        for row in rows {
            if sender.send(row).is_err() {
                return;
            }
        }
    };
    let reader = std::thread::Builder::new().name("rows".into()).spawn(read);
    let reader = reader.map_err(IngestError::Io)?;
    let mut published = Published::default();
    loop {
        let row = match coming.recv_timeout(LINGER) {
            Ok(row) => row,
            Err(RecvTimeoutError::Timeout) => {
                publication.flush()?;
                match coming.recv() {
                    Ok(row) => row,
                    Err(_) => break,
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        publication.put(row?, &mut published)?;
        if publication.is_full() {
            publication.flush()?;
        }
    }
    publication.flush()?;
    // A pipe that ended and a defect look alike from here.
    let defect = |_| IngestError::Io(std::io::Error::other("a defect of mainstem; report it"));
    reader.join().map_err(defect)?;
    Ok(published)
}

type Rows<R> = Reader<R>;

/// The publication and the rows of an input.
fn open<R: BufRead>(
    store: &Store,
    input: Input<'_, R>,
) -> Result<(Publication, Rows<R>), PublishError> {
    let source = source_of(input.project, input.source)?;
    let rows = match input.format {
        Format::Csv => Reader::csv(input.source, source, input.bytes)?,
        Format::JsonLines => Reader::jsonl(input.source, source, input.bytes)?,
    };
    let begin = if input.resume {
        Publication::resume
    } else {
        Publication::begin
    };
    Ok((
        begin(store, input.project, input.source, input.name, input.actor)?,
        rows,
    ))
}

/// Event time of a row, where it has one.
fn time_of(row: &Row) -> Option<mainstem_schemas::Millis> {
    row.outcome.as_ref().ok().map(|good| good.event_time)
}

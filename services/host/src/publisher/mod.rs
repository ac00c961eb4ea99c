//! Files and streams into sources. What does not fit goes to `rejects` with its bytes and a reason; the rest goes
//! through. Arrivals and rejects of a chunk are one append, so a publication that was killed resumes after the last
//! row that the log holds: nothing is lost, nothing doubled.

mod beginning;
mod paced;
mod publication;
#[cfg(test)]
mod tests;
mod waiting;

use std::io::{BufRead, Chain, Cursor, Read};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use mainstem_ingest::{IngestError, Reader, Row};
use mainstem_kernel::log::{CommitError, LogError};
use mainstem_kernel::pace::PaceError;
use mainstem_schemas::definition::{Project, Source};
use mainstem_schemas::events::Unreadable;
use mainstem_schemas::{Millis, Span};

use crate::store::{Store, StoreError};

use beginning::Beginning;

pub use paced::{Pace, publish_paced};
pub use publication::Publication;

/// How long rows of a pipe wait for others to be appended with: a flush takes some milliseconds.
const LINGER: Duration = Duration::from_millis(20);

/// Rows of a pipe that are read ahead: few, for each may have a mebibyte.
const AHEAD: usize = 8;

/// What the publications of the HTTP door are called.
pub const DOOR: &str = "http";

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
    /// The first row of a paced run lies too far from where the run begins.
    #[error(
        "row {row} (line {line}) is the first with a time, {time}, more than {steps} steps of {step} after the first step, \
         which ends at {first}; if its time is right, say --pace-from with a time shortly after it, and --resume; if it is \
         wrong, mend the file and publish it"
    )]
    FarFromFirst {
        /// The row, counting from 0.
        row: u64,
        /// Its line, counting from 1.
        line: u64,
        /// Its event time.
        time: Millis,
        /// End of the first step.
        first: Millis,
        /// Length of the others.
        step: Span,
        /// Steps that would have been walked.
        steps: i64,
    },
    /// No such source.
    #[error("there is no source {name} in the project; it has: {known}")]
    UnknownSource {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Others write the source's records.
    #[error(
        "the source {source_name} comes from the topic {topic}, and has no other writer; write to that topic, or declare a source without `topic`"
    )]
    Copied {
        /// The source.
        source_name: String,
        /// The topic.
        topic: String,
    },
    /// Nothing to resume.
    #[error("no publication of {0:?} was begun; publish it without --resume")]
    NothingToResume(String),
    /// Others got ahead of it again and again.
    #[error(
        "the publication was not begun in {tries} tries, the last of which ended so: {why}; publish it again"
    )]
    NotBegun {
        /// How often it was tried.
        tries: usize,
        /// Why the last try failed.
        why: CommitError,
    },
    /// Something else has the name.
    #[error(
        "what was published as {0:?} began otherwise, so this is another file; publish it without --resume"
    )]
    AnotherFile(String),
    /// It was published before.
    #[error(
        "{name:?} was published before, and began as it does now (publication {number}); go on with it with --resume, or, \
         if its rows shall go in once more, give the file another name"
    )]
    Again {
        /// Name of the file.
        name: String,
        /// Number of the publication.
        number: i64,
    },
    /// The rows of a second publication would have the times of the first.
    #[error(
        "the source {source_name} gives rows their times by their number (`time: {{start, every}}`), so all of them are one \
         publication, and {name:?} was begun: rows of another would begin at `start` again, and none would be newer. \
         Add the rows to that file and publish it with --resume, or declare a source with a time column: \
         time: {{column: …}}"
    )]
    TimedByRow {
        /// Name of the source.
        source_name: String,
        /// What its publication is called.
        name: String,
    },
    /// Each publication of the door would have the same times.
    #[error(
        "the source {0} gives rows their times by their number in one file (`time: {{start, every}}`), and a record that is \
         posted has none; publish a file, or declare a source with a time column: time: {{column: …}}"
    )]
    NoDoor(String),
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
    /// Records of a paced run that lie so far after their step that they went in with it; all are accepted, and the tasks
    /// quarantine them.
    pub astray: u64,
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
    /// Whether it is a file: its beginning can be read without waiting for somebody to write it.
    pub is_file: bool,
}

/// The source of a name, which takes publications.
///
/// # Errors
/// [`PublishError::UnknownSource`] with the names there are, [`PublishError::Copied`].
pub fn source_of<'a>(project: &'a Project, name: &str) -> Result<&'a Source, PublishError> {
    let known = || project.sources.keys().cloned().collect::<Vec<_>>();
    let unknown = || PublishError::UnknownSource {
        name: name.into(),
        known: known().join(", "),
    };
    let source = project.sources.get(name).ok_or_else(unknown)?;
    match &source.topic {
        None => Ok(source),
        Some(topic) => Err(PublishError::Copied {
            source_name: name.into(),
            topic: topic.name.clone(),
        }),
    }
}

/// Publishes everything at once, as it comes.
///
/// # Errors
/// [`PublishError`].
pub fn publish<R: BufRead>(store: &Store, input: Input<'_, R>) -> Result<Published, PublishError> {
    let (mut publication, rows) = open(store, input)?;
    let mut published = Published::default();
    for row in rows {
        publication.put(&row?, &mut published)?;
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
        publication.put(&row?, &mut published)?;
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

type Rows<R> = Reader<Chain<Cursor<Vec<u8>>, R>>;

/// The publication and the rows of an input.
fn open<R: BufRead>(
    store: &Store,
    mut input: Input<'_, R>,
) -> Result<(Publication, Rows<R>), PublishError> {
    let (project, name) = (input.project, input.name);
    let source = source_of(project, input.source)?;
    let beginning = match input.is_file {
        true => Some(Beginning::read(&mut input.bytes).map_err(IngestError::from)?),
        false => None,
    };
    let begin = beginning
        .as_ref()
        .map_or_else(Vec::new, |begin| begin.0.clone());
    let bytes = Cursor::new(begin).chain(input.bytes);
    let rows = match input.format {
        Format::Csv => Reader::csv(input.source, source, bytes)?,
        Format::JsonLines => Reader::jsonl(input.source, source, bytes)?,
    };
    let publication = if input.resume {
        Publication::resume(store, project, input.source, name, beginning.as_ref())?
    } else {
        let content = beginning.as_ref().map(Beginning::digest);
        Publication::begin(store, project, input.source, name, input.actor, content)?
    };
    Ok((publication, rows))
}

/// Event time of a row, where it has one.
fn time_of(row: &Row) -> Option<Millis> {
    row.outcome.as_ref().ok().map(|good| good.event_time)
}

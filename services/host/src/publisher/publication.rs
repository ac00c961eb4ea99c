//! One publication: its number, its place, and its appends.

use std::collections::BTreeMap;

use mainstem_ingest::{Good, Reject, Row};
use mainstem_kernel::log::{CommitError, Partition, Reader, Writer};
use mainstem_kernel::worker::for_each;
use mainstem_schemas::definition::{EventTime, Project, Source};
use mainstem_schemas::envelope::attribute;
use mainstem_schemas::events::{Event, PublicationStarted, RecordRejected};
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::{Batch, Catalog, Digest, Envelope, EventId, Millis, topics, wire};

use super::beginning::Beginning;
use super::{PublishError, Published, source_of};
use crate::store::{Store, each_event};

/// How often an append that was aborted is sent again before the publication stops.
const RETRIES: usize = 20;

/// How often a number is asked for that another publisher got ahead of: each time one of them has gone through, so a
/// hundred are more publishers than begin at one moment, or the log is in trouble.
const TRIES: usize = 100;

/// Rows of one append: large enough that the flush of a commit is shared by many, small enough to be one.
const CHUNK: usize = 1_000;

/// Bytes of one append: a row may have a mebibyte, and a thousand of those would be more than a log takes at once. One
/// more row is at most a mebibyte of body and one of key.
const CHUNK_BYTES: usize = 4 << 20;

/// A publication that is being written.
pub struct Publication {
    writer: Box<dyn Writer>,
    catalog: Catalog,
    project: String,
    source_name: String,
    source: Source,
    partitions: u32,
    schema: u32,
    /// Number within the source.
    pub number: u32,
    name: String,
    skip: Option<u64>,
    batches: BTreeMap<Partition, Batch>,
    buffered: usize,
    bytes: usize,
    last_time: Millis,
}

impl Publication {
    /// Begins a publication: allots its number by an event.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn begin(
        store: &Store,
        project: &Project,
        source: &str,
        name: &str,
        actor: &str,
        content: Option<Digest>,
    ) -> Result<Self, PublishError> {
        let mut tries = 1;
        loop {
            // Whoever begins fences the others, reads all numbers, and takes the next: no two get the same one.
            let mut writer = store.log.writer("publications")?;
            let catalog = store.catalog(&project.name)?;
            let begun = begun(store, &catalog, project, source)?;
            refuse_second(&begun, project, source, name, content)?;
            let number = begun
                .iter()
                .map(|event| event.publication)
                .max()
                .unwrap_or(0)
                + 1;
            let event = PublicationStarted {
                source: source.into(),
                publication: number,
                name: name.into(),
                content,
            };
            let batch = request(&catalog, source, actor, &Event::PublicationStarted(event))?;
            let topic = topics::fixed(&project.name, "requests.sources");
            match writer.append(&[(
                Partition::new(&topic, partition_of(source.as_bytes(), 1)),
                batch,
            )]) {
                Ok(()) => return Self::open(store, project, source, name, number as u32),
                Err(CommitError::Fenced(_) | CommitError::Aborted(_)) if tries < TRIES => {
                    tries += 1
                }
                Err(why @ (CommitError::Fenced(_) | CommitError::Aborted(_))) => {
                    return Err(PublishError::NotBegun { tries, why });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Goes on with the last publication of that name and beginning: after the last of its rows that the log holds.
    ///
    /// # Errors
    /// [`PublishError::NothingToResume`] where none was begun, [`PublishError::AnotherFile`] where none began so.
    pub(super) fn resume(
        store: &Store,
        project: &Project,
        source: &str,
        name: &str,
        beginning: Option<&Beginning>,
    ) -> Result<Self, PublishError> {
        let catalog = store.catalog(&project.name)?;
        let mut begun = begun(store, &catalog, project, source)?;
        begun.retain(|event| event.name == name);
        if begun.is_empty() {
            return Err(PublishError::NothingToResume(name.into()));
        }
        let number = going_on(&begun, beginning)
            .ok_or_else(|| PublishError::AnotherFile(name.into()))?
            .publication as u32;
        // Fenced first: what is read then is all that there will be of an older publisher that is still alive.
        let mut publication = Self::open(store, project, source, name, number)?;
        publication.skip = last_row(store.log.reader()?.as_mut(), project, source, number)?;
        Ok(publication)
    }

    fn open(
        store: &Store,
        project: &Project,
        source_name: &str,
        name: &str,
        number: u32,
    ) -> Result<Self, PublishError> {
        let catalog = store.catalog(&project.name)?;
        let unregistered = mainstem_schemas::events::Unreadable::Unregistered("of the source");
        let schema = catalog
            .id_of(&format!("arrivals.{source_name}"))
            .ok_or(unregistered)?;
        let writer = store
            .log
            .writer(&format!("publication/{source_name}/{number}"))?;
        Ok(Publication {
            writer,
            catalog,
            project: project.name.clone(),
            source_name: source_name.into(),
            source: source_of(project, source_name)?.clone(),
            partitions: project.partitions,
            schema,
            number,
            name: name.into(),
            skip: None,
            batches: BTreeMap::new(),
            buffered: 0,
            bytes: 0,
            last_time: Millis::default(),
        })
    }

    /// Whether what waits is enough for an append.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.buffered >= CHUNK || self.bytes >= CHUNK_BYTES
    }

    /// Whether the log holds a row already.
    #[must_use]
    pub fn holds(&self, row: u64) -> bool {
        self.skip.is_some_and(|last| row <= last)
    }

    /// Takes a row; one that the log holds already is skipped.
    ///
    /// # Errors
    /// Where a reject cannot be encoded.
    pub fn put(&mut self, row: &Row, published: &mut Published) -> Result<(), PublishError> {
        if self.holds(row.row) {
            published.skipped += 1;
            return Ok(());
        }
        self.buffered += 1;
        match &row.outcome {
            Ok(good) => {
                published.accepted += 1;
                self.bytes += good.key.len() + good.body.len();
                self.accept(row.row, good);
            }
            Err(reject) => {
                published.rejected += 1;
                self.bytes += reject.bytes.len();
                self.reject(row.row, row.line, reject)?;
            }
        }
        Ok(())
    }

    fn accept(&mut self, row: u64, good: &Good) {
        self.last_time = good.event_time;
        let topic = topics::of(&self.project, "arrivals", &self.source_name);
        let partition = Partition::new(&topic, partition_of(&good.key, self.partitions));
        let id = EventId::row(self.source.number, self.number, row).to_string();
        let time = good.event_time.to_string();
        let headers = [
            ("ce_specversion", &b"1.0"[..]),
            ("ce_id", id.as_bytes()),
            ("ce_type", self.source_name.as_bytes()),
            ("ce_source", self.name.as_bytes()),
            ("ce_time", time.as_bytes()),
        ];
        let schema = self.schema;
        let write = |out: &mut Vec<u8>| {
            wire::put_header(out, schema);
            out.extend_from_slice(&good.body);
        };
        self.batches
            .entry(partition)
            .or_default()
            .push_value(Some(&good.key), write, headers);
    }

    fn reject(&mut self, row: u64, line: u64, reject: &Reject) -> Result<(), PublishError> {
        let event = Event::RecordRejected(RecordRejected {
            source: self.source_name.clone(),
            publication: i64::from(self.number),
            row: row as i64,
            line: line as i64,
            bytes: reject.bytes.clone(),
            length: reject.length as i64,
            digest: reject.digest,
            field: reject.field.clone(),
            reason: reject.reason.clone(),
        });
        let id = EventId::row(self.source.number, self.number, row);
        let mut value = Vec::new();
        event.encode(&self.catalog, &mut value)?;
        let envelope = Envelope {
            id,
            kind: event.name().into(),
            source: self.name.clone(),
            time: self.last_time,
            ..Envelope::default()
        };
        let topic = topics::of(&self.project, "rejects", &self.source_name);
        let key = id.to_string();
        let partition = Partition::new(&topic, partition_of(key.as_bytes(), 1));
        envelope.push(
            self.batches.entry(partition).or_default(),
            Some(key.as_bytes()),
            &value,
        );
        Ok(())
    }

    /// Appends what waits, all at once.
    ///
    /// # Errors
    /// [`PublishError::Commit`]; after one whose end is unknown, resume.
    pub fn flush(&mut self) -> Result<(), PublishError> {
        if self.buffered == 0 {
            return Ok(());
        }
        let records: Vec<_> = std::mem::take(&mut self.batches).into_iter().collect();
        (self.buffered, self.bytes) = (0, 0);
        for _ in 0..RETRIES {
            match self.writer.append(&records) {
                Err(CommitError::Aborted(_)) => {}
                done => return Ok(done?),
            }
        }
        Err(CommitError::Aborted(format!("{RETRIES} times running")).into())
    }
}

/// Refuses what would go in for nothing, or twice.
fn refuse_second(
    begun: &[PublicationStarted],
    project: &Project,
    source: &str,
    name: &str,
    content: Option<Digest>,
) -> Result<(), PublishError> {
    let by_row = matches!(source_of(project, source)?.time, EventTime::Row { .. });
    if let Some(first) = begun.first().filter(|_| by_row) {
        return Err(PublishError::TimedByRow {
            source_name: source.into(),
            name: first.name.clone(),
        });
    }
    let same = |event: &&PublicationStarted| event.name == name && event.content == content;
    match begun.iter().find(same) {
        Some(first) if content.is_some() => Err(PublishError::Again {
            name: name.into(),
            number: first.publication,
        }),
        _ => Ok(()),
    }
}

/// Which of the publications of one name a file goes on with: the last that began as it does, else the last that it has
/// grown from. A stream, or a publication of one, has no beginning to compare.
fn going_on<'a>(
    begun: &'a [PublicationStarted],
    beginning: Option<&Beginning>,
) -> Option<&'a PublicationStarted> {
    let Some(beginning) = beginning else {
        return begun.last();
    };
    let last = |fits: &dyn Fn(Digest) -> bool| {
        let mut latest = begun.iter().rev();
        latest.find(|event| event.content.is_none_or(fits))
    };
    let digest = beginning.digest();
    last(&|content| content == digest)
        .or_else(|| last(&|content| beginning.has_grown_from(content)))
}

/// The publications of a source, in order.
fn begun(
    store: &Store,
    catalog: &Catalog,
    project: &Project,
    source: &str,
) -> Result<Vec<PublicationStarted>, PublishError> {
    let mut begun = Vec::new();
    let partition = Partition::new(&topics::fixed(&project.name, "requests.sources"), 0);
    each_event(
        store.log.reader()?.as_mut(),
        catalog,
        &partition,
        |_, event| match event {
            Event::PublicationStarted(event) if event.source == source => begun.push(event),
            _ => {}
        },
    )?;
    Ok(begun)
}

/// The last row of a publication that the log holds, good or bad: rows are appended in order.
fn last_row(
    reader: &mut dyn Reader,
    project: &Project,
    source: &str,
    number: u32,
) -> Result<Option<u64>, PublishError> {
    let arrivals = (0..project.partitions)
        .map(|k| Partition::new(&topics::of(&project.name, "arrivals", source), k));
    let rejects = Partition::new(&topics::of(&project.name, "rejects", source), 0);
    let mut last = None;
    for partition in arrivals.chain([rejects]) {
        for_each(reader, &partition, |record| {
            let row = attribute::<EventId>(&record, "ce_id").and_then(|id| id.publication_row());
            last = last.max(row.filter(|(of, _)| *of == number).map(|(_, row)| row));
            Ok(())
        })?;
    }
    Ok(last)
}

/// A request as a record.
fn request(
    catalog: &Catalog,
    key: &str,
    actor: &str,
    event: &Event,
) -> Result<Batch, PublishError> {
    let (mut batch, mut value) = (Batch::new(), Vec::new());
    event.encode(catalog, &mut value)?;
    let envelope = Envelope {
        id: EventId::named("publication", &value),
        kind: event.name().into(),
        source: "publisher".into(),
        actor: Some(actor.into()),
        ..Envelope::default()
    };
    envelope.push(&mut batch, Some(key.as_bytes()), &value);
    Ok(batch)
}

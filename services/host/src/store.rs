//! What every service opens: the log and the blobs of one directory.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstem_kernel::log::{FetchLimit, Log, LogError, Partition, Reader};
use mainstem_kernel::worker::read_catalog;
use mainstem_log_local::LocalLog;
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::Event;
use mainstem_schemas::{Batch, Catalog, RecordRef};

use crate::blobs::DirBlobs;

/// A log and its blobs.
#[derive(Clone)]
pub struct Store {
    /// Where they lie.
    pub dir: PathBuf,
    /// The log.
    pub log: Arc<dyn Log>,
    /// The blobs.
    pub blobs: Arc<DirBlobs>,
}

/// Why a service cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The log refuses.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The blobs refuse.
    #[error("{0}")]
    Blobs(String),
    /// Something else is where the directory should be.
    #[error("{0} is no directory; name one with --dir")]
    NotADirectory(String),
    /// No definition was applied yet.
    #[error("{0} holds no project; apply one first: mainstem apply -f mainstem.yaml --dir {0}")]
    Empty(String),
    /// The definition is of a newer version of the product.
    #[error(
        "the definition in the log cannot be read: {0}; use the version that applied it, or a newer one"
    )]
    Definition(String),
}

impl Store {
    /// Opens the embedded log and the blobs of a directory; creates them where they are missing.
    ///
    /// # Errors
    /// Where the directory cannot be used.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        if dir.metadata().map_or_else(
            |error| error.kind() == ErrorKind::NotADirectory,
            |found| !found.is_dir(),
        ) {
            return Err(StoreError::NotADirectory(dir.display().to_string()));
        }
        let log = LocalLog::open(dir)?;
        let blobs = DirBlobs::open(&dir.join("blobs")).map_err(StoreError::Blobs)?;
        Ok(Store {
            dir: dir.to_owned(),
            log: Arc::new(log),
            blobs: Arc::new(blobs),
        })
    }

    /// The project in force: the last definition of the log's only project.
    ///
    /// # Errors
    /// [`StoreError::Empty`] where there is none.
    pub fn project(&self) -> Result<Project, StoreError> {
        let last = self.applied()?.pop();
        read(&last.ok_or_else(|| StoreError::Empty(self.dir.display().to_string()))?)
    }

    /// Every definition that was ever applied, in order; none where there is no project yet.
    ///
    /// # Errors
    /// The log's, or [`StoreError::Definition`].
    pub fn definitions(&self) -> Result<Vec<Project>, StoreError> {
        self.applied()?.iter().map(|text| read(text)).collect()
    }

    /// The texts of the definitions. A source, a view or a model may be called `definitions` too, but a project's name
    /// holds no dot; and a topic without an event is what an apply that did not come to its end has left behind.
    fn applied(&self) -> Result<Vec<String>, StoreError> {
        let mut reader = self.log.reader()?;
        let mut definitions = Vec::new();
        for topic in self.log.topics()? {
            let name = topic.name.strip_suffix(".definitions");
            let Some(name) = name.filter(|name| !name.contains('.')) else {
                continue;
            };
            let partition = Partition::new(&topic.name, 0);
            if reader.range(&partition)?.is_empty() {
                continue;
            }
            let catalog = read_catalog(reader.as_mut(), name)?;
            each_event(reader.as_mut(), &catalog, &partition, |_, event| {
                if let Event::DefinitionApplied(applied) = event {
                    definitions.push(applied.definition);
                }
            })?;
            break;
        }
        Ok(definitions)
    }

    /// The schemas of a project as of now.
    ///
    /// # Errors
    /// The log's.
    pub fn catalog(&self, project: &str) -> Result<Catalog, StoreError> {
        Ok(read_catalog(self.log.reader()?.as_mut(), project)?)
    }
}

fn read(definition: &str) -> Result<Project, StoreError> {
    serde_json::from_str(definition).map_err(|error| StoreError::Definition(error.to_string()))
}

/// Hands every event of a partition to `take`, with its record.
///
/// # Errors
/// The reader's, or a damaged event.
pub fn each_event(
    reader: &mut dyn Reader,
    catalog: &Catalog,
    partition: &Partition,
    take: impl FnMut(&RecordRef<'_>, Event),
) -> Result<(), LogError> {
    let from = reader.range(partition)?.start;
    each_event_from(reader, catalog, partition, from, take).map(|_| ())
}

/// The same from an offset on; returns the offset to go on from.
///
/// # Errors
/// The reader's, or a damaged event.
pub fn each_event_from(
    reader: &mut dyn Reader,
    catalog: &Catalog,
    partition: &Partition,
    mut from: u64,
    mut take: impl FnMut(&RecordRef<'_>, Event),
) -> Result<u64, LogError> {
    let mut batch = Batch::new();
    loop {
        batch.clear();
        reader.fetch(partition, from, FetchLimit::default(), &mut batch)?;
        let Some(last) = batch.offsets().last() else {
            return Ok(from);
        };
        from = last + 1;
        for record in batch.iter() {
            let event = Event::decode(catalog, record.value.unwrap_or_default());
            let damaged = |error| {
                LogError::Damaged(format!("{partition} at offset {}: {error}", record.offset))
            };
            take(&record, event.map_err(damaged)?);
        }
    }
}

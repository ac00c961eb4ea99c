//! What every service opens: a log and the blobs beside it.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstem_kernel::log::{FetchLimit, Log, LogError, Partition, Reader, TopicSpec};
use mainstem_kernel::runner::{BlobError, Blobs};
use mainstem_kernel::worker::read_catalog;
use mainstem_log_local::LocalLog;
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::Event;
use mainstem_schemas::{Batch, Catalog, RecordRef, topics};

use crate::blobs::DirBlobs;

/// The embedded log's file.
const LOG: &str = "log.sqlite";

/// Where a log is, as users say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The embedded log and the blobs lie in a directory, which holds one project.
    Directory(PathBuf),
    /// The log is on Kafka, where a cluster may hold many projects.
    Kafka {
        /// `host:port`, several with commas.
        brokers: String,
        /// Name of the project.
        project: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Directory(dir) => dir.display().fmt(f),
            Place::Kafka { brokers, .. } => write!(f, "Kafka at {brokers}"),
        }
    }
}

impl Place {
    /// A project on Kafka.
    #[must_use]
    pub fn kafka(brokers: &str, project: &str) -> Self {
        Place::Kafka {
            brokers: brokers.into(),
            project: project.into(),
        }
    }

    /// The options of a command that mean this place.
    #[must_use]
    pub fn options(&self) -> String {
        match self {
            Place::Directory(dir) => format!("--dir {}", dir.display()),
            Place::Kafka { brokers, project } => format!("--kafka {brokers} --project {project}"),
        }
    }

    fn may_hold(&self, name: &str) -> bool {
        match self {
            Place::Directory(_) => true,
            Place::Kafka { project, .. } => project == name,
        }
    }
}

/// A log and its blobs.
#[derive(Clone)]
pub struct Store {
    /// Where they are.
    pub place: Place,
    /// The log.
    pub log: Arc<dyn Log>,
    /// The blobs, which all workers share.
    pub blobs: Arc<dyn Blobs>,
}

/// Why a service cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The log refuses.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The blobs refuse.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The system gives no thread.
    #[error("no thread can be started: {0}; allow this process more of them")]
    Thread(std::io::Error),
    /// Something else is where the directory should be.
    #[error("{0} is no directory; name one with --dir")]
    NotADirectory(String),
    /// No definition was applied yet.
    #[error("{place} holds no project{named}; apply one first: mainstem apply -f mainstem.yaml {options}",
        named = match .0 { Place::Kafka { project, .. } => format!(" {project}"), Place::Directory(_) => String::new() },
        place = .0, options = .0.options())]
    Empty(Place),
    /// The blobs are not those of the log.
    #[error(
        "the blob store does not hold the definition that is in force in {place} ({why}); name the store that the project \
         was applied with, or, if its blobs are lost, restore them from a copy"
    )]
    OtherBlobs {
        /// The log's place.
        place: Place,
        /// What the blob store said.
        why: BlobError,
    },
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
        let blobs = DirBlobs::open(&dir.join("blobs"))?;
        Ok(Store {
            place: Place::Directory(dir.to_owned()),
            log: Arc::new(log),
            blobs: Arc::new(blobs),
        })
    }

    /// Opens what is there and creates nothing: for whoever is to find a project in the directory.
    ///
    /// # Errors
    /// [`StoreError::Empty`] where there is no log; else as [`Store::open`].
    pub fn existing(dir: &Path) -> Result<Self, StoreError> {
        if dir.is_dir() && !dir.join(LOG).exists() {
            return Err(StoreError::Empty(Place::Directory(dir.to_owned())));
        }
        Store::open(dir)
    }

    /// The project in force: the last definition of the place's project.
    ///
    /// # Errors
    /// [`StoreError::Empty`] where there is none.
    pub fn project(&self) -> Result<Project, StoreError> {
        let last = self.applied()?.pop();
        read(&last.ok_or_else(|| StoreError::Empty(self.place.clone()))?)
    }

    /// Looks whether blobs can be written and read, and whether they are those of the log: `apply` puts the definition
    /// among them.
    ///
    /// # Errors
    /// [`StoreError::OtherBlobs`], or the blob store's.
    pub fn check_blobs(&self, project: &Project) -> Result<(), StoreError> {
        self.blobs.check()?;
        match self.blobs.get(&project.digest()) {
            Ok(_) => Ok(()),
            Err(why @ BlobError::Missing(_)) => Err(StoreError::OtherBlobs {
                place: self.place.clone(),
                why,
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Every definition that was ever applied, in order; none where there is no project yet.
    ///
    /// # Errors
    /// The log's, or [`StoreError::Definition`].
    pub fn definitions(&self) -> Result<Vec<Project>, StoreError> {
        self.applied()?.iter().map(|text| read(text)).collect()
    }

    /// The texts of the definitions. A topic without an event is what an apply that did not come to its end has left
    /// behind.
    fn applied(&self) -> Result<Vec<String>, StoreError> {
        let mut reader = self.log.reader()?;
        let mut definitions = Vec::new();
        for name in projects_of(self.log.as_ref())? {
            let partition = Partition::new(&topics::fixed(&name, "definitions"), 0);
            if !self.place.may_hold(&name) || reader.range(&partition)?.is_empty() {
                continue;
            }
            let catalog = read_catalog(reader.as_mut(), &name)?;
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

/// Names of the projects that a log has topics of. A source, a view or a model may be called `definitions` too, but a
/// project's name holds no dot.
///
/// # Errors
/// The log's.
pub fn projects_of(log: &dyn Log) -> Result<Vec<String>, LogError> {
    let name = |topic: TopicSpec| {
        let name = topic.name.strip_suffix(".definitions")?;
        (!name.contains('.')).then(|| name.to_owned())
    };
    Ok(log.topics()?.into_iter().filter_map(name).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_only_reads_creates_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Store::existing(dir.path()).err().unwrap().to_string();
        let named = dir.path().display().to_string();
        assert!(
            refused.contains(&named) && refused.contains("mainstem apply"),
            "{refused}"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        drop(Store::open(dir.path()).unwrap());
        assert!(dir.path().join(LOG).exists());
        assert!(Store::existing(dir.path()).is_ok());
        let file = dir.path().join(LOG);
        assert!(matches!(
            Store::existing(&file),
            Err(StoreError::NotADirectory(_))
        ));
    }
}

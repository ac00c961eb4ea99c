//! The registry's place at the log: what was read of the topic `schemas`, and the writer that adds to it.

use std::sync::{Arc, Mutex};

use mainstem_columns::{FlatDecoder, Kind, Layout, Unreadable, Wanted};
use mainstem_kernel::log::{CommitError, FetchLimit, LogError, Partition, Reader, Writer};
use mainstem_registry::{Incompatibility, Registry, RegistryError};
use mainstem_schemas::definition::{FieldType, Project};
use mainstem_schemas::registry::{RegistryFact, SchemaFact};
use mainstem_schemas::{Batch, topics};
use serde_json::Value;

use super::super::lock;
use super::super::projects::Projects;
use crate::apply;
use crate::store::{Store, StoreError};

/// Writers that one request may lose to others: each that wins has done its work, and a dozen gateways that all register
/// at one moment are served.
const TRIES: usize = 32;

/// Why the log could not be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeskError {
    /// The registry refuses.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The log, or its project, cannot be read.
    #[error("Error in the backend data store: {0}")]
    Store(#[from] StoreError),
    /// It could not be written.
    #[error("Error in the backend data store: {0}; nothing was changed, ask again")]
    NotWritten(String),
    /// It may have been written.
    #[error(
        "Error in the backend data store: {0}; whether it was changed is not known, look before asking again"
    )]
    Unknown(String),
    /// Others are always first.
    #[error(
        "Operation timed out: {TRIES} writers came first, one after the other; ask again, or stop applying in a loop"
    )]
    Overtaken,
}

impl DeskError {
    pub fn code(&self) -> u32 {
        match self {
            DeskError::Registry(error) => error.code(),
            DeskError::Overtaken => 50002,
            _ => 50001,
        }
    }
}

/// The registry of the log's project.
#[derive(Default)]
pub(in super::super) struct Desk(Mutex<Option<Seen>>);

/// What was read.
struct Seen {
    project: Arc<Project>,
    registry: Registry,
    reader: Box<dyn Reader>,
    /// Kept while nobody else takes it: on Kafka it takes longer to take one than to write.
    writer: Option<Box<dyn Writer>>,
    at: Partition,
    next: u64,
}

/// The registry as of now, and the definition in force.
pub(super) struct View<'a> {
    pub registry: &'a Registry,
    project: &'a Project,
}

impl Desk {
    /// Answers from the registry as of now.
    pub(super) fn ask(
        &self,
        store: &Store,
        projects: &Projects,
        question: impl FnOnce(&View<'_>) -> Result<Value, RegistryError>,
    ) -> Result<Value, DeskError> {
        let mut seen = lock(&self.0);
        let seen = Seen::now(&mut seen, store, projects)?;
        Ok(question(&seen.view())?)
    }

    /// Brings about what is planned on the registry as of now. It is in the log when this returns, and nothing came
    /// in between: the writer is taken before the registry is read, and is fenced if another was taken since.
    pub(super) fn change<T>(
        &self,
        store: &Store,
        projects: &Projects,
        plan: impl Fn(&View<'_>) -> Result<(Option<RegistryFact>, T), RegistryError>,
    ) -> Result<T, DeskError> {
        let mut seen = lock(&self.0);
        for _ in 0..TRIES {
            let now = Seen::now(&mut seen, store, projects)?;
            let is_kept = now.writer.is_some();
            if !is_kept {
                // What changes nothing fences nobody.
                if let (None, told) = plan(&now.view())? {
                    return Ok(told);
                }
                now.take_writer(store)?;
            }
            let (fact, told) = plan(&now.view())?;
            let Some(fact) = fact else {
                return Ok(told);
            };
            match now.append(&fact)? {
                Ok(()) => return Ok(told),
                Err(CommitError::Fenced(_) | CommitError::Aborted(_)) => {}
                // Kafka forgets a writer that was silent for a week: another is taken.
                Err(CommitError::Log(_)) if is_kept => {}
                Err(CommitError::Log(error)) => {
                    return Err(DeskError::NotWritten(error.to_string()));
                }
                Err(CommitError::Unknown(why)) => return Err(DeskError::Unknown(why)),
            }
        }
        Err(DeskError::Overtaken)
    }
}

impl Seen {
    /// Reads on to the topic's end. What an error leaves behind is read anew.
    fn now<'a>(
        place: &'a mut Option<Seen>,
        store: &Store,
        projects: &Projects,
    ) -> Result<&'a mut Seen, StoreError> {
        let project = projects.look(store)?;
        let mut seen = match place.take() {
            Some(seen) if seen.project.name == project.name => seen,
            _ => {
                let at = Partition::new(&topics::fixed(&project.name, "schemas"), 0);
                let mut reader = store.log.reader()?;
                Seen {
                    registry: Registry::new(&project.name),
                    next: reader.range(&at)?.start,
                    project: Arc::clone(&project),
                    reader,
                    writer: None,
                    at,
                }
            }
        };
        seen.read()?;
        seen.registry.define(&project);
        seen.project = project;
        Ok(place.insert(seen))
    }

    fn read(&mut self) -> Result<(), LogError> {
        let mut batch = Batch::new();
        loop {
            batch.clear();
            let limit = FetchLimit::default();
            self.reader.fetch(&self.at, self.next, limit, &mut batch)?;
            let Some(last) = batch.offsets().last() else {
                return Ok(());
            };
            for record in batch.iter() {
                let damaged =
                    |_| LogError::Damaged(format!("{} at offset {}", self.at, record.offset));
                let fact = SchemaFact::read(record.value.unwrap_or_default());
                self.registry.take(fact.map_err(damaged)?);
            }
            self.next = last + 1;
        }
    }

    /// Takes the writer, and reads what others have written before.
    fn take_writer(&mut self, store: &Store) -> Result<(), StoreError> {
        self.writer = Some(store.log.writer(apply::WRITER)?);
        Ok(self.read()?)
    }

    /// Appends a fact. A writer that failed is not kept.
    fn append(&mut self, fact: &RegistryFact) -> Result<Result<(), CommitError>, DeskError> {
        let records = [(self.at.clone(), record(fact)?)];
        let Some(mut writer) = self.writer.take() else {
            return Err(DeskError::NotWritten("there is no writer".into()));
        };
        let appended = writer.append(&records);
        if appended.is_ok() {
            self.writer = Some(writer);
        }
        Ok(appended)
    }

    fn view(&self) -> View<'_> {
        View {
            registry: &self.registry,
            project: &self.project,
        }
    }
}

fn record(fact: &RegistryFact) -> Result<Batch, DeskError> {
    let value = serde_json::to_vec(fact).map_err(|why| DeskError::NotWritten(why.to_string()))?;
    let key = match fact {
        RegistryFact::VersionRegistered(version) => Some(version.subject.as_str()),
        RegistryFact::VersionDeleted { subject, .. }
        | RegistryFact::SubjectDeleted { subject, .. } => Some(subject.as_str()),
        RegistryFact::LevelSet { subject, .. } | RegistryFact::ModeSet { subject, .. } => {
            subject.as_deref()
        }
    };
    let mut batch = Batch::new();
    batch.push(key.map(str::as_bytes), Some(&value), []);
    Ok(batch)
}

impl View<'_> {
    /// What keeps the tasks that read a source from reading a schema: what every field of the source asks for, whichever
    /// of them some view reads today.
    pub fn readable(&self, subject: &str, schema: &str) -> Vec<Incompatibility> {
        let source = self.registry.source_of(subject);
        let Some((name, source)) = source.and_then(|name| self.project.sources.get_key_value(name))
        else {
            return Vec::new();
        };
        let wanted = source.fields.iter().map(|field| Wanted {
            name: field.name.clone(),
            kind: match field.kind {
                FieldType::Double | FieldType::Long | FieldType::Boolean => Kind::Number,
                FieldType::String => Kind::Text,
            },
            optional: field.optional,
        });
        let (Ok(layout), Ok(writer)) =
            (Layout::new(wanted), apache_avro::Schema::parse_str(schema))
        else {
            return Vec::new();
        };
        let told = |why: Unreadable| Incompatibility {
            kind: "SOURCE_UNREADABLE",
            info: field(&why).to_owned(),
            description: format!("The source {name} could not be read: {why}"),
        };
        FlatDecoder::compile(&writer, &layout)
            .err()
            .map(told)
            .into_iter()
            .collect()
    }
}

fn field(why: &Unreadable) -> &str {
    match why {
        Unreadable::NotRecord { .. } => "",
        Unreadable::Nested { field, .. }
        | Unreadable::Missing { field }
        | Unreadable::Mismatch { field, .. }
        | Unreadable::Twice { field, .. } => field,
    }
}

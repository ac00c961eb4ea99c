//! Schemas of a registry beside Mainstem, copied into the topic `schemas` before their first use.
//!
//! A task that meets a schema id which the log does not have yet stands still and asks for it here. The registry is
//! asked on a thread of its own, for its answer may be long in coming while other tasks have work; what it says becomes a
//! fact, and the task goes on from the log alone, as every replay of it will.
//!
//! A registry that has known schemas of the topic and has no Avro schema of this id has given its answer, too: the id is
//! written down as `null`, and records of it go to quarantine, so that one poisoned record does not stop the good ones
//! behind it. Where no schema of the topic was ever found, the registry is more likely the wrong one: the task waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mainstem_kernel::worker::for_each;
use mainstem_kernel::{LogError, Partition};
use mainstem_schemas::catalog::{SchemaRegistered, fingerprint, outside_subject};
use mainstem_schemas::registry::{Mode, RegistryFact, SchemaFact};
use mainstem_schemas::{Batch, Catalog, topics};

use crate::apply::WRITER;
use crate::store::Store;

/// What stands for a schema that its registry did not have as Avro.
const NONE: &str = "\"null\"";

/// A registry beside Mainstem.
pub trait OutsideRegistry: Send + Sync {
    /// Where it is, for messages: without secrets.
    fn place(&self) -> String;

    /// The Avro schema of an id as JSON text; nothing where the registry says that it has none.
    ///
    /// # Errors
    /// Why there is no answer, and what to do.
    fn schema(&self, id: u32) -> Result<Option<String>, String>;
}

/// Brings schemas into a log.
pub struct OutsideSchemas {
    store: Store,
    registry: Option<Arc<dyn OutsideRegistry>>,
    asked: Mutex<BTreeMap<(u16, u32), Asked>>,
}

enum Asked {
    /// The answer is awaited.
    Asking,
    /// What came of it last.
    Told(String),
}

impl OutsideSchemas {
    /// Brings schemas from `registry` into the log of `store`.
    #[must_use]
    pub fn new(store: Store, registry: Option<Arc<dyn OutsideRegistry>>) -> Arc<Self> {
        Arc::new(OutsideSchemas {
            store,
            registry,
            asked: Mutex::default(),
        })
    }

    /// Has a schema of a source's topic brought, and says how that stands. Who waits for it asks again.
    pub fn ask(self: &Arc<Self>, source: u16, id: u32) -> String {
        let Some(registry) = self.registry.clone() else {
            return format!(
                "it needs schema id {id} of an outside registry, and none is known; start the services with --registry"
            );
        };
        let place = registry.place();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let last = asked.insert((source, id), Asked::Asking);
        if matches!(last, Some(Asked::Asking)) {
            return format!("it needs schema id {id}, and the registry at {place} is being asked");
        }
        let this = Arc::clone(self);
        let ask = move || {
            let told = match this.bring(registry.as_ref(), source, id) {
                Ok(()) => format!("schema id {id} has come from the registry at {place}"),
                Err(why) => why,
            };
            let mut asked = this.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.insert((source, id), Asked::Told(told));
        };
        let began = std::thread::Builder::new().name("schema".into()).spawn(ask);
        match (began, last) {
            (Err(error), _) => {
                asked.remove(&(source, id));
                format!("it needs schema id {id}, and there is no thread to ask with: {error}")
            }
            (Ok(_), Some(Asked::Told(told))) => told,
            (Ok(_), _) => format!("it needs schema id {id}, and the registry is being asked"),
        }
    }

    /// Asks, and writes the answer down.
    fn bring(&self, registry: &dyn OutsideRegistry, source: u16, id: u32) -> Result<(), String> {
        let said = |error: &dyn std::fmt::Display| format!("schema id {id}: {error}");
        let project = self.store.project().map_err(|error| said(&error))?;
        let mut sources = project.sources.values();
        let topic = sources
            .find(|known| known.number == source)
            .and_then(|known| known.topic.as_ref())
            .ok_or_else(|| said(&"its source has no topic of others any more"))?;
        let place = registry.place();
        let answer = registry.schema(id);
        let answer = answer.map_err(|why| {
            format!("it needs schema id {id} of the topic {}, and the registry at {place} does not answer: {why}", topic.name)
        })?;
        let answer = answer.filter(|schema| fingerprint(schema).is_ok());
        let catalog = || {
            self.store
                .catalog(&project.name)
                .map_err(|error| said(&error))
        };
        // Before the writer is taken: that fences whoever applies or registers, and a task that waits asks again and again.
        if answer.is_none() && !has_known(&catalog()?, &topic.name) {
            return Err(format!(
                "it needs schema id {id} of the topic {}, and the registry at {place} has no Avro schema of it; see that --registry names the registry of the topic's producers",
                topic.name
            ));
        }
        // The writer, then the catalog: ids are allotted by whoever holds it, and it reads all that were.
        let writer = self.store.log.writer(WRITER);
        let mut writer = writer.map_err(|error| said(&error))?;
        let catalog = catalog()?;
        let subject = outside_subject(&topic.name, id);
        let known = answer.is_some();
        let schema = answer.unwrap_or_else(|| NONE.into());
        let Some(mut event) = plan(&catalog, &subject, &schema).map_err(|why| said(&why))? else {
            return Ok(());
        };
        let gives_none = gives_no_ids(&self.store, &project.name);
        if gives_none.map_err(|error| said(&error))? {
            let theirs = known && may_have(&catalog, &event, id);
            event.id = if theirs { id } else { beyond(&catalog) };
        }
        let value = serde_json::to_vec(&event).map_err(|error| said(&error))?;
        let mut batch = Batch::new();
        batch.push(Some(subject.as_bytes()), Some(&value), []);
        let schemas = Partition::new(&topics::fixed(&project.name, "schemas"), 0);
        let appended = writer.append(&[(schemas, batch)]);
        appended.map_err(|error| said(&error))
    }
}

/// Whether the project's own ids come from an outside registry, so that the log must not give out any that it may give
/// later.
pub(crate) fn gives_no_ids(store: &Store, project: &str) -> Result<bool, LogError> {
    let mut mode = None;
    let schemas = Partition::new(&topics::fixed(project, "schemas"), 0);
    for_each(store.log.reader()?.as_mut(), &schemas, |record| {
        let fact = SchemaFact::read(record.value.unwrap_or_default());
        if let Ok(SchemaFact::Registry(RegistryFact::ModeSet {
            subject: None,
            mode: set,
        })) = fact
        {
            mode = set;
        }
        Ok(())
    })?;
    Ok(mode == Some(Mode::Readonly))
}

/// Whether an id would mean this schema: it is nobody's, or the same schema's.
fn may_have(catalog: &Catalog, event: &SchemaRegistered, id: u32) -> bool {
    let mut after = catalog.clone();
    let event = event.clone();
    let subject = event.subject.clone();
    after.register(SchemaRegistered { id, ..event });
    after.id_of(&subject) == Some(id)
}

/// An id that no registry gives: they count upwards from 1.
fn beyond(catalog: &Catalog) -> u32 {
    let free = |id: &u32| catalog.known(*id).is_none();
    (0..=u32::MAX).rev().find(free).unwrap_or(u32::MAX)
}

/// Whether the registry ever had a schema of the topic.
fn has_known(catalog: &Catalog, topic: &str) -> bool {
    let of_topic = outside_subject(topic, 0);
    let prefix = of_topic.trim_end_matches('0');
    let none = fingerprint(NONE);
    let mut known = catalog.iter();
    known.any(|(_, known)| known.subject.starts_with(prefix) && Ok(known.fingerprint) != none)
}

/// The event that registers the schema, unless its subject has one: an id means one schema for ever.
fn plan(
    catalog: &Catalog,
    subject: &str,
    schema: &str,
) -> Result<Option<SchemaRegistered>, String> {
    if catalog.id_of(subject).is_some() {
        return Ok(None);
    }
    catalog
        .plan(subject, schema)
        .map_err(|error| error.to_string())
}

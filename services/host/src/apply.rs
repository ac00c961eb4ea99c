//! Makes a definition an event: topics, schemas, then `DefinitionApplied`, in one append.

mod fixed;
#[cfg(test)]
mod tests;

use mainstem_columns::{source_schema, view_schema};
use mainstem_kernel::log::{CommitError, LogError, Partition};
use mainstem_project::keep_numbers;
use mainstem_registry::{Ids, own_subject};
use mainstem_rooms::topology::topics_of;
use mainstem_schemas::catalog::NotAvro;
use mainstem_schemas::definition::{Project, Source};
use mainstem_schemas::events::{CONTRACTS, DefinitionApplied, Event, Unreadable};
use mainstem_schemas::registry::{Mode, RegistryFact};
use mainstem_schemas::{Batch, Catalog, Envelope, EventId, Millis, topics};

use crate::outside::gives_no_ids;
use crate::store::{Store, StoreError};

/// Name of the writer that allots schema ids: applies and registries fence each other by it.
pub(crate) const WRITER: &str = "apply";

/// Writers that an apply may lose to clients of the registry, each of which then writes one schema and is done.
const TRIES: usize = 32;

/// What applying a definition changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// It is in force already.
    Unchanged,
    /// The log's first definition.
    First,
    /// What changes, a line each.
    Changes(Vec<String>),
}

/// Why a definition cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log refuses.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The append failed.
    #[error(transparent)]
    Commit(CommitError),
    /// Another apply began after this one had read the definitions.
    #[error(
        "another apply came in between, and nothing was applied; look at what it changed, and apply again"
    )]
    Overtaken,
    /// A schema is not Avro.
    #[error(transparent)]
    NotAvro(#[from] NotAvro),
    /// The outside registry gave no id.
    #[error("the schema registry gave {subject} no id: {why}")]
    NoId {
        /// Subject.
        subject: String,
        /// Its words, and what to do.
        why: String,
    },
    /// The outside registry gave an id that is another schema's here.
    #[error(
        "the schema registry gave {subject} the id {id}, and records of this log are read by it with the schema of {other}; \
         an id means one schema for life: apply with the registry that the log's ids come from (without --registry, where \
         the log has given them), or start a new project with this one"
    )]
    IdTaken {
        /// Subject.
        subject: String,
        /// The id.
        id: u32,
        /// Whose it is.
        other: String,
    },
    /// The log's own registry may give none.
    #[error(
        "the definition needs ids for new schemas, and the log's own schema registry is read-only, as it is where ids come \
         from an outside one; name that with --registry, or, where there is none, set its mode to READWRITE (PUT /mode)"
    )]
    NoIds,
    /// The definition could not be written.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A source's topic is not there.
    #[error(
        "the source {source_name} comes from the topic {topic}, and there is none of that name; have its producer create it first, or mend the name in the project file"
    )]
    NoTopic {
        /// The source.
        source_name: String,
        /// The topic.
        topic: String,
    },
    /// A topic that is read in place, of another number of partitions than the project's.
    #[error(
        "the source {source_name} reads the topic {topic} in place, which has {actual} partitions, and the project has {wanted}: a key's features are in the partition of that key's records; take `read: copy` for the source, or, before the first apply, `partitions: {actual}` for the project"
    )]
    Counts {
        /// The source.
        source_name: String,
        /// The topic.
        topic: String,
        /// Partitions of the topic.
        actual: u32,
        /// Partitions of the project.
        wanted: u32,
    },
    /// Something that is fixed for life would change.
    #[error("{what} cannot change: {why}; {remedy}")]
    Fixed {
        /// What.
        what: String,
        /// Why.
        why: String,
        /// What to do.
        remedy: String,
    },
}

impl From<CommitError> for ApplyError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Fenced(_) => ApplyError::Overtaken,
            error => ApplyError::Commit(error),
        }
    }
}

/// What `project` would change in the store.
///
/// # Errors
/// [`ApplyError::Fixed`] where something immutable would change.
pub fn plan(store: &Store, project: &Project) -> Result<Plan, ApplyError> {
    Ok(planned(store, &store.definitions()?, project)?.1)
}

/// What the log knows and the file does not: how many partitions the topics of others have. Those that are read in place
/// must have the project's, and keep their records as long as the definition states.
fn observe(store: &Store, project: &mut Project) -> Result<(), ApplyError> {
    let foreign = |source: &Source| source.topic.is_some();
    if !project.sources.values().any(foreign) {
        return Ok(());
    }
    let topics = store.log.topics()?;
    for (name, source) in &mut project.sources {
        let Some(topic) = &mut source.topic else {
            continue;
        };
        let found = topics.iter().find(|found| found.name == topic.name);
        let found = found.ok_or_else(|| ApplyError::NoTopic {
            source_name: name.clone(),
            topic: topic.name.clone(),
        })?;
        topic.partitions = found.partitions;
        let Some(horizon) = topic.in_place else {
            continue;
        };
        if topic.partitions != project.partitions {
            return Err(ApplyError::Counts {
                source_name: name.clone(),
                topic: topic.name.clone(),
                actual: topic.partitions,
                wanted: project.partitions,
            });
        }
        store.log.check_horizon(&topic.name, horizon)?;
    }
    Ok(())
}

/// The definition with the numbers that its sources have for life and with what was observed, and what it changes of those
/// applied before it.
fn planned(
    store: &Store,
    history: &[Project],
    project: &Project,
) -> Result<(Project, Plan), ApplyError> {
    let mut project = project.clone();
    keep_numbers(&mut project, history);
    observe(store, &mut project)?;
    let Some(current) = history.last() else {
        return Ok((project, Plan::First));
    };
    if *current == project {
        return Ok((project, Plan::Unchanged));
    }
    fixed::check(history, current, &project)?;
    let mut lines = Vec::new();
    compare("source", &current.sources, &project.sources, &mut lines);
    compare("view", &current.views, &project.views, &mut lines);
    compare("model", &current.models, &project.models, &mut lines);
    compare("monitor", &current.monitors, &project.monitors, &mut lines);
    if current.clock != project.clock {
        lines.push(format!(
            "clock: {:?} becomes {:?}",
            current.clock, project.clock
        ));
    }
    Ok((project, Plan::Changes(lines)))
}

fn compare<T: PartialEq>(
    kind: &str,
    current: &std::collections::BTreeMap<String, T>,
    new: &std::collections::BTreeMap<String, T>,
    lines: &mut Vec<String>,
) {
    for (name, object) in new {
        match current.get(name) {
            None => lines.push(format!("+ {kind} {name}")),
            Some(old) if old != object => lines.push(format!("~ {kind} {name}")),
            Some(_) => {}
        }
    }
    let gone = current.keys().filter(|name| !new.contains_key(*name));
    lines.extend(gone.map(|name| format!("- {kind} {name}: its tasks stop, its topics stay")));
}

/// Applies a definition; one that is in force already changes nothing. Schemas get their ids from the log.
///
/// # Errors
/// [`ApplyError`]; nothing is written then, but for topics, which harm nobody.
pub fn apply(
    store: &Store,
    project: &Project,
    actor: &str,
    now: Millis,
) -> Result<Plan, ApplyError> {
    apply_with(store, project, actor, now, None)
}

/// The same, with ids from an outside registry where there is one; the log's own gives out none from then on.
///
/// # Errors
/// [`ApplyError`]; nothing is written to the log then, but for topics, which harm nobody.
pub fn apply_with(
    store: &Store,
    project: &Project,
    actor: &str,
    now: Millis,
    mut ids: Option<&mut dyn Ids>,
) -> Result<Plan, ApplyError> {
    let mut tries = TRIES;
    loop {
        // The writer first: what another apply has planned on the same definitions can then not be appended any more.
        let mut writer = store.log.writer(WRITER)?;
        let history = store.definitions()?;
        let (project, plan) = planned(store, &history, project)?;
        store.log.create_topics(&topics_of(&project))?;
        // Whoever opens the log with other blobs is told so (`Store::check_blobs`).
        let definition = store.blobs.put(project.canonical().as_bytes());
        definition.map_err(StoreError::from)?;
        let records = records(store, &project, &plan, (actor, now), &mut ids)?;
        let appended = match records.is_empty() {
            true => Ok(()),
            false => writer.append(&records),
        };
        match appended {
            Ok(()) => return Ok(plan),
            // A client of the registry came in between, or an apply that has not written yet: nothing has changed.
            Err(CommitError::Fenced(_)) if tries > 0 && store.definitions()? == history => {
                tries -= 1
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn records(
    store: &Store,
    project: &Project,
    plan: &Plan,
    (actor, now): (&str, Millis),
    ids: &mut Option<&mut dyn Ids>,
) -> Result<Vec<(Partition, Batch)>, ApplyError> {
    let mut catalog = store.catalog(&project.name)?;
    let schemas = register(&mut catalog, project, ids)?;
    if ids.is_none() && !schemas.is_empty() && gives_no_ids(store, &project.name)? {
        return Err(ApplyError::NoIds);
    }
    let mut records = Vec::new();
    let at = |topic: &str| Partition::new(&topics::fixed(&project.name, topic), 0);
    if !schemas.is_empty() {
        records.push((at("schemas"), schemas));
    }
    if *plan != Plan::Unchanged {
        records.push((
            at("definitions"),
            definition(&catalog, project, actor, now)?,
        ));
    }
    Ok(records)
}

/// Registers what is missing: the product's contracts, each source's and each view's schema.
fn register(
    catalog: &mut Catalog,
    project: &Project,
    ids: &mut Option<&mut dyn Ids>,
) -> Result<Batch, ApplyError> {
    let contracts = CONTRACTS
        .iter()
        .map(|(name, avsc)| ((*name).to_owned(), (*avsc).to_owned()));
    let sources = project.sources.iter().map(|(name, source)| {
        (
            format!("arrivals.{name}"),
            source_schema(&project.name, name, source),
        )
    });
    let views = project.views.iter().map(|(name, view)| {
        let features: Vec<String> = view
            .features
            .iter()
            .map(|feature| feature.name.clone())
            .collect();
        (
            format!("features.{name}"),
            view_schema(&project.name, name, &features),
        )
    });
    let mut batch = Batch::new();
    for (subject, schema) in contracts.chain(sources).chain(views) {
        let Some(mut event) = catalog.plan(&subject, &schema)? else {
            continue;
        };
        if let Some(ids) = ids {
            let subject = own_subject(&project.name, &subject, &schema);
            let given = ids.id(&subject, &schema);
            event.id = given.map_err(|why| ApplyError::NoId { subject, why })?;
        }
        catalog.register(event.clone());
        if catalog.id_of(&event.subject) != Some(event.id) {
            let other = catalog.known(event.id);
            return Err(ApplyError::IdTaken {
                subject: event.subject,
                id: event.id,
                other: other.map_or_else(String::new, |known| known.subject.clone()),
            });
        }
        push(&mut batch, &event.subject, &event)?;
    }
    if ids.is_some() && !batch.is_empty() {
        // Two registries that both give ids would give one id twice.
        let (subject, mode) = (None, Some(Mode::Readonly));
        push(&mut batch, "", &RegistryFact::ModeSet { subject, mode })?;
    }
    Ok(batch)
}

fn push(batch: &mut Batch, key: &str, fact: &impl serde::Serialize) -> Result<(), ApplyError> {
    let value =
        serde_json::to_vec(fact).map_err(|error| StoreError::Definition(error.to_string()))?;
    batch.push(Some(key.as_bytes()), Some(&value), []);
    Ok(())
}

fn definition(
    catalog: &Catalog,
    project: &Project,
    actor: &str,
    now: Millis,
) -> Result<Batch, ApplyError> {
    let (digest, definition) = (project.digest(), project.canonical());
    let event = Event::DefinitionApplied(DefinitionApplied {
        project: project.name.clone(),
        digest,
        definition,
    });
    let (mut batch, mut value) = (Batch::new(), Vec::new());
    event.encode(catalog, &mut value)?;
    let envelope = Envelope {
        id: EventId::named("apply", &digest.0),
        kind: event.name().into(),
        source: "apply".into(),
        time: now,
        actor: Some(actor.into()),
        ..Envelope::default()
    };
    envelope.push(&mut batch, Some(project.name.as_bytes()), &value);
    Ok(batch)
}

//! Looking records up in a log: by scanning, for an audit trusts no index.

use mainstem_kernel::log::{FetchLimit, LogError, Partition, Reader};
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::Event;
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::{Batch, Catalog, Envelope, EventId, RecordRef, topics};

use crate::auditor::found::Found;
use crate::auditor::report::Place;
use crate::auditor::{Parts, definitions, holes, schemas};

/// A log that is looked through.
pub(super) struct Archive<'a> {
    pub project: &'a Project,
    /// Every definition that was applied, the last one last.
    pub definitions: Vec<Project>,
    pub catalog: Catalog,
    reader: Box<dyn Reader>,
}

/// An event with its place and id.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub at: Place,
    pub id: EventId,
    pub event: Event,
}

impl<'a> Archive<'a> {
    pub(super) fn open(parts: &'a Parts<'a>) -> Result<Self, LogError> {
        let mut reader = parts.log.reader()?;
        let name = &parts.project.name;
        let catalog = schemas::read(reader.as_mut(), name, &mut Found::default())?;
        Ok(Archive {
            project: parts.project,
            definitions: definitions(parts)?,
            catalog,
            reader,
        })
    }

    /// The topic of a room, or of one of its objects.
    pub(super) fn topic(&self, room: &str) -> String {
        topics::fixed(&self.project.name, room)
    }

    /// The partition of a data topic that holds an entity.
    pub(super) fn of_entity(&self, room: &str, object: &str, entity: &str) -> Partition {
        let topic = topics::of(&self.project.name, room, object);
        let index = partition_of(entity.as_bytes(), self.project.partitions);
        Partition::new(&topic, index)
    }

    /// Hands the records of a partition over until one is what is looked for. What cannot be read is passed by.
    pub(super) fn find<T>(
        &mut self,
        partition: &Partition,
        mut look: impl FnMut(&Catalog, &RecordRef<'_>) -> Option<T>,
    ) -> Result<Option<(Place, T)>, LogError> {
        let range = match self.reader.range(partition) {
            Ok(range) => range,
            Err(LogError::UnknownTopic(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (mut batch, mut from) = (Batch::new(), range.start);
        while from < range.end {
            batch.clear();
            let (reader, limit) = (self.reader.as_mut(), FetchLimit::default());
            let hole = holes::fetch(reader, partition, from, range.end, limit, &mut batch)?;
            let last = batch.offsets().last().map(|last| last + 1);
            let Some(next) = hole.map(|hole| hole.next).or(last) else {
                break;
            };
            from = next;
            for record in batch.iter() {
                if let Some(what) = look(&self.catalog, &record) {
                    return Ok(Some((Place::new(partition, record.offset), what)));
                }
            }
        }
        Ok(None)
    }

    /// The events of a control topic that are wanted.
    pub(super) fn events(
        &mut self,
        room: &str,
        mut wanted: impl FnMut(&EventId, &Event) -> bool,
    ) -> Result<Vec<Placed>, LogError> {
        let partition = Partition::new(&self.topic(room), 0);
        let at = partition.clone();
        let mut events = Vec::new();
        self.find(&partition, |catalog, record| {
            let event = Event::decode(catalog, record.value.unwrap_or_default()).ok()?;
            let id = Envelope::read(record).id;
            if wanted(&id, &event) {
                let at = Place::new(&at, record.offset);
                events.push(Placed { at, id, event });
            }
            None::<()>
        })?;
        Ok(events)
    }
}

//! Publications of the door: one for each source and actor, begun with the first record. So the rows of all requests are
//! numbered on, and the event that begun a publication names whose records they are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use mainstem_ingest::{Encoder, IngestError, Row};
use mainstem_schemas::Digest;
use mainstem_schemas::definition::{EventTime, Project};

use super::lock;
use super::records::Record;
use crate::publisher::{DOOR, Publication, PublishError, Published, source_of};
use crate::store::Store;

/// Publications that are kept open: each holds a writer of the log. The one that was begun first makes room, and begins
/// anew with its next record.
const MAX_OPEN: usize = 64;

/// The door's publications.
#[derive(Default)]
pub(super) struct Publications {
    places: Mutex<VecDeque<(Whose, Place)>>,
    /// Whoever begins fences others who do: inside this process they wait for each other.
    begin: Mutex<()>,
}

type Whose = (String, String);
type Place = Arc<Mutex<Option<Open>>>;

struct Open {
    publication: Publication,
    encoder: Encoder,
    definition: Digest,
    /// Rows so far.
    rows: u64,
}

/// A record that was refused.
pub(super) struct Refused {
    /// Its place among the records of the request, counting from 1.
    pub record: u64,
    /// Line of the body.
    pub line: u64,
    /// Field that does not fit, where it is one.
    pub field: Option<String>,
    /// What is wrong and what to do.
    pub reason: String,
}

/// What became of the records of a request: all of it is in the log.
#[derive(Default)]
pub(super) struct Taken {
    /// Records in `arrivals`.
    pub accepted: u64,
    /// Records in `rejects`.
    pub rejected: Vec<Refused>,
}

impl Publications {
    /// Appends the records of a request, good and bad ones at once.
    ///
    /// # Errors
    /// [`PublishError`]; nothing is in the log then, but where the end of the append is unknown.
    pub fn publish(
        &self,
        store: &Store,
        project: &Project,
        source: &str,
        actor: &str,
        records: &[Record<'_>],
    ) -> Result<Taken, PublishError> {
        let declared = source_of(project, source)?;
        if matches!(declared.time, EventTime::Row { .. }) {
            return Err(PublishError::NoDoor(source.into()));
        }
        let place = self.place(source, actor);
        let mut place = lock(&place);
        let definition = project.digest();
        let open = place.take().filter(|open| open.definition == definition);
        let mut open = match open {
            Some(open) => open,
            None => self.begin(store, project, source, actor)?,
        };
        let (mut taken, mut published) = (Taken::default(), Published::default());
        for (record, number) in records.iter().zip(1..) {
            let row = open.rows;
            open.rows += 1;
            let outcome = open.encoder.json(row, record.bytes);
            match &outcome {
                Ok(_) => taken.accepted += 1,
                Err(reject) => taken.rejected.push(Refused {
                    record: number,
                    line: record.line,
                    field: reject.field.clone(),
                    reason: reject.reason.clone(),
                }),
            }
            open.publication.put(
                Row {
                    row,
                    line: record.line,
                    outcome,
                },
                &mut published,
            )?;
        }
        open.publication.flush()?;
        // After a failure the publication is not used again: rows that may be in the log keep their numbers.
        *place = Some(open);
        Ok(taken)
    }

    fn place(&self, source: &str, actor: &str) -> Place {
        let whose = (source.to_owned(), actor.to_owned());
        let mut places = lock(&self.places);
        if let Some((_, place)) = places.iter().find(|(other, _)| *other == whose) {
            return Arc::clone(place);
        }
        if places.len() >= MAX_OPEN {
            places.pop_front();
        }
        let place = Place::default();
        places.push_back((whose, Arc::clone(&place)));
        place
    }

    fn begin(
        &self,
        store: &Store,
        project: &Project,
        source: &str,
        actor: &str,
    ) -> Result<Open, PublishError> {
        let _alone = lock(&self.begin);
        let encoder =
            Encoder::new(source, source_of(project, source)?).map_err(IngestError::from)?;
        let publication = Publication::begin(store, project, source, DOOR, actor, None)?;
        Ok(Open {
            publication,
            encoder,
            definition: project.digest(),
            rows: 0,
        })
    }
}

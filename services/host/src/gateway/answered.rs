//! Answers that doors gave before: a question that is sent again under its idempotency key, because its answer was lost on
//! the way, gets the same one, and no second event, which would count twice in every statistic.
//!
//! They are looked up in the log, where those of all gateways are and where a kill leaves them. Two gateways that are sent
//! one key at the same moment may both answer; their predictions have the same id.

use std::collections::{BTreeMap, VecDeque};

use mainstem_kernel::log::{FetchLimit, LogError, Partition, Reader};
use mainstem_rooms::serving::{AskedRow, Question};
use mainstem_schemas::definition::Project;
use mainstem_schemas::events::{Event, PredictionMade};
use mainstem_schemas::id::Kind;
use mainstem_schemas::{Batch, Catalog, EventId, topics, wire};

use crate::store::{Store, StoreError};

/// Predictions of a partition that are looked back through at most: who lost an answer asks again within seconds, and a
/// busy model makes some thousands in them.
const BACK: u64 = 20_000;

/// Answers that are remembered: those of the last minutes, some megabytes.
const REMEMBERED: usize = 10_000;

/// The answers of one model's doors.
pub(super) struct Answered {
    reader: Box<dyn Reader>,
    catalog: Catalog,
    places: Vec<(Partition, u64)>,
    made: BTreeMap<EventId, PredictionMade>,
    order: VecDeque<EventId>,
}

/// The key of a question was used for another one.
#[derive(Debug, thiserror::Error)]
#[error(
    "the idempotency key was used for another question; send each question under a key of its own"
)]
pub(super) struct OtherQuestion;

impl Answered {
    /// Of a model.
    ///
    /// # Errors
    /// The store's.
    pub fn new(store: &Store, project: &Project, model: &str) -> Result<Self, StoreError> {
        let topic = topics::of(&project.name, "predictions", model);
        let place = |index| (Partition::new(&topic, index), 0);
        Ok(Answered {
            reader: store.log.reader()?,
            catalog: store.catalog(&project.name)?,
            places: (0..project.partitions).map(place).collect(),
            made: BTreeMap::new(),
            order: VecDeque::new(),
        })
    }

    /// The answer to a question, where it was given before.
    ///
    /// # Errors
    /// The log's.
    pub fn find(
        &mut self,
        question: &Question,
    ) -> Result<Option<Result<Vec<PredictionMade>, OtherQuestion>>, LogError> {
        self.read_on()?;
        let first = question.rows.first().map(|row| row.origin);
        if !first.is_some_and(|origin| self.made.contains_key(&origin)) {
            return Ok(None);
        }
        let made = question.rows.iter().map(|row| {
            let made = self.made.get(&row.origin).filter(|made| is_of(made, row));
            made.cloned().ok_or(OtherQuestion)
        });
        Ok(Some(made.collect()))
    }

    fn read_on(&mut self) -> Result<(), LogError> {
        let mut batch = Batch::new();
        for (partition, next) in &mut self.places {
            let range = self.reader.range(partition)?;
            *next = (*next).max(range.start).max(range.end.saturating_sub(BACK));
            while *next < range.end {
                batch.clear();
                self.reader
                    .fetch(partition, *next, FetchLimit::default(), &mut batch)?;
                let Some(last) = batch.offsets().last() else {
                    break;
                };
                *next = last + 1;
                for record in batch.iter() {
                    let value = record.value.unwrap_or_default();
                    let Some(made) = asked_for(&self.catalog, value) else {
                        continue;
                    };
                    let origin = made.origin;
                    if self.made.insert(origin, made).is_none() {
                        self.order.push_back(origin);
                    }
                }
            }
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.made.remove(&oldest);
            }
        }
        Ok(())
    }
}

/// A prediction that a door made. Those of rows are many, and are told by their origin, with which a value begins: a text
/// of 32 digits after its length.
fn asked_for(catalog: &Catalog, value: &[u8]) -> Option<PredictionMade> {
    let (_, body) = wire::split(value).ok()?;
    let origin: EventId = std::str::from_utf8(body.get(1..33)?).ok()?.parse().ok()?;
    if origin.kind() != Some(Kind::Named) {
        return None;
    }
    match Event::decode(catalog, value) {
        Ok(Event::PredictionMade(made)) if made.inputs.is_some() => Some(made),
        _ => None,
    }
}

/// Whether a prediction is about what a row asks. Its time is not compared: it is the asker's clock where none is given.
fn is_of(made: &PredictionMade, row: &AskedRow) -> bool {
    let bits = |value: &f64| value.to_bits();
    let inputs = row.inputs.iter().map(|value| value.unwrap_or(f64::NAN));
    let asked: Vec<u64> = inputs.map(|value| bits(&value)).collect();
    let answered: Vec<u64> = made.inputs.iter().flatten().map(bits).collect();
    made.entity == row.entity && asked == answered
}

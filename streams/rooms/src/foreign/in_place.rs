//! Runs of a topic that is read in place.

use mainstem_kernel::{Context, Need, Run};
use mainstem_schemas::definition::{Project, Source};
use mainstem_schemas::partition::partition_of;
use mainstem_schemas::{Batch, Catalog, EventId, Millis, RecordRef, wire};

use super::{Translator, needs, source};
use crate::arrivals::{Arrival, Opener, Outside, Refusal, Sheet};

/// Makes runs of a topic that is read in place the arrivals that a copy would have written.
#[derive(Debug)]
pub struct InPlace {
    translator: Translator,
    partitions: u32,
    arrivals: Batch,
    /// What became of each record of the run.
    became: Vec<Became>,
}

#[derive(Debug)]
enum Became {
    /// The next of the arrivals.
    Arrival,
    Passed,
    Refused(EventId, Refusal),
}

impl InPlace {
    /// For a source whose topic is read in place; nothing for any other.
    ///
    /// # Errors
    /// Where the definition has no such source, or it cannot be read.
    pub fn of(project: &Project, name: &str) -> Result<Option<Box<Self>>, String> {
        if !source(project, name)?.is_in_place() {
            return Ok(None);
        }
        Ok(Some(Box::new(InPlace {
            translator: Translator::new(project, name)?,
            partitions: project.partitions,
            arrivals: Batch::new(),
            became: Vec::new(),
        })))
    }

    /// Takes a run of a partition, in the place of the one before it.
    ///
    /// # Errors
    /// Where the arrivals' schema is not registered.
    pub fn take(&mut self, catalog: &Catalog, partition: u32, run: &Batch) -> Result<(), String> {
        let schema = self.translator.schema(catalog)?;
        self.arrivals.clear();
        self.became.clear();
        for record in run.iter() {
            let origin = self.translator.origin(&record, partition);
            let became = match self.read(catalog, partition, &record) {
                Ok(None) => Became::Passed,
                Err(refusal) => Became::Refused(origin, refusal),
                Ok(Some(good)) => {
                    let (id, time) = (origin.to_string(), good.event_time.to_string());
                    let headers = [("ce_id", id.as_bytes()), ("ce_time", time.as_bytes())];
                    let write = |value: &mut Vec<u8>| {
                        wire::put_header(value, schema);
                        value.extend_from_slice(&good.body);
                    };
                    self.arrivals.push_value(Some(&good.key), write, headers);
                    self.arrivals.stamp_last(record.offset, record.timestamp);
                    Became::Arrival
                }
            };
            self.became.push(became);
        }
        Ok(())
    }

    /// Whoever joins by the entity looks for it in its own partition alone.
    fn read(
        &mut self,
        catalog: &Catalog,
        partition: u32,
        record: &RecordRef<'_>,
    ) -> Result<Option<mainstem_columns::rows::Good>, Refusal> {
        let good = self.translator.read(catalog, record)?;
        if let Some(good) = &good {
            let belongs = partition_of(&good.key, self.partitions);
            if belongs != partition {
                return Err(Refusal::Elsewhere { partition, belongs });
            }
        }
        Ok(good)
    }
}

/// What a run needs that a room is about to read: nothing, unless it is of a topic that is read in place.
pub(crate) fn needs_in_place(cx: &Context<'_>, source: &str, run: &Run<'_>) -> Vec<Need> {
    let declared = cx.project.sources.get(source);
    match declared.is_some_and(Source::is_in_place) {
        true => needs(cx, source, run.batch),
        false => Vec::new(),
    }
}

/// A record of a run, as the room that reads it is given it.
#[derive(Clone, Copy, Debug)]
pub struct Given<'r> {
    /// As its topic holds it.
    pub record: RecordRef<'r>,
    arrival: Result<RecordRef<'r>, (EventId, &'r Refusal)>,
    /// Its row of the sheet.
    pub row: Option<usize>,
    /// What the sheet says of its event time.
    time: Option<Millis>,
}

impl<'r> Given<'r> {
    /// As [`Opener::open`].
    pub fn open(
        &self,
        opener: &mut Opener,
        catalog: &Catalog,
        partition: u32,
        horizon: Millis,
    ) -> (Outside, Result<Arrival<'r>, Refusal>) {
        match &self.arrival {
            Ok(arrival) => opener.open(catalog, arrival, partition, horizon, self.time),
            Err((origin, refusal)) => {
                let (origin, time) = (*origin, None);
                (Outside { origin, time }, Err((*refusal).clone()))
            }
        }
    }

    /// As [`Opener::inside`].
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn inside(
        &self,
        opener: &mut Opener,
        catalog: &Catalog,
        horizon: Millis,
    ) -> Result<Arrival<'r>, Refusal> {
        match &self.arrival {
            Ok(arrival) => opener.inside(catalog, arrival, horizon, self.time),
            Err((_, refusal)) => Err((*refusal).clone()),
        }
    }
}

/// The records of a run, one by one: of `arrivals.<source>` as they are, of a topic that is read in place as `in_place`
/// took them, but for those that are passed by; `sheet` is the run's.
pub fn incoming<'r>(
    run: &'r Batch,
    in_place: Option<&'r InPlace>,
    sheet: Option<&'r Sheet>,
) -> impl Iterator<Item = Given<'r>> {
    let mut arrivals = in_place.map(|read| read.arrivals.iter());
    run.iter().enumerate().filter_map(move |(row, record)| {
        let arrival = match in_place.and_then(|read| read.became.get(row)) {
            None => Ok(record),
            Some(Became::Arrival) => Ok(arrivals.as_mut()?.next()?),
            Some(Became::Passed) => return None,
            Some(Became::Refused(origin, refusal)) => Err((*origin, refusal)),
        };
        let row = sheet.and_then(|sheet| sheet.row(row));
        Some(Given {
            record,
            arrival,
            row,
            time: row.and_then(|row| sheet?.time(row)),
        })
    })
}

//! The outside of an arrival: key, headers, and the value's five bytes of header.

use mainstem_columns::{Columns, Kind, Layout, Wanted};
use mainstem_schemas::definition::{EventTime, FieldType, Source};
use mainstem_schemas::{Catalog, EventId, Millis, RecordRef, wire};

use super::{Decoders, MAX_KEY, Refusal};

/// Characters that a refusal quotes of what is no time.
const QUOTED: usize = 40;

/// The outside of an arrival.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Whom it is about: the key.
    pub entity: &'a str,
    /// Event time.
    pub time: Millis,
    /// Id of the row, or of its position in a foreign topic.
    pub origin: EventId,
    /// Id of the schema it was written with.
    pub schema: u32,
    /// The record.
    pub body: &'a [u8],
}

/// What a record says of itself, as far as it does.
#[derive(Clone, Copy, Debug)]
pub struct Outside {
    /// Id of the row, or of its position in a foreign topic.
    pub origin: EventId,
    /// Event time, where there is one.
    pub time: Option<Millis>,
}

/// Opens the arrivals of one source. The event time of a record is its header `ce_time`; a producer that writes none is
/// understood where the source declares a column.
#[derive(Debug)]
pub struct Opener {
    /// Number of the source.
    number: u16,
    column: Option<TimeColumn>,
}

/// The column that tells the event time.
#[derive(Debug)]
struct TimeColumn {
    name: String,
    decoders: Decoders,
    columns: Columns,
}

/// The headers that count; the last of a name.
#[derive(Default)]
struct Headers<'a> {
    id: Option<&'a [u8]>,
    source: &'a [u8],
    time: Option<&'a [u8]>,
}

impl<'a> Headers<'a> {
    fn of(record: &RecordRef<'a>) -> Self {
        let mut headers = Headers::default();
        for (name, value) in record.raw_headers() {
            match name {
                b"ce_id" => headers.id = Some(value),
                b"ce_source" => headers.source = value,
                b"ce_time" => headers.time = Some(value),
                _ => {}
            }
        }
        headers
    }

    fn origin(&self, record: &RecordRef<'_>, number: u16, partition: u32) -> EventId {
        match self.id {
            Some(id) => EventId::of_header(id, self.source),
            None => EventId::foreign(number, partition, record.offset),
        }
    }
}

/// Which row an arrival is: its header `ce_id`, or its place in a partition of the source of that number.
#[must_use]
pub fn origin_of(record: &RecordRef<'_>, number: u16, partition: u32) -> EventId {
    Headers::of(record).origin(record, number, partition)
}

impl Opener {
    /// Opens arrivals of `source`.
    ///
    /// # Errors
    /// Where the column of the event time is not declared.
    pub fn of(source: &Source) -> Result<Self, String> {
        let column = match &source.time {
            EventTime::Column(name) => Some(TimeColumn::of(source, name)?),
            _ => None,
        };
        Ok(Opener {
            number: source.number,
            column,
        })
    }

    /// Opens a record of a partition; `horizon` is the event time beyond which it is refused, `column` what the column
    /// of the event time says, where that is known already.
    pub fn open<'a>(
        &mut self,
        catalog: &Catalog,
        record: &RecordRef<'a>,
        partition: u32,
        horizon: Millis,
        column: Option<Millis>,
    ) -> (Outside, Result<Arrival<'a>, Refusal>) {
        let headers = Headers::of(record);
        let origin = headers.origin(record, self.number, partition);
        let time = self.time(catalog, record, headers.time, column);
        let outside = Outside {
            origin,
            time: time.as_ref().ok().copied(),
        };
        (outside, inside(record, origin, time, horizon))
    }

    /// As [`open`](Self::open), for whom it does not matter which row it is: the arrival's origin is nothing.
    ///
    /// # Errors
    /// [`Refusal`]; `open` says the outside of the same record.
    pub fn inside<'a>(
        &mut self,
        catalog: &Catalog,
        record: &RecordRef<'a>,
        horizon: Millis,
        column: Option<Millis>,
    ) -> Result<Arrival<'a>, Refusal> {
        let time = self.time(catalog, record, Headers::of(record).time, column);
        inside(record, EventId::default(), time, horizon)
    }

    fn time(
        &mut self,
        catalog: &Catalog,
        record: &RecordRef<'_>,
        header: Option<&[u8]>,
        column: Option<Millis>,
    ) -> Result<Millis, Refusal> {
        if let Some(text) = header {
            let text = std::str::from_utf8(text).map_err(|_| Refusal::BadTime)?;
            return text.parse().map_err(|_| Refusal::BadTime);
        }
        if let Some(time) = column.filter(|time| *time >= Millis(0)) {
            return Ok(time);
        }
        let Some(column) = self.column.as_mut() else {
            return Err(Refusal::NoTime);
        };
        let (schema, body) = split(record)?;
        column.read(catalog, schema, body)
    }
}

/// Whether a record says nothing but its value, of an entity: its event time is what its source's column says.
pub(super) fn is_plain(record: &RecordRef<'_>) -> bool {
    record.raw_headers().next().is_none() && entity(record).is_ok()
}

/// Whom a record is about.
fn entity<'a>(record: &RecordRef<'a>) -> Result<&'a str, Refusal> {
    match record.key {
        None => Err(Refusal::NoKey),
        Some(key) if key.len() > MAX_KEY => Err(Refusal::LongKey(key.len())),
        Some(key) => std::str::from_utf8(key).map_err(|_| Refusal::KeyNotText),
    }
}

fn inside<'a>(
    record: &RecordRef<'a>,
    origin: EventId,
    time: Result<Millis, Refusal>,
    horizon: Millis,
) -> Result<Arrival<'a>, Refusal> {
    let entity = entity(record)?;
    let time = time?;
    if time > horizon {
        return Err(Refusal::Ahead(time));
    }
    let (schema, body) = split(record)?;
    Ok(Arrival {
        entity,
        time,
        origin,
        schema,
        body,
    })
}

/// Schema and body of a record's value.
///
/// # Errors
/// [`Refusal`] of a value that is not there, or not in the wire format.
pub fn split<'a>(record: &RecordRef<'a>) -> Result<(u32, &'a [u8]), Refusal> {
    match record.value {
        Some(value) => Ok(wire::split(value)?),
        None => Err(Refusal::NoValue),
    }
}

impl TimeColumn {
    fn of(source: &Source, name: &str) -> Result<Self, String> {
        let field = source.fields.iter().find(|field| field.name == name);
        let kind = match field.map(|field| field.kind) {
            Some(FieldType::Long) => Kind::Time,
            Some(FieldType::String) => Kind::Text,
            _ => {
                return Err(format!(
                    "the column of the event time, {name}, is not declared string or long"
                ));
            }
        };
        let layout = Layout::new([Wanted::required(name, kind)]).map_err(|bad| bad.to_string())?;
        Ok(TimeColumn {
            name: name.into(),
            columns: Columns::new(&layout),
            decoders: Decoders::new(layout),
        })
    }

    fn read(&mut self, catalog: &Catalog, schema: u32, body: &[u8]) -> Result<Millis, Refusal> {
        self.columns.clear();
        let decoder = self.decoders.of(catalog, schema)?;
        decoder.peek(body, &mut self.columns)?;
        let text = self.columns.text(0, 0);
        let time = match text {
            Some(text) => text.trim_ascii().parse().ok(),
            None => self.columns.time(0, 0),
        };
        time.filter(|time| *time >= Millis(0))
            .ok_or_else(|| Refusal::NotTime {
                field: self.name.clone(),
                value: match (text, time) {
                    (Some(text), _) => text.chars().take(QUOTED).collect(),
                    (None, Some(time)) => time.0.to_string(),
                    (None, None) => "null".into(),
                },
            })
    }
}

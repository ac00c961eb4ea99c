//! Rows of a source: from typed cells to key, event time and Avro body.

use std::ops::Range;

use crate::put::{put_boolean, put_double, put_long, put_null, put_some, put_text};
use mainstem_schemas::definition::{Entity, EventTime, Field, FieldType, Source};
use mainstem_schemas::{Millis, Span};

use super::fault::{Fault, Reject, shown};
use super::json::{self, Others};
use super::values::{Cell, missing, name};

/// Bytes of a record at most, its line's end counted: by default a Kafka broker refuses more than 1 MiB.
pub const RECORD_LIMIT: usize = 1 << 20;

/// A row that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// The entity: the record's key.
    pub key: Vec<u8>,
    /// When it happened.
    pub event_time: Millis,
    /// The Avro body by the source's schema, without the wire format's header.
    pub body: Vec<u8>,
}

/// Writes rows of one source. It keeps the memory of the last row for the next.
#[derive(Debug)]
pub struct Encoder {
    pub(super) source_name: String,
    pub(super) fields: Vec<Field>,
    key: Key,
    time: Time,
    slots: Vec<Slot>,
    texts: String,
    outside: Outside,
}

/// What a foreign record says outside of its value.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Its key as text, where it has one.
    pub key: Option<String>,
    /// Its timestamp, where it has one.
    pub time: Option<Millis>,
}

#[derive(Debug)]
enum Key {
    Constant(Vec<u8>),
    Field(usize),
    Outside,
}

#[derive(Debug)]
enum Time {
    Field(usize),
    Outside,
    Row { start: Millis, every: Span },
}

/// A cell that owns nothing: a text lies in the encoder's `texts`.
#[derive(Clone, Debug)]
enum Slot {
    Missing,
    Double(f64),
    Long(i64),
    Boolean(bool),
    Text(Range<usize>),
}

/// From where log time begins, which never goes back, to the last time that can be written with four digits for the
/// year, and so read back.
const TIMES: (Millis, Millis) = (Millis(0), Millis(253_402_300_799_999));

/// What to do about times before them.
const OLDER: &str = "log time begins in 1970, so move older times, all by the same span";

/// Bytes of a record beside its key and its body: five headers and the framing have some 200, a file's name at most 255.
const HEADERS: usize = 1 << 10;

/// A source that cannot take rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("source {source_name}: {what}")]
pub struct BadSource {
    /// Name of the source.
    pub source_name: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl Encoder {
    /// The encoder of a source.
    ///
    /// # Errors
    /// [`BadSource`] where entity or event time name no column that can be one.
    pub fn new(source_name: &str, source: &Source) -> Result<Self, BadSource> {
        let wrong = |what: String| BadSource {
            source_name: source_name.into(),
            what,
        };
        let find = |role: &str, column: &str, kinds: &[FieldType]| {
            let at = source.fields.iter().position(|field| field.name == column);
            let field = at.and_then(|at| Some((at, source.fields.get(at)?)));
            let (at, field) = field.ok_or_else(|| {
                wrong(format!(
                    "{role} names the column {column}, which is not declared; declare it"
                ))
            })?;
            if !kinds.contains(&field.kind) {
                let allowed: Vec<&str> = kinds.iter().map(|kind| name(*kind)).collect();
                return Err(wrong(format!(
                    "{role} names the column {column}, a {}; declare it {}",
                    name(field.kind),
                    allowed.join(" or ")
                )));
            }
            Ok(at)
        };
        let key = match &source.entity {
            Entity::Key(_) => Key::Outside,
            Entity::Constant(key) => Key::Constant(key.clone().into_bytes()),
            Entity::Column(column) => {
                let kinds = [FieldType::String, FieldType::Long, FieldType::Boolean];
                Key::Field(find("entity", column, &kinds)?)
            }
        };
        let time = match &source.time {
            EventTime::Column(column) => {
                Time::Field(find("time", column, &[FieldType::String, FieldType::Long])?)
            }
            EventTime::Timestamp => Time::Outside,
            EventTime::Row { start, every } => Time::Row {
                start: *start,
                every: *every,
            },
        };
        Ok(Encoder {
            source_name: source_name.into(),
            fields: source.fields.clone(),
            key,
            time,
            slots: vec![Slot::Missing; source.fields.len()],
            texts: String::new(),
            outside: Outside::default(),
        })
    }

    /// Name of the source.
    #[must_use]
    pub fn source_name(&self) -> &str {
        &self.source_name
    }

    /// Its columns.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// One JSON object as a row: what a door does. `row` counts from 0.
    ///
    /// # Errors
    /// [`Reject`] where it does not fit the source.
    pub fn json(&mut self, row: u64, bytes: &[u8]) -> Result<Good, Reject> {
        let result = if bytes.len() > RECORD_LIMIT {
            Err(too_long(bytes.len() as u64))
        } else {
            json::row(self, row, bytes, Others::Refused)
        };
        result.map_err(|fault| fault.reject(bytes, None))
    }

    /// Says what the next row's record has outside of its value.
    pub fn set_outside(&mut self, outside: Outside) {
        self.outside = outside;
    }

    /// Begins a row: all cells are missing.
    pub fn begin(&mut self) {
        self.slots.fill(Slot::Missing);
        self.texts.clear();
    }

    /// Sets a cell of the row.
    pub fn set(&mut self, field: usize, cell: Cell<'_>) {
        let slot = match cell {
            Cell::Missing => Slot::Missing,
            Cell::Double(double) => Slot::Double(double),
            Cell::Long(long) => Slot::Long(long),
            Cell::Boolean(boolean) => Slot::Boolean(boolean),
            Cell::Text(text) => {
                let start = self.texts.len();
                self.texts.push_str(text);
                Slot::Text(start..self.texts.len())
            }
        };
        if let Some(at) = self.slots.get_mut(field) {
            *at = slot;
        }
    }

    /// Writes the row.
    ///
    /// # Errors
    /// [`Fault`] where a value is missing that must be there, or entity or event time cannot be one.
    pub fn finish(&self, row: u64) -> Result<Good, Fault> {
        let mut body = Vec::with_capacity(10 * self.fields.len() + self.texts.len());
        for (field, slot) in self.fields.iter().zip(&self.slots) {
            match slot {
                Slot::Missing if field.optional => put_null(&mut body),
                Slot::Missing => return Err(missing(field)),
                slot => {
                    if field.optional {
                        put_some(&mut body);
                    }
                    self.put(&mut body, slot);
                }
            }
        }
        let key = self.key()?;
        let length = key.len() + body.len() + HEADERS;
        if length > RECORD_LIMIT {
            return Err(Fault::row(format!(
                "the record has {length} bytes with its key and headers, and at most {RECORD_LIMIT} are taken, for a broker refuses more by default; shorten it, or keep large values elsewhere and publish where they are"
            )));
        }
        Ok(Good {
            key,
            event_time: self.event_time(row)?,
            body,
        })
    }

    fn put(&self, body: &mut Vec<u8>, slot: &Slot) {
        match slot {
            Slot::Missing => {}
            Slot::Double(double) => put_double(body, *double),
            Slot::Long(long) => put_long(body, *long),
            Slot::Boolean(boolean) => put_boolean(body, *boolean),
            Slot::Text(range) => put_text(body, self.text(range)),
        }
    }

    fn text(&self, range: &Range<usize>) -> &str {
        self.texts.get(range.clone()).unwrap_or_default()
    }

    fn at(&self, field: usize) -> (&str, &Slot) {
        let name = self.fields.get(field).map_or("", |field| &field.name);
        (name, self.slots.get(field).unwrap_or(&Slot::Missing))
    }

    fn key(&self) -> Result<Vec<u8>, Fault> {
        let field = match &self.key {
            Key::Constant(key) => return Ok(key.clone()),
            Key::Outside => {
                let key = self.outside.key.as_ref().filter(|key| !key.is_empty());
                return key.map(|key| key.clone().into_bytes()).ok_or_else(|| {
                    Fault::row("it has no key, which says whom the record is about; write the entity as the key, or declare `entity: {column: ...}`")
                });
            }
            Key::Field(field) => *field,
        };
        let (name, slot) = self.at(field);
        let empty = || {
            let what = "is empty, and it says whom the record is about, its key; write the entity";
            Fault::field(name, what)
        };
        match slot {
            Slot::Text(range) if range.is_empty() => Err(empty()),
            Slot::Text(range) => Ok(self.text(range).as_bytes().to_vec()),
            Slot::Long(long) => Ok(long.to_string().into_bytes()),
            Slot::Boolean(boolean) => Ok(boolean.to_string().into_bytes()),
            Slot::Missing | Slot::Double(_) => Err(empty()),
        }
    }

    fn event_time(&self, row: u64) -> Result<Millis, Fault> {
        let within = |time: &Millis| (TIMES.0..=TIMES.1).contains(time);
        let field = match &self.time {
            Time::Field(field) => *field,
            Time::Outside => {
                let time = self.outside.time.filter(within);
                return time.ok_or_else(|| {
                    Fault::row("it has no timestamp of 1970 or later, which is its event time; have the producer or the broker set one, or declare `time: {column: ...}`")
                });
            }
            Time::Row { start, every } => {
                let time = i64::try_from(row)
                    .ok()
                    .and_then(|row| row.checked_mul(every.0))
                    .and_then(|since| start.0.checked_add(since))
                    .map(Millis);
                return time.filter(within).ok_or_else(|| {
                    Fault::row(format!(
                        "row {row} would lie {row} times {every} after {start}, outside {} to {}; declare a shorter `every`, or a later `start`: {OLDER}",
                        TIMES.0, TIMES.1
                    ))
                });
            }
        };
        let (name, slot) = self.at(field);
        let outside = |value: &str| {
            let what = format!(
                "is {value}, outside {} to {}; write the event time in milliseconds since 1970, or as 1996-08-19T04:00:00Z; {OLDER}",
                TIMES.0, TIMES.1
            );
            Fault::field(name, &what)
        };
        match slot {
            Slot::Text(range) => {
                let text = self.text(range);
                let time: Millis = text.trim_ascii().parse().map_err(|_| {
                    let what = format!(
                        "is {}, which is no time; write it as 1996-08-19T04:00:00Z, or declare the field long and write milliseconds since 1970",
                        shown(text)
                    );
                    Fault::field(name, &what)
                })?;
                Some(time)
                    .filter(within)
                    .ok_or_else(|| outside(&shown(text)))
            }
            Slot::Long(long) => Some(Millis(*long))
                .filter(within)
                .ok_or_else(|| outside(&long.to_string())),
            _ => Err(Fault::field(
                name,
                "is empty, and it is the event time; write it as 1996-08-19T04:00:00Z",
            )),
        }
    }
}

/// What is wrong with a record of that many bytes.
#[must_use]
pub fn too_long(length: u64) -> Fault {
    Fault::row(format!(
        "the record has {length} bytes, and at most {RECORD_LIMIT} are taken, for a broker refuses more by default; shorten it, or keep large values elsewhere and publish where they are"
    ))
}

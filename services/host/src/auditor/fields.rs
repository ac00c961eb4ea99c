//! Two records that should be equal: the first part that is not, by name.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use mainstem_schemas::{Catalog, RecordRef, wire};

/// What decoding may allocate at once: as the events' own decoder has it.
const MAX_ALLOCATION: usize = 64 << 20;

/// Characters of a value that a report shows.
const SHOWN: usize = 120;

/// Where two records differ, with both values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub field: String,
    pub expected: String,
    pub found: String,
}

impl Difference {
    fn new(
        field: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Difference {
            field: field.into(),
            expected: cut(expected.into()),
            found: cut(found.into()),
        }
    }
}

/// The first part in which two records differ: key, a header, the schema, or a field of the value.
pub(super) fn difference(
    catalog: &Catalog,
    expected: &RecordRef<'_>,
    found: &RecordRef<'_>,
) -> Difference {
    if expected.key != found.key {
        return Difference::new("the key", text(expected.key), text(found.key));
    }
    let headers = |record: &RecordRef<'_>| {
        record
            .headers()
            .map(|(name, value)| (name.to_owned(), text(Some(value))))
            .collect::<Vec<_>>()
    };
    let (ours, theirs) = (headers(expected), headers(found));
    for at in 0..ours.len().max(theirs.len()) {
        let (one, other) = (ours.get(at), theirs.get(at));
        if one != other {
            let name = one.or(other).map_or("", |(name, _)| name.as_str());
            let show = |header: Option<&(String, String)>| {
                header.map_or("nothing".to_owned(), |(name, value)| {
                    format!("{name}: {value}")
                })
            };
            return Difference::new(format!("header {name}"), show(one), show(other));
        }
    }
    value(
        catalog,
        expected.value.unwrap_or_default(),
        found.value.unwrap_or_default(),
    )
}

fn value(catalog: &Catalog, expected: &[u8], found: &[u8]) -> Difference {
    let bytes = || {
        let at = expected.iter().zip(found).take_while(|(a, b)| a == b);
        let at = at.count();
        let show = |bytes: &[u8]| {
            bytes
                .get(at)
                .map_or("nothing".to_owned(), |byte| format!("{byte:#04x}"))
        };
        Difference::new(
            format!("byte {at} of the value"),
            show(expected),
            show(found),
        )
    };
    let schema = |value| wire::split(value).ok().map(|(id, _)| id);
    if schema(expected) != schema(found) {
        let show = |id: Option<u32>| id.map_or("none".to_owned(), |id| id.to_string());
        return Difference::new("the schema id", show(schema(expected)), show(schema(found)));
    }
    match (decode(catalog, expected), decode(catalog, found)) {
        (Ok(one), Ok(other)) => within("", &one, &other).unwrap_or_else(bytes),
        (Ok(_), Err(why)) => {
            let bytes = bytes();
            Difference::new(
                bytes.field,
                bytes.expected,
                format!("{} ({why})", bytes.found),
            )
        }
        _ => bytes(),
    }
}

/// A value in the wire format, decoded by its own schema and no other.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn decode(catalog: &Catalog, value: &[u8]) -> Result<Value, String> {
    let (id, body) = wire::split(value).map_err(|error| error.to_string())?;
    let known = catalog
        .known(id)
        .ok_or_else(|| format!("schema id {id} is not registered"))?;
    body_of(known.schema()?, body)
}

fn body_of(schema: &Schema, body: &[u8]) -> Result<Value, String> {
    apache_avro::util::max_allocation_bytes(MAX_ALLOCATION);
    let reader = GenericDatumReader::builder(schema)
        .build()
        .map_err(|error| error.to_string())?;
    let mut rest = body;
    let value = reader
        .read_value(&mut rest)
        .map_err(|error| error.to_string())?;
    match rest.len() {
        0 => Ok(value),
        more => Err(format!("{more} bytes follow the record")),
    }
}

/// The first difference within two values, by path.
fn within(path: &str, one: &Value, other: &Value) -> Option<Difference> {
    match (one, other) {
        (Value::Record(ours), Value::Record(theirs)) if ours.len() == theirs.len() => {
            let dot = if path.is_empty() { "" } else { "." };
            ours.iter()
                .zip(theirs)
                .find_map(|((name, a), (_, b))| within(&format!("{path}{dot}{name}"), a, b))
        }
        (Value::Union(a, one), Value::Union(b, other)) if a == b => within(path, one, other),
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => ours
            .iter()
            .zip(theirs)
            .enumerate()
            .find_map(|(at, (a, b))| within(&format!("{path}[{at}]"), a, b)),
        (Value::Double(a), Value::Double(b)) if a.to_bits() == b.to_bits() => None,
        (Value::Double(a), Value::Double(b)) => Some(Difference::new(path, bits(*a), bits(*b))),
        (one, other) if one == other => None,
        (one, other) => Some(Difference::new(path, show(one), show(other))),
    }
}

/// A double as the shortest text that reads back; what is no number shows its bits.
fn bits(value: f64) -> String {
    if value.is_nan() {
        format!("NaN ({:#018x})", value.to_bits())
    } else {
        format!("{value:?}")
    }
}

/// A value in one line.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Boolean(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Long(value) => value.to_string(),
        Value::TimestampMillis(value) => mainstem_schemas::Millis(*value).to_string(),
        Value::Float(value) => value.to_string(),
        Value::Double(value) => bits(*value),
        Value::String(text) | Value::Enum(_, text) => text.clone(),
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => hex(bytes),
        Value::Union(_, value) => show(value),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(show).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Record(fields) => {
            let field = |(name, value): &(String, Value)| format!("{name}={}", show(value));
            fields.iter().map(field).collect::<Vec<_>>().join(" ")
        }
        other => format!("{other:?}"),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Text as it is, other bytes in hexadecimal.
pub(super) fn text(bytes: Option<&[u8]>) -> String {
    match bytes.map(std::str::from_utf8) {
        None => "null".into(),
        Some(Ok(text)) if !text.chars().any(char::is_control) => cut(text.into()),
        Some(_) => cut(hex(bytes.unwrap_or_default())),
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// What a record is, in a few words: its type, key and id.
pub(super) fn describe(catalog: &Catalog, record: &RecordRef<'_>) -> String {
    let known = wire::split(record.value.unwrap_or_default())
        .ok()
        .and_then(|(id, _)| catalog.known(id));
    let name = known.map_or("a record", |known| known.name.as_str());
    let mut words = format!("{name} with key {}", text(record.key));
    if let Some(id) = record.header("ce_id") {
        words.push_str(&format!(", id {}", text(Some(id))));
    }
    words
}

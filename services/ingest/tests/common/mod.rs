//! A source with a field of every kind, and rows read into short texts.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests stop at what they did not expect, and not every test uses every helper"
)]

use mainstem_columns::source_schema;
use mainstem_ingest::{Good, IngestError, Reader, Reject, Row};
use mainstem_schemas::definition::{Entity, EventTime, Field, FieldType, Source};

pub fn field(name: &str, kind: FieldType, optional: bool) -> Field {
    Field {
        name: name.into(),
        kind,
        optional,
    }
}

pub fn source() -> Source {
    Source {
        number: 1,
        fields: vec![
            field("who", FieldType::String, false),
            field("at", FieldType::String, false),
            field("price", FieldType::Double, false),
            field("units", FieldType::Long, true),
            field("open", FieldType::Boolean, true),
            field("note", FieldType::String, true),
        ],
        entity: Entity::Column("who".into()),
        time: EventTime::Column("at".into()),
        topic: None,
    }
}

pub const HEADER: &str = "who,at,price,units,open,note\n";

pub fn csv(text: impl AsRef<[u8]>) -> Result<Vec<Row>, IngestError> {
    Reader::csv("sales", &source(), text.as_ref())?.collect()
}

pub fn jsonl(text: impl AsRef<[u8]>) -> Vec<Row> {
    let rows = Reader::jsonl("sales", &source(), text.as_ref()).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// The reject of the first row of a CSV file below the usual header.
pub fn refused(line: impl AsRef<[u8]>) -> Reject {
    let rows = csv([HEADER.as_bytes(), line.as_ref()].concat()).unwrap();
    rows.into_iter().next().unwrap().outcome.unwrap_err()
}

/// The reject of a JSON line.
pub fn refused_json(line: impl AsRef<[u8]>) -> Reject {
    jsonl(line).into_iter().next().unwrap().outcome.unwrap_err()
}

/// The body as apache-avro reads it.
pub fn read(good: &Good) -> Vec<(String, apache_avro::types::Value)> {
    let schema = apache_avro::Schema::parse_str(&source_schema("p", "sales", &source())).unwrap();
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema);
    let mut body = good.body.as_slice();
    let value = reader.build().unwrap().read_value(&mut body).unwrap();
    assert!(body.is_empty());
    match value {
        apache_avro::types::Value::Record(fields) => fields,
        other => panic!("{other:?}"),
    }
}

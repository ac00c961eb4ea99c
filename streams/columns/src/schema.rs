//! How arrivals and features are written: the Avro schemas that a definition implies.
//!
//! Names are taken as declared; that they are Avro names (letters, digits and `_`, no digit first) is the definition
//! parser's to check.

use mainstem_schemas::definition::{Entity, EventTime, Field, FieldType, Source};
use serde_json::{Value, json};

/// Fields that every row of features has before its features, so that no feature may bear their names.
pub const FEATURE_FIELDS: [&str; 3] = ["origin", "event_time", "entity"];

/// The schema of a source's arrivals, as JSON text: record `<source>` in `<project>.arrivals`, the declared fields in
/// their order, optional ones as a union with null.
#[must_use]
pub fn source_schema(project: &str, source_name: &str, source: &Source) -> String {
    let fields: Vec<Value> = source.fields.iter().map(|f| arrival(f, source)).collect();
    json!({
        "type": "record",
        "namespace": format!("{project}.arrivals"),
        "name": source_name,
        "doc": format!("An arrival of the source {source_name}."),
        "fields": fields,
    })
    .to_string()
}

fn arrival(field: &Field, source: &Source) -> Value {
    let (kind, what) = match field.kind {
        FieldType::Double => ("double", "Number"),
        FieldType::Long => ("long", "Whole number"),
        FieldType::Boolean => ("boolean", "True or false"),
        FieldType::String => ("string", "Text"),
    };
    let mut doc = what.to_owned();
    if matches!(&source.entity, Entity::Column(column) if *column == field.name) {
        doc.push_str("; whom the record is about, its key");
    }
    if matches!(&source.time, EventTime::Column(column) if *column == field.name) {
        doc.push_str(match field.kind {
            FieldType::String => "; the event time, by RFC 3339",
            _ => "; the event time, in milliseconds since 1970",
        });
    }
    if field.optional {
        doc.push_str("; null where it is missing.");
        json!({"name": field.name, "type": ["null", kind], "default": null, "doc": doc})
    } else {
        doc.push('.');
        json!({"name": field.name, "type": kind, "doc": doc})
    }
}

/// The schema of a view's rows, as JSON text: record `FeaturesComputed` in `<project>.features.<view>`; origin, event
/// time and entity, then each feature as a double or null.
#[must_use]
pub fn view_schema(project: &str, view_name: &str, features: &[String]) -> String {
    let mut fields = vec![
        json!({
            "name": "origin",
            "type": {"type": "fixed", "name": "EventId", "size": 16},
            "doc": "Id of the arrival that the row was computed from.",
        }),
        json!({
            "name": "event_time",
            "type": {"type": "long", "logicalType": "timestamp-millis"},
            "doc": "Event time of that arrival, in milliseconds since 1970.",
        }),
        json!({"name": "entity", "type": "string", "doc": "Whom the row is about, its key."}),
    ];
    fields.extend(features.iter().map(|feature| {
        json!({
            "name": feature,
            "type": ["null", "double"],
            "default": null,
            "doc": "Feature; null where it is missing.",
        })
    }));
    json!({
        "type": "record",
        "namespace": format!("{project}.features.{view_name}"),
        "name": "FeaturesComputed",
        "doc": format!("A row of the feature view {view_name}."),
        "fields": fields,
    })
    .to_string()
}

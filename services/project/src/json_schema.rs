//! The published JSON Schema: completion, tooltips and red lines in any editor with a YAML language server.

use serde_json::{Map, Value, json};

use crate::grammar::PROJECT;
use crate::scalar;
use crate::shape::{Absent, FIELD_NAME, Key, LONGEST_TEXT, Shape, TOPIC_NAME};

/// JSON Schema (draft 2020-12) of the project file, made from the table that the parser itself goes by. It cannot
/// follow names from one part of the file to another; `mainstem check` does.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = record(PROJECT);
    if let Some(object) = schema.as_object_mut() {
        object.insert(
            "$schema".into(),
            "https://json-schema.org/draft/2020-12/schema".into(),
        );
        object.insert("title".into(), "Mainstem project file".into());
    }
    schema
}

fn of(shape: &Shape) -> Value {
    match shape {
        Shape::Text => json!({"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}),
        Shape::TopicName => json!({"type": "string", "pattern": TOPIC_NAME}),
        Shape::FieldName => json!({"type": "string", "pattern": FIELD_NAME}),
        Shape::Word(words) => {
            let word = |(word, doc): &(&str, &str)| json!({"const": word, "description": doc});
            json!({"oneOf": words.iter().map(word).collect::<Vec<_>>()})
        }
        Shape::Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Shape::Number(least, most) => json!({"type": "number", "minimum": least, "maximum": most}),
        Shape::Between(least, most) => {
            json!({"type": "number", "exclusiveMinimum": least, "exclusiveMaximum": most})
        }
        Shape::Flag => json!({"type": "boolean"}),
        Shape::Span => json!({
            "type": "string",
            "pattern": "^0*[1-9][0-9]*(ms|s|m|h|d)$",
            "examples": ["30m", "12h", "7d"],
        }),
        Shape::Moment => json!({
            "type": "string",
            "pattern": r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$",
            "examples": ["1996-08-19T04:00"],
        }),
        Shape::List(of_items, least, most) => json!({
            "type": "array",
            "items": of(of_items),
            "minItems": least,
            "maxItems": most,
        }),
        Shape::Table {
            name,
            of: value,
            most,
            empty,
            ..
        } => json!({
            "type": "object",
            "propertyNames": of(name),
            "additionalProperties": of(value),
            "minProperties": u8::from(!empty),
            "maxProperties": most,
        }),
        Shape::Record(keys) => record(keys),
        Shape::Choice(choices) => {
            json!({"oneOf": choices.iter().map(|keys| record(keys)).collect::<Vec<_>>()})
        }
        Shape::Short(short, long) => json!({"oneOf": [of(short), of(long)]}),
    }
}

fn record(keys: &[Key]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in keys {
        let mut schema = of(key.shape);
        if let Some(object) = schema.as_object_mut() {
            object.insert("description".into(), key.doc.into());
            match key.absent {
                Absent::Scalar(text) => {
                    object.insert("default".into(), default(key.shape, text));
                }
                Absent::Defaults => {
                    object.insert("default".into(), json!({}));
                }
                Absent::Refused => required.push(key.name),
                Absent::Nothing => {}
            }
        }
        properties.insert(key.name.into(), schema);
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn default(shape: &Shape, text: &str) -> Value {
    match shape {
        Shape::Whole(..) => scalar::whole(text).into(),
        Shape::Number(..) | Shape::Between(..) => scalar::number(text).into(),
        Shape::Flag => scalar::flag(text).into(),
        _ => text.into(),
    }
}

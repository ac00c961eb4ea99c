//! The text of a schema: what makes two of them the same, and what a schema is with its references in it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::avro::{Invalid, MAX_DEPTH, Primitive, full_name, own_namespace};

/// Members of a type or field in the order of a normalised text; the others follow by name.
const ORDER: [&str; 11] = [
    "name", "type", "doc", "aliases", "fields", "symbols", "items", "values", "size", "default",
    "order",
];

/// The full name of the record, enum or fixed that a schema is.
#[must_use]
pub fn record_name(schema: &str) -> Option<String> {
    let json: Value = serde_json::from_str(schema).ok()?;
    let object = json.as_object()?;
    Some(full_name(
        object.get("name")?.as_str()?,
        own_namespace(object, ""),
    ))
}

/// The text without white space between its parts, its members in the client's order: two clients that differ in more
/// than that mean two schemas, for docs and defaults count.
pub(crate) fn minified(schema: &str) -> Result<String, Invalid> {
    let json: Value = serde_json::from_str(schema).map_err(|error| Invalid(error.to_string()))?;
    Ok(json.to_string())
}

/// The text with full names, members in one order, and types without needless members.
pub(crate) fn normalised(schema: &str) -> Result<String, Invalid> {
    let json: Value = serde_json::from_str(schema).map_err(|error| Invalid(error.to_string()))?;
    Ok(normal(&json, "").to_string())
}

fn normal(json: &Value, namespace: &str) -> Value {
    match json {
        Value::String(name) if Primitive::of_name(name).is_none() => {
            Value::String(full_name(name, namespace))
        }
        Value::Array(branches) => branches.iter().map(|one| normal(one, namespace)).collect(),
        Value::Object(object) => normal_object(object, namespace),
        other => other.clone(),
    }
}

fn normal_object(object: &Map<String, Value>, namespace: &str) -> Value {
    let kind = object.get("type");
    if let (1, Some(kind)) = (object.len(), kind) {
        return normal(kind, namespace);
    }
    let kind_name = kind.and_then(Value::as_str).unwrap_or_default();
    let is_named = matches!(kind_name, "record" | "error" | "enum" | "fixed");
    let name = object.get("name").and_then(Value::as_str);
    let name = name
        .filter(|_| is_named)
        .map(|name| full_name(name, own_namespace(object, namespace)));
    let inner = name.as_deref().map_or(namespace, |n| {
        n.rsplit_once('.').map_or("", |(inner, _)| inner)
    });
    let mut members: Vec<(&String, Value)> = Vec::new();
    for (key, value) in object {
        let value = match (key.as_str(), &name) {
            ("namespace", Some(_)) => continue,
            ("name", Some(name)) => Value::String(name.clone()),
            ("type", None) if !matches!(kind_name, "array" | "map") => normal(value, inner),
            ("items" | "values", _) => normal(value, inner),
            ("fields", Some(_)) => {
                let fields = value.as_array().into_iter().flatten();
                fields
                    .map(|field| {
                        field
                            .as_object()
                            .map_or(Value::Null, |f| normal_field(f, inner))
                    })
                    .collect()
            }
            _ => value.clone(),
        };
        members.push((key, value));
    }
    Value::Object(in_order(members))
}

fn normal_field(field: &Map<String, Value>, namespace: &str) -> Value {
    let member = |(key, value)| match key {
        "type" => normal(value, namespace),
        _ => Value::clone(value),
    };
    let members = field
        .iter()
        .map(|(key, value)| (key, member((key.as_str(), value))));
    Value::Object(in_order(members.collect()))
}

fn in_order(mut members: Vec<(&String, Value)>) -> Map<String, Value> {
    let place = |key: &str| {
        ORDER
            .iter()
            .position(|one| *one == key)
            .unwrap_or(ORDER.len())
    };
    members
        .sort_by(|(one, _), (other, _)| place(one).cmp(&place(other)).then_with(|| one.cmp(other)));
    members
        .into_iter()
        .map(|(key, value)| (key.clone(), value))
        .collect()
}

/// The text with the schemas that it refers to in it, each where its name is used first.
///
/// # Errors
/// Where one of them is no JSON, or it is nested too deeply.
pub(crate) fn whole(schema: &str, referred: &BTreeMap<String, String>) -> Result<String, Invalid> {
    let read = |text: &str| serde_json::from_str(text).map_err(|error| Invalid(error.to_string()));
    let mut known = BTreeMap::new();
    for (name, text) in referred {
        known.insert(name.clone(), with_full_name(read(text)?));
    }
    let mut put_in = PutIn {
        known,
        done: BTreeSet::new(),
    };
    Ok(put_in.walk(&read(schema)?, "", 0)?.to_string())
}

/// Its namespace is its own: where it is put, another may be in force.
fn with_full_name(mut json: Value) -> Value {
    if let Some(object) = json.as_object_mut()
        && let Some(name) = object.get("name").and_then(Value::as_str)
    {
        let full = full_name(name, own_namespace(object, ""));
        let (namespace, name) = full.rsplit_once('.').unwrap_or(("", &full));
        let (namespace, name) = (Value::from(namespace), Value::from(name));
        object.insert("name".into(), name);
        object.insert("namespace".into(), namespace);
    }
    json
}

struct PutIn {
    known: BTreeMap<String, Value>,
    done: BTreeSet<String>,
}

impl PutIn {
    fn walk(&mut self, json: &Value, namespace: &str, depth: usize) -> Result<Value, Invalid> {
        if depth > MAX_DEPTH {
            let why = format!("it is nested deeper than {MAX_DEPTH} levels with its references");
            return Err(Invalid(why));
        }
        match json {
            Value::String(name) if Primitive::of_name(name).is_none() => {
                let full = full_name(name, namespace);
                match self.known.get(&full).cloned() {
                    Some(found) if self.done.insert(full.clone()) => {
                        self.walk(&found, namespace, depth + 1)
                    }
                    _ => Ok(Value::String(full)),
                }
            }
            Value::Array(branches) => branches
                .iter()
                .map(|one| self.walk(one, namespace, depth + 1))
                .collect(),
            Value::Object(object) => self.object(object, namespace, depth),
            other => Ok(other.clone()),
        }
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        depth: usize,
    ) -> Result<Value, Invalid> {
        let kind = object
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let is_named = matches!(kind, "record" | "error" | "enum" | "fixed");
        let mut inner = namespace.to_owned();
        if let Some(name) = object
            .get("name")
            .and_then(Value::as_str)
            .filter(|_| is_named)
        {
            let full = full_name(name, own_namespace(object, namespace));
            inner = full
                .rsplit_once('.')
                .map_or("", |(inner, _)| inner)
                .to_owned();
            self.done.insert(full);
        }
        let mut out = Map::new();
        for (key, value) in object {
            let value = match key.as_str() {
                "type" if !is_named && !matches!(kind, "array" | "map") => {
                    self.walk(value, &inner, depth + 1)?
                }
                "items" | "values" => self.walk(value, &inner, depth + 1)?,
                "fields" if is_named => self.fields(value, &inner, depth)?,
                _ => value.clone(),
            };
            out.insert(key.clone(), value);
        }
        Ok(Value::Object(out))
    }

    fn fields(&mut self, fields: &Value, namespace: &str, depth: usize) -> Result<Value, Invalid> {
        let mut out = Vec::new();
        for field in fields.as_array().into_iter().flatten() {
            let mut field = field.clone();
            if let Some(kind) = field.get_mut("type") {
                *kind = self.walk(kind, namespace, depth + 1)?;
            }
            out.push(field);
        }
        Ok(Value::Array(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avro::Types;

    #[test]
    fn white_space_does_not_count_and_all_else_does() {
        let one = minified(" { \"type\" : \"string\" } ").unwrap();
        assert_eq!(one, r#"{"type":"string"}"#);
        assert_ne!(one, minified("\"string\"").unwrap());
        assert!(minified("{").is_err());
    }

    #[test]
    fn normalised_texts_of_one_schema_are_equal() {
        let one = r#"{"name":"R","namespace":"a","type":"record","fields":[
            {"type":{"type":"string"},"name":"x","default":""},
            {"name":"e","type":{"namespace":"a","type":"enum","name":"E","symbols":["A"]}},{"name":"f","type":"E"}]}"#;
        let other = r#"{"type":"record","name":"a.R","fields":[{"name":"x","default":"","type":"string"},
            {"name":"e","type":{"name":"a.E","symbols":["A"],"type":"enum"}},{"name":"f","type":"a.E"}]}"#;
        assert_eq!(normalised(one).unwrap(), normalised(other).unwrap());
        assert!(Types::parse(&normalised(one).unwrap()).is_ok());
        let changed = other.replace("\"default\":\"\",", "");
        assert_ne!(normalised(one).unwrap(), normalised(&changed).unwrap());
    }

    #[test]
    fn a_normalised_text_is_the_same_schema() {
        let more = r#"{"type":"record","name":"a.R","fields":[{"name":"x","type":{"type":"array","items":
            {"type":"map","values":["null",{"type":"record","name":"S","fields":[{"name":"r","type":["null","R"]}]}]}}},
            {"name":"t","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#;
        let contracts = mainstem_schemas::events::CONTRACTS
            .iter()
            .map(|(_, avsc)| *avsc);
        for text in contracts.chain([more]) {
            let normal = normalised(text).unwrap();
            let same = Types::parse(&normal).unwrap_or_else(|why| panic!("{normal}: {why}"));
            assert_eq!(same, Types::parse(text).unwrap());
            assert_eq!(normalised(&normal).unwrap(), normal);
            assert_eq!(normal.contains("logicalType"), text.contains("logicalType"));
        }
    }

    #[test]
    fn references_are_put_in_where_they_are_used_first() {
        let referred = BTreeMap::from([
            ("b.Place".to_owned(), r#"{"type":"record","name":"Place","namespace":"b","fields":[{"name":"c","type":"Country"}]}"#.to_owned()),
            ("b.Country".to_owned(), r#"{"type":"enum","name":"b.Country","symbols":["CH"]}"#.to_owned()),
            ("Bare".to_owned(), r#"{"type":"fixed","name":"Bare","size":2}"#.to_owned()),
        ]);
        let schema = r#"{"type":"record","name":"a.R","fields":[{"name":"x","type":"b.Place"},
            {"name":"y","type":["null","b.Place"]},{"name":"z","type":{"type":"array","items":"b.Country"}}]}"#;
        assert!(Types::parse(schema).is_err());
        let text = whole(schema, &referred).unwrap();
        let types = Types::parse(&text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(
            types.named.keys().collect::<Vec<_>>(),
            ["a.R", "b.Country", "b.Place"]
        );
        let bare = r#"{"type":"record","name":"R","fields":[{"name":"x","type":"Bare"}]}"#;
        assert!(Types::parse(&whole(bare, &referred).unwrap()).is_ok());
    }

    #[test]
    fn names_are_full() {
        assert_eq!(
            record_name(r#"{"type":"record","name":"R","namespace":"a.b"}"#).unwrap(),
            "a.b.R"
        );
        assert_eq!(
            record_name(r#"{"name":"a.R","namespace":"b"}"#).unwrap(),
            "a.R"
        );
        assert_eq!(record_name("\"int\""), None);
    }
}

//! Avro schemas as resolution sees them: types, names and defaults; no docs, no order, no logical types.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// How deep a schema may be nested: clients send text, and walking it takes the stack. Real ones have some tens of levels.
pub(crate) const MAX_DEPTH: usize = 100;

/// Why a text is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub(crate) String);

/// A schema: its type, and the types that have names.
#[derive(Debug, Clone, PartialEq)]
pub struct Types {
    pub(crate) root: Type,
    pub(crate) named: BTreeMap<String, Named>,
}

/// A type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    Primitive(Primitive),
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    /// By its full name.
    Named(String),
}

/// A type without parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Primitive {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
}

/// A type that has a name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named {
    /// Full names that its readers know it by.
    pub aliases: Vec<String>,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Record(Vec<Field>),
    Enum {
        symbols: Vec<String>,
        default: Option<String>,
    },
    Fixed(u64),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub name: String,
    pub aliases: Vec<String>,
    pub has_default: bool,
    pub kind: Type,
}

impl Primitive {
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Primitive::Null,
            "boolean" => Primitive::Boolean,
            "int" => Primitive::Int,
            "long" => Primitive::Long,
            "float" => Primitive::Float,
            "double" => Primitive::Double,
            "bytes" => Primitive::Bytes,
            "string" => Primitive::String,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Primitive::Null => "null",
            Primitive::Boolean => "boolean",
            Primitive::Int => "int",
            Primitive::Long => "long",
            Primitive::Float => "float",
            Primitive::Double => "double",
            Primitive::Bytes => "bytes",
            Primitive::String => "string",
        }
    }
}

impl Types {
    /// Reads a schema that holds all that it refers to.
    ///
    /// # Errors
    /// [`Invalid`], in the words of the Avro library where it says more.
    pub fn parse(text: &str) -> Result<Types, Invalid> {
        let json: Value = serde_json::from_str(text).map_err(|error| Invalid(error.to_string()))?;
        let mut types = Types {
            root: Type::Primitive(Primitive::Null),
            named: BTreeMap::new(),
        };
        types.root = types.read(&json, "", 0)?;
        // Defaults, names and sizes are its business; it takes the stack, so the depth is looked at first.
        apache_avro::Schema::parse_str(text).map_err(|error| Invalid(error.to_string()))?;
        Ok(types)
    }

    fn read(&mut self, json: &Value, namespace: &str, depth: usize) -> Result<Type, Invalid> {
        if depth > MAX_DEPTH {
            let why = format!("it is nested deeper than {MAX_DEPTH} levels; name its parts");
            return Err(Invalid(why));
        }
        match json {
            Value::String(name) => Ok(match Primitive::of_name(name) {
                Some(primitive) => Type::Primitive(primitive),
                None => Type::Named(full_name(name, namespace)),
            }),
            Value::Array(branches) => {
                let read = |one| self.read(one, namespace, depth + 1);
                Ok(Type::Union(
                    branches.iter().map(read).collect::<Result<_, _>>()?,
                ))
            }
            Value::Object(object) => self.object(object, namespace, depth),
            other => Err(Invalid(format!("{other} is no type"))),
        }
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        depth: usize,
    ) -> Result<Type, Invalid> {
        let of = object.get("type").ok_or_else(|| missing("type", object))?;
        let Value::String(kind) = of else {
            return self.read(of, namespace, depth + 1);
        };
        let part = |name: &str| object.get(name).ok_or_else(|| missing(name, object));
        match kind.as_str() {
            "array" => Ok(Type::Array(Box::new(self.read(
                part("items")?,
                namespace,
                depth + 1,
            )?))),
            "map" => Ok(Type::Map(Box::new(self.read(
                part("values")?,
                namespace,
                depth + 1,
            )?))),
            "record" | "error" | "enum" | "fixed" => {
                let name = part("name")?.as_str().unwrap_or_default();
                let name = full_name(name, own_namespace(object, namespace));
                let inner = name
                    .rsplit_once('.')
                    .map_or("", |(inner, _)| inner)
                    .to_owned();
                let named = Named {
                    aliases: strings(object.get("aliases"))
                        .map(|a| full_name(a, &inner))
                        .collect(),
                    kind: match kind.as_str() {
                        "enum" => Kind::Enum {
                            symbols: strings(object.get("symbols")).map(str::to_owned).collect(),
                            default: object
                                .get("default")
                                .and_then(Value::as_str)
                                .map(str::to_owned),
                        },
                        "fixed" => Kind::Fixed(part("size")?.as_u64().unwrap_or_default()),
                        _ => Kind::Record(self.fields(part("fields")?, &inner, depth)?),
                    },
                };
                self.named.insert(name.clone(), named);
                Ok(Type::Named(name))
            }
            _ => self.read(of, namespace, depth + 1),
        }
    }

    fn fields(
        &mut self,
        json: &Value,
        namespace: &str,
        depth: usize,
    ) -> Result<Vec<Field>, Invalid> {
        let fields = json
            .as_array()
            .ok_or_else(|| Invalid("its fields are no list".into()))?;
        let read = |field: &Value| {
            let object = field.as_object();
            let object = object.ok_or_else(|| Invalid(format!("{field} is no field")))?;
            let part = |name: &str| object.get(name).ok_or_else(|| missing(name, object));
            Ok(Field {
                name: part("name")?.as_str().unwrap_or_default().to_owned(),
                aliases: strings(object.get("aliases")).map(str::to_owned).collect(),
                has_default: object.contains_key("default"),
                kind: self.read(part("type")?, namespace, depth + 1)?,
            })
        };
        fields.iter().map(read).collect()
    }
}

fn missing(member: &str, object: &Map<String, Value>) -> Invalid {
    let name = object
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or("a type");
    Invalid(format!("{name} has no member {member:?}"))
}

fn strings(json: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = json.and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// The namespace that a named type's name stands in.
pub(crate) fn own_namespace<'a>(object: &'a Map<String, Value>, enclosing: &'a str) -> &'a str {
    object
        .get("namespace")
        .and_then(Value::as_str)
        .unwrap_or(enclosing)
}

/// A name with its namespace, which it may bring along.
pub(crate) fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

//! From a writer's schema and a layout to the steps that read a body: every field, in the order it was written.

use std::collections::BTreeMap;

use apache_avro::schema::{InnerDecimalSchema, RecordField, RecordSchema, UuidSchema};
use apache_avro::{Schema, schema::Name};

use crate::body::Reason;
use crate::columns::{Kind, Layout, Wanted};
use crate::skip::{LARGEST, Skip};

/// Why records of a writer's schema cannot fill a layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The schema is no record.
    #[error("the writer's schema is a {got}; columns are read from records: write a record")]
    NotRecord {
        /// What it is.
        got: &'static str,
    },
    /// A wanted field holds other fields, or one that nobody wants holds itself.
    #[error(
        "field {field} has the type {got}; columns are read from flat records: write its parts as fields of their own"
    )]
    Nested {
        /// The field.
        field: String,
        /// What it is.
        got: &'static str,
    },
    /// A field that must have a value is not there.
    #[error(
        "the writer's schema has no field {field}, which must have a value: write it, or declare it optional (`double?`)"
    )]
    Missing {
        /// The field.
        field: String,
    },
    /// Two fields would fill one column.
    #[error(
        "field {field} is the column {column} by its alias, as another field is; take the alias away from one of them"
    )]
    Twice {
        /// The later field.
        field: String,
        /// The column.
        column: String,
    },
    /// A field has another type than its column.
    #[error(
        "field {field} is a {got} where a {wanted} is wanted; write it as one, or declare what is written"
    )]
    Mismatch {
        /// The field.
        field: String,
        /// What it is.
        got: &'static str,
        /// What the column holds.
        wanted: &'static str,
    },
}

/// A field of the writer's schema.
#[derive(Debug)]
pub(crate) struct Step {
    pub field: String,
    pub shape: Shape,
    /// So many fields from this one on are doubles and no unions: their bytes lie in a row.
    pub doubles: usize,
}

#[derive(Debug)]
pub(crate) enum Shape {
    One(Leaf),
    Union(Vec<Leaf>),
}

/// One type: how its bytes read, and where its value goes.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub wire: Wire,
    pub to: To,
}

#[derive(Debug)]
pub(crate) enum Wire {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Text,
    Bytes,
    Fixed(usize),
    Enum(Vec<String>),
    /// What nobody wants may hold anything.
    Nested(Skip),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    /// Nobody wants it.
    Nowhere,
    /// A column of the wire's kind.
    Column(usize),
    /// A column of times, which holds this many of the wire's units in a millisecond.
    Time(usize, i64),
    /// No column can hold it.
    Refuse(Reason),
}

/// How a schema's records are read.
pub(crate) struct Steps {
    pub steps: Vec<Step>,
    /// The wanted columns that it lacks.
    pub absent: Vec<usize>,
    /// Whether a field may be several of the columns by its name and aliases.
    pub is_ambiguous: bool,
}

/// The steps of a schema.
pub(crate) fn compile(schema: &Schema, layout: &Layout) -> Result<Steps, Unreadable> {
    let Schema::Record(record) = schema else {
        return Err(Unreadable::NotRecord {
            got: name_of(schema),
        });
    };
    let mut names = Names::new(record);
    let mut steps = Vec::with_capacity(record.fields.len());
    let mut absent: Vec<usize> = (0..layout.wanted().len()).collect();
    let mut is_ambiguous = false;
    for field in &record.fields {
        let mut columns = columns_of(field, layout);
        let wanted = columns.next();
        is_ambiguous |= columns.next().is_some();
        if let Some((column, wanted)) = wanted {
            let Some(place) = absent.iter().position(|at| *at == column) else {
                return Err(Unreadable::Twice {
                    field: field.name.clone(),
                    column: wanted.name.clone(),
                });
            };
            absent.remove(place);
        }
        let shape = shape(&field.name, &field.schema, wanted, &mut names)?;
        steps.push(Step {
            field: field.name.clone(),
            shape,
            doubles: 0,
        });
    }
    count_doubles(&mut steps);
    let missing = absent.iter().filter_map(|at| layout.wanted().get(*at));
    match missing.into_iter().find(|wanted| !wanted.optional) {
        Some(Wanted { name, .. }) => Err(Unreadable::Missing {
            field: name.clone(),
        }),
        None => Ok(Steps {
            steps,
            absent,
            is_ambiguous,
        }),
    }
}

fn count_doubles(steps: &mut [Step]) {
    let mut doubles = 0;
    for step in steps.iter_mut().rev() {
        let is_double =
            matches!(&step.shape, Shape::One(leaf) if matches!(leaf.wire, Wire::Double));
        doubles = if is_double { doubles + 1 } else { 0 };
        step.doubles = doubles;
    }
}

/// The columns that a field may fill: it fills the one of its name, else of its first alias. A writer that renames a field
/// says so by the alias, and whoever wants the old name goes on reading it.
fn columns_of<'w>(
    field: &'w RecordField,
    layout: &'w Layout,
) -> impl Iterator<Item = (usize, &'w Wanted)> {
    let names = std::iter::once(&field.name).chain(&field.aliases);
    let wanted = |name: &String| {
        layout
            .wanted()
            .iter()
            .enumerate()
            .find(|one| one.1.name == *name)
    };
    names.filter_map(wanted)
}

/// Types that were given a name on the way, for later fields may refer to them.
pub(crate) struct Names<'s> {
    record: &'s RecordSchema,
    known: BTreeMap<String, &'s Schema>,
}

impl<'s> Names<'s> {
    fn new(record: &'s RecordSchema) -> Self {
        Names {
            record,
            known: BTreeMap::new(),
        }
    }

    fn full(&self, name: &Name) -> String {
        name.fullname(self.record.name.namespace())
    }

    pub(crate) fn resolve(&mut self, schema: &'s Schema) -> &'s Schema {
        if let Schema::Ref { name } = schema {
            return self.known.get(&self.full(name)).copied().unwrap_or(schema);
        }
        if let Some(name) = schema.name() {
            self.known.insert(self.full(name), schema);
        }
        schema
    }
}

type Column<'w> = Option<(usize, &'w Wanted)>;

fn shape<'s>(
    field: &str,
    schema: &'s Schema,
    wanted: Column<'_>,
    names: &mut Names<'s>,
) -> Result<Shape, Unreadable> {
    if wanted.is_none()
        && let Some(nested) = nested(schema, names)
    {
        return Ok(Shape::One(nested));
    }
    let Schema::Union(union) = schema else {
        let schema = names.resolve(schema);
        let leaf = leaf(field, schema, wanted)?;
        return match (leaf.to, wanted) {
            (To::Refuse(_), Some((_, wanted))) => Err(mismatch(field, schema, wanted)),
            _ => Ok(Shape::One(leaf)),
        };
    };
    let mut branches = Vec::with_capacity(union.variants().len());
    for variant in union.variants() {
        branches.push(leaf(field, names.resolve(variant), wanted)?);
    }
    let fits = |leaf: &Leaf| !matches!(leaf.to, To::Refuse(_)) && !matches!(leaf.wire, Wire::Null);
    match wanted {
        // A union that no branch of fits, or only null, is another field by the same name.
        Some((_, wanted)) if !branches.iter().any(fits) => Err(mismatch(field, schema, wanted)),
        _ => Ok(Shape::Union(branches)),
    }
}

/// How a field that holds others is passed by; nothing of one that does not, or that holds itself.
fn nested<'s>(schema: &'s Schema, names: &mut Names<'s>) -> Option<Leaf> {
    let mut is_flat = |schema| wire(names.resolve(schema)).is_some();
    let is_flat = match schema {
        Schema::Union(union) => union.variants().iter().all(is_flat),
        schema => is_flat(schema),
    };
    let skip = (!is_flat).then(|| Skip::of(schema, names, 0, &mut LARGEST.clone()))??;
    Some(Leaf {
        wire: Wire::Nested(skip),
        to: To::Nowhere,
    })
}

fn mismatch(field: &str, schema: &Schema, wanted: &Wanted) -> Unreadable {
    Unreadable::Mismatch {
        field: field.into(),
        got: name_of(schema),
        wanted: wanted.kind.name(),
    }
}

fn leaf(field: &str, schema: &Schema, wanted: Column<'_>) -> Result<Leaf, Unreadable> {
    let wire = wire(schema).ok_or_else(|| Unreadable::Nested {
        field: field.into(),
        got: name_of(schema),
    })?;
    let to = match wanted {
        None => To::Nowhere,
        Some((column, wanted)) => to(schema, &wire, column, wanted),
    };
    Ok(Leaf { wire, to })
}

pub(crate) fn wire(schema: &Schema) -> Option<Wire> {
    Some(match schema {
        Schema::Null => Wire::Null,
        Schema::Boolean => Wire::Boolean,
        Schema::Int | Schema::Date | Schema::TimeMillis => Wire::Int,
        Schema::Long
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => Wire::Long,
        Schema::Float => Wire::Float,
        Schema::Double => Wire::Double,
        Schema::String | Schema::Uuid(UuidSchema::String) => Wire::Text,
        Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Wire::Bytes,
        Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
            Wire::Fixed(fixed.size)
        }
        Schema::Decimal(decimal) => match &decimal.inner {
            InnerDecimalSchema::Bytes => Wire::Bytes,
            InnerDecimalSchema::Fixed(fixed) => Wire::Fixed(fixed.size),
        },
        Schema::Enum(symbols) => Wire::Enum(symbols.symbols.clone()),
        Schema::Array(_) | Schema::Map(_) | Schema::Union(_) | Schema::Record(_) => return None,
        Schema::Ref { .. } => return None,
    })
}

fn to(schema: &Schema, wire: &Wire, column: usize, wanted: &Wanted) -> To {
    match (wanted.kind, wire) {
        (_, Wire::Null) if wanted.optional => To::Column(column),
        (_, Wire::Null) => To::Refuse(Reason::Null),
        (Kind::Number, Wire::Boolean | Wire::Int | Wire::Long | Wire::Float | Wire::Double)
        | (Kind::Text, Wire::Text | Wire::Enum(_)) => To::Column(column),
        (Kind::Origin, Wire::Fixed(16)) if matches!(schema, Schema::Fixed(_)) => To::Column(column),
        (Kind::Whole, Wire::Int | Wire::Long) => To::Column(column),
        (Kind::Time, Wire::Long) => match schema {
            Schema::TimestampMicros | Schema::LocalTimestampMicros => To::Time(column, 1_000),
            Schema::TimestampNanos | Schema::LocalTimestampNanos => To::Time(column, 1_000_000),
            Schema::TimeMicros => refuse(schema, wanted),
            _ => To::Time(column, 1),
        },
        _ => refuse(schema, wanted),
    }
}

fn refuse(schema: &Schema, wanted: &Wanted) -> To {
    To::Refuse(Reason::Mismatch {
        got: name_of(schema),
        wanted: wanted.kind.name(),
    })
}

pub(crate) fn name_of(schema: &Schema) -> &'static str {
    match schema {
        Schema::Null => "null",
        Schema::Boolean => "boolean",
        Schema::Int => "int",
        Schema::Long => "long",
        Schema::Float => "float",
        Schema::Double => "double",
        Schema::Bytes => "bytes",
        Schema::String => "string",
        Schema::Array(_) => "array",
        Schema::Map(_) => "map",
        Schema::Union(_) => "union",
        Schema::Record(_) => "record",
        Schema::Enum(_) => "enum",
        Schema::Fixed(_) => "fixed",
        Schema::Decimal(_) | Schema::BigDecimal => "decimal",
        Schema::Uuid(_) => "uuid",
        Schema::Date => "date",
        Schema::TimeMillis | Schema::TimeMicros => "time of day",
        Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => "timestamp",
        Schema::Duration(_) => "duration",
        Schema::Ref { .. } => "recursive record",
    }
}

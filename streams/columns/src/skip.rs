//! Reading over what nobody wants: arrays, maps, records within records, whatever they hold.

use apache_avro::Schema;

use crate::body::{Body, Reason};
use crate::compile::{Names, Wire, wire};

/// Levels that a value may hold within one another; Avro's own tools stop at some hundreds.
const DEEPEST: usize = 64;

/// Types that a value may be made of, each counted wherever it is used: one that holds itself, or others doubly, has no
/// end of them.
pub(crate) const LARGEST: usize = 4_096;

/// How a type's bytes are passed by.
#[derive(Clone, Debug)]
pub(crate) enum Skip {
    Null,
    Boolean,
    Varint,
    Prefixed,
    Bytes(usize),
    Union(Vec<Skip>),
    Record(Vec<Skip>),
    Array(Box<Skip>),
    Map(Box<Skip>),
}

impl Skip {
    /// How a schema is passed by; nothing where it holds itself, or is nested too deep. `left` counts types.
    pub(crate) fn of<'s>(
        schema: &'s Schema,
        names: &mut Names<'s>,
        depth: usize,
        left: &mut usize,
    ) -> Option<Self> {
        *left = left.checked_sub(1)?;
        let depth = (depth < DEEPEST).then_some(depth + 1)?;
        let schema = names.resolve(schema);
        Some(match schema {
            Schema::Array(array) => {
                Skip::Array(Box::new(Skip::of(&array.items, names, depth, left)?))
            }
            Schema::Map(map) => Skip::Map(Box::new(Skip::of(&map.types, names, depth, left)?)),
            Schema::Union(union) => {
                let branches = union.variants().iter();
                let branches = branches.map(|branch| Skip::of(branch, names, depth, left));
                Skip::Union(branches.collect::<Option<_>>()?)
            }
            Schema::Record(record) => {
                let fields = record.fields.iter();
                let fields = fields.map(|field| Skip::of(&field.schema, names, depth, left));
                Skip::Record(fields.collect::<Option<_>>()?)
            }
            flat => match wire(flat)? {
                Wire::Null => Skip::Null,
                Wire::Boolean => Skip::Boolean,
                Wire::Int | Wire::Long | Wire::Enum(_) => Skip::Varint,
                Wire::Float => Skip::Bytes(4),
                Wire::Double => Skip::Bytes(8),
                Wire::Text | Wire::Bytes => Skip::Prefixed,
                Wire::Fixed(size) => Skip::Bytes(size),
                Wire::Nested(_) => return None,
            },
        })
    }

    /// Reads over one value.
    pub(crate) fn pass(&self, body: &mut Body<'_>) -> Result<(), Reason> {
        match self {
            Skip::Null => {}
            Skip::Boolean => _ = body.boolean()?,
            Skip::Varint => _ = body.long()?,
            Skip::Prefixed => _ = body.prefixed()?,
            Skip::Bytes(size) => _ = body.bytes(*size)?,
            Skip::Union(branches) => {
                let wrong = |branch| Reason::Branch {
                    branch,
                    branches: branches.len(),
                };
                let index = body.index(branches.len())?.map_err(wrong)?;
                let branch = branches.get(index).ok_or(wrong(index as i64))?;
                branch.pass(body)?;
            }
            Skip::Record(fields) => fields.iter().try_for_each(|field| field.pass(body))?,
            Skip::Array(items) => blocks(body, |body| items.pass(body))?,
            Skip::Map(values) => blocks(body, |body| {
                body.prefixed()?;
                values.pass(body)
            })?,
        }
        Ok(())
    }
}

/// Blocks of items, each led by its count; where that is negative, by its size in bytes, too.
fn blocks(
    body: &mut Body<'_>,
    mut item: impl FnMut(&mut Body<'_>) -> Result<(), Reason>,
) -> Result<(), Reason> {
    loop {
        let count = body.long()?;
        if count == 0 {
            return Ok(());
        }
        if count < 0 {
            body.prefixed()?;
            continue;
        }
        for _ in 0..count {
            let left = body.0.len();
            item(body)?;
            if body.0.len() == left {
                // Items of no bytes: the count may claim any number of them.
                break;
            }
        }
    }
}

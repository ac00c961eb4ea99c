//! Whether records written with one schema can be read with another, by the rules of Avro's schema resolution; and if
//! not, which field is in the way, in the words that clients of Confluent's registry know.

use std::collections::BTreeSet;

use crate::avro::{Field, Kind, MAX_DEPTH, Named, Primitive, Type, Types};

/// What keeps a reader from reading a writer's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatibility {
    /// Kind, as Avro's Java library names it.
    pub kind: &'static str,
    /// A sentence that names the field.
    pub description: String,
    /// The field, symbols or sizes alone.
    pub info: String,
}

impl std::fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Incompatibility {
            kind,
            description,
            info,
        } = self;
        write!(
            f,
            "{{errorType:'{kind}', description:'{description}', additionalInfo:'{info}'}}"
        )
    }
}

/// Which of the two schemas is the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The new one reads what the old one wrote: backward.
    NewReads,
    /// The old one reads what the new one writes: forward.
    OldReads,
}

/// What keeps `reader` from reading what `writer` wrote; empty where nothing does.
#[must_use]
pub fn can_read(reader: &Types, writer: &Types, which: Which) -> Vec<Incompatibility> {
    let mut walk = Walk {
        depth: 0,
        reader,
        writer,
        which,
        seen: BTreeSet::new(),
        failed: BTreeSet::new(),
        tries: false,
        found: Vec::new(),
    };
    walk.types(&reader.root, &writer.root, &Place::default());
    walk.found
}

/// Where in the reader's schema: as a JSON pointer, and as the names of fields.
#[derive(Debug, Clone, Default)]
struct Place {
    path: String,
    field: String,
}

impl Place {
    fn then(&self, part: &str) -> Self {
        Place {
            path: format!("{}/{part}", self.path),
            field: self.field.clone(),
        }
    }

    fn field(&self, at: usize, name: &str) -> Self {
        let dot = if self.field.is_empty() { "" } else { "." };
        Place {
            path: format!("{}/fields/{at}", self.path),
            field: format!("{}{dot}{name}", self.field),
        }
    }

    fn path(&self) -> &str {
        if self.path.is_empty() {
            "/"
        } else {
            &self.path
        }
    }

    /// `of field 'a.b' `, or nothing at the top.
    fn of_field(&self) -> String {
        if self.field.is_empty() {
            String::new()
        } else {
            format!("of field '{}' ", self.field)
        }
    }
}

struct Walk<'a> {
    /// Named types within named types.
    depth: usize,
    reader: &'a Types,
    writer: &'a Types,
    which: Which,
    /// Pairs of names that are being compared or were: a recursive type is what it is without looking into it again.
    seen: BTreeSet<(String, String)>,
    /// Pairs that do not fit, so that no branch of a union is tried twice: tries within tries would grow exponentially.
    failed: BTreeSet<(String, String)>,
    /// Whether only the answer counts, not the words.
    tries: bool,
    found: Vec<Incompatibility>,
}

impl<'a> Walk<'a> {
    fn types(&mut self, reader: &Type, writer: &Type, at: &Place) {
        match (reader, writer) {
            (Type::Union(_), Type::Union(branches)) => {
                for branch in branches {
                    self.branch(reader, branch, at);
                }
            }
            (Type::Union(_), writer) => self.branch(reader, writer, at),
            (reader, Type::Union(branches)) => {
                for branch in branches {
                    self.types(reader, branch, at);
                }
            }
            (Type::Primitive(reader), Type::Primitive(writer)) if promotes(*writer, *reader) => {}
            (Type::Array(reader), Type::Array(writer)) => {
                self.types(reader, writer, &at.then("items"))
            }
            (Type::Map(reader), Type::Map(writer)) => {
                self.types(reader, writer, &at.then("values"))
            }
            (Type::Named(reader), Type::Named(writer)) => self.named(reader, writer, at),
            _ => self.mismatch(reader, writer, at),
        }
    }

    /// A branch that a writer may write, which some branch of the reader's union must read.
    fn branch(&mut self, reader: &Type, writer: &Type, at: &Place) {
        let Type::Union(branches) = reader else {
            return self.types(reader, writer, at);
        };
        let fits = branches.iter().any(|one| self.fits(one, writer, at));
        if !fits {
            let (one, other) = self.names();
            let lacks = self.kind_of(self.writer, writer);
            self.find(
                "MISSING_UNION_BRANCH",
                format!(
                    "The {one} schema is missing the type {lacks} inside a union {}at path '{}', which is in the {other} schema",
                    at.of_field(),
                    at.path()
                ),
                format!("reader union lacking writer type: {}", lacks.to_uppercase()),
            );
        }
    }

    /// Whether a branch fits, found out without a word.
    fn fits(&mut self, reader: &Type, writer: &Type, at: &Place) -> bool {
        let mut alone = Walk {
            depth: self.depth,
            reader: self.reader,
            writer: self.writer,
            which: self.which,
            seen: self.seen.clone(),
            failed: std::mem::take(&mut self.failed),
            tries: true,
            found: Vec::new(),
        };
        alone.types(reader, writer, at);
        self.failed = alone.failed;
        if alone.found.is_empty() {
            self.seen = alone.seen;
        }
        alone.found.is_empty()
    }

    fn named(&mut self, reader: &str, writer: &str, at: &Place) {
        let (Some(one), Some(other)) =
            (self.reader.named.get(reader), self.writer.named.get(writer))
        else {
            return;
        };
        let same_kind = std::mem::discriminant(&one.kind) == std::mem::discriminant(&other.kind);
        if !same_kind {
            let (reader, writer) = (Type::Named(reader.into()), Type::Named(writer.into()));
            return self.mismatch(&reader, &writer, at);
        }
        let pair = (reader.to_owned(), writer.to_owned());
        if self.tries && self.failed.contains(&pair) {
            return self.find("NAME_MISMATCH", String::new(), String::new());
        }
        if !self.seen.insert(pair.clone()) {
            return;
        }
        let before = self.found.len();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let what = format!(
                "Types are nested deeper than {MAX_DEPTH} levels (path '{}')",
                at.path()
            );
            self.find("TOO_DEEP", what, reader.to_owned());
        } else if last(reader) != last(writer) && !one.aliases.iter().any(|alias| alias == writer) {
            let what = format!(
                "The name of the schema {}has changed (path '{}')",
                at.of_field(),
                at.then("name").path()
            );
            self.find("NAME_MISMATCH", what, format!("expected: {writer}"));
        } else {
            self.parts(one, other, at);
        }
        self.depth -= 1;
        if self.found.len() > before {
            self.failed.insert(pair);
        }
    }

    fn parts(&mut self, reader: &'a Named, writer: &'a Named, at: &Place) {
        match (&reader.kind, &writer.kind) {
            (Kind::Record(wanted), Kind::Record(written)) => self.records(wanted, written, at),
            (
                Kind::Enum { symbols, default },
                Kind::Enum {
                    symbols: written, ..
                },
            ) => {
                let is_lost = |symbol: &&String| !symbols.contains(symbol);
                let lost: Vec<&str> = written.iter().filter(is_lost).map(String::as_str).collect();
                if default.is_none() && !lost.is_empty() {
                    let (one, other) = self.names();
                    let lost = format!("[{}]", lost.join(", "));
                    let what = format!(
                        "The {one} schema is missing enum symbols '{lost}' {}at path '{}' in the {other} schema",
                        at.of_field(),
                        at.then("symbols").path()
                    );
                    self.find("MISSING_ENUM_SYMBOLS", what, lost);
                }
            }
            (Kind::Fixed(wanted), Kind::Fixed(written)) if wanted != written => {
                let (one, other) = self.names();
                let what = format!(
                    "The size of FIXED type field {}at path '{}' in the {one} schema does not match with the {other} schema",
                    at.of_field(),
                    at.then("size").path()
                );
                self.find(
                    "FIXED_SIZE_MISMATCH",
                    what,
                    format!("expected: {written}, found: {wanted}"),
                );
            }
            _ => {}
        }
    }

    fn records(&mut self, wanted: &'a [Field], written: &'a [Field], at: &Place) {
        for (number, field) in wanted.iter().enumerate() {
            let by = |name: &str| written.iter().find(|one| one.name == name);
            let found =
                by(&field.name).or_else(|| field.aliases.iter().find_map(|alias| by(alias)));
            let place = at.field(number, &field.name);
            match found {
                Some(writer) => self.types(&field.kind, &writer.kind, &place.then("type")),
                None if field.has_default => {}
                None => {
                    let (one, other) = self.names();
                    let what = format!(
                        "The field '{}' at path '{}' in the {one} schema has no default value and is missing in the {other} schema",
                        place.field, place.path
                    );
                    self.find("READER_FIELD_MISSING_DEFAULT_VALUE", what, place.field);
                }
            }
        }
    }

    fn mismatch(&mut self, reader: &Type, writer: &Type, at: &Place) {
        let (one, other) = self.names();
        let (wanted, written) = (
            self.kind_of(self.reader, reader),
            self.kind_of(self.writer, writer),
        );
        let what = format!(
            "The type {}(path '{}') in the {one} schema, {wanted}, does not match with the {other} schema, {written}",
            at.of_field(),
            at.path()
        );
        let info = format!(
            "reader type: {} not compatible with writer type: {}",
            wanted.to_uppercase(),
            written.to_uppercase()
        );
        self.find("TYPE_MISMATCH", what, info);
    }

    fn find(&mut self, kind: &'static str, description: String, info: String) {
        self.found.push(Incompatibility {
            kind,
            description,
            info,
        });
    }

    /// What the reader's schema and the writer's are to the client.
    fn names(&self) -> (&'static str, &'static str) {
        match self.which {
            Which::NewReads => ("new", "old"),
            Which::OldReads => ("old", "new"),
        }
    }

    fn kind_of(&self, types: &Types, one: &Type) -> String {
        match one {
            Type::Primitive(primitive) => primitive.name().into(),
            Type::Array(_) => "array".into(),
            Type::Map(_) => "map".into(),
            Type::Union(_) => "union".into(),
            Type::Named(name) => match types.named.get(name).map(|named| &named.kind) {
                Some(Kind::Record(_)) | None => format!("record {name}"),
                Some(Kind::Enum { .. }) => format!("enum {name}"),
                Some(Kind::Fixed(_)) => format!("fixed {name}"),
            },
        }
    }
}

/// Whether a value of one type is read as another: numbers widen, texts and bytes are each other's.
fn promotes(from: Primitive, to: Primitive) -> bool {
    use Primitive::{Bytes, Double, Float, Int, Long, String};
    from == to
        || matches!(
            (from, to),
            (Int, Long | Float | Double)
                | (Long, Float | Double)
                | (Float, Double)
                | (String, Bytes)
                | (Bytes, String)
        )
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests;

//! JSON: one object a record, its keys the source's fields.

use std::fmt;

use mainstem_schemas::definition::Field;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::encoder::{Encoder, Good};
use super::fault::{Fault, shown};
use super::values::{
    Cell, Missing, beyond_double, from_boolean, from_float, from_integer, from_string, not_finite,
};

/// What becomes of keys that the source does not declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// The record is refused: the key may be misspelt.
    Refused,
    /// They are passed by, whatever they hold: others write the records.
    Ignored,
}

/// An object as a row.
///
/// # Errors
/// [`Fault`] where it does not fit the source.
pub fn row(encoder: &mut Encoder, row: u64, bytes: &[u8], others: Others) -> Result<Good, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        Fault::row(format!(
            "byte {at} of the record is not UTF-8; write JSON as UTF-8"
        ))
    })?;
    encoder.begin();
    let mut object = Object {
        seen: vec![false; encoder.fields.len()],
        encoder,
        others,
        field: None,
        fault: None,
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_any(&mut object).and_then(|()| json.end());
    if let Err(error) = read {
        let fault = object.fault.take();
        return Err(fault.unwrap_or_else(|| not_json(&object, text, &error)));
    }
    encoder.finish(row)
}

/// What the parser could not read, where it is no fault of a value's type.
fn not_json(object: &Object<'_>, text: &str, error: &serde_json::Error) -> Fault {
    let said = error.to_string();
    let what = said.split(" at line ").next().unwrap_or(&said);
    let column = error.column();
    if let Some(field) = object.field.and_then(|at| object.encoder.fields.get(at)) {
        // Python writes NaN and Infinity, which are not JSON.
        let near = text.get(column.saturating_sub(2)..).unwrap_or_default();
        for word in ["NaN", "Infinity"] {
            if near.find(word).is_some_and(|at| at <= 2) {
                return not_finite(field, word, Missing::Null);
            }
        }
        if what == "number out of range" {
            let before = text.get(..column).unwrap_or_default();
            let digits = |c: char| !(c.is_ascii_digit() || "+-.eE".contains(c));
            let number = before.rsplit(digits).find(|part| !part.is_empty());
            return beyond_double(field, number.unwrap_or_default());
        }
    }
    let remedy = "write one object a line, as {\"a\": 1}";
    Fault::row(if error.is_data() {
        format!("the record is no object: {what}; {remedy}")
    } else {
        format!("the record is not JSON: {what} at column {column}; {remedy}")
    })
}

/// Reads an object into the encoder's cells.
struct Object<'e> {
    encoder: &'e mut Encoder,
    others: Others,
    seen: Vec<bool>,
    /// Whose value is being read.
    field: Option<usize>,
    fault: Option<Fault>,
}

impl Object<'_> {
    fn fail<E: Error>(&mut self, fault: Fault) -> E {
        self.fault = Some(fault);
        E::custom("refused")
    }

    /// The field of a key. Most records name the fields in their order.
    fn find(&mut self, key: &str) -> Result<Option<usize>, Fault> {
        let next = self.field.map_or(0, |field| field + 1);
        let is = |field: &Field| field.name == key;
        let fields = &self.encoder.fields;
        let at = match fields.get(next) {
            Some(field) if is(field) => Some(next),
            _ => fields.iter().position(is),
        };
        let Some(at) = at else {
            if self.others == Others::Ignored {
                return Ok(None);
            }
            let source = &self.encoder.source_name;
            let key = shown(key);
            return Err(Fault::row(format!(
                "key {key} is not declared in source {source}; add it to the source's fields, or leave it out"
            )));
        };
        match self.seen.get_mut(at) {
            Some(seen) if *seen => {
                let what = "is there twice; leave one of them out";
                Err(Fault::field(key, what))
            }
            Some(seen) => {
                *seen = true;
                Ok(Some(at))
            }
            None => Ok(Some(at)),
        }
    }

    /// Takes the value of the current field.
    fn take<'v, E: Error>(
        &mut self,
        convert: impl FnOnce(&Field) -> Result<Cell<'v>, Fault>,
    ) -> Result<(), E> {
        let Some(at) = self.field else { return Ok(()) };
        match self.encoder.fields.get(at).map(convert) {
            Some(Ok(cell)) => self.encoder.set(at, cell),
            Some(Err(fault)) => return Err(self.fail(fault)),
            None => {}
        }
        Ok(())
    }

    fn nested<E: Error>(&mut self, what: &str) -> E {
        let name = self.field.and_then(|at| self.encoder.fields.get(at));
        let name = name.map_or(String::new(), |field| field.name.clone());
        let what =
            format!("is {what}, and records are flat; write its parts as fields of their own");
        self.fail(Fault::field(&name, &what))
    }
}

impl<'de> Visitor<'de> for &mut Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(at) = map.next_key_seed(Key(self))? {
            self.field = at.or(self.field);
            match at {
                Some(_) => map.next_value_seed(Value(self))?,
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        self.field = None;
        Ok(())
    }
}

/// Reads a key as the position of its field.
struct Key<'o, 'e>(&'o mut Object<'e>);

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Option<usize>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Option<usize>, E> {
        self.0.find(key).map_err(|fault| self.0.fail(fault))
    }
}

/// Reads a value into the cell of the current field.
struct Value<'o, 'e>(&'o mut Object<'e>);

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a string, true, false or null")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.take(|_| Ok(Cell::Missing))
    }

    fn visit_bool<E: Error>(self, boolean: bool) -> Result<(), E> {
        self.0.take(|field| from_boolean(field, boolean))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.0.take(|field| from_integer(field, number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.0.take(|field| from_integer(field, number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.0.take(|field| from_float(field, number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.take(|field| from_string(field, text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.0.nested("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.0.nested("an object"))
    }
}

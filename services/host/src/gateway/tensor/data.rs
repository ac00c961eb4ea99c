//! The values of a tensor, read as they come: a body of nulls would take fifty times its size as JSON values.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

/// Values of a request: 500 for each of 1,000 rows; 64 requests at once then hold half a gigabyte of them at most.
const MAX_VALUES: usize = 500_000;

/// Numbers of one array, or of an array of arrays; null is a missing value.
#[derive(Debug, Default)]
pub(super) struct Data {
    /// All values in order.
    pub values: Vec<Option<f64>>,
    /// Lengths of the inner arrays; empty where there are none.
    rows: Vec<usize>,
}

impl Data {
    /// Whether the values fill so many rows of that width.
    pub(super) fn fills(&self, rows: u64, width: u64) -> bool {
        let nested = |length: &usize| *length as u64 == width;
        self.values.len() as u64 == rows.saturating_mul(width)
            && (self.rows.is_empty()
                || self.rows.len() as u64 == rows && self.rows.iter().all(nested))
    }

    fn push<E: Error>(&mut self, value: Option<f64>) -> Result<(), E> {
        // Models take 32-bit floats.
        if let Some(value) = value.filter(|value| !(*value as f32).is_finite()) {
            return Err(E::custom(format!("{value} is beyond a 32-bit float")));
        }
        if self.values.len() == MAX_VALUES {
            return Err(E::custom(format!(
                "there are more than {MAX_VALUES} values; send them in several requests"
            )));
        }
        self.values.push(value);
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut data = Data::default();
        deserializer.deserialize_seq(Rows(&mut data))?;
        Ok(data)
    }
}

/// Reads the outer array.
struct Rows<'a>(&'a mut Data);

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers, or of rows of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Item(&mut *self.0))?.is_some() {}
        let nested: usize = self.0.rows.iter().sum();
        if !self.0.rows.is_empty() && nested != self.0.values.len() {
            return Err(A::Error::custom("rows and single numbers are mixed"));
        }
        Ok(())
    }
}

/// Reads a number, null, or a row of them.
struct Item<'a>(&'a mut Data);

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, null for a missing value, or a row of them")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.push(None)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.0.push(Some(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.0.push(Some(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.0.push(Some(value as f64))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let before = self.0.values.len();
        while let Some(value) = seq.next_element::<Option<f64>>()? {
            self.0.push(value)?;
        }
        self.0.rows.push(self.0.values.len() - before);
        Ok(())
    }
}

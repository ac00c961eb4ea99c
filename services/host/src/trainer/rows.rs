//! The rows of a data set: canonical, in columns or row by row.

use mainstem_rooms::drift::ReferenceProfile;
use mainstem_schemas::{Digest, Millis};

use super::failure::Failure;

/// What the digest of canonical rows is derived under; frozen, for data sets are named by it.
const CONTEXT: &str = "mainstem v1 data set rows";

/// Labelled rows in (event time, entity) order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rows {
    /// Names of the features.
    pub features: Vec<String>,
    pub entities: Vec<String>,
    pub times: Vec<Millis>,
    /// Row by row; NaN is missing.
    pub values: Vec<f32>,
    /// 0 or 1.
    pub labels: Vec<u8>,
}

impl Rows {
    pub fn new(features: &[String]) -> Self {
        Rows {
            features: features.to_vec(),
            ..Rows::default()
        }
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn width(&self) -> usize {
        self.features.len()
    }

    pub fn push(&mut self, time: Millis, entity: &str, values: &[f32], label: u8) {
        self.times.push(time);
        self.entities.push(entity.into());
        self.values.extend_from_slice(values);
        self.labels.push(label);
    }

    /// The rows by columns.
    pub fn columns(&self) -> Vec<Vec<f32>> {
        let column = |at| {
            self.values
                .iter()
                .skip(at)
                .step_by(self.width())
                .copied()
                .collect()
        };
        (0..self.width()).map(column).collect()
    }

    /// The labels as the trainer takes them.
    pub fn classes(&self) -> Vec<f32> {
        self.labels.iter().map(|label| f32::from(*label)).collect()
    }

    /// BLAKE3 of the canonical rows: per row the entity after its length (u64), the event time (i64), the bits of each
    /// feature (u32; every NaN is the same), the label (u8); numbers are little endian. It is the name of what a model
    /// is trained on, whatever file format holds it.
    pub fn content(&self) -> Digest {
        let mut bytes = Vec::with_capacity(self.values.len() * 4 + self.len() * 32);
        let each = self
            .times
            .iter()
            .zip(&self.entities)
            .zip(self.values.chunks_exact(self.width().max(1)));
        for (((time, entity), values), label) in each.zip(&self.labels) {
            bytes.extend((entity.len() as u64).to_le_bytes());
            bytes.extend(entity.as_bytes());
            bytes.extend(time.0.to_le_bytes());
            for value in values {
                let value = if value.is_nan() { f32::NAN } else { *value };
                bytes.extend(value.to_bits().to_le_bytes());
            }
            bytes.push(*label);
        }
        Digest::derive(CONTEXT, &bytes)
    }

    /// How the features are distributed.
    pub fn profile(&self) -> Result<ReferenceProfile, Failure> {
        ReferenceProfile::of_columns(&self.features, &self.columns())
            .map_err(|error| Failure::lasting(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(entity: &str, nan: f32) -> Rows {
        let mut rows = Rows::new(&["a".into(), "b".into()]);
        rows.push(Millis(5), entity, &[1.5, nan], 1);
        rows.push(Millis(6), entity, &[-0.0, 2.0], 0);
        rows
    }

    #[test]
    fn the_digest_of_the_rows_is_frozen_and_knows_one_nan() {
        let digest = rows("e", f32::NAN).content();
        assert_eq!(rows("e", f32::from_bits(0xffc0_1234)).content(), digest);
        assert_ne!(rows("f", f32::NAN).content(), digest);
        assert_eq!(
            digest.to_string(),
            "df956d0cdb471c9c212b55ef1b27ca888e4a3a22bab2a0f14e472c78e21db31a",
            "data sets in users' logs are named by it"
        );
    }

    #[test]
    fn columns_are_the_rows_turned() {
        let columns = rows("e", f32::NAN).columns();
        assert_eq!(columns[0], [1.5, 0.0]);
        assert!(columns[1][0].is_nan() && columns[1][1] == 2.0);
    }
}

//! The reference of a model version: how its training rows, or its outputs on the validation rows, were distributed.
//!
//! Built once by the effect that makes the version, kept in the blob store, named by the digest of its bytes in
//! `DeploymentStarted`. The bytes are canonical, all numbers big endian:
//! format 1 (u8), rows (u64), number of columns (u16), and per column its name, its grid and its counts, each after
//! its length (u32).

use mainstem_schemas::Digest;
use mainstem_statistics::{Counts, Error, Grid};

/// Name of the only column of a reference of predictions.
pub const PROBABILITY: &str = "probability";

const FORMAT: u8 = 1;

/// A reference profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceProfile {
    rows: u64,
    columns: Vec<Column>,
}

/// A column of a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name of the feature, or [`PROBABILITY`].
    pub name: String,
    /// Its cells.
    pub grid: Grid,
    /// How many of the reference's values lie in each.
    pub counts: Counts,
}

/// Columns or bytes that are no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotProfile {
    /// Another number of names than of columns.
    #[error("{names} names for {columns} columns; give each column one name")]
    Names {
        /// Names given.
        names: usize,
        /// Columns given.
        columns: usize,
    },
    /// Columns of different lengths.
    #[error(
        "column {name} has {found} values where the first has {expected}; give one value a row, NaN for missing"
    )]
    Length {
        /// Name of the column.
        name: String,
        /// Values of the first column.
        expected: u64,
        /// Values of this one.
        found: u64,
    },
    /// A name that stands twice.
    #[error("column {0} is given twice")]
    Twice(String),
    /// More columns than fit.
    #[error("{0} columns are more than the 65535 that a profile can hold")]
    TooMany(usize),
    /// Bytes that `to_bytes` would not write.
    #[error("these bytes are no reference profile: {0}; restore the blob from a copy")]
    Malformed(&'static str),
    /// A column's grid or counts.
    #[error("column {name}: {error}")]
    Column {
        /// Name of the column.
        name: String,
        /// What is wrong with it.
        error: Error,
    },
}

/// A value as the model is given it, and as every profile counts it: a 32-bit float. A constant 0.1 of the training
/// rows and a 0.1 of the features' 64-bit rows must fall into one cell.
pub(super) fn narrowed(value: f64) -> f32 {
    if value.is_nan() {
        f32::NAN
    } else {
        value as f32
    }
}

impl ReferenceProfile {
    /// Freezes the columns of a reference: one value a row in each, NaN for missing. The order of the rows does not
    /// matter.
    ///
    /// # Errors
    /// [`NotProfile`] where names and columns do not fit.
    pub fn of_columns<T: Copy + Into<f64>>(
        names: &[String],
        columns: &[Vec<T>],
    ) -> Result<Self, NotProfile> {
        if names.len() != columns.len() {
            return Err(NotProfile::Names {
                names: names.len(),
                columns: columns.len(),
            });
        }
        let frozen = names.iter().zip(columns).map(|(name, values)| {
            let values: Vec<f32> = values
                .iter()
                .map(|value| narrowed((*value).into()))
                .collect();
            let grid = Grid::freeze(&values);
            let counts = Counts::of(&grid, &values);
            Column {
                name: name.clone(),
                grid,
                counts,
            }
        });
        let rows = columns.first().map_or(0, |column| column.len() as u64);
        Self::checked(rows, frozen.collect())
    }

    fn checked(rows: u64, columns: Vec<Column>) -> Result<Self, NotProfile> {
        if columns.len() > usize::from(u16::MAX) {
            return Err(NotProfile::TooMany(columns.len()));
        }
        for (at, Column { name, grid, counts }) in columns.iter().enumerate() {
            if columns[..at].iter().any(|other| other.name == *name) {
                return Err(NotProfile::Twice(name.clone()));
            }
            if counts.total() != rows {
                return Err(NotProfile::Length {
                    name: name.clone(),
                    expected: rows,
                    found: counts.total(),
                });
            }
            // Merging is refused where the counts are of another grid.
            let merged = Counts::new(grid).merge(counts);
            merged.map_err(|error| NotProfile::Column {
                name: name.clone(),
                error,
            })?;
        }
        Ok(ReferenceProfile { rows, columns })
    }

    /// Rows of the reference.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The columns in order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The digest that names it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// The canonical bytes, some 3 KiB a column.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend(self.rows.to_be_bytes());
        bytes.extend((self.columns.len() as u16).to_be_bytes());
        for column in &self.columns {
            for part in [
                column.name.as_bytes(),
                &column.grid.to_bytes(),
                &column.counts.to_bytes(),
            ] {
                bytes.extend((part.len() as u32).to_be_bytes());
                bytes.extend(part);
            }
        }
        bytes
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`NotProfile`] for anything that [`Self::to_bytes`] would not write.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotProfile> {
        let mut rest = bytes;
        if take::<1>(&mut rest)? != [FORMAT] {
            return Err(NotProfile::Malformed("the format is not 1"));
        }
        let rows = u64::from_be_bytes(take(&mut rest)?);
        let count = u16::from_be_bytes(take(&mut rest)?);
        let columns = (0..count)
            .map(|_| column(&mut rest))
            .collect::<Result<_, _>>()?;
        if !rest.is_empty() {
            return Err(NotProfile::Malformed("bytes are left over"));
        }
        Self::checked(rows, columns)
    }
}

fn column(rest: &mut &[u8]) -> Result<Column, NotProfile> {
    let name = std::str::from_utf8(part(rest)?)
        .map_err(|_| NotProfile::Malformed("a name is not UTF-8"))?
        .to_owned();
    let wrong = |error| NotProfile::Column {
        name: name.clone(),
        error,
    };
    let grid = Grid::from_bytes(part(rest)?).map_err(wrong)?;
    let counts = Counts::from_bytes(part(rest)?).map_err(wrong)?;
    Ok(Column { name, grid, counts })
}

fn part<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], NotProfile> {
    let length = u32::from_be_bytes(take(rest)?) as usize;
    let (part, after) = rest
        .split_at_checked(length)
        .ok_or(NotProfile::Malformed("they end too early"))?;
    *rest = after;
    Ok(part)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], NotProfile> {
    let (head, after) = rest
        .split_first_chunk()
        .ok_or(NotProfile::Malformed("they end too early"))?;
    *rest = after;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn profile() -> ReferenceProfile {
        let columns = [vec![0.1, 0.1, 0.1], vec![1.0, f64::NAN, 3.0]];
        ReferenceProfile::of_columns(&names(&["constant", "gappy"]), &columns).unwrap()
    }

    #[test]
    fn bytes_come_back_and_are_frozen() {
        let profile = profile();
        assert_eq!(
            ReferenceProfile::from_bytes(&profile.to_bytes()),
            Ok(profile.clone())
        );
        assert_eq!((profile.rows(), profile.columns().len()), (3, 2));
        assert_eq!(
            profile.digest().to_string(),
            "77037e21b8624ade5a34cdc456e752a5674099bf7d768cb449056b65a178acb3",
            "the bytes changed: users' versions name them"
        );
    }

    #[test]
    fn the_same_numbers_as_32_and_64_bits_make_one_profile() {
        let columns = [vec![0.1f32; 3], vec![1.0, f32::NAN, 3.0]];
        let narrow =
            ReferenceProfile::of_columns(&names(&["constant", "gappy"]), &columns).unwrap();
        assert_eq!(narrow, profile());
        let column = &narrow.columns()[0];
        assert!(column.grid.is_tie(column.grid.cell(narrowed(0.1).into())));
    }

    #[test]
    fn columns_that_do_not_fit_are_refused() {
        let of = |n: &[&str], columns: &[Vec<f64>]| {
            ReferenceProfile::of_columns(&names(n), columns).unwrap_err()
        };
        assert_eq!(
            of(&["a"], &[]),
            NotProfile::Names {
                names: 1,
                columns: 0
            }
        );
        assert_eq!(
            of(&["a", "a"], &[vec![1.0], vec![1.0]]),
            NotProfile::Twice("a".into())
        );
        let length = NotProfile::Length {
            name: "b".into(),
            expected: 1,
            found: 2,
        };
        assert_eq!(of(&["a", "b"], &[vec![1.0], vec![1.0, 2.0]]), length);
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_refused_or_another_profile(at in 0usize..400, flip in 1u8..) {
            let profile = profile();
            let mut bytes = profile.to_bytes();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            if let Ok(other) = ReferenceProfile::from_bytes(&bytes) {
                prop_assert_ne!(&other, &profile);
                prop_assert_eq!(other.to_bytes(), bytes);
            }
            prop_assert!(ReferenceProfile::from_bytes(&profile.to_bytes()[..at]).is_err());
        }
    }
}

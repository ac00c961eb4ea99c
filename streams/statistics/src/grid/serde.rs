//! The serde forms of grids and counts: their canonical bytes in binary formats, fields in text.
//!
//! In text, bounds are decimal strings: JSON numbers have no infinities, and not every reader of them gets the last
//! bit right. Ids are hexadecimal strings, since some readers take every number for a float.

use super::bytes::MAX_COUNTS;
use super::{Counts, Grid, GridId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GridText {
    bounds: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountsText {
    grid: GridId,
    cells: Vec<u64>,
    missing: u64,
}

impl Serialize for Grid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            GridText {
                bounds: self
                    .bounds()
                    .iter()
                    .map(|bound| format!("{bound:?}"))
                    .collect(),
            }
            .serialize(serializer)
        } else {
            self.to_bytes().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Grid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = GridText::deserialize(deserializer)?;
            let bounds = text
                .bounds
                .iter()
                .map(|bound| bound.parse().map_err(de::Error::custom));
            Self::checked(bounds.collect::<Result<_, _>>()?)
        } else {
            Self::from_bytes(&Vec::deserialize(deserializer)?)
        }
        .map_err(de::Error::custom)
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let text = CountsText {
                grid: self.grid(),
                cells: self.cells().to_vec(),
                missing: self.missing(),
            };
            text.serialize(serializer)
        } else {
            self.to_bytes().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Self::from_bytes(&Vec::deserialize(deserializer)?).map_err(de::Error::custom);
        }
        let CountsText {
            grid,
            mut cells,
            missing,
        } = CountsText::deserialize(deserializer)?;
        if !(1..MAX_COUNTS).contains(&cells.len()) {
            return Err(de::Error::invalid_length(cells.len(), &"1 to 2047 cells"));
        }
        cells.push(missing);
        Self::from_cells(grid, cells).map_err(de::Error::custom)
    }
}

impl Serialize for GridId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for GridId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        let id = u64::from_str_radix(&text, 16)
            .map(Self)
            .map_err(de::Error::custom)?;
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(de::Error::custom(
                "not a grid id: 16 lower-case hexadecimal digits",
            ))
        }
    }
}

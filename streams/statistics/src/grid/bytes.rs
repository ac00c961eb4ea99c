//! The canonical bytes of grids and counts.
//!
//! Decoding accepts exactly what encoding writes, so equal values have equal bytes and equal digests:
//! - grid: format 1 (u8), number of bounds (u16, big endian), bounds (f64, big endian);
//! - counts: format 1 (u8), grid id (u64, big endian), number of cells and then the counts, the missing values last
//!   (LEB128, shortest form).

use super::counts::Counts;
use super::{Grid, GridId, MAX_CELLS};
use crate::Error;

const FORMAT: u8 = 1;

/// At most `2 * MAX_CELLS - 1` cells, and the missing values.
pub(super) const MAX_COUNTS: usize = 2 * MAX_CELLS as usize;

/// FNV-1a, 64 bits, by Fowler, Noll and Vo: <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub(super) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

pub(super) fn encode_bounds(bounds: &[f64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(3 + 8 * bounds.len());
    bytes.push(FORMAT);
    bytes.extend((bounds.len() as u16).to_be_bytes()); // fits: below MAX_COUNTS
    for bound in bounds {
        bytes.extend(bound.to_be_bytes());
    }
    bytes
}

impl Grid {
    /// The canonical bytes: 3 and 8 per bound, about 2 KiB.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode_bounds(self.bounds())
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything that [`Grid::to_bytes`] would not write.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader {
            what: "grid",
            bytes,
        };
        reader.format()?;
        let count = usize::from(u16::from_be_bytes(reader.take()?));
        if reader.bytes.len() != 8 * count {
            return Err(reader.error("the length is not that of its bounds"));
        }
        let (bounds, _) = reader.bytes.as_chunks();
        Self::checked(
            bounds
                .iter()
                .map(|bound| f64::from_be_bytes(*bound))
                .collect(),
        )
    }

    pub(super) fn checked(bounds: Vec<f64>) -> Result<Self, Error> {
        let error = |why| Err(Error::Malformed { what: "grid", why });
        if bounds.len() + 2 > MAX_COUNTS {
            return error("too many cells");
        }
        if bounds.iter().any(|bound| {
            bound.is_nan() || *bound == f64::INFINITY || bound.to_bits() == (-0.0_f64).to_bits()
        }) {
            return error("a bound is NaN, +inf or -0");
        }
        if !bounds.is_sorted_by(|a, b| a < b) {
            return error("the bounds do not increase");
        }
        Ok(Self::from_bounds(bounds))
    }
}

impl Counts {
    /// The canonical bytes: 10 or 11, and one or two per cell for counts below 16,384.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(11 + 2 * self.cells().len());
        bytes.push(FORMAT);
        bytes.extend(self.grid().0.to_be_bytes());
        let length = self.cells().len() as u64 + 1;
        let missing = self.missing();
        for mut number in [&length]
            .into_iter()
            .chain(self.cells())
            .chain([&missing])
            .copied()
        {
            while number >= 0x80 {
                bytes.push(number as u8 | 0x80);
                number >>= 7;
            }
            bytes.push(number as u8);
        }
        bytes
    }

    /// Reads canonical bytes. Whether the counts are of a given grid is checked when they meet it.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything that [`Counts::to_bytes`] would not write, [`Error::TooMany`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader {
            what: "counts",
            bytes,
        };
        reader.format()?;
        let grid = GridId(u64::from_be_bytes(reader.take()?));
        let length = reader.varint()?;
        if !(2..=MAX_COUNTS as u64).contains(&length) {
            return Err(reader.error("the number of cells is out of range"));
        }
        let cells = (0..length)
            .map(|_| reader.varint())
            .collect::<Result<_, _>>()?;
        if !reader.bytes.is_empty() {
            return Err(reader.error("bytes are left over"));
        }
        Self::from_cells(grid, cells)
    }
}

struct Reader<'a> {
    what: &'static str,
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn error(&self, why: &'static str) -> Error {
        Error::Malformed {
            what: self.what,
            why,
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self
            .bytes
            .split_first_chunk()
            .ok_or_else(|| self.error("it ends too early"))?;
        self.bytes = rest;
        Ok(*head)
    }

    fn format(&mut self) -> Result<(), Error> {
        match self.take()? {
            [FORMAT] => Ok(()),
            _ => Err(self.error("the format is not 1")),
        }
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let [byte] = self.take()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                let shortest = byte != 0 || shift == 0;
                return if shortest {
                    Ok(number)
                } else {
                    Err(self.error("a number is not in its shortest form"))
                };
            }
        }
        Err(self.error("a number is above 2^63"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frozen_examples() {
        // The id was computed apart, in Python.
        let grid = Grid::freeze(&[0.5, 0.5]);
        assert_eq!(
            grid.to_bytes(),
            b"\x01\x00\x02\x3f\xdf\xff\xff\xff\xff\xff\xff\x3f\xe0\x00\x00\x00\x00\x00\x00"
        );
        let counts = Counts::from_cells(grid.id(), vec![0, 300, 1, 2]).unwrap();
        let json = serde_json::to_string(&(&grid, &counts)).unwrap();
        assert_eq!(
            json,
            r#"[{"bounds":["0.49999999999999994","0.5"]},{"grid":"025508094e582675","cells":[0,300,1],"missing":2}]"#
        );
        assert_eq!(
            counts.to_bytes(),
            b"\x01\x02\x55\x08\x09\x4e\x58\x26\x75\x04\x00\xac\x02\x01\x02"
        );
    }

    #[test]
    fn refuses_what_it_would_not_write() {
        let why =
            |bounds: &[f64]| Grid::from_bytes(&encode_bounds(bounds)).map(|grid| grid.cells());
        assert_eq!(why(&[f64::NEG_INFINITY, 0.0]), Ok(3));
        for bounds in [
            [1.0, 1.0],
            [2.0, 1.0],
            [0.0, f64::NAN],
            [-0.0, 1.0],
            [0.0, f64::INFINITY],
        ] {
            assert!(why(&bounds).is_err(), "{bounds:?}");
        }
        assert!(why(&(0..2_047).map(f64::from).collect::<Vec<_>>()).is_err());
        let counts = Counts::new(&Grid::freeze(&[0.5])).to_bytes();
        assert!(Counts::from_bytes(&counts[..counts.len() - 1]).is_err());
        assert!(Counts::from_bytes(&[counts.as_slice(), &[0]].concat()).is_err());
        assert!(Counts::from_bytes(&[&counts[..counts.len() - 1], &[0x80, 0]].concat()).is_err());
        assert!(Counts::from_bytes(&[&counts[..counts.len() - 1], &[0xff; 10]].concat()).is_err());
        assert!(Grid::from_bytes(&[2, 0, 0]).is_err());
    }
}

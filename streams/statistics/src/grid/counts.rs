use super::{Grid, GridId};
use crate::{Error, Sample};

/// From here on a count would no longer be exact in an f64.
pub(super) const MAX_TOTAL: u64 = 1 << 53;

/// Searches that overlap. Of 10 million random values in 264 cells, 4 or 32 at a time took a quarter longer, 16 about
/// the same.
const LANES: usize = 8;

/// How many values of a column lie in each cell of a [`Grid`].
///
/// Integers only: any split of the values over tasks and any order of adding and merging gives equal counts, and
/// equal counts have equal bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    grid: GridId,
    /// One per cell, then the missing values.
    cells: Vec<u64>,
}

impl Counts {
    /// Counts of nothing yet.
    #[must_use]
    pub fn new(grid: &Grid) -> Self {
        Self {
            grid: grid.id(),
            cells: vec![0; grid.cells() + 1],
        }
    }

    /// The counts of a column: f64 or f32, NaN for missing.
    #[must_use]
    pub fn of<T: Copy + Into<f64>>(grid: &Grid, values: &[T]) -> Self {
        let mut counts = Self::new(grid);
        counts.count(grid, values);
        counts
    }

    /// Used by decoding, which has checked the rest.
    pub(super) fn from_cells(grid: GridId, cells: Vec<u64>) -> Result<Self, Error> {
        let sum = cells
            .iter()
            .try_fold(0_u64, |sum, count| sum.checked_add(*count));
        if sum.is_none_or(|sum| sum > MAX_TOTAL) {
            return Err(Error::TooMany);
        }
        Ok(Self { grid, cells })
    }

    /// Adds one value.
    ///
    /// # Errors
    /// [`Error::OtherGrid`] when `grid` is not the one that these counts were made for.
    #[inline]
    pub fn add(&mut self, grid: &Grid, value: f64) -> Result<(), Error> {
        self.check(grid)?;
        self.cells[grid.cell(value)] += 1;
        Ok(())
    }

    /// Adds a column of f64 or f32 (which becomes an f64 exactly), NaN for missing. Allocates nothing.
    ///
    /// # Errors
    /// [`Error::OtherGrid`] when `grid` is not the one that these counts were made for.
    pub fn add_column<T: Copy + Into<f64>>(
        &mut self,
        grid: &Grid,
        values: &[T],
    ) -> Result<(), Error> {
        self.check(grid)?;
        self.count(grid, values);
        Ok(())
    }

    /// `grid` is the one that these counts were made for.
    fn count<T: Copy + Into<f64>>(&mut self, grid: &Grid, values: &[T]) {
        let (chunks, rest) = values.as_chunks::<LANES>();
        for chunk in chunks {
            for cell in grid.locate(chunk.map(Into::into)) {
                self.cells[cell] += 1;
            }
        }
        for value in rest {
            self.cells[grid.cell((*value).into())] += 1;
        }
    }

    /// Adds the counts of another part of the same column.
    ///
    /// # Errors
    /// [`Error::OtherGrid`] for counts of another grid, [`Error::TooMany`] above 2^53 values in all.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.grid != other.grid || self.cells.len() != other.cells.len() {
            return Err(Error::OtherGrid {
                expected: self.grid,
                found: other.grid,
            });
        }
        if self.total().saturating_add(other.total()) > MAX_TOTAL {
            return Err(Error::TooMany);
        }
        for (count, more) in self.cells.iter_mut().zip(&other.cells) {
            *count += more;
        }
        Ok(())
    }

    /// The grid that these counts were taken on.
    #[must_use]
    pub fn grid(&self) -> GridId {
        self.grid
    }

    /// The count of each cell, without the missing values.
    #[must_use]
    pub fn cells(&self) -> &[u64] {
        &self.cells[..self.cells.len() - 1]
    }

    /// The number of missing values.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.cells[self.cells.len() - 1]
    }

    /// The number of values that are not missing.
    #[must_use]
    pub fn present(&self) -> u64 {
        self.cells().iter().sum()
    }

    /// The number of values.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.cells.iter().sum()
    }

    /// The sample sizes, as a report has them.
    #[must_use]
    pub fn sample(&self) -> Sample {
        Sample {
            present: self.present(),
            missing: self.missing(),
        }
    }

    pub(crate) fn check(&self, grid: &Grid) -> Result<(), Error> {
        if self.grid == grid.id() && self.cells.len() == grid.cells() + 1 {
            Ok(())
        } else {
            Err(Error::OtherGrid {
                expected: grid.id(),
                found: self.grid,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_f32_and_missing_values() -> Result<(), Error> {
        let grid = Grid::freeze_at(&[1.0, 2.0, 3.0, 4.0], 2)?;
        let mut counts = Counts::of(&grid, &[0.5_f32, 2.0, 2.5, f32::NAN, 9.0]);
        counts.add(&grid, f64::NAN)?;
        assert_eq!((counts.cells(), counts.missing()), ([2, 2].as_slice(), 2));
        assert_eq!(counts.sample().missing_share(), Some(1.0 / 3.0));
        Ok(())
    }

    #[test]
    fn refuses_another_grid_and_too_many() -> Result<(), Error> {
        let (one, two) = (Grid::freeze(&[1.0]), Grid::freeze(&[2.0]));
        let mut counts = Counts::of(&one, &[1.0]);
        let other = Error::OtherGrid {
            expected: two.id(),
            found: one.id(),
        };
        assert_eq!(counts.add(&two, 1.0), Err(other.clone()));
        assert_eq!(counts.add_column(&two, &[1.0]), Err(other));
        assert!(counts.merge(&Counts::new(&two)).is_err());
        let full = Counts::from_cells(one.id(), vec![0, MAX_TOTAL, 0, 0])?;
        assert_eq!(counts.merge(&full), Err(Error::TooMany));
        assert_eq!(counts.total(), 1);
        assert_eq!(
            Counts::from_cells(one.id(), vec![u64::MAX, 1]),
            Err(Error::TooMany)
        );
        Ok(())
    }
}

use super::{CELLS, Grid, MAX_CELLS};
use crate::Error;

impl Grid {
    /// Freezes the 256 quantiles of a reference; see [`Grid::freeze_at`].
    #[must_use]
    pub fn freeze<T: Copy + Into<f64>>(reference: &[T]) -> Self {
        Self::from_bounds(cut(&sorted(reference), usize::from(CELLS)))
    }

    /// Freezes a grid at a resolution of `cells`: no cell but a tie holds more than `1 / cells` of the reference.
    ///
    /// The order of the values does not matter, and missing ones are left out; a reference without values gives
    /// a grid of one cell. One sort: half a second for 10 million values.
    ///
    /// # Errors
    /// [`Error::Resolution`] unless `cells` is 1 to [`MAX_CELLS`].
    pub fn freeze_at<T: Copy + Into<f64>>(reference: &[T], cells: u16) -> Result<Self, Error> {
        if !(1..=MAX_CELLS).contains(&cells) {
            return Err(Error::Resolution(cells));
        }
        Ok(Self::from_bounds(cut(
            &sorted(reference),
            usize::from(cells),
        )))
    }
}

/// The values that are not missing, in order, with -0 as 0.
pub(crate) fn sorted<T: Copy + Into<f64>>(values: &[T]) -> Vec<f64> {
    let values = values
        .iter()
        .map(|value| (*value).into())
        .filter(|value: &f64| !value.is_nan());
    let mut sorted: Vec<f64> = values.map(|value| value + 0.0).collect(); // -0 + 0 is 0
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// Fills cells from the smallest value up, each to at most `1 / cells` of all values. Any two neighbours together
/// hold more than that, or the second would have been part of the first: hence at most `2 * cells - 1` of them.
fn cut(sorted: &[f64], cells: usize) -> Vec<f64> {
    let capacity = sorted.len() / cells;
    let mut bounds: Vec<f64> = Vec::with_capacity(2 * cells);
    let mut filled = 0;
    let mut previous = f64::NEG_INFINITY;
    for run in sorted.chunk_by(|a, b| a == b) {
        let value = run[0];
        if run.len() > capacity {
            let below = value.next_down() + 0.0;
            if value > f64::NEG_INFINITY && bounds.last().is_none_or(|last| *last < below) {
                bounds.push(below);
            }
            bounds.push(value);
            filled = 0;
        } else {
            if filled + run.len() > capacity {
                bounds.push(previous);
                filled = 0;
            }
            filled += run.len();
        }
        previous = value;
    }
    if bounds.last() == Some(&f64::INFINITY) {
        bounds.pop(); // a tie at +inf is the last cell itself
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_has_cells_below_and_above() {
        let grid = Grid::freeze(&[0.5; 100]);
        assert_eq!(grid.bounds(), [0.5_f64.next_down(), 0.5]);
        assert_eq!(
            [0.4, 0.5, 0.6, f64::NAN].map(|value| grid.cell(value)),
            [0, 1, 2, 3]
        );
        assert_eq!(
            [0, 1, 2, 3].map(|cell| grid.is_tie(cell)),
            [false, true, false, false]
        );
    }

    #[test]
    fn quantiles_of_distinct_values() -> Result<(), Error> {
        let values: Vec<f64> = (1..=1_000).rev().map(f64::from).collect();
        let grid = Grid::freeze_at(&values, 4)?;
        assert_eq!(grid.bounds(), [250.0, 500.0, 750.0]);
        assert_eq!(Grid::freeze(&values).cells(), 334); // 1,000 / 256 = 3 whole values a cell
        Ok(())
    }

    #[test]
    fn a_value_that_repeats_gets_its_own_cell() -> Result<(), Error> {
        let mut values: Vec<f64> = (0..100).map(f64::from).collect();
        values.extend([42.0; 100]);
        let grid = Grid::freeze_at(&values, 10)?;
        let tie = grid.cell(42.0);
        assert!(grid.is_tie(tie));
        assert_eq!(grid.cell(42.0_f64.next_down()), tie - 1);
        assert_eq!(grid.cell(42.0_f64.next_up()), tie + 1);
        Ok(())
    }

    #[test]
    fn the_ends_of_the_floats() {
        let grid = Grid::freeze(&[f64::NEG_INFINITY, f64::INFINITY, -0.0, 0.0, f64::NAN]);
        assert_eq!(
            grid.bounds(),
            [f64::NEG_INFINITY, 0.0_f64.next_down(), 0.0, f64::MAX]
        );
        assert_eq!(grid.cell(-0.0), grid.cell(0.0));
        let ties: Vec<bool> = (0..5).map(|cell| grid.is_tie(cell)).collect();
        assert_eq!(ties, [true, false, true, false, true]);
    }

    #[test]
    fn no_values_and_wrong_resolutions() {
        assert_eq!(Grid::freeze(&[f64::NAN]).cells(), 1);
        assert_eq!(Grid::freeze::<f64>(&[]).cell(1.0), 0);
        assert_eq!(Grid::freeze_at(&[1.0], 0), Err(Error::Resolution(0)));
        assert_eq!(
            Grid::freeze_at(&[1.0], 1_025),
            Err(Error::Resolution(1_025))
        );
    }
}

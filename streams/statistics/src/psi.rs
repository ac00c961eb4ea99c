//! The population stability index of a window against a reference.
//!
//! PSI = Σ over bins of (wᵢ - rᵢ) · ln(wᵢ / rᵢ), where rᵢ and wᵢ are the shares of the reference and of the window
//! in bin i. In nats, 0 and up, symmetric. Source: Siddiqi, *Credit Risk Scorecards* (Wiley, 2006), chapter
//! "Scorecard monitoring", whence also the usual reading: below 0.1 no change, above 0.25 a large one. Evidently's
//! `psi` has the same formula.
//!
//! The bins are deciles of the reference's present values, made of whole cells of its grid, but
//! - a tie of [`OWN_BIN_PERCENT`] % of the reference or more stays a bin of its own, and what lies on either side of
//!   it falls into other bins, empty or not: with plain deciles a column that is constant in the reference would
//!   show 0 while it drifts completely;
//! - missing values are a bin (which adds nothing when neither side has any), so shares are of all values.
//!
//! A share below [`FLOOR`] counts as that, so that an empty bin costs much but not infinitely much; shares are not
//! normalised again. Bins depend on the reference only: a PSI today and a PSI last year mean the same.
//!
//! Where the reference is declared instead ([`declared`]), its bins are taken as they are.

use crate::Error;
use crate::grid::{Counts, Grid, GridId};
use crate::report::{DriftReport, Method, Precision, Sample};

/// The smallest share of a bin: what Evidently puts in an empty bin's place.
pub const FLOOR: f64 = 1e-4;

/// The share, in percent of the reference, from which on a tie is a bin: half a decile.
pub const OWN_BIN_PERCENT: u64 = 5;

/// Quantile bins of a column without large ties.
const DECILES: u64 = 10;

/// The bins of one reference: make them once, compare many windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bins {
    grid: GridId,
    /// The first cell after each bin, increasing; the last is the number of cells.
    ends: Vec<usize>,
    reference: Counts,
}

/// Makes the bins of the reference and compares one window: [`Bins::new`] and [`Bins::compare`].
///
/// # Errors
/// [`Error::Empty`] when either holds no value at all, [`Error::OtherGrid`].
pub fn psi(grid: &Grid, reference: &Counts, window: &Counts) -> Result<DriftReport, Error> {
    Bins::new(grid, reference)?.compare(window)
}

/// Compares a window with shares that somebody declared: a bin a cell, the missing values last.
///
/// # Errors
/// [`Error::Empty`] for a window of no values, [`Error::Malformed`] for another number of shares.
pub fn declared(shares: &[f64], window: &Counts) -> Result<DriftReport, Error> {
    if shares.len() != window.cells().len() + 1 {
        return Err(Error::Malformed {
            what: "shares",
            why: "not one a cell and one of the missing values",
        });
    }
    if window.total() == 0 {
        return Err(Error::Empty("window"));
    }
    let total = window.total() as f64;
    let counts = window.cells().iter().copied().chain([window.missing()]);
    let terms = shares
        .iter()
        .zip(counts)
        .map(|(r, count)| term(*r, count as f64 / total));
    Ok(DriftReport {
        method: Method::PopulationStabilityIndex,
        statistic: terms.fold(0.0, |sum, term| sum + term), // in the order of the bins
        reference: Sample::default(),
        window: window.sample(),
        precision: Precision::Exact,
    })
}

impl Bins {
    /// Makes the bins of a reference, given its counts on its grid: 1 to 41.
    ///
    /// # Errors
    /// [`Error::Empty`] for a reference of no values (missing ones are values here), [`Error::OtherGrid`].
    pub fn new(grid: &Grid, reference: &Counts) -> Result<Self, Error> {
        reference.check(grid)?;
        if reference.total() == 0 {
            return Err(Error::Empty("reference"));
        }
        let total = reference.total();
        let own_bin = |cell: usize| {
            grid.is_tie(cell) && reference.cells()[cell] * 100 >= total * OWN_BIN_PERCENT
        };
        let mut ends = Vec::new();
        let mut start = 0;
        for cell in (0..grid.cells()).filter(|cell| own_bin(*cell)) {
            split(reference, start, cell, &mut ends);
            ends.push(cell + 1);
            start = cell + 1;
        }
        split(reference, start, grid.cells(), &mut ends);
        Ok(Self {
            grid: grid.id(),
            ends,
            reference: reference.clone(),
        })
    }

    /// The PSI of a window; exact, since bins are made of whole cells.
    ///
    /// # Errors
    /// [`Error::Empty`] for a window of no values, [`Error::OtherGrid`].
    pub fn compare(&self, window: &Counts) -> Result<DriftReport, Error> {
        if window.grid() != self.grid || window.cells().len() != self.reference.cells().len() {
            return Err(Error::OtherGrid {
                expected: self.grid,
                found: window.grid(),
            });
        }
        if window.total() == 0 {
            return Err(Error::Empty("window"));
        }
        let terms = self
            .shares(&self.reference)
            .zip(self.shares(window))
            .map(|(r, w)| term(r, w));
        Ok(DriftReport {
            method: Method::PopulationStabilityIndex,
            statistic: terms.fold(0.0, |sum, term| sum + term), // in the order of the bins
            reference: self.reference.sample(),
            window: window.sample(),
            precision: Precision::Exact,
        })
    }

    /// The inclusive upper bounds of all bins but the last, in the column's unit, for a chart.
    #[must_use]
    pub fn bounds(&self, grid: &Grid) -> Vec<f64> {
        self.ends
            .iter()
            .filter_map(|end| grid.bounds().get(end - 1).copied())
            .collect()
    }

    /// The share of each bin, then that of the missing values, before the floor.
    fn shares<'a>(&'a self, counts: &'a Counts) -> impl Iterator<Item = f64> + 'a {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        let bins = starts
            .zip(&self.ends)
            .map(|(start, end)| counts.cells()[start..*end].iter().sum());
        let total = counts.total() as f64;
        bins.chain([counts.missing()])
            .map(move |count: u64| count as f64 / total)
    }
}

/// Divides the cells between two ties evenly into as many bins as they hold tenths of the present values, at
/// least one: a cell goes where its middle lies.
fn split(reference: &Counts, start: usize, end: usize, ends: &mut Vec<usize>) {
    if start == end {
        return;
    }
    let present = reference.present();
    let cells = &reference.cells()[start..end];
    let mass: u64 = cells.iter().sum();
    let bins = if mass == 0 {
        1
    } else {
        ((2 * DECILES * mass + present) / (2 * present)).max(1)
    };
    let (mut before, mut current) = (0, 0);
    for (cell, count) in (start..end).zip(cells) {
        let bin = ((2 * before + count) * bins)
            .checked_div(2 * mass)
            .unwrap_or(0)
            .min(bins - 1);
        if bin > current && cell > start {
            ends.push(cell);
        }
        current = bin;
        before += count;
    }
    ends.push(end);
}

fn term(reference: f64, window: f64) -> f64 {
    let (r, w) = (reference.max(FLOOR), window.max(FLOOR));
    (w - r) * libm::log(w / r)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistic(reference: &[f64], window: &[f64]) -> Result<f64, Error> {
        let grid = Grid::freeze(reference);
        Ok(psi(
            &grid,
            &Counts::of(&grid, reference),
            &Counts::of(&grid, window),
        )?
        .statistic)
    }

    #[test]
    fn deciles_of_distinct_values() -> Result<(), Error> {
        let values: Vec<f64> = (1..=2_560).map(f64::from).collect();
        let grid = Grid::freeze(&values);
        let bins = Bins::new(&grid, &Counts::of(&grid, &values))?;
        let deciles = [
            250.0, 510.0, 770.0, 1020.0, 1280.0, 1530.0, 1790.0, 2050.0, 2300.0,
        ]; // whole cells of ten
        assert_eq!(bins.bounds(&grid).len(), deciles.len());
        for (bound, decile) in bins.bounds(&grid).iter().zip(deciles) {
            assert!((bound - decile).abs() <= 10.0, "{bound} {decile}");
        }
        assert_eq!(statistic(&values, &values)?, 0.0);
        Ok(())
    }

    #[test]
    fn a_constant_that_starts_to_vary() -> Result<(), Error> {
        assert_eq!(statistic(&[1.0; 100], &[1.0; 7])?, 0.0);
        let varying: Vec<f64> = (0..100).map(|i| 0.5 + f64::from(i) / 100.0).collect();
        assert!(statistic(&[1.0; 100], &varying)? > 5.0);
        assert!(statistic(&[1.0; 100], &[1.0, 1.0, 1.0, 1.1])? > 1.0);
        Ok(())
    }

    #[test]
    fn large_ties_are_bins_and_small_ones_are_not() -> Result<(), Error> {
        let mut values: Vec<f64> = (0..880).map(f64::from).collect();
        values.extend([400.5; 50]); // 5 %
        values.extend([600.5; 49]);
        values.extend([700.5; 21]);
        let grid = Grid::freeze(&values);
        let bounds = Bins::new(&grid, &Counts::of(&grid, &values))?.bounds(&grid);
        assert!(bounds.contains(&400.5) && bounds.contains(&400.5_f64.next_down()));
        assert!(!(bounds.contains(&600.5) && bounds.contains(&600.5_f64.next_down())));
        assert_eq!(bounds.len() + 1, 4 + 1 + 5); // 401, 50 and 549 of 1,000
        Ok(())
    }

    #[test]
    fn declared_shares_are_compared_cell_by_cell() -> Result<(), Error> {
        let grid = Grid::of_edges(&[-1.0, 0.5])?;
        let window = Counts::of(&grid, &[-1.0, -0.9, 0.5, f64::NAN]);
        assert_eq!((window.cells(), window.missing()), (&[1, 2, 0][..], 1));
        let shares = [0.25, 0.5, 0.25, 0.0];
        let by_hand =
            (FLOOR - 0.25) * libm::log(FLOOR / 0.25) + (0.25 - FLOOR) * libm::log(0.25 / FLOOR);
        let report = declared(&shares, &window)?;
        assert!((report.statistic - by_hand).abs() < 1e-12);
        assert_eq!(report.window.present, 3);
        let as_declared = Counts::of(&grid, &[-2.0, 0.0, 0.1, 7.0]);
        assert_eq!(declared(&shares, &as_declared)?.statistic, 0.0);
        assert!(declared(&shares[1..], &window).is_err());
        let empty = declared(&shares, &Counts::new(&grid));
        assert_eq!(empty, Err(Error::Empty("window")));
        Ok(())
    }

    #[test]
    fn missing_values_are_a_bin() -> Result<(), Error> {
        let by_hand = (0.5 - FLOOR) * libm::log(0.5 / FLOOR) + (0.5 - 1.0) * libm::log(0.5);
        assert!((statistic(&[1.0; 4], &[1.0, f64::NAN])? - by_hand).abs() < 1e-12);
        assert!((statistic(&[1.0, f64::NAN], &[1.0; 4])? - by_hand).abs() < 1e-12);
        assert_eq!(statistic(&[f64::NAN], &[f64::NAN, f64::NAN])?, 0.0);
        assert_eq!(statistic(&[1.0], &[]), Err(Error::Empty("window")));
        assert_eq!(statistic(&[], &[1.0]), Err(Error::Empty("reference")));
        Ok(())
    }
}

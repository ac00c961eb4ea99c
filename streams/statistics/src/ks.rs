//! The two-sample Kolmogorov–Smirnov statistic: the largest vertical distance of two distribution functions.
//!
//! *D* = sup over x of |F(x) - G(x)|, where F(x) and G(x) are the shares of the reference and of the window that
//! are at most x. From 0 to 1, without unit, the same for any increasing transformation of the column.
//! Source: Hodges, "The significance probability of the Smirnov two-sample test", Arkiv för Matematik 3 (1958);
//! equal to `scipy.stats.ks_2samp(reference, window).statistic`.
//!
//! Missing values have no place on the number line and are left out; their share is a figure of its own, in the
//! report's samples. There is no p-value: records of a stream are not independent, and at its sample sizes every
//! difference is significant.

use crate::Error;
use crate::grid::{Counts, Grid};
use crate::pair::Pair;
use crate::report::{DriftReport, Method, Precision};

/// The statistic of two columns themselves, NaN for missing. Sorts a copy of each.
///
/// # Errors
/// [`Error::Empty`] when either has no value that is not missing.
pub fn exact<T: Copy + Into<f64>>(reference: &[T], window: &[T]) -> Result<DriftReport, Error> {
    let pair = Pair::of(reference, window)?;
    let (n, m) = pair.sizes();
    let mut distance = Distance::new(n, m)?;
    pair.steps()
        .for_each(|step| distance.step(step.reference, step.window));
    let [reference, window] = pair.samples();
    Ok(DriftReport {
        method: Method::KolmogorovSmirnov,
        statistic: distance.statistic(),
        reference,
        window,
        precision: Precision::Exact,
    })
}

/// The statistic of counts, compared at the bounds of the cells.
///
/// Within a cell either function rises by no more than its own share of that cell, so the exact statistic is
/// larger by at most the smaller of the two shares. The bound is the largest such share over the cells that are
/// not ties: never above 1/256 for a grid's own reference, and 0 when all that the two have in common are ties.
///
/// # Errors
/// [`Error::Empty`] when either has no value that is not missing, [`Error::OtherGrid`].
pub fn on_grid(grid: &Grid, reference: &Counts, window: &Counts) -> Result<DriftReport, Error> {
    reference.check(grid)?;
    window.check(grid)?;
    let mut distance = Distance::new(reference.present(), window.present())?;
    let mut bound = 0;
    for (cell, (r, w)) in reference.cells().iter().zip(window.cells()).enumerate() {
        distance.step(*r, *w);
        if !grid.is_tie(cell) {
            bound = bound.max(
                distance
                    .scaled_reference(*r)
                    .min(distance.scaled_window(*w)),
            );
        }
    }
    Ok(DriftReport {
        method: Method::KolmogorovSmirnov,
        statistic: distance.statistic(),
        reference: reference.sample(),
        window: window.sample(),
        precision: Precision::Sketch {
            bound: distance.share(bound),
        },
    })
}

/// The distance in units of 1 / (reference size × window size): whole numbers, hence without rounding. Sizes are
/// at most 2^53, products below 2^107.
struct Distance {
    reference: u64,
    window: u64,
    now: i128,
    largest: u128,
}

impl Distance {
    fn new(reference: u64, window: u64) -> Result<Self, Error> {
        match (reference, window) {
            (0, _) => Err(Error::Empty("reference")),
            (_, 0) => Err(Error::Empty("window")),
            _ => Ok(Self {
                reference,
                window,
                now: 0,
                largest: 0,
            }),
        }
    }

    fn scaled_reference(&self, count: u64) -> u128 {
        u128::from(count) * u128::from(self.window)
    }

    fn scaled_window(&self, count: u64) -> u128 {
        u128::from(count) * u128::from(self.reference)
    }

    fn step(&mut self, reference: u64, window: u64) {
        self.now += self.scaled_reference(reference) as i128 - self.scaled_window(window) as i128;
        self.largest = self.largest.max(self.now.unsigned_abs());
    }

    fn share(&self, scaled: u128) -> f64 {
        scaled as f64 / (u128::from(self.reference) * u128::from(self.window)) as f64
    }

    fn statistic(&self) -> f64 {
        self.share(self.largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Sample;

    #[test]
    fn small_cases_by_hand() -> Result<(), Error> {
        assert_eq!(exact(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0])?.statistic, 0.0);
        assert_eq!(exact(&[1.0, 2.0], &[3.0, 4.0])?.statistic, 1.0);
        assert_eq!(exact(&[-0.0, 1.0], &[0.0, 1.0])?.statistic, 0.0);
        let report = exact(&[1.0_f32, 2.0, 3.0, 4.0], &[3.0, f32::NAN])?;
        assert_eq!(
            (report.statistic, report.window),
            (
                0.5,
                Sample {
                    present: 1,
                    missing: 1
                }
            )
        );
        Ok(())
    }

    #[test]
    fn a_constant_is_exact_on_a_grid() -> Result<(), Error> {
        let grid = Grid::freeze(&[0.25; 1_000]);
        let reference = Counts::of(&grid, &[0.25; 1_000]);
        for (window, statistic) in [
            (vec![0.25; 9], 0.0),
            (vec![0.26; 9], 1.0),
            (vec![0.2, 0.25, 0.25, 0.3], 0.25),
        ] {
            let report = on_grid(&grid, &reference, &Counts::of(&grid, &window))?;
            assert_eq!(
                (report.statistic, report.precision),
                (statistic, Precision::Sketch { bound: 0.0 })
            );
        }
        Ok(())
    }

    #[test]
    fn refuses_empty_samples_and_other_grids() -> Result<(), Error> {
        assert_eq!(exact(&[f64::NAN], &[1.0]), Err(Error::Empty("reference")));
        assert_eq!(exact(&[1.0], &[]), Err(Error::Empty("window")));
        let grid = Grid::freeze(&[1.0]);
        let (counts, other) = (
            Counts::of(&grid, &[1.0]),
            Counts::new(&Grid::freeze(&[2.0])),
        );
        assert_eq!(
            on_grid(&grid, &counts, &Counts::new(&grid)),
            Err(Error::Empty("window"))
        );
        assert!(matches!(
            on_grid(&grid, &counts, &other),
            Err(Error::OtherGrid { .. })
        ));
        Ok(())
    }
}

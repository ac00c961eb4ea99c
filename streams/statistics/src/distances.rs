//! Distances of two distributions, in the unit of the column or its root.
//!
//! With F(x) and G(x) the shares of reference and window that are at most x:
//!
//! - Wasserstein's first: ∫ |F(x) - G(x)| dx, in the column's unit: how far the mass moves in the mean. Ramdas, Garcia,
//!   Cuturi, "On Wasserstein two-sample testing and related families of nonparametric tests", Entropy 19 (2017);
//!   `scipy.stats.wasserstein_distance`.
//! - Energy: √(2 ∫ (F(x) - G(x))² dx), in the root of the column's unit. Székely, "E-statistics: the energy of
//!   statistical samples" (2002); `scipy.stats.energy_distance`.
//!
//! Both are 0 for equal samples, and know no p-value.

use crate::Error;
use crate::pair::Pair;

/// Wasserstein's first distance.
///
/// # Errors
/// [`Error::Infinite`]: an infinite value lies infinitely far from any other.
pub fn wasserstein(pair: &Pair) -> Result<f64, Error> {
    integral(pair, |gap| gap)
}

/// The energy distance.
///
/// # Errors
/// As [`wasserstein`].
pub fn energy(pair: &Pair) -> Result<f64, Error> {
    integral(pair, |gap| gap * gap).map(|area| (2.0 * area).sqrt())
}

/// The integral of a function of |F - G|, from the smallest value to the largest.
fn integral(pair: &Pair, of: impl Fn(f64) -> f64) -> Result<f64, Error> {
    pair.finite()?;
    let (n, m) = pair.sizes();
    let all = u128::from(n) * u128::from(m);
    let (mut r, mut w) = (0, 0);
    let (mut area, mut before) = (0.0, None);
    for step in pair.steps() {
        // |F - G| over n · m: a whole number, hence without rounding.
        let gap = (u128::from(r) * u128::from(m)).abs_diff(u128::from(w) * u128::from(n));
        let width = before.map_or(0.0, |before| step.value - before);
        area += of(gap as f64 / all as f64) * width;
        (r, w) = (r + step.reference, w + step.window);
        before = Some(step.value);
    }
    Ok(area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_cases_by_hand() -> Result<(), Error> {
        let pair = Pair::of(&[0.0, 1.0, 3.0], &[5.0, 6.0, 8.0])?;
        assert_eq!(wasserstein(&pair)?, 5.0);
        let pair = Pair::of(&[0.0], &[2.0, f64::NAN])?;
        assert_eq!((wasserstein(&pair)?, energy(&pair)?), (2.0, 2.0));
        let same = Pair::of(&[1.0, 2.0], &[2.0, 1.0, 1.0, 2.0])?;
        assert_eq!((wasserstein(&same)?, energy(&same)?), (0.0, 0.0));
        Ok(())
    }

    #[test]
    fn infinite_values_are_refused() -> Result<(), Error> {
        let pair = Pair::of(&[0.0], &[f64::INFINITY, 1.0])?;
        assert_eq!(wasserstein(&pair), Err(Error::Infinite("window")));
        Ok(())
    }
}

//! Tests of means and of proportions.
//!
//! - [`student`]: t = (x̄ - ȳ) / √(s² (1/n + 1/m)), s² the variance of both samples together, n + m - 2 degrees of freedom.
//!   Student, "The probable error of a mean", Biometrika 6 (1908); `scipy.stats.ttest_ind`.
//! - [`welch`]: t = (x̄ - ȳ) / √(s²ₓ/n + s²ᵧ/m), for variances that differ. Welch, "The generalization of Student's problem
//!   when several different population variances are involved", Biometrika 34 (1947);
//!   `scipy.stats.ttest_ind(equal_var=False)`.
//! - [`proportions`]: z = (p - q) / √(s (1 - s) (1/n + 1/m)), s the share in both samples together.
//!
//! The statistic has no unit; p-values are two-sided. Means and variances are taken in two passes, in the order of the values.

use crate::Error;
use crate::pair::Pair;
use crate::report::Tested;
use crate::special::{normal_tail, student_tails};

struct Moments {
    count: f64,
    mean: f64,
    /// Σ (x - mean)².
    squares: f64,
}

impl Moments {
    fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let sum = |of: &dyn Fn(f64) -> f64| values.iter().fold(0.0, |sum, value| sum + of(*value));
        let first = sum(&|value| value) / count;
        // The second look takes back what rounding left in the first.
        let mean = first + sum(&|value| value - first) / count;
        let squares = sum(&|value| (value - mean) * (value - mean));
        Moments {
            count,
            mean,
            squares,
        }
    }

    fn variance(&self) -> f64 {
        self.squares / (self.count - 1.0)
    }
}

/// Student's test, which takes the variances to be equal.
///
/// # Errors
/// [`Error::Infinite`], [`Error::TooFew`] below three values in all, [`Error::Constant`] where neither sample varies.
pub fn student(pair: &Pair) -> Result<Tested, Error> {
    let [x, y] = moments(pair)?;
    let degrees = x.count + y.count - 2.0;
    let pooled = (x.squares + y.squares) / degrees;
    tested(&x, &y, pooled / x.count + pooled / y.count, degrees)
}

/// Welch's test, for variances that differ.
///
/// # Errors
/// As [`student`], and below two values in either.
pub fn welch(pair: &Pair) -> Result<Tested, Error> {
    let [x, y] = moments(pair)?;
    let least = x.count.min(y.count);
    if least < 2.0 {
        return Err(Error::TooFew {
            found: least as u64,
            needed: 2,
        });
    }
    let (u, v) = (x.variance() / x.count, y.variance() / y.count);
    let spread = u * u / (x.count - 1.0) + v * v / (y.count - 1.0);
    tested(&x, &y, u + v, (u + v) * (u + v) / spread)
}

/// Whether the share of positives differs: of (positives, size) of the reference and of the window.
///
/// # Errors
/// [`Error::Empty`], [`Error::Constant`] where both samples hold nothing but positives, or none.
pub fn proportions(reference: (u64, u64), window: (u64, u64)) -> Result<Tested, Error> {
    for (name, (_, size)) in [("reference", reference), ("window", window)] {
        if size == 0 {
            return Err(Error::Empty(name));
        }
    }
    let (n, m) = (reference.1 as f64, window.1 as f64);
    let (p, q) = (reference.0 as f64 / n, window.0 as f64 / m);
    let together = (reference.0 + window.0) as f64 / (n + m);
    let variance = together * (1.0 - together) * (1.0 / n + 1.0 / m);
    if variance <= 0.0 {
        return Err(Error::Constant);
    }
    let statistic = (p - q) / variance.sqrt();
    Ok(Tested {
        statistic,
        p_value: 2.0 * normal_tail(statistic.abs()),
    })
}

fn moments(pair: &Pair) -> Result<[Moments; 2], Error> {
    pair.finite()?;
    let (n, m) = pair.sizes();
    let found = n + m;
    if found < 3 {
        return Err(Error::TooFew { found, needed: 3 });
    }
    let (reference, window) = pair.values();
    Ok([Moments::of(reference), Moments::of(window)])
}

fn tested(x: &Moments, y: &Moments, variance: f64, degrees: f64) -> Result<Tested, Error> {
    if variance <= 0.0 {
        return Err(Error::Constant);
    }
    let statistic = (x.mean - y.mean) / variance.sqrt();
    Ok(Tested {
        statistic,
        p_value: student_tails(statistic.abs(), degrees),
    })
}

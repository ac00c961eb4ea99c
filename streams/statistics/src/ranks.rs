//! Tests that look at nothing but the order of the values: no unit, no assumption about shapes; ties count at the middle of
//! their ranks.
//!
//! With n values of the reference, m of the window, N = n + m:
//!
//! - [`cramer_von_mises`]: T = U / (n m N) - (4 n m - 1) / (6 N), where U = n Σ (rᵢ - i)² + m Σ (sⱼ - j)², rᵢ and sⱼ the
//!   ranks among all of the i-th value of the reference and the j-th of the window. Anderson, "On the distribution of the
//!   two-sample Cramér-von Mises criterion", Annals of Mathematical Statistics 33 (1962);
//!   `scipy.stats.cramervonmises_2samp(method="asymptotic")`.
//! - [`mann_whitney`]: U = R - n (n + 1) / 2, R the sum of the reference's ranks: how often a value of the reference is above
//!   one of the window, ties counting a half. Mann, Whitney, "On a test of whether one of two random variables is
//!   stochastically larger than the other", Annals of Mathematical Statistics 18 (1947);
//!   `scipy.stats.mannwhitneyu(method="asymptotic")`, two-sided, with the correction for ties and for continuity.
//! - [`anderson_darling`]: A² of the k-sample test for two samples, standardised, which looks closer at the tails. Scholz,
//!   Stephens, "K-sample Anderson-Darling tests", Journal of the American Statistical Association 82 (1987), equation 7;
//!   `scipy.stats.anderson_ksamp(variant="midrank")`.
//!
//! P-values are of independent values and large samples. Sums of ranks are whole numbers, hence without rounding.

use crate::Error;
use crate::pair::Pair;
use crate::report::Tested;
use crate::special::{bessel_k_quarter_scaled, normal_tail};

/// Cramér and von Mises's test.
///
/// # Errors
/// [`Error::TooFew`] below two values in either.
pub fn cramer_von_mises(pair: &Pair) -> Result<Tested, Error> {
    let (n, m) = pair.sizes();
    let found = n.min(m);
    if found < 2 {
        return Err(Error::TooFew { found, needed: 2 });
    }
    let (n, m) = (i128::from(n), i128::from(m));
    // Ranks are doubled, for the middle of a tie may lie between two: squares of distances four times as large.
    let (mut reference, mut window) = (0, 0);
    let (mut i, mut j) = (0, 0);
    for step in pair.steps() {
        let (r, w) = (i128::from(step.reference), i128::from(step.window));
        let rank = 2 * (i + j) + r + w + 1;
        reference += squares(rank - 2 * i, r);
        window += squares(rank - 2 * j, w);
        (i, j) = (i + r, j + w);
    }
    let (pairs, all) = (n * m, n + m);
    let quadruple = n * reference + m * window;
    let scaled = 6 * quadruple - 4 * pairs * (4 * pairs - 1);
    let statistic = scaled as f64 / (24 * pairs * all) as f64;
    let (k, all, n, m) = (pairs as f64, all as f64, n as f64, m as f64);
    let expected = (1.0 + 1.0 / all) / 6.0;
    let variance = (all + 1.0) * (4.0 * k * all - 3.0 * (n * n + m * m) - 2.0 * k)
        / (45.0 * all * all * 4.0 * k);
    let scaled = 1.0 / 6.0 + (statistic - expected) / (45.0 * variance).sqrt();
    let p_value = match scaled < 0.003 {
        true => 1.0,
        false => (1.0 - limit_of_cramer_von_mises(scaled)).max(0.0),
    };
    Ok(Tested { statistic, p_value })
}

/// Σ (first - 2k)² for k = 1 ..= count.
fn squares(first: i128, count: i128) -> i128 {
    let (once, twice) = (count * (count + 1), count * (count + 1) * (2 * count + 1));
    count * first * first - 2 * first * once + 2 * twice / 3
}

/// P(T ≤ x) in the limit of large samples: Csörgő, Faraway, "The exact and asymptotic distributions of Cramér-von Mises
/// statistics", Journal of the Royal Statistical Society B 58 (1996), equation 1.2.
fn limit_of_cramer_von_mises(x: f64) -> f64 {
    let mut total = 0.0;
    // Γ(k + 1/2) / k!, from one k to the next.
    let mut gamma = std::f64::consts::PI.sqrt();
    for k in 0_u32.. {
        let k = f64::from(k);
        let y = 4.0 * k + 1.0;
        let q = y * y / (16.0 * x);
        let front = gamma / (std::f64::consts::PI.powi(3) * x).sqrt();
        let term = front * y.sqrt() * libm::exp(-2.0 * q) * bessel_k_quarter_scaled(q);
        total += term;
        if term < 1e-7 {
            break;
        }
        gamma *= (k + 0.5) / (k + 1.0);
    }
    total
}

/// Mann and Whitney's test.
#[must_use]
pub fn mann_whitney(pair: &Pair) -> Tested {
    let (n, m) = pair.sizes();
    let (n, m) = (u128::from(n), u128::from(m));
    let (mut before, mut doubled, mut ties) = (0, 0, 0);
    for step in pair.steps() {
        let (r, tie) = (
            u128::from(step.reference),
            u128::from(step.reference + step.window),
        );
        doubled += r * (2 * before + tie + 1);
        ties += tie * tie * tie - tie;
        before += tie;
    }
    let doubled = doubled - n * (n + 1);
    let statistic = doubled as f64 / 2.0;
    let larger = doubled.max(2 * n * m - doubled) as f64 / 2.0;
    let (n, m, all, ties) = (n as f64, m as f64, before as f64, ties as f64);
    let variance = n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    let z = (larger - n * m / 2.0 - 0.5) / variance.sqrt();
    let p_value = match variance > 0.0 {
        true => (2.0 * normal_tail(z)).min(1.0),
        // One value alone has no order.
        false => 1.0,
    };
    Tested { statistic, p_value }
}

/// Anderson and Darling's test. Its p-value is interpolated between 0.001 and 0.25, and stays at these beyond.
///
/// # Errors
/// [`Error::TooFew`] below four values in all, [`Error::Constant`] where all are one.
pub fn anderson_darling(pair: &Pair) -> Result<Tested, Error> {
    let (n, m) = pair.sizes();
    let count = n + m;
    if count < 4 {
        return Err(Error::TooFew {
            found: count,
            needed: 4,
        });
    }
    let (n, m, all) = (n as f64, m as f64, count as f64);
    let (mut left, mut reference, mut window) = (0.0, 0.0, 0.0);
    let (mut sum_reference, mut sum_window, mut steps) = (0.0, 0.0, 0_u64);
    for step in pair.steps() {
        let (r, w) = (step.reference as f64, step.window as f64);
        let tie = r + w;
        let middle = left + tie / 2.0;
        let weight = tie / all / (middle * (all - middle) - all * tie / 4.0);
        let part = |before: f64, here: f64, size: f64| {
            let gap = all * (before + here / 2.0) - middle * size;
            weight * gap * gap
        };
        sum_reference += part(reference, r, n);
        sum_window += part(window, w, m);
        (left, reference, window) = (left + tie, reference + r, window + w);
        steps += 1;
    }
    if steps < 2 {
        return Err(Error::Constant);
    }
    let squared = (sum_reference / n + sum_window / m) * (all - 1.0) / all;
    let statistic = (squared - 1.0) / variance(1.0 / n + 1.0 / m, count).sqrt();
    Ok(Tested {
        statistic,
        p_value: interpolated(statistic),
    })
}

/// The variance of A² for two samples, given the sum of their sizes' inverses: Scholz and Stephens, equation 4.
fn variance(inverses: f64, count: u64) -> f64 {
    let (mut h, mut g) = (0.0, 0.0);
    for i in (2..count).rev() {
        h += 1.0 / i as f64;
        g += h / (count + 1 - i) as f64;
    }
    h += 1.0;
    let all = count as f64;
    let a = 4.0 * g - 6.0 + (10.0 - 6.0 * g) * inverses;
    let b = (2.0 * g - 4.0) * 4.0 + 16.0 * h + (2.0 * g - 14.0 * h - 4.0) * inverses - 8.0 * h
        + 4.0 * g
        - 6.0;
    let c = (6.0 * h + 2.0 * g - 2.0) * 4.0
        + (4.0 * h - 4.0 * g + 6.0) * 2.0
        + (2.0 * h - 6.0) * inverses
        + 4.0 * h;
    let d = (2.0 * h + 6.0) * 4.0 - 8.0 * h;
    let powers = a * all.powi(3) + b * all.powi(2) + c * all + d;
    powers / ((all - 1.0) * (all - 2.0) * (all - 3.0))
}

/// The parabola of least squares through the logarithms of the levels 0.25 to 0.001 at their critical values for two samples
/// (Scholz and Stephens, table 2), as scipy fits it.
fn interpolated(statistic: f64) -> f64 {
    const CRITICAL: [f64; 2] = [0.325, 6.546];
    const PARABOLA: [f64; 3] = [0.01819809457411147, -1.0082265644652515, -1.077770279820484];
    if statistic < CRITICAL[0] {
        return 0.25;
    }
    if statistic > CRITICAL[1] {
        return 0.001;
    }
    let [c2, c1, c0] = PARABOLA;
    libm::exp((c2 * statistic + c1) * statistic + c0)
}

//! Tails of the distributions that p-values are taken from. Logarithms and exponentials come from `libm`, so the bits
//! are the same on every machine.
//!
//! Formulas: Press, Teukolsky, Vetterling, Flannery, *Numerical Recipes*, 3rd edition (Cambridge, 2007), sections 6.2
//! (incomplete gamma function) and 6.4 (incomplete beta function), by modified Lentz continued fractions.

/// Terms after which a series is taken as it is: those here need about the root of their parameters.
const MAX_TERMS: usize = 100_000;

/// Smaller than any factor of a continued fraction, and not 0.
const TINY: f64 = 1e-300;

/// P(Z > z) of the standard normal distribution.
pub(crate) fn normal_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2)
}

/// P(X > x) of the chi-squared distribution with so many degrees of freedom.
pub(crate) fn chi_squared_tail(x: f64, degrees: f64) -> f64 {
    gamma_tail(degrees / 2.0, x / 2.0)
}

/// P(|T| > t) of Student's distribution with so many degrees of freedom.
pub(crate) fn student_tails(t: f64, degrees: f64) -> f64 {
    beta(degrees / 2.0, 0.5, degrees / (degrees + t * t))
}

/// The regularised upper incomplete gamma function Q(a, x).
fn gamma_tail(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x.is_infinite() {
        return 0.0;
    }
    let front = libm::exp(a * libm::log(x) - x - libm::lgamma(a));
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for k in 1..MAX_TERMS {
            term *= x / (a + k as f64);
            sum += term;
            if term < sum * f64::EPSILON / 4.0 {
                break;
            }
        }
        return 1.0 - sum * front;
    }
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for k in 1..MAX_TERMS {
        let k = k as f64;
        let an = -k * (k - a);
        b += 2.0;
        d = 1.0 / off_zero(an * d + b);
        c = off_zero(b + an / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    front * fraction
}

/// The regularised incomplete beta function I(a, b; x).
fn beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let front = libm::exp(ln_over_beta(a, b) + a * libm::log(x) + b * libm::log1p(-x));
    match x < (a + 1.0) / (a + b + 2.0) {
        true => front * beta_fraction(a, b, x) / a,
        false => 1.0 - front * beta_fraction(b, a, 1.0 - x) / b,
    }
}

/// ln(Γ(a + b) / (Γ(a) Γ(b))). For a large `a` the two gammas of its size are nearly equal, so their logarithms are not
/// subtracted: Γ(a + b) / Γ(a) is a^b times a series (Tricomi and Erdélyi, 1951).
fn ln_over_beta(a: f64, b: f64) -> f64 {
    if a < 1e3 || b > 1.0 {
        return libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b);
    }
    let c2 = b * (b - 1.0) / 2.0;
    let c3 = b * (b - 1.0) * (b - 2.0) * (3.0 * b - 1.0) / 24.0;
    let c4 = b * b * (b - 1.0) * (b - 1.0) * (b - 2.0) * (b - 3.0) / 48.0;
    b * libm::log(a) + libm::log1p((c2 + (c3 + c4 / a) / a) / a) - libm::lgamma(b)
}

fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let mut c = 1.0;
    let mut d = 1.0 / off_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for k in 1..MAX_TERMS {
        let k = k as f64;
        let even = k * (b - k) * x / ((a + 2.0 * k - 1.0) * (a + 2.0 * k));
        d = 1.0 / off_zero(1.0 + even * d);
        c = off_zero(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + k) * (a + b + k) * x / ((a + 2.0 * k) * (a + 2.0 * k + 1.0));
        d = 1.0 / off_zero(1.0 + odd * d);
        c = off_zero(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    fraction
}

fn off_zero(value: f64) -> f64 {
    match value.abs() < TINY {
        true => TINY,
        false => value,
    }
}

/// e^q K(1/4, q), of the modified Bessel function of the second kind: ∫₀^∞ e^(q - q cosh t) cosh(t/4) dt by the
/// trapezoidal rule, whose error falls faster than any power of the step here.
pub(crate) fn bessel_k_quarter_scaled(q: f64) -> f64 {
    // The integrand is below 1e-17 of its start where q (cosh t - 1) is above 45.
    let end = libm::acosh(1.0 + 45.0 / q);
    let steps = 400;
    let width = end / f64::from(steps);
    let at = |t: f64| libm::exp(-q * (libm::cosh(t) - 1.0)) * libm::cosh(t / 4.0);
    let inner = (1..steps).map(|k| at(f64::from(k) * width));
    width * (inner.fold(0.0, |sum, value| sum + value) + (at(0.0) + at(end)) / 2.0)
}

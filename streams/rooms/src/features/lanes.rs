//! The statistics of a short window in four lanes: every fourth value from the oldest on belongs to one of them, and the
//! lanes are added up last: the processor computes them side by side.

use wide::f64x4;

/// A window's values, oldest first, in the two pieces in which a ring holds them.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// Up to the ring's end.
    pub older: &'a [f64],
    /// From the ring's start on.
    pub newer: &'a [f64],
}

/// What one look at all values gives.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The sum; NaN where a value is missing.
    pub sum: f64,
    /// The smallest; of zeros of both signs the oldest.
    pub low: f64,
    /// The largest; of zeros of both signs the oldest.
    pub high: f64,
    /// Sum of the squared deviations from the mean; NaN beyond all doubles, and 0 where it was not asked for.
    pub deviations: f64,
}

/// Sum, extremes and, where they are asked for, the deviations of values.
#[inline]
#[must_use]
pub fn spread(values: Values<'_>, deviations: bool) -> Spread {
    match deviations {
        true => Scan::<true>::of(values),
        false => Scan::<false>::of(values),
    }
}

impl<'a> Values<'a> {
    /// All values, oldest first.
    pub fn iter(self) -> impl Iterator<Item = f64> + 'a {
        self.older.iter().chain(self.newer).copied()
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> usize {
        self.older.len() + self.newer.len()
    }

    #[inline]
    fn lay_into<const DEVIATE: bool>(self, scan: &mut Scan<DEVIATE>) {
        let (fours, rest) = self.older.as_chunks();
        scan.fours(fours);
        // The pieces meet in the middle of four, as a rule.
        let (seam, newer) = match (rest, self.newer) {
            ([], newer) => (None, newer),
            ([a], [b, c, d, newer @ ..]) => (Some([*a, *b, *c, *d]), newer),
            ([a, b], [c, d, newer @ ..]) => (Some([*a, *b, *c, *d]), newer),
            ([a, b, c], [d, newer @ ..]) => (Some([*a, *b, *c, *d]), newer),
            ([a], [b, c]) | ([a, b], [c]) => return scan.rest(&[*a, *b, *c]),
            ([a], [b]) => return scan.rest(&[*a, *b]),
            (rest, _) => return scan.rest(rest),
        };
        scan.fours(seam.as_slice());
        let (fours, rest) = newer.as_chunks();
        scan.fours(fours);
        scan.rest(rest);
    }
}

/// Sums and extremes; with `DEVIATE` also how far the values are from the oldest.
struct Scan<const DEVIATE: bool> {
    sums: f64x4,
    lows: f64x4,
    highs: f64x4,
    oldest: f64,
    offs: f64x4,
    squares: f64x4,
}

impl<const DEVIATE: bool> Scan<DEVIATE> {
    #[inline]
    fn of(values: Values<'_>) -> Spread {
        let mut scan = Scan::<DEVIATE> {
            sums: f64x4::ZERO,
            lows: f64x4::splat(f64::INFINITY),
            highs: f64x4::splat(f64::NEG_INFINITY),
            oldest: values.iter().next().unwrap_or(f64::NAN),
            offs: f64x4::ZERO,
            squares: f64x4::ZERO,
        };
        values.lay_into(&mut scan);
        let (low, high) = scan.extremes(values);
        Spread {
            sum: across(scan.sums),
            low,
            high,
            deviations: scan.deviations(values.count() as f64),
        }
    }

    /// The next value of every lane, four after four.
    #[inline]
    fn fours(&mut self, fours: &[[f64; 4]]) {
        for four in fours {
            let four = f64x4::from(*four);
            self.take(four, four, four, four);
        }
    }

    /// The last values, of the first lanes: the others are given what changes nothing.
    #[inline]
    fn rest(&mut self, rest: &[f64]) {
        let filled = |with| {
            let mut four = [with; 4];
            four.iter_mut().zip(rest).for_each(|(to, x)| *to = *x);
            f64x4::from(four)
        };
        let (low, high) = (filled(f64::INFINITY), filled(f64::NEG_INFINITY));
        self.take(filled(0.0), low, high, filled(self.oldest));
    }

    #[inline]
    fn take(&mut self, sum: f64x4, low: f64x4, high: f64x4, near: f64x4) {
        self.sums += sum;
        self.lows = low.fast_min(self.lows);
        self.highs = high.fast_max(self.highs);
        if DEVIATE {
            let off = near - f64x4::splat(self.oldest);
            self.offs += off;
            self.squares += off * off;
        }
    }

    #[inline]
    fn extremes(&self, values: Values<'_>) -> (f64, f64) {
        let least = |low, x: f64| lower(x, low);
        let most = |high, x: f64| higher(x, high);
        let low = self.lows.to_array().into_iter().fold(f64::INFINITY, least);
        let high = self
            .highs
            .to_array()
            .into_iter()
            .fold(f64::NEG_INFINITY, most);
        // The lanes do not keep the order, and zeros of both signs are equal.
        if low == 0.0 || high == 0.0 {
            let low = values.iter().fold(f64::INFINITY, least);
            return (low, values.iter().fold(f64::NEG_INFINITY, most));
        }
        (low, high)
    }

    /// From the mean, by those from the oldest value: T. Chan, G. Golub and R. LeVeque, "Algorithms for computing the
    /// sample variance", 1983, equation 1.7. Their squares are at most `count` + 1 times the result, for the oldest
    /// value is one of those that deviate: so no more than three of sixteen digits cancel in a short window.
    #[inline]
    fn deviations(&self, count: f64) -> f64 {
        let off = across(self.offs);
        let deviations = across(self.squares) - off * off / count;
        // `max` would make nothing of what is no number.
        if deviations.is_nan() {
            f64::NAN
        } else {
            deviations.max(0.0)
        }
    }
}

#[inline]
fn across(lanes: f64x4) -> f64 {
    let [a, b, c, d] = lanes.to_array();
    (a + b) + (c + d)
}

#[inline]
fn lower(x: f64, low: f64) -> f64 {
    if x < low { x } else { low }
}

#[inline]
fn higher(x: f64, high: f64) -> f64 {
    if x > high { x } else { high }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bits of values' spread, computed value by value.
    fn plainly(values: &[f64]) -> [u64; 4] {
        let sum = |of: &dyn Fn(f64) -> f64| {
            let mut lanes = [0.0; 4];
            for (at, x) in values.iter().enumerate() {
                lanes[at % 4] += of(*x);
            }
            (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
        };
        let (count, oldest) = (values.len() as f64, values[0]);
        let (off, squares) = (sum(&|x| x - oldest), sum(&|x| (x - oldest) * (x - oldest)));
        let low = values
            .iter()
            .fold(f64::INFINITY, |low, x| if *x < low { *x } else { low });
        let high = values.iter().fold(
            f64::NEG_INFINITY,
            |high, x| if *x > high { *x } else { high },
        );
        let deviations = (squares - off * off / count).max(0.0);
        [sum(&|x| x), low, high, deviations].map(f64::to_bits)
    }

    proptest! {
        #[test]
        fn wherever_the_ring_wraps_the_bits_are_those_of_the_lanes(
            values in prop::collection::vec(prop_oneof![-1e3..1e3, Just(0.0), Just(-0.0)], 1..70),
            cut in 0usize..70,
        ) {
            let want = plainly(&values);
            let (older, newer) = values.split_at(cut.min(values.len()));
            let Spread { sum, low, high, deviations } = spread(Values { older, newer }, true);
            prop_assert_eq!([sum, low, high, deviations].map(f64::to_bits), want);
        }

        /// The oldest may be far from all others, and they close together on a large mean.
        #[test]
        fn deviations_keep_their_digits_whatever_the_oldest_value_is(
            oldest in -1e9..1e9,
            others in prop::collection::vec(1e6..1.000_001e6, 1..256),
        ) {
            let mut values = others;
            values.insert(0, oldest);
            let count = values.len() as f64;
            // In whole units of 2^-40 sums and squares are exact.
            let whole = |x: f64| (x * 2f64.powi(20)).round() as i128;
            let values: Vec<f64> = values.iter().map(|x| whole(*x) as f64 / 2f64.powi(20)).collect();
            let sum: i128 = values.iter().map(|x| whole(*x)).sum();
            let squares: i128 = values.iter().map(|x| whole(*x).pow(2)).sum();
            let exact = (squares * values.len() as i128 - sum * sum) as f64 / count / 2f64.powi(40);
            let found = spread(Values { older: &values, newer: &[] }, true).deviations;
            prop_assert!((found - exact).abs() <= exact * 1e-12, "{found} {exact}");
        }
    }
}

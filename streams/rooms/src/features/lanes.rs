//! The statistics of a short window in four lanes: every fourth value from the oldest on belongs to one of them, and the
//! lanes are added up last: the processor computes them side by side.

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
}

/// Sum and extremes of values.
#[must_use]
pub fn spread(values: Values<'_>) -> Spread {
    let mut scan = Scan::default();
    values.lay_into(&mut scan);
    scan.over(values)
}

/// Sum of the squared deviations from the mean of values; NaN beyond all doubles.
#[must_use]
pub fn deviations(values: Values<'_>, mean: f64) -> f64 {
    let mut off = Off::from(mean);
    values.lay_into(&mut off);
    off.deviations(values.count() as f64)
}

/// What is summed up in four lanes.
trait Lanes {
    /// The next value of every lane, four after four.
    fn fours(&mut self, fours: &[[f64; 4]]);
    /// The last values, of the first lanes.
    fn rest(&mut self, rest: &[f64]);
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
    fn lay_into(self, lanes: &mut impl Lanes) {
        let (fours, rest) = self.older.as_chunks();
        lanes.fours(fours);
        // The pieces meet in the middle of four, as a rule.
        let (seam, newer) = match (rest, self.newer) {
            ([], newer) => (None, newer),
            ([a], [b, c, d, newer @ ..]) => (Some([*a, *b, *c, *d]), newer),
            ([a, b], [c, d, newer @ ..]) => (Some([*a, *b, *c, *d]), newer),
            ([a, b, c], [d, newer @ ..]) => (Some([*a, *b, *c, *d]), newer),
            ([a], [b, c]) | ([a, b], [c]) => return lanes.rest(&[*a, *b, *c]),
            ([a], [b]) => return lanes.rest(&[*a, *b]),
            (rest, _) => return lanes.rest(rest),
        };
        lanes.fours(seam.as_slice());
        let (fours, rest) = newer.as_chunks();
        lanes.fours(fours);
        lanes.rest(rest);
    }
}

/// Sums and extremes.
struct Scan {
    sums: [f64; 4],
    lows: [f64; 4],
    highs: [f64; 4],
}

impl Default for Scan {
    fn default() -> Self {
        Scan {
            sums: [0.0; 4],
            lows: [f64::INFINITY; 4],
            highs: [f64::NEG_INFINITY; 4],
        }
    }
}

impl Lanes for Scan {
    #[inline]
    fn fours(&mut self, fours: &[[f64; 4]]) {
        let (mut sums, mut lows, mut highs) = (self.sums, self.lows, self.highs);
        for four in fours {
            for lane in 0..4 {
                sums[lane] += four[lane];
                lows[lane] = lower(four[lane], lows[lane]);
                highs[lane] = higher(four[lane], highs[lane]);
            }
        }
        (self.sums, self.lows, self.highs) = (sums, lows, highs);
    }

    #[inline]
    fn rest(&mut self, rest: &[f64]) {
        for (lane, x) in rest.iter().enumerate() {
            self.sums[lane] += x;
            self.lows[lane] = lower(*x, self.lows[lane]);
            self.highs[lane] = higher(*x, self.highs[lane]);
        }
    }
}

impl Scan {
    #[inline]
    fn over(&self, values: Values<'_>) -> Spread {
        let least = |low, x: f64| lower(x, low);
        let most = |high, x: f64| higher(x, high);
        let mut low = self.lows.into_iter().fold(f64::INFINITY, least);
        let mut high = self.highs.into_iter().fold(f64::NEG_INFINITY, most);
        // The lanes do not keep the order, and zeros of both signs are equal.
        if low == 0.0 || high == 0.0 {
            low = values.iter().fold(f64::INFINITY, least);
            high = values.iter().fold(f64::NEG_INFINITY, most);
        }
        Spread {
            sum: across(self.sums),
            low,
            high,
        }
    }
}

/// Deviations from a mean, and their squares.
struct Off {
    mean: f64,
    offs: [f64; 4],
    squares: [f64; 4],
}

impl From<f64> for Off {
    #[inline]
    fn from(mean: f64) -> Self {
        Off {
            mean,
            offs: [0.0; 4],
            squares: [0.0; 4],
        }
    }
}

impl Lanes for Off {
    #[inline]
    fn fours(&mut self, fours: &[[f64; 4]]) {
        let (mut offs, mut squares) = (self.offs, self.squares);
        for four in fours {
            for lane in 0..4 {
                let off = four[lane] - self.mean;
                offs[lane] += off;
                squares[lane] += off * off;
            }
        }
        (self.offs, self.squares) = (offs, squares);
    }

    #[inline]
    fn rest(&mut self, rest: &[f64]) {
        for (lane, x) in rest.iter().enumerate() {
            let off = x - self.mean;
            self.offs[lane] += off;
            self.squares[lane] += off * off;
        }
    }
}

impl Off {
    /// Corrected by what the mean was rounded off by: T. Chan, G. Golub and R. LeVeque, "Algorithms for computing the sample
    /// variance", 1983, equation 1.7.
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
fn across([a, b, c, d]: [f64; 4]) -> f64 {
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
        let (count, total) = (values.len() as f64, sum(&|x| x));
        let mean = total / count;
        let (off, squares) = (sum(&|x| x - mean), sum(&|x| (x - mean) * (x - mean)));
        let low = values
            .iter()
            .fold(f64::INFINITY, |low, x| if *x < low { *x } else { low });
        let high = values.iter().fold(
            f64::NEG_INFINITY,
            |high, x| if *x > high { *x } else { high },
        );
        let deviations = if low == high {
            0.0
        } else {
            (squares - off * off / count).max(0.0)
        };
        [total, low, high, deviations].map(f64::to_bits)
    }

    proptest! {
        #[test]
        fn wherever_the_ring_wraps_the_bits_are_those_of_the_lanes(
            values in prop::collection::vec(prop_oneof![-1e3..1e3, Just(0.0), Just(-0.0)], 1..70),
            cut in 0usize..70,
        ) {
            let want = plainly(&values);
            let (older, newer) = values.split_at(cut.min(values.len()));
            let values = Values { older, newer };
            let Spread { sum, low, high } = spread(values);
            let mean = sum / values.count() as f64;
            let deviations = if low == high { 0.0 } else { deviations(values, mean) };
            prop_assert_eq!([sum, low, high, deviations].map(f64::to_bits), want);
        }
    }
}

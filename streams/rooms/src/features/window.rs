//! Statistics of a window: a function of its contents alone, whatever came before them.
//!
//! Up to [`SHORT`] records they are computed anew from the window, deviations from its oldest value: running sums gave a
//! negative variance on a large mean with small noise. Longer windows keep exact sums and the candidates for the
//! extremes, so that a record costs the same however long they are.

use std::collections::VecDeque;

use mainstem_schemas::definition::Statistic;
use serde::{Deserialize, Serialize};

use super::exact::{Squares, Sum};
use super::lanes::{Values, spread};

/// The longest window that is computed anew: there the two ways cost about the same.
pub const SHORT: usize = 256;

/// What is asked of a window, so that nothing else is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Sum or mean.
    pub sums: bool,
    /// A standard deviation.
    pub deviations: bool,
    /// Smallest or largest.
    pub extremes: bool,
}

impl Asked {
    /// Asks for one more.
    pub fn add(&mut self, statistic: Statistic) {
        match statistic {
            Statistic::Count => {}
            Statistic::Sum | Statistic::Mean => self.sums = true,
            Statistic::StdPopulation | Statistic::StdSample => self.deviations = true,
            Statistic::Min | Statistic::Max => self.extremes = true,
        }
    }
}

/// What a window comes to; meaningless where it was not asked, or where nothing is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    count: u32,
    sum: f64,
    mean: f64,
    deviations: f64,
    low: f64,
    high: f64,
}

impl Moments {
    /// One statistic; NaN where it is missing, and possibly infinite.
    #[must_use]
    pub fn get(&self, statistic: Statistic) -> f64 {
        let n = f64::from(self.count);
        match statistic {
            Statistic::Count => n,
            _ if self.count == 0 => f64::NAN,
            Statistic::Sum => self.sum,
            Statistic::Mean => self.mean,
            Statistic::StdPopulation => (self.deviations / n).sqrt(),
            Statistic::StdSample if self.count < 2 => f64::NAN,
            Statistic::StdSample => (self.deviations / (n - 1.0)).sqrt(),
            Statistic::Min => self.low,
            Statistic::Max => self.high,
        }
    }

    /// The moments of a short window's values; missing ones are struck out, and the others gathered in `present`.
    #[inline]
    #[must_use]
    pub fn of<'a>(mut values: Values<'a>, present: &'a mut Vec<f64>, asked: Asked) -> Self {
        let mut all = spread(values, asked.deviations);
        // A missing value makes the sum one; so do infinite partial sums, and then nothing is struck out.
        if all.sum.is_nan() {
            present.clear();
            present.extend(values.iter().filter(|x| !x.is_nan()));
            values = Values {
                older: present,
                newer: &[],
            };
            all = spread(values, asked.deviations);
        }
        Moments {
            count: values.count() as u32,
            sum: all.sum,
            mean: all.sum / values.count() as f64,
            deviations: all.deviations,
            low: all.low,
            high: all.high,
        }
    }
}

/// The memory of one long window of one entity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Long {
    count: u32,
    sum: Option<Sum>,
    squares: Option<Squares>,
    /// Values that may become the smallest, with the numbers of their records: ascending, so that the first is it.
    lows: VecDeque<(u64, f64)>,
    highs: VecDeque<(u64, f64)>,
}

impl Long {
    /// The window moves on: record `number` comes in, the one `last` before it leaves; NaN is missing.
    pub fn slide(&mut self, asked: Asked, last: usize, number: u64, comes: f64, leaves: f64) {
        self.count += u32::from(!comes.is_nan());
        self.count -= u32::from(!leaves.is_nan());
        if asked.sums || asked.deviations {
            let sum = self.sum.get_or_insert_default();
            if !comes.is_nan() {
                sum.put(comes);
            }
            if !leaves.is_nan() {
                sum.take(leaves);
            }
        }
        if asked.deviations {
            let squares = self.squares.get_or_insert_default();
            if !comes.is_nan() {
                squares.put(comes);
            }
            if !leaves.is_nan() {
                squares.take(leaves);
            }
        }
        if asked.extremes {
            compete(&mut self.lows, last, number, comes, |old, new| old >= new);
            compete(&mut self.highs, last, number, comes, |old, new| old <= new);
        }
    }

    /// What the window comes to.
    #[must_use]
    pub fn moments(&self, asked: Asked) -> Moments {
        let mut moments = Moments {
            count: self.count,
            ..Moments::default()
        };
        if let (Some(sum), true) = (&self.sum, asked.sums) {
            moments.sum = sum.over(1);
            moments.mean = sum.over(self.count);
        }
        if let (Some(sum), Some(squares)) = (&self.sum, &self.squares) {
            moments.deviations = squares.deviations(sum, self.count);
        }
        moments.low = self.lows.front().map_or(f64::NAN, |(_, x)| *x);
        moments.high = self.highs.front().map_or(f64::NAN, |(_, x)| *x);
        moments
    }
}

/// A monotonic deque: values that a newer one beats can never be the extreme again.
fn compete(
    queue: &mut VecDeque<(u64, f64)>,
    last: usize,
    number: u64,
    comes: f64,
    beaten: impl Fn(f64, f64) -> bool,
) {
    while queue
        .front()
        .is_some_and(|(at, _)| at + last as u64 <= number)
    {
        queue.pop_front();
    }
    if comes.is_nan() {
        return;
    }
    while queue.back().is_some_and(|(_, old)| beaten(*old, comes)) {
        queue.pop_back();
    }
    queue.push_back((number, comes));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64], asked: Asked) -> Moments {
        let (older, newer) = values.split_at(values.len() / 3);
        Moments::of(Values { older, newer }, &mut Vec::new(), asked)
    }

    #[test]
    fn of_zeros_of_both_signs_the_oldest_is_the_extreme_in_whatever_lane() {
        let asked = Asked::default();
        for (values, negative) in [
            (vec![1.0, 0.0, 2.0, 3.0, -0.0], false),
            (vec![1.0, 2.0, 3.0, -0.0, 0.0], true),
            (vec![1.0, 2.0, f64::NAN, -0.0, 3.0, 0.0], true),
        ] {
            let low = of(&values, asked).get(Statistic::Min);
            assert_eq!((low, low.is_sign_negative()), (0.0, negative));
            let turned: Vec<f64> = values.iter().map(|x| -x).collect();
            let high = of(&turned, asked).get(Statistic::Max);
            assert_eq!((high, high.is_sign_negative()), (0.0, !negative));
        }
    }

    #[test]
    fn missing_values_are_struck_out_and_sums_beyond_all_doubles_are_not_taken_for_them() {
        let asked = Asked {
            sums: true,
            ..Asked::default()
        };
        let of = |values: &[f64]| of(values, asked);
        let missing = of(&[f64::NAN, 1.0, f64::NAN, 3.0, f64::NAN]);
        assert_eq!(missing, of(&[1.0, 3.0]));
        assert_eq!(missing.get(Statistic::Mean), 2.0);
        let nothing = of(&[f64::NAN; 5]);
        assert_eq!(nothing.get(Statistic::Count), 0.0);
        assert!(nothing.get(Statistic::Sum).is_nan());
        // Two lanes overflow, one each way: the sum is no number, and all eight values are there.
        let beyond = of(&[1.5e308, -1.5e308, 0.0, 0.0, 1.5e308, -1.5e308, 0.0, 0.0]);
        assert_eq!(beyond.get(Statistic::Count), 8.0);
        assert!(beyond.get(Statistic::Mean).is_nan());
    }

    #[test]
    fn deviations_beyond_all_doubles_are_missing_in_short_windows_as_in_long_ones() {
        let asked = Asked {
            deviations: true,
            ..Asked::default()
        };
        let cases: [(&[f64], bool); 5] = [
            (&[1.5e308, 1.4e308], false),
            (&[-1.5e308, 1.5e308], false),
            (&[1.5e308, 1.5e308], true),
            (&[1e200, -1e200, 0.0], false),
            (&[1e150, -1e150], true),
        ];
        for (values, finite) in cases {
            let mut long = Long::default();
            for (number, x) in (0..).zip(values) {
                long.slide(asked, 300, number, *x, f64::NAN);
            }
            for moments in [of(values, asked), long.moments(asked)] {
                for statistic in [Statistic::StdPopulation, Statistic::StdSample] {
                    let std = moments.get(statistic);
                    assert_eq!(
                        std.is_finite(),
                        finite,
                        "{statistic:?} of {values:?} is {std}"
                    );
                }
            }
        }
    }
}

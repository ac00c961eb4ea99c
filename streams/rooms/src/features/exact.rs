//! Exact sums of doubles and of their squares, as fixed-point numbers wide enough for every double.
//!
//! Nothing is rounded until a sum is read, so that a value which left is gone without a trace: the result is a function
//! of the window's contents alone, whatever passed through it. (The idea is Kulisch's long accumulator; R. Neal, "Fast
//! exact summation using small and large superaccumulators", 2015, surveys its kin.)

use serde::{Deserialize, Serialize};

/// A double is a whole number of 2^-1074.
const SCALE: i32 = 1074;

/// Limbs of a sum: 2098 bits of the largest double, 17 for as many as a window holds, and a sign.
const SUM: usize = 34;

/// Limbs of a sum of squares: 4196 bits, 17, and a sign.
const SQUARES: usize = 67;

/// Limbs of the widest intermediate: a count times a sum of squares, and one limb below the point.
const WIDE: usize = 70;

type Wide = [u64; WIDE];

/// The exact sum of some finite doubles, in two's complement, low limb first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum(Vec<u64>);

/// The exact sum of the squares of some finite doubles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Squares(Vec<u64>);

impl Default for Sum {
    fn default() -> Self {
        Sum(vec![0; SUM])
    }
}

impl Default for Squares {
    fn default() -> Self {
        Squares(vec![0; SQUARES])
    }
}

impl Sum {
    /// A value comes in.
    pub fn put(&mut self, x: f64) {
        let (mantissa, shift) = parts(x);
        add(
            &mut self.0,
            u128::from(mantissa),
            shift,
            x.is_sign_negative(),
        );
    }

    /// A value that came in leaves.
    pub fn take(&mut self, x: f64) {
        self.put(-x);
    }

    /// The sum divided by a whole number, rounded once, to the nearest.
    #[must_use]
    pub fn over(&self, divisor: u32) -> f64 {
        let (magnitude, negative) = self.magnitude();
        let quotient = divide(&magnitude, divisor, SCALE);
        if negative { -quotient } else { quotient }
    }

    fn magnitude(&self) -> (Wide, bool) {
        let negative = self.0.last().is_some_and(|top| top >> 63 == 1);
        let mut magnitude = [0; WIDE];
        let mut carry = negative;
        for (to, from) in magnitude.iter_mut().zip(&self.0) {
            (*to, carry) = match negative {
                true => (!*from).overflowing_add(u64::from(carry)),
                false => (*from, false),
            };
        }
        (magnitude, negative)
    }
}

impl Squares {
    /// A value comes in.
    pub fn put(&mut self, x: f64) {
        self.add(x, false);
    }

    /// A value that came in leaves.
    pub fn take(&mut self, x: f64) {
        self.add(x, true);
    }

    fn add(&mut self, x: f64, negative: bool) {
        let (mantissa, shift) = parts(x);
        let mantissa = u128::from(mantissa);
        add(&mut self.0, mantissa * mantissa, 2 * shift, negative);
    }

    /// The sum of the squared deviations of `count` values from their mean, rounded once: `(n Σx² - (Σx)²) / n`.
    #[must_use]
    pub fn deviations(&self, sum: &Sum, count: u32) -> f64 {
        let mut wide = [0; WIDE];
        let mut carry = 0;
        for (to, from) in wide.iter_mut().zip(&self.0) {
            let product = u128::from(*from) * u128::from(count) + carry;
            (*to, carry) = (product as u64, product >> 64);
        }
        subtract_square(&mut wide, &sum.magnitude().0);
        divide(&wide, count, 2 * SCALE)
    }
}

/// Mantissa and the power of two, above 2^-1074, of a finite double's magnitude.
fn parts(x: f64) -> (u64, u32) {
    let bits = x.to_bits();
    let (exponent, fraction) = ((bits >> 52) as u32 & 0x7ff, bits & ((1 << 52) - 1));
    match exponent {
        0 => (fraction, 0),
        _ => (fraction | 1 << 52, exponent - 1),
    }
}

/// Adds or subtracts `magnitude · 2^shift`.
fn add(limbs: &mut [u64], magnitude: u128, shift: u32, negative: bool) {
    let (first, shift) = ((shift / 64) as usize, shift % 64);
    let low = u128::from(magnitude as u64) << shift;
    let high = (magnitude >> 64) << shift;
    let parts = [
        low as u64,
        (low >> 64) as u64 | high as u64,
        (high >> 64) as u64,
    ];
    let mut carry = false;
    for (at, limb) in limbs.iter_mut().skip(first).enumerate() {
        let part = parts.get(at).copied();
        if part.is_none() && !carry {
            break;
        }
        let (part, one) = (part.unwrap_or(0), u64::from(carry));
        let (value, (a, b)) = if negative {
            let (value, a) = limb.overflowing_sub(part);
            let (value, b) = value.overflowing_sub(one);
            (value, (a, b))
        } else {
            let (value, a) = limb.overflowing_add(part);
            let (value, b) = value.overflowing_add(one);
            (value, (a, b))
        };
        (*limb, carry) = (value, a | b);
    }
}

/// Takes the square of `root` from `wide`, which holds more.
fn subtract_square(wide: &mut Wide, root: &Wide) {
    let Some(low) = root.iter().position(|limb| *limb != 0) else {
        return;
    };
    let high = root.iter().rposition(|limb| *limb != 0).unwrap_or(low);
    let mut square = [0u64; WIDE];
    for i in low..=high {
        let mut carry = 0;
        for j in low..=high {
            let product = u128::from(root[i]) * u128::from(root[j]);
            let total = product + u128::from(square[i + j]) + carry;
            (square[i + j], carry) = (total as u64, total >> 64);
        }
        square[i + high + 1] = carry as u64;
    }
    let mut borrow = false;
    for (to, from) in wide.iter_mut().zip(&square) {
        let (value, a) = to.overflowing_sub(*from);
        let (value, b) = value.overflowing_sub(u64::from(borrow));
        (*to, borrow) = (value, a | b);
    }
}

/// `number · 2^-scale / divisor` as the nearest double, ties to even; infinite beyond the largest.
fn divide(number: &Wide, divisor: u32, scale: i32) -> f64 {
    let divisor = u64::from(divisor.max(1));
    let Some(top) = number.iter().rposition(|limb| *limb != 0) else {
        return 0.0;
    };
    // One limb more at the low end, so that the bits to be rounded are there for the smallest doubles too.
    let mut quotient = [0u64; WIDE + 1];
    let mut rest = 0u64;
    for at in (0..=top + 1).rev() {
        let limb = if at == 0 { 0 } else { number[at - 1] };
        // By halves: a division of 128 bits takes ten times as long.
        for (half, shift) in [(limb >> 32, 32), (limb & 0xffff_ffff, 0)] {
            let part = rest << 32 | half;
            quotient[at] |= (part / divisor) << shift;
            rest = part % divisor;
        }
    }
    let bit = |at: usize| quotient[at / 64] >> (at % 64) & 1;
    let Some(limb) = quotient.iter().rposition(|limb| *limb != 0) else {
        return 0.0;
    };
    let highest = limb * 64 + 63 - quotient[limb].leading_zeros() as usize;
    let smallest = (64 + scale - SCALE) as usize;
    let lowest = highest.saturating_sub(52).max(smallest);
    let mantissa = (lowest..=highest).rev().fold(0, |m, at| m << 1 | bit(at));
    let below = lowest - 1;
    let sticky = rest != 0
        || quotient[..below / 64].iter().any(|limb| *limb != 0)
        || quotient[below / 64] & ((1 << (below % 64)) - 1) != 0;
    let up = bit(below) == 1 && (sticky || mantissa & 1 == 1);
    // The mantissa's leading bit adds one to the exponent's field, which is right for normal numbers.
    let bits = ((lowest - smallest) as u64) << 52;
    f64::from_bits((bits + mantissa + u64::from(up)).min(f64::INFINITY.to_bits()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(values: &[f64]) -> Sum {
        let mut sum = Sum::default();
        values.iter().for_each(|x| sum.put(*x));
        sum
    }

    fn finite() -> impl Strategy<Value = f64> {
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("finite", |x| x.is_finite())
    }

    #[test]
    fn known_sums() {
        assert_eq!(sum(&[1e308, 1.0, -1e308]).over(1), 1.0);
        assert_eq!(sum(&[0.1; 10]).over(10), 0.1);
        assert_eq!(sum(&[f64::MAX, f64::MAX]).over(1), f64::INFINITY);
        assert_eq!(sum(&[f64::MAX, f64::MAX]).over(2), f64::MAX);
        assert_eq!(
            sum(&[f64::from_bits(1); 3]).over(2),
            f64::from_bits(2),
            "a tie goes to even"
        );
        assert_eq!(
            sum(&[f64::from_bits(3), f64::from_bits(2)]).over(2),
            f64::from_bits(2)
        );
    }

    #[test]
    fn deviations_of_a_constant_are_zero_and_of_two_values_half_the_square() {
        let of = |values: &[f64]| {
            let mut squares = Squares::default();
            values.iter().for_each(|x| squares.put(*x));
            squares.deviations(&sum(values), values.len() as u32)
        };
        assert_eq!(of(&[0.1; 1000]), 0.0);
        assert_eq!(of(&[1e9, 1e9 + 2.0]), 2.0);
        assert_eq!(of(&[1.0, 2.0, 3.0, 4.0]), 5.0);
        assert_eq!(of(&[-1.0, 1.0]), 2.0);
    }

    proptest! {
        #[test]
        fn one_value_is_itself(x in finite()) {
            prop_assert_eq!(sum(&[x]).over(1).abs().to_bits(), x.abs().to_bits());
            prop_assert!((sum(&[x]).over(1) == x) || x == 0.0);
        }

        #[test]
        fn two_values_round_as_the_machine_does(x in finite(), y in finite()) {
            prop_assert_eq!(sum(&[x, y]).over(1), x + y);
        }

        #[test]
        fn a_quotient_rounds_as_the_machine_does(x in finite(), n in 1u32..70_000) {
            prop_assert_eq!(sum(&[x]).over(n), x / f64::from(n));
        }

        #[test]
        fn a_square_rounds_as_the_machine_does(x in finite()) {
            let mut squares = Squares::default();
            squares.put(x);
            prop_assert_eq!(squares.deviations(&Sum::default(), 1), x * x);
        }

        #[test]
        fn what_left_leaves_no_trace(kept in prop::collection::vec(finite(), 0..20), gone in prop::collection::vec(finite(), 0..20)) {
            let (mut passed, mut squares, mut want) = (sum(&gone), Squares::default(), Squares::default());
            gone.iter().for_each(|x| squares.put(*x));
            kept.iter().for_each(|x| { passed.put(*x); squares.put(*x); want.put(*x); });
            gone.iter().for_each(|x| { passed.take(*x); squares.take(*x); });
            prop_assert_eq!(passed, sum(&kept));
            prop_assert_eq!(squares, want);
        }
    }
}

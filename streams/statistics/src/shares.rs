//! Distances of two lists of shares: of categories, or of the bins of a numeric column.
//!
//! With pᵢ the reference's share of category i and qᵢ the window's:
//!
//! | | Formula | Range | Equal to |
//! |---|---|---|---|
//! | [`Shares::chi_squared`] | Σ (oᵢ - eᵢ)² / eᵢ, oᵢ the window's counts, eᵢ = pᵢ · its size | 0 and up | `scipy.stats.chisquare` |
//! | [`Shares::kullback_leibler`] | Σ pᵢ ln(pᵢ / qᵢ) | 0 and up, nats | `scipy.stats.entropy(p, q)` |
//! | [`Shares::jensen_shannon`] | √(½ KL(p, m) + ½ KL(q, m)), m = (p + q) / 2 | 0 to √ln 2 | `scipy.spatial.distance.jensenshannon` |
//! | [`Shares::hellinger`] | √(½ Σ (√pᵢ - √qᵢ)²) | 0 to 1 | |
//! | [`Shares::total_variation`] | ½ Σ abs(pᵢ - qᵢ) | 0 to 1 | |
//!
//! Sources: Pearson, "On the criterion that a given system of deviations …", Philosophical Magazine 50 (1900); Kullback,
//! Leibler, "On information and sufficiency", Annals of Mathematical Statistics 22 (1951); Endres, Schindelin, "A new metric
//! for probability distributions", IEEE Transactions on Information Theory 49 (2003); Hellinger, "Neue Begründung der Theorie
//! quadratischer Formen …", Journal für die reine und angewandte Mathematik 136 (1909).
//!
//! Sums run in the order of the categories: hand them over in one order, and bits are the same each time.

use crate::Error;
use crate::report::Tested;
use crate::special::chi_squared_tail;

/// Counts of the reference and of the window by category, in one order.
#[derive(Clone, Debug)]
pub struct Shares<'a> {
    reference: &'a [u64],
    window: &'a [u64],
    sizes: (f64, f64),
}

impl<'a> Shares<'a> {
    /// # Errors
    /// [`Error::Malformed`] for lists of different lengths, [`Error::Empty`] where either counts nothing.
    pub fn of(reference: &'a [u64], window: &'a [u64]) -> Result<Self, Error> {
        if reference.len() != window.len() {
            return Err(Error::Malformed {
                what: "counts",
                why: "not as many categories in the window as in the reference",
            });
        }
        let size = |counts: &[u64]| counts.iter().map(|count| *count as f64).sum::<f64>();
        let sizes = (size(reference), size(window));
        match sizes {
            (0.0, _) => Err(Error::Empty("reference")),
            (_, 0.0) => Err(Error::Empty("window")),
            _ => Ok(Shares {
                reference,
                window,
                sizes,
            }),
        }
    }

    /// Pearson's test of whether the window is drawn with the reference's shares. Categories that neither has do not count;
    /// one that the window alone has makes it infinite.
    ///
    /// # Errors
    /// [`Error::Constant`] where there is but one category.
    pub fn chi_squared(&self) -> Result<Tested, Error> {
        let there = |(r, w): &(&u64, &u64)| **r + **w > 0;
        let pairs = self.reference.iter().zip(self.window).filter(there);
        let (mut statistic, mut categories) = (0.0, 0_u64);
        for (r, w) in pairs {
            let expected = *r as f64 * (self.sizes.1 / self.sizes.0);
            let gap = *w as f64 - expected;
            statistic += gap * gap / expected;
            categories += 1;
        }
        if categories < 2 {
            return Err(Error::Constant);
        }
        Ok(Tested {
            statistic,
            p_value: chi_squared_tail(statistic, (categories - 1) as f64),
        })
    }

    /// Kullback and Leibler's divergence of the reference from the window; infinite where the window lacks a category.
    #[must_use]
    pub fn kullback_leibler(&self) -> f64 {
        self.sum(relative_entropy)
    }

    /// Jensen and Shannon's distance.
    #[must_use]
    pub fn jensen_shannon(&self) -> f64 {
        let both = |p: f64, q: f64| {
            let middle = (p + q) / 2.0;
            (relative_entropy(p, middle) + relative_entropy(q, middle)) / 2.0
        };
        self.sum(both).max(0.0).sqrt()
    }

    /// Hellinger's distance.
    #[must_use]
    pub fn hellinger(&self) -> f64 {
        let gap = |p: f64, q: f64| (p.sqrt() - q.sqrt()) * (p.sqrt() - q.sqrt());
        (self.sum(gap) / 2.0).sqrt()
    }

    /// The total variation: the share that would have to move.
    #[must_use]
    pub fn total_variation(&self) -> f64 {
        self.sum(|p, q| (p - q).abs()) / 2.0
    }

    fn sum(&self, term: impl Fn(f64, f64) -> f64) -> f64 {
        let pairs = self.reference.iter().zip(self.window);
        pairs.fold(0.0, |sum, (r, w)| {
            sum + term(*r as f64 / self.sizes.0, *w as f64 / self.sizes.1)
        })
    }
}

/// p ln(p / q), as scipy's `rel_entr`: 0 where p is, infinite where q alone is.
fn relative_entropy(p: f64, q: f64) -> f64 {
    match p > 0.0 {
        true => p * libm::log(p / q),
        false => 0.0,
    }
}

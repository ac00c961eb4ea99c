//! Is one model better than another? The interval of a mean paired difference, over blocks of neighbouring records.
//!
//! Both models predict the same records; a record's difference is, for instance, 1, 0 or -1 as only the first, both
//! or neither, or only the second was right. Neighbouring records resemble each other, so records taken as independent
//! would promise too much: cut the stream into blocks longer than that memory (a week of half hours, say) and let
//! the spread of the blocks speak.
//!
//! With block sums dᵢ and record counts nᵢ of B blocks, blocks being of unequal size:
//!
//! - mean difference r = Σ dᵢ / Σ nᵢ, the mean over all records (a ratio estimator);
//! - standard error s = √( B / (B - 1) · Σ (dᵢ - r nᵢ)² ) / Σ nᵢ;
//! - 95 % interval r ± 1.96 s, of the normal distribution: from about 20 blocks on; with fewer it is too narrow.
//!
//! Source: Cochran, *Sampling Techniques*, 3rd edition (Wiley, 1977), sections 6.4 (ratio estimate) and 9A (clusters of
//! unequal sizes), without the correction for a finite population. For blocks of one size it is the mean of the block
//! means and `scipy.stats.sem` of them. All figures are in the unit of a record's difference.

use crate::Error;
use serde::{Deserialize, Serialize};

/// The 97.5 % quantile of the normal distribution: `scipy.stats.norm.ppf(0.975)`.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// What is known of one block of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// The sum of the records' differences.
    pub sum: f64,
    /// The number of records.
    pub count: u64,
}

/// A mean difference and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanDifference {
    /// The mean over all records.
    pub mean: f64,
    /// The standard error of the mean, over blocks.
    pub standard_error: f64,
    /// The lower end of the 95 % interval.
    pub low: f64,
    /// The upper end of the 95 % interval.
    pub high: f64,
    /// The number of blocks that have records.
    pub blocks: u64,
    /// The number of records.
    pub records: u64,
}

/// The mean difference over blocks, with its 95 % interval. Blocks without records are passed over.
///
/// Sums run in the order of the blocks: hand them over in the order of the stream, and bits are the same each time.
///
/// # Errors
/// [`Error::TooFewBlocks`] below two blocks with records, [`Error::NotFinite`] for a sum that is NaN or infinite,
/// [`Error::TooMany`] above 2^53 records.
pub fn mean_difference(blocks: &[Block]) -> Result<MeanDifference, Error> {
    if let Some(position) = blocks.iter().position(|block| !block.sum.is_finite()) {
        return Err(Error::NotFinite(position));
    }
    let records = blocks
        .iter()
        .try_fold(0_u64, |sum, block| sum.checked_add(block.count));
    let records = records
        .filter(|records| *records <= 1 << 53)
        .ok_or(Error::TooMany)?;
    let filled = || blocks.iter().filter(|block| block.count > 0);
    let number = filled().count();
    if number < 2 {
        return Err(Error::TooFewBlocks(number));
    }
    let mean = filled().fold(0.0, |sum, block| sum + block.sum) / records as f64;
    let squares = filled().fold(0.0, |sum, block| {
        let residual = block.sum - mean * block.count as f64;
        sum + residual * residual
    });
    let standard_error = (number as f64 / (number as f64 - 1.0) * squares).sqrt() / records as f64;
    Ok(MeanDifference {
        mean,
        standard_error,
        low: mean - Z_95 * standard_error,
        high: mean + Z_95 * standard_error,
        blocks: number as u64,
        records,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_blocks_by_hand() -> Result<(), Error> {
        let result = mean_difference(&[
            Block {
                sum: 1.0,
                count: 10,
            },
            Block::default(),
            Block {
                sum: 3.0,
                count: 10,
            },
        ])?;
        assert_eq!((result.mean, result.standard_error), (0.2, 0.1)); // means 0.1 and 0.3
        assert_eq!((result.blocks, result.records), (2, 20));
        assert_eq!(
            (result.low, result.high),
            (0.2 - Z_95 * 0.1, 0.2 + Z_95 * 0.1)
        );
        Ok(())
    }

    #[test]
    fn refusals() {
        let block = |sum, count| Block { sum, count };
        assert_eq!(
            mean_difference(&[block(1.0, 5), block(0.0, 0)]),
            Err(Error::TooFewBlocks(1))
        );
        assert_eq!(
            mean_difference(&[block(1.0, 5), block(f64::NAN, 5)]),
            Err(Error::NotFinite(1))
        );
        assert_eq!(
            mean_difference(&[block(1.0, u64::MAX), block(1.0, 5)]),
            Err(Error::TooMany)
        );
    }
}

use crate::grid::GridId;

/// Why a statistic was refused. Nothing is changed by a call that returns one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The sample holds no value that the method could use.
    #[error("the {0} holds no values to compare")]
    Empty(&'static str),
    /// A value is infinite where distances are measured.
    #[error(
        "the {0} holds infinite values, which have no distance to others: clip them, or use a test of ranks"
    )]
    Infinite(&'static str),
    /// Fewer values than a test needs.
    #[error("{found} values where the test needs {needed} or more")]
    TooFew {
        /// How many there are.
        found: u64,
        /// How many it takes.
        needed: u64,
    },
    /// All values are the same, so that nothing can be said of their spread.
    #[error("all values are the same: the test needs two that differ")]
    Constant,
    /// Counts of one grid met another grid, or counts of another grid.
    #[error(
        "counts of grid {found} cannot be used with grid {expected}: freeze one grid per reference and count on that"
    )]
    OtherGrid {
        /// The grid that the call is about.
        expected: GridId,
        /// The grid that the counts were taken on.
        found: GridId,
    },
    /// A total above 2^53, from where on shares would no longer be exact in an f64.
    #[error("more than 2^53 values in one count")]
    TooMany,
    /// A resolution outside of 1..=1024.
    #[error("a grid of {0} cells was asked for; choose 1 to 1024")]
    Resolution(u16),
    /// Bytes or text that are not the canonical form of a value.
    #[error("malformed {what}: {why}")]
    Malformed {
        /// What was expected: grid or counts.
        what: &'static str,
        /// The rule that was broken.
        why: &'static str,
    },
    /// Fewer than two blocks with records, so nothing is known about their spread.
    #[error("{0} blocks with records: an interval needs two or more")]
    TooFewBlocks(usize),
    /// A block's sum is NaN or infinite.
    #[error("the sum of block {0} is not finite")]
    NotFinite(usize),
}

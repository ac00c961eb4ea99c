//! Statistics that give the same bits wherever, and in whatever order, they are computed.
//!
//! What comes in: columns of numbers, outcomes of predictions, sums per block. What goes out: counts that
//! merge, and reports that say how they were made. Nothing here reads a clock, a file or a random number, so a
//! drift figure in a log can be derived again from the records that it was made of.
//!
//! Numeric drift goes in three steps. A [`Grid`] is frozen from a model version's reference values; [`Counts`]
//! of windows are taken on it, by several tasks, and merged; [`ks::on_grid`] and [`psi::psi`] compare them with
//! the reference's own counts:
//!
//! ```
//! use mainstem_statistics::{Counts, Error, Grid, ks, psi};
//!
//! let reference: Vec<f64> = (0..5_000).map(f64::from).collect();
//! let grid = Grid::freeze(&reference);
//! let reference = Counts::of(&grid, &reference);
//!
//! let mut window = Counts::new(&grid);
//! window.add_column(&grid, &[2_500.0; 200])?;
//! window.add(&grid, f64::NAN)?; // a missing value: counted apart
//!
//! assert!(ks::on_grid(&grid, &reference, &window)?.statistic > 0.49);
//! assert!(psi::psi(&grid, &reference, &window)?.statistic > 0.25);
//! # Ok::<(), Error>(())
//! ```
//!
//! Columns themselves are compared as a [`Pair`], sorted once for all of [`distances`], [`ranks`] and [`means`]; counts of
//! categories as [`shares::Shares`].
//!
//! Every method is in one short file with its formula, its source and its units: those, [`ks`], [`psi`],
//! [`classification`] (the quality of a classifier), [`blocks`] (is one model better than another, given that
//! neighbouring records resemble each other). A [`DriftReport`] says the method, the statistic, the sample sizes
//! and whether the figure is exact; its reader adds the threshold and names the reference.
//!
//! Bits: counts are integers, so any split and any order of the records gives the same bytes. Sums of floats are
//! taken in a stated order. Logarithms come from `libm`, since the system's differ between machines.

#![forbid(unsafe_code)]

pub mod blocks;
pub mod classification;
pub mod distances;
mod error;
pub mod grid;
pub mod ks;
pub mod means;
mod pair;
pub mod psi;
pub mod ranks;
mod report;
pub mod shares;
mod special;

pub use classification::Confusion;
pub use error::Error;
pub use grid::{Counts, Grid, GridId};
pub use pair::Pair;
pub use report::{DriftReport, Method, Precision, Sample, Tested};

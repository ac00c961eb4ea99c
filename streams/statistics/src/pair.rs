//! A reference and a window in order: what the tests of whole distributions walk along.
//!
//! Missing values (NaN) are left out and counted. Ties are exact: values that are equal make one step, -0 and 0 too.

use crate::Error;
use crate::grid::sorted;
use crate::report::Sample;

/// Two columns, sorted once for as many tests as are wanted.
#[derive(Clone, Debug)]
pub struct Pair {
    reference: Column,
    window: Column,
}

#[derive(Clone, Debug)]
struct Column {
    values: Vec<f64>,
    missing: u64,
}

/// What both columns hold of one value; values rise from step to step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) value: f64,
    pub(crate) reference: u64,
    pub(crate) window: u64,
}

impl Pair {
    /// Sorts a copy of each column.
    ///
    /// # Errors
    /// [`Error::Empty`] where either has no value that is not missing.
    pub fn of<T: Copy + Into<f64>>(reference: &[T], window: &[T]) -> Result<Self, Error> {
        let (reference, window) = (Column::of(reference), Column::of(window));
        for (name, column) in [("reference", &reference), ("window", &window)] {
            if column.values.is_empty() {
                return Err(Error::Empty(name));
            }
        }
        Ok(Pair { reference, window })
    }

    /// The sizes of reference and window.
    #[must_use]
    pub fn samples(&self) -> [Sample; 2] {
        [&self.reference, &self.window].map(|column| Sample {
            present: column.values.len() as u64,
            missing: column.missing,
        })
    }

    /// Values that are present, of the reference and of the window; neither is 0.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        let [reference, window] = self.samples();
        (reference.present, window.present)
    }

    /// The values of reference and window, each in order.
    pub(crate) fn values(&self) -> (&[f64], &[f64]) {
        (&self.reference.values, &self.window.values)
    }

    /// Refuses infinite values, between which there are no distances.
    ///
    /// # Errors
    /// [`Error::Infinite`].
    pub(crate) fn finite(&self) -> Result<(), Error> {
        let infinite = |column: &Column| {
            let ends = [column.values.first(), column.values.last()];
            ends.into_iter().flatten().any(|value| value.is_infinite())
        };
        match (infinite(&self.reference), infinite(&self.window)) {
            (true, _) => Err(Error::Infinite("reference")),
            (_, true) => Err(Error::Infinite("window")),
            _ => Ok(()),
        }
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        let (mut reference, mut window) = self.values();
        std::iter::from_fn(move || {
            let value = match (reference.first(), window.first()) {
                (Some(r), Some(w)) => r.min(*w),
                (one, other) => *one.or(other)?,
            };
            Some(Step {
                value,
                reference: take(&mut reference, value),
                window: take(&mut window, value),
            })
        })
    }
}

impl Column {
    fn of<T: Copy + Into<f64>>(column: &[T]) -> Self {
        let values = sorted(column);
        let missing = (column.len() - values.len()) as u64;
        Column { values, missing }
    }
}

/// Takes a value off the head of a sorted column; says how often it stood there.
fn take(sorted: &mut &[f64], value: f64) -> u64 {
    let run = sorted.iter().take_while(|head| **head == value).count();
    *sorted = &sorted[run..];
    run as u64
}

//! Rows that wait for the tick, in columns.

use std::ops::Range;

use mainstem_schemas::Millis;
use serde::{Deserialize, Serialize};

/// Rows with their event times, numbers and, where it matters, the version that made them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Rows {
    names: Vec<String>,
    columns: Vec<Vec<f32>>,
    times: Vec<Millis>,
    versions: Vec<String>,
    made_by: Vec<u16>,
}

impl Rows {
    /// Makes room for these columns; rows that are here already miss the new ones.
    pub fn want<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            if !self.names.iter().any(|have| have == name) {
                self.names.push(name.to_owned());
                self.columns.push(vec![f32::NAN; self.times.len()]);
            }
        }
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Adds a row: a number for each of the columns, NaN for missing.
    pub fn push(&mut self, time: Millis, version: &str, value: impl Fn(usize) -> f32) {
        let known = self.versions.iter().position(|have| have == version);
        let by = known.unwrap_or_else(|| {
            self.versions.push(version.to_owned());
            self.versions.len() - 1
        });
        self.times.push(time);
        self.made_by.push(u16::try_from(by).unwrap_or(u16::MAX));
        for (at, column) in self.columns.iter_mut().enumerate() {
            column.push(value(at));
        }
    }

    /// Takes the rows before a time out, in their order; those from it on stay.
    pub fn take_before(&mut self, time: Millis) -> Rows {
        let stay: Vec<usize> = (0..self.len())
            .filter(|row| self.times[*row] >= time)
            .collect();
        let mut taken = std::mem::take(self);
        self.want(taken.names.iter().map(String::as_str));
        for row in &stay {
            self.push(taken.times[*row], taken.version(*row), |column| {
                taken.columns[column][*row]
            });
        }
        if !stay.is_empty() {
            let went: Vec<bool> = taken.times.iter().map(|at| *at < time).collect();
            for column in &mut taken.columns {
                keep(column, &went);
            }
            keep(&mut taken.made_by, &went);
            keep(&mut taken.times, &went);
        }
        taken
    }

    pub fn time(&self, row: usize) -> Millis {
        self.times[row]
    }

    pub fn version(&self, row: usize) -> &str {
        self.versions
            .get(usize::from(self.made_by[row]))
            .map_or("", String::as_str)
    }

    /// Some rows of a column; nothing where the rows have no such column.
    pub fn column(&self, name: &str, rows: Range<usize>) -> Option<&[f32]> {
        let at = self.names.iter().position(|have| have == name)?;
        self.columns[at].get(rows)
    }

    /// The last event time.
    pub fn latest(&self) -> Option<Millis> {
        self.times.iter().max().copied()
    }
}

fn keep<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    values.retain(|_| keep.next().copied().unwrap_or(false));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_before_a_time_go_and_the_others_stay() {
        let mut rows = Rows::default();
        rows.want(["a"]);
        rows.push(Millis(5), "v1", |_| 1.0);
        rows.push(Millis(9), "v2", |_| 2.0);
        rows.want(["a", "b"]);
        rows.push(Millis(4), "v2", |column| [3.0, 4.0][column]);
        let taken = rows.take_before(Millis(6));
        assert_eq!((taken.len(), rows.len()), (2, 1));
        assert_eq!(
            (taken.column("a", 0..2), taken.version(1)),
            (Some(&[1.0, 3.0][..]), "v2")
        );
        assert!(taken.column("b", 0..1).unwrap()[0].is_nan());
        assert_eq!(
            (rows.time(0), rows.version(0), rows.column("a", 0..1)),
            (Millis(9), "v2", Some(&[2.0][..]))
        );
        assert_eq!(
            (taken.latest(), rows.column("c", 0..1)),
            (Some(Millis(5)), None)
        );
    }
}

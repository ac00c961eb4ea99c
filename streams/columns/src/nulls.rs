//! Which rows of a column are null: a bit is written for a null alone, so that values, the common case, cost nothing.

use arrow_buffer::{BooleanBuffer, NullBuffer};

#[derive(Debug, Default)]
pub(crate) struct Nulls {
    /// Row `r` is null where bit `r % 64` of word `r / 64` is set; words that are not there are zero.
    words: Vec<u64>,
}

impl Nulls {
    pub fn set(&mut self, row: usize) {
        if self.words.len() <= row / 64 {
            self.words.resize(row / 64 + 1, 0);
        }
        if let Some(word) = self.words.get_mut(row / 64) {
            *word |= 1 << (row % 64);
        }
    }

    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.words
            .get(row / 64)
            .is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Forgets the rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        if self.words.len() > rows / 64 {
            self.words.truncate(rows / 64 + 1);
            if let Some(word) = self.words.last_mut() {
                *word &= (1 << (rows % 64)) - 1;
            }
        }
    }

    /// Arrow's form, which marks values instead, or nothing where no row is null.
    pub fn into_arrow(self, rows: usize) -> Option<NullBuffer> {
        if self.words.iter().all(|word| *word == 0) {
            return None;
        }
        let valid = BooleanBuffer::collect_bool(rows, |row| !self.is_null(row));
        Some(NullBuffer::new(valid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_found_forgotten_and_handed_over() {
        let mut nulls = Nulls::default();
        for row in [3, 63, 64, 200] {
            nulls.set(row);
        }
        let found = |nulls: &Nulls| {
            (0..300)
                .filter(|row| nulls.is_null(*row))
                .collect::<Vec<_>>()
        };
        assert_eq!(found(&nulls), [3, 63, 64, 200]);
        nulls.truncate(200);
        assert_eq!(found(&nulls), [3, 63, 64]);
        nulls.truncate(64);
        assert_eq!(found(&nulls), [3, 63]);
        nulls.set(130);
        assert_eq!(nulls.words.len(), 3);
        let arrow = nulls.into_arrow(131).unwrap();
        assert_eq!(
            (arrow.len(), arrow.null_count(), arrow.is_null(130)),
            (131, 3, true)
        );
        let mut none = Nulls::default();
        none.set(0);
        none.truncate(0);
        assert!(none.into_arrow(5).is_none());
    }
}

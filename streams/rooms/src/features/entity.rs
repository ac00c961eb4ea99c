//! What the room remembers of each entity: its newest event time and, per operand, the last values.

use mainstem_schemas::Millis;
use serde::{Deserialize, Serialize};

use super::lanes::Values;
use super::window::Long;

/// One entity.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// The newest event time.
    pub newest: Millis,
    /// Records before the one at hand.
    seen: u64,
    /// How far its rings have grown.
    level: u8,
    /// The rings, one behind the other.
    values: Vec<f64>,
    /// Long windows.
    pub long: Vec<Long>,
}

/// Where the rings of an entity lie. They grow with its records, so that one seen once takes little.
#[derive(Debug)]
pub struct Rings {
    lengths: Vec<usize>,
    levels: Vec<Level>,
    /// Those of the entity that was opened last.
    open: Vec<Ring>,
}

/// A ring among an entity's values.
#[derive(Clone, Copy, Debug, Default)]
struct Ring {
    start: usize,
    size: usize,
    /// Place of the record at hand in it.
    newest: usize,
}

#[derive(Debug)]
struct Level {
    capacity: usize,
    starts: Vec<usize>,
    total: usize,
}

/// Records that the smallest rings hold.
const SMALLEST: usize = 8;

impl Rings {
    /// Rings of these lengths, each at least 1.
    #[must_use]
    pub fn new(lengths: Vec<usize>) -> Self {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let mut capacity = SMALLEST;
        let mut levels = Vec::new();
        loop {
            let mut total = 0;
            let mut start = |length: &usize| {
                total += length.min(&capacity);
                total - length.min(&capacity)
            };
            let starts = lengths.iter().map(&mut start).collect();
            levels.push(Level {
                capacity,
                starts,
                total,
            });
            if capacity >= longest {
                break;
            }
            capacity *= 2;
        }
        Rings {
            open: vec![Ring::default(); lengths.len()],
            lengths,
            levels,
        }
    }

    /// Lays the rings out for a record of an entity: once, for a remainder costs more than all else about a ring.
    #[inline]
    fn lay_out(&mut self, level: u8, number: u64) {
        let mut last = Ring::default();
        for ring in 0..self.open.len() {
            let (start, size) = self.place(level, ring);
            let newest = match size == last.size {
                true => last.newest,
                false => (number % size as u64) as usize,
            };
            last = Ring {
                start,
                size,
                newest,
            };
            self.open[ring] = last;
        }
    }

    /// Start and length of a ring at a level.
    #[inline]
    fn place(&self, level: u8, ring: usize) -> (usize, usize) {
        let level = &self.levels[usize::from(level)];
        (level.starts[ring], self.lengths[ring].min(level.capacity))
    }
}

impl Ring {
    /// The place so many records before the one at hand, fewer than it has.
    #[inline]
    fn back(self, by: usize) -> usize {
        match self.newest.checked_sub(by) {
            Some(place) => place,
            None => self.newest + self.size - by,
        }
    }
}

impl Entity {
    /// An entity without records.
    #[must_use]
    pub fn new(rings: &Rings, long: usize) -> Self {
        Entity {
            values: vec![f64::NAN; rings.levels[0].total],
            long: vec![Long::default(); long],
            ..Self::default()
        }
    }

    /// Number of the record at hand, from 0.
    #[inline]
    #[must_use]
    pub fn number(&self) -> u64 {
        self.seen
    }

    /// A record is at hand: makes room for it. The rings are this entity's from now on.
    #[inline]
    pub fn open(&mut self, rings: &mut Rings) {
        let last = usize::from(self.level) + 1 == rings.levels.len();
        if !last && self.seen >= rings.levels[usize::from(self.level)].capacity as u64 {
            self.grow(rings);
        }
        rings.lay_out(self.level, self.seen);
    }

    #[cold]
    fn grow(&mut self, rings: &Rings) {
        let mut values = vec![f64::NAN; rings.levels[usize::from(self.level) + 1].total];
        for ring in 0..rings.lengths.len() {
            // A ring that is at its length has wrapped and keeps its size; any other has not, and keeps its places.
            let (from, size) = rings.place(self.level, ring);
            let (to, _) = rings.place(self.level + 1, ring);
            values[to..to + size].copy_from_slice(&self.values[from..from + size]);
        }
        self.values = values;
        self.level += 1;
    }

    /// The record at hand is done.
    #[inline]
    pub fn close(&mut self) {
        self.seen += 1;
    }

    /// The record's value of a ring's operand.
    #[inline]
    pub fn push(&mut self, rings: &Rings, ring: usize, value: f64) {
        let Ring { start, newest, .. } = rings.open[ring];
        self.values[start + newest] = value;
    }

    /// The value so many records before the one at hand, fewer than the ring's length; NaN before the first.
    #[inline]
    #[must_use]
    pub fn back(&self, rings: &Rings, ring: usize, by: usize) -> f64 {
        if self.seen < by as u64 {
            return f64::NAN;
        }
        let ring = rings.open[ring];
        self.values[ring.start + ring.back(by)]
    }

    /// The value of the record before in a ring of one place, before the record at hand is pushed; NaN before the first.
    #[inline]
    #[must_use]
    pub fn last(&self, rings: &Rings, ring: usize) -> f64 {
        self.values[rings.open[ring].start]
    }

    /// The values of the last records up to the one at hand, missing ones too.
    #[inline]
    #[must_use]
    pub fn window(&self, rings: &Rings, ring: usize, last: usize) -> Values<'_> {
        let ring = rings.open[ring];
        let first = ring.back(self.seen.min(last as u64 - 1) as usize);
        let values = &self.values[ring.start..ring.start + ring.size];
        match first <= ring.newest {
            true => Values {
                older: &values[first..=ring.newest],
                newer: &[],
            },
            false => Values {
                older: &values[first..],
                newer: &values[..=ring.newest],
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_of_different_lengths_grow_and_wrap_without_losing_a_value() {
        let lengths = [1, 3, 8, 9, 40, 100];
        let mut rings = Rings::new(lengths.to_vec());
        let mut entity = Entity::new(&rings, 0);
        for n in 0..500 {
            entity.open(&mut rings);
            for (ring, length) in lengths.iter().enumerate() {
                entity.push(&rings, ring, f64::from(n));
                for back in 0..*length {
                    let value = entity.back(&rings, ring, back);
                    assert!(
                        value == f64::from(n) - back as f64 || value.is_nan() && back > n as usize
                    );
                }
                let oldest = (n + 1 - *length as i32).max(0);
                let window = entity.window(&rings, ring, *length);
                assert!(window.iter().eq((oldest..=n).map(f64::from)));
            }
            entity.close();
        }
    }
}

//! What the room remembers of each entity: its newest event time and, per operand, the last values.

use std::collections::BTreeMap;

use mainstem_schemas::Millis;
use serde::{Deserialize, Serialize};

use super::window::Long;

/// Entities of a partition at most: with a name and one ring each they take about a gigabyte, and a restore reads all of them.
pub const MAX_ENTITIES: usize = if cfg!(test) { 1 << 10 } else { 1 << 22 };

/// All entities of a partition: an index over an arena, for neither moves when the other grows.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entities {
    index: BTreeMap<String, u32>,
    arena: Vec<Entity>,
}

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

impl Entities {
    /// Whether no other entity can be remembered.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.arena.len() >= MAX_ENTITIES
    }

    /// Place of an entity, if it was seen.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).map(|at| *at as usize)
    }

    /// A place for an entity that was not.
    pub fn insert(&mut self, name: &str, entity: Entity) -> usize {
        let at = self.arena.len();
        self.index.insert(name.to_owned(), at as u32);
        self.arena.push(entity);
        at
    }

    /// The entity at a place.
    pub fn get_mut(&mut self, at: usize) -> Option<&mut Entity> {
        self.arena.get_mut(at)
    }
}

/// Where the rings of an entity lie. They grow with its records, so that one seen once takes little.
#[derive(Debug)]
pub struct Rings {
    lengths: Vec<usize>,
    levels: Vec<Level>,
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
        Rings { lengths, levels }
    }

    /// Start and length of a ring at a level.
    fn place(&self, level: u8, ring: usize) -> (usize, usize) {
        let level = &self.levels[usize::from(level)];
        (level.starts[ring], self.lengths[ring].min(level.capacity))
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
    #[must_use]
    pub fn number(&self) -> u64 {
        self.seen
    }

    /// A record is at hand: makes room for it.
    pub fn open(&mut self, rings: &Rings) {
        let last = usize::from(self.level) + 1 == rings.levels.len();
        if last || self.seen < rings.levels[usize::from(self.level)].capacity as u64 {
            return;
        }
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
    pub fn close(&mut self) {
        self.seen += 1;
    }

    /// The record's value of a ring's operand.
    pub fn push(&mut self, rings: &Rings, ring: usize, value: f64) {
        let (start, size) = rings.place(self.level, ring);
        self.values[start + (self.seen % size as u64) as usize] = value;
    }

    /// The value so many records before the one at hand, fewer than the ring's length; NaN before the first.
    #[must_use]
    pub fn back(&self, rings: &Rings, ring: usize, by: usize) -> f64 {
        let (start, size) = rings.place(self.level, ring);
        match self.seen.checked_sub(by as u64) {
            Some(number) => self.values[start + (number % size as u64) as usize],
            None => f64::NAN,
        }
    }

    /// Gathers the values of the last records up to the one at hand, oldest first, but for missing ones.
    pub fn gather(&self, rings: &Rings, ring: usize, last: usize, into: &mut Vec<f64>) {
        let (start, size) = rings.place(self.level, ring);
        let count = (self.seen + 1).min(last as u64);
        let first = ((self.seen + 1 - count) % size as u64) as usize;
        let ring = &self.values[start..start + size];
        let until = first + count as usize;
        into.clear();
        let mut take = |part: &[f64]| into.extend(part.iter().filter(|x| !x.is_nan()));
        take(&ring[first..until.min(size)]);
        take(&ring[..until.saturating_sub(size)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_of_different_lengths_grow_and_wrap_without_losing_a_value() {
        let lengths = [1, 3, 8, 9, 40, 100];
        let rings = Rings::new(lengths.to_vec());
        let mut entity = Entity::new(&rings, 0);
        let mut gathered = Vec::new();
        for n in 0..500 {
            entity.open(&rings);
            for (ring, length) in lengths.iter().enumerate() {
                entity.push(&rings, ring, f64::from(n));
                for back in 0..*length {
                    let value = entity.back(&rings, ring, back);
                    assert!(
                        value == f64::from(n) - back as f64 || value.is_nan() && back > n as usize
                    );
                }
                entity.gather(&rings, ring, *length, &mut gathered);
                let oldest = (n + 1 - *length as i32).max(0);
                assert_eq!(gathered, (oldest..=n).map(f64::from).collect::<Vec<_>>());
            }
            entity.close();
        }
    }
}

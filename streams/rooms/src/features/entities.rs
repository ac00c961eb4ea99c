//! All entities of a partition: which there are, by name, and what is remembered of each.
//!
//! The index is an ordered map, so that snapshots are canonical and no choice of names makes it slow. In front of it lies
//! a table of places by a hash of the name, which finds nearly every entity at the first look; whatever has no room near
//! its place there is found in the index.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entity::Entity;

/// Entities of a partition at most: with a name and one ring each they take about a gigabyte, and a restore reads all of them.
pub const MAX_ENTITIES: usize = if cfg!(test) { 1 << 10 } else { 1 << 22 };

/// Slots after an entity's own in which it is looked for.
const REACH: usize = 8;

/// All entities of a partition: an index over an arena, for neither moves when the other grows.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Entities {
    #[serde(with = "names")]
    index: BTreeMap<Arc<str>, u32>,
    arena: Vec<Entity>,
    #[serde(skip)]
    near: Near,
}

/// A table of places by the names' hashes; empty until it is asked.
#[derive(Debug, Default)]
struct Near {
    slots: Vec<Slot>,
    /// Names by place.
    names: Vec<Arc<str>>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    mark: Mark,
    place: u32,
}

/// What tells names apart: of up to sixteen bytes all of them, of longer ones a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    first: u64,
    last: u64,
    length: u32,
}

/// Bytes of the longest name that its mark holds.
const WHOLE: usize = 16;

/// A slot that nobody has.
const FREE: Slot = Slot {
    mark: Mark {
        first: 0,
        last: 0,
        length: 0,
    },
    place: u32::MAX,
};

impl Entities {
    /// Whether no other entity can be remembered.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.arena.len() >= MAX_ENTITIES
    }

    /// Place of an entity, if it was seen.
    pub fn find(&mut self, name: &str) -> Option<usize> {
        if self.near.names.len() != self.arena.len() {
            self.near = Near::of(&self.index);
        }
        let near = self.near.find(name);
        near.or_else(|| self.index.get(name).copied())
            .map(|place| place as usize)
    }

    /// A place for an entity that was not.
    pub fn insert(&mut self, name: &str, entity: Entity) -> usize {
        let (at, name) = (self.arena.len(), Arc::<str>::from(name));
        self.arena.push(entity);
        self.index.insert(name.clone(), at as u32);
        self.near.names.push(name);
        if self.near.slots.len() < 2 * self.arena.len() {
            self.near = Near::of(&self.index);
        } else {
            self.near.put(at as u32);
        }
        at
    }

    /// The entity at a place.
    #[inline]
    pub fn get_mut(&mut self, at: usize) -> Option<&mut Entity> {
        self.arena.get_mut(at)
    }
}

impl Near {
    /// A table with room for twice as many as there are.
    fn of(index: &BTreeMap<Arc<str>, u32>) -> Self {
        let mut by_place: Vec<(u32, &Arc<str>)> = index.iter().map(|(n, at)| (*at, n)).collect();
        by_place.sort_unstable_by_key(|(place, _)| *place);
        let slots = (4 * index.len()).next_power_of_two().max(64);
        let mut near = Near {
            slots: vec![FREE; slots],
            names: by_place.into_iter().map(|(_, name)| name.clone()).collect(),
        };
        (0..near.names.len()).for_each(|place| near.put(place as u32));
        near
    }

    fn put(&mut self, place: u32) {
        let Some(name) = self.names.get(place as usize) else {
            return;
        };
        let mark = Mark::of(name.as_bytes());
        for slot in self.reach(mark) {
            if self.slots[slot].place == FREE.place {
                self.slots[slot] = Slot { mark, place };
                return;
            }
        }
    }

    #[inline]
    fn find(&self, name: &str) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mark = Mark::of(name.as_bytes());
        for slot in self.reach(mark) {
            let slot = &self.slots[slot];
            if slot.place == FREE.place {
                return None;
            }
            let same = slot.mark == mark
                && (name.len() <= WHOLE || *self.names[slot.place as usize] == *name);
            if same {
                return Some(slot.place);
            }
        }
        None
    }

    /// The slots in which a name may be.
    #[inline]
    fn reach(&self, mark: Mark) -> impl Iterator<Item = usize> + use<> {
        let (own, mask) = (mark.hash() as usize, self.slots.len() - 1);
        (0..REACH).map(move |next| (own + next) & mask)
    }
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Mark {
    #[inline]
    fn of(name: &[u8]) -> Self {
        let length = name.len() as u32;
        let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            // The two overlap where the name is shorter than both.
            (Some(first), Some(last)) if name.len() <= WHOLE => {
                (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
            }
            (Some(_), Some(last)) => {
                let words = name.as_chunks::<8>().0.iter();
                let mix = |hash: u64, word: &[u8; 8]| {
                    let hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(ODD);
                    hash ^ (hash >> 32)
                };
                (words.fold(0, mix), u64::from_le_bytes(*last))
            }
            _ => {
                let pack = |packed, byte: &u8| packed << 8 | u64::from(*byte);
                (name.iter().fold(0, pack), 0)
            }
        };
        Mark {
            first,
            last,
            length,
        }
    }

    /// A quick hash: what it decides is how fast an entity is found, and nothing else.
    #[inline]
    fn hash(self) -> u64 {
        let hash = (self.first ^ self.last.rotate_left(29)).wrapping_add(u64::from(self.length));
        let hash = (hash ^ (hash >> 32)).wrapping_mul(ODD);
        hash >> 32
    }
}

/// The index in a snapshot: a map of texts.
mod names {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    type Index = BTreeMap<Arc<str>, u32>;

    pub fn serialize<S: Serializer>(index: &Index, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(index.iter().map(|(name, place)| (&**name, place)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Index, D::Error> {
        let index = BTreeMap::<String, u32>::deserialize(from)?;
        Ok(index.into_iter().map(|(n, at)| (n.into(), at)).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::entity::Rings;
    use super::*;

    #[test]
    fn a_snapshot_of_the_entities_is_the_ordered_map_and_the_arena() {
        let rings = Rings::new(vec![3]);
        let mut entities = Entities::default();
        for name in ["b", "a", "a longer name than one word", ""] {
            entities.insert(name, Entity::new(&rings, 0));
        }
        let index: BTreeMap<&str, u32> = [
            ("b", 0),
            ("a", 1),
            ("a longer name than one word", 2),
            ("", 3),
        ]
        .into();
        let arena: Vec<Entity> = (0..4).map(|_| Entity::new(&rings, 0)).collect();
        let want = postcard::to_stdvec(&(index, arena)).unwrap();
        assert_eq!(postcard::to_stdvec(&entities).unwrap(), want);
    }

    proptest! {
        #[test]
        fn every_entity_is_found_where_it_was_put(names in prop::collection::btree_set("[ab]{0,20}", 0..300), cut in 0usize..300) {
            let rings = Rings::new(vec![1]);
            let mut entities = Entities::default();
            let names: Vec<String> = names.into_iter().collect();
            for (place, name) in names.iter().enumerate() {
                if place == cut {
                    let bytes = postcard::to_stdvec(&entities).unwrap();
                    entities = postcard::from_bytes(&bytes).unwrap();
                }
                prop_assert_eq!(entities.find(name), None);
                prop_assert_eq!(entities.insert(name, Entity::new(&rings, 0)), place);
            }
            for (place, name) in names.iter().enumerate() {
                prop_assert_eq!(entities.find(name), Some(place));
            }
            prop_assert_eq!(entities.find("c"), None);
        }

        #[test]
        fn names_without_room_near_their_slot_are_found_in_the_index(count in 1usize..60) {
            let mut entities = Entities::default();
            for place in 0..count {
                entities.insert(&format!("e{place}"), Entity::default());
            }
            entities.near.slots.fill(Slot { mark: Mark::of(b"another"), place: 0 });
            for place in 0..count {
                prop_assert_eq!(entities.find(&format!("e{place}")), Some(place));
            }
        }
    }
}

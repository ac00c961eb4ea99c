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
    hash: u32,
    place: u32,
}

/// A slot that nobody has.
const FREE: Slot = Slot {
    hash: 0,
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
        let hash = hash(name.as_bytes());
        let mask = self.slots.len() - 1;
        for slot in (0..REACH).map(|next| (hash as usize + next) & mask) {
            if self.slots[slot].place == FREE.place {
                self.slots[slot] = Slot { hash, place };
                return;
            }
        }
    }

    #[inline]
    fn find(&self, name: &str) -> Option<u32> {
        let hash = hash(name.as_bytes());
        let mask = self.slots.len().checked_sub(1)?;
        for slot in (0..REACH).map(|next| (hash as usize + next) & mask) {
            let slot = self.slots[slot];
            if slot.place == FREE.place {
                return None;
            }
            if slot.hash == hash && *self.names[slot.place as usize] == *name {
                return Some(slot.place);
            }
        }
        None
    }
}

/// A quick hash: what it decides is how fast an entity is found, and nothing else.
#[inline]
fn hash(name: &[u8]) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = (name.len() as u64).wrapping_mul(ODD);
    let mut words = name.chunks_exact(8);
    for word in &mut words {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        hash = (hash ^ u64::from_le_bytes(eight)).wrapping_mul(ODD);
        hash ^= hash >> 32;
    }
    let rest = words.remainder().iter();
    let rest = rest.fold(0u64, |rest, byte| rest << 8 | u64::from(*byte));
    hash = (hash ^ rest).wrapping_mul(ODD);
    ((hash ^ (hash >> 29)).wrapping_mul(ODD) >> 32) as u32
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
        fn every_entity_is_found_where_it_was_put(names in prop::collection::btree_set("[ab]{0,12}", 0..300), cut in 0usize..300) {
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
            entities.near.slots.fill(Slot { hash: 1, place: 0 });
            for place in 0..count {
                prop_assert_eq!(entities.find(&format!("e{place}")), Some(place));
            }
        }
    }
}

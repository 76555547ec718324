//! Places in a table whose names are never used twice.

use alloc::{collections::BinaryHeap, vec::Vec};
use core::cmp::Reverse;

use crate::{
    id::ConnectionId,
    shrink::{self, Shrink as _},
};

/// A table of values by names, each of them the number of a place and how many values that place has
/// had before.
///
/// A place that has had as many as can be counted is not used any more, so that no name comes again,
/// however many values come and go. That costs one empty place (about 150 bytes) for every 2^31
/// values or more. The end of the table is given back when the rest would do with a quarter of its
/// room, and where the table grows again, places begin behind all that were given back. Only those that
/// have had 2^31 values are kept, which are never more than were in use at a time.
pub(super) struct Slots<T> {
    table: Vec<Slot<T>>,
    /// Places that are free, and some that were given back.
    free: BinaryHeap<Reverse<u32>>,
    len: usize,
    /// Where the generations of new places begin.
    floor: u32,
    /// What the numbers of places are combined with in names: the number of the table.
    base: u32,
}

struct Slot<T> {
    value: Option<T>,
    generation: u32,
}

/// Bits of the number of a place. Those above it number the table.
const PLACE_BITS: u32 = 24;
/// A place of this generation is worn out.
const WORN_OUT: u32 = u32::MAX;
/// A place of a higher generation is not given back.
const GIVEN_BACK_MAX: u32 = u32::MAX / 2;

impl<T> Slots<T> {
    /// Makes an empty table. Names of tables with other numbers are misses.
    pub(super) const fn new(number: u8) -> Self {
        let base = (number as u32) << PLACE_BITS;
        Self { table: Vec::new(), free: BinaryHeap::new(), len: 0, floor: 0, base }
    }

    /// Whether there is no place for one more.
    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty() && self.table.len() >> PLACE_BITS > 0
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, value: T) -> ConnectionId {
        let index = self.take_free().unwrap_or_else(|| {
            self.table.push(Slot { value: None, generation: self.floor });
            to_u32(self.table.len().saturating_sub(1))
        });
        self.len = self.len.saturating_add(1);
        let slot = self.table.get_mut(index as usize);
        pack(
            index ^ self.base,
            slot.map_or(WORN_OUT, |slot| {
                slot.value = Some(value);
                slot.generation
            }),
        )
    }

    #[inline]
    pub(super) fn get(&self, id: ConnectionId) -> Option<&T> {
        let (index, generation) = self.unpack(id);
        let slot = self.table.get(index as usize).filter(|slot| slot.generation == generation)?;
        slot.value.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut T> {
        let (index, generation) = self.unpack(id);
        let slot = self.table.get_mut(index as usize);
        slot.filter(|slot| slot.generation == generation)?.value.as_mut()
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<T> {
        let (index, generation) = self.unpack(id);
        let slot = self.table.get_mut(index as usize);
        let slot = slot.filter(|slot| slot.generation == generation)?;
        let value = slot.value.take()?;
        slot.generation = generation.saturating_add(1);
        if slot.generation < WORN_OUT {
            self.free.push(Reverse(index));
        }
        self.len = self.len.saturating_sub(1);
        self.give_back_end();
        Some(value)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ConnectionId> {
        let slots = (0..).zip(&self.table).filter(|(_, slot)| slot.value.is_some());
        slots.map(|(index, slot): (u32, _)| pack(index ^ self.base, slot.generation))
    }

    /// The place and its generation. That of another table is behind the end of this one.
    fn unpack(&self, id: ConnectionId) -> (u32, u32) {
        let raw = id.as_raw();
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of what was packed")]
        let (index, generation) = ((raw >> 32) as u32, raw as u32);
        (index ^ self.base, generation)
    }

    /// The first free place. If it was given back, so were all that are free.
    fn take_free(&mut self) -> Option<u32> {
        let Reverse(index) = self.free.pop()?;
        if (index as usize) < self.table.len() {
            return Some(index);
        }
        self.free = BinaryHeap::new();
        None
    }

    /// Takes O(1), amortised.
    fn give_back_end(&mut self) {
        let is_free =
            |slot: &mut Slot<T>| slot.value.is_none() && slot.generation <= GIVEN_BACK_MAX;
        while shrink::is_sparse(self.len, self.table.len())
            && let Some(slot) = self.table.pop_if(is_free)
        {
            self.floor = self.floor.max(slot.generation);
        }
        if shrink::is_sparse(self.table.len(), self.table.capacity()) {
            self.table.shrink_if_sparse();
            let end = self.table.len();
            self.free.retain(|Reverse(index)| (*index as usize) < end);
            self.free.shrink_if_sparse();
        }
    }
}

/// The number of the table that a name is from.
pub(super) fn number_of(id: ConnectionId) -> u8 {
    (id.as_raw() >> (32 + PLACE_BITS)) as u8
}

fn pack(index: u32, generation: u32) -> ConnectionId {
    ConnectionId::from_raw((u64::from(index) << 32) | u64::from(generation))
}

fn to_u32(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, vec::Vec};

    use super::*;

    /// A table whose next place has the generation `floor`.
    fn worn(floor: u32) -> Slots<u32> {
        Slots { floor, ..Slots::new(0) }
    }

    #[test]
    fn a_name_is_a_miss_once_its_value_has_gone() {
        let mut slots = Slots::new(0);
        let former = slots.insert(1);
        assert_eq!((slots.get(former), slots.len()), (Some(&1), 1));
        assert_eq!(slots.remove(former), Some(1));
        let present = slots.insert(2);
        assert_eq!(present.as_raw() >> 32, former.as_raw() >> 32, "the same place");
        assert!(slots.get(former).is_none() && slots.get_mut(former).is_none());
        assert_eq!(slots.remove(former), None);
        assert_eq!((slots.get(present), slots.len()), (Some(&2), 1));
    }

    #[test]
    fn a_name_of_another_table_is_a_miss() {
        let (mut first, mut last) = (Slots::new(0), Slots::new(255));
        let names = (first.insert(1), last.insert(2));
        assert_eq!((number_of(names.0), number_of(names.1)), (0, 255));
        assert_eq!((first.get(names.0), first.get(names.1)), (Some(&1), None));
        assert_eq!((last.get(names.0), last.get(names.1)), (None, Some(&2)));
        assert_eq!(last.ids().collect::<Vec<_>>(), [names.1]);
        assert!(!first.is_full());
    }

    #[test]
    fn a_place_that_is_worn_out_is_not_used_again() {
        let mut slots = worn(WORN_OUT - 2);
        let mut names = BTreeSet::new();
        for round in 0..100 {
            let name = slots.insert(round);
            assert!(names.insert(name), "{name:?} came again");
            assert_eq!(slots.ids().collect::<Vec<_>>(), [name]);
            assert_eq!(slots.remove(name), Some(round));
            assert_eq!(slots.get(name), None);
        }
        assert_eq!((slots.table.len(), slots.len()), (50, 0), "each place was used twice");
    }

    #[test]
    fn places_that_were_given_back_begin_behind_all_that_they_have_had() {
        let mut slots = Slots::new(0);
        let mut names = BTreeSet::new();
        for _ in 0..20 {
            let round: Vec<_> = (0..1_000).map(|value| slots.insert(value)).collect();
            assert!(round.iter().all(|name| names.insert(*name)), "a name came again");
            // Some leave and others come before all leave.
            for name in round.iter().rev().take(10) {
                slots.remove(*name);
            }
            let others: Vec<_> = (0..5).map(|value| slots.insert(value)).collect();
            assert!(others.iter().all(|name| names.insert(*name)), "a name came again");
            for name in round.iter().chain(&others) {
                slots.remove(*name);
            }
            assert_eq!(slots.len(), 0);
            assert!(slots.table.len() <= 32 && slots.table.capacity() <= 128);
            assert!(slots.free.len() <= 128 && slots.free.capacity() <= 256);
        }
        assert!(slots.floor <= 40, "a place has had two values a round at the most");
    }

    #[test]
    fn places_that_have_had_very_many_are_kept_and_only_those() {
        let mut slots = worn(GIVEN_BACK_MAX);
        let mut flood = |count: u32| {
            let round: Vec<_> = (0..count).map(|value| slots.insert(value)).collect();
            for name in &round {
                assert!(slots.remove(*name).is_some());
            }
            (slots.table.len(), slots.floor)
        };
        for _ in 0..10 {
            assert_eq!(flood(1_000), (1_000, GIVEN_BACK_MAX), "no more than were in use at a time");
        }
    }
}

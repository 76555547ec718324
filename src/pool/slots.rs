//! A table of values whose ids are never used twice.

use alloc::{collections::BinaryHeap, vec::Vec};
use core::cmp::Reverse;

use crate::{
    id::ConnectionId,
    shrink::{self, Shrink as _},
};

/// A table of values by id. An id consists of the index of a slot and its generation, which counts
/// the earlier values of the slot.
///
/// A slot whose generation cannot increase any more is retired, so no id is used twice. This costs
/// one empty slot (about 150 bytes) per 2^31 values or more. The end of the table is freed when a
/// quarter of the table would be enough for the values in it. When the table grows again, new slots
/// start after the highest generation that was freed. Only slots that have had 2^31 values are not
/// freed. There are never more of them than were in use at the same time.
pub(super) struct Slots<T> {
    table: Vec<Slot<T>>,
    /// Free slots. Some of them may no longer exist, because the end of the table was freed.
    free: BinaryHeap<Reverse<u32>>,
    len: usize,
    /// The first generation of new slots.
    floor: u32,
    /// The number of the table, shifted. It is combined with the index in each id.
    base: u32,
}

struct Slot<T> {
    value: Option<T>,
    generation: u32,
}

/// The number of bits of an index. The bits above contain the number of the table.
const PLACE_BITS: u32 = 24;
/// A slot with this generation is retired.
const WORN_OUT: u32 = u32::MAX;
/// A slot with a higher generation is not freed.
const GIVEN_BACK_MAX: u32 = u32::MAX / 2;

impl<T> Slots<T> {
    /// Creates an empty table. Ids of tables with other numbers are not found in it.
    pub(super) const fn new(number: u8) -> Self {
        let base = (number as u32) << PLACE_BITS;
        Self { table: Vec::new(), free: BinaryHeap::new(), len: 0, floor: 0, base }
    }

    /// Whether there is no free slot and no room for a new one.
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

    /// The index and the generation. The index of an id from another table is beyond the end of
    /// this table.
    fn unpack(&self, id: ConnectionId) -> (u32, u32) {
        let raw = id.as_raw();
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of what was packed")]
        let (index, generation) = ((raw >> 32) as u32, raw as u32);
        (index ^ self.base, generation)
    }

    /// The free slot with the lowest index. If that slot no longer exists, no other free slot
    /// exists.
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

/// The number of the table that an id is from.
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

    /// A table whose next slot has the generation `floor`.
    fn worn(floor: u32) -> Slots<u32> {
        Slots { floor, ..Slots::new(0) }
    }

    #[test]
    fn a_name_is_a_miss_once_its_value_has_gone() {
        let mut slots = Slots::new(0);
        let earlier = slots.insert(1);
        assert_eq!((slots.get(earlier), slots.len()), (Some(&1), 1));
        assert_eq!(slots.remove(earlier), Some(1));
        let present = slots.insert(2);
        assert_eq!(present.as_raw() >> 32, earlier.as_raw() >> 32, "the same place");
        assert!(slots.get(earlier).is_none() && slots.get_mut(earlier).is_none());
        assert_eq!(slots.remove(earlier), None);
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
            // Some values are removed and others inserted before all are removed.
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

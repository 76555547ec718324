//! A map for embedders that look up sessions by the `sid` of a request.

use core::fmt;

use crate::{
    EngineId,
    entropy::Entropy,
    secret_index::{SecretIndex, Seed},
};

/// A map with Engine.IO ids as keys, for embedders that keep sessions or
/// [`Link`](crate::link::Link)s themselves and look them up by the `sid` of a request.
/// [`Server`](crate::server::Server) contains one.
///
/// An id is a secret. A map that compares keys byte by byte takes longer the more of a guess is
/// right. Here a look-up takes the same time for every guess: the place of an id is a hash of it
/// with a random key (SipHash-2-4), and the id found there is compared as a whole, in constant
/// time.
///
/// ```
/// use socketio_proto::{EngineId, EngineIdMap};
///
/// let mut entropy = |dest: &mut [u8]| dest.fill(7); // Random bytes, that is.
/// let mut sessions = EngineIdMap::new(&mut entropy);
/// let id = EngineId::from_entropy(&mut entropy);
/// sessions.insert(id, "a session");
/// assert_eq!(sessions.get(&id), Some(&"a session"));
/// assert_eq!(sessions.remove(&id), Some("a session"));
/// assert_eq!(sessions.get(&id), None);
/// ```
pub struct EngineIdMap<V> {
    entries: SecretIndex<(EngineId, V)>,
}

impl<V> EngineIdMap<V> {
    /// Makes an empty map. The key of its hash is drawn from `entropy`.
    pub fn new(entropy: &mut dyn Entropy) -> Self {
        Self { entries: SecretIndex::new(Seed::from_entropy(entropy)) }
    }

    /// Inserts a value. It replaces an earlier value of the same id.
    pub fn insert(&mut self, id: EngineId, value: V) {
        self.entries.insert(id.index_key(), (id, value));
    }

    /// Looks up an id, in O(log n).
    #[must_use]
    pub fn get(&self, id: &EngineId) -> Option<&V> {
        let (known, value) = self.entries.get(&id.index_key())?;
        (known == id).then_some(value)
    }

    /// Removes a value.
    pub fn remove(&mut self, id: &EngineId) -> Option<V> {
        self.get(id)?;
        self.entries.remove(&id.index_key()).map(|(_, value)| value)
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }
}

impl<V> fmt::Debug for EngineIdMap<V> {
    /// Shows neither the ids nor the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineIdMap").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec::Vec};

    use super::*;

    fn ids(count: u8) -> Vec<EngineId> {
        (0..count)
            .map(|number| EngineId::from_entropy(&mut |dest: &mut [u8]| dest.fill(number)))
            .collect()
    }

    #[test]
    fn what_was_entered_is_found_until_it_is_taken_out() {
        let mut map = EngineIdMap::new(&mut |dest: &mut [u8]| dest.fill(3));
        assert!(map.is_empty());
        let ids = ids(200);
        for (number, id) in ids.iter().enumerate() {
            map.insert(*id, number);
        }
        assert_eq!(map.len(), 200);
        for (number, id) in ids.iter().enumerate() {
            assert_eq!(map.get(id), Some(&number));
        }
        map.insert(ids[7], 1_000);
        assert_eq!((map.len(), map.remove(&ids[7])), (200, Some(1_000)));
        assert_eq!(map.get(&ids[7]), None);
        assert_eq!(map.remove(&ids[7]), None);
        assert_eq!(map.get(&ids[8]), Some(&8));
    }

    /// Two ids can have the same hash. Then one is not returned for the other.
    #[test]
    fn another_id_with_the_same_hash_is_not_taken_for_it() {
        let mut map = EngineIdMap::new(&mut |dest: &mut [u8]| dest.fill(3));
        let ids = ids(2);
        map.entries.insert(ids[0].index_key(), (ids[1], "of the other one"));
        assert_eq!(map.get(&ids[0]), None);
        assert_eq!(map.remove(&ids[0]), None);
        assert_eq!(map.len(), 1);
    }

    #[test]
    fn it_shows_no_id() {
        let mut map = EngineIdMap::new(&mut |dest: &mut [u8]| dest.fill(3));
        map.insert(ids(1)[0], "secret");
        assert_eq!(format!("{map:?}"), "EngineIdMap { .. }");
    }
}

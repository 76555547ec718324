//! Looks up secret ids without revealing how close a guess is.

use alloc::collections::BTreeMap;
#[expect(
    deprecated,
    reason = "the one keyed hash in `core`, which is all that is asked for here"
)]
use core::hash::{Hasher as _, SipHasher};

use crate::{entropy::Entropy, id::IdBytes};

/// A map from secret ids.
///
/// An ordered map compares keys byte by byte. The more of a guess is right, the longer that takes,
/// and an attacker who can measure the time finds an id piece by piece. Here the position of an id
/// is a hash of it, with a key that only this process knows. So the time of a look-up does not
/// depend on how similar two ids are. The result belongs to *some* id with this hash: the caller
/// must compare the whole id in constant time.
pub(crate) struct SecretIndex<V> {
    seed: Seed,
    entries: BTreeMap<u64, V>,
}

/// The key of the hash.
#[derive(Clone, Copy)]
pub(crate) struct Seed(u64, u64);

impl Seed {
    pub(crate) fn from_entropy(entropy: &mut dyn Entropy) -> Self {
        let mut draw = || {
            let mut bytes = [0; 8];
            entropy.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        };
        Self(draw(), draw())
    }

    /// `SipHash-2-4`.
    fn hash(self, bytes: &[u8]) -> u64 {
        #[expect(deprecated, reason = "as above")]
        let mut hasher = SipHasher::new_with_keys(self.0, self.1);
        hasher.write(bytes);
        hasher.finish()
    }
}

impl<V> SecretIndex<V> {
    pub(crate) const fn new(seed: Seed) -> Self {
        Self { seed, entries: BTreeMap::new() }
    }

    pub(crate) fn insert(&mut self, id: IdBytes, value: V) {
        self.entries.insert(self.seed.hash(&id), value);
    }

    /// Returns the entry of an id with this hash. The caller compares the id.
    pub(crate) fn get(&self, id: &IdBytes) -> Option<&V> {
        self.entries.get(&self.seed.hash(id))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values()
    }

    pub(crate) fn remove(&mut self, id: &IdBytes) -> Option<V> {
        self.entries.remove(&self.seed.hash(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_its_authors() {
        let seed = Seed(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let bytes: [u8; 15] = core::array::from_fn(|index| index.to_le_bytes()[0]);
        assert_eq!(seed.hash(&bytes), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn what_was_put_in_is_found_until_it_is_taken_out() {
        let mut index = SecretIndex::new(Seed(1, 2));
        for number in 0..100_u8 {
            index.insert([number; 20], number);
        }
        assert_eq!(index.get(&[7; 20]), Some(&7));
        index.remove(&[7; 20]);
        assert_eq!(index.get(&[7; 20]), None);
        assert_eq!(index.get(&[8; 20]), Some(&8));
    }
}

//! Records that this process knows to have left the store.
//!
//! Whoever takes a record out of the store has the session. Its former owner can be away at that time. Later, it
//! answers an older claim with its copy, on the condition that the record is still in the store. After a lost reply, an
//! owner does not know whether its record was ever there, and then the store cannot tell either. A process that has
//! got the session with this record can: the copy is old, also if the session has ended since.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{IdBytes, RecoveryKey},
    time::Timestamp,
};

/// Versions of records with which sessions have come here.
pub(super) struct Void {
    ends: BTreeMap<(IdBytes, u64), Timestamp>,
    by_end: BTreeSet<(Timestamp, IdBytes, u64)>,
}

/// More versions than this are not remembered. The oldest ones are forgotten first: a session that has come here before
/// so many others, and has ended, could come back then if its former owner has been away since.
const VERSIONS_MAX: usize = 100_000;

impl Void {
    pub(super) const fn new() -> Self {
        Self { ends: BTreeMap::new(), by_end: BTreeSet::new() }
    }

    /// A session has come here with this version of its record. Copies of it that are older can be there until `end`.
    pub(super) fn note(&mut self, now: Timestamp, key: RecoveryKey, version: u64, end: Timestamp) {
        let key = key.index_key();
        if let Some(earlier) = self.ends.insert((key, version), end) {
            self.by_end.remove(&(earlier, key, version));
        }
        self.by_end.insert((end, key, version));
        while let Some((first, key, version)) = self.by_end.first().copied()
            && (first <= now || self.by_end.len() > VERSIONS_MAX)
        {
            self.by_end.pop_first();
            self.ends.remove(&(key, version));
        }
    }

    /// Whether a copy of a session is old, whose record has one of these versions.
    pub(super) fn has(&self, key: RecoveryKey, versions: &[u64]) -> bool {
        versions.iter().any(|version| self.ends.contains_key(&(key.index_key(), *version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> RecoveryKey {
        RecoveryKey::from_entropy(&mut |dest: &mut [u8]| dest.fill(number))
    }

    #[test]
    fn a_version_is_forgotten_when_no_older_copy_can_be_there() {
        let mut void = Void::new();
        let at = Timestamp::from_millis;
        void.note(at(0), key(1), 7, at(10));
        void.note(at(5), key(1), 7, at(15));
        void.note(at(6), key(1), 8, at(16));
        void.note(at(10), key(2), 9, at(20));
        assert!(void.has(key(1), &[6, 7]) && void.has(key(1), &[8]) && void.has(key(2), &[9]));
        assert!(!void.has(key(1), &[9]) && !void.has(key(2), &[7, 8]) && !void.has(key(1), &[]));
        void.note(at(15), key(2), 10, at(25));
        assert!(!void.has(key(1), &[7]) && void.has(key(1), &[8]));
        assert_eq!((void.ends.len(), void.by_end.len()), (3, 3));
    }

    #[test]
    fn the_oldest_versions_are_forgotten_first() {
        let mut void = Void::new();
        let (now, end) = (Timestamp::ZERO, Timestamp::from_millis(10));
        void.note(now, key(1), 0, Timestamp::from_millis(9));
        for version in 1..=VERSIONS_MAX as u64 {
            void.note(now, key(1), version, end);
        }
        assert!(!void.has(key(1), &[0]) && void.has(key(1), &[1]));
        assert_eq!((void.ends.len(), void.by_end.len()), (VERSIONS_MAX, VERSIONS_MAX));
    }
}

//! Claims that were answered, but may get their session from another node.
//!
//! * A claim was refused by the node that has the session. A node with an earlier claim takes the record all the same,
//!   and hands the session over to the latest claim that it knows. It does not know that this one was refused.
//! * A claim was answered with a session whose record another node could take meanwhile. An owner hands such a session
//!   over together with its record. Whoever gets that version out of the store has the session, and that can be a node
//!   with an earlier claim. This node hands the session over to the latest claim that it knows: perhaps to one that the
//!   owner has answered before. So that claim is answered twice, and the second answer counts:
//!
//! ```text
//!   owner                       A (earlier claim)            B (later claim)
//!   stores version v
//!   hands over to B, with v ──────────────────────────────►  here, if v is still there
//!                               takes v, hands over ──────►  here: v was taken there
//! ```

use alloc::collections::{BTreeMap, BTreeSet};

use super::{
    ahead::Versions,
    pending::{Pending, numbers_of},
};
use crate::{
    id::{IdBytes, RecoveryKey},
    time::Timestamp,
};

/// The claims of a node that may be answered once more.
pub(super) struct Answered<S> {
    all: BTreeMap<u64, Answer<S>>,
    by_key: BTreeSet<(IdBytes, u64)>,
    /// Until when each may be answered.
    ends: BTreeSet<(Timestamp, u64)>,
}

struct Answer<S> {
    claim: Pending<S>,
    /// One of these versions was in the store.
    versions: Versions,
    /// Whether another node has got the record, so that the session may come once more.
    is_overtaken: bool,
    /// Whether it was answered without a session.
    is_refused: bool,
}

impl<S> Answered<S> {
    pub(super) fn new() -> Self {
        Self { all: BTreeMap::new(), by_key: BTreeSet::new(), ends: BTreeSet::new() }
    }

    /// A claim was answered with a session whose record has one of these versions.
    pub(super) fn add(&mut self, number: u64, claim: Pending<S>, versions: Versions) {
        self.insert(number, Answer { claim, versions, is_overtaken: false, is_refused: false });
    }

    /// A claim was refused.
    pub(super) fn add_refused(&mut self, number: u64, mut claim: Pending<S>) {
        let versions = Versions::new();
        // What it has asked about has ended here.
        claim.doubt = None;
        self.insert(number, Answer { claim, versions, is_overtaken: false, is_refused: true });
    }

    /// Removes and returns the claim if another node can have taken its session with this version, and whether it was
    /// refused.
    pub(super) fn take(&mut self, number: u64, version: u64) -> Option<(Pending<S>, bool)> {
        let answer = self.all.get(&number)?;
        let is_refused = answer.is_refused;
        let may_come = is_refused || answer.versions.contains(&version);
        may_come.then(|| self.remove(number)).flatten().map(|claim| (claim, is_refused))
    }

    /// The private id that a claim presents.
    pub(super) fn key(&self, number: u64) -> Option<RecoveryKey> {
        self.all.get(&number).map(|answer| answer.claim.key)
    }

    /// Notes a later claim of the same session.
    pub(super) fn note_successor(&mut self, key: RecoveryKey, successor: impl Fn() -> S) {
        self.for_each(key, |answer| {
            answer.claim.successor = Some(successor());
            answer.claim.successors = answer.claim.successors.saturating_add(1);
        });
    }

    /// The session has left, because another node has got its record.
    pub(super) fn note_overtaken(&mut self, key: RecoveryKey) {
        self.for_each(key, |answer| answer.is_overtaken = true);
    }

    /// Whether a session may come here once more.
    pub(super) fn is_overtaken(&self, key: RecoveryKey) -> bool {
        let mut numbers = self.numbers(key);
        numbers.any(|number| self.all.get(&number).is_some_and(|answer| answer.is_overtaken))
    }

    /// Forgets those that nobody answers any more.
    pub(super) fn forget_until(&mut self, now: Timestamp) {
        while let Some((end, number)) = self.ends.first().copied()
            && end <= now
        {
            self.remove(number);
        }
    }

    fn insert(&mut self, number: u64, mut answer: Answer<S>) {
        answer.claim.absent = None;
        self.by_key.insert((answer.claim.key.index_key(), number));
        self.ends.insert((answer.claim.end, number));
        self.all.insert(number, answer);
    }

    fn remove(&mut self, number: u64) -> Option<Pending<S>> {
        let claim = self.all.remove(&number)?.claim;
        self.by_key.remove(&(claim.key.index_key(), number));
        self.ends.remove(&(claim.end, number));
        Some(claim)
    }

    fn for_each(&mut self, key: RecoveryKey, mut note: impl FnMut(&mut Answer<S>)) {
        let Self { all, by_key, .. } = self;
        for (_, number) in by_key.range(numbers_of(key)) {
            if let Some(answer) = all.get_mut(number) {
                note(answer);
            }
        }
    }

    fn numbers(&self, key: RecoveryKey) -> impl Iterator<Item = u64> {
        self.by_key.range(numbers_of(key)).map(|(_, number)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hub::{cluster::pending::Priority, request::ConnectRequest},
        id::ConnectionId,
    };

    fn claim(end: u64) -> Pending<u8> {
        let key = RecoveryKey::from_entropy(&mut |dest: &mut [u8]| dest.fill(1));
        let connection = ConnectionId::from_raw(1);
        let request = ConnectRequest { connection, namespace: 0, serial: 0 };
        let end = Timestamp::from_millis(end);
        Pending::new((key, None, Priority::Yields), request, end, Timestamp::ZERO)
    }

    #[test]
    fn a_session_comes_once_more_with_the_version_that_was_there() {
        let mut answered = Answered::new();
        answered.add(7, claim(10), [5, 6].into_iter().collect());
        assert!(answered.take(8, 5).is_none() && answered.take(7, 4).is_none());
        assert!(answered.take(7, 6).is_some_and(|(_, is_refused)| !is_refused));
        assert!(answered.take(7, 6).is_none());
    }

    #[test]
    fn a_claim_that_was_refused_gets_its_session_from_whoever_has_it() {
        let mut answered = Answered::new();
        answered.add_refused(7, claim(10));
        answered.add_refused(8, claim(20));
        let key = claim(0).key;
        assert!(!answered.is_overtaken(key), "nobody waits for it");
        answered.note_successor(key, || 9);
        let (claim, is_refused) = answered.take(7, 4).unwrap();
        assert_eq!((claim.successor, is_refused), (Some(9), true));
        answered.forget_until(Timestamp::from_millis(20));
        assert!(answered.take(8, 4).is_none());
        assert!(answered.all.is_empty() && answered.by_key.is_empty() && answered.ends.is_empty());
    }
}

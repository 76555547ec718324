//! The claims of a node that others have not answered.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use core::{ops::Bound, time::Duration};

use crate::{
    cluster::message::Body,
    hub::request::ConnectRequest,
    id::{IdBytes, RecoveryKey},
    recovery::Offset,
    time::Timestamp,
};

/// The claims of a node that others have not answered. `S` is a later claim of another node.
pub(super) struct Claims<S> {
    /// The number of the latest claim. Another process with the same name has other numbers.
    latest: u64,
    pending: BTreeMap<u64, Pending<S>>,
    by_key: BTreeSet<(IdBytes, u64)>,
    /// Until when each may be answered.
    ends: BTreeSet<(Timestamp, u64)>,
    changes: Changes,
}

/// What may concern sessions that are on their way. Positions of different namespaces cannot be
/// compared.
#[derive(Default)]
struct Changes {
    all: BTreeMap<(u32, Offset), Body>,
    /// In the order in which they were read.
    order: VecDeque<(u32, Offset)>,
    /// Of each namespace the latest position that is not in `all` any more, because there were too
    /// many.
    dropped: BTreeMap<u32, Offset>,
}

/// One claim.
pub(super) struct Pending<S> {
    pub(super) key: RecoveryKey,
    pub(super) request: ConnectRequest,
    end: Timestamp,
    /// The position of the claim. `None` before this node has read it.
    pub(super) position: Option<Offset>,
    /// A later claim of another node.
    pub(super) successor: Option<S>,
}

/// How long a late answer can be used.
const LATENESS: Duration = Duration::from_secs(60);

/// More changes than this are not kept. Sessions that need them are lost.
const CHANGES_MAX: usize = 4_096;

impl<S> Claims<S> {
    pub(super) fn new(nonce: u64) -> Self {
        Self {
            latest: nonce,
            pending: BTreeMap::new(),
            by_key: BTreeSet::new(),
            ends: BTreeSet::new(),
            changes: Changes::default(),
        }
    }

    /// Adds a claim that is waited for until `until`. Returns its number.
    pub(super) fn add(
        &mut self,
        now: Timestamp,
        key: RecoveryKey,
        request: ConnectRequest,
        until: Timestamp,
    ) -> u64 {
        while let Some((end, number)) = self.ends.first().copied()
            && end <= now
        {
            self.remove(number);
        }
        self.latest = self.latest.wrapping_add(1);
        let (number, end) = (self.latest, until.saturating_add(LATENESS));
        let pending = Pending { key, request, end, position: None, successor: None };
        self.pending.insert(number, pending);
        self.by_key.insert((key.index_key(), number));
        self.ends.insert((end, number));
        number
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Pending<S>> {
        let pending = self.pending.remove(&number)?;
        self.by_key.remove(&(pending.key.index_key(), number));
        self.ends.remove(&(pending.end, number));
        Some(pending)
    }

    /// The node has read its claim.
    pub(super) fn note_read(&mut self, number: u64, position: Offset) {
        if let Some(pending) = self.pending.get_mut(&number) {
            pending.position = Some(position);
        }
    }

    /// Notes a later claim of the same session.
    pub(super) fn note_successor(&mut self, key: RecoveryKey, successor: impl Fn() -> S) {
        for number in self.numbers(key) {
            let pending = self.pending.get_mut(&number);
            if let Some(pending) = pending.filter(|pending| pending.position.is_some()) {
                pending.successor = Some(successor());
            }
        }
    }

    /// The requests that wait for a session.
    pub(super) fn requests(&self, key: RecoveryKey) -> Vec<ConnectRequest> {
        let pending = self.numbers(key).into_iter();
        pending.filter_map(|number| Some(self.pending.get(&number)?.request)).collect()
    }

    /// Keeps an entry that may concern a session on its way here.
    pub(super) fn note_change(&mut self, namespace: u32, position: Offset, body: &Body) {
        let is_change = matches!(
            body,
            Body::SocketsJoin { .. } | Body::SocketsLeave { .. } | Body::DisconnectSockets { .. }
        );
        // What an answered claim needs is needed until the session has arrived.
        if self.pending.is_empty() {
            self.changes = Changes::default();
        } else if is_change {
            self.changes.add((namespace, position), body);
        }
    }

    /// What may have concerned a session of a namespace after a position. `None` if that is not
    /// known any more.
    pub(super) fn changes(
        &self,
        namespace: u32,
        after: Offset,
    ) -> Option<impl Iterator<Item = (Offset, &Body)>> {
        self.changes.after(namespace, after)
    }

    fn numbers(&self, key: RecoveryKey) -> Vec<u64> {
        let key = key.index_key();
        self.by_key.range((key, 0)..=(key, u64::MAX)).map(|(_, number)| *number).collect()
    }
}

impl Changes {
    fn add(&mut self, at: (u32, Offset), body: &Body) {
        self.all.insert(at, body.clone());
        self.order.push_back(at);
        if self.order.len() > CHANGES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
            let (namespace, position) = oldest;
            self.dropped.insert(namespace, position);
        }
    }

    fn after(
        &self,
        namespace: u32,
        after: Offset,
    ) -> Option<impl Iterator<Item = (Offset, &Body)>> {
        if self.dropped.get(&namespace).is_some_and(|dropped| *dropped > after) {
            return None;
        }
        let later = (Bound::Excluded((namespace, after)), Bound::Unbounded);
        let changes = self.all.range(later).take_while(move |((of, _), _)| *of == namespace);
        Some(changes.map(|((_, position), body)| (*position, body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cluster::message::BroadcastOptions, id::ConnectionId};

    fn key(number: u8) -> RecoveryKey {
        RecoveryKey::from_entropy(&mut |dest: &mut [u8]| dest.fill(number))
    }

    fn request() -> ConnectRequest {
        ConnectRequest { connection: ConnectionId::from_raw(1), namespace: 0, serial: 0 }
    }

    fn add(claims: &mut Claims<u8>, now: u64, of: u8) -> u64 {
        let now = Timestamp::from_millis(now);
        claims.add(now, key(of), request(), now.saturating_add(Duration::from_secs(1)))
    }

    fn note(claims: &mut Claims<u8>, position: u64) {
        let body = Body::DisconnectSockets { options: BroadcastOptions::all(), close: false };
        claims.note_change(u32::from(position.is_multiple_of(2)), Offset::pair(0, position), &body);
    }

    #[test]
    fn changes_are_kept_while_a_session_may_come_and_are_bounded() {
        let mut claims = Claims::new(7);
        note(&mut claims, 1);
        let number = add(&mut claims, 0, 1);
        for position in 2..5 {
            note(&mut claims, position);
        }
        let after = |claims: &Claims<u8>, position| {
            claims.changes(0, Offset::pair(0, position)).map(Iterator::count)
        };
        assert_eq!([1, 2, 3, 4].map(|it| after(&claims, it)), [1, 1, 0, 0].map(Some));
        for position in 5..2 * CHANGES_MAX as u64 {
            note(&mut claims, position);
        }
        assert_eq!(
            (claims.changes.all.len(), claims.changes.order.len()),
            (CHANGES_MAX, CHANGES_MAX)
        );
        assert_eq!(after(&claims, 4), None);
        claims.remove(number);
        assert_eq!(after(&claims, 2 * CHANGES_MAX as u64 - 2), Some(1), "it may be needed now");
        note(&mut claims, 2 * CHANGES_MAX as u64);
        assert!(claims.changes.all.is_empty() && claims.changes.dropped.is_empty());
    }

    #[test]
    fn a_claim_that_nobody_answers_is_forgotten() {
        let mut claims = Claims::<u8>::new(7);
        let number = add(&mut claims, 0, 1);
        claims.note_read(number, Offset::pair(0, 1));
        claims.note_successor(key(1), || 9);
        claims.note_successor(key(2), || 8);
        assert_eq!(claims.requests(key(1)), [request()]);
        add(&mut claims, 60_999, 2);
        assert_eq!(claims.requests(key(1)).len(), 1);
        add(&mut claims, 61_000, 2);
        assert_eq!((claims.requests(key(1)).len(), claims.requests(key(2)).len()), (0, 2));
        assert!(claims.remove(number).is_none());
        assert_eq!((claims.by_key.len(), claims.ends.len()), (2, 2));
    }
}

//! What has lately changed the rooms of sessions of all nodes, or has ended them.
//!
//! A session that is on its way here, or waits in the store, has not seen these entries of the
//! channel. They are kept so that it can be brought up to date when it arrives.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::ops::Bound;

use bytestring::ByteString;

use crate::{
    cluster::message::{Body, BroadcastOptions},
    hub::{Hub, sessions::Arrival},
    recovery::Offset,
};

/// The latest joins, leaves and disconnections of many sockets at once, of all namespaces.
#[derive(Default)]
pub(super) struct Changes {
    namespaces: BTreeMap<u32, OfNamespace>,
    /// All of them, oldest first, each with its size.
    order: VecDeque<(u32, Offset, usize)>,
    bytes: usize,
    /// How many there have been.
    noted: u64,
}

struct OfNamespace {
    /// All changes after this position are known.
    floor: Offset,
    changes: BTreeMap<Offset, Body>,
    /// Where each room occurs.
    by_room: BTreeSet<(ByteString, Offset)>,
    /// Those that concern everyone.
    for_all: BTreeSet<Offset>,
}

/// Changes that are not known any more: a session that is older cannot be brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forgotten;

/// More changes than this are not kept.
const CHANGES_MAX: usize = 65_536;

/// The same limit in bytes.
const BYTES_MAX: usize = 32 << 20;

/// The overhead of a change in bytes.
const CHANGE_BYTES: usize = 128;

impl Changes {
    /// All changes of a namespace after this position are going to be noted.
    pub(super) fn begin(&mut self, namespace: u32, origin: Offset) {
        self.end(namespace);
        let (changes, by_room, for_all) = Default::default();
        let of_namespace = OfNamespace { floor: origin, changes, by_room, for_all };
        self.namespaces.insert(namespace, of_namespace);
    }

    /// The namespace is gone.
    pub(super) fn end(&mut self, namespace: u32) {
        self.namespaces.remove(&namespace);
        // What is left of it in `order` counts until it is its turn to be forgotten.
    }

    /// Keeps an entry of the channel if it is such a change.
    pub(super) fn note(&mut self, namespace: u32, position: Offset, body: &Body) {
        let Some(options) = options(body) else { return };
        let Some(of_namespace) = self.namespaces.get_mut(&namespace) else { return };
        self.noted = self.noted.saturating_add(1);
        let names = options.rooms().iter().chain(options.excepted());
        let changed = match body {
            Body::SocketsJoin { rooms, .. } | Body::SocketsLeave { rooms, .. } => &rooms[..],
            _ => &[],
        };
        let len = |room: &ByteString| room.len().saturating_add(CHANGE_BYTES);
        let bytes = names.chain(changed).map(len).fold(CHANGE_BYTES, usize::saturating_add);
        if options.is_for_all() {
            of_namespace.for_all.insert(position);
        }
        let rooms = options.rooms().iter().cloned();
        of_namespace.by_room.extend(rooms.map(|room| (room, position)));
        of_namespace.changes.insert(position, body.clone());
        self.order.push_back((namespace, position, bytes));
        self.bytes = self.bytes.saturating_add(bytes);
        while self.order.len() > CHANGES_MAX || (self.bytes > BYTES_MAX && self.order.len() > 1) {
            self.forget_oldest();
        }
    }

    /// How many changes were noted so far.
    pub(super) fn noted(&self) -> u64 {
        self.noted
    }

    /// The next change after a position that may concern a session in these rooms. Takes
    /// O(rooms · log n).
    pub(super) fn next<'a>(
        &self,
        namespace: u32,
        after: Offset,
        rooms: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<(Offset, &Body)>, Forgotten> {
        let of_namespace = self.namespaces.get(&namespace).ok_or(Forgotten)?;
        if of_namespace.floor > after {
            return Err(Forgotten);
        }
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let for_all = of_namespace.for_all.range(behind).next().copied();
        let in_room = |room: &str| {
            let room = ByteString::from(room);
            let behind = (Bound::Excluded((room.clone(), after)), Bound::Unbounded);
            let next = of_namespace.by_room.range(behind).next();
            next.filter(|(name, _)| *name == room).map(|(_, position)| *position)
        };
        let next = rooms.into_iter().filter_map(in_room).chain(for_all).min();
        Ok(next
            .and_then(|next| of_namespace.changes.get_key_value(&next))
            .map(|(at, it)| (*at, it)))
    }

    /// Brings a session up to date. `None` if it has ended meanwhile.
    pub(super) fn apply<D>(
        &self,
        namespace: u32,
        mut arrival: Arrival<D>,
    ) -> Result<Option<Arrival<D>>, Forgotten> {
        let mut after = arrival.at();
        let mut rooms = arrival.addressed_rooms();
        while let Some((position, body)) =
            self.next(namespace, after, rooms.iter().map(|it| &**it))?
        {
            if !arrival.fold(&mut rooms, position, body) {
                return Ok(None);
            }
            after = position;
        }
        Ok(Some(arrival.begun()))
    }

    fn forget_oldest(&mut self) {
        let Some((namespace, position, bytes)) = self.order.pop_front() else { return };
        self.bytes = self.bytes.saturating_sub(bytes);
        let Some(of_namespace) = self.namespaces.get_mut(&namespace) else { return };
        // The namespace may have begun anew since.
        let Some(body) = of_namespace.changes.remove(&position) else { return };
        of_namespace.floor = of_namespace.floor.max(position);
        of_namespace.for_all.remove(&position);
        let Some(options) = options(&body) else { return };
        for room in options.rooms() {
            of_namespace.by_room.remove(&(room.clone(), position));
        }
    }
}

/// Whom a change of many sockets concerns. `None` if it is something else.
const fn options(body: &Body) -> Option<&BroadcastOptions> {
    match body {
        Body::SocketsJoin { options, .. }
        | Body::SocketsLeave { options, .. }
        | Body::DisconnectSockets { options, .. } => Some(options),
        _ => None,
    }
}

impl<D: Default> Hub<D> {
    /// From now on, what changes the rooms of many sockets of a namespace is kept. `None`: no longer.
    pub(in crate::hub) fn keep_changes(&mut self, id: u32, origin: Option<Offset>) {
        match (&mut self.node, origin) {
            (Some(node), Some(origin)) => node.changes.begin(id, origin),
            (Some(node), None) => node.changes.end(id),
            (None, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn at(position: u64) -> Offset {
        Offset::pair(0, position)
    }

    fn kick(changes: &mut Changes, position: u64, room: &str) {
        let all = BroadcastOptions::all();
        let options = if room.is_empty() { all } else { all.to(ByteString::from(room)) };
        changes.note(7, at(position), &Body::DisconnectSockets { options, close: false });
    }

    fn all(changes: &Changes, after: u64, rooms: &[&str]) -> Result<Vec<u64>, Forgotten> {
        let mut found = Vec::new();
        let mut after = at(after);
        while let Some((next, _)) = changes.next(7, after, rooms.iter().copied())? {
            found.push(next.numbers().map_or(0, |(_, second)| second));
            after = next;
        }
        Ok(found)
    }

    #[test]
    fn a_session_finds_what_concerns_its_rooms() {
        let mut changes = Changes::default();
        kick(&mut changes, 1, "a");
        assert_eq!(all(&changes, 1, &[]), Err(Forgotten), "nobody has noted the namespace");
        changes.begin(7, at(1));
        for (position, room) in [(2, "a"), (3, "b"), (4, ""), (5, "ab"), (6, "a"), (7, "c")] {
            kick(&mut changes, position, room);
        }
        changes.note(7, at(8), &Body::Heartbeat);
        assert_eq!(all(&changes, 1, &["a", "b"]), Ok([2, 3, 4, 6].into()));
        assert_eq!(all(&changes, 2, &["a"]), Ok([4, 6].into()));
        assert_eq!(all(&changes, 1, &[]), Ok([4].into()));
        assert_eq!(all(&changes, 0, &[]), Err(Forgotten));
        changes.end(7);
        assert_eq!(all(&changes, 1, &["a"]), Err(Forgotten));
    }

    #[test]
    fn the_oldest_changes_are_forgotten_first() {
        let mut changes = Changes::default();
        changes.begin(7, at(0));
        for position in 1..=CHANGES_MAX as u64 {
            kick(&mut changes, position, if position < 3 { "a" } else { "b" });
        }
        assert_eq!(all(&changes, 0, &["a"]), Ok([1, 2].into()));
        kick(&mut changes, CHANGES_MAX as u64 + 1, "b");
        assert_eq!(all(&changes, 0, &["a"]), Err(Forgotten));
        assert_eq!(all(&changes, 1, &["a"]), Ok([2].into()));

        let long = "x".repeat(BYTES_MAX / 2);
        kick(&mut changes, CHANGES_MAX as u64 + 2, &long);
        kick(&mut changes, CHANGES_MAX as u64 + 3, &long);
        let latest = CHANGES_MAX as u64 + 2;
        assert_eq!(all(&changes, latest - 1, &["b"]), Err(Forgotten));
        assert_eq!(all(&changes, latest, &[&long]), Ok([latest + 1].into()));
        assert_eq!((changes.order.len(), changes.namespaces[&7].by_room.len()), (1, 1));
        changes.begin(7, at(latest + 3));
        kick(&mut changes, latest + 4, &long);
        kick(&mut changes, latest + 5, &long);
        assert_eq!(all(&changes, latest + 3, &[]), Err(Forgotten), "what is gone counts no more");
        assert_eq!(changes.order.len(), 1);
    }
    #[test]
    fn a_session_that_has_missed_all_changes_is_brought_up_to_date() {
        let mut changes = Changes::default();
        changes.begin(7, at(0));
        for position in 1..=CHANGES_MAX as u64 {
            let rooms = [ByteString::from(if position % 4 < 2 { "a" } else { "b" })].into();
            let options = BroadcastOptions::all();
            let body = if position % 2 == 1 {
                Body::SocketsJoin { options: options.to(ByteString::from("x")), rooms }
            } else {
                Body::SocketsLeave { options, rooms }
            };
            changes.note(7, at(position), &body);
        }
        let last = CHANGES_MAX as u64 + 1;
        let options = BroadcastOptions::all().to(ByteString::from("nobody"));
        changes.note(7, at(last), &Body::DisconnectSockets { options, close: false });
        let arrived = changes.apply(7, arrival(1)).ok().flatten().expect("it is still there");
        let rooms = arrived.addressed_rooms();
        let rooms: Vec<&str> = rooms.iter().map(|room| &**room).collect();
        assert_eq!(rooms, ["AAAAAAAAAAAAAAAAAAAA", "b", "x"]);
        assert_eq!(changes.apply(7, arrival(0)).err(), Some(Forgotten));
    }

    /// A session that has everything up to a position, and is in the room `x`.
    fn arrival(position: u64) -> Arrival<()> {
        let position = serde_json::to_value(at(position)).expect("an offset");
        let arrival = serde_json::json!({
            "sid": "AAAAAAAAAAAAAAAAAAAA",
            "pid": "BBBBBBBBBBBBBBBBBBBB",
            "data": null,
            "left": core::time::Duration::ZERO,
            "receipts": null,
            "at": position,
            "resume": position,
            "rooms": ["x"],
            "changes": [],
        });
        serde_json::from_value(arrival).expect("an arrival")
    }
}

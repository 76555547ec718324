//! For tests: compares the table with what the sessions and the packets in the log say.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{Occupant, Rooms};
use crate::{
    id::{ConnectionId, SocketId},
    recovery::room::RoomId,
};

/// The facts about rooms, collected from sessions and packets.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    rooms: BTreeMap<RoomId, ExpectedRoom>,
    /// Indices of the sessions, and since when they have been in their own rooms.
    sessions: BTreeMap<SocketId, (u32, u64)>,
}

#[derive(Debug, Default)]
struct ExpectedRoom {
    /// By slot.
    live: BTreeMap<u32, Occupant>,
    parked: BTreeMap<u32, u32>,
    past: u32,
    packets: u32,
    sequences: Vec<u64>,
}

impl Expected {
    pub(crate) fn session(&mut self, id: SocketId, socket: u32, since: u64) {
        assert!(self.sessions.insert(id, (socket, since)).is_none(), "{id} exists twice");
    }

    pub(crate) fn member(
        &mut self,
        room: RoomId,
        slot: u32,
        socket: u32,
        connection: Option<ConnectionId>,
    ) {
        if room.owner().is_some() {
            assert_eq!(room.owner(), Some(socket), "nobody else is in an own room");
            return;
        }
        let expected = self.rooms.entry(room).or_default();
        let other = match connection {
            Some(connection) => {
                let other = expected.live.insert(slot, Occupant { connection, socket });
                other.map(|occupant| occupant.socket)
            }
            None => expected.parked.insert(slot, socket),
        };
        assert_eq!(other, None, "slot {slot} of {room:?} has two sockets");
    }

    pub(crate) fn past_member(&mut self, room: RoomId) {
        self.rooms.entry(room).or_default().past += 1;
    }

    pub(in crate::recovery) fn packet(
        &mut self,
        sequence: u64,
        targets: &[RoomId],
        except: &[RoomId],
        asks: bool,
    ) {
        for room in targets.iter().chain(except) {
            self.rooms.entry(*room).or_default().packets += 1;
        }
        for room in targets.iter().filter(|_| !asks) {
            self.rooms.entry(*room).or_default().sequences.push(sequence);
        }
    }
}

impl Rooms {
    /// Panics unless the table contains exactly what is expected.
    pub(in crate::recovery) fn audit(&self, expected: &Expected, evicted: u64) {
        let nothing = ExpectedRoom::default();
        for (id, room) in (0..).map(RoomId).zip(&self.slots) {
            let expected = expected.rooms.get(&id).unwrap_or(&nothing);
            assert_eq!(by_slot(&room.live), expected.live, "the connected sockets in {id:?}");
            assert_eq!(by_slot(&room.parked), expected.parked, "the parked sockets in {id:?}");
            assert_eq!(room.past, expected.past, "past memberships of {id:?}");
            assert_eq!(room.packets, expected.packets, "packets that name {id:?}");
            let sequences = self.sequences(id, evicted);
            assert_eq!(sequences, expected.sequences, "packets for {id:?}");
            let is_used = !room.is_vacant() || room.packets > 0;
            assert!(id == RoomId::ALL || room.name.is_some() == is_used, "the lifetime of {id:?}");
            let is_free = self.free.iter().any(|free| free.0 == id);
            assert!(
                id == RoomId::ALL || is_free == room.name.is_none(),
                "{id:?} is free: {is_free}"
            );
        }
        let unknown = expected
            .rooms
            .keys()
            .find(|room| room.owner().is_none() && room.0 as usize >= self.slots.len());
        assert_eq!(unknown, None, "a room that is not in the table");
        let end = self.slots.last().unwrap();
        assert!(end.name.is_some() || self.slots.len() == 1, "the end of the table is free");
        self.audit_names(expected);
        self.audit_own(expected, evicted);
        self.audit_exceptions();
    }

    fn audit_names(&self, expected: &Expected) {
        let named = (0..).map(RoomId).zip(&self.slots);
        let named = named.filter_map(|(id, room)| Some((room.name.clone()?, id)));
        assert_eq!(named.collect::<BTreeMap<_, _>>(), self.names);
        let sessions = expected.sessions.iter().map(|(id, (socket, _))| (*id, *socket));
        let (shared, alone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            sessions.partition(|(id, _)| self.names.contains_key(id.as_str()));
        assert_eq!(self.shared, shared, "sessions whose own rooms others have joined");
        assert_eq!(self.alone, alone, "own rooms by name");
    }

    fn audit_own(&self, expected: &Expected, evicted: u64) {
        let sessions: BTreeMap<u32, u64> = expected.sessions.values().copied().collect();
        for socket in self.own.keys() {
            assert!(sessions.contains_key(socket), "{socket} has ended");
        }
        for (socket, since) in sessions {
            let room = RoomId::own(socket);
            let logged = expected.rooms.get(&room).map_or(&[][..], |room| &room.sequences);
            let after = |sequences: &[u64]| -> Vec<u64> {
                sequences.iter().copied().filter(|sequence| *sequence > since).collect()
            };
            let sequences = self.sequences(room, evicted);
            assert_eq!(after(&sequences), after(logged), "packets for {room:?}");
        }
    }

    /// Exceptions are for rooms that somebody is in, and can be found from these rooms.
    fn audit_exceptions(&self) {
        for (target, log) in self.logs() {
            for room in log.evictions.excepted().flat_map(|(set, _)| set) {
                assert!(!self.is_vacant(*room), "{target:?} has an exception for {room:?}");
                let index = &self.log(*room).unwrap().excepted_by;
                assert!(index.contains(&target), "{room:?} is excepted by {target:?}");
            }
            for other in &log.excepted_by {
                let is_excepted = self.log(*other).is_some_and(|it| it.evictions.excepts(target));
                assert!(is_excepted, "{target:?} is not excepted by {other:?}");
            }
            let has_evictions = log.evictions.last(|_| false) > 0;
            assert!(!has_evictions || !self.is_vacant(target), "{target:?} is vacant");
        }
    }

    fn sequences(&self, room: RoomId, evicted: u64) -> Vec<u64> {
        let log = self.log(room);
        log.map(|log| log.held(evicted, evicted, u64::MAX).collect()).unwrap_or_default()
    }
}

fn by_slot<T: Copy>(list: &[T]) -> BTreeMap<u32, T> {
    (0..).zip(list.iter().copied()).collect()
}

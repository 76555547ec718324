//! The sessions of one namespace: their rooms, their links, their log.
//!
//! Every change of a session or of the log begins with a method in this file, and nothing else
//! makes one: a journal of changes would be recorded here and nowhere else.

mod attempts;
mod hold;
mod member;
mod occupancy;
mod own;
mod receipts;
mod recover;
mod select;
mod snapshot;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use slab::Slab;

use self::{attempts::Attempts, hold::Claims, member::Place, select::Marks};
pub(in crate::hub) use self::{
    member::{Ended, Member},
    receipts::{AnswerKey, Known, OFFSET_LEN_MAX, Waiting},
    snapshot::{SessionsContext, SessionsSnapshot},
};
use super::{error::RoomError, room_names::RoomNames, rooms::Rooms};
use crate::{
    config::ServerConfig,
    id::{ConnectionId, Generation, RecoveryKey, SocketId},
    recovery::{Addressees, Memberships, RecoveryBuffer, RoomId},
    shrink::Cuts,
    socket::{Args, Encoded, Event, NamespaceName},
    time::Timestamp,
};

/// The sessions of one namespace, connected and parked.
pub(in crate::hub) struct Sessions<D> {
    name: NamespaceName,
    config: Arc<ServerConfig>,
    members: Slab<Member<D>>,
    member_cuts: Cuts,
    rooms: Rooms,
    /// Sessions that are alone in the room of their name, by id.
    alone: BTreeMap<SocketId, u32>,
    log: RecoveryBuffer,
    /// Sessions that were claimed. Not in snapshots: the links of the claims are gone.
    claims: BTreeMap<u32, Claims>,
    /// Parked sessions by the moment they expire, those that are held behind all others.
    expiries: BTreeSet<(Timestamp, u32)>,
    /// Sessions that were sent a replay and are not known to have got on since. Not in snapshots:
    /// the next process begins to count anew.
    attempts: BTreeMap<u32, Attempts>,
    marks: Marks,
}

/// What a new session is made of.
pub(in crate::hub) struct Birth<D> {
    pub(in crate::hub) id: SocketId,
    pub(in crate::hub) key: Option<RecoveryKey>,
    pub(in crate::hub) generation: Generation,
    pub(in crate::hub) connection: ConnectionId,
    pub(in crate::hub) claimed: u64,
    pub(in crate::hub) data: D,
}

impl<D> Sessions<D> {
    pub(in crate::hub) fn new(name: NamespaceName, config: Arc<ServerConfig>, epoch: u64) -> Self {
        Self {
            name,
            log: RecoveryBuffer::new(&config, epoch),
            config,
            members: Slab::new(),
            member_cuts: Cuts::default(),
            rooms: Rooms::new(),
            alone: BTreeMap::new(),
            claims: BTreeMap::new(),
            expiries: BTreeSet::new(),
            attempts: BTreeMap::new(),
            marks: Marks::default(),
        }
    }

    /// Starts a session whose floor is the present position, in the room named after its id.
    pub(in crate::hub) fn open(&mut self, birth: Birth<D>) -> u32 {
        let floor = self.log.head();
        let entry = self.members.vacant_entry();
        let index = u32::try_from(entry.key()).unwrap_or(u32::MAX);
        let (id, own_room) = (birth.id, RoomId::own(index));
        entry.insert(Member {
            id: birth.id,
            key: birth.key,
            generation: birth.generation,
            attachment: 0,
            claimed: birth.claimed,
            data: birth.data,
            place: Place::Live(birth.connection),
            floor,
            is_restored: false,
            memberships: Memberships::new(floor),
            receipts: None,
        });
        self.enter(index, RoomId::ALL);
        self.enter(index, own_room);
        match self.rooms.find(id.as_str()) {
            // Somebody was there before.
            Some(shared) => self.enter(index, shared),
            None => {
                self.alone.insert(id, index);
            }
        }
        index
    }

    /// Joins a room from the next packet on; false if the session is in it already.
    pub(in crate::hub) fn join(&mut self, index: u32, name: &str) -> Result<bool, RoomError> {
        let limits = &self.config.limits;
        let member = self.members.get(index as usize).ok_or(RoomError::UnknownSocket)?;
        let room = self.find_room(name);
        if room.is_some_and(|room| member.memberships.is_in(room)) {
            return Ok(false);
        }
        if name.len() > limits.room_name_bytes {
            return Err(RoomError::NameTooLong { limit: limits.room_name_bytes });
        }
        if self.counted_rooms(member) >= limits.rooms_per_socket {
            return Err(RoomError::TooManyRooms { limit: limits.rooms_per_socket });
        }
        let room = match room {
            Some(room) => self.share(room),
            None => self.rooms.find_or_create(name),
        };
        self.enter(index, room);
        self.forget_past(index);
        Ok(true)
    }

    /// Leaves a room from the next packet on; false if the session is not in it, or if it is the
    /// one named after its id.
    pub(in crate::hub) fn leave(&mut self, index: u32, name: &str) -> bool {
        let Some(room) = self.find_room(name) else {
            return false;
        };
        let limit = self.memberships_limit();
        let Some(member) = self.members.get_mut(index as usize) else {
            return false;
        };
        if name == member.id.as_str() {
            return false;
        }
        let is_live = member.is_live();
        let Some((membership, is_kept)) = member.memberships.leave(&self.log, room, limit) else {
            return false;
        };
        self.vacate(room, membership.slot, is_live);
        if is_kept {
            self.rooms.retain_past(room);
        }
        self.forget_past(index);
        self.free_if_unused(room);
        true
    }

    /// Keeps a session without its link. Returns whether it was live.
    pub(in crate::hub) fn park(&mut self, now: Timestamp, index: u32) -> bool {
        let Some(recovery) = &self.config.recovery else {
            return false;
        };
        let expires = now.saturating_add(recovery.max_disconnection);
        let is_live = self.members.get(index as usize).is_some_and(Member::is_live);
        if is_live {
            self.relocate(index, Place::Parked { expires });
        }
        is_live
    }

    /// Gives a session a link, a new one if it has one. Returns the one that it had.
    pub(in crate::hub) fn attach(
        &mut self,
        index: u32,
        connection: ConnectionId,
        claimed: u64,
    ) -> Option<ConnectionId> {
        let place = self.members.get(index as usize)?.place;
        self.relocate(index, Place::Live(connection));
        if let Some(member) = self.members.get_mut(index as usize) {
            member.attachment = member.attachment.saturating_add(1);
            member.claimed = claimed;
            if let Some(receipts) = &mut member.receipts {
                receipts.relink();
            }
        }
        match place {
            Place::Live(former) => Some(former),
            Place::Parked { .. } => None,
        }
    }

    /// Changes the application's data of a session.
    pub(in crate::hub) fn update_data<T>(
        &mut self,
        index: u32,
        change: impl FnOnce(&mut D) -> T,
    ) -> Option<T> {
        self.members.get_mut(index as usize).map(|member| change(&mut member.data))
    }

    /// Counts an event of a client that counts them, too.
    pub(in crate::hub) fn count_received(&mut self, index: u32) {
        if let Some(member) = self.members.get_mut(index as usize) {
            member.receipts.get_or_insert_default().count();
        }
    }

    /// Accepts a client offset, or tells that it was accepted before.
    pub(in crate::hub) fn accept_offset(
        &mut self,
        index: u32,
        offset: &str,
        waiting: Option<Waiting>,
    ) -> Option<Known> {
        let member = self.members.get_mut(index as usize)?;
        let receipts = member.receipts.get_or_insert_default();
        Some(receipts.accept(offset, waiting, &self.config.limits))
    }

    /// Keeps the answer to an event. Returns the later try that waits for it.
    pub(in crate::hub) fn keep_answer(
        &mut self,
        index: u32,
        key: AnswerKey,
        args: &Args,
    ) -> Option<Waiting> {
        let member = self.members.get_mut(index as usize)?;
        let is_sent = member.is_live();
        member.receipts.get_or_insert_default().answer(key, args, is_sent, &self.config.limits)
    }

    /// Forgets that an event was accepted. Returns whether there was something to forget.
    pub(in crate::hub) fn withdraw(
        &mut self,
        index: u32,
        id: Option<u64>,
        offset: Option<&str>,
    ) -> bool {
        let receipts = self.members.get_mut(index as usize).and_then(|it| it.receipts.as_mut());
        receipts.is_some_and(|receipts| receipts.withdraw(id, offset, &self.config.limits))
    }

    /// A client that counts its events asks for these answers. Returns what to send.
    pub(in crate::hub) fn take_question(
        &mut self,
        index: u32,
        ids: Vec<u64>,
    ) -> Option<Vec<Encoded>> {
        let member = self.members.get_mut(index as usize)?;
        Some(member.receipts.get_or_insert_default().question(&self.name, ids))
    }

    /// Ends a session for good.
    pub(in crate::hub) fn end(&mut self, index: u32) -> Option<Ended<D>> {
        let id = self.members.get(index as usize)?.id;
        let rooms = self.names_of(index, id);
        let member = self.members.try_remove(index as usize)?;
        self.member_cuts.note_removal(&mut self.members);
        if let Some(expiry) = member.expiry(self.is_held(index)) {
            self.expiries.remove(&(expiry, index));
        }
        self.claims.remove(&index);
        self.attempts.remove(&index);
        self.alone.remove(&member.id);
        for membership in member.memberships.current() {
            self.vacate(membership.room, membership.slot, member.is_live());
            self.free_if_unused(membership.room);
        }
        for room in member.memberships.past_rooms() {
            self.rooms.release_past(room);
            self.free_if_unused(room);
        }
        self.free_if_unused(RoomId::own(index));
        let Member { id, key, data, .. } = member;
        Some(Ended { id, key, data, rooms })
    }

    /// Encodes an event for its addressees and, if it is to be logged, gives it a position.
    ///
    /// This is the one place where an emission takes its position.
    pub(in crate::hub) fn publish(
        &mut self,
        now: Timestamp,
        to: &Addressees,
        event: &Event,
        ack: Option<u64>,
        is_logged: bool,
    ) -> Encoded {
        let name = &self.name;
        if !is_logged {
            // The official client takes any trailing string of an event for its offset.
            let is_mistakable =
                self.config.recovery.is_some() && ack.is_none() && event.ends_with_string();
            let marker = is_mistakable.then(|| self.log.head_offset().text());
            return Encoded::event(name, event, ack, marker.as_deref());
        }
        let encoded = self.log.append(now, to, ack, |offset| {
            // Nor does it look at the offset of an event that asks for an acknowledgement.
            let text = ack.is_none().then(|| offset.text());
            Encoded::event(name, event, ack, text.as_deref())
        });
        self.free_released();
        encoded
    }

    /// The acknowledgement with this id is not awaited any more.
    pub(in crate::hub) fn settle_question(&mut self, id: u64) {
        self.log.settle_question(id);
    }

    /// Drops packets that are too old from the log.
    pub(in crate::hub) fn expire_log(&mut self, now: Timestamp) {
        self.log.expire(now);
        self.free_released();
    }

    /// A session that has expired, or that is one too many.
    pub(in crate::hub) fn next_expired(&self, now: Timestamp) -> Option<(u32, bool)> {
        let limit = self.config.recovery.as_ref().map_or(0, |recovery| recovery.parked_sessions);
        let (expires, index) = self.expiries.first()?;
        let is_expired = *expires <= now;
        (is_expired || self.expiries.len() > limit).then_some((*index, is_expired))
    }

    pub(in crate::hub) fn deadline(&self) -> Timestamp {
        let expiry = self.expiries.first().map_or(Timestamp::NEVER, |(expires, _)| *expires);
        expiry.min(self.log.deadline())
    }

    pub(in crate::hub) fn name(&self) -> &NamespaceName {
        &self.name
    }

    pub(in crate::hub) fn get(&self, index: u32, generation: Generation) -> Option<&Member<D>> {
        let member = self.members.get(index as usize)?;
        (member.generation == generation).then_some(member)
    }

    #[cfg(test)]
    pub(in crate::hub) fn member_mut(&mut self, index: u32) -> Option<&mut Member<D>> {
        self.members.get_mut(index as usize)
    }

    pub(in crate::hub) fn generation(&self, index: u32) -> Option<Generation> {
        self.members.get(index as usize).map(|member| member.generation)
    }

    /// The session that is connected on a link. Takes O(connected sessions).
    pub(in crate::hub) fn index_on(&self, connection: ConnectionId) -> Option<u32> {
        let mut everyone = self.rooms.live(RoomId::ALL).iter();
        everyone.find(|occupant| occupant.connection == connection).map(|found| found.socket)
    }

    /// Whether no session is left, connected or parked.
    pub(in crate::hub) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(in crate::hub) fn parked_count(&self) -> usize {
        self.expiries.len()
    }

    pub(in crate::hub) fn live_count(&self) -> usize {
        self.members.len() - self.expiries.len()
    }

    pub(in crate::hub) fn room_count(&self) -> usize {
        self.rooms.len().saturating_add(self.alone.len())
    }

    /// The rooms of a session that the limit applies to, its own included.
    fn counted_rooms(&self, member: &Member<D>) -> usize {
        // The room of everyone is a membership, and so is the session's own room a second time
        // once somebody else has joined it.
        let uncounted = if self.alone.contains_key(&member.id) { 1 } else { 2 };
        member.memberships.current().len().saturating_sub(uncounted)
    }

    pub(in crate::hub) fn has_room(&self, name: &str) -> bool {
        self.find_room(name).is_some()
    }

    pub(in crate::hub) fn log(&self) -> &RecoveryBuffer {
        &self.log
    }

    /// The same as [`Sessions::room_names`] of a session with this id, to keep.
    pub(in crate::hub) fn names_of(&self, index: u32, id: SocketId) -> RoomNames {
        let member = self.members.get(index as usize);
        let rooms = member.map(|member| member.memberships.current()).unwrap_or_default();
        let others = rooms.iter().filter_map(|membership| self.rooms.shared_name(membership.room));
        RoomNames::new(id, others.filter(|name| **name != *id.as_str()))
    }

    /// Names of the rooms that a session is in, its own included.
    pub(in crate::hub) fn room_names(&self, index: u32) -> impl Iterator<Item = &str> {
        let member = self.members.get(index as usize);
        let own = member.map(|member| member.id.as_str());
        let rooms = member.map(|member| member.memberships.current()).unwrap_or_default();
        let others = rooms.iter().filter_map(|membership| self.rooms.name(membership.room));
        own.into_iter().chain(others.filter(move |name| Some(*name) != own))
    }
}

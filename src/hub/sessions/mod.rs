//! The sessions of one namespace: their rooms, their links, their log.
//!
//! Every change of a session or of the log is a value, a [`Change`], and only [`Sessions::apply`]
//! makes it. Code outside this module can only read sessions. So if the changes of a namespace are
//! recorded and applied again at the same times, they produce the same sessions and the same log.

mod arrival;
mod arrive;
mod attempts;
#[cfg(test)]
mod audit;
mod change;
mod emission;
mod hold;
mod import;
#[cfg(test)]
mod journal;
mod kept;
mod life;
mod member;
#[cfg(test)]
mod observe;
mod occupancy;
mod once;
mod own;
mod parked;
mod positions;
mod receipts;
mod recipients;
#[cfg(feature = "record")]
mod record;
mod recover;
mod select;
mod session_record;
mod snapshot;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use slab::Slab;

#[cfg(test)]
pub(in crate::hub) use self::journal::{Entries, Entry, Journal};
pub(in crate::hub) use self::{
    arrival::Arrival,
    change::{Change, Disconnected, Effect, Published},
    member::{Birth, Ended, Member},
    parked::{Parked, ParkedPast},
    receipts::{AckRequest, AnswerKey, Known, OFFSET_LEN_MAX, ReceiptsSnapshot},
    recipients::{Links, Recipients},
    session_record::SessionRecord,
    snapshot::{SessionsContext, SessionsSnapshot, private_id},
};
use self::{attempts::Attempts, hold::Claims, kept::KeptOffset, select::Marks};
use super::room_names::RoomNames;
use crate::{
    config::ServerConfig,
    id::{ConnectionId, Generation, SocketId},
    number::INTEGER_MAX,
    recovery::RecoveryBuffer,
    shrink::Cuts,
    socket::NamespaceName,
    time::Timestamp,
};

/// The sessions of one namespace, connected and parked.
pub(in crate::hub) struct Sessions<D> {
    name: NamespaceName,
    config: Arc<ServerConfig>,
    members: Slab<Member<D>>,
    member_cuts: Cuts,
    /// The log, and the rooms that it is indexed by.
    log: RecoveryBuffer,
    /// The claims of sessions. Not in snapshots: the links of the claims are gone.
    claims: BTreeMap<u32, Claims>,
    /// Parked sessions by expiry. Held sessions come after all others.
    expiries: BTreeSet<(Timestamp, u32)>,
    /// Sessions that were sent a replay, and whose clients are not known to have processed more
    /// since. Not in snapshots: the next process starts counting at zero.
    attempts: BTreeMap<u32, Attempts>,
    /// Parked sessions whose last connection continues: the connection, and the head of the log when
    /// they were parked. Not in snapshots: the connections are gone.
    left_open: BTreeMap<u32, (ConnectionId, u64)>,
    /// Offsets that clients may have kept from earlier sessions, if they are after the beginning of
    /// the session. Not in snapshots: only nodes of a cluster have them, and they restore none.
    kept: BTreeMap<u32, KeptOffset>,
    /// The ids of acknowledgements are not reused, so that a late answer does not match another
    /// one.
    next_ack: u64,
    marks: Marks,
    #[cfg(feature = "record")]
    recorder: Option<super::record::Recorder>,
    #[cfg(test)]
    pub(in crate::hub) journal: Journal<D>,
}

impl<D> Sessions<D> {
    pub(in crate::hub) fn new(name: NamespaceName, config: Arc<ServerConfig>, epoch: u64) -> Self {
        Self {
            name,
            log: RecoveryBuffer::new(&config, epoch),
            config,
            members: Slab::new(),
            member_cuts: Cuts::default(),
            claims: BTreeMap::new(),
            expiries: BTreeSet::new(),
            attempts: BTreeMap::new(),
            left_open: BTreeMap::new(),
            kept: BTreeMap::new(),
            next_ack: 0,
            marks: Marks::default(),
            #[cfg(feature = "record")]
            recorder: None,
            #[cfg(test)]
            journal: Journal::default(),
        }
    }

    /// Makes the ids of acknowledgements start at `next` or later.
    pub(in crate::hub) fn asking_from(mut self, next: u64) -> Self {
        self.next_ack = self.next_ack.max(next.min(INTEGER_MAX));
        self
    }

    /// Makes a change at the head of the log. Nothing else changes sessions or the log.
    #[expect(
        clippy::inline_always,
        reason = "callers know which change they make, and an event to one socket pays for no other"
    )]
    #[inline(always)]
    pub(in crate::hub) fn apply(&mut self, now: Timestamp, change: Change<'_, D>) -> Effect<D> {
        #[cfg(test)]
        self.journal.change(&self.name, now, &change);
        match change {
            Change::Open(birth) => self.open(birth),
            Change::Attach { index, connection, claimed } => {
                self.attach(index, connection, claimed)
            }
            Change::Park { index, is_open } => self.park(now, index, is_open),
            Change::End { index, cause } => self.end(index, cause),
            Change::Join { index, room } => self.join(index, &room),
            Change::Leave { index, room } => self.leave(index, &room),
            Change::SetData { index, data } => self.set_data(index, data),
            Change::TakeAckId { id } => self.take_ack_id(id),
            Change::Publish { to, event, ack, reliability, at } => {
                self.publish(now, &to, &event, ack, reliability, at)
            }
            Change::JoinAll { to, room } => self.join_all(&to, &room),
            Change::LeaveAll { to, room } => self.leave_all(&to, &room),
            Change::EndAll { to } => self.end_all(&to),
            Change::SettleAck { id } => self.settle_ack(id),
            Change::ExpireLog => self.expire_log(now),
            Change::Count { index } => self.count_received(index),
            Change::Accept { index, offset, waiting } => {
                self.accept_offset(index, &offset, waiting)
            }
            Change::Answer { index, key, args, is_sent } => {
                self.keep_answer(index, key, &args, is_sent)
            }
            Change::Withdraw { index, id, offset } => self.withdraw(index, id, offset.as_deref()),
            Change::Question { index, ids } => self.take_question(index, ids),
            Change::Hold { index, position } => self.hold(index, position),
            Change::Release { index, generation, position } => {
                self.release(now, index, generation, position)
            }
            Change::Reach { index, generation, reached } => {
                self.note_reached(index, generation, reached)
            }
            Change::UnusedTurn { index, generation, paid } => {
                self.note_turn(index, generation, paid)
            }
            Change::Replay { index, position, is_empty } => {
                self.begin_attempt(now, index, position, is_empty)
            }
            Change::Refuse { index } => self.note_left(now, index),
            Change::Import { record, generation } => self.import(now, *record, generation),
            Change::Arrive { arrival, generation } => self.arrive(now, *arrival, generation),
            Change::Advance { position } => self.advance(position),
            Change::Follow { origin } => self.follow(origin),
        }
    }

    /// The next session that has expired, or that exceeds the limit.
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

    /// The id of the next acknowledgement. Earlier ids may have been used.
    pub(in crate::hub) fn next_ack(&self) -> u64 {
        self.next_ack
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
        self.log.rooms().len()
    }

    pub(in crate::hub) fn has_room(&self, name: &str) -> bool {
        self.log.rooms().find(name).is_some()
    }

    pub(in crate::hub) fn log(&self) -> &RecoveryBuffer {
        &self.log
    }

    /// As [`Sessions::room_names`] of the session with this id, as an owned value.
    pub(in crate::hub) fn names_of(&self, index: u32, id: SocketId) -> RoomNames {
        let member = self.members.get(index as usize);
        let rooms = member.map(|member| member.memberships.current()).unwrap_or_default();
        let others = rooms.iter().filter_map(|it| self.log.rooms().name(it.room).cloned());
        RoomNames::new(id, others.filter(|name| **name != *id.as_str()))
    }

    /// Names of the rooms that a session is in, including its own room.
    pub(in crate::hub) fn room_names(&self, index: u32) -> impl Iterator<Item = &str> {
        let member = self.members.get(index as usize);
        let own = member.map(|member| member.id.as_str());
        let rooms = member.map(|member| member.memberships.current()).unwrap_or_default();
        let others =
            rooms.iter().filter_map(|it| self.log.rooms().name(it.room).map(|name| &**name));
        own.into_iter().chain(others.filter(move |name| Some(*name) != own))
    }
}

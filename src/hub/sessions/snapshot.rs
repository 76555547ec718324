//! The sessions of one namespace in a snapshot.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Member, Sessions,
    member::Place,
    receipts::{Receipts, ReceiptsSnapshot},
};
use crate::{
    config::ServerConfig,
    id::{Generation, RecoveryKey, SocketId},
    number::INTEGER_MAX,
    recovery::{
        Inconsistent, LogContext, LogSnapshot, Memberships, MembershipsContext,
        MembershipsSnapshot, Places, RecoveryBuffer, Resumption, RoomId, RoomPlace, Rooms, require,
    },
    socket::NamespaceName,
    time::Timestamp,
};

/// The sessions of one namespace, their rooms and their log as plain data.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::hub) struct SessionsSnapshot<D> {
    name: NamespaceName,
    next_ack: u64,
    /// Names of rooms, ascending. Other parts of the snapshot refer to a room by its place in one
    /// list: first the room of everyone, then these rooms, then the own rooms of the sessions.
    rooms: Vec<Box<str>>,
    log: LogSnapshot,
    sessions: Vec<SessionSnapshot<D>>,
}

/// One session. It is parked, because no link outlives its process.
///
/// `P` is how it refers to positions: by sequences of the log, or by offsets.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SessionSnapshot<D, P = u64> {
    sid: SocketId,
    #[serde(with = "private_id")]
    pid: RecoveryKey,
    data: D,
    /// When its link was lost.
    parked_at: Timestamp,
    floor: P,
    memberships: MembershipsSnapshot<P>,
    receipts: Option<ReceiptsSnapshot>,
    #[serde(default)]
    is_unproven: bool,
}

impl<D, P> SessionSnapshot<D, P> {
    pub(super) fn key(&self) -> &RecoveryKey {
        &self.pid
    }
}

/// The values that are needed to restore the sessions of a namespace.
pub(in crate::hub) struct SessionsContext {
    pub(in crate::hub) config: Arc<ServerConfig>,
    pub(in crate::hub) resumption: Resumption,
    /// How many epochs to skip for the log.
    pub(in crate::hub) jump: u32,
}

impl<D, P> SessionSnapshot<D, P> {
    /// Converts the positions. `None` if one of them cannot be converted.
    pub(super) fn try_map<Q>(
        self,
        position: impl Fn(P) -> Option<Q>,
    ) -> Option<SessionSnapshot<D, Q>> {
        let Self { sid, pid, data, parked_at, floor, memberships, receipts, is_unproven } = self;
        Some(SessionSnapshot {
            sid,
            pid,
            data,
            parked_at,
            floor: position(floor)?,
            memberships: memberships.try_map(position)?,
            receipts,
            is_unproven,
        })
    }
}

impl<D> SessionsSnapshot<D> {
    pub(in crate::hub) fn name(&self) -> &NamespaceName {
        &self.name
    }

    /// The number of sessions.
    pub(in crate::hub) fn len(&self) -> usize {
        self.sessions.len()
    }
}

impl<D: Clone> Sessions<D> {
    /// The sessions as plain data; `None` if no session can be recovered.
    pub(in crate::hub) fn snapshot(&self, now: Timestamp) -> Option<SessionsSnapshot<D>> {
        let places = self.places();
        let place = |room: RoomId| places.get(&room).copied();
        let members = self.members.iter();
        let sessions: Vec<_> = members
            .filter_map(|(index, member)| {
                self.session_snapshot(now, RoomId::own(number(index)), member, place)
            })
            .collect();
        (!sessions.is_empty()).then(|| SessionsSnapshot {
            name: self.name.clone(),
            next_ack: self.next_ack,
            rooms: self.log.rooms().iter().map(|(name, _)| name.into()).collect(),
            log: self.log.snapshot(place),
            sessions,
        })
    }

    /// The places of rooms in a snapshot.
    fn places(&self) -> BTreeMap<RoomId, RoomPlace> {
        let everyone = core::iter::once(RoomId::ALL);
        let named = self.log.rooms().iter().map(|(_, room)| room);
        let members = self.members.iter().filter(|(_, member)| member.key.is_some());
        let own = members.map(|(index, _)| RoomId::own(number(index)));
        everyone.chain(named).chain(own).zip(0..).collect()
    }

    /// A session as plain data; `None` if it cannot be recovered.
    pub(super) fn session_snapshot(
        &self,
        now: Timestamp,
        own_room: RoomId,
        member: &Member<D>,
        place: impl Fn(RoomId) -> Option<RoomPlace>,
    ) -> Option<SessionSnapshot<D>> {
        let parked_at = match member.place {
            Place::Live(_) => now,
            Place::Parked { expires } => expires.saturating_sub(self.max_disconnection()),
        };
        Some(SessionSnapshot {
            sid: member.id,
            pid: member.key?,
            data: member.data.clone(),
            parked_at,
            floor: member.floor,
            memberships: member.memberships.snapshot(own_room, place),
            receipts: member.receipts.as_ref().map(|receipts| receipts.snapshot()),
            is_unproven: member.is_unproven,
        })
    }
}

impl<D> Sessions<D> {
    /// Restores the sessions from a snapshot, with generations from `generation` on.
    pub(in crate::hub) fn restore(
        snapshot: SessionsSnapshot<D>,
        context: SessionsContext,
        generation: &mut Generation,
    ) -> Result<Self, Inconsistent> {
        let SessionsSnapshot { name, next_ack, rooms, log, sessions } = snapshot;
        require(rooms.is_sorted_by(|a, b| a < b), "rooms")?;
        let SessionsContext { config, resumption, jump } = context;
        let places = Places::new(rooms.len(), sessions.len()).ok_or(Inconsistent("rooms"))?;
        let log_context =
            LogContext { config: &config, name: &name, resumption, places, next_ack, jump };
        let names = rooms.iter().map(|name| &**name);
        let log = RecoveryBuffer::restore(log, Rooms::restore(names), log_context)?;
        // This server cannot know what others have put into the stream since.
        require(log.assigns_positions(), "log.positions")?;
        let next_ack = next_ack.min(INTEGER_MAX);
        let mut restored = Self { log, next_ack, ..Self::new(name, config, 0) };
        let mut ids = BTreeSet::new();
        for session in sessions {
            require(ids.insert(session.sid), "sessions.sid")?;
            restored.restore_session(session, resumption, generation.take(), places)?;
        }
        let indices: Vec<u32> = restored.expiries.iter().map(|(_, index)| *index).collect();
        for index in indices {
            restored.forget_past(index);
        }
        restored.log.complete_restoration();
        Ok(restored)
    }

    fn restore_session(
        &mut self,
        session: SessionSnapshot<D>,
        resumption: Resumption,
        generation: Generation,
        places: Places,
    ) -> Result<(), Inconsistent> {
        let member =
            self.read_session(session, resumption, generation, &|place| places.room(place))?;
        if let Some(shared) = self.log.rooms().find(member.id.as_str()) {
            // Other sessions are in the room named after it, so the session must be in it, too.
            require(member.memberships.is_in(shared), "sessions.memberships.rooms")?;
        }
        self.add_parked(member);
        Ok(())
    }

    /// The next session that is added, from a snapshot. Changes nothing. `room` returns the room at
    /// a place in the snapshot.
    pub(super) fn read_session(
        &self,
        session: SessionSnapshot<D>,
        resumption: Resumption,
        generation: Generation,
        room: &dyn Fn(RoomPlace) -> Option<RoomId>,
    ) -> Result<Member<D>, Inconsistent> {
        let SessionSnapshot { sid, pid, data, parked_at, floor, .. } = session;
        let SessionSnapshot { memberships, receipts, is_unproven, .. } = session;
        let away = resumption.elapsed(parked_at).ok_or(Inconsistent("sessions.parked_at"))?;
        let left = self.max_disconnection().saturating_sub(away);
        let expires = resumption.now.saturating_add(left);
        require(floor <= self.log.head(), "sessions.floor")?;
        let memberships_context = MembershipsContext {
            life: floor..=self.log.head(),
            own_room: RoomId::own(number(self.members.vacant_key())),
            room,
            limit: self.memberships_limit(),
        };
        let memberships = Memberships::restore(memberships, &memberships_context)?;
        let restore = |receipts| Receipts::restore(receipts, &self.config.limits).map(Box::new);
        let receipts = receipts.map(restore).transpose()?;
        Ok(Member {
            id: sid,
            key: Some(pid),
            generation,
            attachment: 0,
            claimed: 0,
            data,
            place: Place::Parked { expires },
            floor,
            is_restored: true,
            is_unproven,
            memberships,
            receipts,
        })
    }

    /// Adds a session that is parked. It must be in the room named after it, if there is one.
    /// Returns its index.
    pub(super) fn add_parked(&mut self, member: Member<D>) -> u32 {
        let entry = self.members.vacant_entry();
        let index = number(entry.key());
        let member = entry.insert(member);
        self.log.rooms_mut().open_own(member.id, index);
        if let Some(expires) = member.expiry(false) {
            self.expiries.insert((expires, index));
        }
        for membership in member.memberships.current_mut() {
            membership.slot = self.log.rooms_mut().enter(membership.room, index, None);
        }
        for room in member.memberships.past_rooms() {
            self.log.rooms_mut().retain_past(room);
        }
        index
    }

    /// Indices, generations and private ids.
    pub(in crate::hub) fn keys(&self) -> impl Iterator<Item = (u32, Generation, &RecoveryKey)> {
        let indices = self.expiries.iter().map(|(_, index)| *index);
        indices.filter_map(|index| {
            let member = self.members.get(index as usize)?;
            Some((index, member.generation, member.key.as_ref()?))
        })
    }

    /// How long a session still waits for its client, from now on. One with a link has its whole
    /// time.
    pub(super) fn time_left(&self, now: Timestamp, member: &Member<D>) -> Duration {
        let expiry = member.expiry(false);
        expiry.map_or_else(|| self.max_disconnection(), |expires| expires.saturating_since(now))
    }

    /// How long a session stays parked.
    pub(super) fn max_disconnection(&self) -> Duration {
        self.config.recovery.as_ref().map_or(Duration::ZERO, |recovery| recovery.max_disconnection)
    }
}

/// The index of a session as a number of 32 bits.
pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The only code that serializes a private id with `serde`. It does so on purpose.
pub(in crate::hub) mod private_id {
    use alloc::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    use crate::id::RecoveryKey;

    pub(in crate::hub) fn serialize<S: Serializer>(
        key: &RecoveryKey,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        key.expose().serialize(serializer)
    }

    pub(in crate::hub) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<RecoveryKey, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        RecoveryKey::parse(&text).ok_or_else(|| D::Error::custom("not an id of 20 characters"))
    }
}

//! The rooms of a session in a snapshot.

use alloc::{boxed::Box, vec::Vec};
use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{History, Membership, Memberships, Past, Window};
use crate::recovery::{
    RoomId,
    snapshot::{Inconsistent, RoomPlace, require},
};

/// The rooms of one session over time as plain data. Two rooms are left out, because the session is
/// in them from its floor on: the room of everyone and its own room.
///
/// `P` is how it refers to positions: by sequences of the log, or by offsets.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct MembershipsSnapshot<P = u64> {
    /// Each room and the position at which the session joined it.
    rooms: Vec<(RoomPlace, P)>,
    window_from: P,
    history: Option<HistorySnapshot<P>>,
}

/// The memberships and windows before the current window.
#[derive(Clone, Serialize, Deserialize)]
struct HistorySnapshot<P> {
    /// Each room with the positions of joining and leaving, in the order of leaving.
    past: Vec<(RoomPlace, P, P)>,
    /// Begin, end, and the last packet that was addressed to the session, ascending.
    windows: Vec<(P, P, P)>,
    settled: P,
    forgotten: P,
}

/// The values that are needed to restore the memberships of a session.
pub(crate) struct MembershipsContext<'a> {
    /// The positions from the session's floor to the head of the log.
    pub(crate) life: RangeInclusive<u64>,
    pub(crate) own_room: RoomId,
    /// The room at a place, if there is one.
    pub(crate) room: &'a dyn Fn(RoomPlace) -> Option<RoomId>,
    /// The maximum number of windows to remember.
    pub(crate) limit: usize,
}

impl<P> MembershipsSnapshot<P> {
    /// Converts the positions. `None` if one of them cannot be converted.
    pub(crate) fn try_map<Q>(
        self,
        position: impl Fn(P) -> Option<Q>,
    ) -> Option<MembershipsSnapshot<Q>> {
        let rooms = self.rooms.into_iter().map(|(room, since)| Some((room, position(since)?)));
        let history = match self.history {
            Some(history) => Some(history.try_map(&position)?),
            None => None,
        };
        Some(MembershipsSnapshot {
            rooms: rooms.collect::<Option<_>>()?,
            window_from: position(self.window_from)?,
            history,
        })
    }
}

impl<P> HistorySnapshot<P> {
    fn try_map<Q>(self, position: impl Fn(P) -> Option<Q>) -> Option<HistorySnapshot<Q>> {
        let past = self.past.into_iter();
        let past = past.map(|(room, from, to)| Some((room, position(from)?, position(to)?)));
        let windows = self.windows.into_iter();
        let windows =
            windows.map(|(from, to, last)| Some((position(from)?, position(to)?, position(last)?)));
        Some(HistorySnapshot {
            past: past.collect::<Option<_>>()?,
            windows: windows.collect::<Option<_>>()?,
            settled: position(self.settled)?,
            forgotten: position(self.forgotten)?,
        })
    }
}

impl Memberships {
    /// The memberships as plain data. `place` returns the place of a room in the snapshot.
    pub(crate) fn snapshot(
        &self,
        own_room: RoomId,
        place: impl Fn(RoomId) -> Option<RoomPlace>,
    ) -> MembershipsSnapshot {
        let joined = self.current.iter().filter(|it| it.room != RoomId::ALL && it.room != own_room);
        let mut rooms: Vec<_> = joined.filter_map(|it| Some((place(it.room)?, it.since))).collect();
        rooms.sort_unstable();
        let history = self.history.as_ref().map(|history| {
            let past = history.past.iter();
            HistorySnapshot {
                past: past.filter_map(|it| Some((place(it.room)?, it.from, it.to))).collect(),
                windows: history.windows.iter().map(|it| (it.from, it.to, it.last)).collect(),
                settled: history.settled,
                forgotten: history.forgotten,
            }
        });
        MembershipsSnapshot { rooms, window_from: self.window_from, history }
    }

    /// Restores the memberships from a snapshot.
    pub(crate) fn restore(
        snapshot: MembershipsSnapshot,
        context: &MembershipsContext<'_>,
    ) -> Result<Self, Inconsistent> {
        let MembershipsSnapshot { rooms, window_from, history } = snapshot;
        let (life, floor) = (&context.life, *context.life.start());
        let are_rooms = rooms.is_sorted_by(|a, b| a.0 < b.0);
        require(are_rooms, "sessions.memberships.rooms")?;
        require(life.contains(&window_from), "sessions.memberships.window_from")?;
        let member = |room| Membership { room, slot: 0, since: floor };
        let mut current: Vec<Membership> = [RoomId::ALL, context.own_room].map(member).into();
        for (place, since) in rooms {
            let room = context.other_room(place).filter(|_| life.contains(&since));
            let room = room.ok_or(Inconsistent("sessions.memberships.rooms"))?;
            current.push(Membership { since, ..member(room) });
        }
        current.sort_unstable_by_key(|membership| membership.room);
        let history = history.map(|it| History::restore(it, context, window_from)).transpose()?;
        Ok(Self { current: current.into(), window_from, history: history.map(Box::new) })
    }
}

impl History {
    fn restore(
        snapshot: HistorySnapshot<u64>,
        context: &MembershipsContext<'_>,
        window_from: u64,
    ) -> Result<Self, Inconsistent> {
        let HistorySnapshot { past, mut windows, mut settled, forgotten } = snapshot;
        let life = &context.life;
        let are_past = past.is_sorted_by_key(|(_, _, to)| *to);
        require(are_past, "sessions.memberships.past")?;
        let past: Option<Vec<Past>> = past
            .into_iter()
            .map(|(place, from, to)| {
                let is_interval = from < to && life.contains(&from) && life.contains(&to);
                context.other_room(place).filter(|_| is_interval).map(|room| Past {
                    room,
                    from,
                    to,
                })
            })
            .collect();
        let past = past.ok_or(Inconsistent("sessions.memberships.past"))?;
        let are_windows = windows.is_sorted_by(|a, b| a.1 <= b.0)
            && windows.iter().all(|(from, to, last)| {
                (*life.start()..*last).contains(from) && last <= to && *to <= window_from
            });
        require(are_windows, "sessions.memberships.windows")?;
        require(settled.max(forgotten) <= *life.end(), "sessions.memberships.settled")?;
        // Windows beyond the limit count as evicted.
        let excess = windows.len().saturating_sub(context.limit);
        settled = windows.drain(..excess).map(|(_, _, last)| last).fold(settled, u64::max);
        let window = |(from, to, last)| Window { from, to, last };
        let windows = windows.into_iter().map(window).collect();
        let mut history = Self { past, windows, settled, forgotten };
        // The snapshot may contain windows whose memberships were forgotten.
        history.settle_windows(forgotten);
        Ok(history)
    }
}

impl MembershipsContext<'_> {
    /// The id of a room, unless it is the room of everyone or a session's own room.
    fn other_room(&self, place: RoomPlace) -> Option<RoomId> {
        (self.room)(place).filter(|room| *room != RoomId::ALL && room.owner().is_none())
    }
}

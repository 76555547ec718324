//! Types that all parts of a snapshot share.

use core::time::Duration;

use smallvec::SmallVec;

use super::room::RoomId;
use crate::time::Timestamp;

/// The path of a value in a snapshot that no server can have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inconsistent(pub(crate) &'static str);

/// When a snapshot was taken, and when it is restored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resumption {
    pub(crate) taken_at: Timestamp,
    pub(crate) now: Timestamp,
}

impl Resumption {
    /// Converts a timestamp of the snapshot to the current clock. `None` if it was in the future.
    ///
    /// A clock that is behind the snapshot was set back or has another origin. Then the timestamps
    /// are shifted as if no time had passed in between.
    pub(crate) fn moment(self, at: Timestamp) -> Option<Timestamp> {
        let ahead = self.taken_at.saturating_since(self.now);
        (at <= self.taken_at).then(|| at.saturating_sub(ahead))
    }

    /// The time that has passed since a timestamp of the snapshot. `None` if it was in the future.
    pub(crate) fn elapsed(self, since: Timestamp) -> Option<Duration> {
        let before = self.taken_at.saturating_since(since);
        let after = self.now.saturating_since(self.taken_at);
        (since <= self.taken_at).then(|| before.saturating_add(after))
    }
}

/// How a snapshot refers to rooms: by their places in one list.
///
/// First comes the room of everyone, then the named rooms, then the own rooms of the sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    named: u32,
    sessions: u32,
}

/// The place of a room in a snapshot.
pub(crate) type RoomPlace = u32;

impl Places {
    /// `None` if there are more rooms or sessions than ids.
    pub(crate) fn new(named: usize, sessions: usize) -> Option<Self> {
        let count = |count| u32::try_from(count).ok().filter(|count| *count < COUNT_MAX);
        Some(Self { named: count(named)?, sessions: count(sessions)? })
    }

    /// The place of the own room of a session, given the place of the session in the list of
    /// sessions.
    pub(crate) const fn own(self, session: u32) -> RoomPlace {
        self.named.saturating_add(1).saturating_add(session)
    }

    /// The id of a restored room. Rooms and sessions are restored in order, so the place determines
    /// it.
    pub(crate) fn room(self, place: RoomPlace) -> Option<RoomId> {
        let Some(session) = place.checked_sub(self.own(0)) else {
            return Some(RoomId(place));
        };
        (session < self.sessions).then(|| RoomId::own(session))
    }

    /// The ids of a set of rooms. `None` if the set is not sorted.
    pub(crate) fn rooms(self, places: &[RoomPlace]) -> Option<SmallVec<[RoomId; 2]>> {
        let is_ascending = places.is_sorted_by(|a, b| a < b);
        is_ascending.then(|| places.iter().map(|place| self.room(*place)).collect())?
    }
}

/// A namespace has fewer ids than this for rooms, and for sessions.
const COUNT_MAX: u32 = (1 << 31) - 1;

/// Returns `Err` with the path `what` unless `holds` is true.
pub(crate) fn require(holds: bool, what: &'static str) -> Result<(), Inconsistent> {
    if holds { Ok(()) } else { Err(Inconsistent(what)) }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn rooms_stand_in_one_row() {
        let places = Places::new(2, 2).unwrap();
        let rooms: Vec<Option<RoomId>> = (0..6).map(|place| places.room(place)).collect();
        let own = |session| Some(RoomId::own(session));
        let shared = |room| Some(RoomId(room));
        assert_eq!(rooms, [shared(0), shared(1), shared(2), own(0), own(1), None]);
        assert_eq!((places.own(0), places.own(1)), (3, 4));
        assert_eq!(places.rooms(&[0, 4]).unwrap().to_vec(), [RoomId::ALL, RoomId::own(1)]);
        assert!(places.rooms(&[1, 1]).is_none() && places.rooms(&[2, 5]).is_none());
        assert!(Places::new(1 << 31, 0).is_none());
    }

    #[test]
    fn the_time_of_the_restart_counts() {
        let resumption = Resumption { taken_at: at(100), now: at(150) };
        assert_eq!(resumption.moment(at(70)), Some(at(70)));
        assert_eq!(resumption.elapsed(at(70)), Some(Duration::from_micros(80)));
        assert_eq!(resumption.moment(at(101)), None);
        assert_eq!(resumption.elapsed(at(101)), None);
    }

    #[test]
    fn a_clock_that_was_set_back_counts_from_the_snapshot() {
        let resumption = Resumption { taken_at: at(100), now: at(40) };
        assert_eq!(resumption.moment(at(70)), Some(at(10)));
        assert_eq!(resumption.moment(at(30)), Some(Timestamp::ZERO));
        assert_eq!(resumption.elapsed(at(30)), Some(Duration::from_micros(70)));
    }
}

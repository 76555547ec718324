//! The ids of rooms.

use smallvec::SmallVec;

/// Identifies a room within one namespace. An id is not reused while anything still refers to the
/// room.
///
/// The room that is named after a session's id usually contains only that session. Its id is
/// derived from the index of the session, and is reused together with the index, even while the log
/// refers to it. That is safe: the new session is in its own room only for packets that are logged
/// after the earlier session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RoomId(pub(crate) u32);

impl RoomId {
    /// The room that every socket of the namespace is in. A packet without target rooms goes here.
    pub(crate) const ALL: Self = Self(0);
    /// Stands for the target rooms of a packet that no session can be missing any more.
    pub(super) const NOBODY: Self = Self(u32::MAX - 1);
    /// No room has this id.
    pub(super) const NOWHERE: Self = Self(u32::MAX);

    const OWN: u32 = 1 << 31;

    /// The own room of the session at this index.
    pub(crate) const fn own(session: u32) -> Self {
        Self(session | Self::OWN)
    }

    /// The index of the session whose own room this is, if it is an own room.
    pub(crate) const fn owner(self) -> Option<u32> {
        if self.0 & Self::OWN == 0 { None } else { Some(self.0 & !Self::OWN) }
    }
}

/// Rooms that a packet was withheld from, sorted.
pub(crate) type Excepted = SmallVec<[RoomId; 2]>;

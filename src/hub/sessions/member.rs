//! One session.

use alloc::boxed::Box;

use super::receipts::Receipts;
use crate::{
    hub::{reason::EndCause, room_names::RoomNames},
    id::{ConnectionId, Generation, RecoveryKey, SocketId},
    recovery::{Memberships, Offset},
    time::Timestamp,
};

/// One session.
#[derive(Debug)]
pub(in crate::hub) struct Member<D> {
    pub(in crate::hub) id: SocketId,
    pub(in crate::hub) key: Option<RecoveryKey>,
    pub(in crate::hub) generation: Generation,
    /// Counts the links that the session has had, so that a message from an old link is recognised.
    /// At the maximum, the session cannot move to another link any more.
    pub(in crate::hub) attachment: u32,
    /// The latest request that got the session. A request that arrived earlier no longer gets it.
    pub(in crate::hub) claimed: u64,
    pub(in crate::hub) data: D,
    pub(super) place: Place,
    pub(super) floor: u64,
    /// Whether the session began in an earlier process.
    pub(super) is_restored: bool,
    /// Whether nobody knows what the client had received at `floor`, and not only after it.
    pub(super) is_unproven: bool,
    pub(super) memberships: Memberships,
    /// `None` until there is something to remember.
    pub(super) receipts: Option<Box<Receipts>>,
}

/// The values that a new session is created from.
#[derive(Clone, Debug)]
pub(in crate::hub) struct Birth<D> {
    pub(in crate::hub) id: SocketId,
    pub(in crate::hub) key: Option<RecoveryKey>,
    pub(in crate::hub) generation: Generation,
    pub(in crate::hub) connection: ConnectionId,
    pub(in crate::hub) claimed: u64,
    pub(in crate::hub) data: D,
    /// The offset that the client has presented, if the log may not have reached it.
    pub(in crate::hub) presented: Option<Offset>,
}

/// The remains of a session that has ended.
#[derive(Debug)]
pub(in crate::hub) struct Ended<D> {
    pub(in crate::hub) id: SocketId,
    pub(in crate::hub) key: Option<RecoveryKey>,
    pub(in crate::hub) data: D,
    /// The rooms that it was in.
    pub(in crate::hub) rooms: RoomNames,
    pub(in crate::hub) cause: EndCause,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Live(ConnectionId),
    Parked { expires: Timestamp },
}

impl<D> Member<D> {
    /// Where the session is connected; `None` while it is parked.
    pub(in crate::hub) fn connection(&self) -> Option<ConnectionId> {
        match self.place {
            Place::Live(connection) => Some(connection),
            Place::Parked { .. } => None,
        }
    }

    /// How many events were received from a client that counts them.
    pub(in crate::hub) fn received(&self) -> u64 {
        self.receipts.as_ref().map_or(0, |receipts| receipts.received())
    }

    /// When a parked session expires. A held session does not expire.
    pub(super) fn expiry(&self, is_held: bool) -> Option<Timestamp> {
        match self.place {
            Place::Live(_) => None,
            Place::Parked { .. } if is_held => Some(Timestamp::NEVER),
            Place::Parked { expires } => Some(expires),
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.connection().is_some()
    }
}

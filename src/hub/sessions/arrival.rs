//! A session on its way to another node of a cluster.

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};
use core::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{kept::KeptOffset, receipts::ReceiptsSnapshot, snapshot::private_id};
use crate::{
    cluster::message::{Body, BroadcastOptions},
    id::{RecoveryKey, SocketId},
    recovery::Offset,
};

/// A session on its way to another node, as plain data.
///
/// Its client has processed everything up to `resume`. So nothing before that matters any more: the
/// session begins there, in these rooms, and its rooms have changed since. It refers to rooms by name
/// and to positions by offset, so it means the same at every node.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::hub) struct Arrival<D> {
    pub(super) sid: SocketId,
    #[serde(with = "private_id")]
    pub(super) pid: RecoveryKey,
    pub(super) data: D,
    /// How long it still waits for its client.
    pub(super) left: Duration,
    pub(super) receipts: Option<ReceiptsSnapshot>,
    /// Everything up to this position is in it.
    pub(super) at: Offset,
    pub(super) resume: Offset,
    pub(super) rooms: BTreeSet<Box<str>>,
    pub(super) changes: Vec<RoomChange>,
    /// Whether a Node.js server kept it, so that what its client had received at `resume` is not known.
    #[serde(default)]
    pub(super) is_unproven: bool,
    /// An offset after `resume` that its client may have kept from an earlier session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kept: Option<KeptOffset>,
}

/// A change of the rooms of a session.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RoomChange {
    pub(super) at: Offset,
    pub(super) room: Box<str>,
    pub(super) is_join: bool,
}

impl<D> Arrival<D> {
    /// The private id of the session.
    pub(in crate::hub) fn key(&self) -> &RecoveryKey {
        &self.pid
    }

    /// The position up to which its client has processed everything.
    pub(in crate::hub) fn resume(&self) -> Offset {
        self.resume
    }

    /// Whether it has everything up to this position, as far as the session itself is concerned.
    pub(in crate::hub) fn at(&self) -> Offset {
        self.at
    }

    /// The same session with the rooms that it was in at `resume`, and only the changes since.
    pub(in crate::hub) fn begun(mut self) -> Self {
        for RoomChange { room, is_join, .. } in
            self.changes.extract_if(.., |it| it.at <= self.resume)
        {
            if is_join {
                self.rooms.insert(room);
            } else {
                self.rooms.remove(&room);
            }
        }
        self
    }

    /// The rooms by which it can be addressed after all changes.
    pub(in crate::hub) fn addressed_rooms(&self) -> BTreeSet<Box<str>> {
        let mut rooms = self.rooms.clone();
        for RoomChange { room, is_join, .. } in &self.changes {
            if *is_join {
                rooms.insert(room.clone());
            } else {
                rooms.remove(room);
            }
        }
        rooms.insert(self.sid.as_str().into());
        rooms
    }

    /// Applies an entry of the channel that came after the session had left, and keeps the rooms by
    /// which it can be addressed. Returns false if it ends the session.
    pub(in crate::hub) fn fold(
        &mut self,
        addressed: &mut BTreeSet<Box<str>>,
        at: Offset,
        body: &Body,
    ) -> bool {
        match body {
            Body::SocketsJoin { options, rooms } if is_addressed(addressed, options) => {
                for room in rooms {
                    self.change(addressed, at, room, true);
                }
            }
            Body::SocketsLeave { options, rooms } if is_addressed(addressed, options) => {
                for room in rooms {
                    self.change(addressed, at, room, false);
                }
            }
            Body::DisconnectSockets { options, .. } => return !is_addressed(addressed, options),
            _ => {}
        }
        true
    }

    fn change(
        &mut self,
        addressed: &mut BTreeSet<Box<str>>,
        at: Offset,
        room: &str,
        is_join: bool,
    ) {
        if room == self.sid.as_str() {
            return;
        }
        let is_change =
            if is_join { addressed.insert(room.into()) } else { addressed.remove(room) };
        if is_change {
            self.changes.push(RoomChange { at, room: room.into(), is_join });
        }
    }
}

/// Whether a session that can be addressed by these rooms is.
fn is_addressed(addressed: &BTreeSet<Box<str>>, options: &BroadcastOptions) -> bool {
    let is_in = |room: &bytestring::ByteString| addressed.contains(&**room);
    let is_target = options.is_for_all() || options.rooms().iter().any(is_in);
    is_target && !options.excepted().iter().any(is_in)
}

impl<D> fmt::Debug for Arrival<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").field("resume", &self.resume).finish_non_exhaustive()
    }
}

//! One session as a value that another process can bring in.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};

use super::snapshot::SessionSnapshot;
use crate::{id::RecoveryKey, recovery::Offset, time::Timestamp};

/// A session as plain data, parked.
///
/// It refers to rooms by name and to positions by offset. So it means the same in every process
/// whose log assigns the same positions to the same packets.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::hub) struct SessionRecord<D> {
    pub(super) taken_at: Timestamp,
    /// The position up to which it is true.
    pub(super) at: Offset,
    /// The position of the latest packet that was emitted to the session alone. Other processes do
    /// not have these packets.
    pub(super) private: Offset,
    /// Names of rooms, ascending. `session` refers to a room by its place in one list: first the
    /// room of everyone, then these rooms.
    pub(super) rooms: Vec<Box<str>>,
    pub(super) session: SessionSnapshot<D, Offset>,
}

impl<D> SessionRecord<D> {
    /// The private id of the session.
    pub(in crate::hub) fn key(&self) -> &RecoveryKey {
        self.session.key()
    }
}

impl<D> fmt::Debug for SessionRecord<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRecord").field("at", &self.at).finish_non_exhaustive()
    }
}

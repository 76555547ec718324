//! Sessions as the store keeps them.

use alloc::vec::Vec;

use bytestring::ByteString;

use super::Value;
use crate::{RecoveryKey, SocketId};

/// A session that waits in the store for its client.
///
/// An official node stores `sid`, `pid`, `rooms` and `data`, and ignores everything else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredSession {
    /// The id of the socket.
    pub sid: SocketId,
    /// The private id, with which the client recovers the session.
    pub pid: RecoveryKey,
    /// The rooms of the socket, its own included.
    pub rooms: Vec<ByteString>,
    /// What the application keeps with the socket.
    pub data: Value,
    /// What nodes of this crate keep beside it. Without it, the session is of an official node.
    pub extension: Option<Value>,
}

impl StoredSession {
    /// Makes a session as an official node stores it.
    pub const fn new(sid: SocketId, pid: RecoveryKey, rooms: Vec<ByteString>, data: Value) -> Self {
        Self { sid, pid, rooms, data, extension: None }
    }
}

//! Descriptions of sockets.

use alloc::vec::Vec;

use bytestring::ByteString;

use super::Value;

/// The description of a socket on another node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketDetails {
    /// Its id. Sockets of official nodes that speak an earlier protocol have ids of other shapes.
    pub id: ByteString,
    /// How it connected. An official node says `headers`, `time`, `address`, `xdomain`, `secure`,
    /// `issued`, `url`, `query` and `auth`.
    ///
    /// A node of this crate says all of these, and leaves them empty. It does not keep them, and they are
    /// what nobody should send around: cookies and tokens of every client, through the engine, in the
    /// answer to each request. What other servers need to know of a client belongs into its
    /// [data](crate::hub::At::set_data), which the application chooses.
    pub handshake: Value,
    /// Its rooms.
    pub rooms: Vec<ByteString>,
    /// What the application keeps with it.
    pub data: Value,
}

impl SocketDetails {
    /// Makes a description.
    pub const fn new(
        id: ByteString,
        handshake: Value,
        rooms: Vec<ByteString>,
        data: Value,
    ) -> Self {
        Self { id, handshake, rooms, data }
    }
}

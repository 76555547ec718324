//! Messages in the shapes of the classic Redis adapter, `@socket.io/redis-adapter` 8.
//!
//! | what | shape |
//! | --- | --- |
//! | a broadcast | msgpack `[uid, packet, opts]` |
//! | a request | JSON or msgpack `{uid, requestId?, type, …}` with numbers of its own |
//! | an answer | JSON or msgpack `{requestId, …}`, without a sender |
//!
//! A node of this crate adds what official nodes ignore: a fourth element, or more fields. What those
//! have no word for is a broadcast without a packet.

mod read;
mod usual;
mod write;

pub(in crate::cluster) use read::ClassicEntry;
pub(in crate::cluster) use write::{ClassicPayload, Place, classic_marker};

/// The digits of the number of an entry. Redis fills it in, so its length is fixed.
pub(in crate::cluster) const DIGITS: usize = 20;

/// The numbers of requests and answers. They are not those of [`Body::kind`](super::Body::kind).
mod kind {
    pub(super) const ALL_ROOMS: u64 = 1;
    pub(super) const JOIN: u64 = 2;
    pub(super) const LEAVE: u64 = 3;
    pub(super) const DISCONNECT: u64 = 4;
    pub(super) const FETCH: u64 = 5;
    pub(super) const SERVER_SIDE_EMIT: u64 = 6;
    pub(super) const BROADCAST: u64 = 7;
    pub(super) const CLIENT_COUNT: u64 = 8;
    pub(super) const BROADCAST_ACK: u64 = 9;
}

/// The names of our own fields.
mod field {
    pub(super) const SEQUENCE: &str = "seq";
    pub(super) const NONCE: &str = "nonce";
    pub(super) const AFTER: &str = "after";
    pub(super) const POSITION: &str = "pos";
    /// Only in a marker: the number before its own.
    pub(super) const BEFORE: &str = "prev";
    pub(super) const MARKER: &str = "marker";
}

/// How the name of a request for sockets begins that an official node has made for rooms. Its answer is
/// another one.
const ALL_ROOMS: &str = "all-rooms:";

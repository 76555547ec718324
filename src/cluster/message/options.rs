//! The sockets that a message is for.

use alloc::vec::Vec;

use bytestring::ByteString;
use smallvec::SmallVec;

type Rooms = SmallVec<[ByteString; 1]>;

/// The sockets that a message is for: rooms, without excepted rooms. `opts` on the wire.
///
/// The room that is named after the id of a socket contains that socket.
///
/// ```
/// use socketio_proto::cluster::message::BroadcastOptions;
///
/// let options = BroadcastOptions::all();
/// assert!(options.is_for_all());
///
/// let options = options.to("lobby").except("3Bk0bBfqCjAhHGg4AAAB");
/// assert!(!options.is_for_all());
/// assert_eq!(options.rooms(), ["lobby"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BroadcastOptions {
    rooms: Rooms,
    except: Rooms,
    /// Whether there were rooms that no text can name.
    has_nameless_rooms: bool,
    /// How it is sent.
    pub flags: BroadcastFlags,
}

impl BroadcastOptions {
    /// Everyone in the namespace.
    pub fn all() -> Self {
        Self::default()
    }

    /// Adds a room. Several rooms are a union.
    #[must_use]
    pub fn to(mut self, room: impl Into<ByteString>) -> Self {
        self.rooms.push(room.into());
        self
    }

    /// Leaves out the sockets of a room, even if they are in one of the other rooms.
    #[must_use]
    pub fn except(mut self, room: impl Into<ByteString>) -> Self {
        self.except.push(room.into());
        self
    }

    /// Sets how it is sent.
    #[must_use]
    pub const fn flags(mut self, flags: BroadcastFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Adds a room that no text can name, and that no socket is in. In JavaScript, `io.to(undefined)`
    /// does that. Without it, a message for this room alone would be for everyone.
    #[must_use]
    pub const fn or_nobody(mut self) -> Self {
        self.has_nameless_rooms = true;
        self
    }

    pub(super) fn push_room(&mut self, room: ByteString) {
        self.rooms.push(room);
    }

    pub(super) fn push_excepted(&mut self, room: ByteString) {
        self.except.push(room);
    }

    pub(super) fn set_rooms(&mut self, (rooms, has_nameless_rooms): (Vec<ByteString>, bool)) {
        self.rooms = rooms.into();
        self.has_nameless_rooms = has_nameless_rooms;
    }

    pub(super) fn set_excepted(&mut self, rooms: Vec<ByteString>) {
        self.except = rooms.into();
    }

    pub(super) const fn has_nameless_rooms(&self) -> bool {
        self.has_nameless_rooms
    }

    /// The only room that it is for, if there is one.
    pub(in crate::cluster) fn only_room(&self) -> Option<&ByteString> {
        match &*self.rooms {
            [room] if !self.has_nameless_rooms => Some(room),
            _ => None,
        }
    }

    /// Returns whether it is for everyone in the namespace, except the excepted.
    pub fn is_for_all(&self) -> bool {
        self.rooms.is_empty() && !self.has_nameless_rooms
    }

    /// Returns whether it is for no one: the sender has given rooms, but none that a text can name.
    pub fn is_for_nobody(&self) -> bool {
        self.rooms.is_empty() && self.has_nameless_rooms
    }

    /// The rooms. If there are none, it is [for all](Self::is_for_all) or
    /// [for nobody](Self::is_for_nobody).
    pub fn rooms(&self) -> &[ByteString] {
        &self.rooms
    }

    /// The rooms whose sockets are left out.
    pub fn excepted(&self) -> &[ByteString] {
        &self.except
    }
}

/// How a message is sent. `flags` on the wire.
///
/// All of them are optional, and `false` is not the same as absent: an official node treats
/// an event as volatile if it has this flag with any value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroadcastFlags {
    /// Clients that cannot receive the event immediately do not get it, and it is not replayed.
    pub volatile: Option<bool>,
    /// Whether the event may be compressed.
    pub compress: Option<bool>,
    /// Only for the clients of the sender. No node publishes such a message.
    pub local: Option<bool>,
    /// The sender has left a socket out.
    pub broadcast: Option<bool>,
    /// The event has attachments.
    pub binary: Option<bool>,
    /// How long to wait for acknowledgements, in milliseconds.
    pub timeout: Option<u64>,
    /// One answer is enough, because the message is for one socket.
    pub expect_single_response: Option<bool>,
}

//! The addressees of a broadcast.

use alloc::string::String;

use smallvec::SmallVec;

use crate::id::SocketKey;

/// The addressees of a broadcast: rooms, without excepted rooms and sockets.
///
/// Without a room, it is the whole namespace. Several rooms are a union; each socket receives the
/// event at most once. The room named after a socket's id contains that socket.
///
/// ```
/// use socketio_proto::hub::Audience;
///
/// let neighbours = Audience::room("lobby").to("garden").except("3Bk0bBfqCjAhHGg4AAAB");
/// assert_eq!(neighbours.rooms().collect::<Vec<_>>(), ["lobby", "garden"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    rooms: SmallVec<[String; 1]>,
    except: SmallVec<[String; 1]>,
    except_sockets: SmallVec<[SocketKey; 1]>,
    volatile: bool,
    local: bool,
    single_response: bool,
}

impl Audience {
    /// Everyone in the namespace.
    pub fn all() -> Self {
        Self::default()
    }

    /// The sockets in one room.
    pub fn room(name: impl Into<String>) -> Self {
        Self::all().to(name)
    }

    /// Adds the sockets of a room.
    #[must_use]
    pub fn to(mut self, room: impl Into<String>) -> Self {
        self.rooms.push(room.into());
        self
    }

    /// Leaves out the sockets of a room, even if they are in a target room.
    #[must_use]
    pub fn except(mut self, room: impl Into<String>) -> Self {
        self.except.push(room.into());
        self
    }

    /// Leaves out one socket, even if it is in a target room.
    ///
    /// ```
    /// use socketio_proto::SocketKey;
    /// use socketio_proto::hub::Audience;
    ///
    /// fn others(sender: SocketKey) -> Audience {
    ///     Audience::room("lobby").except_socket(sender)
    /// }
    /// ```
    #[must_use]
    pub fn except_socket(mut self, socket: SocketKey) -> Self {
        self.except_sockets.push(socket);
        self
    }

    /// Makes the event volatile: a client that cannot receive it immediately does not get it, and
    /// it is not replayed.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Emits only to clients of this server. It has no effect if there is only one server.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// Waits for one acknowledgement only, whoever gives it. Use it with the room of one socket, whose
    /// id another server of the cluster has told. It only matters for
    /// [`At::broadcast_with_ack`](super::At::broadcast_with_ack).
    #[must_use]
    pub fn expect_single_response(mut self) -> Self {
        self.single_response = true;
        self
    }

    /// The target rooms; none means the whole namespace.
    pub fn rooms(&self) -> impl Iterator<Item = &str> {
        self.rooms.iter().map(String::as_str)
    }

    /// The rooms that are left out.
    pub fn excepted(&self) -> impl Iterator<Item = &str> {
        self.except.iter().map(String::as_str)
    }

    /// The sockets that are left out one by one.
    pub fn excepted_sockets(&self) -> impl Iterator<Item = SocketKey> {
        self.except_sockets.iter().copied()
    }

    /// The names of the target rooms and of the rooms that are left out.
    pub(super) fn names(&self) -> (&[String], &[String]) {
        (&self.rooms, &self.except)
    }

    /// Whether the event is volatile.
    pub fn is_volatile(&self) -> bool {
        self.volatile
    }

    /// Whether one acknowledgement is enough.
    pub fn expects_single_response(&self) -> bool {
        self.single_response
    }

    /// Whether the event stays on this server.
    pub fn is_local(&self) -> bool {
        self.local
    }
}

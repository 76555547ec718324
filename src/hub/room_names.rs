//! The rooms of a socket in an event.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use crate::id::SocketId;

/// Names of the rooms of a socket at the moment of an event, as
/// [`Hub::rooms`](crate::hub::Hub::rooms) returns them: first the room named after its own id, then
/// the others, each once.
///
/// The names are shared with the server. So creating this value copies no text, and allocates
/// nothing for a socket that is in no other room than its own.
///
/// ```
/// use socketio_proto::Timestamp;
/// use socketio_proto::server::{Server, ServerEvent};
///
/// /// Tells the others in each room who has left.
/// fn handle_event(server: &mut Server<String>, now: Timestamp, event: ServerEvent<String>) {
///     if let ServerEvent::Disconnected { rooms, data: Some(name), .. } = event {
///         for room in rooms.iter().skip(1) {
///             server.at(now).to(room).emit("left", &(&name,)).ok();
///         }
///     }
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RoomNames {
    own: SocketId,
    others: Vec<Arc<str>>,
}

impl RoomNames {
    pub(super) fn new(own: SocketId, others: impl Iterator<Item = Arc<str>>) -> Self {
        Self { own, others: others.collect() }
    }

    /// Returns the names. The name of the socket's own room comes first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        core::iter::once(self.own.as_str()).chain(self.others.iter().map(|name| &**name))
    }

    /// Returns whether the socket was in a room.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|room| room == name)
    }
}

impl fmt::Debug for RoomNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

//! Records of what happens to sessions and rooms, for simulations that check who receives what.

use alloc::{sync::Arc, vec::Vec};

use super::Hub;
use crate::{
    id::SocketId,
    socket::{Encoded, Event, NamespaceName},
};

/// Something that has happened to the sessions of a namespace. The records of a namespace are in
/// the order in which it happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Record<'a> {
    /// A session has begun. It is in the room named after its id.
    Opened {
        /// The namespace.
        namespace: &'a NamespaceName,
        /// The public id of the session.
        socket: SocketId,
    },
    /// A session has joined a room.
    Joined {
        /// The namespace.
        namespace: &'a NamespaceName,
        /// The public id of the session.
        socket: SocketId,
        /// The room.
        room: &'a str,
    },
    /// A session has left a room.
    Left {
        /// The namespace.
        namespace: &'a NamespaceName,
        /// The public id of the session.
        socket: SocketId,
        /// The room.
        room: &'a str,
    },
    /// A session has ended.
    Ended {
        /// The namespace.
        namespace: &'a NamespaceName,
        /// The public id of the session.
        socket: SocketId,
    },
    /// The server has emitted an event.
    Emitted {
        /// The namespace.
        namespace: &'a NamespaceName,
        /// Who it is for: everybody who is in at least one of these.
        to: Vec<Address<'a>>,
        /// Who it is not for.
        except: Vec<Address<'a>>,
        /// The event.
        event: &'a Event,
        /// The packet on the wire, with its offset.
        packet: &'a Encoded,
        /// Whether it is in the log of recovery.
        is_logged: bool,
        /// Whether it asks for an acknowledgement.
        asks: bool,
    },
}

/// Sessions that an event is for, or not for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address<'a> {
    /// Everybody in the namespace.
    Everyone,
    /// The sessions in a room.
    Room(&'a str),
    /// One session.
    Socket(SocketId),
}

/// Gets every [`Record`] of a hub.
pub type Recorder = Arc<dyn Fn(&Record<'_>) + Send + Sync>;

impl<D> Hub<D> {
    /// See [`At::set_recorder`](super::At::set_recorder).
    pub(super) fn set_recorder(&mut self, recorder: Recorder) {
        for namespace in self.namespaces.values_mut() {
            namespace.sessions.set_recorder(Some(Arc::clone(&recorder)));
        }
        self.recorder = Some(recorder);
    }
}

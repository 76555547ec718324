//! What comes out of a link.

use crate::{
    engine::{self, CloseReason},
    hub::{AckToken, Request},
    id::SocketKey,
    socket,
};

/// What the owner of the link has to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Answer an HTTP exchange, send a frame, close a WebSocket.
    Wire(engine::Output),
    /// Hand a request to the hub: [`Hub::handle_request`](crate::hub::Hub::handle_request).
    Hub(Request),
    /// Tell the application.
    Event(Event),
}

/// Something that happened on the connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client has emitted an event. Those of a client that counts them, as the one of this
    /// crate does, come from the hub instead, which knows which link of a session is the present.
    Received {
        /// Its socket.
        socket: SocketKey,
        /// The event.
        event: socket::Event,
        /// What to answer with if the client asked for an acknowledgement.
        ack: Option<AckToken>,
    },
    /// The session has moved from HTTP long-polling to WebSocket.
    Upgraded,
    /// The connection is over. This is the link's last event.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It was queued.
    Queued,
    /// It was volatile, and the client could not take it.
    Dropped,
    /// The client is not in the namespace any more.
    Stale,
    /// Too much is queued at once: it was not queued, and the connection goes on.
    Refused,
    /// The queue was over its limit: the connection is closed. With recovery on the client gets
    /// the event when it comes back.
    Overflowed,
}

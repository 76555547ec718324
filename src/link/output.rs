//! The outputs of a link.

use crate::{
    engine::{CloseReason, EngineOutput},
    hub::{AckToken, Request},
    id::SocketKey,
    socket::{self, NamespaceName},
};

/// Something that the owner of a link has to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkOutput {
    /// Answer an HTTP exchange, send a frame, or close a WebSocket.
    Wire(EngineOutput),
    /// Pass a request to the hub: [`Hub::handle_request`](crate::hub::Hub::handle_request).
    Hub(Request),
    /// Report an event to the application.
    Event(LinkEvent),
}

/// Something that happened on the connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkEvent {
    /// A client has emitted an event. The events of a client that counts them, such as the client
    /// of this crate, come from the hub instead, which knows the current link of the session.
    Received {
        /// Its socket.
        socket: SocketKey,
        /// The namespace.
        namespace: NamespaceName,
        /// The event.
        event: socket::Event,
        /// The token for the answer, if the client asked for an acknowledgement.
        ack: Option<AckToken>,
    },
    /// The session has moved from HTTP long-polling to WebSocket.
    Upgraded,
    /// The connection has ended. This is the last event of the link.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// The result of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivered {
    /// The packet was queued.
    Queued,
    /// The packet was volatile and was dropped, because the client could not take it.
    Dropped,
    /// The client is no longer in the namespace.
    Stale,
    /// Too much is queued at once. The packet was not queued, and the connection continues.
    Refused,
    /// The client does not read, and its queue is full. The connection is closed. With recovery on,
    /// the client gets the event when it comes back.
    Overflowed,
}

//! Packets.

use super::{Args, Event, Json, NamespaceName};

/// One Socket.IO packet, its attachments included.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// The namespace it belongs to.
    pub namespace: NamespaceName,
    /// What it says.
    pub kind: Kind,
}

/// The types of packets. The binary types 5 and 6 are events and acknowledgements with
/// attachments.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Asks to join a namespace (client), or tells that it was joined (server).
    Connect {
        /// A JSON object: credentials, or the ids of the socket.
        auth: Option<Json>,
    },
    /// Leaves a namespace.
    Disconnect,
    /// An event.
    Event {
        /// Name and arguments.
        event: Event,
        /// The id to answer with, if an answer is asked for. At most 2^53 - 1.
        ack: Option<u64>,
    },
    /// The answer to an event.
    Ack {
        /// The id of the event. An answer without one is legal and answers nothing.
        id: Option<u64>,
        /// The arguments of the answer.
        args: Args,
    },
    /// Tells that a namespace was not joined.
    ConnectError {
        /// A JSON string or object.
        error: Option<Json>,
    },
}

//! Packets.

use core::fmt;

use super::{Args, Event, Json, NamespaceName};

/// One Socket.IO packet with its attachments.
///
/// ```
/// use socketio_proto::Limits;
/// use socketio_proto::socket::{Decoder, DecoderLimits, Kind};
///
/// let mut decoder = Decoder::new(DecoderLimits::from(&Limits::new()));
/// let packet = decoder.push_text(r#"0/admin,{"token":"t"}"#.into())?.ok_or("incomplete")?;
/// assert_eq!(packet.namespace.as_str(), "/admin");
/// assert!(matches!(packet.kind, Kind::Connect { auth: Some(auth) } if auth.as_str().contains("t")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// The namespace it belongs to.
    pub namespace: NamespaceName,
    /// The type and the content.
    pub kind: Kind,
}

/// The type and the content of a packet. The binary types 5 and 6 are events and acknowledgements
/// with attachments.
///
/// The set is closed: a revision that adds a type is another protocol.
#[derive(Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "closed: the packet types of the revision")]
pub enum Kind {
    /// Asks to join a namespace (client), or confirms it (server).
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
        /// The id for the answer, if the sender asks for one. At most 2^53 - 1.
        ack: Option<u64>,
    },
    /// The answer to an event.
    Ack {
        /// The id of the event. An answer without an id is legal, and answers nothing.
        id: Option<u64>,
        /// The arguments of the answer.
        args: Args,
    },
    /// Refuses to let the client join a namespace.
    ConnectError {
        /// A JSON string or object.
        error: Option<Json>,
    },
}

impl fmt::Debug for Kind {
    /// Does not show the content of a CONNECT: credentials, or a private id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { .. } => f.debug_struct("Connect").finish_non_exhaustive(),
            Self::Disconnect => f.write_str("Disconnect"),
            Self::Event { event, ack } => {
                f.debug_struct("Event").field("event", event).field("ack", ack).finish()
            }
            Self::Ack { id, args } => {
                f.debug_struct("Ack").field("id", id).field("args", args).finish()
            }
            Self::ConnectError { error } => {
                f.debug_struct("ConnectError").field("error", error).finish()
            }
        }
    }
}

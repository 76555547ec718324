//! Errors as data: a fault of the peer ends a session with a reason, never with a panic.

use thiserror::Error;

/// Text or bytes that are not an Engine.IO packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EngineDecodeError {
    /// The input is empty. Even a packet without a payload has a type.
    #[error("empty packet")]
    Empty,
    /// The first character is not a packet type (`0` to `6`, or `b` for base64).
    #[error("unknown packet type {0:?}")]
    UnknownType(char),
    /// A polling body is not UTF-8.
    #[error("packet is not valid UTF-8")]
    InvalidUtf8,
    /// What follows `b` is not base64 of the standard alphabet.
    #[error("binary packet is not valid base64")]
    InvalidBase64,
    /// The JSON of an open packet does not have the fields of a handshake.
    #[error("open packet is not a handshake")]
    InvalidOpen,
}

/// A packet that was not accepted for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The session is closing or closed.
    #[error("the session is closed")]
    Closed,
    /// On a server: the peer does not read, and the packet would exceed
    /// [`Limits::queued_bytes`](crate::Limits::queued_bytes) or
    /// [`Limits::queued_packets`](crate::Limits::queued_packets). The session has closed itself
    /// with [`CloseReason::Overflow`] and dropped its queue. On a client: the packet would exceed
    /// the limits of the client. The connection continues without the packet.
    #[error("the send queue is at its limit")]
    Overflow,
    /// Too much was sent at once: the packet would exceed
    /// [`Limits::queue_burst_bytes`](crate::Limits::queue_burst_bytes) or
    /// [`Limits::queue_burst_packets`](crate::Limits::queue_burst_packets). The session continues
    /// without the packet.
    #[error("too much is queued at once")]
    Full,
}

/// How a peer violated the rules of its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum TransportFault {
    /// A GET arrived while another one was waiting for packets.
    #[error("two GET requests at the same time")]
    OverlappingPoll,
    /// A POST arrived while another one was being received.
    #[error("two POST requests at the same time")]
    OverlappingPost,
    /// The peer dropped an HTTP exchange before it was answered.
    #[error("a request was aborted")]
    RequestAborted,
    /// A POST of type `application/octet-stream`, which revision 4 does not have.
    #[error("a POST with a binary body")]
    BinaryPost,
    /// A POST or a WebSocket frame larger than `max_payload`.
    #[error("more than max_payload bytes at once")]
    PayloadTooLarge,
    /// The client sent a ping; in revision 4 only servers do.
    #[error("a ping from the client, which is revision 3 or not Engine.IO")]
    HeartbeatDirection,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer broke a rule of the transport, or the transport broke.
    #[error("transport error: {0}")]
    TransportError(TransportFault),
    /// The peer closed: it sent a close packet or its WebSocket went away.
    #[error("the peer closed the connection")]
    TransportClose,
    /// The peer did not answer a ping within `ping_timeout`.
    #[error("no pong in time: the peer is gone or cannot keep up")]
    PingTimeout,
    /// This side called [`close`](super::ServerConnection::close) or
    /// [`abort`](super::ServerConnection::abort).
    #[error("closed by this side")]
    ForcedClose,
    /// The peer sent something that is not a packet.
    #[error("parse error: {0}")]
    ParseError(EngineDecodeError),
    /// Too much was queued for the peer: it did not read, or it would have missed a broadcast that
    /// recovery replays.
    #[error("send queue over its limit: the peer reads too slowly, or the limits are too low")]
    Overflow,
    /// The peer sent more packets than [`Limits::packet_burst`](crate::Limits::packet_burst) and
    /// [`Limits::packets_per_second`](crate::Limits::packets_per_second) allow.
    #[error("packets came too fast: the peer floods, or packets_per_second is too low")]
    RateLimited,
    /// The client joined no namespace within
    /// [`connect_timeout`](crate::ServerConfig::connect_timeout).
    #[error("no namespace was joined within connect_timeout")]
    ConnectTimeout,
    /// An attachment did not follow within
    /// [`attachment_timeout`](crate::ServerConfig::attachment_timeout).
    #[error("an attachment of a packet did not follow within attachment_timeout")]
    AttachmentTimeout,
    /// The server shuts down.
    #[error("the server shuts down")]
    ServerShutdown,
    /// The layer above received packets that its protocol does not allow.
    #[error("the peer broke the protocol of the layer above")]
    ProtocolViolation,
    /// The client sent a packet that the server does not accept, but that an unmodified client can
    /// send if its application makes a mistake: more or larger attachments than
    /// [`Limits`](crate::Limits) allow, or an event without a name. The client can reconnect and
    /// recover.
    #[error(
        "the server does not accept a packet of the client: its application or a limit has to change"
    )]
    InvalidPacket,
    /// The client uses another parser than the default one, such as `socket.io-msgpack-parser`: its
    /// first packet cannot be read, and no other packet could be.
    #[error("the client speaks another parser than the default one")]
    OtherParser,
    /// A newer connection recovered the session of this one.
    #[error("another connection took the session over")]
    TakenOver,
}

impl CloseReason {
    /// Returns the text of this reason in the `close` event of the reference.
    ///
    /// ```
    /// use socketio_proto::engine::CloseReason;
    ///
    /// assert_eq!(CloseReason::PingTimeout.as_str(), "ping timeout");
    /// assert_eq!(CloseReason::ServerShutdown.as_str(), "forced close");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportError(_) => "transport error",
            Self::TransportClose => "transport close",
            Self::PingTimeout => "ping timeout",
            Self::ParseError(_) => "parse error",
            Self::ForcedClose
            | Self::Overflow
            | Self::RateLimited
            | Self::ConnectTimeout
            | Self::AttachmentTimeout
            | Self::ServerShutdown
            | Self::ProtocolViolation
            | Self::InvalidPacket
            | Self::OtherParser
            | Self::TakenOver => "forced close",
        }
    }
}

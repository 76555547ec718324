//! What can go wrong, as data: a peer's faults end a session with a reason, never with a panic.

use thiserror::Error;

/// Text or bytes that are not an Engine.IO packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Nothing at all: even a packet without a payload has its type.
    #[error("empty packet")]
    Empty,
    /// The first character is no packet type (`0` to `6`, or `b` for base64).
    #[error("unknown packet type {0:?}")]
    UnknownType(char),
    /// A polling body that is not UTF-8.
    #[error("packet is not valid UTF-8")]
    InvalidUtf8,
    /// What follows `b` is not base64 of the standard alphabet.
    #[error("binary packet is not valid base64")]
    InvalidBase64,
    /// The JSON of an open packet does not have the fields of a handshake.
    #[error("open packet is not a handshake")]
    InvalidOpen,
}

/// A packet that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The session is closing or closed.
    #[error("the session is closed")]
    Closed,
    /// The peer of a server does not read, and the packet went over
    /// [`Limits::queued_bytes`](crate::Limits::queued_bytes) or
    /// [`Limits::queued_packets`](crate::Limits::queued_packets): the session has closed itself
    /// with [`CloseReason::Overflow`] and dropped its queue. Or the packet went over the limits of
    /// a client, which goes on without it.
    #[error("the send queue is at its limit")]
    Overflow,
    /// Too much was sent at once: the packet went over
    /// [`Limits::queue_burst_bytes`](crate::Limits::queue_burst_bytes) or
    /// [`Limits::queue_burst_packets`](crate::Limits::queue_burst_packets). The session goes on
    /// without it.
    #[error("too much is queued at once")]
    Full,
}

/// What a peer did that its transport does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum TransportFault {
    /// A GET came while another one was waiting for packets.
    #[error("two GET requests at a time")]
    OverlappingPoll,
    /// A POST came while another one was being received.
    #[error("two POST requests at a time")]
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
    ParseError(DecodeError),
    /// The peer does not read as fast as it is written to.
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
    /// The layer above found packets that its protocol does not allow.
    #[error("the peer broke the protocol of the layer above")]
    ProtocolViolation,
    /// The client sent a packet that the server does not take, and that an unmodified client may have
    /// sent for its application: with more or larger attachments than
    /// [`Limits`](crate::Limits) allow, or an event without a name. The client may come back.
    #[error("the client sent a packet that is not taken: its application or a limit has to change")]
    InvalidPacket,
    /// The client's first packet is none of the default parser: it was made with another one, such
    /// as `socket.io-msgpack-parser`, and every packet of it will be like that.
    #[error("the client speaks another parser than the default one")]
    OtherParser,
    /// A newer connection recovered the session of this one.
    #[error("another connection took the session over")]
    TakenOver,
}

impl CloseReason {
    /// Returns the text that the reference gives to its `close` event for this reason.
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

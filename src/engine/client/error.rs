//! Why a client's connection ended.

use thiserror::Error;

use crate::engine::DecodeError;

/// What went wrong with a client's transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClientFault {
    /// A request was answered with another status than 200.
    #[error("a request was answered with status {0}")]
    UnexpectedStatus(u16),
    /// A request was not answered: the network, or the name, or TLS.
    #[error("a request failed")]
    RequestFailed,
    /// The WebSocket could not be opened, or went away before the handshake.
    #[error("the WebSocket could not be opened")]
    WebSocketFailed,
    /// The server began with something else than an open packet.
    #[error("the server did not begin with a handshake")]
    NoHandshake,
    /// A response or a frame was larger than
    /// [`ClientLimits::max_payload`](crate::client::ClientLimits::max_payload).
    #[error("more than max_payload bytes at once")]
    PayloadTooLarge,
    /// The server sent something that is not a packet.
    #[error("{0}")]
    Decode(DecodeError),
}

/// Why a client's connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClientCloseReason {
    /// The transport failed, or could not be opened.
    #[error("transport error: {0}")]
    TransportError(ClientFault),
    /// The server or the network closed the connection.
    #[error("the connection was closed by the other side")]
    TransportClose,
    /// No ping came within `pingInterval` + `pingTimeout`.
    #[error("no ping in time: the server is gone")]
    PingTimeout,
    /// The handshake took longer than
    /// [`open_timeout`](crate::client::ClientConfig::open_timeout).
    #[error("the connection was not opened in time")]
    OpenTimeout,
    /// The layer above received something that is not a packet of its protocol.
    #[error("parse error in the layer above")]
    ParseError,
    /// This side closed.
    #[error("closed by this side")]
    ForcedClose,
}

impl ClientCloseReason {
    /// Returns the text that the reference gives to its `close` event for this reason.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportError(_) => "transport error",
            Self::TransportClose => "transport close",
            Self::PingTimeout => "ping timeout",
            Self::OpenTimeout => "timeout",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
        }
    }
}

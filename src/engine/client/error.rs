//! Why a client's connection ended.

use thiserror::Error;

use crate::engine::EngineDecodeError;

/// A failure of a client's transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClientFault {
    /// A request was answered with a status other than 200.
    #[error("a request was answered with status {0}")]
    UnexpectedStatus(u16),
    /// A request got no response: a failure of the network, of the name look-up, or of TLS.
    #[error("a request failed")]
    RequestFailed,
    /// The WebSocket could not be opened, or was lost before the handshake.
    #[error("the WebSocket could not be opened")]
    WebSocketFailed,
    /// The first packet of the server was not an open packet.
    #[error("the server did not begin with a handshake")]
    NoHandshake,
    /// A response or a frame was larger than
    /// [`ClientLimits::max_payload`](crate::client::ClientLimits::max_payload).
    #[error("more than max_payload bytes at once")]
    PayloadTooLarge,
    /// The server sent something that is not a packet.
    #[error("{0}")]
    Decode(EngineDecodeError),
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
    /// No ping arrived within `pingInterval` + `pingTimeout`.
    #[error("no ping in time: the server is gone")]
    PingTimeout,
    /// The handshake took longer than
    /// [`open_timeout`](crate::client::ClientConfig::open_timeout).
    #[error("the connection was not opened in time")]
    OpenTimeout,
    /// The layer above received something that is not a packet of its protocol.
    #[error("parse error in the layer above")]
    ParseError,
    /// This side closed the connection.
    #[error("closed by this side")]
    ForcedClose,
}

impl ClientCloseReason {
    /// Returns the text of this reason in the `close` event of the reference.
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

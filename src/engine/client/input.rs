//! The inputs of a client's connection.

use core::fmt;

use bytes::Bytes;

use crate::{WireId, engine::Frame, redacted};

/// Something that happened on a wire, or a timeout.
///
/// An input for a wire that the connection does not hold is ignored, so late inputs for finished
/// wires do no harm.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientInput {
    /// A GET or a POST was answered. The wire is finished.
    Response {
        /// The exchange.
        wire: WireId,
        /// The status code.
        status: u16,
        /// The body.
        body: Bytes,
    },
    /// A WebSocket was opened.
    WebSocketOpened {
        /// The WebSocket.
        wire: WireId,
    },
    /// A text or binary message arrived on a WebSocket.
    Frame {
        /// The WebSocket.
        wire: WireId,
        /// The frame.
        frame: Frame,
    },
    /// The server has closed a WebSocket with a close frame. The wire is finished.
    ///
    /// The code can tell that the server rejects what it was sent: see
    /// [`Undeliverable`](crate::client::Undeliverable). Report a WebSocket that was lost without a
    /// close frame as [`WireClosed`](Self::WireClosed). If you do so although there was a close
    /// frame, only that knowledge is lost.
    WebSocketClosed {
        /// The WebSocket.
        wire: WireId,
        /// The status code of the frame; 1005 if it had none.
        code: u16,
    },
    /// A response or a frame is larger than
    /// [`max_payload`](crate::client::ClientLimits::max_payload), and the driver does not read the
    /// rest. The wire is finished.
    ///
    /// Report it so instead of as [`WireClosed`](Self::WireClosed): a lost connection is no reason to give
    /// up a session, but data that cannot be read would be replayed again and again.
    TooLarge {
        /// The WebSocket or the exchange.
        wire: WireId,
    },
    /// A WebSocket was lost or could not be opened, or a request failed without a response. The
    /// wire is finished.
    WireClosed {
        /// The WebSocket or the exchange.
        wire: WireId,
    },
    /// The deadline was reached, and everything that had arrived by `now` was given before. Early,
    /// late and repeated timeouts do no harm: see [time](crate::engine#time).
    Timeout,
}

impl fmt::Debug for ClientInput {
    /// Does not show packets that carry a secret id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response { wire, status, body } => f
                .debug_struct("Response")
                .field("wire", wire)
                .field("status", status)
                .field("body", &redacted::Body(body))
                .finish(),
            Self::WebSocketOpened { wire } => {
                f.debug_struct("WebSocketOpened").field("wire", wire).finish()
            }
            Self::Frame { wire, frame } => {
                f.debug_struct("Frame").field("wire", wire).field("frame", frame).finish()
            }
            Self::WebSocketClosed { wire, code } => {
                f.debug_struct("WebSocketClosed").field("wire", wire).field("code", code).finish()
            }
            Self::TooLarge { wire } => f.debug_struct("TooLarge").field("wire", wire).finish(),
            Self::WireClosed { wire } => f.debug_struct("WireClosed").field("wire", wire).finish(),
            Self::Timeout => f.write_str("Timeout"),
        }
    }
}

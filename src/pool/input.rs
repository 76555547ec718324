//! The inputs of a server or a pool.

use core::fmt;

use bytes::Bytes;

use crate::{
    engine::{Frame, RequestHead},
    id::WireId,
    redacted,
};

/// An input: something that happened on a wire, or a timeout.
#[derive(Clone)]
#[non_exhaustive]
pub enum ServerInput<'a> {
    /// A plain HTTP request arrived.
    Request {
        /// The id of the exchange, chosen by the embedder.
        wire: WireId,
        /// The parts of the request that the protocol needs.
        head: RequestHead<'a>,
        /// The body of a POST. `None` announces that the body is still being received and
        /// [`ServerInput::Body`] will follow. Without this announcement, overlapping and aborted requests
        /// cannot be detected.
        body: Option<Bytes>,
    },
    /// The body of an announced POST. Read at most `max_payload` + 1 bytes of it: a longer one is
    /// refused.
    Body {
        /// The exchange.
        wire: WireId,
        /// The received bytes.
        body: Bytes,
    },
    /// A WebSocket handshake was completed after
    /// [`Server::verify_websocket`](crate::server::Server::verify_websocket).
    WebSocketOpened {
        /// The id of the WebSocket, chosen by the embedder.
        wire: WireId,
        /// The request of its handshake.
        head: RequestHead<'a>,
    },
    /// A data frame (a whole message) arrived on a WebSocket.
    Frame {
        /// The WebSocket.
        wire: WireId,
        /// The message.
        frame: Frame,
    },
    /// A ping or a pong of the WebSocket protocol arrived. The embedder answers it as the WebSocket
    /// protocol requires. It counts against
    /// [`Limits::packets_per_second`](crate::Limits::packets_per_second). If the embedder does not
    /// report these frames, a client can flood it with them without a limit.
    ControlFrame {
        /// The WebSocket.
        wire: WireId,
    },
    /// A close frame of the WebSocket protocol arrived, with any code. So the client closed the
    /// WebSocket itself, and the network did not fail. [`ServerInput::WireClosed`] follows.
    ///
    /// A client that repeatedly closes right after it was sent the same packets refuses one of
    /// them: see [`replay_attempts`](crate::RecoveryConfig::replay_attempts). If the embedder does
    /// not report close frames, this is not detected on WebSockets.
    CloseFrame {
        /// The WebSocket.
        wire: WireId,
    },
    /// The client aborted an exchange, or a WebSocket was closed or lost.
    WireClosed {
        /// The exchange or the WebSocket.
        wire: WireId,
    },
    /// The [`deadline`](crate::server::Server::deadline) has been reached, and all input that had
    /// arrived by `now` was handed in. Early, late and repeated timeouts are harmless: see
    /// [time](crate::engine#time).
    Timeout,
}

impl ServerInput<'_> {
    /// Returns the wire; `None` for a timeout.
    ///
    /// ```
    /// use socketio_proto::{WireId, server::ServerInput};
    ///
    /// assert_eq!(ServerInput::WireClosed { wire: WireId(7) }.wire(), Some(WireId(7)));
    /// assert_eq!(ServerInput::Timeout.wire(), None);
    /// ```
    pub fn wire(&self) -> Option<WireId> {
        match self {
            Self::Request { wire, .. }
            | Self::Body { wire, .. }
            | Self::WebSocketOpened { wire, .. }
            | Self::Frame { wire, .. }
            | Self::ControlFrame { wire }
            | Self::CloseFrame { wire }
            | Self::WireClosed { wire } => Some(*wire),
            Self::Timeout => None,
        }
    }
}

impl fmt::Debug for ServerInput<'_> {
    /// Hides packets, since they can carry a secret id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, wire) = match self {
            Self::Request { wire, .. } => ("Request", wire),
            Self::Body { wire, .. } => ("Body", wire),
            Self::WebSocketOpened { wire, .. } => ("WebSocketOpened", wire),
            Self::Frame { wire, .. } => ("Frame", wire),
            Self::ControlFrame { wire } => ("ControlFrame", wire),
            Self::CloseFrame { wire } => ("CloseFrame", wire),
            Self::WireClosed { wire } => ("WireClosed", wire),
            Self::Timeout => return f.write_str("Timeout"),
        };
        let mut shown = f.debug_struct(name);
        shown.field("wire", wire);
        match self {
            Self::Request { head, body, .. } => {
                shown.field("head", head).field("body", &body.as_deref().map(redacted::Body))
            }
            Self::Body { body, .. } => shown.field("body", &redacted::Body(body)),
            Self::WebSocketOpened { head, .. } => shown.field("head", head),
            Self::Frame { frame, .. } => shown.field("frame", frame),
            Self::ControlFrame { .. }
            | Self::CloseFrame { .. }
            | Self::WireClosed { .. }
            | Self::Timeout => &mut shown,
        };
        shown.finish()
    }
}

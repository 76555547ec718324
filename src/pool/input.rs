//! What goes into a server or a pool.

use core::fmt;

use bytes::Bytes;

use crate::{
    engine::{Frame, RequestHead},
    id::WireId,
    redacted,
};

/// Something that happened outside.
#[derive(Clone)]
pub enum Input<'a> {
    /// A plain HTTP request arrived.
    Request {
        /// The name of the exchange.
        wire: WireId,
        /// What the protocol looks at.
        head: RequestHead<'a>,
        /// The body of a POST, or `None` to announce that it is still being received:
        /// [`Input::Body`] follows. Only then overlapping and aborted requests are recognised.
        body: Option<Bytes>,
    },
    /// The body of an announced POST. Read at most `max_payload` + 1 bytes of it: a longer one is
    /// refused.
    Body {
        /// The exchange.
        wire: WireId,
        /// What was received.
        body: Bytes,
    },
    /// A WebSocket handshake was completed after [`Server::verify`](crate::server::Server::verify).
    WebSocketOpened {
        /// The name of the WebSocket.
        wire: WireId,
        /// The request that it began with.
        head: RequestHead<'a>,
    },
    /// A data frame (a whole message) arrived on a WebSocket.
    Frame {
        /// The WebSocket.
        wire: WireId,
        /// The message.
        frame: Frame,
    },
    /// A ping or a pong of the WebSocket protocol arrived, which the embedder answers as that says.
    /// It counts against [`Limits::packets_per_second`](crate::Limits::packets_per_second): without
    /// a word of it, a client can keep the embedder busy with them as fast as its wire goes.
    ControlFrame {
        /// The WebSocket.
        wire: WireId,
    },
    /// A close frame of the WebSocket protocol arrived, whatever its code: the client has closed the
    /// WebSocket itself, and it is not the network that has lost it. [`Input::WireClosed`] follows.
    ///
    /// A client that does so again and again right after it was sent the same packets refuses one of
    /// them: see [`replay_attempts`](crate::RecoveryConfig::replay_attempts). Without a word of it
    /// that is not noticed on WebSockets.
    CloseFrame {
        /// The WebSocket.
        wire: WireId,
    },
    /// The client aborted an exchange, or a WebSocket was closed or lost.
    WireClosed {
        /// Which.
        wire: WireId,
    },
    /// It is [`deadline`](crate::server::Server::deadline), and everything that had arrived by `now` was
    /// handed in. Early, late and repeated ones are harmless: see [time](crate::engine#time).
    Timeout,
}

impl fmt::Debug for Input<'_> {
    /// Does not show packets that carry a secret id.
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

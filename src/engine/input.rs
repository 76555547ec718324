//! The inputs of a session.

use core::fmt;

use bytes::Bytes;

use super::Frame;
use crate::{WireId, redacted};

/// Something that happened on a wire of a session, or a timeout.
///
/// An input for a wire that the session does not hold is ignored, so late inputs for finished wires
/// do no harm.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineInput {
    /// A GET arrived.
    Poll {
        /// The exchange.
        wire: WireId,
    },
    /// A POST arrived.
    Post {
        /// The exchange.
        wire: WireId,
        /// The body, or `None` if it is still being received: then [`EngineInput::Body`] or
        /// [`EngineInput::WireClosed`] follows.
        body: Option<Bytes>,
        /// Whether its `Content-Type` is exactly `application/octet-stream`.
        binary: bool,
    },
    /// The body of an announced POST. The embedder can stop reading at `max_payload` + 1 bytes,
    /// which is enough for the refusal.
    Body {
        /// The exchange.
        wire: WireId,
        /// The body.
        body: Bytes,
    },
    /// A request with a method other than GET and POST arrived.
    OtherMethod {
        /// The exchange.
        wire: WireId,
    },
    /// A WebSocket that names this session was opened.
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
    /// A ping or a pong of the WebSocket protocol arrived. The embedder answers a ping. Here it
    /// only counts as a packet, because it costs as much.
    ControlFrame {
        /// The WebSocket.
        wire: WireId,
    },
    /// A close frame of the WebSocket protocol arrived: the peer has closed the WebSocket on
    /// purpose; it was not lost with the network. [`EngineInput::WireClosed`] follows.
    CloseFrame {
        /// The WebSocket.
        wire: WireId,
    },
    /// The peer closed a WebSocket, or dropped an HTTP exchange before it was answered.
    WireClosed {
        /// The WebSocket or the exchange.
        wire: WireId,
    },
    /// The [deadline](super::ServerConnection::deadline) was reached, and everything that had
    /// arrived by `now` was given before. If you cannot know that, see [time](super#time).
    Timeout,
}

impl fmt::Debug for EngineInput {
    /// Does not show packets that carry a secret id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, wire) = match self {
            Self::Poll { wire } => ("Poll", wire),
            Self::Post { wire, .. } => ("Post", wire),
            Self::Body { wire, .. } => ("Body", wire),
            Self::OtherMethod { wire } => ("OtherMethod", wire),
            Self::WebSocketOpened { wire } => ("WebSocketOpened", wire),
            Self::Frame { wire, .. } => ("Frame", wire),
            Self::ControlFrame { wire } => ("ControlFrame", wire),
            Self::CloseFrame { wire } => ("CloseFrame", wire),
            Self::WireClosed { wire } => ("WireClosed", wire),
            Self::Timeout => return f.write_str("Timeout"),
        };
        let mut shown = f.debug_struct(name);
        shown.field("wire", wire);
        match self {
            Self::Post { body, binary, .. } => {
                shown.field("body", &body.as_deref().map(redacted::Body)).field("binary", binary)
            }
            Self::Body { body, .. } => shown.field("body", &redacted::Body(body)),
            Self::Frame { frame, .. } => shown.field("frame", frame),
            _ => &mut shown,
        };
        shown.finish()
    }
}

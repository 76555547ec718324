//! What goes into a session and what comes out of it.

use core::fmt;

use bytes::Bytes;

use super::{CloseReason, Frame, Payload, Response};
use crate::{WireId, redacted};

/// Something that happened to a session's wires, or the passing of time.
///
/// A wire that the session does not hold is ignored, so late news of finished wires do no harm.
#[derive(Clone, PartialEq, Eq)]
pub enum Input {
    /// A GET came in.
    Poll {
        /// The exchange.
        wire: WireId,
    },
    /// A POST came in.
    Post {
        /// The exchange.
        wire: WireId,
        /// The body, or `None` if it is still being received: then [`Input::Body`] or
        /// [`Input::WireClosed`] follows.
        body: Option<Bytes>,
        /// Whether its `Content-Type` is exactly `application/octet-stream`.
        binary: bool,
    },
    /// The body of a POST that was announced. The embedder stops reading at `max_payload` + 1
    /// bytes, which suffices to be refused.
    Body {
        /// The exchange.
        wire: WireId,
        /// The body.
        body: Bytes,
    },
    /// A request with a method other than GET and POST came in.
    OtherMethod {
        /// The exchange.
        wire: WireId,
    },
    /// A WebSocket that names this session was opened.
    WebSocketOpened {
        /// The WebSocket.
        wire: WireId,
    },
    /// A frame came in.
    Frame {
        /// The WebSocket.
        wire: WireId,
        /// The frame.
        frame: Frame,
    },
    /// A ping or a pong of the WebSocket protocol itself came in. Whoever reads the WebSocket answers
    /// a ping; here it only counts as a packet, since it costs what one does.
    ControlFrame {
        /// The WebSocket.
        wire: WireId,
    },
    /// A close frame of the WebSocket protocol came in: the peer has closed the WebSocket itself, and
    /// it is not the network that has lost it. [`Input::WireClosed`] follows.
    CloseFrame {
        /// The WebSocket.
        wire: WireId,
    },
    /// The peer closed a WebSocket, or dropped an HTTP exchange before it was answered.
    WireClosed {
        /// The WebSocket or the exchange.
        wire: WireId,
    },
    /// The [deadline](super::ServerConnection::deadline) was reached. Everything that had arrived by
    /// `now` was handed in; if it may not have been, see [time](super#time).
    Timeout,
}

impl fmt::Debug for Input {
    /// Shows no packet that carries an id which is worth a session.
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

/// What is to be done. The order is binding for each wire and among events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Answer the HTTP exchange. The wire is finished.
    Respond {
        /// The exchange.
        wire: WireId,
        /// The answer.
        response: Response,
    },
    /// Send one frame.
    Send {
        /// The WebSocket.
        wire: WireId,
        /// The frame.
        frame: Frame,
    },
    /// Close the WebSocket, or drop the HTTP exchange without an answer. The wire is finished.
    Close {
        /// The WebSocket or the exchange.
        wire: WireId,
        /// The status code of the close frame; `None` for a close frame without one.
        /// [`close_text`](super::close_text) has the words for it.
        code: Option<u16>,
    },
    /// Tell the layer above.
    Event(Event),
}

/// What the layer above wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The session moved from polling to WebSocket.
    Upgraded,
    /// A message came in. A text may be a slice of the frame or POST that carried it.
    Message(Payload),
    /// The session ended. No event follows.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

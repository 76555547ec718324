//! The outputs of a client's connection.

use alloc::string::String;
use core::fmt;

use bytes::Bytes;

use super::{ClientCloseReason, ClientFault};
use crate::{
    WireId,
    engine::{Frame, Payload, Transport},
    redacted,
};

/// Something to do. The order is binding for each wire, and among events.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineClientOutput {
    /// Send a GET.
    Get {
        /// The name of the exchange.
        wire: WireId,
        /// The query string, without the `?`.
        query: String,
    },
    /// Send a POST with `Content-Type: text/plain;charset=UTF-8`.
    Post {
        /// The name of the exchange.
        wire: WireId,
        /// The query string, without the `?`.
        query: String,
        /// The body.
        body: Bytes,
    },
    /// Open a WebSocket.
    OpenWebSocket {
        /// The name of the WebSocket.
        wire: WireId,
        /// The query string, without the `?`.
        query: String,
    },
    /// Send one frame.
    Send {
        /// The WebSocket.
        wire: WireId,
        /// The frame.
        frame: Frame,
    },
    /// Close the WebSocket, open or not, or abandon the exchange. The wire is finished.
    Close {
        /// The WebSocket or the exchange.
        wire: WireId,
    },
    /// Report an event to the layer above.
    Event(EngineClientEvent),
}

impl fmt::Debug for EngineClientOutput {
    /// Does not show packets that carry a secret id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, wire) = match self {
            Self::Get { wire, .. } => ("Get", wire),
            Self::Post { wire, .. } => ("Post", wire),
            Self::OpenWebSocket { wire, .. } => ("OpenWebSocket", wire),
            Self::Send { wire, .. } => ("Send", wire),
            Self::Close { wire } => ("Close", wire),
            Self::Event(event) => return f.debug_tuple("Event").field(event).finish(),
        };
        let mut shown = f.debug_struct(name);
        shown.field("wire", wire);
        match self {
            Self::Get { query, .. } | Self::OpenWebSocket { query, .. } => {
                shown.field("query", &redacted::Query(query))
            }
            Self::Post { query, body, .. } => {
                let query = redacted::Query(query);
                shown.field("query", &query).field("body", &redacted::Body(body))
            }
            Self::Send { frame, .. } => shown.field("frame", frame),
            Self::Close { .. } | Self::Event(_) => &mut shown,
        };
        shown.finish()
    }
}

/// What a connection reports to the layer above.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineClientEvent {
    /// The handshake is complete. Messages can be sent.
    Opened {
        /// The transport that the connection starts with.
        transport: Transport,
    },
    /// A transport could not be opened. The next one is tried.
    TransportFailed {
        /// The one that failed.
        transport: Transport,
        /// How it failed.
        fault: ClientFault,
    },
    /// The connection moved from polling to WebSocket.
    Upgraded,
    /// The connection could not move to WebSocket. It continues over polling.
    UpgradeFailed,
    /// A message arrived.
    Message(Payload),
    /// The connection ended. No event follows.
    Closed {
        /// Why.
        reason: ClientCloseReason,
    },
}

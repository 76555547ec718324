//! The outputs of a session.

use super::{CloseReason, Frame, Payload, Response};
use crate::WireId;

/// Something to do. The order is binding for each wire, and among events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineOutput {
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
    /// Close the WebSocket, or drop the HTTP exchange without a response. The wire is finished.
    Close {
        /// The WebSocket or the exchange.
        wire: WireId,
        /// The status code of the close frame; `None` for a close frame without one.
        /// [`close_text`](super::close_text) has its text.
        code: Option<u16>,
    },
    /// Report an event to the layer above.
    Event(EngineEvent),
}

/// What a session reports to the layer above.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineEvent {
    /// The session moved from polling to WebSocket.
    Upgraded,
    /// A message arrived. A text may be a slice of the frame or POST body that carried it.
    Message(Payload),
    /// The session ended. No event follows.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

//! What comes out of a pool.

use crate::{
    engine::{self, Frame, Response},
    hub::{Event, Request},
    id::{ConnectionId, WireId},
};

/// What the owner of a pool has to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output<D> {
    /// Answer an HTTP exchange. The wire is finished.
    Respond {
        /// The exchange.
        wire: WireId,
        /// The answer.
        response: Response,
    },
    /// Send a message on a WebSocket.
    Send {
        /// The WebSocket.
        wire: WireId,
        /// The message.
        frame: Frame,
    },
    /// Close a WebSocket, with a status code if there is one, or drop an HTTP exchange without an
    /// answer. The wire is finished.
    Close {
        /// Which.
        wire: WireId,
        /// The status code of the close frame. [`engine::close_text`] has the words for it.
        code: Option<u16>,
    },
    /// Hand a request to the hub: [`Hub::handle_request`](crate::hub::Hub::handle_request).
    Request {
        /// The connection that it comes from.
        from: ConnectionId,
        /// What to hand over.
        request: Request,
    },
    /// Tell the application.
    Event(Event<D>),
}

impl<D> Output<D> {
    pub(super) fn from_wire(output: engine::Output) -> Option<Self> {
        match output {
            engine::Output::Respond { wire, response } => Some(Self::Respond { wire, response }),
            engine::Output::Send { wire, frame } => Some(Self::Send { wire, frame }),
            engine::Output::Close { wire, code } => Some(Self::Close { wire, code }),
            engine::Output::Event(_) => None,
        }
    }
}

//! The outputs of a pool.

use crate::{
    engine::{EngineOutput, Frame, Response},
    hub::{Request, ServerEvent},
    id::{ConnectionId, WireId},
};

/// An output that the owner of a pool must carry out.
#[derive(Debug)]
#[non_exhaustive]
pub enum PoolOutput<D> {
    /// Answer an HTTP exchange. The wire is then finished.
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
    /// answer. The wire is then finished.
    Close {
        /// The WebSocket or the exchange.
        wire: WireId,
        /// The status code of the close frame. [`close_text`](crate::engine::close_text) returns the reason text for
        /// it.
        code: Option<u16>,
    },
    /// Hand a request to the hub: [`Hub::handle_request`](crate::hub::Hub::handle_request).
    Request {
        /// The connection that the request comes from.
        from: ConnectionId,
        /// The request.
        request: Request,
    },
    /// Report an event to the application.
    Event(ServerEvent<D>),
}

/// What the links of a pool report to the hub or to the application.
#[derive(Debug)]
pub(crate) enum LinkReport<D> {
    /// See [`PoolOutput::Request`].
    Request { from: ConnectionId, request: Request },
    /// See [`PoolOutput::Event`].
    Event(ServerEvent<D>),
}

impl<D> From<LinkReport<D>> for PoolOutput<D> {
    fn from(report: LinkReport<D>) -> Self {
        match report {
            LinkReport::Request { from, request } => Self::Request { from, request },
            LinkReport::Event(event) => Self::Event(event),
        }
    }
}

impl<D> PoolOutput<D> {
    pub(super) fn from_wire(output: EngineOutput) -> Option<Self> {
        match output {
            EngineOutput::Respond { wire, response } => Some(Self::Respond { wire, response }),
            EngineOutput::Send { wire, frame } => Some(Self::Send { wire, frame }),
            EngineOutput::Close { wire, code } => Some(Self::Close { wire, code }),
            EngineOutput::Event(_) => None,
        }
    }
}

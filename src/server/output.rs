//! The outputs of a server.

use crate::{
    cluster::ClusterOutput,
    engine::{EngineOutput, Frame, Response},
    hub::ServerEvent,
    id::WireId,
};

/// An output that the embedder must carry out.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerOutput<D> {
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
        /// The status code of the close frame. [`close_text`](crate::engine::close_text) returns
        /// the reason text for it.
        code: Option<u16>,
    },
    /// Report an event to the application.
    Event(ServerEvent<D>),
    /// Hand a command to the engine of the cluster. Only of a server that was
    /// [made for one](crate::server::Server::clustered).
    Cluster(ClusterOutput),
}

impl<D> ServerOutput<D> {
    pub(super) fn from_wire(output: EngineOutput) -> Option<Self> {
        match output {
            EngineOutput::Respond { wire, response } => Some(Self::Respond { wire, response }),
            EngineOutput::Send { wire, frame } => Some(Self::Send { wire, frame }),
            EngineOutput::Close { wire, code } => Some(Self::Close { wire, code }),
            EngineOutput::Event(_) => None,
        }
    }
}

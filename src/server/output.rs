//! What comes out of a server.

use crate::{
    engine::{Frame, Response},
    hub::Event,
    id::WireId,
    pool,
};

/// Something to do.
#[derive(Debug)]
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
        /// The status code of the close frame. [`close_text`](crate::engine::close_text) has the words for it.
        code: Option<u16>,
    },
    /// Tell the application.
    Event(Event<D>),
}

impl<D> Output<D> {
    /// The same without what the hub is asked.
    pub(super) fn from_pool(output: pool::Output<D>) -> Option<Self> {
        match output {
            pool::Output::Respond { wire, response } => Some(Self::Respond { wire, response }),
            pool::Output::Send { wire, frame } => Some(Self::Send { wire, frame }),
            pool::Output::Close { wire, code } => Some(Self::Close { wire, code }),
            pool::Output::Event(event) => Some(Self::Event(event)),
            pool::Output::Request { .. } => None,
        }
    }
}

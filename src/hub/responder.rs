//! Who has acknowledged a broadcast.

use crate::{cluster::message::NodeId, id::SocketKey};

/// Who has acknowledged a broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Responder {
    /// A socket of this server.
    Socket(SocketKey),
    /// A socket of another node of the cluster. Which one, that node does not tell. Of its answer,
    /// only the first argument comes.
    Node(NodeId),
}

impl Responder {
    /// Returns the socket, if it is one of this server.
    pub const fn socket(&self) -> Option<SocketKey> {
        match self {
            Self::Socket(socket) => Some(*socket),
            Self::Node(_) => None,
        }
    }
}

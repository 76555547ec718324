//! Messages.

use alloc::vec::Vec;

use bytestring::ByteString;

use super::{BroadcastOptions, ClusterBroadcast, NodeId, OwnKind, RequestId, SocketDetails, Value};
use crate::{
    recovery::Offset,
    socket::{Args, NamespaceName},
};

/// What one node says to the others about one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The node that says it, `uid` on the wire.
    pub sender: NodeId,
    /// The namespace that it is about.
    pub namespace: NamespaceName,
    /// The mark of the sender. Official nodes set none.
    pub stamp: Option<Stamp>,
    /// Where in the channel the sender was when it sent a message that is not in the channel. A reader
    /// of this crate answers a request only when it has read up to there as well. Official nodes
    /// set none, and ignore it.
    pub after: Option<Offset>,
    /// What it says.
    pub body: Body,
}

impl Message {
    /// Makes a message without a mark.
    ///
    /// ```
    /// use socketio_proto::cluster::message::{Body, Message, NodeId};
    /// use socketio_proto::socket::NamespaceName;
    ///
    /// let node = NodeId::new("f0aebfa2cd17e8df").ok_or("not an id")?;
    /// let message = Message::new(node, NamespaceName::ROOT, Body::Heartbeat);
    /// assert_eq!(message.body.kind(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn new(sender: NodeId, namespace: NamespaceName, body: Body) -> Self {
        Self { sender, namespace, stamp: None, after: None, body }
    }

    /// Sets the position that the sender had read.
    #[must_use]
    pub const fn after(mut self, position: Option<Offset>) -> Self {
        self.after = position;
        self
    }

    /// Adds the mark of the sender.
    #[must_use]
    pub const fn stamped(mut self, stamp: Stamp) -> Self {
        self.stamp = Some(stamp);
        self
    }
}

/// The mark that a node of this crate puts on what it says, so that its readers recognise a message
/// that arrives twice, and so that it recognises its own.
///
/// It travels in fields that official nodes ignore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Stamp {
    /// The number of the message, over all messages of its sender.
    pub sequence: u64,
    /// A random number that the sender has drawn for this message, or for all of its messages.
    pub nonce: u64,
}

impl Stamp {
    /// Makes a mark.
    pub const fn new(sequence: u64, nonce: u64) -> Self {
        Self { sequence, nonce }
    }
}

/// What a [`Message`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// The sender is new. Others answer with a [`Heartbeat`](Self::Heartbeat).
    InitialHeartbeat,
    /// The sender is still there.
    Heartbeat,
    /// The sender goes away.
    AdapterClose,
    /// A packet for the clients of some rooms.
    Broadcast(ClusterBroadcast),
    /// The sockets of some rooms join other rooms.
    SocketsJoin {
        /// Which sockets.
        options: BroadcastOptions,
        /// The rooms that they join.
        rooms: Vec<ByteString>,
    },
    /// The sockets of some rooms leave rooms.
    SocketsLeave {
        /// Which sockets.
        options: BroadcastOptions,
        /// The rooms that they leave.
        rooms: Vec<ByteString>,
    },
    /// The sockets of some rooms are disconnected.
    DisconnectSockets {
        /// Which sockets.
        options: BroadcastOptions,
        /// Whether their connections are closed as well.
        close: bool,
    },
    /// A request to describe the sockets of some rooms.
    FetchSockets {
        /// Which sockets.
        options: BroadcastOptions,
        /// Names the request in the answer.
        request: RequestId,
    },
    /// The answer to [`FetchSockets`](Self::FetchSockets).
    FetchSocketsResponse {
        /// The request.
        request: RequestId,
        /// The sockets of the sender.
        sockets: Vec<SocketDetails>,
    },
    /// An event for the servers themselves.
    ServerSideEmit {
        /// The name of the event and its arguments.
        packet: Args,
        /// Names the request in the answer, if one is asked for.
        request: Option<RequestId>,
    },
    /// The answer to [`ServerSideEmit`](Self::ServerSideEmit).
    ServerSideEmitResponse {
        /// The request.
        request: RequestId,
        /// The first argument of the answer.
        answer: Value,
    },
    /// How many clients of the sender a broadcast with acknowledgements was sent to.
    BroadcastClientCount {
        /// The request.
        request: RequestId,
        /// Clients.
        client_count: u64,
    },
    /// The answer of one client to a broadcast with acknowledgements.
    BroadcastAck {
        /// The request.
        request: RequestId,
        /// The first argument of the answer.
        answer: Value,
    },
    /// Something between nodes of this crate, which official nodes ignore.
    Own {
        /// What it is.
        kind: OwnKind,
        /// Its contents.
        data: Value,
    },
    /// Something that this version does not know. It has to be ignored, but its position in a log
    /// is a position like any other.
    Unknown {
        /// The number on the wire.
        kind: u64,
    },
}

impl Body {
    /// Whether what an official node has published belongs into the log. It does not tell.
    pub(crate) const fn is_entry(&self) -> bool {
        match self {
            Self::Broadcast(broadcast) => {
                broadcast.request.is_none() && broadcast.options.flags.volatile.is_none()
            }
            Self::SocketsJoin { .. }
            | Self::SocketsLeave { .. }
            | Self::DisconnectSockets { .. } => true,
            _ => false,
        }
    }

    /// Returns the number of the message on the wire, `type`.
    pub const fn kind(&self) -> u64 {
        match self {
            Self::InitialHeartbeat => 1,
            Self::Heartbeat => 2,
            Self::Broadcast(_) => 3,
            Self::SocketsJoin { .. } => 4,
            Self::SocketsLeave { .. } => 5,
            Self::DisconnectSockets { .. } => 6,
            Self::FetchSockets { .. } => 7,
            Self::FetchSocketsResponse { .. } => 8,
            Self::ServerSideEmit { .. } => 9,
            Self::ServerSideEmitResponse { .. } => 10,
            Self::BroadcastClientCount { .. } => 11,
            Self::BroadcastAck { .. } => 12,
            Self::AdapterClose => 13,
            Self::Own { kind, .. } => kind.number(),
            Self::Unknown { kind } => *kind,
        }
    }

    /// Returns the request that it answers, if it is an answer.
    pub const fn answers(&self) -> Option<&RequestId> {
        match self {
            Self::FetchSocketsResponse { request, .. }
            | Self::ServerSideEmitResponse { request, .. }
            | Self::BroadcastClientCount { request, .. }
            | Self::BroadcastAck { request, .. } => Some(request),
            _ => None,
        }
    }
}

//! What links and the hub tell each other. All of it is `Send` and opaque.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use smallvec::SmallVec;

use super::reason::DisconnectReason;
use crate::{
    engine::CloseReason,
    id::{ConnectionId, SocketKey},
    socket::{self, Args, Encoded, Json, NamespaceName},
};

/// From a link to the hub.
pub struct Request(pub(crate) RequestKind);

pub(crate) enum RequestKind {
    /// The client wants to join a namespace, instead of what it asked for with `former`, if it
    /// has not been answered that. Once this is decided, `replaced` is over: the session that it
    /// has there, from which it has been sent something.
    Connect {
        namespace: NamespaceName,
        serial: ConnectSerial,
        auth: Option<Json>,
        former: Option<ConnectSerial>,
        replaced: Option<Attached>,
    },
    /// The link has heard that the client was let in.
    Admitted { socket: Attached },
    /// The client has repeated the CONNECT that it was let in with: it is answered again.
    Repeat { socket: Attached, serial: ConnectSerial },
    /// The client wanted to join one namespace too many, and was answered so.
    Overcrowded,
    /// The client has sent a CONNECT that cannot be read, and was answered so.
    InvalidConnect,
    /// The client has sent a packet to a namespace that it is not in, which was ignored.
    Misplaced,
    /// The client has broken the protocol in one namespace.
    Violation,
    /// The client that wanted to has gone. It may have been let in meanwhile.
    Cancel { namespace: NamespaceName, serial: ConnectSerial, reason: DisconnectReason },
    /// A socket has lost this link.
    Detach { socket: Attached, reason: DisconnectReason },
    /// The same after the client has closed the link in an orderly way, when what it had missed was
    /// on its way already.
    Leave { socket: Attached, reason: DisconnectReason },
    /// The client has acknowledged an event.
    Ack { socket: Attached, id: u64, args: Args },
    /// A client that counts its events has emitted one.
    Event { socket: Attached, event: socket::Event, ack: Option<u64> },
    /// Such a client asks how many were received, and for the answers to these again.
    Confirm { socket: Attached, ids: Vec<u64> },
}

/// From the hub to a link.
pub struct Reply(pub(crate) ReplyKind);

pub(crate) enum ReplyKind {
    /// The client is in; the packets are the CONNECT answer and what it missed.
    Connected {
        namespace: NamespaceName,
        serial: ConnectSerial,
        socket: Attached,
        packets: Vec<Encoded>,
    },
    /// The client is in as before; the packet is the CONNECT answer.
    Repeated { socket: Attached, serial: ConnectSerial, packet: Encoded },
    /// The client is not let in.
    Refused { namespace: NamespaceName, serial: ConnectSerial, packet: Encoded },
    /// The server has disconnected the socket, and the connection if `close` holds.
    Disconnected { socket: Attached, close: bool },
    /// The connection is to be closed at once.
    Close { reason: CloseReason },
}

impl fmt::Debug for Request {
    /// Shows nothing, since a CONNECT carries a private id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request(..)")
    }
}

impl fmt::Debug for Reply {
    /// Shows nothing, since the answer to a CONNECT carries a private id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply(..)")
    }
}

/// Which CONNECT of a link is meant: an answer to an older one is none to the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectSerial(u64);

impl ConnectSerial {
    /// Returns the present one and goes on to the next.
    pub(crate) fn take(&mut self) -> Self {
        let present = *self;
        self.0 = self.0.wrapping_add(1);
        present
    }
}

/// A socket on one of the links that it has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) key: SocketKey,
    pub(crate) attachment: u32,
}

/// One packet and the links that it goes to.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub(crate) namespace: u32,
    pub(crate) packet: Encoded,
    pub(crate) reliability: Reliability,
    pub(crate) to: SmallVec<[ConnectionId; 1]>,
}

/// What becomes of a packet that a link cannot take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reliability {
    /// It is dropped.
    Volatile,
    /// It is refused, and the emitter told; a link that does not read is closed.
    Reliable,
    /// The link is closed: the packet is replayed, or asked for again, when the client comes back.
    Owed,
}

impl Reliability {
    pub(crate) fn of_event(is_volatile: bool, is_logged: bool) -> Self {
        match (is_volatile, is_logged) {
            (true, _) => Self::Volatile,
            (false, false) => Self::Reliable,
            (false, true) => Self::Owed,
        }
    }
}

impl Delivery {
    /// Returns the links to hand the delivery to; [`Link::deliver`](crate::link::Link::deliver)
    /// does the rest.
    pub fn recipients(&self) -> &[ConnectionId] {
        &self.to
    }
}

/// Entitles to acknowledge one event of a client, once. Consumed by
/// [`At::ack`](crate::hub::At::ack) or, if the event could not be handled, by
/// [`At::withdraw`](crate::hub::At::withdraw).
#[derive(Debug, PartialEq, Eq)]
pub struct AckToken {
    pub(crate) socket: Attached,
    pub(crate) id: u64,
    /// Whether the client counts its events: then an answer is good on any link of the session.
    pub(crate) is_counted: bool,
    /// What the event was accepted under.
    pub(crate) offset: Option<Box<str>>,
}

impl AckToken {
    pub(crate) fn new(socket: Attached, id: u64) -> Self {
        Self { socket, id, is_counted: false, offset: None }
    }

    /// Returns the socket whose client waits for the acknowledgement.
    pub fn socket(&self) -> SocketKey {
        self.socket.key
    }
}

/// Whether an event is to be handled. See [`At::accept_once`](crate::hub::At::accept_once).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a duplicate is not to be handled"]
pub enum Once {
    /// It is new: handle it, and acknowledge it with this token if the client asked for that.
    Fresh(Option<AckToken>),
    /// It was accepted before, and there is nothing to do. It is acknowledged like the first one:
    /// now, or together with that.
    Duplicate,
}

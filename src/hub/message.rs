//! Messages between links and the hub. All of them are `Send` and opaque.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use smallvec::SmallVec;

use super::reason::DisconnectReason;
use crate::{
    engine::CloseReason,
    id::{ConnectionId, SocketKey},
    socket::{self, Args, Encoded, Json, NamespaceName},
};

/// A message from a link to the hub.
pub struct Request(pub(crate) RequestKind);

pub(crate) enum RequestKind {
    /// The client asks to join a namespace. This replaces its CONNECT `earlier`, if that has not
    /// been answered. When this request is decided, the session `replaced` ends: the client already
    /// has it in the namespace, and was sent packets from it.
    Connect {
        namespace: NamespaceName,
        serial: ConnectSerial,
        auth: Option<Json>,
        earlier: Option<ConnectSerial>,
        replaced: Option<Attached>,
    },
    /// The link has learned that the client was accepted.
    Admitted { socket: Attached },
    /// The client has repeated the CONNECT that was accepted. It is answered again.
    Repeat { socket: Attached, serial: ConnectSerial },
    /// The client asked to join more namespaces than allowed, and the link has refused it.
    Overcrowded,
    /// The client has sent an invalid CONNECT, and the link has refused it.
    InvalidConnect,
    /// The client has sent a packet to a namespace that it is not in. The packet was ignored.
    Misplaced,
    /// The client has broken the protocol in one namespace.
    Violation,
    /// The client that asked to join is gone. It may have been accepted meanwhile.
    Cancel { namespace: NamespaceName, serial: ConnectSerial, reason: DisconnectReason },
    /// A socket has lost this link.
    Detach { socket: Attached, reason: DisconnectReason },
    /// A socket has lost this link, because the client closed it in an orderly way after the replay
    /// had begun to leave.
    Leave { socket: Attached, reason: DisconnectReason },
    /// The client has acknowledged an event.
    Ack { socket: Attached, id: u64, args: Args },
    /// A client that counts its events has emitted one.
    Event { socket: Attached, event: socket::Event, ack: Option<u64> },
    /// Such a client asks how many events were received, and asks again for the answers to these
    /// events.
    Confirm { socket: Attached, ids: Vec<u64> },
}

/// A message from the hub to a link.
pub struct Reply(pub(crate) ReplyKind);

pub(crate) enum ReplyKind {
    /// The client is accepted. The packets are the answer to CONNECT and the missed packets.
    Connected {
        namespace: NamespaceName,
        serial: ConnectSerial,
        socket: Attached,
        packets: Vec<Encoded>,
    },
    /// The client repeated its CONNECT. The packet is the same answer as before.
    Repeated { socket: Attached, serial: ConnectSerial, packet: Encoded },
    /// The client is rejected.
    Refused { namespace: NamespaceName, serial: ConnectSerial, packet: Encoded },
    /// The server has disconnected the socket. If `close` is true, the connection is closed, too.
    Disconnected { socket: Attached, close: bool },
    /// The connection must be closed immediately.
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

/// Identifies a CONNECT of a link, so that an answer to an older one does not count for the latest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectSerial(u64);

impl ConnectSerial {
    /// Returns the current serial number and advances to the next.
    pub(crate) fn take(&mut self) -> Self {
        let present = *self;
        self.0 = self.0.wrapping_add(1);
        present
    }
}

/// A socket together with one of the links that it has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) key: SocketKey,
    pub(crate) attachment: u32,
}

/// A packet and the links that receive it.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub(crate) namespace: u32,
    pub(crate) packet: Encoded,
    pub(crate) reliability: Reliability,
    pub(crate) to: SmallVec<[ConnectionId; 1]>,
}

/// What happens to a packet that does not fit into the queue of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reliability {
    /// It is dropped.
    Volatile,
    /// It is refused, and the application is told. A link whose client does not read is closed.
    Reliable,
    /// The link is closed. When the client comes back, the packet is replayed, or the client asks
    /// for it again.
    Owed,
    /// The same, for an answer to the client. How many the client gets at once, it decides itself,
    /// so an answer that exceeds the limits of a burst also fits within those for a client that
    /// does not read.
    Answer,
}

impl Reliability {
    /// Whether an event is logged, so that recovery replays it.
    pub(crate) fn is_logged(self) -> bool {
        self == Self::Owed
    }

    pub(crate) fn of_event(is_volatile: bool, is_logged: bool) -> Self {
        match (is_volatile, is_logged) {
            (true, _) => Self::Volatile,
            (false, false) => Self::Reliable,
            (false, true) => Self::Owed,
        }
    }
}

impl Delivery {
    /// Returns the links that must get the delivery. Give it to
    /// [`Link::deliver`](crate::link::Link::deliver) of each.
    pub fn recipients(&self) -> &[ConnectionId] {
        &self.to
    }
}

/// Allows the application to acknowledge one event of a client, once. Consumed by
/// [`At::ack`](crate::hub::At::ack) or, if the event could not be handled, by
/// [`At::withdraw`](crate::hub::At::withdraw).
#[derive(Debug, PartialEq, Eq)]
pub struct AckToken {
    pub(crate) socket: Attached,
    pub(crate) id: u64,
    /// Whether the client counts its events. Then an answer may go to any link of the session.
    pub(crate) is_counted: bool,
    /// The client offset of the event, if it was accepted with one.
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

/// Whether to handle an event. See [`At::accept_once`](crate::hub::At::accept_once).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a duplicate is not to be handled"]
#[expect(clippy::exhaustive_enums, reason = "closed: an event is new or not")]
pub enum Once {
    /// The event is new. Handle it, and acknowledge it with this token if the client asked for an
    /// acknowledgement.
    Fresh(Option<AckToken>),
    /// The event was accepted before. Do nothing: the library acknowledges it with the same answer
    /// as the first one, now or when that answer comes.
    Duplicate,
}

//! What comes out of a client.

use bytestring::ByteString;

use super::{AckFailure, BufferedEvent, ConnectError, DisconnectReason, Undeliverable};
use crate::{
    engine::{ClientCloseReason, ClientFault, ClientOutput, Transport},
    id::AckId,
    socket::{self, Args, NamespaceName},
    time::Timestamp,
};

/// Something to do.
#[derive(Debug)]
pub enum Output {
    /// Start a request, open a WebSocket, send a frame, close a wire. Never
    /// [`ClientOutput::Event`].
    Wire(ClientOutput),
    /// Tell the application.
    Event(Event),
}

/// Something that the application may want to know or has to answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The Engine.IO connection is open.
    ConnectionOpened {
        /// The transport that it starts with.
        transport: Transport,
    },
    /// A transport could not be opened; the next one is tried.
    TransportFailed {
        /// The one that failed.
        transport: Transport,
        /// How.
        fault: ClientFault,
    },
    /// The connection has moved from HTTP long-polling to WebSocket.
    ConnectionUpgraded,
    /// The connection could not move to WebSocket; it goes on polling.
    UpgradeFailed,
    /// The connection is over, or could not be opened. Its namespaces were reported as
    /// disconnected before.
    ConnectionClosed {
        /// Why.
        reason: ClientCloseReason,
        /// Whether it was open.
        was_open: bool,
    },
    /// The next attempt to connect will be made by itself.
    Reconnecting {
        /// Which attempt in a row, from 1.
        attempt: u32,
        /// When.
        at: Timestamp,
    },
    /// There will be no further attempt:
    /// [`reconnection_attempts`](super::ClientConfig::reconnection_attempts) were made.
    ReconnectionFailed,
    /// A namespace is about to be joined, and the application wants to provide fresh credentials
    /// each time. Answer with [`Client::provide_auth`](super::Client::provide_auth) within
    /// [`connect_timeout`](super::ClientConfig::connect_timeout).
    AuthRequested {
        /// The namespace.
        namespace: NamespaceName,
        /// What to answer.
        request: AuthRequest,
    },
    /// A namespace was joined. What was missed follows if the session was recovered, then what is
    /// live.
    Connected {
        /// The namespace.
        namespace: NamespaceName,
        /// The public id of the socket, the same as before if it was recovered.
        id: ByteString,
        /// Whether the session is the one of before: events that were missed follow, and none is
        /// missing.
        recovered: bool,
    },
    /// A namespace was not joined.
    ConnectError {
        /// The namespace.
        namespace: NamespaceName,
        /// Why.
        error: ConnectError,
    },
    /// The server has emitted an event.
    Received {
        /// The namespace.
        namespace: NamespaceName,
        /// The event. With recovery its last argument may be the offset that the server appended.
        event: socket::Event,
        /// What to pass to [`Client::ack`](super::Client::ack) if the server asked for an
        /// acknowledgement.
        ack: Option<AckToken>,
    },
    /// The server has acknowledged an event.
    Acked {
        /// The namespace.
        namespace: NamespaceName,
        /// Which acknowledgement.
        ack: AckId,
        /// What the server answered.
        args: Args,
    },
    /// An acknowledgement will not come.
    AckFailed {
        /// The namespace.
        namespace: NamespaceName,
        /// Which acknowledgement.
        ack: AckId,
        /// Why.
        cause: AckFailure,
    },
    /// A buffered event was given up, since it had waited for
    /// [`buffered_age`](super::ClientLimits::buffered_age).
    BufferExpired {
        /// The namespace.
        namespace: NamespaceName,
        /// The event.
        event: BufferedEvent,
    },
    /// An event was sent in a session that is over, and the server has not confirmed it: it has
    /// arrived or not, and is not sent again. Reported for servers that confirm, and for events
    /// that asked for no acknowledgement, or for one that only a former process waited for; the
    /// others fail as [`Disconnected`](AckFailure). Also reported for what a state has that is
    /// [out of date](Self::StateOutOfDate).
    Unconfirmed {
        /// The namespace.
        namespace: NamespaceName,
        /// The event.
        event: BufferedEvent,
    },
    /// The server does not take an event: it is not sent, or not again, and what stands behind it
    /// goes on. An acknowledgement that it asked for fails as
    /// [`Undeliverable`](AckFailure::Undeliverable).
    Undeliverable {
        /// The namespace.
        namespace: NamespaceName,
        /// The event.
        event: BufferedEvent,
        /// Why.
        cause: Undeliverable,
    },
    /// The session goes on, and the server has events of it that this client has not sent: the
    /// [state](super::ClientState) that it was restored from is out of date, or is in use elsewhere.
    /// What the state has and the server has not confirmed has arrived or not. It is reported as
    /// [`Unconfirmed`](Self::Unconfirmed) and not sent, except what is
    /// [sent with retries](super::Client::emit_with_retries), which may arrive twice. Comes before
    /// [`Connected`](Self::Connected).
    StateOutOfDate {
        /// The namespace.
        namespace: NamespaceName,
        /// How many events at least.
        unknown: u64,
    },
    /// What the session goes on with could not be read,
    /// [`refusals`](super::ClientLimits::refusals) times in a row: more than
    /// [`ClientLimits`](super::ClientLimits) allow, or not a packet. The session is given up, and
    /// with it what was missed: the next one will be new.
    ReplayUnreadable {
        /// The namespace.
        namespace: NamespaceName,
    },
    /// More was replayed than [`ClientLimits`](super::ClientLimits) allow to hold back. The
    /// session is given up: the next one will be new.
    ReplayOverflow {
        /// The namespace.
        namespace: NamespaceName,
    },
    /// A namespace that was joined is left.
    Disconnected {
        /// The namespace.
        namespace: NamespaceName,
        /// Why.
        reason: DisconnectReason,
        /// Whether it is joined again by itself once there is a connection.
        rejoins: bool,
    },
}

/// Names an [`Event::AuthRequested`] that waits for the application's answer. A stale one is a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthRequest {
    pub(super) slot: u64,
    pub(super) serial: u64,
}

/// Entitles to acknowledge one event of the server, once. Consumed by
/// [`Client::ack`](super::Client::ack).
#[derive(Debug, PartialEq, Eq)]
pub struct AckToken {
    pub(super) slot: u64,
    pub(super) generation: u64,
    pub(super) id: u64,
}

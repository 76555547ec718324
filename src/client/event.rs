//! What comes out of a client.

use bytestring::ByteString;

use super::{BufferedEvent, ClientAckFailure, ClientDisconnectReason, ConnectError, Undeliverable};
use crate::{
    engine::{ClientCloseReason, ClientFault, EngineClientOutput, Transport},
    id::AckId,
    socket::{self, Args, NamespaceName},
    time::Timestamp,
};

/// Something for the driver to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientOutput {
    /// Start a request, open a WebSocket, send a frame, or close a wire. Never
    /// [`EngineClientOutput::Event`].
    Wire(EngineClientOutput),
    /// Pass an event to the application.
    Event(ClientEvent),
}

/// What the client reports to the application or asks it.
///
/// ```
/// use socketio_proto::Timestamp;
/// use socketio_proto::client::{Client, ClientEvent};
/// use socketio_proto::socket::{Args, Json};
///
/// fn handle_event(client: &mut Client, now: Timestamp, event: ClientEvent) {
///     match event {
///         ClientEvent::Connected { namespace, recovered: false, .. } => {
///             println!("{namespace}: a new session, so ask for what was missed");
///         }
///         ClientEvent::Received { event, ack, .. } => {
///             println!("{}: {:?}", event.name(), event.parse::<(String,)>());
///             if let Some(token) = ack {
///                 client.ack(now, token, &Args::empty());
///             }
///         }
///         ClientEvent::AckFailed { ack, cause, .. } => println!("{ack:?}: {cause:?}"),
///         ClientEvent::AuthRequested { request, .. } => {
///             let auth = Json::from_text(r#"{"token":"new"}"#).expect("valid JSON");
///             client.provide_auth(now, request, &auth).expect("an object");
///         }
///         ClientEvent::Disconnected { namespace, rejoins: false, .. } => {
///             println!("{namespace}: call `connect` to join it again");
///         }
///         _ => {}
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The Engine.IO connection is open.
    ConnectionOpened {
        /// The first transport.
        transport: Transport,
    },
    /// A transport could not be opened. The next one is tried.
    TransportFailed {
        /// The transport that failed.
        transport: Transport,
        /// How it failed.
        fault: ClientFault,
    },
    /// The connection was upgraded from HTTP long-polling to WebSocket.
    ConnectionUpgraded,
    /// The upgrade to WebSocket failed. The connection continues with HTTP long-polling.
    UpgradeFailed,
    /// The connection has ended or could not be opened. Its namespaces were reported as disconnected
    /// before.
    ConnectionClosed {
        /// The reason.
        reason: ClientCloseReason,
        /// Whether it was open.
        was_open: bool,
    },
    /// The next automatic attempt to connect is planned.
    Reconnecting {
        /// The number of consecutive attempts, from 1.
        attempt: u32,
        /// When it is made.
        at: Timestamp,
    },
    /// There is no further automatic attempt:
    /// [`reconnection_attempts`](super::ClientConfig::reconnection_attempts) were made.
    ReconnectionFailed,
    /// A namespace is about to be joined with [`Auth::Ask`](super::Auth::Ask), and the client asks for
    /// credentials. Answer with [`Client::provide_auth`](super::Client::provide_auth) within
    /// [`connect_timeout`](super::ClientConfig::connect_timeout).
    AuthRequested {
        /// The namespace.
        namespace: NamespaceName,
        /// Identifies the request in the answer.
        request: AuthRequest,
    },
    /// A namespace was joined. If the session was recovered, the missed events follow, and then new
    /// events.
    Connected {
        /// The namespace.
        namespace: NamespaceName,
        /// The public id of the socket. A recovered session keeps its id.
        id: ByteString,
        /// Whether the session was recovered: all missed events follow.
        recovered: bool,
    },
    /// A namespace was not joined.
    ConnectError {
        /// The namespace.
        namespace: NamespaceName,
        /// The reason.
        error: ConnectError,
    },
    /// The server has emitted an event.
    Received {
        /// The namespace.
        namespace: NamespaceName,
        /// The event. With recovery, its last argument may be the offset that the server appended.
        event: socket::Event,
        /// If the server asks for an acknowledgement: pass it to [`Client::ack`](super::Client::ack).
        ack: Option<ClientAckToken>,
    },
    /// The server has acknowledged an event.
    Acked {
        /// The namespace.
        namespace: NamespaceName,
        /// The id that the emitting verb returned.
        ack: AckId,
        /// The arguments of the answer.
        args: Args,
    },
    /// An acknowledgement has failed. None will come.
    AckFailed {
        /// The namespace.
        namespace: NamespaceName,
        /// The id that the emitting verb returned.
        ack: AckId,
        /// The reason.
        cause: ClientAckFailure,
    },
    /// A buffered event was dropped because it had waited for
    /// [`buffered_age`](super::ClientLimits::buffered_age).
    BufferExpired {
        /// The namespace.
        namespace: NamespaceName,
        /// The event.
        event: BufferedEvent,
    },
    /// An event was sent in a session that is over, and the server has not confirmed it. It may have
    /// arrived. It is not sent again.
    ///
    /// Only servers that count events confirm them. Events whose acknowledgement is pending fail as
    /// [`Disconnected`](ClientAckFailure::Disconnected) instead. Also reported for events of a snapshot that
    /// is [out of date](Self::SnapshotOutOfDate).
    Unconfirmed {
        /// The namespace.
        namespace: NamespaceName,
        /// The event.
        event: BufferedEvent,
    },
    /// The server does not accept an event. It is not sent, or not sent again, and later events are
    /// not blocked. Its acknowledgement fails as [`Undeliverable`](ClientAckFailure::Undeliverable).
    Undeliverable {
        /// The namespace.
        namespace: NamespaceName,
        /// The event.
        event: BufferedEvent,
        /// The reason.
        cause: Undeliverable,
    },
    /// The session was recovered, and the server has events of it that this client has not sent. The
    /// [snapshot](super::ClientSnapshot) that the client was restored from is out of date, or another
    /// process uses it too.
    ///
    /// Unconfirmed events of the snapshot may have arrived. They are reported as
    /// [`Unconfirmed`](Self::Unconfirmed) and not sent. Only events
    /// [with retries](super::Client::emit_with_retries) are sent again, and may arrive twice. Comes
    /// before [`Connected`](Self::Connected).
    SnapshotOutOfDate {
        /// The namespace.
        namespace: NamespaceName,
        /// The smallest possible number of these events.
        unknown: u64,
    },
    /// The client could not read what the server replayed,
    /// [`refusals`](super::ClientLimits::refusals) times in a row: it exceeds
    /// [`ClientLimits`](super::ClientLimits), or it is not a packet. The session and its missed events
    /// are given up. The next session is a new one.
    ReplayUnreadable {
        /// The namespace.
        namespace: NamespaceName,
    },
    /// The server replayed more before its answer than [`ClientLimits`](super::ClientLimits) allow.
    /// The session is given up. The next session is a new one.
    ReplayOverflow {
        /// The namespace.
        namespace: NamespaceName,
    },
    /// A namespace is not joined any more.
    Disconnected {
        /// The namespace.
        namespace: NamespaceName,
        /// The reason.
        reason: ClientDisconnectReason,
        /// Whether it is joined again automatically: on the next connection, or at once if the reason is
        /// [`SessionReplaced`](ClientDisconnectReason::SessionReplaced).
        rejoins: bool,
    },
}

/// Identifies a [`ClientEvent::AuthRequested`]. The answer to an outdated request is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthRequest {
    pub(super) slot: u64,
    pub(super) serial: u64,
}

/// Allows one acknowledgement of one event of the server. [`Client::ack`](super::Client::ack) consumes
/// it.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientAckToken {
    pub(super) slot: u64,
    pub(super) generation: u64,
    pub(super) id: u64,
}

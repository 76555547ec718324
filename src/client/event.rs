//! What comes out of a client.

use alloc::string::String;
use core::fmt;

use bytestring::ByteString;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::{BufferedEvent, Undeliverable};
use crate::{
    engine::{ClientCloseReason, ClientFault, ClientOutput, Transport},
    id::AckId,
    socket::{self, Args, Json, NamespaceName},
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

/// Why a namespace was not joined.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server refused. There is no further attempt until
    /// [`Client::connect`](super::Client::connect) is called.
    Refused {
        /// The server's message.
        message: String,
        /// The server's data.
        data: Option<Json>,
    },
    /// The server answered something that is no session of revision 5, as one of version 2 does.
    /// There is no further attempt.
    InvalidAnswer,
    /// The server sent a DISCONNECT in the place of an answer. There is no further attempt.
    Disconnected,
    /// The CONNECT, with its credentials, is larger than the server takes at once. There is no
    /// further attempt.
    TooLarge,
    /// No answer came within [`connect_timeout`](super::ClientConfig::connect_timeout), from the
    /// server or from the application that was asked for credentials (C5).
    ///
    /// If no other namespace is joined the connection is closed, and there is another attempt with
    /// the next one. Otherwise an answer that comes late still counts.
    Timeout,
}

impl ConnectError {
    /// Reads the payload of a CONNECT_ERROR: an object with a message and data, or a string.
    pub(super) fn refused(error: Option<&Json>) -> Self {
        #[derive(Deserialize)]
        struct Refusal<'a> {
            #[serde(default)]
            message: String,
            #[serde(borrow, default)]
            data: Option<&'a RawValue>,
        }

        let Some(error) = error else {
            return Self::Refused { message: String::new(), data: None };
        };
        if let Ok(message) = error.parse::<String>() {
            return Self::Refused { message, data: None };
        }
        match error.parse::<Refusal<'_>>() {
            Ok(Refusal { message, data }) => {
                let data = data.and_then(|data| Json::from_text(data.get()).ok());
                Self::Refused { message, data }
            }
            Err(_) => Self::Refused { message: String::new(), data: Some(error.clone()) },
        }
    }
}

/// Why a client left a namespace; the texts are those of the reference (protocol facts 2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The server disconnected the socket. Its session is over.
    ServerDisconnect,
    /// [`Client::disconnect`](super::Client::disconnect) was called. The session is over.
    ClientDisconnect,
    /// No ping came in time.
    PingTimeout,
    /// The server or the network closed the connection.
    TransportClose,
    /// The transport failed.
    TransportError,
    /// The server sent something that is no packet of Socket.IO.
    ParseError,
    /// The client closed the connection.
    ForcedClose,
}

impl DisconnectReason {
    /// Returns the reference's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServerDisconnect => "io server disconnect",
            Self::ClientDisconnect => "io client disconnect",
            Self::PingTimeout => "ping timeout",
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<ClientCloseReason> for DisconnectReason {
    fn from(reason: ClientCloseReason) -> Self {
        match reason {
            ClientCloseReason::TransportError(_) => Self::TransportError,
            ClientCloseReason::TransportClose => Self::TransportClose,
            ClientCloseReason::PingTimeout => Self::PingTimeout,
            ClientCloseReason::ParseError => Self::ParseError,
            ClientCloseReason::ForcedClose | ClientCloseReason::OpenTimeout => Self::ForcedClose,
        }
    }
}

/// Why an acknowledgement failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckFailure {
    /// The server did not answer in time, or not to the last of the tries.
    Timeout,
    /// The client was disconnected before the server answered.
    Disconnected,
    /// The event was given up before it was sent: it had waited for
    /// [`buffered_age`](super::ClientLimits::buffered_age).
    Expired,
    /// The application took the event back.
    Withdrawn,
    /// The server does not take the event: see [`Event::Undeliverable`].
    Undeliverable,
}

/// Names an [`Event::AuthRequested`] that waits for the application's answer. A stale one is a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthRequest {
    pub(super) slot: u32,
    pub(super) serial: u64,
}

/// Entitles to acknowledge one event of the server, once. Consumed by
/// [`Client::ack`](super::Client::ack).
#[derive(Debug, PartialEq, Eq)]
pub struct AckToken {
    pub(super) slot: u32,
    pub(super) generation: u32,
    pub(super) id: u64,
}

/// Why a namespace cannot be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The name has a comma or a control character, or it is empty.
    #[error("not a name of a namespace")]
    InvalidName,
    /// There are [`ClientLimits::namespaces`](super::ClientLimits::namespaces) namespaces.
    #[error("there are {limit} namespaces, the most there may be")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// Authentication data must be a JSON object.
    #[error("authentication data must be an object")]
    AuthNotAnObject,
}

/// Why an event was not emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EmitError {
    /// [`Client::connect`](super::Client::connect) was never called for this namespace.
    #[error("there is no such namespace")]
    UnknownNamespace,
    /// What waits to be sent is at its limit.
    #[error("what waits to be sent is at its limit")]
    Full,
    /// The text of the event or one of its attachments, as it would be sent now, is larger than the
    /// server takes at once (`maxPayload`). Over HTTP long-polling attachments are a third larger
    /// than over WebSocket.
    #[error("it is larger than the {limit} bytes that the server takes at once")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The event has more attachments than
    /// [`ClientLimits::sent_attachments`](super::ClientLimits::sent_attachments).
    #[error("it has more than {limit} attachments")]
    TooManyAttachments {
        /// The limit.
        limit: usize,
    },
    /// [`ClientLimits::pending_acks`](super::ClientLimits::pending_acks) acknowledgements are
    /// pending.
    #[error("{limit} acknowledgements are pending, the most that may be")]
    TooManyAcks {
        /// The limit.
        limit: usize,
    },
}

//! Reasons that events carry, and errors that verbs return.

use alloc::string::String;
use core::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::{engine::ClientCloseReason, socket::Json};

/// Why a namespace was not joined.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server refused the CONNECT. There is no further attempt until
    /// [`Client::connect`](super::Client::connect) is called.
    Refused {
        /// The server's message.
        message: String,
        /// The server's data.
        data: Option<Json>,
    },
    /// The answer is not one of Socket.IO revision 5. A server of version 2 answers like this. There is
    /// no further attempt.
    InvalidAnswer,
    /// The server sent a DISCONNECT instead of an answer. There is no further attempt.
    Disconnected,
    /// The CONNECT with its credentials is larger than the server accepts (`maxPayload`). There is no
    /// further attempt.
    TooLarge,
    /// The server did not answer, or the application did not provide credentials, within
    /// [`connect_timeout`](super::ClientConfig::connect_timeout) (C5).
    ///
    /// If no other namespace is joined, the connection is closed, and the next one tries again.
    /// Otherwise a late answer still counts.
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

/// Why a namespace is not joined any more. [`as_str`](Self::as_str) gives the texts of the reference
/// (protocol facts 2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientDisconnectReason {
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
    /// The server sent something that is not a Socket.IO packet.
    ParseError,
    /// The client closed the connection.
    ForcedClose,
    /// The server has answered the CONNECT once more, with another session. It received the CONNECT
    /// twice, for example because a proxy repeated a POST, and uses the later session. The namespace is
    /// joined again at once, in that session. The reference has no text for this.
    SessionReplaced,
}

impl ClientDisconnectReason {
    /// Returns the text of the reference.
    ///
    /// ```
    /// use socketio_proto::client::ClientDisconnectReason;
    ///
    /// assert_eq!(ClientDisconnectReason::PingTimeout.as_str(), "ping timeout");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServerDisconnect => "io server disconnect",
            Self::ClientDisconnect => "io client disconnect",
            Self::PingTimeout => "ping timeout",
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
            Self::SessionReplaced => "session replaced",
        }
    }
}

impl fmt::Display for ClientDisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<ClientCloseReason> for ClientDisconnectReason {
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
pub enum ClientAckFailure {
    /// The server did not answer in time, or did not answer the last try in time.
    Timeout,
    /// The client was disconnected before the server answered.
    Disconnected,
    /// The event was dropped before it was sent because it had waited for
    /// [`buffered_age`](super::ClientLimits::buffered_age).
    Expired,
    /// The application took the event back.
    Withdrawn,
    /// The server does not accept the event: see [`ClientEvent::Undeliverable`](super::ClientEvent::Undeliverable).
    Undeliverable,
}

/// Why a server does not accept an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Undeliverable {
    /// Its text or one of its attachments, encoded for the current transport, is larger than the server
    /// accepts (`maxPayload`).
    #[error("it is larger than the {limit} bytes that the server accepts")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The event has more attachments than
    /// [`ClientLimits::sent_attachments`](super::ClientLimits::sent_attachments).
    #[error("it has more than {limit} attachments")]
    TooManyAttachments {
        /// The limit.
        limit: usize,
    },
    /// The server closed the connection because of it
    /// [`ClientLimits::refusals`](super::ClientLimits::refusals) times in a row.
    #[error("the server closed the connection because of it {times} times")]
    Refused {
        /// The number of times.
        times: u32,
    },
}

impl From<Undeliverable> for ClientEmitError {
    fn from(cause: Undeliverable) -> Self {
        match cause {
            Undeliverable::TooLarge { limit } => Self::TooLarge { limit },
            Undeliverable::TooManyAttachments { limit } => Self::TooManyAttachments { limit },
            // Only events that were sent can be refused, so no verb returns this.
            Undeliverable::Refused { .. } => Self::Full,
        }
    }
}

/// Why a namespace cannot be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The name is empty, or it has a comma or a control character.
    #[error("not a valid namespace name")]
    InvalidName,
    /// There are already [`ClientLimits::namespaces`](super::ClientLimits::namespaces) namespaces.
    #[error("there are already {limit} namespaces, which is the limit")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// Credentials must be a JSON object.
    #[error("credentials must be a JSON object")]
    AuthNotAnObject,
}

/// Why an event was not emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClientEmitError {
    /// [`Client::connect`](super::Client::connect) was never called for this namespace.
    #[error("there is no such namespace")]
    UnknownNamespace,
    /// The send buffer or the queue of the connection is full.
    #[error("the send buffer is full")]
    Full,
    /// The text of the event or one of its attachments, encoded for the current transport, is larger
    /// than the server accepts (`maxPayload`). Attachments are a third larger over HTTP long-polling than
    /// over WebSocket.
    #[error("it is larger than the {limit} bytes that the server accepts")]
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
    /// There are already [`ClientLimits::pending_acks`](super::ClientLimits::pending_acks) pending
    /// acknowledgements.
    #[error("{limit} acknowledgements are already pending, which is the limit")]
    TooManyAcks {
        /// The limit.
        limit: usize,
    },
}

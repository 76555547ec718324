//! Why something failed: reasons in events, and errors of verbs.

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
    /// The server does not take the event: see [`Event::Undeliverable`](super::Event::Undeliverable).
    Undeliverable,
}

/// Why a server does not take an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Undeliverable {
    /// Its text or one of its attachments, in the form that it has on the present transport, is
    /// larger than the server takes at once (`maxPayload`).
    #[error("it is larger than the {limit} bytes that the server takes at once")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It has more attachments than
    /// [`ClientLimits::sent_attachments`](super::ClientLimits::sent_attachments).
    #[error("it has more than {limit} attachments")]
    TooManyAttachments {
        /// The limit.
        limit: usize,
    },
    /// The server has closed the connection because of it,
    /// [`ClientLimits::refusals`](super::ClientLimits::refusals) times in a row.
    #[error("the server has closed the connection because of it {times} times")]
    Refused {
        /// How often.
        times: u32,
    },
}

impl From<Undeliverable> for EmitError {
    fn from(cause: Undeliverable) -> Self {
        match cause {
            Undeliverable::TooLarge { limit } => Self::TooLarge { limit },
            Undeliverable::TooManyAttachments { limit } => Self::TooManyAttachments { limit },
            // Known of events that were sent.
            Undeliverable::Refused { .. } => Self::Full,
        }
    }
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

//! What is wrong with a message.

use thiserror::Error;

use crate::socket::DecodeError;

/// A message, or a part of it, that no node understands. It has to be skipped and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The number that says what it is, is missing or is not a number.
    #[error("`type` is not a number")]
    Kind,
    /// The sender is missing, or its name has another form.
    #[error("`uid` is not the name of a node")]
    Sender,
    /// The namespace is missing, or it has another form.
    #[error("`nsp` is not the name of a namespace")]
    Namespace,
    /// A field is missing or has another type.
    #[error("`{field}` is missing or has another type")]
    Field {
        /// Its name on the wire.
        field: &'static str,
    },
    /// It is neither JSON nor msgpack, or it does not end where it should.
    #[error("malformed data")]
    Malformed,
    /// It is nested too deep.
    #[error("nested more than {limit} deep")]
    TooDeep {
        /// The deepest nesting that is read.
        limit: usize,
    },
    /// It is too large.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// It has attachments, and something else in it looks like a placeholder for an attachment.
    #[error("data has the shape of a placeholder for an attachment")]
    Placeholder,
    /// It is a request or an answer. Official nodes do not read them from a log.
    #[error("messages of type {kind} do not belong into a log")]
    NotForLog {
        /// Its number on the wire.
        kind: u64,
    },
    /// The packet is not an event, or its name is reserved.
    #[error("not an event that a client can receive")]
    NotAnEvent,
}

impl MessageError {
    /// What is wrong with values, if the placeholders in them are right.
    pub(super) fn of(error: DecodeError, otherwise: Self) -> Self {
        match error {
            DecodeError::IllegalAttachments => Self::Placeholder,
            _ => otherwise,
        }
    }
}

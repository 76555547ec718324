//! The errors of this layer.

use alloc::{boxed::Box, string::ToString as _};

use thiserror::Error;

/// A message that is not a Socket.IO packet. Its connection must be closed, unless it is a CONNECT,
/// which can be refused.
///
/// The texts contain the wording of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The text is empty or its first character is not one of `0` to `6`.
    #[error("unknown packet type")]
    UnknownType,
    /// A binary packet without a valid attachment count, or with a placeholder that refers to none
    /// of its attachments.
    #[error("Illegal attachments")]
    IllegalAttachments,
    /// A binary packet announced more attachments than are allowed.
    #[error("too many attachments (more than {limit})")]
    TooManyAttachments {
        /// [`Limits::attachments`](crate::Limits::attachments).
        limit: usize,
    },
    /// The attachments of one packet are too large in total.
    #[error("attachments too large (more than {limit} bytes)")]
    AttachmentsTooLarge {
        /// [`Limits::attachment_bytes`](crate::Limits::attachment_bytes).
        limit: usize,
    },
    /// The name of the namespace is too long.
    #[error("namespace too long (more than {limit} bytes)")]
    NamespaceTooLong {
        /// [`Limits::namespace_name_bytes`](crate::Limits::namespace_name_bytes).
        limit: usize,
    },
    /// The acknowledgement id is above 2^53 - 1, the largest integer that every peer can hold.
    #[error("illegal acknowledgement id")]
    IllegalAckId,
    /// The payload is not JSON, or does not have the form that the packet type requires.
    #[error("invalid payload")]
    InvalidPayload,
    /// A text arrived while attachments were expected.
    #[error("got plaintext data when reconstructing a packet")]
    UnexpectedText,
    /// Binary data arrived while no attachment was expected.
    #[error("got binary data when not reconstructing a packet")]
    UnexpectedBinary,
}

/// Arguments that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The arguments are not a tuple, a sequence or `()`.
    #[error("arguments must be a tuple, a sequence or `()`")]
    NotAList,
    /// The name of the event is reserved: `connect`, `connect_error`, `disconnect`,
    /// `disconnecting`, `newListener` or `removeListener`.
    #[error("this event name is reserved")]
    ReservedName,
    /// The packet has attachments, and another argument looks like a placeholder. Recipients would
    /// replace it with an attachment, or close the connection if there is none.
    #[error("an argument has the shape of a placeholder for an attachment")]
    Placeholder,
    /// The packet has attachments, and its arguments are nested more than 128 deep. Recipients may
    /// reject that.
    #[error("arguments with attachments are nested too deep")]
    TooDeep,
    /// The `Serialize` implementation of an argument failed.
    #[error("an argument cannot be serialized: {0}")]
    Serialize(Box<str>),
}

impl EncodeError {
    #[expect(clippy::needless_pass_by_value, reason = "a function for `map_err`")]
    pub(super) fn serialize(error: serde_json::Error) -> Self {
        Self::Serialize(error.to_string().into_boxed_str())
    }
}

/// Arguments that are not what the application asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// There are fewer arguments.
    #[error("there is no argument {index}")]
    Missing {
        /// The requested index.
        index: usize,
    },
    /// The text is valid JSON, but it does not have this type.
    #[error("unexpected argument: {0}")]
    Mismatch(Box<str>),
}

impl ArgsError {
    #[expect(clippy::needless_pass_by_value, reason = "a function for `map_err`")]
    pub(super) fn mismatch(error: serde_json::Error) -> Self {
        Self::Mismatch(error.to_string().into_boxed_str())
    }
}

/// A name that no namespace can have: it is empty, or contains a comma or a control character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a namespace name must not be empty nor contain commas or control characters")]
pub struct InvalidName;

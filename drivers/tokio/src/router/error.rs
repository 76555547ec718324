//! Why an event has no answer of its handler.

use socketio_proto::{hub::EmitError, socket::ArgsError};
use thiserror::Error;

/// Why an event was not handled, or not answered as its handler wanted.
///
/// [`Namespace::on_error`](super::Namespace::on_error) gets it, and says what the client gets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EventError {
    /// The arguments are not of the types that the handler takes. It was not called.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// The answer of the handler cannot be sent: it is too large, or cannot be serialized.
    #[error("the answer cannot be sent: {0}")]
    Answer(EmitError),
    /// Too many events of this client wait for their async handlers:
    /// [`Router::in_flight_bytes`](super::Router::in_flight_bytes). The handler was not called.
    #[error("too many events of this client are being handled")]
    Busy,
    /// The handler has panicked. The panic hook, which prints it, knows more.
    #[error("internal error")]
    Panicked,
}

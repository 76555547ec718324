//! Errors of a handle's calls.

use socketio_proto::hub::{AckFailure, EmitError, RoomError};
use thiserror::Error;

/// Why a call of a [`Handle`](crate::Handle) has failed.
///
/// ```
/// use socketio_proto::{SocketKey, hub::EmitError};
/// use socketio_proto_tokio::{App, Handle, HandleError};
///
/// async fn tell(handle: Handle<impl App>, socket: SocketKey) -> &'static str {
///     match handle.socket(socket).emit("hello", &()).await {
///         Ok(()) => "on its way",
///         Err(HandleError::Emit(EmitError::NotConnected)) => "nobody is there",
///         Err(HandleError::Emit(EmitError::QueueFull)) => "too much is on its way already",
///         Err(HandleError::Closed) => "the server has ended",
///         Err(_) => "not sent",
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandleError {
    /// The server has ended.
    #[error("the server has ended")]
    Closed,
    /// Too many calls wait for the server. Only calls that do not wait themselves return this.
    #[error("too many calls wait for the server")]
    Full,
    /// The event was not emitted.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The room was not joined.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// The acknowledgement has failed.
    #[error("no acknowledgement: {0:?}")]
    Ack(AckFailure),
}

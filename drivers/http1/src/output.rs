//! What an endpoint wants done.

use bytes::{Bytes, BytesMut};
use http::Request;
use socketio_proto::server::ServerEvent;

use crate::streams::StreamId;

/// What an [`Endpoint`](crate::Endpoint) wants done.
#[derive(Debug)]
#[non_exhaustive]
pub enum EndpointOutput<D> {
    /// For the application.
    Event(ServerEvent<D>),
    /// A request for another path than that of Socket.IO: answer it by
    /// [`Endpoint::respond`](crate::Endpoint::respond). Until then the stream brings no other one.
    Request {
        /// The stream.
        stream: StreamId,
        /// The request with its body.
        request: Request<Bytes>,
    },
    /// Write these bytes, and report progress by [`Endpoint::written`](crate::Endpoint::written).
    /// Until all are written, nothing else is to be written to the stream.
    Write {
        /// The stream.
        stream: StreamId,
        /// The bytes, at least one.
        bytes: BytesMut,
    },
    /// Nothing more is written: shut down the sending side, and go on reading.
    ShutWrite {
        /// The stream.
        stream: StreamId,
    },
    /// Close the stream, also if bytes are being written. It is forgotten.
    Close {
        /// The stream.
        stream: StreamId,
    },
}

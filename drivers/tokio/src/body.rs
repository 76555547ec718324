//! The body of a response.

use std::{
    error, fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// The body of a response of [`SocketIoService`](crate::SocketIoService).
///
/// Most bodies are bytes in memory. An exchange that must end without an answer has a body that
/// fails at once: hyper then closes the connection and sends nothing, not even the head.
#[derive(Debug)]
pub struct Body(Content);

#[derive(Debug)]
enum Content {
    Bytes(Bytes),
    Aborted,
}

impl Body {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self(Content::Bytes(bytes))
    }

    pub(crate) fn aborted() -> Self {
        Self(Content::Aborted)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        Poll::Ready(match &mut self.0 {
            Content::Bytes(bytes) if bytes.is_empty() => None,
            Content::Bytes(bytes) => Some(Ok(Frame::data(std::mem::take(bytes)))),
            Content::Aborted => Some(Err(Aborted)),
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Content::Bytes(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Aborted => SizeHint::default(),
        }
    }
}

/// The exchange has ended without an answer, so its connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the exchange has ended without an answer")
    }
}

impl error::Error for Aborted {}

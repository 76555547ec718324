//! Limits for peers: time, and bytes.

use core::time::Duration;

/// Limits for what a peer may do on one stream. One that takes longer loses its stream; others do
/// not notice. The number of streams is bounded by whoever opens them.
///
/// ```
/// use core::time::Duration;
///
/// use socketio_proto_http1::StreamLimits;
///
/// let mut limits = StreamLimits::default();
/// limits.head = Duration::from_secs(5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamLimits {
    /// Time for the first request, or for the rest of the head of a later one. Default: 10 s.
    pub head: Duration,
    /// Time for a body. Default: 30 s.
    pub body: Duration,
    /// Time between two requests. Default: 60 s.
    pub idle: Duration,
    /// Time without progress while something is written. Default: 30 s.
    pub write: Duration,
    /// Time to hang up after the last response or close frame. Default: 5 s.
    pub close: Duration,
    /// The largest body of a request that is not for Socket.IO, in bytes. A larger one is refused with
    /// status 413. Default: 65,536.
    pub body_bytes: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(30),
            close: Duration::from_secs(5),
            body_bytes: 64 << 10,
        }
    }
}

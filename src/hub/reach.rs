//! How many sockets a broadcast has reached.

/// How many sockets a broadcast has reached.
///
/// Sockets for which the event was neither dropped nor refused have it in their queue. If the
/// connection of such a socket was closed, the socket gets the event when it comes back, provided
/// that recovery replays the event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reach {
    /// The number of connected sockets that the event was addressed to.
    pub sockets: usize,
    /// For a volatile event: how many of them could not receive it immediately. They miss it.
    pub dropped: usize,
    /// For an event that recovery does not replay: how many of them had too much queued
    /// ([`queue_burst_bytes`](crate::Limits::queue_burst_bytes)). They miss it, and stay connected.
    pub refused: usize,
    /// How many of them were closed, because they do not read
    /// ([`queued_bytes`](crate::Limits::queued_bytes)), or because they had too much queued and
    /// recovery replays the event.
    pub closed: usize,
}

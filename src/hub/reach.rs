//! Whom a broadcast has reached.

/// Whom a broadcast has reached.
///
/// The sockets that it was neither dropped nor refused for have it queued, or, if their connection
/// was closed while recovery replays the event, get it when they come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reach {
    /// Connected sockets that it was addressed to.
    pub sockets: usize,
    /// How many of them could not take it at this moment, for a volatile event: they miss it.
    pub dropped: usize,
    /// How many of them have too much queued
    /// ([`queue_burst_bytes`](crate::Limits::queue_burst_bytes)), for an event that recovery does
    /// not replay: they miss it, and stay connected.
    pub refused: usize,
    /// How many of them were closed since they do not read
    /// ([`queued_bytes`](crate::Limits::queued_bytes)), or since they had too much queued for an
    /// event that recovery replays.
    pub closed: usize,
}

//! Bytes on their way to the peer of a stream.

use core::time::Duration;
use std::mem;

use bytes::BytesMut;
use socketio_proto::Timestamp;

/// Bytes to be sent beyond which a WebSocket takes no frames, and is not read from either.
pub(crate) const MUCH: usize = 64 << 10;

/// How far the peer has got with what is written. What is still to be written is the `output` of the
/// methods.
pub(crate) struct Writing {
    /// Bytes that the driver has taken and not written yet.
    in_flight: usize,
    /// Time without progress, and when it is over.
    limit: Duration,
    deadline: Option<Timestamp>,
    /// The peer has fallen behind.
    is_congested: bool,
}

impl Writing {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { in_flight: 0, limit, deadline: None, is_congested: false }
    }

    /// Bytes that the peer has not taken yet.
    pub(crate) fn pending(&self, output: &BytesMut) -> usize {
        output.len() + self.in_flight
    }

    /// Takes what the driver has to write, unless it is still writing.
    pub(crate) fn take(&mut self, now: Timestamp, output: &mut BytesMut) -> Option<BytesMut> {
        if self.in_flight > 0 || output.is_empty() {
            return None;
        }
        let bytes = mem::take(output);
        self.in_flight = bytes.len();
        self.deadline = Some(now.saturating_add(self.limit));
        Some(bytes)
    }

    /// Bytes were written.
    pub(crate) fn advance(&mut self, now: Timestamp, len: usize) {
        self.in_flight = self.in_flight.saturating_sub(len);
        self.deadline = (self.in_flight > 0).then(|| now.saturating_add(self.limit));
    }

    /// When the peer is too late.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// Takes the news that the peer has fallen behind (`true`), or has caught up.
    pub(crate) fn take_congestion(&mut self, output: &BytesMut) -> Option<bool> {
        let pending = self.pending(output);
        let is_congested = if self.is_congested { pending > MUCH / 2 } else { pending > MUCH };
        let former = mem::replace(&mut self.is_congested, is_congested);
        (former != is_congested).then_some(is_congested)
    }
}

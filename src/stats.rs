//! Counters and gauges of every decision, as plain data.

use crate::recovery::Refusal;

/// What a server holds and what it has decided so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Engine.IO sessions at present.
    pub connections: usize,
    /// Connected sockets at present.
    pub sockets: usize,
    /// Parked sessions at present.
    pub parked_sessions: usize,
    /// Rooms at present, the sockets' own included.
    pub rooms: usize,
    /// Namespaces at present.
    pub namespaces: usize,
    /// Packets in the logs at present.
    pub log_packets: usize,
    /// Bytes of the packets in the logs at present, with what an entry costs.
    pub log_bytes: usize,
    /// Acknowledgements awaited at present.
    pub pending_acks: usize,
    /// Decisions since the start.
    pub total: Totals,
}

/// Decisions since the start; each counter wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// HTTP requests and WebSocket handshakes that failed verification.
    pub requests_refused: u64,
    /// Connections that were closed because too much was queued for them.
    pub connections_overflowed: u64,
    /// Connections that were closed because the client broke a protocol.
    pub protocol_violations: u64,
    /// Volatile packets that a client could not take.
    pub volatile_dropped: u64,
    /// Messages to a link, a socket or a wire that was gone.
    pub stale: u64,
    /// CONNECTs answered with CONNECT_ERROR.
    pub connects_refused: u64,
    /// Sessions recovered.
    pub recovered: u64,
    /// Sessions recovered while their old link was still thought to be alive.
    pub taken_over: u64,
    /// Recoveries that had to queue.
    pub paced: u64,
    /// Packets replayed.
    pub replayed: u64,
    /// Recoveries refused, by reason.
    pub refused: Refusals,
    /// Parked sessions that timed out.
    pub sessions_expired: u64,
    /// Parked sessions that were evicted to make room.
    pub sessions_evicted: u64,
}

/// Recoveries refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// [`Refusal::Unknown`].
    pub unknown: u64,
    /// [`Refusal::OtherNamespace`].
    pub other_namespace: u64,
    /// [`Refusal::Expired`].
    pub expired: u64,
    /// [`Refusal::Gap`].
    pub gap: u64,
    /// [`Refusal::InvalidOffset`].
    pub invalid_offset: u64,
    /// [`Refusal::Limit`].
    pub limit: u64,
}

impl Refusals {
    pub(crate) fn count(&mut self, refusal: Refusal) {
        let counter = match refusal {
            Refusal::Unknown => &mut self.unknown,
            Refusal::OtherNamespace => &mut self.other_namespace,
            Refusal::Expired => &mut self.expired,
            Refusal::Gap => &mut self.gap,
            Refusal::InvalidOffset => &mut self.invalid_offset,
            Refusal::Limit => &mut self.limit,
        };
        increment(counter);
    }
}

/// Counts one more.
pub(crate) fn increment(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}

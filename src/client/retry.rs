//! Delivery at least once: a queue of events that are sent in order, one at a time. Each is sent until
//! it is acknowledged or has been tried often enough.
//!
//! ```text
//!             connected: send, tries + 1
//!   Waiting ─────────────────────────────▶ InFlight ──┬── acknowledged ──────────▶ next event
//!      ▲                                              │
//!      └── ack_timeout or disconnected, tries <= retries ── otherwise: failed ──▶ next event
//! ```
//!
//! An event of this queue is never in the send buffer too, so it cannot be sent twice at once (C3).
//! There is always a timeout, so an answer is never taken for a failure (C2).
//!
//! If the server counts the events of a session, the event is sent once in a session. A further try
//! only asks for its acknowledgement. The event is sent again if the server reports that its
//! application could not handle it. While the connection is lost, the event stays in flight,
//! *suspended*: only a new session sends it again.

use core::time::Duration;

use super::{BufferedEvent, buffer::SendBuffer};
use crate::time::Timestamp;

/// The queue. Its first event, the head, may be in flight.
#[derive(Debug, Default)]
pub(super) struct RetryQueue {
    /// The `ack` of each event is the name of its acknowledgement.
    events: SendBuffer,
    /// How often the head was tried.
    tries: u32,
    /// How often in a row the server closed the connection because of the head.
    refusals: u32,
    in_flight: Option<InFlight>,
}

/// How the head was sent.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    /// The id of its acknowledgement on the wire.
    id: u64,
    deadline: Timestamp,
    /// Whether the last try only asked for the acknowledgement.
    is_asked: bool,
    /// The number of the event among all sent events.
    serial: u64,
}

impl InFlight {
    fn is_suspended(&self) -> bool {
        self.deadline == Timestamp::NEVER
    }
}

impl RetryQueue {
    pub(super) fn push(&mut self, event: BufferedEvent) {
        self.events.push(event);
    }

    /// Restores how often the head was tried and, if its session may be recovered, its id on the
    /// wire.
    pub(super) fn restore(&mut self, tries: u32, in_flight: Option<u64>) {
        self.tries = tries;
        self.in_flight = in_flight.map(|id| InFlight {
            id,
            deadline: Timestamp::NEVER,
            is_asked: false,
            serial: 0,
        });
    }

    pub(super) fn tries(&self) -> u32 {
        self.tries
    }

    /// The id of the head on the wire, if it is in flight.
    pub(super) fn in_flight(&self) -> Option<u64> {
        self.in_flight.map(|flight| flight.id)
    }

    /// The head, if it can be sent now.
    pub(super) fn next(&self) -> Option<&BufferedEvent> {
        if self.in_flight.is_some() { None } else { self.events.front() }
    }

    /// The head was sent.
    pub(super) fn sent(&mut self, id: u64, deadline: Timestamp, serial: u64) {
        debug_assert!(self.in_flight.is_none(), "one at a time");
        self.tries = self.tries.saturating_add(1);
        self.in_flight = Some(InFlight { id, deadline, is_asked: false, serial });
    }

    /// The name of the head and the number of its last transmission, if it is in flight.
    pub(super) fn sent_head(&self) -> Option<(u64, u64)> {
        let flight = self.in_flight.as_ref()?;
        Some((self.events.front()?.ack?, flight.serial))
    }

    /// The head was sent again with this id.
    pub(super) fn resent(&mut self, id: u64, serial: u64) {
        if let Some(flight) = &mut self.in_flight {
            (flight.id, flight.serial) = (id, serial);
        }
    }

    /// Counts a refusal of the head by the server. Returns whether the limit is reached.
    pub(super) fn refuse(&mut self, limit: u32) -> bool {
        self.refusals = self.refusals.saturating_add(1);
        self.refusals >= limit
    }

    /// Removes the head if this id acknowledges it.
    pub(super) fn acknowledge(&mut self, id: u64) -> Option<BufferedEvent> {
        self.in_flight.take_if(|flight| flight.id == id)?;
        self.pop()
    }

    /// If the acknowledgement of the head is overdue, ends the try. Returns the head if no tries are
    /// left.
    pub(super) fn time_out(&mut self, now: Timestamp, retries: u32) -> Option<BufferedEvent> {
        self.in_flight.take_if(|flight| flight.deadline <= now)?;
        self.give_up(retries)
    }

    /// If the acknowledgement of the head is overdue and tries are left, begins a further try, which
    /// asks for the acknowledgement. Returns its id.
    pub(super) fn renew(
        &mut self,
        now: Timestamp,
        retries: u32,
        deadline: Timestamp,
    ) -> Option<u64> {
        let flight = self.in_flight.as_mut().filter(|flight| flight.deadline <= now)?;
        (self.tries <= retries).then(|| {
            self.tries = self.tries.saturating_add(1);
            flight.deadline = deadline;
            flight.is_asked = true;
            flight.id
        })
    }

    /// The application of the server could not handle the event with this id: it has to be sent again.
    /// That belongs to the try that asked, so it is not counted. Ignored for other events, and if the
    /// server was not asked.
    pub(super) fn withdraw(&mut self, id: u64) {
        let withdrawn = self.in_flight.take_if(|flight| flight.id == id && flight.is_asked);
        if withdrawn.is_some() {
            self.tries = self.tries.saturating_sub(1);
        }
    }

    /// The connection was lost, and the session may be recovered. Returns the head if no tries are
    /// left.
    pub(super) fn suspend(&mut self, retries: u32) -> Option<BufferedEvent> {
        self.in_flight.as_mut()?.deadline = Timestamp::NEVER;
        if self.tries > retries { self.pop() } else { None }
    }

    /// The session was recovered. Begins a further try if the head is in flight, and returns its id.
    pub(super) fn resume(&mut self, deadline: Timestamp) -> Option<u64> {
        let flight = self.in_flight.as_mut()?;
        self.tries = self.tries.saturating_add(1);
        flight.deadline = deadline;
        flight.is_asked = true;
        Some(flight.id)
    }

    /// The connection was lost. Returns the head if no tries are left.
    pub(super) fn lose(&mut self, retries: u32) -> Option<BufferedEvent> {
        self.in_flight.take()?;
        self.give_up(retries)
    }

    /// Removes the head if it has waited for too long and is not in flight.
    pub(super) fn pop_expired(&mut self, now: Timestamp, age: Duration) -> Option<BufferedEvent> {
        if self.in_flight.is_some_and(|flight| !flight.is_suspended()) {
            return None;
        }
        let event = self.events.pop_expired(now, age)?;
        self.in_flight = None;
        (self.tries, self.refusals) = (0, 0);
        Some(event)
    }

    /// Removes the head, even if it is in flight.
    pub(super) fn pop(&mut self) -> Option<BufferedEvent> {
        self.in_flight = None;
        (self.tries, self.refusals) = (0, 0);
        self.events.pop()
    }

    pub(super) fn events(&self) -> &SendBuffer {
        &self.events
    }

    pub(super) fn deadline(&self, age: Duration) -> Timestamp {
        match &self.in_flight {
            Some(flight) if !flight.is_suspended() => flight.deadline,
            Some(_) | None => self.events.deadline(age),
        }
    }

    fn give_up(&mut self, retries: u32) -> Option<BufferedEvent> {
        if self.tries > retries { self.pop() } else { None }
    }
}

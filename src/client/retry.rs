//! At least once: a queue of events that are sent, one at a time and in order, until they are
//! acknowledged or have been sent often enough.
//!
//! ```text
//!             connected: send, tries + 1
//!   Waiting ─────────────────────────────▶ InFlight ──┬── acknowledged ──────────▶ next event
//!      ▲                                              │
//!      └── ack_timeout or disconnected, tries <= retries ── otherwise: failed ──▶ next event
//! ```
//!
//! An event is never in the send buffer as well, so that it cannot go out twice at once (C3), and
//! there is always a timeout, so that an answer is never taken for a failure (C2).
//!
//! Where the server counts the events of a session, the event itself is sent once in a session, and
//! what counts as a try is to ask for its acknowledgement; it is sent again if the server says that
//! it could not handle it. While the connection is lost it stays in
//! flight, *suspended*: only a new session sends it again.

use core::time::Duration;

use super::{BufferedEvent, buffer::SendBuffer};
use crate::time::Timestamp;

/// The events, the head of which may be in flight.
#[derive(Debug, Default)]
pub(super) struct RetryQueue {
    /// The `ack` of an event is the name that the application knows it by.
    events: SendBuffer,
    /// How often the head was sent.
    tries: u32,
    /// How often in a row the server closed the connection because of it.
    refusals: u32,
    in_flight: Option<InFlight>,
}

/// The head is out under this id of the wire.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: u64,
    deadline: Timestamp,
    /// Whether the last try was to ask for the acknowledgement.
    is_asked: bool,
    /// Its number among all events that were sent.
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

    /// Goes on where a former process has ended: with the head sent so often, and under this id
    /// if its session may be recovered.
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

    /// The id that the head has on the wire, if it is out.
    pub(super) fn in_flight(&self) -> Option<u64> {
        self.in_flight.map(|flight| flight.id)
    }

    /// The head, if it is to be sent now.
    pub(super) fn next(&self) -> Option<&BufferedEvent> {
        if self.in_flight.is_some() { None } else { self.events.front() }
    }

    /// The head was sent.
    pub(super) fn sent(&mut self, id: u64, deadline: Timestamp, serial: u64) {
        debug_assert!(self.in_flight.is_none(), "one at a time");
        self.tries = self.tries.saturating_add(1);
        self.in_flight = Some(InFlight { id, deadline, is_asked: false, serial });
    }

    /// The name of the head, and when it was sent the last time, if it is in flight.
    pub(super) fn sent_head(&self) -> Option<(u64, u64)> {
        let flight = self.in_flight.as_ref()?;
        Some((self.events.front()?.ack?, flight.serial))
    }

    /// The head was sent again, with this id.
    pub(super) fn resent(&mut self, id: u64, serial: u64) {
        if let Some(flight) = &mut self.in_flight {
            (flight.id, flight.serial) = (id, serial);
        }
    }

    /// Notes that the server has refused the head. Returns whether that has happened so often in a
    /// row.
    pub(super) fn is_refused(&mut self, limit: u32) -> bool {
        self.refusals = self.refusals.saturating_add(1);
        self.refusals >= limit
    }

    /// Takes the head if this acknowledges it.
    pub(super) fn acknowledge(&mut self, id: u64) -> Option<BufferedEvent> {
        self.in_flight.take_if(|flight| flight.id == id)?;
        self.pop()
    }

    /// The head was not acknowledged in time. Returns it if it was sent often enough.
    pub(super) fn time_out(&mut self, now: Timestamp, retries: u32) -> Option<BufferedEvent> {
        self.in_flight.take_if(|flight| flight.deadline <= now)?;
        self.give_up(retries)
    }

    /// The head was not acknowledged in time and may have another try, under the same id.
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

    /// The server has not handled the event of this id: it is to be sent again, which is the try
    /// that it was to ask. Says nothing about other events, nor if the server was not asked.
    pub(super) fn withdraw(&mut self, id: u64) {
        let withdrawn = self.in_flight.take_if(|flight| flight.id == id && flight.is_asked);
        if withdrawn.is_some() {
            self.tries = self.tries.saturating_sub(1);
        }
    }

    /// The connection was lost, and the session may be recovered. Returns the head if it was sent
    /// often enough.
    pub(super) fn suspend(&mut self, retries: u32) -> Option<BufferedEvent> {
        self.in_flight.as_mut()?.deadline = Timestamp::NEVER;
        if self.tries > retries { self.pop() } else { None }
    }

    /// The session was recovered. Returns the id of the head if it is in flight.
    pub(super) fn resume(&mut self, deadline: Timestamp) -> Option<u64> {
        let flight = self.in_flight.as_mut()?;
        self.tries = self.tries.saturating_add(1);
        flight.deadline = deadline;
        flight.is_asked = true;
        Some(flight.id)
    }

    /// The connection was lost. Returns the head if it was sent often enough.
    pub(super) fn lose(&mut self, retries: u32) -> Option<BufferedEvent> {
        self.in_flight.take()?;
        self.give_up(retries)
    }

    /// Takes an event that has waited for too long, unless it is in flight.
    pub(super) fn pop_expired(&mut self, now: Timestamp, age: Duration) -> Option<BufferedEvent> {
        if self.in_flight.is_some_and(|flight| !flight.is_suspended()) {
            return None;
        }
        let event = self.events.pop_expired(now, age)?;
        self.in_flight = None;
        (self.tries, self.refusals) = (0, 0);
        Some(event)
    }

    /// Takes all events, the one in flight included.
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

//! Events that were sent in the current session and may not have arrived.
//!
//! The client and a server of this crate both count the events of a session, so events carry nothing
//! extra. After a recovery the server reports how many it has, and the client sends the rest again, in
//! order. The client also asks for the count about once per round trip and drops the events that have
//! arrived.

use alloc::{collections::VecDeque, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{BufferedEvent, ClientLimits};
use crate::number::whole;

/// The events that the server has not confirmed, in order.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed {
    /// Whether the server counts events.
    is_counted: bool,
    /// How many events of the session were confirmed: all that came before the first one here.
    confirmed: u64,
    events: VecDeque<Entry>,
    bytes: usize,
    /// How many questions on the current connection are not answered.
    asked: u32,
    /// Whether an event was sent since the last question.
    is_unasked: bool,
}

/// An event and its last transmission.
#[derive(Debug)]
pub(super) struct Entry {
    /// `None` is a volatile event: it is counted, and it is not sent again.
    event: Option<BufferedEvent>,
    /// Its number among all sent events.
    serial: u64,
    /// How often in a row the server closed the connection because of it.
    refusals: u32,
}

/// The unconfirmed events in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    /// How many events of the session came before the first one here.
    #[serde(deserialize_with = "whole")]
    pub(super) confirmed: u64,
    /// `None` is a volatile event: it is counted, and it is not sent again.
    pub(super) events: Vec<Option<BufferedEvent>>,
}

impl Unconfirmed {
    pub(super) fn is_counted(&self) -> bool {
        self.is_counted
    }

    /// Whether to ask the server how many events have arrived.
    ///
    /// At most one question without ids is open at a time. To the server it confirms that everything
    /// up to its last answer has arrived, so the server drops the acknowledgements that it kept for
    /// that.
    pub(super) fn is_question_due(&self) -> bool {
        self.is_unasked && self.asked == 0 && !self.events.is_empty()
    }

    pub(super) fn ask(&mut self) {
        self.asked = self.asked.saturating_add(1);
        self.is_unasked = false;
    }

    pub(super) fn answered(&mut self, received: u64) {
        self.asked = self.asked.saturating_sub(1);
        self.confirm(received);
    }

    /// Whether the limits allow one more event.
    pub(super) fn has_room(&self, event: Option<&BufferedEvent>, limits: &ClientLimits) -> bool {
        !self.is_counted
            || (self.events.len() < limits.buffered_events
                && self.bytes.saturating_add(size(event)) <= limits.buffered_bytes)
    }

    /// The number of unconfirmed events, volatile ones included, and their bytes.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.events.len(), self.bytes)
    }

    /// The part of a snapshot, if the server counts events.
    pub(super) fn exported(&self, event: impl Fn(&BufferedEvent) -> BufferedEvent) -> Option<Sent> {
        let events = || self.events.iter().map(|it| it.event.as_ref().map(&event)).collect();
        self.is_counted.then(|| Sent { confirmed: self.confirmed, events: events() })
    }

    /// Restores the part of a snapshot.
    pub(super) fn restore(&mut self, sent: Option<Sent>) {
        self.begin(sent.as_ref().map(|sent| sent.confirmed));
        sent.into_iter().flat_map(|sent| sent.events).for_each(|event| self.push(event, 0));
    }

    /// An event was sent.
    pub(super) fn push(&mut self, event: Option<BufferedEvent>, serial: u64) {
        if self.is_counted {
            self.bytes = self.bytes.saturating_add(size(event.as_ref()));
            self.events.push_back(Entry { event, serial, refusals: 0 });
            self.is_unasked = true;
        }
    }

    /// The number in its session of the next event that is sent, from 0.
    pub(super) fn next_number(&self) -> u64 {
        self.confirmed.saturating_add(u64::try_from(self.events.len()).unwrap_or(u64::MAX))
    }

    /// How many events of the session the server has that this client does not know, if any: another
    /// process has sent them.
    pub(super) fn unknown(&self, received: Option<u64>) -> Option<u64> {
        let unknown = received?.checked_sub(self.next_number())?;
        (self.is_counted && unknown > 0).then_some(unknown)
    }

    /// Sends all events again, in order, each with its number in the session. `send` returns the number
    /// among all sent events.
    pub(super) fn resend(&mut self, mut send: impl FnMut(&BufferedEvent, u64) -> u64) {
        let mut number = self.confirmed;
        for entry in &mut self.events {
            if let Some(event) = &entry.event {
                entry.serial = send(event, number);
            }
            number = number.saturating_add(1);
        }
        self.is_unasked = true;
    }

    /// Removes and returns the events for which `is_wanted` is false.
    pub(super) fn extract(
        &mut self,
        mut is_wanted: impl FnMut(&BufferedEvent) -> bool,
    ) -> Vec<BufferedEvent> {
        let mut taken = Vec::new();
        self.events.retain_mut(|entry| {
            let is_kept = entry.event.as_ref().is_none_or(&mut is_wanted);
            if !is_kept {
                taken.extend(entry.event.take());
            }
            is_kept
        });
        for event in &taken {
            self.bytes = self.bytes.saturating_sub(event.size());
        }
        taken
    }

    /// The first event that can be sent again, and the number of its last transmission.
    pub(super) fn first(&self) -> Option<(&BufferedEvent, u64)> {
        self.events.iter().find_map(|entry| Some((entry.event.as_ref()?, entry.serial)))
    }

    /// Counts a refusal of the first event by the server. Removes and returns it at the limit.
    pub(super) fn refuse_first(&mut self, limit: u32) -> Option<BufferedEvent> {
        let first = self.events.front_mut()?;
        first.refusals = first.refusals.saturating_add(1);
        if first.refusals < limit {
            return None;
        }
        let event = self.events.pop_front()?.event;
        self.bytes = self.bytes.saturating_sub(size(event.as_ref()));
        event
    }

    /// Begins a session. `received` is how many of its events have arrived, if the server counts them.
    pub(super) fn begin(&mut self, received: Option<u64>) {
        *self = Self {
            is_counted: received.is_some(),
            confirmed: received.unwrap_or_default(),
            ..Self::default()
        };
    }

    /// Continues a session that was recovered. Returns false if the count contradicts what was confirmed
    /// or sent.
    pub(super) fn resume(&mut self, received: Option<u64>) -> bool {
        self.asked = 0;
        self.is_counted && received.is_some_and(|received| self.confirm(received)) && {
            self.events.retain(|entry| entry.event.is_some());
            true
        }
    }

    /// Drops the first events, up to this count. Returns false if the count contradicts what was
    /// confirmed or sent.
    fn confirm(&mut self, received: u64) -> bool {
        let count = received.checked_sub(self.confirmed);
        let count = count.and_then(|count| usize::try_from(count).ok());
        let Some(count) = count.filter(|count| *count <= self.events.len()) else {
            return false;
        };
        for entry in self.events.drain(..count) {
            self.bytes = self.bytes.saturating_sub(size(entry.event.as_ref()));
        }
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
        self.confirmed = received;
        true
    }

    /// The unconfirmed events, without volatile ones.
    pub(super) fn iter(&self) -> impl Iterator<Item = &BufferedEvent> {
        self.events.iter().filter_map(|entry| entry.event.as_ref())
    }
}

fn size(event: Option<&BufferedEvent>) -> usize {
    event.map_or(0, BufferedEvent::size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{socket, time::Timestamp};

    fn event(number: u32) -> BufferedEvent {
        let event = socket::Event::new("e", &(number,)).unwrap();
        BufferedEvent { event, at: Timestamp::ZERO, ack: None }
    }

    #[test]
    fn confirmed_events_are_dropped_and_volatile_events_are_counted() {
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.push(Some(event(0)), 1);
        assert!(unconfirmed.events.is_empty(), "the server does not count");
        unconfirmed.begin(Some(5));
        for sent in [Some(event(5)), None, Some(event(7)), None, Some(event(9))] {
            unconfirmed.push(sent, 1);
        }
        assert!(!unconfirmed.confirm(4) && !unconfirmed.confirm(11));
        assert!(unconfirmed.confirm(6));
        assert!(unconfirmed.resume(Some(7)));
        assert!(unconfirmed.iter().eq(&[event(7), event(9)]));
        assert!(!unconfirmed.confirm(10), "the lost volatile event does not count any more");
        let mut numbers = Vec::new();
        unconfirmed.resend(|_, number| {
            numbers.push(number);
            2
        });
        assert_eq!((numbers, unconfirmed.next_number()), (Vec::from([7, 8]), 9));
        assert!(unconfirmed.is_question_due());
        unconfirmed.ask();
        assert!(!unconfirmed.is_question_due());
        assert!(unconfirmed.confirm(9) && !unconfirmed.is_question_due());
        assert_eq!(unconfirmed.bytes, 0);
        assert!(!unconfirmed.resume(None));
        assert_eq!(unconfirmed.unknown(Some(9)), None);
        assert_eq!(unconfirmed.unknown(Some(12)), Some(3));
    }

    #[test]
    fn an_event_is_given_up_at_the_limit_of_refusals() {
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.begin(Some(0));
        unconfirmed.push(Some(event(0)), 1);
        unconfirmed.push(Some(event(1)), 2);
        assert_eq!(unconfirmed.refuse_first(2), None);
        assert_eq!(unconfirmed.refuse_first(2), Some(event(0)));
        assert_eq!(
            unconfirmed.refuse_first(2),
            None,
            "the refusals of the next event are counted separately"
        );
        assert_eq!(unconfirmed.extract(|_| false), [event(1)]);
        assert_eq!((unconfirmed.bytes, unconfirmed.next_number()), (0, 0));
    }
}

//! Events that the server does not take: known before they are sent, or found out.
//!
//! What the server has said (`maxPayload`) and what it is configured to take (attachments) is
//! checked when an event is emitted, and again when one that has waited is sent. What nobody has
//! said is found out: the server closes the connection, and when the session goes on it has not
//! got the same event as before.
//!
//! That must not hit an honest event on a link that breaks. So only what the server does on purpose
//! counts: a close packet, the close frame of a WebSocket, a refused request. A link that is lost
//! has none of these. And only the first event that has not arrived can be why, since what is sent
//! keeps its order: where events are counted, the server says after the recovery which one that is.
//! Where they are not, an event that is sent with retries is blamed if it was the only one on the
//! connection.

use super::{AckFailure, BufferedEvent, Event, Undeliverable, io::Io, socket::Socket};
use crate::socket::{Encoded, NamespaceName};

/// Longer than what stands before the name of a namespace and the arguments: types, counts, an id.
const LONGEST_PREFIX: usize = 64;

/// The event that may be why the server closed the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspect {
    /// When it was sent.
    serial: u64,
    /// Its name, if it is sent with retries and nothing else can be why.
    only_retry: Option<u64>,
}

impl Socket {
    /// Why the server is known not to take an event.
    pub(super) fn undeliverable(&self, io: &Io, event: &BufferedEvent) -> Option<Undeliverable> {
        let id = event.ack.map(|name| self.id_of(name));
        undeliverable(io, &self.name, id, event)
    }

    /// The connection is gone. Notes which event may be why, if the server closed it on purpose.
    pub(super) fn suspect(&mut self, io: &mut Io, by_server: bool) {
        if self.is_connected() {
            self.suspect = if by_server { self.first_unconfirmed(io) } else { None };
        }
        if let Some(suspect) = self.suspect {
            io.suspects.insert(suspect.serial);
        }
    }

    fn first_unconfirmed(&self, io: &Io) -> Option<Suspect> {
        let retry = self.retries.sent_head();
        if !self.unconfirmed.is_active() {
            let (name, serial) = retry.filter(|_| io.sent_on_connection() == 1)?;
            return Some(Suspect { serial, only_retry: Some(name) });
        }
        let (event, serial) = self.unconfirmed.first()?;
        let is_only = self.unconfirmed.load().0 == 1;
        let only_retry =
            retry.map(|(name, _)| name).filter(|name| is_only && event.ack == Some(*name));
        Some(Suspect { serial, only_retry })
    }

    /// The namespace is joined again: blames the event, if it is still the first one that has not
    /// arrived, and none that was sent before it is suspected.
    pub(super) fn judge(&mut self, io: &mut Io, is_resumed: bool) {
        let Some(suspect) = self.suspect.take() else {
            return;
        };
        let is_first = io.suspects.first() == Some(&suspect.serial);
        let is_only = io.suspects.len() == 1;
        io.suspects.remove(&suspect.serial);
        let limit = io.config.limits.refusals;
        let is_missing = || self.unconfirmed.first().is_some_and(|(_, at)| at == suspect.serial);
        if is_resumed && is_first && is_missing() {
            io.suspects.clear();
            if let Some(event) = self.unconfirmed.refuse_first(limit) {
                self.give_up(io, event, Undeliverable::Refused { times: limit });
            }
        } else if !is_resumed && is_only && suspect.only_retry.is_some() {
            let head = self.retries.events().front().and_then(|event| event.ack);
            if head == suspect.only_retry && self.retries.is_refused(limit) {
                self.give_up_retry(io, Undeliverable::Refused { times: limit });
            }
        }
    }

    /// Takes out what was sent, has not arrived, and is too much for the server that is there now.
    pub(super) fn drop_undeliverable(&mut self, io: &mut Io) {
        // None of them has more digits.
        let number = self.unconfirmed.next_number();
        let name = self.name.clone();
        let cause = |io: &Io, event: &BufferedEvent| {
            undeliverable(io, &name, event.ack.map(|_| number), event)
        };
        for event in self.unconfirmed.extract(|event| cause(io, event).is_none()) {
            if let Some(cause) = cause(io, &event) {
                self.give_up(io, event, cause);
            }
        }
    }

    /// Gives up an event that was taken out of its queue.
    pub(super) fn give_up(&mut self, io: &mut Io, event: BufferedEvent, cause: Undeliverable) {
        if let Some(name) = event.ack {
            if self.retries.events().front().is_some_and(|head| head.ack == event.ack) {
                return self.give_up_retry(io, cause);
            }
            if self.acks.settle(name) {
                self.report_failed(io, name, AckFailure::Undeliverable);
            }
        }
        io.emit(Event::Undeliverable { namespace: self.name.clone(), event, cause });
    }

    /// Gives up the head of the retry queue.
    pub(super) fn give_up_retry(&mut self, io: &mut Io, cause: Undeliverable) {
        if let Some(event) = self.retries.pop() {
            self.report_retry_failed(io, &event, AckFailure::Undeliverable);
            io.emit(Event::Undeliverable { namespace: self.name.clone(), event, cause });
        }
    }
}

/// Why the server is known not to take an event that has this id.
fn undeliverable(
    io: &Io,
    namespace: &NamespaceName,
    id: Option<u64>,
    event: &BufferedEvent,
) -> Option<Undeliverable> {
    // Most are far from any limit, and need not be encoded to know that.
    let longest = event.size().saturating_add(namespace.as_str().len());
    if event.event.attachments().is_empty() && io.takes(longest.saturating_add(LONGEST_PREFIX)) {
        return None;
    }
    io.undeliverable(&Encoded::event(namespace, &event.event, id, None))
}

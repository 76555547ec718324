//! Events that the server does not accept.
//!
//! Two limits are known: `maxPayload`, which the server announces, and the number of attachments, which
//! is configured. They are checked when an event is emitted, and again when a buffered event is sent.
//! Other limits are found out: the server closes the connection, and after the recovery the same event
//! is still missing.
//!
//! An event must not be blamed for a link that breaks. So only closes on purpose count: a close packet,
//! the close frame of a WebSocket, a refused request. A lost link has none of these. Packets keep their
//! order, so only the first missing event can be the reason. If the server counts events, it reports
//! after the recovery which event that is. Otherwise an event with retries is blamed if it was the only
//! event on the connection.

use super::{
    BufferedEvent, ClientAckFailure, ClientEvent, Undeliverable, context::Context, socket::Socket,
    suspect::Suspect,
};
use crate::socket::{Encoded, NamespaceName};

/// Greater than the length of everything in an encoded event except the name of the namespace and the
/// arguments: types, counts, an id.
const LONGEST_PREFIX: usize = 64;

impl Socket {
    /// Why the server is known not to accept an event, if it is.
    pub(super) fn undeliverable(
        &self,
        cx: &Context,
        event: &BufferedEvent,
    ) -> Option<Undeliverable> {
        let id = event.ack.map(|name| self.id_of(name));
        undeliverable(cx, &self.name, id, event)
    }

    /// The connection has ended. If the server closed it on purpose, notes which event may be the
    /// reason.
    pub(super) fn suspect(&mut self, cx: &mut Context, by_server: bool) {
        if self.is_connected() {
            self.suspect = if by_server { self.first_unconfirmed(cx) } else { None };
        }
        if let Some(suspect) = self.suspect {
            cx.suspects.insert(suspect.serial);
        }
    }

    fn first_unconfirmed(&self, cx: &Context) -> Option<Suspect> {
        let retry = self.retries.sent_head();
        if !self.unconfirmed.is_counted() {
            let (name, serial) = retry.filter(|_| cx.sent_on_connection() == 1)?;
            return Some(Suspect { serial, only_retry: Some(name) });
        }
        let (event, serial) = self.unconfirmed.first()?;
        let is_only = self.unconfirmed.load().0 == 1;
        let only_retry =
            retry.map(|(name, _)| name).filter(|name| is_only && event.ack == Some(*name));
        Some(Suspect { serial, only_retry })
    }

    /// The namespace is joined again. Blames the suspected event if it is still the first missing event
    /// and no event that was sent earlier is suspected.
    pub(super) fn judge(&mut self, cx: &mut Context, is_resumed: bool) {
        let Some(suspect) = self.suspect.take() else {
            return;
        };
        let is_first = cx.suspects.first() == Some(&suspect.serial);
        let is_only = cx.suspects.len() == 1;
        cx.suspects.remove(&suspect.serial);
        let limit = cx.config.limits.refusals;
        let is_missing = || self.unconfirmed.first().is_some_and(|(_, at)| at == suspect.serial);
        if is_resumed && is_first && is_missing() {
            cx.suspects.clear();
            if let Some(event) = self.unconfirmed.refuse_first(limit) {
                self.give_up(cx, event, Undeliverable::Refused { times: limit });
            }
        } else if !is_resumed && is_only && suspect.only_retry.is_some() {
            let head = self.retries.events().front().and_then(|event| event.ack);
            if head == suspect.only_retry && self.retries.refuse(limit) {
                self.give_up_retry(cx, Undeliverable::Refused { times: limit });
            }
        }
    }

    /// Removes the missing events that the current server does not accept.
    pub(super) fn drop_undeliverable(&mut self, cx: &mut Context) {
        // No id of a missing event has more digits.
        let number = self.unconfirmed.next_number();
        let name = self.name.clone();
        let cause = |cx: &Context, event: &BufferedEvent| {
            undeliverable(cx, &name, event.ack.map(|_| number), event)
        };
        for event in self.unconfirmed.extract(|event| cause(cx, event).is_none()) {
            if let Some(cause) = cause(cx, &event) {
                self.give_up(cx, event, cause);
            }
        }
    }

    /// Gives up an event that was removed from its queue.
    pub(super) fn give_up(&mut self, cx: &mut Context, event: BufferedEvent, cause: Undeliverable) {
        if let Some(name) = event.ack {
            if self.retries.events().front().is_some_and(|head| head.ack == event.ack) {
                return self.give_up_retry(cx, cause);
            }
            if self.acks.remove(name) {
                self.report_failed(cx, name, ClientAckFailure::Undeliverable);
            }
        }
        cx.emit(ClientEvent::Undeliverable { namespace: self.name.clone(), event, cause });
    }

    /// Gives up the head of the retry queue.
    pub(super) fn give_up_retry(&mut self, cx: &mut Context, cause: Undeliverable) {
        if let Some(event) = self.retries.pop() {
            self.report_retry_failed(cx, &event, ClientAckFailure::Undeliverable);
            cx.emit(ClientEvent::Undeliverable { namespace: self.name.clone(), event, cause });
        }
    }
}

/// Why the server is known not to accept an event with this id, if it is.
fn undeliverable(
    cx: &Context,
    namespace: &NamespaceName,
    id: Option<u64>,
    event: &BufferedEvent,
) -> Option<Undeliverable> {
    // Most events are far below every limit and need not be encoded.
    let longest = event.size().saturating_add(namespace.as_str().len());
    if event.event.attachments().is_empty() && cx.takes(longest.saturating_add(LONGEST_PREFIX)) {
        return None;
    }
    cx.undeliverable(&Encoded::event(namespace, &event.event, id, None))
}

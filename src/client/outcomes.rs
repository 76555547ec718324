//! How emitted events end: acknowledged, failed, expired, or taken back.

use alloc::vec::Vec;

use super::{BufferedEvent, ClientAckFailure, ClientEvent, context::Context, socket::Socket};
use crate::{
    id::AckId,
    number::{next_id, whole_numbers},
    socket::Args,
};

impl Socket {
    /// Handles everything that is due. Returns whether the CONNECT was not answered in time.
    pub(super) fn handle_timeout(&mut self, cx: &mut Context) -> bool {
        let now = cx.now;
        while let Some(id) = self.acks.pop_due(now) {
            self.buffer.withdraw(id);
            self.report_failed(cx, id, ClientAckFailure::Timeout);
        }
        if self.unconfirmed.is_counted() {
            let deadline = now.saturating_add(cx.config.ack_timeout);
            if let Some(id) = self.retries.renew(now, cx.config.retries, deadline) {
                self.ask(cx, &[id]);
            }
        }
        if let Some(event) = self.retries.time_out(now, cx.config.retries) {
            self.report_retry_failed(cx, &event, ClientAckFailure::Timeout);
        }
        let age = cx.config.limits.buffered_age;
        while let Some(event) = self.buffer.pop_expired(now, age) {
            if let Some(id) = event.ack
                && self.acks.remove(id)
            {
                self.report_failed(cx, id, ClientAckFailure::Expired);
            }
            cx.emit(ClientEvent::BufferExpired { namespace: self.name.clone(), event });
        }
        while let Some(event) = self.retries.pop_expired(now, age) {
            self.report_retry_failed(cx, &event, ClientAckFailure::Expired);
            cx.emit(ClientEvent::BufferExpired { namespace: self.name.clone(), event });
        }
        self.send_retry(cx);
        self.time_out_connect(cx)
    }

    pub(super) fn handle_ack(&mut self, cx: &mut Context, id: u64, args: Args) {
        let event = self.retries.acknowledge(id);
        let name = event.map_or_else(|| self.acks.remove_sent(id), |event| event.ack);
        if let Some(name) = name {
            let ack = self.ack_id(name);
            cx.emit(ClientEvent::Acked { namespace: self.name.clone(), ack, args });
        }
        self.send_retry(cx);
    }

    /// The server reports how many events have arrived, and which of the events that it was asked
    /// about its application could not handle.
    pub(super) fn handle_count(&mut self, cx: &mut Context, args: &Args) {
        let numbers = args.parse().ok().and_then(whole_numbers).unwrap_or_default();
        let Some((received, withdrawn)) = numbers.split_first() else {
            return;
        };
        self.unconfirmed.answered(*received);
        for id in withdrawn {
            self.retries.withdraw(*id);
        }
        self.send_retry(cx);
        if self.unconfirmed.is_question_due() {
            self.ask(cx, &[]);
        }
    }

    /// The link was lost, and the session may be recovered.
    pub(super) fn suspend(&mut self, cx: &mut Context) {
        if let Some(event) = self.retries.suspend(cx.config.retries) {
            self.report_retry_failed(cx, &event, ClientAckFailure::Disconnected);
        }
    }

    /// Reports everything that was sent and not answered as failed: the session is over or, if the
    /// server does not count events, the link is lost.
    pub(super) fn abandon(&mut self, cx: &mut Context) {
        let sent: Vec<u64> = self.acks.sent_ids().map(|(_, name)| name).collect();
        for name in sent {
            self.acks.remove(name);
            self.report_failed(cx, name, ClientAckFailure::Disconnected);
        }
        for event in self.unconfirmed.iter().filter(|event| event.ack.is_none()) {
            cx.emit(ClientEvent::Unconfirmed {
                namespace: self.name.clone(),
                event: event.clone(),
            });
        }
        self.unconfirmed.begin(None);
        if let Some(event) = self.retries.lose(cx.config.retries) {
            self.report_retry_failed(cx, &event, ClientAckFailure::Disconnected);
        }
    }

    /// Takes back the events that were not sent. Their acknowledgements fail as withdrawn.
    pub(super) fn take_buffered(&mut self, cx: &mut Context) -> Vec<BufferedEvent> {
        let mut taken = Vec::new();
        while let Some(event) = self.buffer.pop() {
            if let Some(id) = event.ack
                && self.acks.remove(id)
            {
                self.report_failed(cx, id, ClientAckFailure::Withdrawn);
            }
            taken.push(event);
        }
        taken
    }

    /// Takes back the events that were emitted with retries. Their acknowledgements fail as withdrawn.
    pub(super) fn take_retrying(&mut self, cx: &mut Context) -> Vec<BufferedEvent> {
        let mut taken = Vec::new();
        while let Some(event) = self.retries.pop() {
            self.report_retry_failed(cx, &event, ClientAckFailure::Withdrawn);
            taken.push(event);
        }
        taken
    }

    pub(super) fn report_failed(&self, cx: &mut Context, id: u64, cause: ClientAckFailure) {
        let ack = self.ack_id(id);
        cx.emit(ClientEvent::AckFailed { namespace: self.name.clone(), ack, cause });
    }

    pub(super) fn report_retry_failed(
        &self,
        cx: &mut Context,
        event: &BufferedEvent,
        cause: ClientAckFailure,
    ) {
        if let Some(id) = event.ack {
            self.report_failed(cx, id, cause);
        }
    }

    /// Returns an unused name for an acknowledgement.
    pub(super) fn next_name(&mut self) -> u64 {
        let name = self.next_ack;
        // No acknowledgement is pending for that long.
        self.next_ack = next_id(name);
        name
    }

    pub(super) fn ack_id(&self, name: u64) -> AckId {
        AckId { namespace: self.slot, id: name }
    }
}

//! How events that ask for an answer are settled, one way or the other.

use alloc::vec::Vec;

use super::{AckFailure, BufferedEvent, Event, io::Io, socket::Socket};
use crate::{id::AckId, number::whole_numbers, socket::Args};

/// Ids are exact in JavaScript up to here.
pub(super) const ID_MAX: u64 = (1 << 53) - 1;

impl Socket {
    /// Fires what is due. Returns whether the CONNECT was not answered in time.
    pub(super) fn handle_timeout(&mut self, io: &mut Io) -> bool {
        let now = io.now;
        while let Some(id) = self.acks.pop_due(now) {
            self.buffer.withdraw(id);
            self.report_failed(io, id, AckFailure::Timeout);
        }
        if self.unconfirmed.is_active() {
            let deadline = now.saturating_add(io.config.ack_timeout);
            if let Some(id) = self.retries.renew(now, io.config.retries, deadline) {
                self.ask(io, &[id]);
            }
        }
        if let Some(event) = self.retries.time_out(now, io.config.retries) {
            self.report_retry_failed(io, &event, AckFailure::Timeout);
        }
        let age = io.config.limits.buffered_age;
        while let Some(event) = self.buffer.pop_expired(now, age) {
            if let Some(id) = event.ack
                && self.acks.settle(id)
            {
                self.report_failed(io, id, AckFailure::Expired);
            }
            io.emit(Event::BufferExpired { namespace: self.name.clone(), event });
        }
        while let Some(event) = self.retries.pop_expired(now, age) {
            self.report_retry_failed(io, &event, AckFailure::Expired);
            io.emit(Event::BufferExpired { namespace: self.name.clone(), event });
        }
        self.send_retry(io);
        self.time_out_connect(io)
    }

    pub(super) fn handle_ack(&mut self, io: &mut Io, id: u64, args: Args) {
        let event = self.retries.acknowledge(id);
        let name = event.map_or_else(|| self.acks.settle_id(id), |event| event.ack);
        if let Some(name) = name {
            let ack = self.ack_id(name);
            io.emit(Event::Acked { namespace: self.name.clone(), ack, args });
        }
        self.send_retry(io);
    }

    /// The server says how many events have arrived, and which of those that it was asked about
    /// it has not handled.
    pub(super) fn handle_count(&mut self, io: &mut Io, args: &Args) {
        let numbers = args.parse().ok().and_then(whole_numbers).unwrap_or_default();
        let Some((received, withdrawn)) = numbers.split_first() else {
            return;
        };
        self.unconfirmed.answered(*received);
        for id in withdrawn {
            self.retries.withdraw(*id);
        }
        self.send_retry(io);
        if self.unconfirmed.is_question_due() {
            self.ask(io, &[]);
        }
    }

    /// The link is lost, and the session may be recovered.
    pub(super) fn suspend(&mut self, io: &mut Io) {
        if let Some(event) = self.retries.suspend(io.config.retries) {
            self.report_retry_failed(io, &event, AckFailure::Disconnected);
        }
    }

    /// What was sent and not answered is lost with the session, or with the link if the server does
    /// not count events.
    pub(super) fn abandon(&mut self, io: &mut Io) {
        let sent: Vec<u64> = self.acks.sent_ids().map(|(_, name)| name).collect();
        for name in sent {
            self.acks.settle(name);
            self.report_failed(io, name, AckFailure::Disconnected);
        }
        for event in self.unconfirmed.iter().filter(|event| event.ack.is_none()) {
            io.emit(Event::Unconfirmed { namespace: self.name.clone(), event: event.clone() });
        }
        self.unconfirmed.begin(None);
        if let Some(event) = self.retries.lose(io.config.retries) {
            self.report_retry_failed(io, &event, AckFailure::Disconnected);
        }
    }

    /// Takes back what was not sent. Acknowledgements fail as withdrawn.
    pub(super) fn take_buffered(&mut self, io: &mut Io) -> Vec<BufferedEvent> {
        let mut taken = Vec::new();
        while let Some(event) = self.buffer.pop() {
            if let Some(id) = event.ack
                && self.acks.settle(id)
            {
                self.report_failed(io, id, AckFailure::Withdrawn);
            }
            taken.push(event);
        }
        taken
    }

    /// Takes back what is sent until it is acknowledged. Acknowledgements fail as withdrawn.
    pub(super) fn take_retrying(&mut self, io: &mut Io) -> Vec<BufferedEvent> {
        let mut taken = Vec::new();
        while let Some(event) = self.retries.pop() {
            self.report_retry_failed(io, &event, AckFailure::Withdrawn);
            taken.push(event);
        }
        taken
    }

    pub(super) fn report_failed(&self, io: &mut Io, id: u64, cause: AckFailure) {
        let ack = self.ack_id(id);
        io.emit(Event::AckFailed { namespace: self.name.clone(), ack, cause });
    }

    pub(super) fn report_retry_failed(
        &self,
        io: &mut Io,
        event: &BufferedEvent,
        cause: AckFailure,
    ) {
        if let Some(id) = event.ack {
            self.report_failed(io, id, cause);
        }
    }

    /// Draws the name of an acknowledgement: never one that was used before.
    pub(super) fn draw_name(&mut self) -> u64 {
        let name = self.next_ack;
        // Nothing waits for that long.
        self.next_ack = if name >= ID_MAX { 0 } else { name.saturating_add(1) };
        name
    }

    pub(super) fn ack_id(&self, name: u64) -> AckId {
        AckId { namespace: self.slot, id: name }
    }
}

//! How events that ask for an answer are sent and settled, one way or the other.

use super::{AckFailure, BufferedEvent, Event, io::Io, socket::Socket};
use crate::{
    id::AckId,
    socket::{Args, Encoded},
};

impl Socket {
    /// Fires what is due. Returns whether the CONNECT was not answered in time.
    pub(super) fn handle_timeout(&mut self, io: &mut Io) -> bool {
        let now = io.now;
        while let Some(id) = self.acks.pop_due(now) {
            self.buffer.withdraw(id);
            self.report_failed(io, id, AckFailure::Timeout);
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
        let name = if let Some(event) = self.retries.acknowledge(id) {
            event.ack
        } else {
            self.acks.settle(id).then_some(id)
        };
        if let Some(id) = name {
            let ack = self.ack_id(id);
            io.emit(Event::Acked { namespace: self.name.clone(), ack, args });
        }
        self.send_retry(io);
    }

    /// What was sent and not answered is lost with the link.
    pub(super) fn fail_sent(&mut self, io: &mut Io) {
        for id in self.acks.give_up() {
            self.report_failed(io, id, AckFailure::Disconnected);
        }
        if let Some(event) = self.retries.lose(io.config.retries) {
            self.report_retry_failed(io, &event, AckFailure::Disconnected);
        }
    }

    /// Sends the head of the retry queue, if it is not out already.
    pub(super) fn send_retry(&mut self, io: &mut Io) {
        if !self.is_connected() {
            return;
        }
        let Some(event) = self.retries.next() else {
            return;
        };
        let id = self.next_ack;
        let packet = Encoded::event(&self.name, &event.event, Some(id), None);
        if io.send(&packet) {
            self.next_ack = next_id(id);
            self.retries.sent(id, io.now.saturating_add(io.config.ack_timeout));
        }
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

    /// Draws the id of an acknowledgement: never one that was used before.
    pub(super) fn draw_ack(&mut self) -> u64 {
        let id = self.next_ack;
        self.next_ack = next_id(id);
        id
    }

    pub(super) fn ack_id(&self, id: u64) -> AckId {
        AckId { namespace: self.slot, id }
    }
}

fn next_id(id: u64) -> u64 {
    // Ids are exact in JavaScript up to here; nothing waits for that long.
    if id >= (1 << 53) - 1 { 0 } else { id + 1 }
}

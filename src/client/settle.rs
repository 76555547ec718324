//! How events that ask for an answer are sent and settled, one way or the other.

use alloc::{collections::BTreeSet, vec::Vec};

use super::{AckFailure, BufferedEvent, Event, io::Io, socket::Socket};
use crate::{
    id::AckId,
    number::whole_numbers,
    socket::{Args, Encoded, Kind, Packet},
};

/// Acknowledgements that one packet asks for again.
const IDS_PER_PACKET: usize = 16;

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

    /// Asks how many events have arrived, and for the acknowledgements of these again.
    ///
    /// This is an acknowledgement without an id, sent only to servers that have announced that
    /// they count.
    fn ask(&mut self, io: &mut Io, ids: &[u64]) {
        let args = Args::new(ids).unwrap_or_default();
        let kind = Kind::Ack { id: None, args };
        let packet = Packet { namespace: self.name.clone(), kind };
        if self.is_connected() && io.send(&Encoded::packet(&packet)) {
            self.unconfirmed.ask();
        }
    }

    /// An event was sent, and is kept until it has arrived.
    pub(super) fn keep(&mut self, io: &mut Io, event: Option<BufferedEvent>) {
        if self.unconfirmed.is_active() {
            self.unconfirmed.push(event);
            if self.unconfirmed.is_question_due() {
                self.ask(io, &[]);
            }
        }
    }

    /// The session was recovered: sends what has not arrived, in order, and asks for the answers
    /// to what has.
    pub(super) fn resync(&mut self, io: &mut Io) {
        let in_flight = self.retries.resume(io.now.saturating_add(io.config.ack_timeout));
        let unsent = self.buffer.iter().chain(self.unconfirmed.iter());
        let unsent: BTreeSet<u64> = unsent.filter_map(|event| event.ack).collect();
        let awaited = self.acks.ids().chain(in_flight).filter(|id| !unsent.contains(id));
        let awaited: Vec<u64> = awaited.collect();
        // Small ones, since the server may take no large ones.
        for ids in awaited.chunks(IDS_PER_PACKET) {
            self.ask(io, ids);
        }
        if awaited.is_empty() {
            self.ask(io, &[]);
        }
        for event in self.unconfirmed.iter() {
            io.send(&Encoded::event(&self.name, &event.event, event.ack, None));
        }
        self.unconfirmed.resent();
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
        let unsent: BTreeSet<u64> = self.buffer.iter().filter_map(|event| event.ack).collect();
        let sent: Vec<u64> = self.acks.ids().filter(|id| !unsent.contains(id)).collect();
        for id in sent {
            self.acks.settle(id);
            self.report_failed(io, id, AckFailure::Disconnected);
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

    /// Sends the head of the retry queue, if it is not out already.
    pub(super) fn send_retry(&mut self, io: &mut Io) {
        if !self.is_connected() {
            return;
        }
        let Some(event) = self.retries.next() else {
            return;
        };
        if io.is_overdue() {
            // The connection may be dead, and a try would be lost with it.
            io.holds_back = true;
            return;
        }
        if !self.unconfirmed.has_room(Some(event), &io.config.limits) {
            return;
        }
        let id = self.next_ack;
        let packet = Encoded::event(&self.name, &event.event, Some(id), None);
        if io.send(&packet) {
            let event = BufferedEvent { ack: Some(id), ..event.clone() };
            self.next_ack = next_id(id);
            self.retries.sent(id, io.now.saturating_add(io.config.ack_timeout));
            self.keep(io, Some(event));
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
    // Nothing waits for that long.
    if id >= ID_MAX { 0 } else { id + 1 }
}

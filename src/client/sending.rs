//! How events are sent: at once, from the buffer, again after a recovery.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{BufferedEvent, Event, io::Io, socket::Socket};
use crate::socket::{Args, Encoded, Kind, Packet};

/// Acknowledgements that one packet asks for again.
const IDS_PER_PACKET: usize = 16;

impl Socket {
    /// Sends an event. It is kept until it has arrived, if the server counts.
    pub(super) fn send_event(&mut self, io: &mut Io, event: BufferedEvent) {
        let (packet, id) = self.encode(&event);
        self.send_encoded(io, event, &packet, id);
    }

    /// Encodes an event that is sent now, with an id if it asks for an acknowledgement.
    ///
    /// Where the server counts the events of the session that is the number of the event. No other
    /// event that has arrived has it, whichever process has sent that: the server has confirmed all
    /// numbers before. Elsewhere an answer comes over the connection of its event or never, so that
    /// the name will do.
    pub(super) fn encode(&self, event: &BufferedEvent) -> (Encoded, Option<u64>) {
        let id = event.ack.map(|name| self.id_of(name));
        (Encoded::event(&self.name, &event.event, id, None), id)
    }

    /// Sends an event in the form that [`encode`](Self::encode) has given it.
    pub(super) fn send_encoded(
        &mut self,
        io: &mut Io,
        event: BufferedEvent,
        packet: &Encoded,
        id: Option<u64>,
    ) {
        if !io.send(packet) {
            return;
        }
        let serial = io.count_event();
        if let Some((name, id)) = event.ack.zip(id) {
            self.acks.sent(name, id);
        }
        self.keep(io, Some(event), serial);
    }

    /// Sends the head of the retry queue, if it is not out already.
    pub(super) fn send_retry(&mut self, io: &mut Io) {
        if !self.is_connected() {
            return;
        }
        while let Some(event) = self.retries.next() {
            if io.is_overdue() {
                // The connection may be dead, and a try would be lost with it.
                io.holds_back = true;
                return;
            }
            let Some(cause) = self.undeliverable(io, event) else {
                return self.send_head(io);
            };
            self.give_up_retry(io, cause);
        }
    }

    /// A volatile event was sent, or one that is kept until it has arrived.
    pub(super) fn keep(&mut self, io: &mut Io, event: Option<BufferedEvent>, serial: u64) {
        if self.unconfirmed.is_active() {
            self.unconfirmed.push(event, serial);
            if self.unconfirmed.is_question_due() {
                self.ask(io, &[]);
            }
        }
    }

    /// Sends what has waited, except what the server does not take.
    pub(super) fn send_buffered(&mut self, io: &mut Io) {
        while let Some(event) = self.buffer.pop() {
            match self.undeliverable(io, &event) {
                None => self.send_event(io, event),
                Some(cause) => self.give_up(io, event, cause),
            }
        }
        self.send_retry(io);
    }

    /// Goes on with what was sent in the session before, or gives it up.
    pub(super) fn resume(&mut self, io: &mut Io, received: Option<u64>) {
        let unknown = self.unconfirmed.unknown(received).filter(|_| self.recovered);
        let is_resumed = self.recovered && self.unconfirmed.resume(received);
        self.judge(io, is_resumed);
        if is_resumed {
            return self.drop_undeliverable(io);
        }
        self.abandon(io);
        if let Some(unknown) = unknown {
            self.drop_restored(io, unknown);
        }
        self.unconfirmed.begin(received.filter(|_| self.session.is_recoverable()));
    }

    /// The session goes on, and another process has sent events in it: what this one has not sent
    /// may have been.
    pub(super) fn drop_restored(&mut self, io: &mut Io, unknown: u64) {
        io.emit(Event::StateOutOfDate { namespace: self.name.clone(), unknown });
        while let Some(event) = self.buffer.pop_restored() {
            io.emit(Event::Unconfirmed { namespace: self.name.clone(), event });
        }
    }

    /// The session was recovered: sends what has not arrived, in order, and asks for the answers
    /// to what has.
    pub(super) fn resync(&mut self, io: &mut Io) {
        let in_flight = self.retries.resume(io.now.saturating_add(io.config.ack_timeout));
        let head = self.retries.sent_head().map(|(name, _)| name);
        let missing: BTreeSet<u64> =
            self.unconfirmed.iter().filter_map(|event| event.ack).collect();
        let sent = self.acks.sent_ids().chain(in_flight.zip(head));
        let awaited = sent.filter(|(_, name)| !missing.contains(name)).map(|(id, _)| id);
        let awaited: Vec<u64> = awaited.collect();
        // Small ones, since the server may take no large ones.
        for ids in awaited.chunks(IDS_PER_PACKET) {
            self.ask(io, ids);
        }
        if awaited.is_empty() {
            self.ask(io, &[]);
        }
        let Self { unconfirmed, retries, acks, name: namespace, .. } = self;
        let mut moved = BTreeMap::new();
        unconfirmed.resend(|event, number| {
            let id = event.ack.map(|_| number);
            io.send(&Encoded::event(namespace, &event.event, id, None));
            let serial = io.count_event();
            match event.ack {
                Some(name) if Some(name) == head => retries.resent(number, serial),
                Some(name) => drop(moved.insert(name, number)),
                None => {}
            }
            serial
        });
        for (name, id) in moved {
            acks.sent(name, id);
        }
    }

    /// Asks how many events have arrived, and for the acknowledgements of these again.
    ///
    /// This is an acknowledgement without an id, sent only to servers that have announced that
    /// they count.
    pub(super) fn ask(&mut self, io: &mut Io, ids: &[u64]) {
        let args = Args::new(ids).unwrap_or_default();
        let kind = Kind::Ack { id: None, args };
        let packet = Packet { namespace: self.name.clone(), kind };
        if self.is_connected() && io.send(&Encoded::packet(&packet)) {
            self.unconfirmed.ask();
        }
    }

    fn send_head(&mut self, io: &mut Io) {
        let Some(event) = self.retries.next() else {
            return;
        };
        if !self.unconfirmed.has_room(Some(event), &io.config.limits) {
            return;
        }
        let event = event.clone();
        // Each try has an id of its own.
        let name = self.draw_name();
        let id = self.id_of(name);
        if io.send(&Encoded::event(&self.name, &event.event, Some(id), None)) {
            let serial = io.count_event();
            self.retries.sent(id, io.now.saturating_add(io.config.ack_timeout), serial);
            self.keep(io, Some(event), serial);
        }
    }

    /// The id of the acknowledgement of this name if its event is sent now.
    pub(super) fn id_of(&self, name: u64) -> u64 {
        if self.unconfirmed.is_active() { self.unconfirmed.next_number() } else { name }
    }
}

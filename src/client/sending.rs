//! Sends events: at once, from the buffer, and again after a recovery.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{BufferedEvent, ClientEvent, context::Context, socket::Socket};
use crate::socket::{Args, Encoded, Kind, Packet};

/// The most acknowledgements that one packet asks for.
const IDS_PER_PACKET: usize = 16;

impl Socket {
    /// Sends an event. If the server counts events, it is kept until it is confirmed.
    pub(super) fn send_event(&mut self, cx: &mut Context, event: BufferedEvent) {
        let (packet, id) = self.encode(&event);
        self.send_encoded(cx, event, &packet, id);
    }

    /// Encodes an event that is sent now, with an id if it asks for an acknowledgement.
    ///
    /// If the server counts the events of the session, the id is the number of the event. No other event
    /// that has arrived has this number, not even one of another process, because the server has
    /// confirmed all smaller numbers. Otherwise an answer comes on the connection of its event or never,
    /// so the name is unique enough.
    pub(super) fn encode(&self, event: &BufferedEvent) -> (Encoded, Option<u64>) {
        let id = event.ack.map(|name| self.id_of(name));
        (Encoded::event(&self.name, &event.event, id, None), id)
    }

    /// Sends an event that [`encode`](Self::encode) has encoded.
    pub(super) fn send_encoded(
        &mut self,
        cx: &mut Context,
        event: BufferedEvent,
        packet: &Encoded,
        id: Option<u64>,
    ) {
        if !cx.send(packet) {
            return;
        }
        let serial = cx.count_event();
        if let Some((name, id)) = event.ack.zip(id) {
            self.acks.sent(name, id);
        }
        self.keep(cx, Some(event), serial);
    }

    /// Sends the head of the retry queue, unless it is in flight.
    pub(super) fn send_retry(&mut self, cx: &mut Context) {
        if !self.is_connected() {
            return;
        }
        while let Some(event) = self.retries.next() {
            if cx.is_overdue() {
                // The connection may be dead, and the try would be lost with it.
                cx.holds_back = true;
                return;
            }
            let Some(cause) = self.undeliverable(cx, event) else {
                return self.send_head(cx);
            };
            self.give_up_retry(cx, cause);
        }
    }

    /// An event was sent. `None` is a volatile event; any other is kept until it is confirmed.
    pub(super) fn keep(&mut self, cx: &mut Context, event: Option<BufferedEvent>, serial: u64) {
        if self.unconfirmed.is_counted() {
            self.unconfirmed.push(event, serial);
            if self.unconfirmed.is_question_due() {
                self.ask(cx, &[]);
            }
        }
    }

    /// Sends the buffered events, except those that the server does not accept.
    pub(super) fn send_buffered(&mut self, cx: &mut Context) {
        while let Some(event) = self.buffer.pop() {
            match self.undeliverable(cx, &event) {
                None => self.send_event(cx, event),
                Some(cause) => self.give_up(cx, event, cause),
            }
        }
        self.send_retry(cx);
    }

    /// Decides about the events that were sent before this answer: keeps them if the session was
    /// recovered, and reports them otherwise.
    pub(super) fn resume(&mut self, cx: &mut Context, received: Option<u64>) {
        let unknown = self.unconfirmed.unknown(received).filter(|_| self.state.is_recovered());
        let is_resumed = self.state.is_recovered() && self.unconfirmed.resume(received);
        self.judge(cx, is_resumed);
        if is_resumed {
            return self.drop_undeliverable(cx);
        }
        self.abandon(cx);
        if let Some(unknown) = unknown {
            self.drop_restored(cx, unknown);
        }
        self.unconfirmed.begin(received.filter(|_| self.session.is_recoverable()));
    }

    /// The session was recovered, and another process has sent events in it. It may also have sent the
    /// events that this process has restored and not sent.
    pub(super) fn drop_restored(&mut self, cx: &mut Context, unknown: u64) {
        cx.emit(ClientEvent::SnapshotOutOfDate { namespace: self.name.clone(), unknown });
        while let Some(event) = self.buffer.pop_restored() {
            cx.emit(ClientEvent::Unconfirmed { namespace: self.name.clone(), event });
        }
    }

    /// The session was recovered: sends the missing events again, in order, and asks for the answers to
    /// the others.
    pub(super) fn resync(&mut self, cx: &mut Context) {
        let in_flight = self.retries.resume(cx.now.saturating_add(cx.config.ack_timeout));
        let head = self.retries.sent_head().map(|(name, _)| name);
        let missing: BTreeSet<u64> =
            self.unconfirmed.iter().filter_map(|event| event.ack).collect();
        let sent = self.acks.sent_ids().chain(in_flight.zip(head));
        let awaited = sent.filter(|(_, name)| !missing.contains(name)).map(|(id, _)| id);
        let awaited: Vec<u64> = awaited.collect();
        // Small packets, because the server may not accept large ones.
        for ids in awaited.chunks(IDS_PER_PACKET) {
            self.ask(cx, ids);
        }
        if awaited.is_empty() {
            self.ask(cx, &[]);
        }
        let Self { unconfirmed, retries, acks, name: namespace, .. } = self;
        let mut renumbered = BTreeMap::new();
        unconfirmed.resend(|event, number| {
            let id = event.ack.map(|_| number);
            cx.send(&Encoded::event(namespace, &event.event, id, None));
            let serial = cx.count_event();
            match event.ack {
                Some(name) if Some(name) == head => retries.resent(number, serial),
                Some(name) => drop(renumbered.insert(name, number)),
                None => {}
            }
            serial
        });
        for (name, id) in renumbered {
            acks.sent(name, id);
        }
    }

    /// Asks how many events have arrived, and asks again for these acknowledgements.
    ///
    /// The question is an acknowledgement without an id. Only servers that have announced that they count
    /// events get it.
    pub(super) fn ask(&mut self, cx: &mut Context, ids: &[u64]) {
        let args = Args::new(ids).unwrap_or_default();
        let kind = Kind::Ack { id: None, args };
        let packet = Packet { namespace: self.name.clone(), kind };
        if self.is_connected() && cx.send(&Encoded::packet(&packet)) {
            self.unconfirmed.ask();
        }
    }

    fn send_head(&mut self, cx: &mut Context) {
        let Some(event) = self.retries.next() else {
            return;
        };
        if !self.unconfirmed.has_room(Some(event), &cx.config.limits) {
            return;
        }
        let event = event.clone();
        // Each try has another id.
        let name = self.next_name();
        let id = self.id_of(name);
        if cx.send(&Encoded::event(&self.name, &event.event, Some(id), None)) {
            let serial = cx.count_event();
            self.retries.sent(id, cx.now.saturating_add(cx.config.ack_timeout), serial);
            self.keep(cx, Some(event), serial);
        }
    }

    /// The id of this acknowledgement on the wire, if its event is sent now.
    pub(super) fn id_of(&self, name: u64) -> u64 {
        if self.unconfirmed.is_counted() { self.unconfirmed.next_number() } else { name }
    }
}

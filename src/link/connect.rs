//! CONNECT, its answers, and leaving a namespace.

use super::{
    Link, NOWHERE, Patience,
    seats::{Attempt, Payload, Seat, Seats, Stage},
};
use crate::{
    engine::CloseReason,
    hub::{Attached, ConnectSerial, DisconnectReason, RequestKind},
    socket::{Encoded, Json, NamespaceName},
};

/// How to handle a CONNECT.
enum Verdict {
    /// The answer that the client will get, or that is in its queue, also answers this CONNECT.
    Covered,
    /// The client may have ignored the answer, and nothing else was sent to it: it is answered
    /// again.
    Repeat(Attached),
    /// The hub is asked about this CONNECT instead of the one before.
    Ask { former: Option<ConnectSerial>, replaced: Option<Attached> },
}

impl Link {
    pub(super) fn handle_connect(&mut self, namespace: NamespaceName, auth: Option<Json>) {
        let payload = Payload::new(auth.as_ref());
        let serial = self.rest.next_connect.take();
        match self.judge(&namespace, payload) {
            Verdict::Covered => {}
            Verdict::Repeat(socket) => {
                let stage = Stage::Repeating { serial, has_more: false };
                self.set_attempt(&namespace, Attempt { payload, stage });
                self.request(RequestKind::Repeat { socket, serial });
            }
            Verdict::Ask { former, replaced } => {
                if !self.has_seat(&namespace) && !self.add_seat(&namespace) {
                    return;
                }
                let stage = Stage::Asked(serial);
                self.set_attempt(&namespace, Attempt { payload, stage });
                let kind = RequestKind::Connect { namespace, serial, auth, former, replaced };
                self.request(kind);
            }
        }
    }

    fn judge(&self, namespace: &NamespaceName, payload: Payload) -> Verdict {
        let Some(seat) = self.rest.seats.iter().find(|seat| seat.is_in(namespace)) else {
            return Verdict::Ask { former: None, replaced: None };
        };
        let replaced = seat.socket;
        let former = seat.asked();
        let Some(attempt) = seat.attempt.as_deref().filter(|it| it.payload == payload) else {
            return Verdict::Ask { former, replaced };
        };
        match (attempt.stage, seat.socket) {
            (Stage::Asked(_) | Stage::Repeating { .. }, _) => Verdict::Covered,
            (Stage::Answered { answer, .. }, _) if !self.connection.has_left(answer) => {
                Verdict::Covered
            }
            (Stage::Answered { has_more: false, .. }, Some(socket)) => Verdict::Repeat(socket),
            (Stage::Answered { .. }, _) => Verdict::Ask { former, replaced },
        }
    }

    /// Adds a namespace, or refuses it if the client is in too many.
    fn add_seat(&mut self, namespace: &NamespaceName) -> bool {
        let limit = self.connection.config().limits.namespaces_per_connection;
        if self.rest.seats.len() >= limit {
            self.refuse(namespace, r#"{"message":"Too many namespaces"}"#);
            self.request(RequestKind::Overcrowded);
            return false;
        }
        self.rest.seats.push(Seat::new(namespace));
        true
    }

    pub(super) fn admit(
        &mut self,
        namespace: &NamespaceName,
        serial: ConnectSerial,
        socket: Attached,
        packets: &[Encoded],
    ) {
        let is_open = self.connection.is_open();
        let answer = self.connection.queue_end();
        let seat = self.rest.seats.iter_mut().find(|seat| seat.is_in(namespace));
        let Some(seat) = seat.filter(|seat| is_open && seat.asked() == Some(serial)) else {
            // The client has gone, or has sent another CONNECT, while the hub accepted this one. It
            // may come back for its session.
            self.forget_replaced(namespace);
            let reason = DisconnectReason::TransportClose;
            self.request(RequestKind::Detach { socket, reason });
            return;
        };
        seat.socket = Some(socket);
        seat.is_counted = false;
        if let Some(attempt) = &mut seat.attempt {
            attempt.stage = Stage::Answered { answer, has_more: packets.len() > 1 };
        }
        self.note_seats();
        self.rest.patience = Patience::Nothing;
        self.await_attachment();
        for packet in packets {
            if packet.is_connect() { self.answer(packet) } else { self.replay(packet) }
        }
    }

    /// Answers a CONNECT again.
    pub(super) fn repeat(&mut self, socket: Attached, serial: ConnectSerial, packet: &Encoded) {
        let answer = self.connection.queue_end();
        let mut seats = self.rest.seats.iter_mut();
        let Some(seat) = seats.find(|seat| seat.socket == Some(socket)) else {
            return;
        };
        let Some(attempt) = &mut seat.attempt else {
            return;
        };
        match attempt.stage {
            Stage::Repeating { serial: asked, has_more } if asked == serial => {
                // If the client asks again, it is not certain that it has processed what was sent
                // before this answer.
                if has_more {
                    seat.attempt = None;
                } else {
                    attempt.stage = Stage::Answered { answer, has_more };
                }
            }
            _ => return,
        }
        self.note_seats();
        self.answer(packet);
    }

    pub(super) fn turn_away(
        &mut self,
        namespace: &NamespaceName,
        serial: ConnectSerial,
        packet: &Encoded,
    ) {
        let is_refused = |seat: &Seat| seat.is_in(namespace) && seat.asked() == Some(serial);
        if self.rest.seats.iter().any(is_refused) {
            // A session that this CONNECT was to replace ends as well.
            self.rest.seats.retain(|seat| !is_refused(seat));
            self.answer(packet);
        }
        self.forget_replaced(namespace);
    }

    /// The hub has decided a CONNECT that the client has replaced since. So the session before that
    /// CONNECT has ended.
    fn forget_replaced(&mut self, namespace: &NamespaceName) {
        if let Some(seat) = self.rest.seats.iter_mut().find(|seat| seat.is_in(namespace)) {
            seat.socket = None;
        }
        self.note_seats();
    }

    /// The server has disconnected the socket.
    pub(super) fn disconnect(&mut self, socket: Attached, close: bool) {
        let index = self.rest.seats.iter().position(|seat| seat.socket == Some(socket));
        if let Some(seat) = index.and_then(|index| self.rest.seats.get_mut(index)) {
            // The client will get the answer to its pending CONNECT. After a DISCONNECT it would
            // ignore that answer.
            if seat.asked().is_some() {
                seat.socket = None;
            } else {
                let packet = Encoded::disconnect(&seat.name());
                self.rest.seats.retain(|seat| seat.socket != Some(socket));
                self.answer(&packet);
            }
            self.note_seats();
        }
        if !close {
            return;
        }
        for seat in self.take_seats() {
            if seat.socket.is_some() {
                self.answer(&Encoded::disconnect(&seat.name()));
            }
            self.give_up(&seat, DisconnectReason::ServerNamespaceDisconnect);
        }
        self.connection.close(self.connection.now(), CloseReason::ForcedClose);
    }

    /// The client leaves the namespace. A pending CONNECT is cancelled.
    pub(super) fn leave(&mut self, namespace: &NamespaceName, reason: DisconnectReason) {
        let index = self.rest.seats.iter().position(|seat| seat.is_in(namespace));
        if let Some(index) = index {
            let seat = self.rest.seats.remove(index);
            self.note_seats();
            self.give_up(&seat, reason);
        }
    }

    /// The client violated the protocol in one namespace: its session there ends, with a
    /// DISCONNECT.
    pub(super) fn handle_namespace_violation(&mut self, namespace: &NamespaceName) {
        self.request(RequestKind::Violation);
        let seat = self.rest.seats.iter().find(|seat| seat.is_in(namespace));
        match seat.map(|seat| seat.socket) {
            Some(Some(_)) => self.answer(&Encoded::disconnect(namespace)),
            Some(None) => self.refuse(namespace, r#"{"message":"Protocol violation"}"#),
            None => {}
        }
        self.leave(namespace, DisconnectReason::ProtocolViolation);
    }

    pub(super) fn give_up(&mut self, seat: &Seat, reason: DisconnectReason) {
        if let Some(socket) = seat.socket {
            self.request(RequestKind::Detach { socket, reason });
        }
        if let Some(serial) = seat.asked() {
            self.request(RequestKind::Cancel { namespace: seat.name(), serial, reason });
        }
    }

    pub(super) fn refuse(&mut self, namespace: &NamespaceName, error: &str) {
        let error = Json::from_text(error).unwrap_or_else(|_| Json::empty_object());
        self.answer(&Encoded::connect_error(namespace, &error));
    }

    pub(super) fn has_seat(&self, namespace: &NamespaceName) -> bool {
        self.rest.seats.iter().any(|seat| seat.is_in(namespace))
    }

    fn set_attempt(&mut self, namespace: &NamespaceName, attempt: Attempt) {
        if let Some(seat) = self.rest.seats.iter_mut().find(|seat| seat.is_in(namespace)) {
            seat.attempt = Some(attempt.into());
        }
        self.note_seats();
    }

    /// A packet was queued for a namespace whose answer to CONNECT is remembered. Now the client
    /// may have ignored more than the answer.
    pub(super) fn note_delivery(&mut self, namespace: u32) {
        let connection = &self.connection;
        let mut seats = self.rest.seats.iter_mut();
        let Some(seat) = seats.find(|seat| seat.namespace_id() == Some(namespace)) else {
            return;
        };
        let Some(attempt) = &mut seat.attempt else {
            return;
        };
        match &mut attempt.stage {
            Stage::Answered { answer, .. } if connection.has_left(*answer) => {
                seat.attempt = None;
                self.note_seats();
            }
            Stage::Answered { has_more, .. } | Stage::Repeating { has_more, .. } => {
                *has_more = true;
            }
            Stage::Asked(_) => {}
        }
    }

    pub(super) fn take_seats(&mut self) -> Seats {
        self.present = NOWHERE;
        self.is_fresh = false;
        core::mem::take(&mut self.rest.seats)
    }

    /// Call this after any change of the namespaces of the client.
    fn note_seats(&mut self) {
        let mut joined = self.rest.seats.iter().filter_map(Seat::namespace_id);
        self.present = joined.next().unwrap_or(NOWHERE);
        self.is_fresh = self.rest.seats.iter().any(Seat::is_fresh);
    }
}

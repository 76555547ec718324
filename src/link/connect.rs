//! CONNECT, its answers, and leaving a namespace.

use super::{
    Awaited, Link, NOWHERE,
    joins::{Attempt, Join, Joins, Payload, Stage},
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
    Ask { earlier: Option<ConnectSerial>, replaced: Option<Attached> },
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
            Verdict::Ask { earlier, replaced } => {
                if !self.has_join(&namespace) && !self.add_join(&namespace) {
                    return;
                }
                let stage = Stage::Asked(serial);
                self.set_attempt(&namespace, Attempt { payload, stage });
                let kind = RequestKind::Connect { namespace, serial, auth, earlier, replaced };
                self.request(kind);
            }
        }
    }

    fn judge(&self, namespace: &NamespaceName, payload: Payload) -> Verdict {
        let Some(join) = self.rest.joins.iter().find(|join| join.is_in(namespace)) else {
            return Verdict::Ask { earlier: None, replaced: None };
        };
        let replaced = join.socket;
        let earlier = join.asked();
        let Some(attempt) = join.attempt.as_deref().filter(|it| it.payload == payload) else {
            return Verdict::Ask { earlier, replaced };
        };
        match (attempt.stage, join.socket) {
            (Stage::Asked(_) | Stage::Repeating { .. }, _) => Verdict::Covered,
            (Stage::Answered { answer, .. }, _) if !self.connection.has_left(answer) => {
                Verdict::Covered
            }
            (Stage::Answered { has_more: false, .. }, Some(socket)) => Verdict::Repeat(socket),
            (Stage::Answered { .. }, _) => Verdict::Ask { earlier, replaced },
        }
    }

    /// Adds a namespace, or refuses it if the client is in too many.
    fn add_join(&mut self, namespace: &NamespaceName) -> bool {
        let limit = self.connection.config().limits.namespaces_per_connection;
        if self.rest.joins.len() >= limit {
            self.refuse(namespace, r#"{"message":"Too many namespaces"}"#);
            self.request(RequestKind::Overcrowded);
            return false;
        }
        self.rest.joins.push(Join::new(namespace));
        true
    }

    pub(super) fn accept_join(
        &mut self,
        namespace: &NamespaceName,
        serial: ConnectSerial,
        socket: Attached,
        packets: &[Encoded],
    ) {
        let is_open = self.connection.is_open();
        let answer = self.connection.queue_end();
        let join = self.rest.joins.iter_mut().find(|join| join.is_in(namespace));
        let Some(join) = join.filter(|join| is_open && join.asked() == Some(serial)) else {
            // The client has gone, or has sent another CONNECT, while the hub accepted this one. It
            // may come back for its session.
            self.forget_replaced(namespace);
            let reason = DisconnectReason::TransportClose;
            self.request(RequestKind::Detach { socket, reason });
            return;
        };
        join.socket = Some(socket);
        join.is_counted = false;
        if let Some(attempt) = &mut join.attempt {
            attempt.stage = Stage::Answered { answer, has_more: packets.len() > 1 };
        }
        self.note_joins();
        self.request(RequestKind::Admitted { socket });
        self.rest.awaited = Awaited::Nothing;
        self.await_attachment();
        for packet in packets {
            if packet.is_connect() { self.answer(packet) } else { self.replay(packet) }
        }
    }

    /// Answers a CONNECT again.
    pub(super) fn repeat(&mut self, socket: Attached, serial: ConnectSerial, packet: &Encoded) {
        let answer = self.connection.queue_end();
        let mut joins = self.rest.joins.iter_mut();
        let Some(join) = joins.find(|join| join.socket == Some(socket)) else {
            return;
        };
        let Some(attempt) = &mut join.attempt else {
            return;
        };
        match attempt.stage {
            Stage::Repeating { serial: asked, has_more } if asked == serial => {
                // If the client asks again, it is not certain that it has processed what was sent
                // before this answer.
                if has_more {
                    join.attempt = None;
                } else {
                    attempt.stage = Stage::Answered { answer, has_more };
                }
            }
            _ => return,
        }
        self.note_joins();
        self.answer(packet);
    }

    pub(super) fn refuse_join(
        &mut self,
        namespace: &NamespaceName,
        serial: ConnectSerial,
        packet: &Encoded,
    ) {
        let is_refused = |join: &Join| join.is_in(namespace) && join.asked() == Some(serial);
        if self.rest.joins.iter().any(is_refused) {
            // A session that this CONNECT was to replace ends as well.
            self.rest.joins.retain(|join| !is_refused(join));
            self.answer(packet);
        }
        self.forget_replaced(namespace);
    }

    /// The hub has decided a CONNECT that the client has replaced since. So the session before that
    /// CONNECT has ended.
    fn forget_replaced(&mut self, namespace: &NamespaceName) {
        if let Some(join) = self.rest.joins.iter_mut().find(|join| join.is_in(namespace)) {
            join.socket = None;
        }
        self.note_joins();
    }

    /// The server has disconnected the socket.
    pub(super) fn disconnect(&mut self, socket: Attached, close: bool) {
        let index = self.rest.joins.iter().position(|join| join.socket == Some(socket));
        if let Some(join) = index.and_then(|index| self.rest.joins.get_mut(index)) {
            // The client will get the answer to its pending CONNECT. After a DISCONNECT it would
            // ignore that answer.
            if join.asked().is_some() {
                join.socket = None;
            } else {
                let packet = Encoded::disconnect(&join.name());
                self.rest.joins.retain(|join| join.socket != Some(socket));
                self.answer(&packet);
            }
            self.note_joins();
        }
        if !close {
            return;
        }
        for join in self.take_joins() {
            if join.socket.is_some() {
                self.answer(&Encoded::disconnect(&join.name()));
            }
            self.give_up(&join, DisconnectReason::ServerNamespaceDisconnect);
        }
        self.connection.close(self.connection.now(), CloseReason::ForcedClose);
    }

    /// The client leaves the namespace. A pending CONNECT is cancelled.
    pub(super) fn leave(&mut self, namespace: &NamespaceName, reason: DisconnectReason) {
        let index = self.rest.joins.iter().position(|join| join.is_in(namespace));
        if let Some(index) = index {
            let join = self.rest.joins.remove(index);
            self.note_joins();
            self.give_up(&join, reason);
        }
    }

    /// The client violated the protocol in one namespace: its session there ends, with a
    /// DISCONNECT.
    pub(super) fn handle_namespace_violation(&mut self, namespace: &NamespaceName) {
        self.request(RequestKind::Violation);
        let join = self.rest.joins.iter().find(|join| join.is_in(namespace));
        match join.map(|join| join.socket) {
            Some(Some(_)) => self.answer(&Encoded::disconnect(namespace)),
            Some(None) => self.refuse(namespace, r#"{"message":"Protocol violation"}"#),
            None => {}
        }
        self.leave(namespace, DisconnectReason::ProtocolViolation);
    }

    pub(super) fn give_up(&mut self, join: &Join, reason: DisconnectReason) {
        if let Some(socket) = join.socket {
            self.request(RequestKind::Detach { socket, reason });
        }
        if let Some(serial) = join.asked() {
            self.request(RequestKind::Cancel { namespace: join.name(), serial, reason });
        }
    }

    pub(super) fn refuse(&mut self, namespace: &NamespaceName, error: &str) {
        let error = Json::from_text(error).unwrap_or_else(|_| Json::empty_object());
        self.answer(&Encoded::connect_error(namespace, &error));
    }

    pub(super) fn has_join(&self, namespace: &NamespaceName) -> bool {
        self.rest.joins.iter().any(|join| join.is_in(namespace))
    }

    fn set_attempt(&mut self, namespace: &NamespaceName, attempt: Attempt) {
        if let Some(join) = self.rest.joins.iter_mut().find(|join| join.is_in(namespace)) {
            join.attempt = Some(attempt.into());
        }
        self.note_joins();
    }

    /// A packet was queued for a namespace whose answer to CONNECT is remembered. Now the client
    /// may have ignored more than the answer.
    pub(super) fn note_delivery(&mut self, namespace: u32) {
        let connection = &self.connection;
        let mut joins = self.rest.joins.iter_mut();
        let Some(join) = joins.find(|join| join.namespace_id() == Some(namespace)) else {
            return;
        };
        let Some(attempt) = &mut join.attempt else {
            return;
        };
        match &mut attempt.stage {
            Stage::Answered { answer, .. } if connection.has_left(*answer) => {
                join.attempt = None;
                self.note_joins();
            }
            Stage::Answered { has_more, .. } | Stage::Repeating { has_more, .. } => {
                *has_more = true;
            }
            Stage::Asked(_) => {}
        }
    }

    pub(super) fn take_joins(&mut self) -> Joins {
        self.present = NOWHERE;
        self.is_fresh = false;
        core::mem::take(&mut self.rest.joins)
    }

    /// Call this after any change of the namespaces of the client.
    fn note_joins(&mut self) {
        let mut joined = self.rest.joins.iter().filter_map(Join::namespace_id);
        self.present = joined.next().unwrap_or(NOWHERE);
        self.is_fresh = self.rest.joins.iter().any(Join::is_fresh);
    }
}

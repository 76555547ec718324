//! One namespace of a client: joining, leaving, and what arrives.
//!
//! Its states are in [`socket_state`](super::socket_state). An *active* namespace is joined on every
//! connection; any other waits for [`Client::connect`](super::Client::connect).

use super::{
    Auth, AuthRequest, BufferedEvent, ClientAckToken, ClientDisconnectReason, ClientEvent,
    ClientLimits, ConnectError,
    acks::AckTable,
    answer::ConnectAnswer,
    buffer::SendBuffer,
    context::Context,
    demand::Demand,
    retry::RetryQueue,
    session::Session,
    socket_state::{SocketState, Stage, Unanswered},
    suspect::Suspect,
    unconfirmed::Unconfirmed,
    unreadable::Unreadable,
};
use crate::{
    socket::{self, Encoded, Json, Kind, NamespaceName, Packet},
    time::Timestamp,
};

pub(super) struct Socket {
    pub(super) name: NamespaceName,
    /// Identifies the namespace in tokens and in ids of acknowledgements.
    pub(super) slot: u64,
    pub(super) demand: Demand,
    pub(super) auth: Auth,
    pub(super) state: SocketState,
    pub(super) session: Session,
    pub(super) buffer: SendBuffer,
    pub(super) acks: AckTable,
    pub(super) retries: RetryQueue,
    pub(super) unconfirmed: Unconfirmed,
    pub(super) next_ack: u64,
    /// The event that may be the reason why the server closed the connection.
    pub(super) suspect: Option<Suspect>,
    pub(super) unreadable: Unreadable,
}

/// What the client has to do after a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    /// The server has answered, so it is available: the next attempts start with the shortest delay.
    Answered,
    /// The namespace is not active any more.
    Left,
    /// The connection has to be closed.
    Abort,
}

impl Socket {
    pub(super) fn new(name: NamespaceName, slot: u64) -> Self {
        Self {
            name,
            slot,
            demand: Demand::Inactive,
            auth: Auth::None,
            state: SocketState::default(),
            session: Session::default(),
            buffer: SendBuffer::default(),
            acks: AckTable::default(),
            retries: RetryQueue::default(),
            unconfirmed: Unconfirmed::default(),
            next_ack: 0,
            suspect: None,
            unreadable: Unreadable::default(),
        }
    }

    /// Sends a CONNECT, or asks the application for credentials. Called when the connection is open.
    pub(super) fn join(&mut self, cx: &mut Context) {
        if !self.is_active() || self.state.stage() != Stage::Idle {
            return;
        }
        match &self.auth {
            Auth::None => self.send_connect(cx, None),
            Auth::Value(auth) => {
                let auth = auth.clone();
                self.send_connect(cx, Some(&auth));
            }
            Auth::Ask => {
                let serial = cx.next_serial();
                self.state.ask(serial, cx.connect_deadline());
                let request = AuthRequest { slot: self.slot, serial };
                cx.emit(ClientEvent::AuthRequested { namespace: self.name.clone(), request });
            }
        }
    }

    /// Joins with the credentials that the application was asked for.
    pub(super) fn provide_auth(&mut self, cx: &mut Context, serial: u64, auth: &Json) -> bool {
        let is_expected = self.state.is_asking(serial);
        if is_expected {
            self.send_connect(cx, Some(auth));
        }
        is_expected
    }

    pub(super) fn handle_packet(&mut self, cx: &mut Context, kind: Kind) -> Effect {
        match (kind, self.state.stage()) {
            // Nothing can be joined on a connection that is closing.
            (Kind::Connect { .. }, _) if !cx.is_open() => Effect::Nothing,
            (Kind::Connect { auth }, Stage::Joining) => self.handle_answer(cx, auth.as_ref()),
            (Kind::Connect { auth }, Stage::Joined) => {
                self.handle_repeated_answer(cx, auth.as_ref())
            }
            (Kind::Disconnect, stage) if stage != Stage::Joined && cx.left.remove(&self.name) => {
                Effect::Nothing
            }
            (Kind::Connect { .. }, Stage::Leaving) => {
                self.note_answered(cx);
                self.send_disconnect(cx);
                self.rejoin(cx)
            }
            (Kind::ConnectError { .. } | Kind::Disconnect, Stage::Leaving) => self.rejoin(cx),
            (Kind::ConnectError { error }, Stage::Joining) => {
                self.fail(cx, ConnectError::refused(error.as_ref()))
            }
            (Kind::Disconnect, Stage::Joining) => self.fail(cx, ConnectError::Disconnected),
            (Kind::Disconnect, Stage::Joined) => {
                self.demand.deactivate();
                self.session.reset();
                self.leave(cx, ClientDisconnectReason::ServerDisconnect);
                Effect::Left
            }
            (Kind::Event { event, ack }, Stage::Joined) => {
                self.deliver(cx, event, ack);
                Effect::Nothing
            }
            // A replay, or what a middleware emits. If the client has left this namespace on this
            // connection and claims no session, the event belongs to the time before it left.
            (Kind::Event { event, ack }, Stage::Joining)
                if self.session.is_recoverable() || !cx.left.contains(&self.name) =>
            {
                self.hold(cx, event, ack)
            }
            (Kind::Ack { id: None, args }, Stage::Joined) => {
                self.handle_count(cx, &args);
                Effect::Nothing
            }
            (Kind::Ack { id: Some(id), args }, Stage::Joined) => {
                self.handle_ack(cx, id, args);
                Effect::Nothing
            }
            // It belongs to a time before the client left, or no server may send it.
            _ => Effect::Nothing,
        }
    }

    /// The connection has ended.
    pub(super) fn handle_closed(&mut self, cx: &mut Context, reason: ClientDisconnectReason) {
        if self.is_connected() {
            self.leave(cx, reason);
        }
        self.state.reset();
    }

    /// Leaves the namespace, and ends its session.
    pub(super) fn disconnect(&mut self, cx: &mut Context) {
        self.demand.deactivate();
        self.session.reset();
        match self.state.stage() {
            Stage::Joined => {
                self.send_disconnect(cx);
                self.leave(cx, ClientDisconnectReason::ClientDisconnect);
            }
            Stage::Asking => self.state.reset(),
            Stage::Idle | Stage::Joining | Stage::Leaving => {
                self.state.leave_before_answer();
            }
        }
        self.abandon(cx);
    }

    /// Leaves the namespace, and drops everything that it has.
    pub(super) fn forget(&mut self, cx: &mut Context) {
        self.disconnect(cx);
        drop(self.take_buffered(cx));
        drop(self.take_retrying(cx));
        self.demand = Demand::Forgotten;
    }

    /// Whether the namespace can be removed: it is forgotten, and no answer is expected.
    pub(super) fn is_over(&self) -> bool {
        self.demand == Demand::Forgotten && self.state.stage() == Stage::Idle
    }

    pub(super) fn deadline(&self, cx: &Context) -> Timestamp {
        let age = cx.config.limits.buffered_age;
        let waiting = self.buffer.deadline(age).min(self.retries.deadline(age));
        self.state.deadline().min(waiting).min(self.acks.deadline())
    }

    /// Whether one more event can be sent or buffered. Events that were not sent and events that
    /// were not confirmed share one limit, because the first become the second.
    pub(super) fn has_room(&self, event: &BufferedEvent, limits: &ClientLimits) -> bool {
        self.buffer.has_room(event, self.unconfirmed.load(), limits)
    }

    pub(super) fn is_active(&self) -> bool {
        self.demand == Demand::Active
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state.stage() == Stage::Joined
    }

    fn is_joined_or_joining(&self) -> bool {
        matches!(self.state.stage(), Stage::Joined | Stage::Joining)
    }

    /// Whether events are buffered although the namespace is joined: the connection may be dead, or
    /// earlier events are still buffered.
    pub(super) fn is_held_back(&self, cx: &Context) -> bool {
        self.is_connected() && (cx.is_overdue() || !self.buffer.is_empty())
    }

    /// The connection turned out to be alive: sends what was held back.
    pub(super) fn release(&mut self, cx: &mut Context) {
        if self.is_connected() {
            self.send_buffered(cx);
        }
    }

    /// The connection is closed because of an unreadable packet, which may be for this namespace. A
    /// lost link does not count.
    pub(super) fn note_unreadable(&mut self, cx: &mut Context) {
        if !self.is_joined_or_joining() || !self.session.is_recoverable() {
            return;
        }
        if self.unreadable.note(self.session.received(), cx.config.limits.refusals) {
            self.give_up_session(
                cx,
                ClientEvent::ReplayUnreadable { namespace: self.name.clone() },
            );
        }
    }

    /// Gives the session up and reports it: the next CONNECT asks for a new one.
    pub(super) fn give_up_session(&mut self, cx: &mut Context, event: ClientEvent) {
        self.session.reset();
        self.state.drop_replay();
        cx.emit(event);
        // What was sent in it belongs to no session any more, and a snapshot must not say so.
        self.abandon(cx);
    }

    /// Reports what was not answered in time. Returns whether the connection is of no use if nothing
    /// else is joined on it.
    pub(super) fn time_out_connect(&mut self, cx: &mut Context) -> bool {
        match self.state.time_out(cx.now) {
            Some(Unanswered::Asking | Unanswered::Joining) => {
                let error = ConnectError::Timeout;
                cx.emit(ClientEvent::ConnectError { namespace: self.name.clone(), error });
                true
            }
            Some(Unanswered::Leaving) => self.is_active(),
            None => false,
        }
    }

    fn send_connect(&mut self, cx: &mut Context, auth: Option<&Json>) {
        let auth = self.session.claim(auth);
        let packet = Packet { namespace: self.name.clone(), kind: Kind::Connect { auth } };
        let packet = Encoded::packet(&packet);
        if cx.undeliverable(&packet).is_some() {
            self.fail(cx, ConnectError::TooLarge);
            return;
        }
        cx.send(&packet);
        self.state.join(cx.left.count_connect(), cx.connect_deadline());
    }

    fn send_disconnect(&mut self, cx: &mut Context) {
        if cx.send(&Encoded::disconnect(&self.name)) {
            cx.left.insert(self.name.clone());
        }
    }

    fn handle_answer(&mut self, cx: &mut Context, answer: Option<&Json>) -> Effect {
        let Some(answer) = answer.and_then(ConnectAnswer::read) else {
            return self.fail(cx, ConnectError::InvalidAnswer);
        };
        self.note_answered(cx);
        self.enter(cx, answer, true);
        Effect::Answered
    }

    /// The server has answered once more. If it names another session, a CONNECT has arrived twice
    /// and the server has replaced the session: packets of this client go to the later one now, as
    /// they do with official servers.
    fn handle_repeated_answer(&mut self, cx: &mut Context, answer: Option<&Json>) -> Effect {
        let answer = answer.and_then(ConnectAnswer::read);
        let Some(answer) = answer.filter(|answer| self.state.id() != Some(&answer.sid)) else {
            return Effect::Nothing;
        };
        let is_counted = self.unconfirmed.is_counted() || answer.received.is_some();
        self.state.reset();
        self.report_left(cx, ClientDisconnectReason::SessionReplaced);
        // Where events are not counted, acknowledgements still come on this connection.
        self.enter(cx, answer, is_counted);
        Effect::Answered
    }

    /// The namespace is joined. `is_other` is whether events that were sent before belong to another
    /// connection or session than those that follow.
    fn enter(&mut self, cx: &mut Context, answer: ConnectAnswer, is_other: bool) {
        let ConnectAnswer { sid: id, pid, received } = answer;
        let recovered = self.session.begin(pid.as_deref());
        let replay = self.state.joined(id.clone(), recovered);
        if is_other {
            self.resume(cx, received);
        }
        cx.emit(ClientEvent::Connected { namespace: self.name.clone(), id, recovered });
        for (event, ack) in replay.events {
            self.deliver(cx, event, ack);
        }
        if self.unconfirmed.is_counted() {
            self.resync(cx);
        }
        self.send_buffered(cx);
    }

    fn note_answered(&self, cx: &mut Context) {
        if let Some(connect) = self.state.connect() {
            cx.left.answered(connect);
        }
    }

    fn deliver(&mut self, cx: &mut Context, event: socket::Event, ack: Option<u64>) {
        let offset = self.session.advance(&event);
        let generation = self.session.generation();
        let ack = ack.map(|id| ClientAckToken { slot: self.slot, generation, id });
        let event = ClientEvent::Received { namespace: self.name.clone(), event, ack };
        cx.deliver(event, offset.map(|offset| (generation, offset)));
    }

    /// Holds an event back until the answer tells which session it belongs to.
    fn hold(&mut self, cx: &mut Context, event: socket::Event, ack: Option<u64>) -> Effect {
        let size = event.attachments().iter().map(bytes::Bytes::len);
        let size = size.fold(event.json().len(), usize::saturating_add);
        let limits = &cx.config.limits;
        let Some(replay) = self.state.replay() else {
            return Effect::Nothing;
        };
        let bytes = replay.bytes.saturating_add(size);
        if replay.events.len() >= limits.replayed_events || bytes > limits.replayed_bytes {
            self.give_up_session(cx, ClientEvent::ReplayOverflow { namespace: self.name.clone() });
            return Effect::Abort;
        }
        replay.bytes = bytes;
        replay.events.push((event, ack));
        Effect::Nothing
    }

    fn fail(&mut self, cx: &mut Context, error: ConnectError) -> Effect {
        self.demand.deactivate();
        self.state.reset();
        cx.emit(ClientEvent::ConnectError { namespace: self.name.clone(), error });
        Effect::Left
    }

    /// The answer that was waited for before leaving has come.
    fn rejoin(&mut self, cx: &mut Context) -> Effect {
        self.state.reset();
        self.join(cx);
        Effect::Answered
    }

    /// The namespace is not joined any more. What was not sent is kept. What was sent and not
    /// answered has failed (C7), unless a server that counts events may still recover the session.
    fn leave(&mut self, cx: &mut Context, reason: ClientDisconnectReason) {
        self.state.reset();
        self.report_left(cx, reason);
        if self.session.is_recoverable() && self.unconfirmed.is_counted() {
            self.suspend(cx);
        } else {
            self.abandon(cx);
        }
    }

    fn report_left(&self, cx: &mut Context, reason: ClientDisconnectReason) {
        let (namespace, rejoins) = (self.name.clone(), self.is_active());
        cx.emit(ClientEvent::Disconnected { namespace, reason, rejoins });
    }
}

//! One namespace of a client, connected or not.
//!
//! Its states are those of the diagram in the documentation of [`client`](super), which calls
//! [`Phase::AwaitingAuth`] asking, [`Phase::Connecting`] joining and [`Phase::Connected`] joined. An
//! *active* namespace is joined with every connection; one that is not waits for
//! [`Client::connect`](super::Client::connect).

use alloc::vec::Vec;

use bytestring::ByteString;

use super::{
    AckToken, Auth, AuthRequest, BufferedEvent, ClientLimits, ConnectError, DisconnectReason,
    Event, acks::AckTable, answer::Answer, buffer::SendBuffer, io::Io, retry::RetryQueue,
    session::Session, unconfirmed::Unconfirmed, undeliverable::Suspect, unreadable::Unreadable,
};
use crate::{
    socket::{self, Encoded, Json, Kind, NamespaceName, Packet},
    time::Timestamp,
};

pub(super) struct Socket {
    pub(super) name: NamespaceName,
    pub(super) slot: u64,
    pub(super) is_active: bool,
    /// Whether the application has forgotten it, while the server still has a word to say.
    pub(super) is_forgotten: bool,
    pub(super) auth: Auth,
    phase: Phase,
    /// The number of the last CONNECT on the present connection.
    connect: u64,
    pub(super) session: Session,
    pub(super) id: Option<ByteString>,
    pub(super) recovered: bool,
    /// Events before the CONNECT answer: the replay of an official server.
    received: Vec<(socket::Event, Option<u64>)>,
    received_bytes: usize,
    pub(super) buffer: SendBuffer,
    pub(super) acks: AckTable,
    pub(super) retries: RetryQueue,
    pub(super) unconfirmed: Unconfirmed,
    pub(super) next_ack: u64,
    /// Which event may be why the server closed the connection.
    pub(super) suspect: Option<Suspect>,
    pub(super) unreadable: Unreadable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    AwaitingAuth {
        serial: u64,
        deadline: Timestamp,
    },
    Connecting {
        deadline: Timestamp,
    },
    /// Asked to join, and left before the answer.
    Leaving {
        deadline: Timestamp,
    },
    Connected,
}

/// What the client has to do after a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    /// The server has answered, so it is there: the next attempts start from the shortest delay.
    Answered,
    /// The namespace is not active any more.
    Left,
    /// The connection is to be closed.
    Abort,
}

impl Socket {
    pub(super) fn new(name: NamespaceName, slot: u64) -> Self {
        Self {
            name,
            slot,
            is_active: false,
            is_forgotten: false,
            auth: Auth::None,
            phase: Phase::Idle,
            connect: 0,
            session: Session::default(),
            id: None,
            recovered: false,
            received: Vec::new(),
            received_bytes: 0,
            buffer: SendBuffer::default(),
            acks: AckTable::default(),
            retries: RetryQueue::default(),
            unconfirmed: Unconfirmed::default(),
            next_ack: 0,
            suspect: None,
            unreadable: Unreadable::default(),
        }
    }

    /// Joins, or asks the application how to. To be called when the connection is open.
    pub(super) fn join(&mut self, io: &mut Io) {
        if !self.is_active || self.phase != Phase::Idle {
            return;
        }
        match &self.auth {
            Auth::None => self.send_connect(io, None),
            Auth::Value(auth) => {
                let auth = auth.clone();
                self.send_connect(io, Some(&auth));
            }
            Auth::Ask => {
                let serial = io.next_serial();
                self.phase = Phase::AwaitingAuth { serial, deadline: io.connect_deadline() };
                let request = AuthRequest { slot: self.slot, serial };
                io.emit(Event::AuthRequested { namespace: self.name.clone(), request });
            }
        }
    }

    /// Takes the credentials that were asked for.
    pub(super) fn provide_auth(&mut self, io: &mut Io, serial: u64, auth: &Json) -> bool {
        let is_awaited =
            matches!(self.phase, Phase::AwaitingAuth { serial: awaited, .. } if awaited == serial);
        if is_awaited {
            self.send_connect(io, Some(auth));
        }
        is_awaited
    }

    pub(super) fn handle_packet(&mut self, io: &mut Io, kind: Kind) -> Effect {
        match (kind, self.phase) {
            // On a connection that is gone already there is nothing to be joined.
            (Kind::Connect { .. }, _) if !io.is_open() => Effect::Nothing,
            (Kind::Connect { auth }, Phase::Connecting { .. }) => {
                self.handle_connect(io, auth.as_ref())
            }
            (Kind::Disconnect, phase)
                if phase != Phase::Connected && io.left.remove(&self.name) =>
            {
                Effect::Nothing
            }
            (Kind::Connect { .. }, Phase::Leaving { .. }) => {
                io.left.answered(self.connect);
                self.send_disconnect(io);
                self.rejoin(io)
            }
            (Kind::ConnectError { .. } | Kind::Disconnect, Phase::Leaving { .. }) => {
                self.rejoin(io)
            }
            (Kind::ConnectError { error }, Phase::Connecting { .. }) => {
                self.fail(io, ConnectError::refused(error.as_ref()))
            }
            (Kind::Disconnect, Phase::Connecting { .. }) => {
                self.fail(io, ConnectError::Disconnected)
            }
            (Kind::Disconnect, Phase::Connected) => {
                self.is_active = false;
                self.session.reset();
                self.leave(io, DisconnectReason::ServerDisconnect);
                Effect::Left
            }
            (Kind::Event { event, ack }, Phase::Connected) => {
                self.deliver(io, event, ack);
                Effect::Nothing
            }
            // A replay, or what a middleware emits; without a claim on a connection where the client
            // has left, it was emitted before the server knew that.
            (Kind::Event { event, ack }, Phase::Connecting { .. })
                if self.session.is_recoverable() || !io.left.contains(&self.name) =>
            {
                self.hold(io, event, ack)
            }
            (Kind::Ack { id: None, args }, Phase::Connected) => {
                self.handle_count(io, &args);
                Effect::Nothing
            }
            (Kind::Ack { id: Some(id), args }, Phase::Connected) => {
                self.handle_ack(io, id, args);
                Effect::Nothing
            }
            // Late news of a former stay, or nothing that a server may send.
            _ => Effect::Nothing,
        }
    }

    /// The connection is gone.
    pub(super) fn handle_closed(&mut self, io: &mut Io, reason: DisconnectReason) {
        self.drop_received();
        if self.phase == Phase::Connected {
            self.leave(io, reason);
        }
        self.phase = Phase::Idle;
    }

    /// Leaves the namespace for good.
    pub(super) fn disconnect(&mut self, io: &mut Io) {
        self.is_active = false;
        self.session.reset();
        self.drop_received();
        match self.phase {
            Phase::Connected => {
                self.send_disconnect(io);
                self.leave(io, DisconnectReason::ClientDisconnect);
            }
            Phase::Connecting { deadline } => self.phase = Phase::Leaving { deadline },
            Phase::AwaitingAuth { .. } => self.phase = Phase::Idle,
            Phase::Idle | Phase::Leaving { .. } => {}
        }
        self.abandon(io);
    }

    /// Leaves the namespace for good, with all that it has.
    pub(super) fn forget(&mut self, io: &mut Io) {
        self.disconnect(io);
        drop(self.take_buffered(io));
        drop(self.take_retrying(io));
        self.is_forgotten = true;
    }

    /// Whether nobody has anything to say about it any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_forgotten && self.phase == Phase::Idle
    }

    pub(super) fn deadline(&self, io: &Io) -> Timestamp {
        let age = io.config.limits.buffered_age;
        let phase = match self.phase {
            Phase::AwaitingAuth { deadline, .. }
            | Phase::Connecting { deadline }
            | Phase::Leaving { deadline } => deadline,
            Phase::Idle | Phase::Connected => Timestamp::NEVER,
        };
        let waiting = self.buffer.deadline(age).min(self.retries.deadline(age));
        phase.min(waiting).min(self.acks.deadline())
    }

    /// Whether one more event can be sent or buffered: what was not sent and what was not confirmed
    /// count together, since the former becomes the latter.
    pub(super) fn has_room(&self, event: &BufferedEvent, limits: &ClientLimits) -> bool {
        self.buffer.has_room(event, self.unconfirmed.load(), limits)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.phase == Phase::Connected
    }

    pub(super) fn is_joined_or_joining(&self) -> bool {
        matches!(self.phase, Phase::Connected | Phase::Connecting { .. })
    }

    fn send_connect(&mut self, io: &mut Io, auth: Option<&Json>) {
        debug_assert!(self.received.is_empty(), "dropped with the attempt before");
        let auth = self.session.claim(auth);
        let packet = Packet { namespace: self.name.clone(), kind: Kind::Connect { auth } };
        let packet = Encoded::packet(&packet);
        if io.undeliverable(&packet).is_some() {
            self.fail(io, ConnectError::TooLarge);
            return;
        }
        io.send(&packet);
        self.connect = io.left.count_connect();
        self.phase = Phase::Connecting { deadline: io.connect_deadline() };
    }

    fn send_disconnect(&mut self, io: &mut Io) {
        if io.send(&Encoded::disconnect(&self.name)) {
            io.left.insert(self.name.clone());
        }
    }

    fn handle_connect(&mut self, io: &mut Io, answer: Option<&Json>) -> Effect {
        let Some(answer) = answer.and_then(Answer::read) else {
            return self.fail(io, ConnectError::InvalidAnswer);
        };
        let id = answer.sid;
        self.phase = Phase::Connected;
        io.left.answered(self.connect);
        self.recovered = self.session.begin(answer.pid.as_deref());
        self.resume(io, answer.received);
        self.id = Some(id.clone());
        let (namespace, recovered) = (self.name.clone(), self.recovered);
        io.emit(Event::Connected { namespace, id, recovered });
        self.received_bytes = 0;
        for (event, ack) in core::mem::take(&mut self.received) {
            self.deliver(io, event, ack);
        }
        if self.unconfirmed.is_active() {
            self.resync(io);
        }
        self.send_buffered(io);
        Effect::Answered
    }

    /// Whether what is emitted has to wait, although the namespace is joined: the connection may be
    /// dead, or something waits already.
    pub(super) fn is_held_back(&self, io: &Io) -> bool {
        self.is_connected() && (io.is_overdue() || !self.buffer.is_empty())
    }

    /// The connection is alive: what was held back goes out.
    pub(super) fn release(&mut self, io: &mut Io) {
        if self.is_connected() {
            self.send_buffered(io);
        }
    }

    fn deliver(&mut self, io: &mut Io, event: socket::Event, ack: Option<u64>) {
        let offset = self.session.advance(&event);
        let generation = self.session.generation();
        let ack = ack.map(|id| AckToken { slot: self.slot, generation, id });
        let event = Event::Received { namespace: self.name.clone(), event, ack };
        io.deliver(event, offset.map(|offset| (generation, offset)));
    }

    /// Holds back an event until it is known which session it belongs to.
    fn hold(&mut self, io: &mut Io, event: socket::Event, ack: Option<u64>) -> Effect {
        let size = event.attachments().iter().map(bytes::Bytes::len);
        let size = size.fold(event.json().len(), usize::saturating_add);
        let bytes = self.received_bytes.saturating_add(size);
        let limits = &io.config.limits;
        if self.received.len() >= limits.replayed_events || bytes > limits.replayed_bytes {
            self.give_up_session(io, Event::ReplayOverflow { namespace: self.name.clone() });
            return Effect::Abort;
        }
        self.received_bytes = bytes;
        self.received.push((event, ack));
        Effect::Nothing
    }

    /// The next session will be a new one.
    pub(super) fn give_up_session(&mut self, io: &mut Io, event: Event) {
        self.session.reset();
        self.drop_received();
        io.emit(event);
        // What was sent in it belongs to no session any more, and a state must not say so.
        self.abandon(io);
    }

    /// What was replayed and not confirmed will be replayed again (H24).
    fn drop_received(&mut self) {
        self.received = Vec::new();
        self.received_bytes = 0;
    }

    fn fail(&mut self, io: &mut Io, error: ConnectError) -> Effect {
        self.drop_received();
        self.is_active = false;
        self.phase = Phase::Idle;
        io.emit(Event::ConnectError { namespace: self.name.clone(), error });
        Effect::Left
    }

    /// The answer to a CONNECT came that nobody wants any more.
    fn rejoin(&mut self, io: &mut Io) -> Effect {
        self.phase = Phase::Idle;
        self.join(io);
        Effect::Answered
    }

    /// The stay is over. What was not sent is kept; what was sent and not answered is lost (C7),
    /// unless the session may be recovered by a server that knows what has arrived.
    fn leave(&mut self, io: &mut Io, reason: DisconnectReason) {
        self.phase = Phase::Idle;
        self.id = None;
        self.recovered = false;
        let namespace = self.name.clone();
        io.emit(Event::Disconnected { namespace, reason, rejoins: self.is_active });
        if self.session.is_recoverable() && self.unconfirmed.is_active() {
            self.suspend(io);
        } else {
            self.abandon(io);
        }
    }

    pub(super) fn time_out_connect(&mut self, io: &mut Io) -> bool {
        match &mut self.phase {
            Phase::AwaitingAuth { deadline, .. } | Phase::Connecting { deadline }
                if *deadline <= io.now =>
            {
                *deadline = Timestamp::NEVER;
            }
            Phase::Leaving { deadline } if *deadline <= io.now => {
                *deadline = Timestamp::NEVER;
                return self.is_active;
            }
            Phase::Idle
            | Phase::AwaitingAuth { .. }
            | Phase::Connecting { .. }
            | Phase::Leaving { .. }
            | Phase::Connected => return false,
        }
        let error = ConnectError::Timeout;
        io.emit(Event::ConnectError { namespace: self.name.clone(), error });
        true
    }
}

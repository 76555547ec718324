//! How a client joins a namespace: request, authorisation, admission, recovery.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{
    Hub,
    claim::Claim,
    event::Event,
    message::{Attached, ConnectSerial, Reply, ReplyKind},
    output::Output,
    pacing::Held,
    reason::DisconnectReason,
    rejection::Rejection,
    request::ConnectRequest,
    sessions::{Birth, Change},
    turns::Turns,
};
use crate::{
    config::{ReplayOrder, ServerConfig},
    engine::CloseReason,
    id::{ConnectionId, RecoveryKey, SocketKey},
    recovery::{RecoveryOutcome, Refusal},
    socket::{Encoded, Json, NamespaceName},
    stats::increment,
    time::Timestamp,
};

/// CONNECTs that are not answered yet.
pub(super) struct Connects {
    waiting: BTreeMap<(ConnectionId, u32), Waiting>,
    next_serial: u64,
    /// Those that claim a session and have to wait until they are looked at.
    pub(super) turns: Turns,
    /// What was held for claims that are decided by now.
    pub(super) released: Vec<Held>,
    /// Claims that the application was asked about, by the moment until which their sessions are
    /// held.
    pub(super) overdue: BTreeSet<(Timestamp, ConnectRequest)>,
}

pub(super) struct Waiting {
    serial: u64,
    asked: Asked,
    auth: Json,
    claim: Option<Claim>,
    /// The session that is held for it.
    held: Option<Held>,
}

impl Waiting {
    fn bytes(&self) -> usize {
        let claim = self.claim.as_ref().map_or(0, Claim::bytes);
        self.auth.as_str().len().saturating_add(claim)
    }
}

/// How a link has asked.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) from: ConnectionId,
    pub(super) serial: ConnectSerial,
    /// What the link has asked before for the same client, which has not been answered.
    pub(super) former: Option<ConnectSerial>,
    /// The session that the client has there.
    pub(super) replaced: Option<Attached>,
}

/// A session that a claim is good for.
struct Recoverable {
    socket: SocketKey,
    position: u64,
    missed: Vec<Encoded>,
}

impl Connects {
    pub(super) fn new(config: &ServerConfig) -> Self {
        Self {
            waiting: BTreeMap::new(),
            next_serial: 0,
            turns: Turns::new(config),
            released: Vec::new(),
            overdue: BTreeSet::new(),
        }
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.turns.deadline()
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn queued_count(&self) -> usize {
        self.turns.len()
    }

    /// The session that is held for a request.
    pub(super) fn held(&self, request: ConnectRequest) -> Option<Held> {
        self.get(request)?.held
    }

    /// When the next session is let go of whose claim the application has not answered.
    pub(super) fn overdue_at(&self) -> Timestamp {
        self.overdue.first().map_or(Timestamp::NEVER, |(until, _)| *until)
    }

    /// Takes a claim that has waited for its answer for too long.
    pub(super) fn pop_overdue(&mut self, now: Timestamp) -> Option<(Timestamp, ConnectRequest)> {
        if self.overdue_at() <= now { self.overdue.pop_first() } else { None }
    }

    /// Nothing is held for a request any more. Returns what was.
    pub(super) fn take_held(&mut self, request: ConnectRequest) -> Option<Held> {
        self.get_mut(request)?.held.take()
    }

    /// The application is asked about a claim.
    fn hold_until(&mut self, request: ConnectRequest, until: Timestamp) {
        if let Some(held) = self.get_mut(request).and_then(|waiting| waiting.held.as_mut()) {
            held.until = until;
            self.overdue.insert((until, request));
        }
    }

    fn get_mut(&mut self, request: ConnectRequest) -> Option<&mut Waiting> {
        let waiting = self.waiting.get_mut(&(request.connection, request.namespace))?;
        (waiting.serial == request.serial).then_some(waiting)
    }

    fn get(&self, request: ConnectRequest) -> Option<&Waiting> {
        let waiting = self.waiting.get(&(request.connection, request.namespace))?;
        (waiting.serial == request.serial).then_some(waiting)
    }
}

impl<D: Default> Hub<D> {
    /// Lets a client in: with its former session if that can be recovered, with a new one
    /// otherwise. `None` if the client has gone meanwhile.
    ///
    /// In one step the former link's connection is closed if it was still open, the session moves,
    /// and CONNECT, the missed packets and everything live from now on stand in that order on the
    /// new link.
    pub fn accept(&mut self, now: Timestamp, request: ConnectRequest) -> Option<SocketKey> {
        let now = self.advance(now);
        let waiting = self.connects.get(request)?;
        let found = waiting
            .claim
            .as_ref()
            .map(|claim| self.find_recoverable(now, request, waiting.asked.replaced, claim));
        let socket = self.admit(request, found);
        self.end_released(now);
        socket
    }

    pub(super) fn handle_connect(
        &mut self,
        now: Timestamp,
        asked: Asked,
        name: NamespaceName,
        auth: Option<Json>,
    ) {
        let from = asked.from;
        if let Some(former) = asked.former {
            self.take_admitted(now, from, &name, former);
        }
        let Some(namespace) = self.find_or_create(&name) else {
            self.refuse(asked, name, &Rejection::new("Invalid namespace"));
            return;
        };
        let auth = auth.unwrap_or_else(Json::empty_object);
        let (auth, claim) =
            if self.config.recovery.is_some() { Claim::split(auth) } else { (auth, None) };
        let mut waiting =
            Waiting { serial: self.connects.next_serial, asked, auth, claim, held: None };
        if !self.has_room_for(namespace, &waiting) {
            increment(&mut self.totals.connects_refused.too_much_auth);
            // The client has asked anew: an older request is over in any case.
            if let Some(serial) = self.connects.waiting.get(&(from, namespace)).map(|it| it.serial)
            {
                self.take_waiting(ConnectRequest { connection: from, namespace, serial });
            }
            self.end_replaced(asked.replaced, None);
            self.refuse(asked, name, &Rejection::new("Too much authentication data"));
            self.settle(namespace);
            return;
        }
        let claim = waiting.claim.as_ref();
        waiting.held = claim.and_then(|claim| self.to_hold(now, namespace, claim));
        let (serial, held) = (waiting.serial, waiting.held);
        self.connects.next_serial = serial.wrapping_add(1);
        let request = ConnectRequest { connection: from, namespace, serial };
        let former = self.connects.waiting.insert((from, namespace), waiting);
        // Before the former one leaves the queue, so that the session keeps its place.
        let is_queued = held.is_some_and(|held| self.queue(request, held, asked.former.is_some()));
        if let Some(former) = former {
            self.release(ConnectRequest { serial: former.serial, ..request }, former.held);
        } else if let Some(namespace) = self.namespaces.get_mut(&namespace) {
            namespace.waiting += 1;
        }
        if is_queued { self.serve_newest(now, request) } else { self.proceed(now, request) }
    }

    /// Whether what a connection's CONNECTs carry may wait together with one more; any one may.
    fn has_room_for(&self, namespace: u32, new: &Waiting) -> bool {
        let from = new.asked.from;
        let others = self.connects.waiting.range((from, 0)..=(from, u32::MAX));
        let held = others
            .filter(|((_, other), _)| *other != namespace)
            .map(|(_, waiting)| waiting.bytes())
            .fold(0, usize::saturating_add);
        held == 0 || held.saturating_add(new.bytes()) <= self.config.limits.pending_auth_bytes
    }

    /// Lets a client in that need not be authorised again, asks the application otherwise.
    pub(super) fn proceed(&mut self, now: Timestamp, request: ConnectRequest) {
        let Some(waiting) = self.connects.get(request) else {
            return;
        };
        let may_skip = self.config.recovery.as_ref().is_some_and(|r| r.skip_authorization);
        let (claim, replaced) = (waiting.claim.as_ref(), waiting.asked.replaced);
        let found =
            claim.and_then(|claim| self.find_recoverable(now, request, replaced, claim).ok());
        let recoverable = found.as_ref().map(|session| session.socket);
        if let Some(session) = found.filter(|_| may_skip) {
            self.admit(request, Some(Ok(session)));
            return;
        }
        let auth = waiting.auth.clone();
        let Some(namespace) = self.namespaces.get(&request.namespace) else {
            return;
        };
        self.connects.hold_until(request, now.saturating_add(self.config.connect_timeout));
        self.out.push_back(Output::Event(Event::ConnectRequested {
            request,
            connection: request.connection,
            namespace: namespace.sessions.name().clone(),
            auth,
            recoverable,
        }));
    }

    /// Makes the client a member of the namespace. What was `found` must have been found in the
    /// same call: nothing may be emitted in between.
    fn admit(
        &mut self,
        request: ConnectRequest,
        found: Option<Result<Recoverable, Refusal>>,
    ) -> Option<SocketKey> {
        let Waiting { auth, asked, claim, .. } = self.take_waiting(request)?;
        let goes_on = found.as_ref().and_then(|found| found.as_ref().ok()).map(|it| it.socket);
        self.end_replaced(asked.replaced, goes_on);
        let (socket, packets, recovery) = match found {
            Some(Ok(session)) => self.recover(request, session),
            Some(Err(refusal)) => {
                self.totals.refused.count(refusal);
                if let Some(claim) = claim.filter(|_| refusal == Refusal::PoisonEvent) {
                    self.report_poison(&claim);
                }
                self.open(request, RecoveryOutcome::Refused(refusal))
            }
            None => self.open(request, RecoveryOutcome::New),
        };
        let namespace = self.namespaces.get(&request.namespace)?;
        let member = namespace.member(socket)?;
        let (id, attachment) = (member.id, member.attachment);
        let name = namespace.sessions.name().clone();
        self.reply(
            request.connection,
            ReplyKind::Connected {
                namespace: name.clone(),
                serial: asked.serial,
                socket: Attached { key: socket, attachment },
                packets,
            },
        );
        self.out.push_back(Output::Event(Event::Connected {
            socket,
            id,
            connection: request.connection,
            namespace: name,
            auth,
            recovery,
        }));
        self.settle(request.namespace);
        Some(socket)
    }

    fn recover(
        &mut self,
        request: ConnectRequest,
        session: Recoverable,
    ) -> (SocketKey, Vec<Encoded>, RecoveryOutcome) {
        let Recoverable { socket, position, missed } = session;
        let (replayed, now) = (missed.len(), self.now);
        let former = self.with_namespace(socket.namespace, |namespace, out| {
            let (index, is_empty) = (socket.index, replayed == 0);
            namespace.sessions.apply(now, Change::Replay { index, position, is_empty });
            namespace.attach(now, out, socket, request.connection, request.serial)
        });
        if let Some(Some(former)) = former {
            increment(&mut self.totals.taken_over);
            self.leave_former_link(former, socket, request.connection);
        }
        increment(&mut self.totals.recovered);
        self.totals.replayed = self.totals.replayed.wrapping_add(replayed as u64);
        let mut packets = missed;
        let after_connect = self
            .config
            .recovery
            .as_ref()
            .is_none_or(|recovery| recovery.replay_order == ReplayOrder::AfterConnect);
        let position = if after_connect { 0 } else { packets.len() };
        packets.splice(position..position, self.connect_packet(socket));
        (socket, packets, RecoveryOutcome::Recovered { replayed })
    }

    /// Tells the application and the former link that the session has moved on.
    fn leave_former_link(&mut self, former: ConnectionId, socket: SocketKey, to: ConnectionId) {
        let Some(namespace) = self.namespaces.get(&socket.namespace) else {
            return;
        };
        let Some(member) = namespace.member(socket) else {
            return;
        };
        let event = Event::Disconnected {
            socket,
            id: member.id,
            namespace: namespace.sessions.name().clone(),
            reason: DisconnectReason::TakenOver,
            rooms: namespace.sessions.names_of(socket.index, member.id),
            data: None,
        };
        self.out.push_back(Output::Event(event));
        if former != to {
            self.reply(former, ReplyKind::Close { reason: CloseReason::TakenOver });
        }
    }

    fn open(
        &mut self,
        request: ConnectRequest,
        outcome: RecoveryOutcome,
    ) -> (SocketKey, Vec<Encoded>, RecoveryOutcome) {
        increment(&mut self.totals.sessions_opened);
        let id = self.draw_id(request.namespace);
        let key = self.config.recovery.is_some().then(|| self.draw_key());
        let generation = self.next_generation.take();
        let birth = Birth {
            id,
            key,
            generation,
            connection: request.connection,
            claimed: request.serial,
            data: D::default(),
        };
        let now = self.now;
        let index = self.with_namespace(request.namespace, |namespace, _| {
            namespace.sessions.apply(now, Change::Open(birth)).opened()
        });
        let socket = SocketKey {
            namespace: request.namespace,
            index: index.flatten().unwrap_or_default(),
            generation,
        };
        if let Some(key) = key {
            self.keys.insert(key.index_key(), socket);
        }
        (socket, self.connect_packet(socket).into_iter().collect(), outcome)
    }

    /// Answers CONNECT with CONNECT_ERROR. The connection stays open, and a session that the
    /// client might have recovered stays parked; one that it has in the namespace is over. Returns
    /// false if the client has gone meanwhile. A rejection of more than
    /// [`outgoing_bytes`](crate::Limits::outgoing_bytes) is sent without its data and with the
    /// message `Rejected`.
    pub fn reject(
        &mut self,
        now: Timestamp,
        request: ConnectRequest,
        rejection: &Rejection,
    ) -> bool {
        let now = self.advance(now);
        let Some(Waiting { asked, .. }) = self.take_waiting(request) else {
            return false;
        };
        self.end_replaced(asked.replaced, None);
        increment(&mut self.totals.connects_refused.rejected);
        if let Some(namespace) = self.namespaces.get(&request.namespace) {
            let name = namespace.sessions.name().clone();
            self.refuse(asked, name, rejection);
        }
        self.end_released(now);
        self.settle(request.namespace);
        true
    }

    pub(super) fn cancel(
        &mut self,
        now: Timestamp,
        from: ConnectionId,
        name: &NamespaceName,
        serial: ConnectSerial,
        reason: DisconnectReason,
    ) {
        let Some(namespace) = self.names.get(name).copied() else {
            return;
        };
        match self.asked(from, namespace, serial) {
            Some(request) => {
                self.take_waiting(request);
                self.settle(namespace);
            }
            // The link may be gone before the word that the client was let in reaches it.
            None => self.detach_from(now, from, namespace, reason),
        }
    }

    /// Takes out what a client was let in with, if it has asked anew before the link heard of it.
    fn take_admitted(
        &mut self,
        now: Timestamp,
        from: ConnectionId,
        name: &NamespaceName,
        former: ConnectSerial,
    ) {
        if let Some(namespace) = self.names.get(name).copied()
            && self.asked(from, namespace, former).is_none()
        {
            self.detach_from(now, from, namespace, DisconnectReason::TransportClose);
        }
    }

    /// The request that a link has made, if that is not decided.
    fn asked(
        &self,
        from: ConnectionId,
        namespace: u32,
        serial: ConnectSerial,
    ) -> Option<ConnectRequest> {
        let waiting = self.connects.waiting.get(&(from, namespace))?;
        (waiting.asked.serial == serial).then_some(ConnectRequest {
            connection: from,
            namespace,
            serial: waiting.serial,
        })
    }

    fn detach_from(
        &mut self,
        now: Timestamp,
        from: ConnectionId,
        namespace: u32,
        reason: DisconnectReason,
    ) {
        let admitted = self.namespaces.get(&namespace).and_then(|it| it.socket_on(from));
        if let Some(socket) = admitted {
            self.handle_detach(now, socket, reason);
        }
    }

    fn refuse(&mut self, asked: Asked, namespace: NamespaceName, rejection: &Rejection) {
        let mut packet = rejection.encode(&namespace);
        if packet.wire_len() > self.config.limits.outgoing_bytes {
            packet = Rejection::new("Rejected").encode(&namespace);
        }
        let Asked { from, serial, .. } = asked;
        self.reply(from, ReplyKind::Refused { namespace, serial, packet });
    }

    pub(super) fn reply(&mut self, to: ConnectionId, reply: ReplyKind) {
        self.out.push_back(Output::Reply { to, reply: Reply(reply) });
    }

    pub(super) fn take_waiting(&mut self, request: ConnectRequest) -> Option<Waiting> {
        self.connects.get(request)?;
        if let Some(namespace) = self.namespaces.get_mut(&request.namespace) {
            namespace.waiting = namespace.waiting.saturating_sub(1);
        }
        let waiting = self.connects.waiting.remove(&(request.connection, request.namespace))?;
        self.release(request, waiting.held);
        Some(waiting)
    }

    pub(super) fn connect_packet(&self, socket: SocketKey) -> Option<Encoded> {
        let namespace = self.namespaces.get(&socket.namespace)?;
        let member = namespace.member(socket)?;
        let (name, id, pid) = (namespace.sessions.name(), &member.id, member.key.as_ref());
        Some(if self.config.counts_events() {
            Encoded::connect_counted(name, id, pid, member.received())
        } else {
            Encoded::connect(name, id, pid)
        })
    }

    /// The session whose private id a claim presents.
    pub(super) fn claimed(&self, claim: &Claim) -> Option<SocketKey> {
        let key = claim.key.as_deref().and_then(RecoveryKey::parse)?;
        let socket = *self.keys.get(&key.index_key())?;
        let found = self.namespaces.get(&socket.namespace).and_then(|it| it.member(socket)?.key);
        (found == Some(key)).then_some(socket)
    }

    /// The same, if the session is of this namespace.
    pub(super) fn find_session(&self, namespace: u32, claim: &Claim) -> Result<SocketKey, Refusal> {
        let socket = self.claimed(claim).ok_or(Refusal::Unknown)?;
        if socket.namespace != namespace {
            return Err(Refusal::OtherNamespace);
        }
        Ok(socket)
    }

    /// The session that a claim is good for, and the position to resume from. Looks, and changes
    /// nothing.
    fn find(
        &self,
        now: Timestamp,
        namespace: u32,
        claim: &Claim,
    ) -> Result<(SocketKey, u64), Refusal> {
        let socket = self.find_session(namespace, claim)?;
        let offset = claim.offset()?;
        let namespace = self.namespaces.get(&namespace).ok_or(Refusal::Unknown)?;
        let expired_by = self.expired_by(now);
        Ok((socket, namespace.sessions.check(expired_by, socket.index, offset)?))
    }

    /// The same with what the session missed.
    fn find_recoverable(
        &self,
        now: Timestamp,
        request: ConnectRequest,
        replaced: Option<Attached>,
        claim: &Claim,
    ) -> Result<Recoverable, Refusal> {
        let (socket, position) = self.find(now, request.namespace, claim)?;
        let namespace = self.namespaces.get(&request.namespace).ok_or(Refusal::Unknown)?;
        let missed = namespace.sessions.missed(socket.index, position)?;
        self.check_order(request, socket, replaced, missed.is_empty())?;
        Ok(Recoverable { socket, position, missed })
    }
}

//! How a client asks to join a namespace, and how this is decided.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{
    Hub,
    claim::Claim,
    elsewhere::Lookup,
    event::ServerEvent,
    message::{Attached, ConnectSerial, Reply, ReplyKind},
    output::HubOutput,
    pacing::Held,
    reason::DisconnectReason,
    rejection::Rejection,
    request::ConnectRequest,
    turns::Turns,
    unconfirmed::Unconfirmed,
};
use crate::{
    config::ServerConfig,
    id::{ConnectionId, SocketKey},
    recovery::RecoveryRefusal,
    socket::{Json, NamespaceName},
    stats::increment,
    time::Timestamp,
};

/// CONNECTs that are not answered yet.
pub(super) struct Connects {
    pub(super) waiting: BTreeMap<(ConnectionId, u32), WaitingConnect>,
    next_serial: u64,
    pub(super) unconfirmed: Unconfirmed,
    /// Those that claim a session and wait for their turn.
    pub(super) turns: Turns,
    /// Sessions that were held for claims which are now decided.
    pub(super) released: Vec<Held>,
    /// Claims that wait for the application, by the time until which their sessions are held.
    pub(super) overdue: BTreeSet<(Timestamp, ConnectRequest)>,
    /// Claims that are looked up elsewhere, by the time until which they wait for the answer.
    pub(super) lookups: BTreeSet<(Timestamp, ConnectRequest)>,
}

/// A CONNECT that is not answered yet: it waits for its turn, for a lookup, or for the application.
pub(super) struct WaitingConnect {
    pub(super) serial: u64,
    pub(super) asked: Asked,
    pub(super) auth: Json,
    /// The session that the client claims, as looked up when the request arrived.
    pub(super) claimed: Option<Result<Held, RecoveryRefusal>>,
    is_held: bool,
    /// The claim, while it is looked up elsewhere.
    pub(super) lookup: Option<Lookup>,
}

impl WaitingConnect {
    /// The session that is held for it.
    fn held(&self) -> Option<Held> {
        self.claimed?.ok().filter(|_| self.is_held)
    }
}

/// A CONNECT as the link has reported it.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) from: ConnectionId,
    pub(super) serial: ConnectSerial,
    /// The earlier CONNECT of the same client that has not been answered, if there is one.
    pub(super) earlier: Option<ConnectSerial>,
    /// The session that the client already has in the namespace.
    pub(super) replaced: Option<Attached>,
}

impl Connects {
    pub(super) fn new(config: &ServerConfig) -> Self {
        Self {
            waiting: BTreeMap::new(),
            next_serial: 0,
            unconfirmed: Unconfirmed::default(),
            turns: Turns::new(config),
            released: Vec::new(),
            overdue: BTreeSet::new(),
            lookups: BTreeSet::new(),
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
        self.get(request)?.held()
    }

    /// When the next held session is released because the application has not answered its claim,
    /// or the next lookup ends because nobody has answered it.
    pub(super) fn overdue_at(&self) -> Timestamp {
        first(&self.overdue).min(first(&self.lookups))
    }

    /// Removes and returns a claim that the application has not answered in time.
    pub(super) fn pop_overdue(&mut self, now: Timestamp) -> Option<(Timestamp, ConnectRequest)> {
        if first(&self.overdue) <= now { self.overdue.pop_first() } else { None }
    }

    /// Starts the time of the lookup of a request. Returns the lookup.
    pub(super) fn begin_lookup(&mut self, request: ConnectRequest) -> Option<&Lookup> {
        let lookup = self.get(request)?.lookup.as_ref()?;
        self.lookups.insert((lookup.until, request));
        self.get(request)?.lookup.as_ref()
    }

    /// Removes and returns a claim whose lookup was not answered in time.
    pub(super) fn pop_overdue_lookup(&mut self, now: Timestamp) -> Option<ConnectRequest> {
        let overdue = if first(&self.lookups) <= now { self.lookups.pop_first() } else { None };
        overdue.map(|(_, request)| request)
    }

    /// Ends the lookup of a request, and returns it.
    pub(super) fn take_lookup(&mut self, request: ConnectRequest) -> Option<Lookup> {
        let lookup = self.get_mut(request)?.lookup.take()?;
        self.lookups.remove(&(lookup.until, request));
        Some(lookup)
    }

    /// Sets the session of a claim that was looked up. Returns whether the client had sent an
    /// earlier CONNECT that was not answered.
    pub(super) fn set_claimed(
        &mut self,
        request: ConnectRequest,
        claimed: Result<Held, RecoveryRefusal>,
    ) -> bool {
        let Some(waiting) = self.get_mut(request) else {
            return false;
        };
        waiting.claimed = Some(claimed);
        waiting.asked.earlier.is_some()
    }

    /// Stops holding a session for a request. Returns the session that was held.
    pub(super) fn take_held(&mut self, request: ConnectRequest) -> Option<Held> {
        let waiting = self.get_mut(request)?;
        let held = waiting.held();
        waiting.is_held = false;
        held
    }

    /// Holds the session of a claim while the application decides.
    fn hold_until(&mut self, request: ConnectRequest, until: Timestamp) {
        if let Some(Ok(held)) = self.get_mut(request).and_then(|waiting| waiting.claimed.as_mut()) {
            held.until = until;
            self.overdue.insert((until, request));
        }
    }

    fn get_mut(&mut self, request: ConnectRequest) -> Option<&mut WaitingConnect> {
        let waiting = self.waiting.get_mut(&(request.connection, request.namespace))?;
        (waiting.serial == request.serial).then_some(waiting)
    }

    pub(super) fn get(&self, request: ConnectRequest) -> Option<&WaitingConnect> {
        let waiting = self.waiting.get(&(request.connection, request.namespace))?;
        (waiting.serial == request.serial).then_some(waiting)
    }
}

fn first(moments: &BTreeSet<(Timestamp, ConnectRequest)>) -> Timestamp {
    moments.first().map_or(Timestamp::NEVER, |(until, _)| *until)
}

impl<D: Default> Hub<D> {
    /// See [`At::accept`](super::At::accept).
    pub(super) fn accept(&mut self, now: Timestamp, request: ConnectRequest) -> Option<SocketKey> {
        let now = self.advance(now);
        self.connects.get(request)?;
        let replay = self.replay(request);
        let socket = self.admit(request, replay);
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
        if let Some(earlier) = asked.earlier {
            self.take_admitted(now, from, &name, earlier);
        }
        let Some(namespace) = self.find_or_create(&name) else {
            self.refuse(asked, name, &Rejection::new("Invalid namespace"));
            return;
        };
        let auth = auth.unwrap_or_else(Json::empty_object);
        let (auth, claim) =
            if self.config.recovery.is_some() { Claim::split(auth) } else { (auth, None) };
        if !self.has_room_for(namespace, from, &auth) {
            increment(&mut self.totals.connects_refused.too_much_auth);
            // The client has sent a new CONNECT, which replaces an older one in any case.
            if let Some(serial) = self.connects.waiting.get(&(from, namespace)).map(|it| it.serial)
            {
                self.take_waiting(ConnectRequest { connection: from, namespace, serial });
            }
            self.end_replaced(asked.replaced, None);
            self.refuse(asked, name, &Rejection::new("Too much authentication data"));
            self.settle(namespace);
            return;
        }
        let (claimed, lookup) = self.find_or_look_up(now, namespace, claim);
        let is_looked_up = lookup.is_some();
        let serial = self.connects.next_serial;
        self.connects.next_serial = serial.wrapping_add(1);
        let waiting = WaitingConnect { serial, asked, auth, claimed, is_held: true, lookup };
        let held = waiting.held();
        let request = ConnectRequest { connection: from, namespace, serial };
        let earlier = self.connects.waiting.insert((from, namespace), waiting);
        // This comes before the earlier claim leaves the queue, so that the session keeps its
        // place.
        let is_queued = held.is_some_and(|held| self.queue(request, held, asked.earlier.is_some()));
        if let Some(earlier) = earlier {
            self.release_waiting(ConnectRequest { serial: earlier.serial, ..request }, &earlier);
        } else if let Some(namespace) = self.namespaces.get_mut(&namespace) {
            namespace.waiting += 1;
        }
        match is_queued {
            _ if is_looked_up => self.begin_lookup(request),
            true => self.serve_newest(now, request),
            false => self.proceed(request),
        }
    }

    /// Whether a connection may have one more waiting CONNECT with this `auth`, given the total
    /// size of those that already wait. A single CONNECT is always allowed.
    fn has_room_for(&self, namespace: u32, from: ConnectionId, auth: &Json) -> bool {
        let others = self.connects.waiting.range((from, 0)..=(from, u32::MAX));
        let held = others
            .filter(|((_, other), _)| *other != namespace)
            .map(|(_, waiting)| waiting.auth.as_str().len())
            .fold(0, usize::saturating_add);
        let all = held.saturating_add(auth.as_str().len());
        held == 0 || all <= self.config.limits.pending_auth_bytes
    }

    /// Accepts a client that need not be authorised again. Otherwise asks the application.
    pub(super) fn proceed(&mut self, request: ConnectRequest) {
        let may_skip = self.config.recovery.as_ref().is_some_and(|r| r.skip_authorization);
        if may_skip && let Some(Ok(replay)) = self.replay(request) {
            self.admit(request, Some(Ok(replay)));
            return;
        }
        let recoverable = if may_skip { None } else { self.recoverable(request) };
        let Some(waiting) = self.connects.get(request) else {
            return;
        };
        let auth = waiting.auth.clone();
        let Some(namespace) = self.namespaces.get(&request.namespace) else {
            return;
        };
        let until = self.now.saturating_add(self.config.connect_timeout);
        self.connects.hold_until(request, until);
        self.out.push_back(HubOutput::Event(ServerEvent::ConnectRequested {
            request,
            connection: request.connection,
            namespace: namespace.sessions.name().clone(),
            auth,
            recoverable,
        }));
    }

    /// See [`At::reject`](super::At::reject).
    pub(super) fn reject(
        &mut self,
        now: Timestamp,
        request: ConnectRequest,
        rejection: &Rejection,
    ) -> bool {
        let now = self.advance(now);
        let Some(WaitingConnect { asked, .. }) = self.take_waiting(request) else {
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
            // The link may have closed before it learned that the client was accepted.
            None => self.detach_unconfirmed(now, (from, namespace), serial, reason),
        }
    }

    /// Removes the socket that a client was accepted with, if the client has sent another CONNECT
    /// before its link learned of the socket.
    fn take_admitted(
        &mut self,
        now: Timestamp,
        from: ConnectionId,
        name: &NamespaceName,
        earlier: ConnectSerial,
    ) {
        if let Some(namespace) = self.names.get(name).copied()
            && self.asked(from, namespace, earlier).is_none()
        {
            self.detach_unconfirmed(
                now,
                (from, namespace),
                earlier,
                DisconnectReason::TransportClose,
            );
        }
    }

    /// The undecided request for a CONNECT of a link.
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

    fn detach_unconfirmed(
        &mut self,
        now: Timestamp,
        place: (ConnectionId, u32),
        serial: ConnectSerial,
        reason: DisconnectReason,
    ) {
        if let Some(socket) = self.connects.unconfirmed.take(place, serial) {
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
        self.out.push_back(HubOutput::Reply { to, reply: Reply(reply) });
    }

    pub(super) fn take_waiting(&mut self, request: ConnectRequest) -> Option<WaitingConnect> {
        self.connects.get(request)?;
        if let Some(namespace) = self.namespaces.get_mut(&request.namespace) {
            namespace.waiting = namespace.waiting.saturating_sub(1);
        }
        let waiting = self.connects.waiting.remove(&(request.connection, request.namespace))?;
        self.release_waiting(request, &waiting);
        Some(waiting)
    }

    /// Gives up what was kept for a request that no longer waits.
    fn release_waiting(&mut self, request: ConnectRequest, waiting: &WaitingConnect) {
        if let Some(Lookup { until, .. }) = &waiting.lookup {
            self.connects.lookups.remove(&(*until, request));
        }
        self.release(request, waiting.held());
    }
}

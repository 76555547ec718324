//! How a client asks to join a namespace, and how this is decided.

use super::{
    Hub,
    claim::Claim,
    elsewhere::Lookup,
    event::ServerEvent,
    message::{ConnectSerial, Reply, ReplyKind},
    output::HubOutput,
    reason::DisconnectReason,
    rejection::Rejection,
    request::ConnectRequest,
    waiting::{Asked, WaitingConnect},
};
use crate::{
    id::{ConnectionId, SocketKey},
    socket::{Json, NamespaceName},
    stats::increment,
    time::Timestamp,
};

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
        let presented = claim.as_ref().and_then(|claim| self.not_read_yet(namespace, claim));
        let (claimed, lookup) = self.find_or_look_up(now, namespace, claim, presented.is_some());
        let is_looked_up = lookup.as_ref().is_some_and(|lookup| lookup.is_under_way);
        let serial = self.connects.next_serial();
        let waiting = WaitingConnect::new(serial, asked, auth, (claimed, presented), lookup);
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
        if self.is_clustered() && (self.follow_session(request) || self.awaits_record(request)) {
            return;
        }
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

    pub(super) fn refuse(&mut self, asked: Asked, namespace: NamespaceName, rejection: &Rejection) {
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
        if let Some(Lookup { wait, .. }) = &waiting.lookup {
            self.connects.lookups.remove(&(wait.until, request));
        }
        if let Some(wait) = waiting.recall {
            self.connects.recalls.remove(&(wait.until, request));
            self.abandon_recall(request, waiting.claimed);
        }
        self.release(request, waiting.held());
        if let Some(Ok(held)) = waiting.claimed {
            self.note_decided(held.socket);
        }
    }
}

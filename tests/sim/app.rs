//! The application on top of the server: it accepts clients, answers them, and compares the events
//! that it gets with the model.

use std::time::Duration;

use socketio_proto::{
    AckId, ConnectionId, SocketKey, WireId,
    engine::{CloseReason, Frame},
    hub::{AckToken, ConnectRequest, DisconnectReason, ExpiryCause, Once, Rejection, ServerEvent},
    recovery::RecoveryOutcome,
    server::ServerOutput,
    socket::{self, Args, Json},
};
use socketio_proto_sim::{
    Rng,
    net::{Down, WireKind},
};

use crate::{
    backend::Data,
    model::{Claim, Number, Place},
    op::{ROOMS, SPACES, Sending},
    stranger,
    world::{Connection, Task, World},
};

impl World {
    /// Takes everything that the server wants.
    pub fn drain_server(&mut self) {
        if self.is_in_handler {
            return;
        }
        while let Some(output) = self.backend.poll(self.server_now) {
            match output {
                // It was on its way when the server was told that the wire is over.
                ServerOutput::Respond { wire, .. }
                | ServerOutput::Send { wire, .. }
                | ServerOutput::Close { wire, .. }
                    if self.hung_up.contains(&wire) => {}
                ServerOutput::Respond { wire, response } => {
                    let state = self.net.get_mut(wire).expect("a wire that is known");
                    assert!(std::mem::take(&mut state.server_open), "{wire:?} was over already");
                    assert_ne!(state.kind, WireKind::WebSocket, "a response on a WebSocket");
                    self.transcript.note(wire.0);
                    self.transcript.note_bytes(&response.body);
                    if let Ok(body) = std::str::from_utf8(&response.body) {
                        body.split('\u{1e}').for_each(|text| self.look_for_keys(text));
                    }
                    self.tell(|| {
                        format!("server: {wire:?} {} {:?}", response.status, response.body)
                    });
                    self.send_down(wire, Down::Response(response.status, response.body));
                }
                ServerOutput::Send { wire, frame } => self.server_sends(wire, frame),
                ServerOutput::Close { wire, code } => {
                    let state = self.net.get_mut(wire).expect("a wire that is known");
                    assert!(std::mem::take(&mut state.server_open), "{wire:?} was over already");
                    self.transcript.note(wire.0 ^ u64::from(code.unwrap_or(1)));
                    self.tell(|| format!("server: {wire:?} closed"));
                    self.send_down(wire, Down::ClosedWith(code.unwrap_or(1005)));
                }
                ServerOutput::Event(event) => self.handle_event(event),
                other => unreachable!("unknown: {other:?}"),
            }
        }
        self.check_gauges();
        self.claims_waiting = self.backend.stats().connects_waiting;
    }

    fn server_sends(&mut self, wire: WireId, frame: Frame) {
        let state = self.net.get(wire).expect("a wire that is known");
        assert!(state.server_open, "{wire:?} is over");
        assert_eq!(state.kind, WireKind::WebSocket, "a frame on an exchange");
        self.transcript.note(wire.0);
        match &frame {
            Frame::Text(text) => {
                if &**text == "3probe" {
                    self.probes.insert(wire);
                }
                self.transcript.note_bytes(text.as_bytes());
                self.look_for_keys(text);
            }
            Frame::Binary(bytes) => self.transcript.note_bytes(bytes),
        }
        self.tell(|| format!("server: {wire:?} {frame:?}"));
        self.send_down(wire, Down::Frame(frame));
    }

    fn upgraded(&mut self, connection: ConnectionId) {
        assert!(self.connections[&connection].is_open);
        self.tally.upgrades += 1;
        let client = self.connections[&connection].client;
        let net = &self.net;
        self.probes.retain(|wire| net.get(*wire).is_some_and(|wire| wire.client != client));
    }

    fn handle_event(&mut self, event: ServerEvent<Data>) {
        self.tell(|| format!("server: {event:?}"));
        match event {
            ServerEvent::ConnectionOpened { connection, .. } => {
                let client = self.sender.expect("somebody opened it");
                let state = Connection { client, is_open: true, is_left: false };
                assert!(self.connections.insert(connection, state).is_none(), "a new one");
            }
            ServerEvent::ConnectionUpgraded { connection } => self.upgraded(connection),
            ServerEvent::ConnectionClosed { connection, reason } => self.closed(connection, reason),
            ServerEvent::ConnectRequested { request, connection, namespace, auth, recoverable } => {
                assert!(self.connections[&connection].is_open || self.plan.workers.is_some());
                // It may be over by the end of the same call.
                self.claims_waiting += 1;
                let serial = serial(&auth);
                let space = space_index(namespace.as_str());
                self.check_offer(connection, serial, space, recoverable);
                let delay = self.keyed(serial).below(self.plan.accept_delay + 1);
                if self.are_faults_on && delay > 0 {
                    self.plan_task(self.now + delay, Task::Decide(request, serial));
                } else {
                    self.decide(request, serial);
                }
            }
            ServerEvent::Connected { socket, id, connection, namespace, auth, recovery } => {
                let (serial, space) = (serial(&auth), space_index(namespace.as_str()));
                let claim = self.judge(connection, socket, space, serial, recovery);
                let is_stranger = stranger::is_stranger(serial);
                if recovery.is_recovered() {
                    self.check_restored(socket, id.as_str(), &claim);
                } else {
                    self.note_namespace(socket, space);
                    self.model.open(socket, space, id.to_string(), claim.client);
                    if !is_stranger {
                        self.clients[claim.client].keys[space].push(socket);
                    }
                    let told = self.server_time();
                    self.backend.set_data(told, socket, claim.client as Data + 1);
                }
                let session = self.model.sessions.get_mut(&socket).unwrap();
                let is_live = matches!(session.place, Place::Live(_));
                assert!(!is_live, "two live sockets of one session");
                session.place = Place::Live(connection);
                if !recovery.is_recovered() && self.keyed(serial).chance(self.plan.auto_join) {
                    self.plan_task(self.now, Task::Join(socket));
                }
            }
            ServerEvent::Received { socket, event, ack, .. } => {
                self.server_received(socket, &event, ack);
            }
            ServerEvent::Acked { socket, ack, args, .. } => self.acked(socket, ack, &args),
            ServerEvent::AckFailed { ack, .. } => {
                self.settle_ack(ack);
            }
            ServerEvent::BroadcastAcked { ack, responses, .. } => {
                let numbers = self.settle_ack(ack);
                for (_, args) in responses {
                    assert_eq!(numbers, [args.get::<Number>(0).unwrap()]);
                }
            }
            ServerEvent::Disconnected { socket, reason, data, .. } => {
                self.disconnected(socket, reason, data);
            }
            ServerEvent::SessionExpired { id, data, cause, .. } => {
                // The handle is another one if it expired while there was no server.
                let socket = self.model.find(id.as_str()).expect("a session that is known");
                self.expired(socket, data, cause);
            }
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// Holds what has become of a request against what may. Returns what it claimed.
    fn judge(
        &mut self,
        connection: ConnectionId,
        socket: SocketKey,
        space: usize,
        serial: u64,
        recovery: RecoveryOutcome,
    ) -> Claim {
        let claim = self.claims[&serial].clone();
        self.transcript.note(serial);
        // Of the claims that a client makes on one connection it takes every answer.
        let is_latest = self.clients[claim.client].latest[space] == claim.link;
        // The session may have moved within one.
        let is_moved_here = self.left.take() == Some(connection);
        let state = self.connections.get_mut(&connection).unwrap();
        state.is_left &= !is_moved_here;
        // What is on its way within one connection still comes.
        let is_latest = is_latest && state.is_open && !state.is_left && !is_moved_here;
        let (now, place) = (self.server_now, (socket, space));
        self.model.judge(now, connection, place, &claim, recovery, is_latest);
        claim
    }

    fn closed(&mut self, connection: ConnectionId, reason: CloseReason) {
        let state = self.connections.get_mut(&connection).unwrap();
        assert!(std::mem::take(&mut state.is_open), "closed twice");
        let client = state.client;
        let name = match reason {
            CloseReason::TransportError(_) => "transport error",
            CloseReason::TransportClose => "transport close",
            CloseReason::PingTimeout => "ping timeout",
            CloseReason::ForcedClose => "forced close",
            CloseReason::ParseError(_) => "parse error",
            CloseReason::Overflow => "overflow",
            CloseReason::ServerShutdown => "shutdown",
            CloseReason::ProtocolViolation => "violation",
            CloseReason::TakenOver => "taken over",
            CloseReason::ConnectTimeout => "connect timeout",
            CloseReason::AttachmentTimeout => "attachment timeout",
            CloseReason::RateLimited => "rate limited",
            CloseReason::InvalidPacket => "invalid packet",
            CloseReason::OtherParser => "other parser",
            _ => "other",
        };
        *self.tally.closed.entry(name).or_default() += 1;
        let is_violation = matches!(
            reason,
            CloseReason::ParseError(_) | CloseReason::ProtocolViolation | CloseReason::OtherParser
        );
        assert!(
            !is_violation || self.clients[client].is_excused,
            "client {client} is faithful: {reason}"
        );
        let is_flood = reason == CloseReason::RateLimited;
        assert!(!is_flood || self.plan.limits.packet_burst < 1_000, "nobody sends that much");
        let is_explained = self.is_explained(reason);
        assert!(is_explained, "client {client} was cut off without a fault: {reason}");
        if self.plan.workers.is_none() {
            let is_on_it = Place::Live(connection);
            let stays = self.model.sessions.values().any(|session| session.place == is_on_it);
            assert!(!stays, "its sockets go before");
        }
    }

    /// Without faults nothing is lost.
    fn is_explained(&self, reason: CloseReason) -> bool {
        !self.plan.is_calm
            || matches!(
                reason,
                CloseReason::ForcedClose
                    | CloseReason::ServerShutdown
                    | CloseReason::TransportClose
            )
    }

    /// What would be recovered if the request were accepted now.
    fn check_offer(
        &self,
        connection: ConnectionId,
        serial: u64,
        space: usize,
        offered: Option<SocketKey>,
    ) {
        let claim = &self.claims[&serial];
        let expected = self.model.expect(self.server_now, connection, space, claim);
        if let Some(key) = offered {
            let may = expected.session == Some(key) && expected.replay.is_some();
            assert!(may, "{key:?} is offered, but {expected:?}");
        } else {
            let may = claim.pid.is_none() || !expected.refusals.is_empty();
            assert!(may, "nothing is offered, but {expected:?}");
        }
    }

    fn check_restored(&mut self, socket: SocketKey, id: &str, claim: &Claim) {
        let session = &self.model.sessions[&socket];
        assert_eq!(session.sid, id, "the public id stays");
        assert_eq!(session.client, claim.client, "the session of another client");
        let data = self.backend.data(socket);
        if data.is_none() {
            // It has ended by now, of which there will be word.
            return;
        }
        assert_eq!(data.map(|data| data & 0xff), Some(claim.client as Data + 1), "the data stays");
        self.check_rooms(socket);
    }

    /// A session is in the rooms that it was in.
    pub fn check_rooms(&self, socket: SocketKey) {
        let session = &self.model.sessions[&socket];
        let mut rooms = self.backend.rooms(socket);
        rooms.retain(|room| *room != session.sid);
        rooms.sort_unstable();
        let bits = session.rooms;
        let mut known: Vec<&str> = ROOMS
            .iter()
            .enumerate()
            .filter(|(at, _)| bits & (1 << at) != 0)
            .map(|(_, it)| *it)
            .chain(session.owns.iter().map(|key| self.model.sessions[key].sid.as_str()))
            .collect();
        known.sort_unstable();
        assert_eq!(rooms, known, "the rooms stay");
    }

    /// Lets a client in, or not.
    pub fn decide(&mut self, request: ConnectRequest, serial: u64) {
        let told = self.server_time();
        let is_refused = self.keyed(serial).chance(self.plan.reject);
        if self.are_faults_on && is_refused {
            self.backend.reject(told, request, &Rejection::new("no"));
        } else {
            self.backend.accept(told, request);
        }
        self.drain_server();
    }

    fn server_received(&mut self, socket: SocketKey, event: &socket::Event, ack: Option<AckToken>) {
        let session = &self.model.sessions[&socket];
        let (client, space) = (session.client, session.space);
        let number: usize = event.get(0).unwrap();
        self.transcript.note(number as u64);
        self.tally.received_from_clients += 1;
        let is_counted = self.is_counted(client);
        let is_excused = self.clients[client].is_excused || self.clients[client].is_older;
        let is_ordered = is_counted || self.plan.workers.is_none();
        self.uplink.receive(number, socket, (client, space), is_ordered, is_excused);
        let Some(token) = ack else {
            return;
        };
        if self.uplink.sent[number].sending != Sending::Retry {
            return self.plan_answer(token, number);
        }
        if !self.plan.clients[client].is_official {
            // Without counting it may come again, and so it may if its client has forgotten of it.
            let may_repeat = !is_counted || self.clients[client].is_older;
            self.uplink.handle(number, socket, may_repeat);
            return self.plan_answer(token, number);
        }
        let offset = format!("c-{number}");
        let told = self.server_time();
        let Ok(once) = self.backend.accept_once(told, socket, &offset, Some(token)) else {
            assert_eq!(self.backend.data(socket), None, "the session goes on");
            return;
        };
        let may_forget = self.plan.limits.client_offsets < 100;
        match once {
            Once::Fresh(token) => {
                let token = token.expect("the token comes back");
                let tries = self.uplink.sent[number].received();
                let key = [0x71d, number as u64, u64::from(tries)];
                if Rng::keyed(self.plan.seed, &key).chance(self.plan.withdraw) {
                    self.tally.fault("withdrawn");
                    let told = self.server_time();
                    assert!(self.backend.withdraw(told, token), "it was accepted");
                    return;
                }
                self.uplink.handle(number, socket, may_forget);
                self.plan_answer(token, number);
            }
            Once::Duplicate => {
                let was_handled = self.uplink.was_handled(number, socket);
                assert!(was_handled, "{number} is no duplicate");
            }
        }
    }

    fn plan_answer(&mut self, token: AckToken, number: usize) {
        let delay = self.keyed(number as u64 ^ 0xacc).below(self.plan.answer_delay + 1);
        if delay == 0 {
            self.answer(token, number);
        } else {
            self.plan_task(self.now + delay, Task::Answer(token, number));
        }
    }

    pub fn answer(&mut self, token: AckToken, number: usize) {
        let told = self.server_time();
        self.backend.ack(told, token, &Args::new(&(number,)).unwrap());
        self.drain_server();
    }

    fn settle_ack(&mut self, ack: AckId) -> Vec<Number> {
        let numbers = self.acks.remove(&ack).expect("what was asked for settles once");
        for number in &numbers {
            self.model.emissions[*number].is_awaited = false;
        }
        numbers
    }

    fn acked(&mut self, socket: SocketKey, ack: AckId, args: &Args) {
        let numbers = self.settle_ack(ack);
        let number: Number = args.get(0).unwrap();
        assert_eq!(numbers, [number], "an answer to something else");
        assert_ne!(self.model.sessions[&socket].place, Place::Ended);
    }

    fn disconnected(&mut self, socket: SocketKey, reason: DisconnectReason, data: Option<Data>) {
        let expires = self.server_now.saturating_add(self.plan.recovery.max_disconnection);
        let session = self.model.sessions.get_mut(&socket).unwrap();
        let was_live = matches!(session.place, Place::Live(_));
        assert!(was_live, "{socket:?} was not connected");
        assert_eq!(data.is_none(), reason.is_recoverable(), "{reason}");
        // Whatever mistake its application has made.
        let is_violation = reason == DisconnectReason::ProtocolViolation;
        let client = session.client;
        assert!(!is_violation || self.clients[client].is_excused, "client {client} is faithful");
        if let (DisconnectReason::TakenOver, Place::Live(connection)) = (reason, session.place)
            && let Some(state) = self.connections.get_mut(&connection)
        {
            self.left = (!std::mem::replace(&mut state.is_left, true)).then_some(connection);
        }
        if let (DisconnectReason::Replaced, Place::Live(connection)) = (reason, session.place) {
            session.replaced_on = Some(connection);
        }
        session.left_open = match session.place {
            Place::Live(connection) if reason == DisconnectReason::InvalidPacket => {
                Some(connection)
            }
            _ => None,
        };
        session.place = match data {
            None => Place::Parked { expires },
            Some(data) => {
                assert!(is_data_of(session.client, data), "the data comes back");
                Place::Ended
            }
        };
    }

    fn expired(&mut self, socket: SocketKey, data: Data, cause: ExpiryCause) {
        let session = &self.model.sessions[&socket];
        assert!(is_data_of(session.client, data), "the data comes back");
        let Place::Parked { expires } = session.place else {
            panic!("{socket:?} was not parked");
        };
        let space = session.space;
        let parked = self.model.sessions.values().filter(|it| it.space == space);
        let parked = parked.filter_map(|it| match it.place {
            Place::Parked { expires } => Some(expires),
            Place::Live(_) | Place::Ended => None,
        });
        let parked: Vec<_> = parked.collect();
        let now = self.server_now;
        match cause {
            ExpiryCause::TimedOut => assert!(expires <= now, "too early"),
            ExpiryCause::Evicted => {
                assert!(parked.len() > self.plan.recovery.parked_sessions, "there was room");
                // While the clock is behind, a hub may not know the latest moment that a pool knows.
                let behind = if self.plan.workers.is_some() { self.most_behind } else { 0 };
                let behind = Duration::from_micros(behind);
                let longer = parked.iter().filter(|other| other.saturating_add(behind) < expires);
                let longer = longer.count();
                // A session that is held for a claim is the last to go.
                let waiting = self.claims_waiting.max(self.backend.stats().connects_waiting);
                assert!(
                    longer <= waiting,
                    "{longer} others are away longer, {waiting} claims wait"
                );
            }
            ExpiryCause::Disconnected => {}
            other => unreachable!("unknown: {other:?}"),
        }
        let session = self.model.sessions.get_mut(&socket).unwrap();
        session.place = Place::Ended;
        // One that is evicted may have been out of time as well.
        session.has_timed_out = cause == ExpiryCause::TimedOut || expires <= now;
    }

    /// The stream of random numbers of one thing.
    pub fn keyed(&self, key: u64) -> Rng {
        Rng::keyed(self.plan.seed, &[0x4ea, key])
    }
}

/// A session that ends at once has none yet.
fn is_data_of(client: usize, data: Data) -> bool {
    data == 0 || data & 0xff == client as Data + 1
}

fn serial(auth: &Json) -> u64 {
    #[derive(serde::Deserialize)]
    struct Auth {
        serial: u64,
    }

    assert!(!auth.as_str().contains("pid"), "a secret is shown: {}", auth.as_str());
    auth.parse::<Auth>().unwrap().serial
}

pub fn space_index(name: &str) -> usize {
    SPACES.iter().position(|space| *space == name).unwrap()
}

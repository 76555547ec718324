//! A server that holds much of everything.

use std::time::Duration;

use socketio_proto::{
    Limits, RecoveryConfig, ServerConfig, SocketKey, WireId,
    hub::{AckToken, Audience, ConnectRequest},
    recovery::RecoveryOutcome,
    server::{ServerEvent, ServerOutput},
    socket,
};

use crate::support::fleet::{Client, Fleet};

pub const HOUR: Duration = Duration::from_secs(3_600);

/// A server on which nothing happens by itself, and no limit is reached.
pub fn config() -> ServerConfig {
    let mut limits = Limits::default();
    limits.connections = 10_000_000;
    limits.handshake_burst = u32::MAX;
    limits.packet_burst = u32::MAX;
    limits.namespaces = 10_000_000;
    limits.rooms_per_socket = 10_000_000;
    limits.pending_acks = 10_000_000;
    limits.client_offsets = 10_000_000;
    limits.client_ack_bytes = 1 << 40;
    ServerConfig::new()
        .limits(limits)
        .ping_interval(10 * HOUR)
        .connect_timeout(10 * HOUR)
        .recovery(recovery())
}

pub fn recovery() -> RecoveryConfig {
    let mut recovery = RecoveryConfig::default();
    recovery.buffer_packets = 10_000_000;
    recovery.buffer_bytes = 1 << 40;
    recovery.parked_sessions = 10_000_000;
    recovery.memberships = 10_000_000;
    recovery.claim_burst = u32::MAX;
    recovery.claims_per_second = 1_000_000;
    recovery.count_events = true;
    recovery.max_disconnection = 10 * HOUR;
    recovery
}

pub fn event() -> socket::Event {
    socket::Event::new("m", &()).expect("legal")
}

/// What one does with a server and its clients.
pub trait Steps {
    /// A client that is in a room.
    fn connect_in(&mut self, room: &str) -> Client;
    /// Everything of a client goes.
    fn remove(&mut self, client: &Client);
    fn join(&mut self, socket: SocketKey, room: &str);
    fn emit(&mut self, socket: SocketKey);
    fn broadcast(&mut self, audience: &Audience) -> usize;
    /// Takes all output without answering, and returns the request to join that was among it.
    fn request(&mut self) -> Option<ConnectRequest>;
    /// Sends an event, and returns the right to answer it.
    fn ask(&mut self, wire: WireId, id: usize) -> AckToken;
    /// Opens a connection and claims the session of a client. Returns what comes of it.
    fn claim(&mut self, client: &mut Client) -> RecoveryOutcome;
}

impl Steps for Fleet {
    fn connect_in(&mut self, room: &str) -> Client {
        let client = self.connect();
        Steps::join(self, client.socket, room);
        client
    }

    fn remove(&mut self, client: &Client) {
        self.server.at(self.now).disconnect(client.socket, true);
        self.lose(client.wire);
        self.drain();
    }

    fn join(&mut self, socket: SocketKey, room: &str) {
        assert_eq!(self.server.at(self.now).join(socket, room), Ok(true));
    }

    fn emit(&mut self, socket: SocketKey) {
        assert_eq!(self.server.at(self.now).emit(socket, &event()), Ok(()));
    }

    fn broadcast(&mut self, audience: &Audience) -> usize {
        self.server.at(self.now).broadcast("/", audience, &event()).expect("it exists").sockets
    }

    fn request(&mut self) -> Option<ConnectRequest> {
        let mut found = None;
        while let Some(output) = self.server.poll_output() {
            if let ServerOutput::Event(ServerEvent::ConnectRequested { request, .. }) = output {
                found = Some(request);
            }
        }
        found
    }

    fn ask(&mut self, wire: WireId, id: usize) -> AckToken {
        self.send(wire, &format!("42{id}[\"m\"]"));
        let mut token = None;
        while let Some(output) = self.server.poll_output() {
            if let ServerOutput::Event(ServerEvent::Received { ack, .. }) = output {
                token = ack;
            }
        }
        token.expect("the event")
    }

    fn claim(&mut self, client: &mut Client) -> RecoveryOutcome {
        self.send(client.wire, &format!(r#"40{{"pid":"{}"}}"#, client.pid));
        let (socket, outcome) = self.drain().joined.expect("let in");
        assert!(!outcome.is_recovered() || socket == client.socket);
        outcome
    }
}

/// `count` of everything that others can make a server hold: namespaces, sockets in rooms of their
/// own and together in a lobby, parked sessions, packets in the log, acknowledgements that are waited
/// for, CONNECTs that wait for the application, connections without a namespace.
pub fn crowd(count: usize) -> Fleet {
    let mut fleet = Fleet::new(config());
    for number in 0..count {
        fleet.server.at(fleet.now).add_namespace(&format!("/{number}")).expect("a name");
        let room = format!("room {number}");
        let client = fleet.connect_in(&room);
        Steps::join(&mut fleet, client.socket, "lobby");
        let sent = fleet.server.at(fleet.now).emit_with_ack(client.socket, &event(), HOUR);
        assert!(sent.is_ok());
        fleet.broadcast(&Audience::room(&room).except("annexe"));
        fleet.drain();
        let gone = fleet.connect_in(&room);
        Steps::join(&mut fleet, gone.socket, "lobby");
        fleet.lose(gone.wire);
        fleet.drain();
        fleet.broadcast(&Audience::room(&room));
        fleet.drain();
        let wire = fleet.open();
        fleet.send(wire, &format!("40/{number},"));
        assert!(fleet.request().is_some(), "it waits");
        fleet.open();
    }
    fleet
}

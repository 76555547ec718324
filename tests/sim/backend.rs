//! The server of a run: a `Server`, or pools on workers around one hub. The correctness of
//! deadlines is checked here, where each state machine is accessible.

use std::{sync::Arc, time::Duration};

use socketio_proto::{
    AckId, ConnectionId, Entropy, ServerConfig, SocketKey, Timestamp, WireId,
    engine::RequestHead,
    hub::{
        AckToken, Audience, ConnectRequest, EmitError, Once, OnceError, Reach, Rejection, RoomError,
    },
    server::{Server, ServerInput, ServerOutput, Stats},
    socket::{Args, Event},
};
use socketio_proto_sim::Rng;

use crate::workers::Workers;

/// The application's data of a socket: which client it belongs to, plus one.
pub type Data = u64;

pub enum Backend {
    Single(Box<Server<Data>>),
    Workers(Box<Workers>),
}

/// What the application may want, which is the same with both.
macro_rules! verbs {
    ($(fn $name:ident(&mut self, now: Timestamp $(, $arg:ident: $type:ty)*) -> $result:ty;)*) => {
        $(pub fn $name(&mut self, now: Timestamp $(, $arg: $type)*) -> $result {
            match self {
                Self::Single(server) => server.at(now).$name($($arg),*),
                Self::Workers(workers) => workers.call(|hub| hub.at(now).$name($($arg),*)),
            }
        })*
    };
}

impl Backend {
    /// `workers` is the most time that a message between a link and the hub takes; none makes a
    /// `Server`.
    pub fn new(
        config: ServerConfig,
        entropy: impl Entropy + 'static,
        workers: Option<(Duration, Rng)>,
    ) -> Self {
        match workers {
            None => Self::Single(Box::new(Server::new(config, entropy).unwrap())),
            Some((delay, dice)) => {
                Self::Workers(Box::new(Workers::new(Arc::new(config), entropy, dice, delay)))
            }
        }
    }

    pub fn add_namespace(&mut self, name: &str) {
        match self {
            Self::Single(server) => server.at(Timestamp::ZERO).add_namespace(name).unwrap(),
            Self::Workers(workers) => {
                workers.call(|hub| hub.at(Timestamp::ZERO).add_namespace(name)).unwrap();
            }
        }
    }

    /// Has a namespace made when a client asks for it.
    pub fn add_dynamic_namespace(&mut self, name: &'static str) {
        let predicate = move |asked: &str| asked == name;
        match self {
            Self::Single(server) => {
                server.at(Timestamp::ZERO).add_namespaces_matching(predicate);
            }
            Self::Workers(workers) => {
                workers.call(|hub| hub.at(Timestamp::ZERO).add_namespaces_matching(predicate));
            }
        }
    }

    pub fn input(&mut self, now: Timestamp, input: ServerInput<'_>) {
        match self {
            Self::Single(server) => server.handle_input(now, input),
            Self::Workers(workers) => workers.input(now, input),
        }
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Timestamp) {
        match self {
            Self::Single(server) => server.handle_input(now, ServerInput::Timeout),
            Self::Workers(workers) => workers.timeout(now),
        }
    }

    pub fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Single(server) => server.deadline(),
            Self::Workers(workers) => workers.deadline(),
        }
    }

    /// Takes the next output. `latest` is the latest moment that the server was told.
    pub fn poll(&mut self, latest: Timestamp) -> Option<ServerOutput<Data>> {
        match self {
            Self::Single(server) => {
                let due = server.deadline();
                let output = server.poll_output()?;
                assert!(due.is_some_and(|due| due <= latest), "output is due at once: {due:?}");
                Some(output)
            }
            Self::Workers(workers) => workers.poll(),
        }
    }

    /// Everything that a process hands to the next one, as text. `None` for links on workers.
    pub fn snapshot(&self, now: Timestamp) -> Option<String> {
        match self {
            Self::Single(server) => Some(serde_json::to_string(&server.snapshot(now)).unwrap()),
            Self::Workers(_) => None,
        }
    }

    /// Takes over what another process knew.
    pub fn restore(&mut self, now: Timestamp, snapshot: &str) -> Vec<SocketKey> {
        match self {
            Self::Single(server) => {
                server.at(now).restore(serde_json::from_str(snapshot).unwrap()).unwrap()
            }
            Self::Workers(_) => panic!("workers are not restored"),
        }
    }

    /// The public id of a socket.
    pub fn sid(&self, socket: SocketKey) -> Option<String> {
        match self {
            Self::Single(server) => server.socket_id(socket).map(|id| id.to_string()),
            Self::Workers(workers) => workers.hub().socket_id(socket).map(|id| id.to_string()),
        }
    }

    /// The verbs of a hub tell the time to nobody else.
    pub fn advance(&mut self, now: Timestamp) {
        if let Self::Workers(workers) = self {
            workers.advance(now);
        }
    }

    pub fn verify(&mut self, now: Timestamp, head: &RequestHead<'_>) -> bool {
        match self {
            Self::Single(server) => server.verify(now, head).is_ok(),
            Self::Workers(workers) => workers.verify(now, head),
        }
    }

    pub fn pause(&mut self, wire: WireId) {
        match self {
            Self::Single(server) => server.pause(wire),
            Self::Workers(workers) => workers.set_paused(wire, true),
        }
    }

    pub fn resume(&mut self, now: Timestamp, wire: WireId) {
        match self {
            Self::Single(server) => server.resume(now, wire),
            Self::Workers(workers) => workers.set_paused(wire, false),
        }
    }

    /// Closes a connection as if its link had failed.
    pub fn close_connection(&mut self, now: Timestamp, connection: ConnectionId) {
        match self {
            Self::Single(server) => {
                server.close_connection(now, connection);
            }
            Self::Workers(workers) => workers.close_connection(now, connection),
        }
    }

    /// Closes all connections.
    pub fn shutdown(&mut self, now: Timestamp) {
        match self {
            Self::Single(server) => server.shutdown(now),
            Self::Workers(workers) => workers.shutdown(now),
        }
    }

    pub fn stats(&self) -> Stats {
        match self {
            Self::Single(server) => server.stats(),
            Self::Workers(workers) => workers.stats(),
        }
    }

    pub fn data(&self, socket: SocketKey) -> Option<Data> {
        match self {
            Self::Single(server) => server.data(socket).copied(),
            Self::Workers(workers) => workers.hub().data(socket).copied(),
        }
    }

    pub fn rooms(&self, socket: SocketKey) -> Vec<String> {
        match self {
            Self::Single(server) => server.rooms(socket).map(str::to_owned).collect(),
            Self::Workers(workers) => workers.hub().rooms(socket).map(str::to_owned).collect(),
        }
    }

    verbs! {
        fn accept(&mut self, now: Timestamp, request: ConnectRequest) -> Option<SocketKey>;
        fn reject(&mut self, now: Timestamp, request: ConnectRequest, rejection: &Rejection)
            -> bool;
        fn emit(&mut self, now: Timestamp, socket: SocketKey, event: &Event)
            -> Result<(), EmitError>;
        fn emit_volatile(&mut self, now: Timestamp, socket: SocketKey, event: &Event)
            -> Result<(), EmitError>;
        fn emit_with_ack(
            &mut self, now: Timestamp, socket: SocketKey, event: &Event, timeout: Duration
        ) -> Result<AckId, EmitError>;
        fn ack(&mut self, now: Timestamp, token: AckToken, args: &Args) -> bool;
        fn accept_once(
            &mut self, now: Timestamp, socket: SocketKey, offset: &str, token: Option<AckToken>
        ) -> Result<Once, OnceError>;
        fn withdraw(&mut self, now: Timestamp, token: AckToken) -> bool;
        fn broadcast(&mut self, now: Timestamp, namespace: &str, audience: &Audience, event: &Event)
            -> Result<Reach, EmitError>;
        fn broadcast_with_ack(
            &mut self, now: Timestamp,
            namespace: &str,
            audience: &Audience,
            event: &Event,
            timeout: Duration
        ) -> Result<AckId, EmitError>;
        fn disconnect(&mut self, now: Timestamp, socket: SocketKey, close: bool) -> bool;
        fn disconnect_sockets(
            &mut self, now: Timestamp, namespace: &str, audience: &Audience, close: bool
        ) -> Result<usize, EmitError>;
        fn join(&mut self, now: Timestamp, socket: SocketKey, room: &str) -> Result<bool, RoomError>;
        fn leave(&mut self, now: Timestamp, socket: SocketKey, room: &str) -> bool;
        fn sockets_join(&mut self, now: Timestamp, namespace: &str, audience: &Audience, room: &str)
            -> Result<usize, EmitError>;
        fn sockets_leave(&mut self, now: Timestamp, namespace: &str, audience: &Audience, room: &str)
            -> Result<usize, EmitError>;
        fn local_sockets(&mut self, now: Timestamp, namespace: &str, audience: &Audience)
            -> Result<Vec<SocketKey>, EmitError>;
        fn set_data(&mut self, now: Timestamp, socket: SocketKey, data: Data) -> Option<Data>;
    }
}

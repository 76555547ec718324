//! A client and a server in virtual time, connected by a network that can lose anything.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod scripted;

pub use scripted::Scripted;

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use socketio_proto::{
    RecoveryConfig, ServerConfig, SocketKey, Timestamp, WireId,
    client::{Auth, Client, ClientAckFailure, ClientConfig, ClientEvent, ClientOutput},
    engine::{ClientInput, EngineClientOutput, Frame, Method, RequestHead, Transport},
    server::{Server, ServerEvent, ServerInput, ServerOutput},
    socket,
};

/// Random enough to tell ids apart, and the same in every run.
pub fn entropy(seed: u64) -> impl FnMut(&mut [u8]) + Send {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    move |dest: &mut [u8]| {
        for byte in dest.iter_mut() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
    }
}

pub fn websocket() -> ClientConfig {
    ClientConfig::new().transports(&[Transport::WebSocket])
}

pub fn polling() -> ClientConfig {
    ClientConfig::new().transports(&[Transport::Polling])
}

pub fn recovering() -> ServerConfig {
    let mut recovery = RecoveryConfig::default();
    recovery.count_events = true;
    ServerConfig::new().recovery(recovery)
}

pub fn event(name: &str, number: u64) -> socket::Event {
    socket::Event::new(name, &(number,)).unwrap()
}

/// An event with this many attachments.
pub fn attached(count: usize) -> socket::Event {
    let files: Vec<Bytes> = (0..count).map(|_| Bytes::from_static(b"x")).collect();
    socket::Event::new("files", &files).unwrap()
}

/// What is on its way.
#[derive(Debug)]
enum ToServer {
    Request { wire: WireId, method: Method, query: String, body: Option<Bytes> },
    WebSocket { wire: WireId, query: String },
    Frame { wire: WireId, frame: Frame },
    Closed { wire: WireId },
}

/// A client, a server, the time, and what is on its way between them.
#[expect(clippy::struct_excessive_bools, reason = "switches of a test, all independent")]
pub struct Pair {
    pub client: Client,
    pub server: Server<u32>,
    pub now: Timestamp,
    pub events: VecDeque<ClientEvent>,
    pub server_events: VecDeque<ServerEvent<u32>>,
    /// Let everybody in.
    pub auto_accept: bool,
    /// Acknowledge what the client emits, with its first argument.
    pub auto_ack: bool,
    /// Nothing arrives, and neither side is notified.
    pub is_silent: bool,
    /// New requests fail.
    pub is_down: bool,
    to_server: VecDeque<ToServer>,
    to_client: VecDeque<ClientInput>,
    /// Wires that are not finished, as the client sees it.
    wires: BTreeSet<WireId>,
}

impl Pair {
    pub fn new(client: ClientConfig, server: ServerConfig) -> Self {
        let mut server = Server::new(server, entropy(1)).unwrap();
        server.at(Timestamp::ZERO).add_namespace("/").unwrap();
        Self {
            client: Client::new(client, entropy(2)).unwrap(),
            server,
            now: Timestamp::from_millis(1_000_000),
            events: VecDeque::new(),
            server_events: VecDeque::new(),
            auto_accept: true,
            auto_ack: true,
            is_silent: false,
            is_down: false,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            wires: BTreeSet::new(),
        }
    }

    /// A client that has joined the main namespace.
    pub fn connected(client: ClientConfig, server: ServerConfig) -> Self {
        let mut pair = Self::new(client, server);
        pair.connect();
        assert!(pair.client.is_connected("/"));
        pair
    }

    pub fn connect(&mut self) {
        self.client.connect(self.now, "/", Auth::None).unwrap();
        self.settle();
    }

    /// Carries everything until nothing is on its way.
    pub fn settle(&mut self) {
        self.collect();
        while self.step() {}
    }

    /// Carries one thing, of the client's if there is something. Returns false if there is nothing.
    pub fn step(&mut self) -> bool {
        if let Some(message) = self.to_server.pop_front() {
            self.carry_to_server(message);
        } else if let Some(input) = self.to_client.pop_front() {
            self.carry_to_client(input);
        } else {
            return false;
        }
        self.collect();
        true
    }

    /// Delivers a text on the WebSocket of the client that the client has not sent now, as a proxy
    /// that repeats it would.
    pub fn repeat(&mut self, text: &str) {
        let wire = *self.wires.first().expect("a WebSocket");
        self.to_server.push_back(ToServer::Frame { wire, frame: Frame::Text(text.into()) });
        self.settle();
    }

    /// Loses what is on its way and breaks every wire; both sides notice.
    pub fn cut(&mut self) {
        self.break_client();
        while let Some(wire) = self.wires.pop_first() {
            self.server.handle_input(self.now, ServerInput::WireClosed { wire });
            self.client.handle_input(self.now, ClientInput::WireClosed { wire });
            self.collect();
        }
    }

    /// As [`cut`](Self::cut), but the server does not notice.
    pub fn half_open(&mut self) {
        self.break_client();
        while let Some(wire) = self.wires.pop_first() {
            self.client.handle_input(self.now, ClientInput::WireClosed { wire });
            self.collect();
        }
    }

    fn break_client(&mut self) {
        self.collect();
        self.to_server.clear();
        self.to_client.clear();
    }

    /// Lets time pass, firing every deadline on the way at its moment.
    pub fn advance(&mut self, by: Duration) {
        self.settle();
        let end = self.now.saturating_add(by);
        loop {
            let due = [self.client.deadline(), self.server.deadline()].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= end) else {
                break;
            };
            self.now = self.now.max(due);
            if self.client.deadline() == Some(due) {
                self.client.handle_input(self.now, ClientInput::Timeout);
            } else {
                self.server.handle_input(self.now, ServerInput::Timeout);
            }
            self.settle();
            let next = self.client.deadline();
            assert!(next.is_none_or(|next| next > self.now || next > due), "it does not move on");
        }
        self.now = end;
    }

    /// Lets time pass until the client has joined the main namespace.
    pub fn reconnect(&mut self) {
        for _ in 0..100 {
            self.advance(Duration::from_millis(500));
            if self.client.is_connected("/") {
                return;
            }
        }
        panic!("not connected after 50 s");
    }

    /// The server emits an event to everybody.
    pub fn broadcast(&mut self, number: u64) {
        let audience = server_audience();
        self.server.at(self.now).broadcast("/", &audience, &event("m", number)).unwrap();
        self.collect();
    }

    /// Takes the numbers of the events that the client has received.
    pub fn numbers(&mut self) -> Vec<u64> {
        self.pick(|event| match event {
            ClientEvent::Received { event, .. } => Some(event.get::<u64>(0).unwrap()),
            _ => None,
        })
    }

    /// Takes the numbers of the events that the server has received.
    pub fn server_numbers(&mut self) -> Vec<u64> {
        self.pick_server(|event| match event {
            ServerEvent::Received { event, .. } => Some(event.get::<u64>(0).unwrap()),
            _ => None,
        })
    }

    /// Takes the names of the events that the server has received.
    pub fn server_names(&mut self) -> Vec<String> {
        self.pick_server(|event| match event {
            ServerEvent::Received { event, .. } => Some(event.name().to_owned()),
            _ => None,
        })
    }

    /// Takes what the client reports about events that do not arrive.
    pub fn undelivered(&mut self) -> Vec<String> {
        self.pick(|event| match event {
            ClientEvent::Undeliverable { event, cause, .. } => {
                Some(format!("{} {cause:?}", event.event().name()))
            }
            ClientEvent::AckFailed { cause, .. } => Some(format!("failed {cause:?}")),
            ClientEvent::Unconfirmed { .. } => Some("unconfirmed".to_owned()),
            ClientEvent::ConnectionClosed { reason, .. } => Some(format!("closed: {reason}")),
            _ => None,
        })
    }

    /// Takes the events of the client that `pick` is interested in and forgets the others.
    pub fn pick<T>(&mut self, pick: impl Fn(&ClientEvent) -> Option<T>) -> Vec<T> {
        self.events.drain(..).filter_map(|event| pick(&event)).collect()
    }

    pub fn pick_server<T>(&mut self, pick: impl Fn(&ServerEvent<u32>) -> Option<T>) -> Vec<T> {
        self.server_events.drain(..).filter_map(|event| pick(&event)).collect()
    }

    /// What became of the acknowledgements that the client waited for.
    pub fn outcomes(&mut self) -> Vec<Result<String, ClientAckFailure>> {
        self.pick(|event| match event {
            ClientEvent::Acked { args, .. } => Some(Ok(args.json().to_owned())),
            ClientEvent::AckFailed { cause, .. } => Some(Err(*cause)),
            _ => None,
        })
    }

    /// The socket of the client.
    pub fn socket(&mut self) -> SocketKey {
        let sockets = self.server.at(self.now).local_sockets("/", &server_audience()).unwrap();
        sockets[0]
    }

    /// Takes what both sides want done.
    pub fn collect(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                ClientOutput::Event(event) => self.events.push_back(event),
                ClientOutput::Wire(output) => self.collect_wire(output),
                other => unreachable!("unknown: {other:?}"),
            }
        }
        while let Some(output) = self.server.poll_output() {
            self.collect_server(output);
        }
    }

    fn collect_wire(&mut self, output: EngineClientOutput) {
        let message = match output {
            EngineClientOutput::Get { wire, query } => {
                self.wires.insert(wire);
                ToServer::Request { wire, method: Method::Get, query, body: None }
            }
            EngineClientOutput::Post { wire, query, body } => {
                self.wires.insert(wire);
                ToServer::Request { wire, method: Method::Post, query, body: Some(body) }
            }
            EngineClientOutput::OpenWebSocket { wire, query } => {
                self.wires.insert(wire);
                ToServer::WebSocket { wire, query }
            }
            EngineClientOutput::Send { wire, frame } => ToServer::Frame { wire, frame },
            EngineClientOutput::Close { wire } => {
                assert!(self.wires.remove(&wire), "{wire:?} was finished before");
                ToServer::Closed { wire }
            }
            EngineClientOutput::Event(event) => panic!("an event among wires: {event:?}"),
            other => unreachable!("unknown: {other:?}"),
        };
        self.to_server.push_back(message);
    }

    fn collect_server(&mut self, output: ServerOutput<u32>) {
        match output {
            ServerOutput::Respond { wire, response } => {
                let (status, body) = (response.status, response.body);
                self.to_client.push_back(ClientInput::Response { wire, status, body });
            }
            ServerOutput::Send { wire, frame } => {
                self.to_client.push_back(ClientInput::Frame { wire, frame });
            }
            ServerOutput::Close { wire, code } => {
                let code = code.unwrap_or(1005);
                self.to_client.push_back(ClientInput::WebSocketClosed { wire, code });
            }
            ServerOutput::Event(ServerEvent::ConnectRequested { request, .. })
                if self.auto_accept =>
            {
                self.server.at(self.now).accept(request);
            }
            ServerOutput::Event(ServerEvent::Received {
                socket,
                namespace,
                event,
                ack: Some(token),
            }) if self.auto_ack => {
                let args = event.args();
                self.server.at(self.now).ack(token, &args);
                let event = ServerEvent::Received { socket, namespace, event, ack: None };
                self.server_events.push_back(event);
            }
            ServerOutput::Event(event) => self.server_events.push_back(event),
            other => unreachable!("unknown: {other:?}"),
        }
    }

    fn carry_to_server(&mut self, message: ToServer) {
        if self.is_silent {
            return;
        }
        let now = self.now;
        match message {
            ToServer::Request { wire, .. } | ToServer::WebSocket { wire, .. } if self.is_down => {
                self.to_client.push_back(ClientInput::WireClosed { wire });
            }
            ToServer::Request { wire, method, query, body } => {
                let head = head(method, &query, false);
                self.server.handle_input(now, ServerInput::Request { wire, head, body });
            }
            ToServer::WebSocket { wire, query } => {
                let head = head(Method::Get, &query, true);
                if self.server.verify(now, &head).is_err() {
                    self.to_client.push_back(ClientInput::WireClosed { wire });
                    return;
                }
                self.to_client.push_back(ClientInput::WebSocketOpened { wire });
                self.server.handle_input(now, ServerInput::WebSocketOpened { wire, head });
            }
            ToServer::Frame { wire, frame } => {
                self.server.handle_input(now, ServerInput::Frame { wire, frame });
            }
            ToServer::Closed { wire } => {
                self.server.handle_input(now, ServerInput::WireClosed { wire });
            }
        }
    }

    fn carry_to_client(&mut self, input: ClientInput) {
        let (wire, is_last) = match &input {
            ClientInput::Response { wire, .. }
            | ClientInput::TooLarge { wire }
            | ClientInput::WebSocketClosed { wire, .. }
            | ClientInput::WireClosed { wire } => (*wire, true),
            ClientInput::WebSocketOpened { wire } | ClientInput::Frame { wire, .. } => {
                (*wire, false)
            }
            ClientInput::Timeout => panic!("time does not travel"),
            other => unreachable!("unknown: {other:?}"),
        };
        if self.is_silent || !self.wires.contains(&wire) {
            return;
        }
        if is_last {
            self.wires.remove(&wire);
        }
        self.client.handle_input(self.now, input);
    }
}

fn head(method: Method, query: &str, upgrade: bool) -> RequestHead<'_> {
    RequestHead { method, query, upgrade, origin: None, binary: false }
}

pub fn server_audience() -> socketio_proto::hub::Audience {
    socketio_proto::hub::Audience::default()
}

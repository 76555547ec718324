//! A server with as many clients as one likes, without sockets.

use std::time::Duration;

use socketio_proto::{
    ByteString, Limits, RecoveryConfig, ServerConfig, SocketKey, Timestamp, WireId,
    cluster::{ClusterConfig, ClusterOutput},
    engine::{Frame, Method, RequestHead},
    recovery::RecoveryOutcome,
    server::{Server, ServerEvent, ServerInput, ServerOutput},
};

/// A server and its clients, all on WebSockets.
pub struct Fleet {
    pub server: Server,
    pub now: Timestamp,
    /// What a node of a cluster wants of the engine, since it was last taken from here.
    pub outputs: Vec<ClusterOutput>,
    next_wire: u64,
}

/// A client that is connected to `/`.
#[derive(Clone, Debug)]
pub struct Client {
    pub wire: WireId,
    pub socket: SocketKey,
    /// Its private id; empty without recovery.
    pub pid: String,
}

/// What has come out of a server.
#[derive(Debug, Default)]
pub struct Drained {
    pub frames: usize,
    pub bytes: usize,
    pub closed: usize,
    /// The answer to a CONNECT.
    pub answer: String,
    pub joined: Option<(SocketKey, RecoveryOutcome)>,
}

impl Drained {
    /// What has come out later is added.
    pub fn add(&mut self, later: Self) {
        self.frames += later.frames;
        self.bytes += later.bytes;
        self.closed += later.closed;
        if !later.answer.is_empty() {
            self.answer = later.answer;
        }
        self.joined = later.joined.or(self.joined);
    }
}

impl Fleet {
    pub fn new(config: ServerConfig) -> Self {
        Self::with(Server::new(config, entropy(0)).expect("valid"))
    }

    /// A node of a cluster.
    pub fn clustered(config: ServerConfig, node: ClusterConfig) -> Self {
        // No two nodes give out the same ids.
        let seed = node.node.as_str().bytes().fold(1_u64, |seed, byte| seed * 31 + u64::from(byte));
        Self::with(Server::clustered(config, node, entropy(seed)).expect("valid"))
    }

    fn with(mut server: Server) -> Self {
        server.at(Timestamp::ZERO).add_namespace("/").expect("a name");
        let now = Timestamp::from_millis(1_000);
        Self { server, now, outputs: Vec::new(), next_wire: 0 }
    }

    /// Opens a WebSocket and takes the open packet.
    pub fn open(&mut self) -> WireId {
        self.next_wire += 1;
        let wire = WireId(self.next_wire);
        let head = RequestHead {
            method: Method::Get,
            query: "EIO=4&transport=websocket",
            upgrade: true,
            origin: None,
            binary: false,
        };
        self.server.handle_input(self.now, ServerInput::WebSocketOpened { wire, head });
        let drained = self.drain();
        assert_eq!(drained.frames, 1, "the open packet");
        wire
    }

    /// Connects a new client to `/`.
    pub fn connect(&mut self) -> Client {
        let wire = self.open();
        self.send(wire, "40");
        let drained = self.drain();
        let (socket, outcome) = drained.joined.expect("let in");
        assert_eq!(outcome, RecoveryOutcome::New);
        let pid = drained.answer.split("\"pid\":\"").nth(1).unwrap_or_default();
        let pid = pid.split('"').next().unwrap_or_default().to_owned();
        Client { wire, socket, pid }
    }

    /// Connects `count` clients in one room.
    pub fn room(&mut self, name: &str, count: usize) -> Vec<Client> {
        let enter = |_| {
            let client = self.connect();
            assert_eq!(self.server.at(self.now).join(client.socket, name), Ok(true));
            client
        };
        (0..count).map(enter).collect()
    }

    pub fn send(&mut self, wire: WireId, text: &str) {
        let frame = Frame::Text(text.into());
        self.server.handle_input(self.now, ServerInput::Frame { wire, frame });
    }

    /// The client answers a ping.
    fn pong(&mut self, wire: WireId) {
        let frame = Frame::Text(ByteString::from_static("3"));
        self.server.handle_input(self.now, ServerInput::Frame { wire, frame });
    }

    /// The client's link is lost.
    pub fn lose(&mut self, wire: WireId) {
        self.server.handle_input(self.now, ServerInput::WireClosed { wire });
    }

    /// Lets time pass, meeting every deadline on the way.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.saturating_add(time);
        while let Some(due) = self.server.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.time_out();
        }
        self.now = end;
    }

    /// It is time. Takes all output and answers pings.
    pub fn time_out(&mut self) -> Drained {
        self.server.handle_input(self.now, ServerInput::Timeout);
        self.drain()
    }

    /// Takes all output, lets everybody in and answers pings.
    pub fn drain(&mut self) -> Drained {
        let mut drained = Drained::default();
        while let Some(output) = self.server.poll_output() {
            match output {
                ServerOutput::Send { wire, frame } => {
                    drained.frames += 1;
                    drained.bytes += frame.len();
                    match frame {
                        Frame::Text(text) if &*text == "2" => self.pong(wire),
                        Frame::Text(text) if text.starts_with("40") => {
                            drained.answer = text.to_string();
                        }
                        Frame::Text(_) | Frame::Binary(_) => {}
                    }
                }
                ServerOutput::Close { .. } => drained.closed += 1,
                ServerOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                    self.server.at(self.now).accept(request);
                }
                ServerOutput::Event(ServerEvent::Connected { socket, recovery, .. }) => {
                    drained.joined = Some((socket, recovery));
                }
                ServerOutput::Cluster(output) => self.outputs.push(output),
                ServerOutput::Respond { .. } | ServerOutput::Event(_) => {}
                other => unreachable!("unknown: {other:?}"),
            }
        }
        drained
    }

    /// Takes all output and returns the text frames.
    pub fn texts(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(output) = self.server.poll_output() {
            if let ServerOutput::Send { frame: Frame::Text(text), .. } = output {
                texts.push(text.to_string());
            }
        }
        texts
    }

    /// Takes all output and counts the frames, and does nothing else.
    pub fn count_frames(&mut self) -> usize {
        let mut frames = 0;
        while let Some(output) = self.server.poll_output() {
            frames += usize::from(matches!(output, ServerOutput::Send { .. }));
        }
        frames
    }
}

fn entropy(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut state = seed;
    move |dest: &mut [u8]| {
        for byte in dest {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
    }
}

/// Limits that no bench reaches.
pub fn config() -> ServerConfig {
    let mut limits = Limits::default();
    limits.connections = 10_000_000;
    limits.handshake_burst = u32::MAX;
    limits.packet_burst = u32::MAX;
    ServerConfig::new().limits(limits)
}

/// The same with recovery.
pub fn recovery() -> ServerConfig {
    let mut recovery = RecoveryConfig::default();
    // Peers do not ask the application about a recovery, either.
    recovery.skip_authorization = true;
    recovery.buffer_packets = 10_000_000;
    recovery.buffer_bytes = 1 << 40;
    recovery.parked_sessions = 10_000_000;
    recovery.claim_burst = u32::MAX;
    recovery.claims_per_second = 1_000_000;
    config().recovery(recovery)
}

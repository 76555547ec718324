//! A server with an application and wires without a network, for fuzz targets.

use std::{collections::BTreeMap, time::Duration};

use socketio_proto::{
    ServerConfig, Timestamp, WireId,
    engine::{Frame, Transport},
    server::{Server, ServerInput, ServerOutput},
};

use crate::{Application, Data, Rng, wire};

/// A server with an application, in virtual time, whose clients send any frames.
///
/// Unlike [`World`](crate::World) it has no network and no clients that keep to the protocol: a fuzz
/// target writes the frames itself, with the functions of [`wire`].
///
/// ```
/// use socketio_proto::server::{ServerEvent, Server};
/// use socketio_proto::{ServerConfig, Timestamp};
/// use socketio_proto_sim::{Harness, wire};
///
/// fn echo(server: &mut Server, now: Timestamp, event: ServerEvent<()>) {
///     match event {
///         ServerEvent::ConnectRequested { request, .. } => {
///             server.at(now).accept(request);
///         }
///         ServerEvent::Received { socket, event, .. } => {
///             server.at(now).emit(socket, &event).unwrap();
///         }
///         _ => {}
///     }
/// }
///
/// let mut harness = Harness::new(ServerConfig::new(), echo);
/// let client = harness.connect("/");
/// harness.send(client, [wire::text(r#"42["hello"]"#)]);
/// assert_eq!(harness.take(client), [wire::text(r#"42["hello"]"#)]);
/// ```
pub struct Harness<A: Application<D>, D: Data = ()> {
    server: Server<D>,
    application: A,
    now: Timestamp,
    next_wire: u64,
    /// What each open WebSocket was sent; `None` if it was closed.
    received: BTreeMap<WireId, Option<Vec<Frame>>>,
}

impl<A: Application<D>, D: Data> Harness<A, D> {
    /// Creates a server with its application. Ids are the same in each run.
    ///
    /// # Panics
    ///
    /// If the configuration is not valid.
    pub fn new(config: ServerConfig, application: A) -> Self {
        let server = Server::new(config, Rng::new(0).entropy()).expect("a valid configuration");
        let now = Timestamp::from_millis(1_000);
        let received = BTreeMap::new();
        let mut harness = Self { server, application, now, next_wire: 0, received };
        harness.application.start(&mut harness.server, now);
        harness.drain();
        harness
    }

    /// Opens a WebSocket.
    pub fn open(&mut self) -> WireId {
        self.next_wire += 1;
        let wire = WireId(self.next_wire);
        self.received.insert(wire, Some(Vec::new()));
        let query = wire::open_query(Transport::WebSocket);
        self.input(ServerInput::WebSocketOpened { wire, head: wire::websocket_head(&query) });
        wire
    }

    /// Opens a WebSocket and joins a namespace. What the server has sent until then is taken.
    pub fn connect(&mut self, namespace: &str) -> WireId {
        let wire = self.open();
        self.send(wire, [wire::text(wire::connect(namespace, ""))]);
        self.take(wire);
        wire
    }

    /// Sends frames on a WebSocket, one after the other.
    pub fn send(&mut self, wire: WireId, frames: impl IntoIterator<Item = Frame>) {
        for frame in frames {
            self.input(ServerInput::Frame { wire, frame });
        }
    }

    /// Breaks a WebSocket, which the server notices at once.
    pub fn cut(&mut self, wire: WireId) {
        self.received.insert(wire, None);
        self.input(ServerInput::WireClosed { wire });
    }

    /// Hands in any input.
    pub fn input(&mut self, input: ServerInput<'_>) {
        self.server.handle_input(self.now, input);
        self.drain();
    }

    /// Takes the frames that a WebSocket was sent. Pings of Engine.IO are answered, and not among
    /// them.
    pub fn take(&mut self, wire: WireId) -> Vec<Frame> {
        let frames = self.received.get_mut(&wire).and_then(Option::as_mut);
        frames.map(std::mem::take).unwrap_or_default()
    }

    /// Whether a WebSocket is open.
    pub fn is_open(&self, wire: WireId) -> bool {
        self.received.get(&wire).is_some_and(Option::is_some)
    }

    /// Lets time pass, and every timer fire at its time.
    ///
    /// # Panics
    ///
    /// If a timer fires without end.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now.saturating_add(time);
        while let Some(due) = self.server.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.input(ServerInput::Timeout);
            let next = self.server.deadline();
            assert!(next.is_none_or(|next| next > self.now), "time does not move on");
        }
        self.now = end;
    }

    /// Returns the server.
    pub fn server(&self) -> &Server<D> {
        &self.server
    }

    /// Returns the application.
    pub fn application(&self) -> &A {
        &self.application
    }

    /// Returns the present time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                ServerOutput::Send { wire, frame: Frame::Text(text) } if text == "2" => {
                    let frame = wire::text(wire::PONG);
                    self.server.handle_input(self.now, ServerInput::Frame { wire, frame });
                }
                ServerOutput::Send { wire, frame } => {
                    if let Some(Some(frames)) = self.received.get_mut(&wire) {
                        frames.push(frame);
                    }
                }
                ServerOutput::Close { wire, .. } => {
                    self.received.insert(wire, None);
                }
                ServerOutput::Respond { .. } => {}
                ServerOutput::Event(event) => {
                    self.application.handle_event(&mut self.server, self.now, event);
                }
                other => unreachable!("unknown: {other:?}"),
            }
        }
    }
}

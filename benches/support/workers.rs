//! A pool of connections around a hub, as each of several threads has one, on one thread.

use std::sync::Arc;

use socketio_proto::{
    ServerConfig, SocketKey, Timestamp, WireId,
    engine::{Frame, Method, RequestHead},
    hub::{Audience, Hub, HubOutput, ServerEvent},
    pool::{Pool, PoolOutput},
    server::ServerInput,
    socket,
};

/// A hub and a pool of connections.
pub struct Workers {
    hub: Hub<()>,
    pool: Pool<()>,
    ids: Ids,
    next_wire: u64,
    now: Timestamp,
}

/// Numbers that differ.
#[derive(Clone)]
struct Ids(u64);

impl Ids {
    fn fill(&mut self, dest: &mut [u8]) {
        for byte in dest {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

impl Workers {
    pub fn new(config: ServerConfig) -> Self {
        let config = Arc::new(config);
        let (mut of_hub, mut ids) = (Ids(0), Ids(1 << 32));
        let mut hub = Hub::new(config.clone(), move |dest: &mut [u8]| of_hub.fill(dest));
        let hub_mut = hub.as_mut().expect("valid");
        hub_mut.at(Timestamp::ZERO).add_namespace("/").expect("a name");
        let pool = Pool::new(config, 0, &mut |dest: &mut [u8]| ids.fill(dest));
        Self {
            hub: hub.expect("valid"),
            pool: pool.expect("valid"),
            ids,
            next_wire: 0,
            now: Timestamp::from_millis(1_000),
        }
    }

    /// Connects a new client to `/`.
    pub fn connect(&mut self) -> SocketKey {
        self.next_wire += 1;
        let wire = WireId(self.next_wire);
        let query = "EIO=4&transport=websocket";
        let head =
            RequestHead { method: Method::Get, query, upgrade: true, origin: None, binary: false };
        self.input(ServerInput::WebSocketOpened { wire, head });
        self.input(ServerInput::Frame { wire, frame: Frame::Text("40".into()) });
        self.carry().expect("let in")
    }

    fn input(&mut self, input: ServerInput<'_>) {
        let ids = &mut self.ids;
        self.pool.handle_input(self.now, input, &mut |dest: &mut [u8]| ids.fill(dest));
    }

    /// Carries messages between the pool and the hub. Returns the socket that has connected.
    fn carry(&mut self) -> Option<SocketKey> {
        let mut socket = None;
        loop {
            if let Some(output) = self.hub.poll_output() {
                match output {
                    HubOutput::Reply { to, reply } => self.pool.handle_reply(self.now, to, reply),
                    HubOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                        socket = self.hub.at(self.now).accept(request);
                    }
                    HubOutput::Event(_) | HubOutput::Deliver(_) => {}
                    _ => unreachable!("there is nothing else"),
                }
            } else if let Some(output) = self.pool.poll_output() {
                if let PoolOutput::Request { from, request } = output {
                    self.hub.handle_request(self.now, from, request);
                }
            } else {
                return socket;
            }
        }
    }

    pub fn join(&mut self, socket: SocketKey, room: &str) {
        assert_eq!(self.hub.at(self.now).join(socket, room), Ok(true));
    }

    /// Emits an event and queues it on every connection. Returns on how many.
    pub fn broadcast(&mut self, audience: &Audience, event: &socket::Event) -> usize {
        self.hub.at(self.now).broadcast("/", audience, event).expect("it exists");
        let mut queued = 0;
        while let Some(output) = self.hub.poll_output() {
            let HubOutput::Deliver(delivery) = output else { continue };
            let reach = self.pool.deliver(self.now, &delivery);
            assert_eq!((reach.dropped, reach.refused, reach.closed), (0, 0, 0));
            queued += reach.sockets;
        }
        queued
    }

    /// Takes all output of the connections and counts the frames.
    pub fn count_frames(&mut self) -> usize {
        let mut frames = 0;
        while let Some(output) = self.pool.poll_output() {
            frames += usize::from(matches!(output, PoolOutput::Send { .. }));
        }
        frames
    }
}

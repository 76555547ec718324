//! Links around a hub, as a program with several threads has them, on one thread.

use std::sync::Arc;

use socketio_proto::{
    ConnectionId, EngineId, ServerConfig, SocketKey, Timestamp, WireId,
    engine::{EngineInput, Frame, Transport},
    hub::{Audience, Hub, HubOutput, ServerEvent},
    link::{Delivered, Link, LinkOutput},
    socket,
};

/// A hub and its links; the number of a link is its place in the list.
pub struct Workers {
    hub: Hub<()>,
    links: Vec<Link>,
    config: Arc<ServerConfig>,
    now: Timestamp,
}

impl Workers {
    pub fn new(config: ServerConfig) -> Self {
        let config = Arc::new(config);
        let mut state = 0_u64;
        let entropy = move |dest: &mut [u8]| {
            for byte in dest {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (state >> 56) as u8;
            }
        };
        let mut hub = Hub::new(config.clone(), entropy).expect("valid");
        hub.at(Timestamp::ZERO).add_namespace("/").expect("a name");
        Self { hub, links: Vec::new(), config, now: Timestamp::from_millis(1_000) }
    }

    /// Connects a new client to `/`.
    pub fn connect(&mut self) -> SocketKey {
        let place = self.links.len();
        let wire = WireId(place as u64);
        let id = EngineId::parse(&format!("{place:020}")).expect("20 characters");
        let mut link = Link::new(self.now, self.config.clone(), id, Transport::WebSocket, wire);
        let frame = Frame::Text("40".into());
        link.handle_input(self.now, EngineInput::Frame { wire, frame });
        self.links.push(link);
        let mut socket = None;
        while let Some(output) = self.links[place].poll_output() {
            if let LinkOutput::Hub(request) = output {
                let from = ConnectionId::from_raw(place as u64);
                self.hub.handle_request(self.now, from, request);
            }
        }
        while let Some(output) = self.hub.poll_output() {
            match output {
                HubOutput::Reply { reply, .. } => {
                    let link = &mut self.links[place];
                    link.handle_reply(self.now, reply);
                    while let Some(output) = link.poll_output() {
                        if let LinkOutput::Hub(request) = output {
                            let from = ConnectionId::from_raw(place as u64);
                            self.hub.handle_request(self.now, from, request);
                        }
                    }
                }
                HubOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                    socket = self.hub.at(self.now).accept(request);
                }
                HubOutput::Event(_) | HubOutput::Deliver(_) => {}
                _ => unreachable!("there is nothing else"),
            }
        }
        socket.expect("let in")
    }

    pub fn join(&mut self, socket: SocketKey, room: &str) {
        assert_eq!(self.hub.at(self.now).join(socket, room), Ok(true));
    }

    /// Emits an event and queues it on every link. Returns on how many.
    pub fn broadcast(&mut self, audience: &Audience, event: &socket::Event) -> usize {
        self.hub.at(self.now).broadcast("/", audience, event).expect("it exists");
        let mut queued = 0;
        while let Some(output) = self.hub.poll_output() {
            let HubOutput::Deliver(delivery) = output else { continue };
            for to in delivery.recipients() {
                let link = &mut self.links[usize::try_from(to.as_raw()).expect("a place")];
                queued += usize::from(link.deliver(self.now, &delivery) == Delivered::Queued);
            }
        }
        queued
    }

    /// Takes all output of the links and counts the frames.
    pub fn count_frames(&mut self) -> usize {
        let mut frames = 0;
        for link in &mut self.links {
            while let Some(output) = link.poll_output() {
                frames += usize::from(matches!(output, LinkOutput::Wire(_)));
            }
        }
        frames
    }
}

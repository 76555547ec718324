//! The server of a world, and the application on top of it.

use socketio_proto::{
    ServerConfig, Timestamp,
    server::{Server, ServerEvent, ServerOutput},
};

use super::{
    World, hold,
    promise::{Records, recorder},
};
use crate::{Application, Data, Rng, net::Down};

/// Starts a server with its application.
pub(super) fn start<A: Application<D>, D: Data>(
    config: &ServerConfig,
    application: &mut A,
    rng: Rng,
    records: &Records,
) -> Server<D> {
    let server = Server::new(config.clone(), rng.entropy());
    let mut server = server.expect("a valid configuration");
    server.at(Timestamp::ZERO).set_recorder(recorder(records));
    application.start(&mut server, Timestamp::ZERO);
    server
}

impl<A: Application<D>, D: Data> World<A, D> {
    /// Takes everything that the server wants.
    pub(super) fn drain_server(&mut self) {
        self.promise.take(&self.records);
        while let Some(output) = self.server.poll_output() {
            match output {
                ServerOutput::Respond { wire, response } => {
                    self.finish_wire(wire, Down::Response(response.status, response.body));
                }
                ServerOutput::Send { wire, frame } => {
                    self.network.send_down(self.now, wire, Down::Frame(frame));
                }
                ServerOutput::Close { wire, code } => {
                    self.tell(|| format!("server: closes {wire:?} {code:?}"));
                    self.finish_wire(wire, Down::ClosedWith(code.unwrap_or(1005)));
                }
                ServerOutput::Event(event) => self.handle_event(event),
                other => unreachable!("unknown: {other:?}"),
            }
            self.follow_network();
        }
    }

    fn handle_event(&mut self, event: ServerEvent<D>) {
        self.tell(|| format!("server: {event:?}"));
        match &event {
            ServerEvent::Connected { socket, id, recovery, .. } => {
                self.sockets.insert(id.to_string(), *socket);
                self.promise.decided(id.as_str(), *recovery);
            }
            ServerEvent::Received { socket, namespace, event, .. } => {
                // It may have ended in the meantime.
                if let Some(session) = self.server.socket_id(*socket)
                    && let Some(client) = self.promise.client_of(session.as_str())
                {
                    let (namespace, session) = (namespace.as_str(), session.as_str());
                    hold(self.uplink.receive(client, namespace, session, event));
                }
            }
            _ => {}
        }
        let now = self.now();
        self.application.handle_event(&mut self.server, now, event);
        self.promise.take(&self.records);
    }
}

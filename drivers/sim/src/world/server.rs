//! The server of a world, and the application on top of it.

use socketio_proto::{
    cluster::ClusterInput,
    hub::{DisconnectReason, ExpiryCause},
    server::{ServerEvent, ServerOutput},
};

use super::{World, clients::Task, hold, nodes::Node, promise::Ender};
use crate::{Application, Data, net::Down};

impl<A: Application<D>, D: Data> World<A, D> {
    /// Takes everything that the server wants.
    pub(super) fn drain_server(&mut self, node: usize) {
        self.take_records(node);
        while let Some(output) = self.nodes[node].server.poll_output() {
            match output {
                ServerOutput::Respond { wire, response } => {
                    self.finish_wire(wire, Down::Response(response.status, response.body));
                }
                ServerOutput::Send { wire, frame } => {
                    self.network.send_down(self.now, wire, Down::Frame(frame));
                }
                ServerOutput::Close { wire, code } => {
                    self.tell(|| format!("{}: closes {wire:?} {code:?}", self.server_name(node)));
                    self.finish_wire(wire, Down::ClosedWith(code.unwrap_or(1005)));
                }
                ServerOutput::Event(event) => self.handle_event(node, event),
                ServerOutput::Cluster(command) => {
                    if self.command(node, command) {
                        return;
                    }
                }
                other => unreachable!("unknown: {other:?}"),
            }
            self.follow_network();
        }
    }

    /// Tells a node something about the engine.
    pub(super) fn cluster_input(&mut self, node: usize, input: ClusterInput) {
        let now = self.now();
        self.nodes[node].server.handle_cluster(now, input);
        self.drain_server(node);
    }

    fn handle_event(&mut self, node: usize, event: ServerEvent<D>) {
        self.tell(|| format!("{}: {event:?}", self.server_name(node)));
        match &event {
            ServerEvent::Connected { socket, id, recovery, .. } => {
                self.places.came(id.as_str(), node, *socket);
                // It need not hear of what has happened elsewhere, and does not wait for the store for ever.
                let is_away = self.engine.as_ref().is_some_and(|it| !it.of_nodes[node].is_up);
                let may_be_old = is_away && self.writes_ahead();
                self.promise.decided(id.as_str(), *recovery, self.now, may_be_old);
                if self.nodes[node].leaving.is_some() {
                    // The others do not wait for a node that has said goodbye.
                    self.promise.lost(id.as_str());
                }
            }
            ServerEvent::Received { socket, namespace, event, .. } => {
                // It may have ended in the meantime.
                if let Some(session) = self.nodes[node].server.socket_id(*socket)
                    && let Some(client) = self.promise.client_of(session.as_str())
                {
                    let (namespace, session) = (namespace.as_str(), session.as_str());
                    let is_old_copy = self.is_old_copy(node, session);
                    hold(self.uplink.receive(client, namespace, session, event, is_old_copy));
                }
            }
            ServerEvent::Disconnected { id, reason, .. } => match reason {
                DisconnectReason::Moved => self.places.moved(id.as_str(), node),
                DisconnectReason::ChannelGap => {
                    self.places.moved(id.as_str(), node);
                    self.promise.lost(id.as_str());
                }
                _ if reason.is_recoverable() => {}
                // The record is still there. Another node may take it while this one has no engine.
                DisconnectReason::ClientNamespaceDisconnect | DisconnectReason::Replaced
                    if self.writes_ahead() =>
                {
                    self.promise.lost(id.as_str());
                }
                DisconnectReason::ServerNamespaceDisconnect => {
                    self.note_end(node, id.as_str(), Ender::Application);
                }
                // What the client has asked for here is older than its coming to the other node.
                _ if self.is_old_copy(node, id.as_str()) => {}
                _ => self.note_end(node, id.as_str(), Ender::Client),
            },
            ServerEvent::SessionExpired { id, cause, .. } => match cause {
                ExpiryCause::Moved => self.places.moved(id.as_str(), node),
                ExpiryCause::Disconnected => {
                    self.note_end(node, id.as_str(), Ender::Application);
                }
                // The store may still have it.
                _ => self.promise.lost(id.as_str()),
            },
            ServerEvent::HandedOver { not_stored, .. } => {
                if *not_stored > 0 {
                    self.promise.shaken();
                }
                let restarts = self.nodes[node].restarts;
                self.agenda.plan(self.now, Task::Replace(node, restarts));
            }
            _ => {}
        }
        let now = self.now();
        let Node { application, server, .. } = &mut self.nodes[node];
        application.handle_event(server, now, event);
        self.take_records(node);
    }

    /// Whether a node may take the session of another one that is up.
    fn writes_ahead(&self) -> bool {
        self.nodes.iter().any(|node| node.writes_ahead)
    }

    /// Whether a session is at another node by now. A node that was frozen may not know yet that another one
    /// has taken the record.
    fn is_old_copy(&self, node: usize, session: &str) -> bool {
        self.writes_ahead() && self.places.is_old(session, node)
    }

    fn note_end(&mut self, node: usize, session: &str, by: Ender) {
        let read = self.engine.as_ref().map_or(&[][..], |engine| &engine.of_nodes[node].read);
        self.promise.ended(session, node, read, by);
    }

    fn take_records(&mut self, node: usize) {
        let read = self.engine.as_ref().map_or(&[][..], |engine| &engine.of_nodes[node].read);
        let Node { records, writes_ahead, .. } = &self.nodes[node];
        self.promise.take(records, read, *writes_ahead);
    }

    fn server_name(&self, node: usize) -> String {
        if self.engine.is_some() { format!("node {node}") } else { "server".to_owned() }
    }
}

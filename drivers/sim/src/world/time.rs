//! The time of a world: what is due happens, one thing after the other.

use socketio_proto::{engine::ClientInput, server::ServerInput};

use super::{World, clients::Task, nodes::Node};
use crate::{Application, Data};

/// More steps than can happen at one moment.
const STEPS_AT_ONCE: u32 = 20_000;

impl<A: Application<D>, D: Data> World<A, D> {
    /// Lets everything happen that is due until `end`, until something is the case.
    pub(super) fn run_until(&mut self, end: u64, is_done: impl Fn(&mut Self) -> bool) -> bool {
        while let Some(at) = self.next_due().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
            if is_done(self) {
                return true;
            }
        }
        is_done(self)
    }

    fn next_due(&self) -> Option<u64> {
        let clients = (0..self.clients.len()).filter_map(|client| self.client_due(client));
        let freezers = self.clients.iter().filter_map(|client| client.freezer.due());
        let servers = self.nodes.iter().flat_map(|node| {
            [node.server_due(), node.freezer.due(), node.application_due()].into_iter().flatten()
        });
        clients.chain(freezers).chain(servers).chain(self.agenda.next_due()).min()
    }

    fn client_due(&self, client: usize) -> Option<u64> {
        let deadline = self.clients[client].model.deadline()?.as_micros();
        Some(deadline.max(self.clients[client].freezer.until()))
    }

    /// Does the next thing that is due. What has arrived comes before the timers.
    fn step(&mut self) {
        let count = if self.stuck.0 == self.now { self.stuck.1 + 1 } else { 0 };
        self.stuck = (self.now, count);
        assert!(count < STEPS_AT_ONCE, "time does not move on");
        if self.thaw() {
            return;
        }
        let is_due = |due: Option<u64>| due.is_some_and(|due| due <= self.now);
        let mut clients = 0..self.clients.len();
        let mut nodes = 0..self.nodes.len();
        if let Some(task) = self.agenda.take_due(self.now) {
            match task {
                Task::Transit(transit) => self.carry(transit),
                Task::Answer(client, token, args) => self.answer(client, token, &args),
                Task::Link(task) => self.follow_link(task),
                Task::Replace(node, restarts) => self.replace(node, restarts),
            }
        } else if let Some(node) = nodes.clone().find(|it| is_due(self.nodes[*it].server_due())) {
            self.node_input(node, ServerInput::Timeout);
        } else if let Some(node) = nodes.find(|it| is_due(self.nodes[*it].application_due())) {
            let now = self.now();
            let Node { application, server, .. } = &mut self.nodes[node];
            application.handle_timeout(server, now);
            self.drain_server(node);
        } else if let Some(client) = clients.find(|client| is_due(self.client_due(*client))) {
            self.client_input(client, ClientInput::Timeout);
        }
    }
}

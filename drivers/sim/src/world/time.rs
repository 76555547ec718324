//! The time of a world: what is due happens, one thing after the other.

use socketio_proto::{engine::ClientInput, server::ServerInput};

use super::{World, clients::Task};
use crate::{Application, Data};

/// More steps than can happen at one moment.
const STEPS_AT_ONCE: u32 = 20_000;

impl<A: Application<D>, D: Data> World<A, D> {
    /// Lets everything happen that is due until `end`, until something is the case.
    pub(super) fn run_until(&mut self, end: u64, is_done: impl Fn(&Self) -> bool) -> bool {
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
        let server = self.server_due().into_iter().chain(self.freezer.due());
        let others = self.agenda.next_due().into_iter().chain(self.application_due());
        clients.chain(freezers).chain(server).chain(others).min()
    }

    fn client_due(&self, client: usize) -> Option<u64> {
        let deadline = self.clients[client].model.deadline()?.as_micros();
        Some(deadline.max(self.clients[client].freezer.until()))
    }

    pub(super) fn server_due(&self) -> Option<u64> {
        Some(self.server.deadline()?.as_micros().max(self.freezer.until()))
    }

    fn application_due(&self) -> Option<u64> {
        Some(self.application.deadline()?.as_micros().max(self.freezer.until()))
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
        if let Some(task) = self.agenda.take_due(self.now) {
            match task {
                Task::Transit(transit) => self.carry(transit),
                Task::Answer(client, token, args) => self.answer(client, token, &args),
            }
        } else if is_due(self.server_due()) {
            self.server_input(ServerInput::Timeout);
        } else if is_due(self.application_due()) {
            let now = self.now();
            self.application.handle_timeout(&mut self.server, now);
            self.drain_server();
        } else if let Some(client) = clients.find(|client| is_due(self.client_due(*client))) {
            self.client_input(client, ClientInput::Timeout);
        }
    }
}

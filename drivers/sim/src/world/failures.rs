//! What fails.

use socketio_proto::WireId;

use super::{World, clients::Task, server};
use crate::{
    Application, Data, Rng,
    net::{Notice, Transit, WireKind},
    script::{Fault, Restart},
};

impl<A: Application<D>, D: Data> World<A, D> {
    /// Lets something fail.
    pub fn fail(&mut self, fault: &Fault) {
        self.tell(|| format!("{fault:?}"));
        let now = self.now;
        let until = |ms: u64| now + ms * 1_000;
        match *fault {
            Fault::Cut { client, notice } => self.cut(client, notice, |_| true),
            Fault::CutAll { notice } => {
                for client in 0..self.clients.len() {
                    self.cut(client, notice, |_| true);
                }
            }
            Fault::AbortRequests { client, notice } => {
                self.cut(client, notice, |kind| kind != WireKind::WebSocket);
            }
            Fault::FreezeClient { client, for_ms } => {
                self.clients[client].freezer.freeze(until(for_ms));
            }
            Fault::FreezeServer { for_ms } => self.freezer.freeze(until(for_ms)),
            Fault::Slow { client, for_ms, by_ms } => {
                self.network.slow_down(client, until(for_ms), by_ms * 1_000);
            }
            Fault::Unreachable { client, for_ms, is_silent } => {
                self.clients[client].unreachable = (until(for_ms), is_silent);
            }
            Fault::Restart { how, down_ms } => self.restart_server(how, down_ms),
        }
        self.follow_network();
    }

    fn cut(&mut self, client: usize, notice: Notice, is_meant: impl Fn(WireKind) -> bool) {
        let wires = self.network.of_client(client).filter(|(_, wire)| is_meant(wire.kind));
        let wires: Vec<WireId> = wires.map(|(id, _)| id).collect();
        for wire in wires {
            self.network.cut(self.now, wire, notice);
        }
    }

    /// Ends the server's process and begins another one, with a snapshot or without.
    fn restart_server(&mut self, how: Restart, down_ms: u64) {
        self.freezer.reset();
        let now = self.now();
        if how == Restart::Graceful {
            self.server.shutdown(now);
            self.drain_server();
        }
        let snapshot = serde_json::to_string(&self.server.snapshot(now)).expect("a snapshot");
        self.lose_server();
        self.restarts += 1;
        self.application = (self.make)();
        let rng = Rng::keyed(self.seed, &[0x5e, self.restarts]);
        // What the previous process does at its end is not reported.
        self.records = super::Records::default();
        self.server = server::start(&self.config, &mut self.application, rng, &self.records);
        // A call in the meantime has to wait.
        self.now += down_ms * 1_000;
        if how == Restart::Crash {
            self.promise.crashed();
        } else {
            let now = self.now();
            let snapshot = serde_json::from_str(&snapshot).expect("a snapshot");
            self.server.at(now).restore(snapshot).expect("its own snapshot");
        }
        self.drain_server();
    }

    /// Everything that was between the server and its clients is gone with it.
    fn lose_server(&mut self) {
        self.agenda.retain(|task| !matches!(task, Task::Transit(Transit::ServerNotices(_))));
        let wires: Vec<WireId> = self.network.iter().map(|(wire, _)| wire).collect();
        for wire in wires {
            if let Some(state) = self.network.get_mut(wire) {
                state.server_open = false;
                state.has_arrived = true;
            }
            let after = Rng::keyed(self.seed, &[0x5f, wire.0]).pick(&[0, 5, 300]);
            self.network.cut(self.now, wire, Notice { client: Some(after), server: None });
            self.network.forget_if_unused(wire);
        }
        self.follow_network();
    }
}

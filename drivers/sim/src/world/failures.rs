//! What fails.

use std::time::Duration;

use socketio_proto::WireId;

use super::{
    Crash, World,
    clients::Task,
    nodes::{self, Node, PlannedCrash, Setup},
};
use crate::{
    Application, Data, Rng,
    net::{Down, Network, Notice, Transit, Wire, WireKind},
    script::{Fault, Moment, Restart},
};

/// How long a node has for handing its sessions over, in microseconds.
const HAND_OVER: u64 = 10_000_000;

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
            Fault::FreezeServer { node, for_ms } => {
                if self.engine.is_some() {
                    self.promise.shaken();
                }
                self.nodes[node].freezer.freeze(until(for_ms));
            }
            Fault::Slow { client, for_ms, by_ms } => {
                self.network.slow_down(client, until(for_ms), by_ms * 1_000);
            }
            Fault::Unreachable { client, for_ms, is_silent } => {
                self.clients[client].unreachable = (until(for_ms), is_silent);
            }
            Fault::Restart { node, how, down_ms } => {
                if self.engine.is_some() {
                    self.restart_node(node, how, down_ms);
                } else {
                    self.restart_server(how, down_ms);
                }
            }
            Fault::CrashAt { node, commands, moment, down_ms } => {
                self.nodes[node].crash = Some(PlannedCrash { commands, moment, down_ms });
            }
            Fault::CutEngine { node, for_ms } => {
                self.cut_link(node, Duration::from_millis(for_ms));
            }
            Fault::RestartEngine { down_ms } => {
                for node in 0..self.nodes.len() {
                    self.cut_link(node, Duration::from_millis(down_ms));
                }
            }
            Fault::Trim { kept } => self.trim(kept),
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
        let now = self.now();
        self.nodes[0].freezer.reset();
        if how == Restart::Graceful {
            self.nodes[0].server.shutdown(now);
            self.drain_server(0);
        }
        let snapshot = serde_json::to_string(&self.server().snapshot(now)).expect("a snapshot");
        self.begin_anew(0);
        // A call in the meantime has to wait.
        self.now += down_ms * 1_000;
        if how == Restart::Crash {
            self.promise.crashed();
        } else {
            let now = self.now();
            let snapshot = serde_json::from_str(&snapshot).expect("a snapshot");
            self.nodes[0].server.at(now).restore(snapshot).expect("its own snapshot");
        }
        self.drain_server(0);
    }

    /// A command of a node has come to this moment. Returns whether the node has crashed.
    pub(super) fn crash_at(&mut self, node: usize, command: &'static str, moment: Moment) -> bool {
        let Some(down_ms) = self.nodes[node].crash_at(moment) else { return false };
        self.tell(|| format!("node {node} crashes: {command} {moment:?}"));
        self.crashes.push(Crash { command, moment });
        if moment == Moment::CarriedOut
            && let Some(link) = self.link(node)
        {
            link.lose_commands();
        }
        self.restart_node(node, Restart::Crash, down_ms);
        true
    }

    /// Ends the process of a node and begins another one. A node that hands its sessions over goes on
    /// until it has.
    fn restart_node(&mut self, node: usize, how: Restart, down_ms: u64) {
        if how != Restart::Graceful {
            return self.end_process(node, down_ms, true);
        }
        let now = self.now();
        let Node { server, leaving, restarts, freezer, .. } = &mut self.nodes[node];
        if leaving.replace(down_ms).is_none() {
            // The others do not wait for a node that has said goodbye, and no store has its sessions.
            if self.engine.as_ref().is_some_and(|engine| !engine.options.keeps_records) {
                self.promise.shaken();
            }
            server.shutdown(now);
            let is_begun = server.at(now).hand_over();
            // A process is not waited for without end.
            let patience = if is_begun { HAND_OVER } else { 0 };
            let at = self.now.max(freezer.until()) + patience;
            self.agenda.plan(at, Task::Replace(node, *restarts));
            self.drain_server(node);
        }
    }

    /// A process that was to end does, and another one begins.
    pub(super) fn replace(&mut self, node: usize, restarts: u64) {
        let Some(down_ms) =
            self.nodes[node].leaving.filter(|_| self.nodes[node].restarts == restarts)
        else {
            return;
        };
        let is_loss = !self.is_handed_over(node);
        self.end_process(node, down_ms, is_loss);
    }

    fn end_process(&mut self, node: usize, down_ms: u64, is_loss: bool) {
        self.tell(|| format!("node {node} ends"));
        self.nodes[node].leaving = Some(down_ms);
        self.nodes[node].freezer.reset();
        let until = self.now + down_ms * 1_000;
        self.break_link(node);
        // Those of a node that writes ahead are in the store.
        if is_loss && !self.nodes[node].writes_ahead {
            self.promise.crashed_without_records();
        }
        self.promise.crashed_at(node);
        self.places.crashed(node);
        self.begin_anew(node);
        self.nodes[node].freezer.freeze(until);
        let name = nodes::name(node, self.nodes[node].restarts);
        if let Some(engine) = &mut self.engine {
            engine.of_nodes[node].restart(name);
        }
        self.plan_open(node, until);
    }

    /// Whether a process may end without a loss.
    fn is_handed_over(&self, node: usize) -> bool {
        let stats = self.nodes[node].server.stats();
        stats.connections == 0 && stats.channel_waiting == 0
    }

    /// Replaces a process by the next one.
    fn begin_anew(&mut self, node: usize) {
        self.lose_server(node);
        let restarts = self.nodes[node].restarts + 1;
        let (config, cluster) = (&self.config, self.cluster.as_ref());
        let setup = Setup { seed: self.seed, config, cluster };
        // What the previous process does at its end is not reported.
        self.nodes[node] = Node::start(&setup, node, restarts, (self.make)());
    }

    /// Nothing reaches the server any more. What it has sent before may still reach its clients: a process that
    /// ends leaves it to the system.
    fn lose_server(&mut self, node: usize) {
        let leads_there =
            |network: &Network, wire| network.get(wire).is_none_or(|wire: &Wire| wire.node == node);
        self.agenda.retain(|task| {
            !matches!(task, Task::Transit(Transit::ServerNotices(wire))
                if leads_there(&self.network, *wire))
        });
        let wires = self.network.iter().filter(|(_, wire)| wire.node == node);
        let wires: Vec<WireId> = wires.map(|(wire, _)| wire).collect();
        for wire in wires {
            if let Some(state) = self.network.get_mut(wire) {
                state.server_open = false;
                state.has_arrived = true;
            }
            let choices = [None, None, None, Some(0), Some(5), Some(300)];
            match Rng::keyed(self.seed, &[0x5f, wire.0]).pick(&choices) {
                None => self.network.send_down(self.now, wire, Down::Closed),
                client => self.network.cut(self.now, wire, Notice { client, server: None }),
            }
            self.network.forget_if_unused(wire);
        }
        self.follow_network();
    }
}

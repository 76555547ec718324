//! Carries out operations.

use socketio_proto::{ReplayOrder, WireId};
use socketio_proto_sim::net::{Notice, WireKind};

use crate::{
    op::{Op, Sending, Step},
    world::{Task, World},
};

impl World {
    pub fn apply(&mut self, step: &Step) {
        self.tally.operations += 1;
        self.run_for(step.after_ms * 1_000);
        if let Some(story) = &mut self.story {
            story.push(format!("{:>4}  {:?}", step.id, step.op));
        }
        self.transcript.note(step.id);
        self.drain_server();
        let mut dice = self.keyed(step.id ^ 0x09);
        match step.op {
            Op::Broadcast { to, tail, is_volatile } => {
                let event = self.event(tail, dice.next());
                self.broadcast(to, &event, is_volatile);
            }
            Op::BroadcastWithAck { to, timeout_ms } => self.broadcast_with_ack(to, timeout_ms),
            Op::Emit { client, space, tail, is_volatile } => {
                let event = self.event(tail, dice.next());
                self.emit(client, space, &event, is_volatile);
            }
            Op::EmitWithAck { client, space, tail, timeout_ms } => {
                let event = self.event(tail, dice.next());
                self.emit_with_ack(client, space, &event, timeout_ms);
            }
            Op::Join { client, space, room } => {
                if let Some(key) = self.latest(client, space) {
                    self.join(key, room);
                }
            }
            Op::Leave { client, space, room } => {
                if let Some(key) = self.latest(client, space) {
                    self.leave(key, room);
                }
            }
            Op::JoinOwn { client, space, other } => self.change_own(client, space, other, true),
            Op::LeaveOwn { client, space, other } => self.change_own(client, space, other, false),
            Op::JoinMany { to, room } => self.change_many(to, room, true),
            Op::LeaveMany { to, room } => self.change_many(to, room, false),
            Op::Fetch { to } => self.fetch(to),
            Op::SetData { client, space } => self.set_data(client, space, dice.next()),
            Op::Kick { client, space, closes } => self.kick(client, space, closes),
            Op::KickMany { to, closes } => self.kick_many(to, closes),
            _ => self.apply_to_client(step),
        }
        self.drain_server();
        self.check_log();
    }

    fn apply_to_client(&mut self, step: &Step) {
        let now = self.time();
        match step.op {
            Op::ClientEmit { client, space, sending } => {
                let number = self.uplink.sent.len();
                self.uplink.send(client, space, sending);
                self.tally.emitted_by_clients += 1;
                self.note_order(client, space, ["emitted", "emitted before the answer"]);
                if !self.peers[client].emit(now, space, number, sending) {
                    self.uplink.excuse(number);
                }
                self.drain_client(client);
            }
            Op::ClientLeave { client, space } => {
                // The model of the official client knows one engine, and a manager without sockets
                // does not wait for the end of its last one.
                let peer = &self.peers[client];
                let is_shared = (0..self.plan.spaces).any(|it| it != space && peer.is_active(it));
                let is_official = self.plan.clients[client].is_official;
                // With the reference's order it would miss what comes before the answer.
                let is_risky = self.plan.recovery.replay_order == ReplayOrder::BeforeConnect;
                if is_official && !peer.is_connected(space) && (!is_shared || is_risky) {
                    return;
                }
                self.note_order(client, space, ["left", "left before the answer"]);
                self.peers[client].leave(now, space);
                self.drain_client(client);
                self.come_back(client, space);
            }
            Op::ClientConnect { client, space } => {
                if self.plan.clients[client].spaces & (1 << space) != 0 {
                    self.note_order(client, space, ["connected twice", "asked twice"]);
                    self.peers[client].connect(now, space);
                    self.drain_client(client);
                }
            }
            Op::ClientReconnect { client } => {
                self.tally.fault("reconnected by hand");
                self.peers[client].reconnect(now);
                self.drain_client(client);
            }
            Op::ClientClose { client } => {
                self.tally.fault("closed by the client");
                self.peers[client].close(now);
                self.drain_client(client);
                for space in 0..self.plan.spaces {
                    self.come_back(client, space);
                }
            }
            Op::ClientForget { client, space } => self.forget(client, space),
            Op::ClientTakeBack { client, space } => self.take_back(client, space),
            Op::ClientSave { client } => {
                if self.peers[client].save() {
                    self.save_view(client);
                }
            }
            Op::ClientRestart { client, from_saved } => self.restart(client, from_saved),
            Op::Forge { client, space, what, for_ms } => {
                self.forge(client, space, what, for_ms);
            }
            _ => self.apply_to_server(&step.op),
        }
    }

    fn apply_to_server(&mut self, op: &Op) {
        match *op {
            Op::Mistake { client, space, what } => self.make_mistake(client, space, what),
            Op::ControlFrames { client, count } => self.send_control_frames(client, count),
            Op::Burst { client, space, count } => self.emit_burst(client, space, count),
            Op::CloseConnection { client } => {
                self.tally.fault("closed by the server");
                let mut open = self.connections.iter().rev();
                let open = open.find(|(_, it)| it.client == client && it.is_open);
                if let Some(connection) = open.map(|(connection, _)| *connection) {
                    let told = self.server_time();
                    self.backend.close_connection(told, connection);
                }
            }
            Op::Shutdown => {
                self.tally.fault("shutdown");
                let told = self.server_time();
                self.backend.shutdown(told);
            }
            Op::ServerRestart { how, after_ms } => self.restart_server(how, after_ms),
            _ => self.apply_to_network(op),
        }
    }

    fn apply_to_network(&mut self, op: &Op) {
        match *op {
            Op::Cut { client, notice } => {
                self.tally.fault("cut");
                self.cut_wires(client, notice, |_| true);
            }
            Op::CutAll { notice } => {
                self.tally.fault("storm");
                for client in 0..self.peers.len() {
                    self.cut_wires(client, notice, |_| true);
                }
            }
            Op::HalfOpen { client } => {
                self.tally.fault("half-open");
                self.cut_wires(client, Notice { client: None, server: None }, |_| true);
            }
            Op::AbortRequest { client, notice } => {
                self.tally.fault("request aborted");
                self.cut_wires(client, notice, |kind| kind != WireKind::WebSocket);
            }
            Op::BreakUpgrade { client, notice } => self.break_upgrade(client, notice),
            Op::DuplicateNext { client } => self.clients[client].duplicates_next = true,
            Op::Pause { client, for_ms } => self.pause(client, for_ms),
            Op::PauseClient { client, for_ms } => {
                self.tally.fault("slow writer");
                let wires = self.net.of_client(client);
                let wire = wires.filter_map(|(_, wire)| wire.local).next_back();
                if let Some(wire) = wire {
                    let now = self.time();
                    self.peers[client].set_paused(now, wire, true);
                    self.plan_task(self.now + for_ms * 1_000, Task::ResumeClient(client, wire));
                }
            }
            Op::Slow { client, for_ms, by_ms } => {
                self.tally.fault("slow network");
                self.net.slow_down(client, self.now + for_ms * 1_000, by_ms * 1_000);
            }
            Op::Down { client, for_ms, is_silent } => {
                self.tally.fault("unreachable");
                self.clients[client].down = (self.now + for_ms * 1_000, is_silent);
            }
            Op::Jump { ms } => {
                self.tally.fault("clock jumps");
                self.now += ms * 1_000;
            }
            Op::Skew { for_ms, back_ms } => {
                self.tally.fault("clock goes back");
                self.skew = (self.now + for_ms * 1_000, back_ms.min(100_000) * 1_000);
                self.most_behind = self.most_behind.max(self.skew.1);
            }
            Op::Wait { ms } => self.run_for(ms * 1_000),
            ref other => unreachable!("{other:?} is no fault of the network"),
        }
    }

    pub fn cut_wires(
        &mut self,
        client: usize,
        notice: Notice,
        is_meant: impl Fn(WireKind) -> bool,
    ) {
        let wires = self.net.of_client(client).filter(|(_, wire)| is_meant(wire.kind));
        let wires: Vec<WireId> = wires.map(|(id, _)| id).collect();
        for wire in wires {
            self.cut(wire, notice);
        }
    }

    /// Cuts the WebSocket that a client is about to move to, wherever it has got to.
    fn break_upgrade(&mut self, client: usize, notice: Notice) {
        let wires = self.net.of_client(client);
        let (sockets, others): (Vec<_>, Vec<_>) = wires
            .map(|(id, wire)| (id, wire.kind))
            .partition(|(_, kind)| *kind == WireKind::WebSocket);
        if let Some((socket, _)) = sockets.last()
            && !others.is_empty()
        {
            self.tally.fault("upgrade interrupted");
            self.cut(*socket, notice);
        }
    }

    /// The client does not read.
    fn pause(&mut self, client: usize, for_ms: u64) {
        let wires = self.net.iter().filter(|(_, wire)| {
            wire.client == client
                && wire.kind == WireKind::WebSocket
                && wire.has_arrived
                && wire.local.is_some()
        });
        let wire = wires.map(|(id, _)| id).next_back();
        if let Some(wire) = wire {
            self.tally.fault("slow reader");
            self.backend.pause(wire);
            self.plan_task(self.now + for_ms * 1_000, Task::Resume(wire));
        }
    }

    /// Counts the calls of the official client's application by when they are made: when it is
    /// connected, or when it has asked and is not answered.
    fn note_order(&mut self, client: usize, space: usize, names: [&'static str; 2]) {
        let peer = &self.peers[client];
        if self.plan.clients[client].is_official && peer.is_active(space) {
            self.tally.fault(names[usize::from(!peer.is_connected(space))]);
        }
    }

    fn take_back(&mut self, client: usize, space: usize) {
        let now = self.time();
        for number in self.peers[client].take_back(now, space) {
            let is_retry = self.uplink.sent[number].sending == Sending::Retry;
            self.tally.fault(if is_retry { "retry taken back" } else { "taken back" });
            self.uplink.excuse(number);
        }
        self.drain_client(client);
    }

    fn forget(&mut self, client: usize, space: usize) {
        let now = self.time();
        if self.peers[client].forget(now, space) {
            self.tally.fault("forgotten");
            self.uplink.excuse_in(client, space);
            self.drain_client(client);
            self.come_back(client, space);
        }
    }

    fn restart(&mut self, client: usize, from_saved: bool) {
        let now = self.time();
        if !self.peers[client].restart(now, from_saved) {
            return;
        }
        self.tally.fault(if from_saved {
            "client restarted from before"
        } else {
            "client restarted"
        });
        if from_saved {
            self.restore_view(client);
        }
        if from_saved || !self.is_counted(client) {
            self.uplink.excuse_all(client);
        }
        let wires: Vec<WireId> = self.net.of_client(client).map(|(id, _)| id).collect();
        for wire in wires {
            self.net.abandon(wire);
            self.cut(wire, Notice { client: None, server: Some(10) });
        }
        self.drain_client(client);
    }
}

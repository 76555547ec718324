//! Strangers: clients that present secret ids of others, or forged ids.

use socketio_proto::{
    ByteString, WireId,
    engine::{Frame, Transport},
    server::ServerInput,
};
use socketio_proto_sim::{
    net::{Transit, WireKind},
    wire,
};

use crate::{
    model::Claim,
    op::{Forgery, SPACES},
    world::{Task, World},
};

/// The serial numbers of strangers' claims begin here.
const SERIALS: u64 = 1 << 40;

/// How often one claim is repeated.
const REPETITIONS: u64 = 5;

/// Whether a claim was made by a stranger.
pub fn is_stranger(serial: u64) -> bool {
    serial >= SERIALS
}

impl World {
    /// Writes down what a client knows, which is about to be stored.
    pub fn save_view(&mut self, client: usize) {
        let state = &self.clients[client];
        let views = state.views.map(|key| key.map(|key| self.model.view(key)));
        self.clients[client].saved = views;
    }

    /// A client continues from the state that it has saved.
    pub fn restore_view(&mut self, client: usize) {
        let saved = self.clients[client].saved.clone();
        for view in saved.iter().flatten() {
            self.model.restore_view(view);
        }
        self.clients[client].views = saved.map(|view| view.map(|view| view.key));
        self.clients[client].is_older = true;
    }

    /// Presents something on connections that are not the client's.
    pub fn forge(&mut self, client: usize, space: usize, what: Forgery, for_ms: u64) {
        if matches!(what, Forgery::NonReader) {
            return self.read_nothing(client, space);
        }
        let key = self.latest(client, space);
        let known = key.and_then(|key| self.model.pid_of(key));
        let elsewhere = (space + 1) % self.plan.spaces;
        let (space, pid, offset) = match (what, known) {
            (Forgery::Guess, _) => (space, Some("A".repeat(20)), None),
            (_, None) => return,
            (Forgery::Elsewhere, pid) => (elsewhere, pid, None),
            (Forgery::WrongOffset, pid) => (space, pid, Some("1-1".to_owned())),
            (Forgery::Stolen | Forgery::Repeated | Forgery::NonReader, pid) => (space, pid, None),
        };
        let is_repeated = matches!(what, Forgery::Repeated);
        self.tally.fault(if is_repeated { "claim repeated" } else { "forged claim" });
        let times = if is_repeated { REPETITIONS } else { 1 };
        for _ in 0..times {
            self.present(
                client,
                space,
                Claim {
                    client,
                    made_after: self.model.recoveries,
                    link: u64::MAX,
                    pid: pid.clone(),
                    offset: offset.clone(),
                },
                for_ms,
            );
        }
    }

    /// Joins a namespace over a WebSocket that nobody reads, for a while.
    fn present(&mut self, client: usize, space: usize, claim: Claim, for_ms: u64) {
        if let Some(wire) = self.open_stranger(client) {
            self.plan_task(self.now + for_ms * 1_000, Task::Transit(Transit::ServerNotices(wire)));
            self.ask_to_join(wire, space, claim);
        }
    }

    /// Joins, and then reads nothing. It still answers pings, and asks for namespaces that do not exist.
    fn read_nothing(&mut self, client: usize, space: usize) {
        self.tally.fault("non-reader");
        if let Some(wire) = self.open_stranger(client) {
            self.backend.pause(wire);
            self.ask_to_join(wire, space, Claim { client, link: u64::MAX, ..Claim::default() });
            self.plan_task(self.now, Task::NonReader(wire, 0));
        }
    }

    /// A peer that does not read has gone when its ping has not been answered.
    pub fn go_on_not_reading(&mut self, wire: WireId, waited: u64) {
        if !self.net.get(wire).is_some_and(|wire| wire.server_open) {
            return;
        }
        if !self.are_faults_on {
            return self.carry(Transit::ServerNotices(wire));
        }
        let (interval, timeout) = (self.plan.ping_interval * 1_000, self.plan.ping_timeout * 1_000);
        // Late timers and a clock that is behind are the server's own affair. What is closed may
        // wait until it is read, 30 s at most. A clock that jumps passes no time here.
        let patience = 3 * (interval + timeout) + 40_000_000 + 2 * self.plan.lateness;
        let is_behind = self.now < self.skew.0 + patience;
        assert!(waited < patience || is_behind, "{wire:?} reads nothing and lives");
        for text in ["3", "40/nowhere,"] {
            self.stranger_sends(wire, text.to_owned());
        }
        self.plan_task(self.now + interval / 2, Task::NonReader(wire, waited + interval / 2));
    }

    /// Opens a WebSocket that nobody reads from.
    fn open_stranger(&mut self, client: usize) -> Option<WireId> {
        let query = wire::open_query(Transport::WebSocket);
        let head = wire::websocket_head(&query);
        let wire = self.net.open(client, None, WireKind::WebSocket);
        self.net.get_mut(wire).unwrap().has_arrived = true;
        let told = self.server_time();
        if !self.backend.verify(told, &head) {
            self.net.get_mut(wire).unwrap().server_open = false;
            self.net.forget_if_unused(wire);
            return None;
        }
        self.sender = Some(client);
        self.server_input(ServerInput::WebSocketOpened { wire, head });
        self.sender = None;
        Some(wire)
    }

    fn ask_to_join(&mut self, wire: WireId, space: usize, claim: Claim) {
        let serial = SERIALS + self.claims.len() as u64;
        let text = connect_text(space, serial, &claim);
        self.claims.insert(serial, claim);
        self.stranger_sends(wire, text);
    }

    fn stranger_sends(&mut self, wire: WireId, text: String) {
        if self.net.get(wire).is_some_and(|wire| wire.server_open) {
            let frame = Frame::Text(ByteString::from(text));
            self.server_input(ServerInput::Frame { wire, frame });
        }
    }
}

fn connect_text(space: usize, serial: u64, claim: &Claim) -> String {
    let field = |name, value: &Option<String>| {
        let value = value.as_ref().map(|value| format!("\"{name}\":\"{value}\","));
        value.unwrap_or_default()
    };
    let namespace = if space == 0 { String::new() } else { format!("{},", SPACES[space]) };
    let (pid, offset) = (field("pid", &claim.pid), field("offset", &claim.offset));
    format!("40{namespace}{{{pid}{offset}\"serial\":{serial}}}")
}

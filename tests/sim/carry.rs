//! Carries data from one side to the other, with the faults of the network.

use std::time::Duration;

use socketio_proto::{
    WireId,
    engine::{ClientInput, EngineClientOutput, Frame, Method, RequestHead},
    server::ServerInput,
};

use crate::{
    dice::{Dice, Transcript},
    model::Claim,
    net::{Down, Up, WireKind},
    op::{Notice, SPACES},
    world::{Task, World},
};

pub fn head(method: Method, query: &str, upgrade: bool) -> RequestHead<'_> {
    RequestHead { method, query, upgrade, origin: None, binary: false }
}

impl World {
    /// What a client wants to be done on the network.
    pub fn client_wire(&mut self, client: usize, output: EngineClientOutput) {
        self.note_output(client, &output);
        match output {
            EngineClientOutput::Get { wire, query } => {
                self.open_wire(client, wire, WireKind::Get, Up::Get(query));
            }
            EngineClientOutput::Post { wire, query, body } => {
                self.look_for_claims(client, &body);
                let key = [0xa77, client as u64, wire.0];
                let announces = Dice::keyed(self.plan.seed, &key).chance(self.plan.announce);
                let up = Up::Post(query, body, announces);
                self.open_wire(client, wire, WireKind::Post, up);
            }
            EngineClientOutput::OpenWebSocket { wire, query } => {
                self.open_wire(client, wire, WireKind::WebSocket, Up::OpenWebSocket(query));
            }
            EngineClientOutput::Send { wire, frame } => {
                if let Frame::Text(text) = &frame {
                    self.look_for_claim(client, text);
                }
                let id = self.net.find(client, wire).expect("a wire that is open");
                assert!(self.net.wires[&id].client_open, "{wire:?} is over");
                self.send_up(id, Up::Frame(frame));
            }
            EngineClientOutput::Close { wire } => {
                if let Some(id) = self.net.find(client, wire) {
                    let state = self.net.wires.get_mut(&id).unwrap();
                    assert!(state.client_open, "{wire:?} was over already");
                    state.client_open = false;
                    self.send_up(id, Up::Closed);
                    self.net.settle(id);
                }
            }
            EngineClientOutput::Event(event) => panic!("an event among wires: {event:?}"),
            other => unreachable!("unknown: {other:?}"),
        }
    }

    fn open_wire(&mut self, client: usize, local: WireId, kind: WireKind, up: Up) {
        let id = self.net.open(client, Some(local), kind);
        if let Up::Get(query) | Up::OpenWebSocket(query) = &up {
            self.clients[client].links += u64::from(!query.contains("sid="));
        }
        let (until, is_silent) = self.clients[client].down;
        if self.now < until {
            self.cut(id, Notice { client: (!is_silent).then_some(5), server: None });
            return;
        }
        // The client of this crate does not expect a second answer to one CONNECT.
        let is_connect =
            matches!(&up, Up::Post(_, body, _) if body.windows(2).any(|it| it == b"40"));
        let is_official = self.plan.clients[client].is_official;
        let may_repeat =
            kind == WireKind::Get || (!self.is_counted(client) && (is_official || !is_connect));
        if kind != WireKind::WebSocket && may_repeat && self.clients[client].duplicates_next {
            self.clients[client].duplicates_next = false;
            self.clients[client].is_excused |= kind == WireKind::Post;
            self.tally.fault("request duplicated");
            let copy = self.net.open(client, None, kind);
            self.send_up(copy, up.clone());
        }
        if let Up::Get(query) | Up::OpenWebSocket(query) = &up
            && let Some((_, sid)) = query.split_once("sid=")
        {
            let mut hash = Transcript::new();
            hash.note_bytes(sid.as_bytes());
            self.net.wires.get_mut(&id).unwrap().session = hash.value();
        }
        self.send_up(id, up);
    }

    /// Whether the events of a client are counted, so that they must not come twice.
    pub fn is_counted(&self, client: usize) -> bool {
        self.plan.recovery.count_events && !self.plan.clients[client].is_official
    }

    fn send_up(&mut self, wire: WireId, up: Up) {
        if self.net.wires[&wire].is_cut {
            self.forget_unheard(wire);
        } else {
            let at = self.net.arrival(wire, self.now, true);
            self.plan_task(at, Task::Up(wire, up));
        }
    }

    pub fn send_down(&mut self, wire: WireId, down: Down) {
        let Some(state) = self.net.wires.get(&wire) else {
            return;
        };
        if state.local.is_none() && state.kind == WireKind::Get {
            // What was answered to the copy of a request has not reached the client, which polling
            // has no means to notice. So the network has to be seen to fail.
            let notice = Notice { client: Some(0), server: None };
            self.cut_wires(state.client, notice, |_| true);
        }
        let Some(state) = self.net.wires.get(&wire) else {
            return;
        };
        if !state.is_cut && state.local.is_some() {
            let at = self.net.arrival(wire, self.now, false);
            self.plan_task(at, Task::Down(wire, down));
        }
        self.net.settle(wire);
    }

    /// A wire carries nothing from now on.
    pub fn cut(&mut self, wire: WireId, notice: Notice) {
        let Some(state) = self.net.wires.get_mut(&wire).filter(|state| !state.is_cut) else {
            return;
        };
        state.is_cut = true;
        if let Some(after) = notice.client {
            self.plan_task(self.now + after * 1_000, Task::ClientNotices(wire));
        }
        if let Some(after) = notice.server {
            self.plan_task(self.now + after * 1_000, Task::ServerNotices(wire));
        }
        self.forget_unheard(wire);
    }

    /// A wire that was cut before the server has heard of it.
    fn forget_unheard(&mut self, wire: WireId) {
        if let Some(state) = self.net.wires.get_mut(&wire)
            && state.is_cut
            && !state.has_arrived
        {
            state.server_open = false;
            self.net.settle(wire);
        }
    }

    pub fn server_notices(&mut self, wire: WireId) {
        let Some(state) = self.net.wires.get_mut(&wire) else {
            return;
        };
        if std::mem::take(&mut state.server_open) {
            self.hung_up.insert(wire);
            self.net.settle(wire);
            self.server_input(ServerInput::WireClosed { wire });
        }
    }

    pub fn client_notices(&mut self, wire: WireId) {
        let Some(state) = self.net.wires.get_mut(&wire) else {
            return;
        };
        let (client, local) = (state.client, state.local);
        if std::mem::take(&mut state.client_open)
            && let Some(local) = local
        {
            self.net.settle(wire);
            self.client_input(client, ClientInput::WireClosed { wire: local });
        }
    }

    pub fn carry_up(&mut self, wire: WireId, up: Up) {
        let Some(state) = self.net.wires.get_mut(&wire).filter(|state| !state.is_cut) else {
            return;
        };
        let is_first = !std::mem::replace(&mut state.has_arrived, true);
        if !state.server_open {
            return;
        }
        self.sender = is_first.then_some(state.client);
        match up {
            Up::Get(query) => {
                let head = head(Method::Get, &query, false);
                self.server_input(ServerInput::Request { wire, head, body: None });
                self.check_probe_poll(wire);
            }
            Up::Post(query, body, announces) => {
                let head = head(Method::Post, &query, false);
                let now = (!announces).then(|| body.clone());
                self.server_input(ServerInput::Request { wire, head, body: now });
                if announces {
                    let at = self.net.arrival(wire, self.now, true);
                    self.plan_task(at, Task::Up(wire, Up::Body(body)));
                }
            }
            Up::Body(body) => self.server_input(ServerInput::Body { wire, body }),
            Up::OpenWebSocket(query) => {
                let head = head(Method::Get, &query, true);
                let told = self.server_time();
                if self.backend.verify(told, &head) {
                    self.send_down(wire, Down::Opened);
                    self.server_input(ServerInput::WebSocketOpened { wire, head });
                } else {
                    self.net.wires.get_mut(&wire).unwrap().server_open = false;
                    self.send_down(wire, Down::Closed);
                }
            }
            Up::Frame(frame) => self.server_input(ServerInput::Frame { wire, frame }),
            Up::Closed => {
                state.server_open = false;
                self.hung_up.insert(wire);
                self.net.settle(wire);
                self.server_input(ServerInput::WireClosed { wire });
            }
        }
        self.sender = None;
    }

    pub fn carry_down(&mut self, wire: WireId, down: Down) {
        let Some(state) = self.net.wires.get_mut(&wire) else {
            return;
        };
        let Some(local) = state.local.filter(|_| !state.is_cut && state.client_open) else {
            return;
        };
        let client = state.client;
        if matches!(down, Down::Response(..) | Down::Closed | Down::ClosedWith(_)) {
            state.client_open = false;
            self.net.settle(wire);
        }
        let input = match down {
            Down::Response(status, body) => ClientInput::Response { wire: local, status, body },
            Down::Opened => ClientInput::WebSocketOpened { wire: local },
            Down::Frame(frame) => {
                if self.is_lost(&frame) {
                    return;
                }
                if self.is_repeated(&frame) {
                    let frame = frame.clone();
                    self.client_input(client, ClientInput::Frame { wire: local, frame });
                }
                ClientInput::Frame { wire: local, frame }
            }
            Down::ClosedWith(code) => ClientInput::WebSocketClosed { wire: local, code },
            Down::Closed => ClientInput::WireClosed { wire: local },
        };
        self.client_input(client, input);
    }

    pub fn server_input(&mut self, input: ServerInput<'_>) {
        let told = self.server_time();
        self.backend.input(told, input);
        let key = [0x1a2, self.now, self.tally.steps];
        // Whatever comes at this moment comes before the output is looked at.
        let is_lazy = Dice::keyed(self.plan.seed, &key).chance(self.plan.lazy);
        if self.sender.is_some() || !is_lazy {
            self.drain_server();
        } else {
            self.tally.fault("drained late");
        }
    }

    pub fn client_input(&mut self, client: usize, input: ClientInput) {
        let now = self.time();
        self.peers[client].input(now, input);
        self.drain_client(client);
    }

    /// While a probe is open a GET is answered within 100 ms.
    fn check_probe_poll(&self, wire: WireId) {
        let Some(state) = self.net.wires.get(&wire).filter(|state| state.server_open) else {
            return;
        };
        let is_probed = self
            .net
            .wires
            .values()
            .any(|other| other.session == state.session && other.is_probe && other.server_open);
        let is_lone = state.session != 0
            && self.net.wires.values().all(|other| {
                other.client != state.client || !other.server_open || other.local.is_some()
            });
        if is_probed && is_lone {
            let latest = self.server_now.saturating_add(Duration::from_millis(100));
            let due = self.backend.deadline();
            assert!(due.is_some_and(|due| due <= latest), "{wire:?} waits while a probe is open");
        }
    }

    fn look_for_claims(&mut self, client: usize, body: &[u8]) {
        if let Ok(body) = std::str::from_utf8(body) {
            for text in body.split('\u{1e}') {
                self.look_for_claim(client, text);
            }
        }
    }

    /// Notes what a CONNECT says, as it leaves the client.
    fn look_for_claim(&mut self, client: usize, text: &str) {
        #[derive(serde::Deserialize)]
        struct Auth {
            serial: u64,
            pid: Option<String>,
            offset: Option<String>,
        }

        let Some((space, auth)) = parse_connect(text) else {
            return;
        };
        let Ok(Auth { serial, pid, offset }) = serde_json::from_str(auth) else {
            // A mistake: it will be refused.
            return;
        };
        self.tally.claims += u64::from(pid.is_some());
        self.clients[client].latest[space] = self.clients[client].links;
        self.claims.insert(
            serial,
            Claim {
                client,
                made_after: self.model.recoveries,
                link: self.clients[client].links,
                pid,
                offset,
            },
        );
    }

    /// Learns the private id of a session, as it leaves the server.
    pub fn look_for_keys(&mut self, text: &str) {
        #[derive(serde::Deserialize)]
        struct Ids<'a> {
            sid: &'a str,
            pid: String,
        }

        if let Some((_, ids)) = parse_connect(text) {
            let Ids { sid, pid } = serde_json::from_str(ids).unwrap();
            assert!(self.model.learn(sid, pid), "nobody has the id {sid}");
        }
    }
}

/// The namespace and the payload of a CONNECT.
fn parse_connect(text: &str) -> Option<(usize, &str)> {
    let rest = text.strip_prefix("40")?;
    for (space, name) in SPACES.iter().enumerate().rev() {
        if space == 0 {
            return Some((0, rest));
        }
        if let Some(payload) = rest.strip_prefix(name).and_then(|rest| rest.strip_prefix(',')) {
            return Some((space, payload));
        }
    }
    None
}

//! Carries data from one side to the other, with the faults of the network.

use std::time::Duration;

use socketio_proto::{
    WireId,
    engine::{ClientInput, EngineClientOutput, Frame, Method},
    server::ServerInput,
};
use socketio_proto_sim::{
    Rng,
    net::{Arrival, Down, Notice, Transit, Up, WireKind},
    wire,
};

use crate::{model::Claim, op::SPACES, transcript::Transcript, world::World};

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
                let is_announced = Rng::keyed(self.plan.seed, &key).chance(self.plan.announce);
                let up = Up::Post { query, body, is_announced };
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
                let is_open = self.net.get(id).is_some_and(|wire| wire.client_open);
                assert!(is_open, "{wire:?} is over");
                self.send_up(id, Up::Frame(frame));
            }
            EngineClientOutput::Close { wire } => {
                if let Some(id) = self.net.find(client, wire) {
                    let state = self.net.get_mut(id).unwrap();
                    assert!(state.client_open, "{wire:?} was over already");
                    state.client_open = false;
                    self.send_up(id, Up::Closed);
                    self.net.forget_if_unused(id);
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
            matches!(&up, Up::Post { body, .. } if body.windows(2).any(|it| it == b"40"));
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
            self.engine_sessions.insert(id, hash.value());
        }
        self.send_up(id, up);
    }

    /// Whether the events of a client are counted, so that they must not come twice.
    pub fn is_counted(&self, client: usize) -> bool {
        self.plan.recovery.count_events && !self.plan.clients[client].is_official
    }

    fn send_up(&mut self, wire: WireId, up: Up) {
        self.net.send_up(self.now, wire, up);
        self.follow_network();
    }

    pub fn send_down(&mut self, wire: WireId, down: Down) {
        let Some(state) = self.net.get(wire) else {
            return;
        };
        if state.local.is_none() && state.kind == WireKind::Get {
            // What was answered to the copy of a request has not reached the client, which polling
            // has no means to notice. So the network has to be seen to fail.
            let notice = Notice { client: Some(0), server: None };
            self.cut_wires(state.client, notice, |_| true);
        }
        self.net.send_down(self.now, wire, down);
        self.follow_network();
    }

    /// A wire carries nothing from now on.
    pub fn cut(&mut self, wire: WireId, notice: Notice) {
        self.net.cut(self.now, wire, notice);
        self.follow_network();
    }

    /// Something arrives, or a cut is noticed.
    pub fn carry(&mut self, transit: Transit) {
        match self.net.arrive(transit) {
            Some(Arrival::ToServer { wire, client, up, is_first }) => {
                self.sender = is_first.then_some(client);
                self.carry_up(wire, up);
                self.sender = None;
            }
            Some(Arrival::ServerLost { wire }) => {
                self.hung_up.insert(wire);
                self.server_input(ServerInput::WireClosed { wire });
            }
            Some(Arrival::ToClient { client, input }) => self.carry_down(client, input),
            None => {}
        }
    }

    fn carry_up(&mut self, wire: WireId, up: Up) {
        match up {
            Up::Get(query) => {
                let head = wire::head(Method::Get, &query);
                self.server_input(ServerInput::Request { wire, head, body: None });
                self.check_probe_poll(wire);
            }
            Up::Post { query, body, is_announced } => {
                let head = wire::head(Method::Post, &query);
                let now = (!is_announced).then(|| body.clone());
                self.server_input(ServerInput::Request { wire, head, body: now });
                if is_announced {
                    self.send_up(wire, Up::Body(body));
                }
            }
            Up::Body(body) => self.server_input(ServerInput::Body { wire, body }),
            Up::OpenWebSocket(query) => {
                let head = wire::websocket_head(&query);
                let told = self.server_time();
                if self.backend.verify(told, &head) {
                    self.send_down(wire, Down::Opened);
                    self.server_input(ServerInput::WebSocketOpened { wire, head });
                } else {
                    self.net.get_mut(wire).unwrap().server_open = false;
                    self.send_down(wire, Down::Closed);
                }
            }
            Up::Frame(frame) => self.server_input(ServerInput::Frame { wire, frame }),
            Up::Closed => unreachable!("it is reported as lost"),
        }
    }

    fn carry_down(&mut self, client: usize, input: ClientInput) {
        if let ClientInput::Frame { frame, .. } = &input {
            if self.is_lost(frame) {
                return;
            }
            if self.is_repeated(frame) {
                self.client_input(client, input.clone());
            }
        }
        self.client_input(client, input);
    }

    pub fn server_input(&mut self, input: ServerInput<'_>) {
        let told = self.server_time();
        self.backend.input(told, input);
        let key = [0x1a2, self.now, self.tally.steps];
        // Whatever comes at this moment comes before the output is looked at.
        let is_lazy = Rng::keyed(self.plan.seed, &key).chance(self.plan.lazy);
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
        let Some(state) = self.net.get(wire).filter(|state| state.server_open) else {
            return;
        };
        let session = self.engine_sessions.get(&wire);
        let is_probed = self.net.iter().any(|(id, other)| {
            other.server_open
                && self.probes.contains(&id)
                && self.engine_sessions.get(&id) == session
        });
        let is_lone = session.is_some()
            && self.net.iter().all(|(_, other)| {
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

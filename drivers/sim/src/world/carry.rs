//! Carries data from one side to the other.

use socketio_proto::{
    WireId,
    engine::{ClientInput, EngineClientOutput, Method},
    server::ServerInput,
};

use super::{World, clients::Task};
use crate::{
    Application, Data, Rng,
    net::{Arrival, Down, Notice, Transit, Up, WireKind},
    wire,
};

impl<A: Application<D>, D: Data> World<A, D> {
    /// What a client wants to be done on the network.
    pub(super) fn client_wire(&mut self, client: usize, output: EngineClientOutput) {
        match output {
            EngineClientOutput::Get { wire, query } => {
                self.open_wire(client, wire, WireKind::Get, Up::Get(query));
            }
            EngineClientOutput::Post { wire, query, body } => {
                let key = [0xa7, client as u64, wire.0];
                let is_announced = Rng::keyed(self.seed, &key).chance(500);
                let up = Up::Post { query, body, is_announced };
                self.open_wire(client, wire, WireKind::Post, up);
            }
            EngineClientOutput::OpenWebSocket { wire, query } => {
                self.open_wire(client, wire, WireKind::WebSocket, Up::OpenWebSocket(query));
            }
            EngineClientOutput::Send { wire, frame } => {
                if let Some(id) = self.network.find(client, wire) {
                    self.network.send_up(self.now, id, Up::Frame(frame));
                }
            }
            EngineClientOutput::Close { wire } => {
                if let Some(id) = self.network.find(client, wire) {
                    if let Some(state) = self.network.get_mut(id) {
                        state.client_open = false;
                    }
                    self.network.send_up(self.now, id, Up::Closed);
                    self.network.forget_if_unused(id);
                }
            }
            EngineClientOutput::Event(event) => panic!("an event among wires: {event:?}"),
            other => unreachable!("unknown: {other:?}"),
        }
        self.follow_network();
    }

    fn open_wire(&mut self, client: usize, local: WireId, kind: WireKind, up: Up) {
        let node = self.balance(client, &up);
        let id = self.network.open(client, Some(local), kind);
        if let Some(wire) = self.network.get_mut(id) {
            wire.node = node;
        }
        let (until, is_silent) = self.clients[client].unreachable;
        if self.now < until {
            let notice = Notice { client: (!is_silent).then_some(5), server: None };
            self.network.cut(self.now, id, notice);
        } else {
            self.network.send_up(self.now, id, up);
        }
    }

    /// The node that a new wire leads to: for a new connection any, then always the same.
    fn balance(&mut self, client: usize, up: &Up) -> usize {
        let is_new = match up {
            Up::Get(query) | Up::OpenWebSocket(query) => !query.contains("sid="),
            _ => false,
        };
        let place = &mut self.clients[client].place;
        if is_new && self.nodes.len() > 1 {
            place.1 += 1;
            let mut rng = Rng::keyed(self.seed, &[0xba, client as u64, place.1]);
            let nodes = self.nodes.iter().enumerate();
            let open = nodes.filter(|(_, node)| node.is_open(self.now)).map(|(number, _)| number);
            let open: Vec<usize> = open.collect();
            if !open.is_empty() {
                place.0 = rng.pick(&open);
            }
        }
        place.0
    }

    /// Plans what the network has taken.
    pub(super) fn follow_network(&mut self) {
        while let Some((at, transit)) = self.network.poll_planned() {
            self.agenda.plan(at, Task::Transit(transit));
        }
    }

    /// Something arrives, or a cut is noticed. A process that is frozen gets it later.
    pub(super) fn carry(&mut self, transit: Transit) {
        let freezer = match &transit {
            Transit::Up(wire, _) | Transit::ServerNotices(wire) => {
                let node = self.network.get(*wire).map(|wire| wire.node);
                node.map(|node| &mut self.nodes[node].freezer)
            }
            Transit::Down(wire, _) | Transit::ClientNotices(wire) => {
                let client = self.network.get(*wire).map(|wire| wire.client);
                client.map(|client| &mut self.clients[client].freezer)
            }
        };
        if let Some(transit) =
            freezer.map_or(Some(transit.clone()), |it| it.hold(self.now, transit))
        {
            self.arrive(transit);
        }
    }

    /// Gives the process that is not frozen any more what has arrived in the meantime. Returns
    /// whether there was something.
    pub(super) fn thaw(&mut self) -> bool {
        let now = self.now;
        let of_nodes = self.nodes.iter_mut().find_map(|it| it.freezer.release(now));
        let of_clients = || self.clients.iter_mut().find_map(|it| it.freezer.release(now));
        let thawed = of_nodes.or_else(of_clients);
        let is_thawed = thawed.is_some();
        if let Some(transit) = thawed {
            self.arrive(transit);
        }
        is_thawed
    }

    fn arrive(&mut self, transit: Transit) {
        let (Transit::Up(wire, _)
        | Transit::Down(wire, _)
        | Transit::ServerNotices(wire)
        | Transit::ClientNotices(wire)) = transit;
        // The network may forget the wire now.
        let node = self.network.get(wire).map_or(0, |wire| wire.node);
        match self.network.arrive(transit) {
            Some(Arrival::ToServer { wire, up, .. }) => self.carry_up(node, wire, up),
            Some(Arrival::ServerLost { wire }) => {
                self.node_input(node, ServerInput::WireClosed { wire });
            }
            Some(Arrival::ToClient { client, input }) => self.client_input(client, input),
            None => {}
        }
    }

    fn carry_up(&mut self, node: usize, wire: WireId, up: Up) {
        let client = self.network.get(wire).map(|wire| wire.client);
        if let (Up::Get(_) | Up::Post { .. }, Some(client)) = (&up, client) {
            self.clients[client].polled_at = self.now;
        }
        match up {
            Up::Get(query) => {
                let head = wire::head(Method::Get, &query);
                self.node_input(node, ServerInput::Request { wire, head, body: None });
            }
            Up::Post { query, body, is_announced } => {
                let head = wire::head(Method::Post, &query);
                let now = (!is_announced).then(|| body.clone());
                self.node_input(node, ServerInput::Request { wire, head, body: now });
                if is_announced {
                    self.network.send_up(self.now, wire, Up::Body(body));
                    self.follow_network();
                }
            }
            Up::Body(body) => self.node_input(node, ServerInput::Body { wire, body }),
            Up::OpenWebSocket(query) => {
                let head = wire::websocket_head(&query);
                let now = self.now();
                if self.nodes[node].server.verify(now, &head).is_ok() {
                    self.network.send_down(self.now, wire, Down::Opened);
                    self.node_input(node, ServerInput::WebSocketOpened { wire, head });
                } else {
                    self.finish_wire(wire, Down::Closed);
                }
            }
            Up::Frame(frame) => self.node_input(node, ServerInput::Frame { wire, frame }),
            Up::Closed => unreachable!("it is reported as lost"),
        }
    }

    /// The server is done with a wire.
    pub(super) fn finish_wire(&mut self, wire: WireId, last: Down) {
        if let Some(state) = self.network.get_mut(wire) {
            let was_open = std::mem::take(&mut state.server_open);
            assert!(was_open, "{wire:?} was over already");
            self.network.send_down(self.now, wire, last);
        }
        self.follow_network();
    }

    pub(super) fn node_input(&mut self, node: usize, input: ServerInput<'_>) {
        let now = self.now();
        self.nodes[node].server.handle_input(now, input);
        self.drain_server(node);
    }

    pub(super) fn client_input(&mut self, client: usize, input: ClientInput) {
        let now = self.now();
        self.clients[client].model.handle_input(now, input);
        self.drain_client(client);
    }
}

//! The network: HTTP exchanges and WebSockets between clients and the server.
//!
//! A wire keeps its order and has a random delay, so a GET and a POST can overtake each other. A
//! wire that was cut carries nothing any more. Each side learns of the cut after its own delay, or
//! never: then the wire is half-open.

use std::collections::BTreeMap;

use bytes::Bytes;
use socketio_proto::{WireId, engine::Frame};

use crate::dice::Dice;

/// What is on its way to the server.
#[derive(Clone, Debug)]
pub enum Up {
    Get(String),
    /// A POST, and whether its body comes apart from its head.
    Post(String, Bytes, bool),
    Body(Bytes),
    OpenWebSocket(String),
    Frame(Frame),
    Closed,
}

/// What is on its way to a client.
#[derive(Clone, Debug)]
pub enum Down {
    Response(u16, Bytes),
    Opened,
    Frame(Frame),
    /// By the server, on purpose, with this status code.
    ClosedWith(u16),
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireKind {
    Get,
    Post,
    WebSocket,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts about a wire, all independent")]
pub struct Wire {
    pub client: usize,
    /// How the client calls it; none if it is a copy that the network has made.
    pub local: Option<WireId>,
    pub kind: WireKind,
    /// Carries nothing any more.
    pub is_cut: bool,
    /// Whether either side still uses it.
    pub client_open: bool,
    pub server_open: bool,
    /// Whether the server knows of it.
    pub has_arrived: bool,
    /// Whether `3probe` was sent on it.
    pub is_probe: bool,
    /// Tells the Engine.IO session that it belongs to.
    pub session: u64,
    up_at: u64,
    down_at: u64,
    dice: Dice,
}

/// How long things take, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub least: u64,
    pub most: u64,
}

pub struct Net {
    pub wires: BTreeMap<WireId, Wire>,
    names: BTreeMap<(usize, WireId), WireId>,
    next: u64,
    seed: u64,
    /// Wires that each client has opened.
    opened: Vec<u64>,
    latency: Latency,
    /// Until when a client's packets are slow, and by how much.
    pub slow: Vec<(u64, u64)>,
}

impl Net {
    pub fn new(seed: u64, clients: usize, latency: Latency) -> Self {
        Self {
            wires: BTreeMap::new(),
            names: BTreeMap::new(),
            next: 1,
            seed,
            opened: vec![0; clients],
            latency,
            slow: vec![(0, 0); clients],
        }
    }

    /// Names a new wire of a client.
    pub fn open(&mut self, client: usize, local: Option<WireId>, kind: WireKind) -> WireId {
        let id = WireId(self.next);
        self.next += 1;
        let serial = self.opened[client];
        self.opened[client] += 1;
        self.wires.insert(
            id,
            Wire {
                client,
                local,
                kind,
                is_cut: false,
                client_open: local.is_some(),
                server_open: true,
                has_arrived: false,
                is_probe: false,
                session: 0,
                up_at: 0,
                down_at: 0,
                dice: Dice::keyed(self.seed, &[client as u64, serial]),
            },
        );
        if let Some(local) = local {
            self.names.insert((client, local), id);
        }
        id
    }

    pub fn find(&self, client: usize, local: WireId) -> Option<WireId> {
        self.names.get(&(client, local)).copied()
    }

    /// When something that is sent now arrives.
    pub fn arrival(&mut self, wire: WireId, now: u64, is_up: bool) -> u64 {
        let Some(wire) = self.wires.get_mut(&wire) else {
            return now;
        };
        let mut time = wire.dice.range(self.latency.least, self.latency.most);
        let (until, extra) = self.slow[wire.client];
        if now < until {
            time += wire.dice.below(extra + 1);
        }
        let last = if is_up { &mut wire.up_at } else { &mut wire.down_at };
        *last = (*last).max(now + time);
        *last
    }

    /// The client has gone, and does not say so.
    pub fn abandon(&mut self, id: WireId) {
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.client_open = false;
            if let Some(local) = wire.local.take() {
                self.names.remove(&(wire.client, local));
            }
        }
    }

    /// Forgets a wire that both sides are done with.
    pub fn settle(&mut self, id: WireId) {
        let Some(wire) = self.wires.get(&id) else {
            return;
        };
        if !wire.client_open && !wire.server_open {
            // A restarted client starts to number its wires again.
            if let Some(local) = wire.local
                && self.names.get(&(wire.client, local)) == Some(&id)
            {
                self.names.remove(&(wire.client, local));
            }
            self.wires.remove(&id);
        }
    }

    /// The wires of a client that it still uses.
    pub fn of_client(&self, client: usize) -> impl Iterator<Item = (WireId, &Wire)> {
        let wires = self.wires.iter().filter(move |(_, wire)| wire.client == client);
        wires.filter(|(_, wire)| wire.client_open).map(|(id, wire)| (*id, wire))
    }
}

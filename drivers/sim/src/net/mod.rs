//! The network: HTTP exchanges and WebSockets between clients and the server.
//!
//! A wire keeps its order and has a random delay, so a GET and a POST can overtake each other. A
//! wire that was cut carries nothing any more. Each side learns of the cut after its own delay, or
//! never: then the wire is half-open.
//!
//! [`World`](crate::World) uses it. It is public, so that you can write another world: give the
//! network what either side sends, plan each [`Transit`] that it returns, and give it back when it
//! is due.

mod transit;

pub use self::transit::{Arrival, Down, Notice, Transit, Up};

use std::collections::{BTreeMap, VecDeque};

use socketio_proto::WireId;

use crate::Rng;

/// What a wire is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireKind {
    /// A GET, which waits for packets.
    Get,
    /// A POST.
    Post,
    /// A WebSocket.
    WebSocket,
}

/// One HTTP exchange or WebSocket between a client and the server.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts about a wire, all independent")]
pub struct Wire {
    /// The number of the client.
    pub client: usize,
    /// The number of the server that it leads to. 0 unless you set it.
    pub node: usize,
    /// The name that the client uses; `None` if the wire is a copy that the network has made.
    pub local: Option<WireId>,
    /// What it is.
    pub kind: WireKind,
    /// Whether it carries nothing any more.
    pub is_cut: bool,
    /// Whether the client still uses it.
    pub client_open: bool,
    /// Whether the server still uses it.
    pub server_open: bool,
    /// Whether the server knows of it.
    pub has_arrived: bool,
    up_at: u64,
    down_at: u64,
    rng: Rng,
}

/// How long one transmission takes, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// At least.
    pub least: u64,
    /// At most.
    pub most: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { least: 1_000, most: 30_000 }
    }
}

/// The wires between all clients and all servers. All times are in microseconds.
#[derive(Debug)]
pub struct Network {
    wires: BTreeMap<WireId, Wire>,
    names: BTreeMap<(usize, WireId), WireId>,
    next: u64,
    seed: u64,
    latency: Latency,
    clients: Vec<ClientNet>,
    planned: VecDeque<(u64, Transit)>,
}

#[derive(Clone, Debug, Default)]
struct ClientNet {
    /// Wires that the client has opened.
    opened: u64,
    /// Until when its packets are slow, and by how much.
    slow: (u64, u64),
}

impl Network {
    /// Creates a network for this many clients. Delays are drawn from `seed`.
    pub fn new(seed: u64, clients: usize, latency: Latency) -> Self {
        Self {
            wires: BTreeMap::new(),
            names: BTreeMap::new(),
            next: 1,
            seed,
            latency,
            clients: vec![ClientNet::default(); clients],
            planned: VecDeque::new(),
        }
    }

    /// Adds a client and returns its number.
    pub fn add_client(&mut self) -> usize {
        self.clients.push(ClientNet::default());
        self.clients.len() - 1
    }

    /// Opens a new wire of a client and returns its name on the side of the server. `local` is the
    /// name that the client uses.
    pub fn open(&mut self, client: usize, local: Option<WireId>, kind: WireKind) -> WireId {
        let id = WireId(self.next);
        self.next += 1;
        let serial = self.clients[client].opened;
        self.clients[client].opened += 1;
        self.wires.insert(
            id,
            Wire {
                client,
                node: 0,
                local,
                kind,
                is_cut: false,
                client_open: local.is_some(),
                server_open: true,
                has_arrived: false,
                up_at: 0,
                down_at: 0,
                rng: Rng::keyed(self.seed, &[client as u64, serial]),
            },
        );
        if let Some(local) = local {
            self.names.insert((client, local), id);
        }
        id
    }

    /// Makes the packets of a client slower by up to `by` until the time `until`.
    pub fn slow_down(&mut self, client: usize, until: u64, by: u64) {
        self.clients[client].slow = (until, by);
    }

    /// Returns a wire by its name on the side of the server.
    pub fn get(&self, id: WireId) -> Option<&Wire> {
        self.wires.get(&id)
    }

    /// Returns a wire by its name on the side of the server.
    pub fn get_mut(&mut self, id: WireId) -> Option<&mut Wire> {
        self.wires.get_mut(&id)
    }

    /// Returns a wire of a client by the client's name for it.
    pub fn find(&self, client: usize, local: WireId) -> Option<WireId> {
        self.names.get(&(client, local)).copied()
    }

    /// Returns all wires that either side still uses.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (WireId, &Wire)> {
        self.wires.iter().map(|(id, wire)| (*id, wire))
    }

    /// Returns the wires of a client that it still uses.
    pub fn of_client(&self, client: usize) -> impl DoubleEndedIterator<Item = (WireId, &Wire)> {
        self.iter().filter(move |(_, wire)| wire.client == client && wire.client_open)
    }

    /// The process of the client has ended: it uses the wire no more, and does not say so.
    pub fn abandon(&mut self, id: WireId) {
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.client_open = false;
            if let Some(local) = wire.local.take() {
                self.names.remove(&(wire.client, local));
            }
        }
    }

    /// Forgets a wire that neither side uses any more. Call this after you have changed one.
    pub fn forget_if_unused(&mut self, id: WireId) {
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

    /// When something that is sent now arrives.
    fn arrival(&mut self, wire: WireId, now: u64, is_up: bool) -> u64 {
        let Some(wire) = self.wires.get_mut(&wire) else {
            return now;
        };
        let mut time = wire.rng.range(self.latency.least, self.latency.most);
        let (until, extra) = self.clients[wire.client].slow;
        if now < until {
            time += wire.rng.below(extra + 1);
        }
        let last = if is_up { &mut wire.up_at } else { &mut wire.down_at };
        *last = (*last).max(now + time);
        *last
    }
}

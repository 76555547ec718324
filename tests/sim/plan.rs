//! The plan of a run: its faults, sizes and settings, drawn from its seed.

use std::{fmt, time::Duration};

use socketio_proto::{Limits, RecoveryConfig, ReplayOrder, ServerConfig};
use socketio_proto_sim::{Rng, client::Route, net::Latency};

#[derive(Clone, Copy, Debug)]
pub struct ClientPlan {
    /// The model of the official client, or ours.
    pub is_official: bool,
    pub route: Route,
    /// Namespaces that it joins at the start, as bits.
    pub spaces: u8,
}

/// How often each kind of operation is drawn; none of a kind whose weight is zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weights {
    pub emit: u64,
    pub ack: u64,
    pub rooms: u64,
    pub admin: u64,
    pub kick: u64,
    pub client_emit: u64,
    pub client_leave: u64,
    pub take_back: u64,
    pub restart: u64,
    pub forge: u64,
    pub cut: u64,
    pub half_open: u64,
    pub abort: u64,
    pub duplicate: u64,
    pub break_upgrade: u64,
    pub storm: u64,
    pub pause: u64,
    pub slow: u64,
    pub down: u64,
    pub server_close: u64,
    pub jump: u64,
    pub skew: u64,
    pub wait: u64,
}

#[derive(Clone)]
pub struct Plan {
    pub seed: u64,
    /// A hub and links with messages that take up to so long; a `Server` if none.
    pub workers: Option<Duration>,
    pub clients: Vec<ClientPlan>,
    pub spaces: usize,
    /// The one of them that a predicate matches: it is made for its first client, and goes with its
    /// last session.
    pub dynamic: Option<usize>,
    pub config: ServerConfig,
    pub recovery: RecoveryConfig,
    pub limits: Limits,
    pub max_payload: usize,
    pub ping_interval: u64,
    pub ping_timeout: u64,
    pub latency: Latency,
    pub weights: Weights,
    pub operations: usize,
    /// After how many of them, out of a thousand, one of the rarer ones follows.
    pub extras: u64,
    /// Most time between two operations, in milliseconds.
    pub pace: u64,
    /// Out of a thousand: new sockets that join a room at once, CONNECTs that are refused, POSTs
    /// whose body comes apart.
    pub auto_join: u64,
    pub reject: u64,
    pub announce: u64,
    /// Out of a thousand: accepted events that the application fails to handle, inputs after which
    /// the output is left for later.
    pub withdraw: u64,
    pub lazy: u64,
    /// How long the application takes to let somebody in and to answer, and timers are late, at
    /// most, in microseconds.
    pub accept_delay: u64,
    pub answer_delay: u64,
    pub lateness: u64,
    /// No faults: then nothing may be lost and nobody disconnected without being asked to.
    pub is_calm: bool,
    /// Clients come back without a long wait.
    pub reconnection: (u64, u64),
}

impl Plan {
    pub fn draw(seed: u64) -> Self {
        let mut dice = Rng::keyed(seed, &[0x91a4]);
        let is_calm = dice.chance(60);
        let ping_interval = dice.pick(&[300, 1_000, 5_000, 25_000]);
        let ping_timeout = dice.pick(&[250, 800, 4_000, 20_000]);
        let upgrade_timeout = dice.pick(&[500, 2_000, 10_000]);
        let least = dice.pick(&[0, 50, 100, 5_000, 40_000]);
        let most = least + dice.pick(&[0, 100, 2_000, 30_000, 100_000]);
        // A pong may have to wait for another POST; without faults nothing is to come too late.
        let patience = if is_calm { 4_000 } else { 6 * most / 1_000 };
        // An upgrade waits for a POST, a probe and two hubs. If it never ends in time, the client loses
        // each connection, and is right to take its events for undeliverable.
        let upgrade_patience = patience.max(16 * most / 1_000 + 250);
        let (ping_timeout, upgrade_timeout) =
            (ping_timeout.max(patience), upgrade_timeout.max(upgrade_patience));
        let spaces = if dice.chance(300) { 2 } else { 1 };
        let recovery = recovery(&mut dice, is_calm);
        let mut limits = limits(&mut dice, is_calm);
        bound_emissions(seed, is_calm, &mut limits);
        let connect_timeout = dice.pick(&[3_000, 45_000]);
        let close_timeout = dice.pick(&[500, 30_000]);
        let max_payload = dice.pick(&[600, 5_000, 1_000_000]);
        let config = ServerConfig::new()
            .ping_interval(Duration::from_millis(ping_interval))
            .ping_timeout(Duration::from_millis(ping_timeout))
            .upgrade_timeout(Duration::from_millis(upgrade_timeout))
            .connect_timeout(Duration::from_millis(connect_timeout))
            .close_timeout(Duration::from_millis(close_timeout))
            .max_payload(max_payload)
            .limits(limits.clone())
            .recovery(recovery.clone());
        let count = dice.range(1, 5);
        let route = dice.below(4);
        let clients = (0..count).map(|_| client(&mut dice, spaces, route)).collect();
        let delay = dice.pick(&[0, 100, 3_000, 60_000]);
        let is_late = !is_calm && dice.chance(300);
        Self {
            seed,
            workers: dice.chance(400).then(|| Duration::from_micros(dice.pick(&[0, 500, 30_000]))),
            clients,
            spaces,
            dynamic: dynamic(seed, spaces),
            extras: if is_calm { 0 } else { Rng::keyed(seed, &[0xe7a4]).pick(&[0, 30, 120]) },
            config,
            recovery,
            limits,
            max_payload,
            ping_interval,
            ping_timeout,
            latency: Latency { least, most },
            weights: weights(&mut dice, is_calm),
            operations: usize::try_from(dice.range(30, 160)).unwrap(),
            pace: dice.pick(&[5, 60, 400, 3_000]),
            auto_join: dice.pick(&[0, 500, 1_000]),
            reject: if is_calm { 0 } else { dice.pick(&[0, 0, 0, 100]) },
            announce: dice.pick(&[0, 500, 1_000]),
            withdraw: if is_calm { 0 } else { dice.pick(&[0, 0, 100, 400]) },
            lazy: dice.pick(&[0, 300, 900]),
            accept_delay: dice.pick(&[0, 0, 1_000, 200_000]),
            answer_delay: delay,
            lateness: if is_late { dice.pick(&[1_000, 100_000, 2_000_000]) } else { 0 },
            is_calm,
            reconnection: dice.pick(&[(20, 100), (200, 1_000), (1_000, 5_000)]),
        }
    }
}

fn dynamic(seed: u64, spaces: usize) -> Option<usize> {
    let mut dice = Rng::keyed(seed, &[0xd1a3]);
    dice.chance(250).then(|| dice.index(spaces))
}

fn client(dice: &mut Rng, spaces: usize, route: u64) -> ClientPlan {
    let route = match route {
        0 => Route::WebSocket,
        1 => Route::Polling,
        2 => Route::Upgrade,
        _ => dice.pick(&[Route::WebSocket, Route::Polling, Route::Upgrade]),
    };
    let both = (1 << spaces) - 1;
    let spaces = if dice.chance(700) { both } else { 1 };
    ClientPlan { is_official: dice.chance(500), route, spaces }
}

fn recovery(dice: &mut Rng, is_calm: bool) -> RecoveryConfig {
    let mut recovery = RecoveryConfig::default();
    let seconds = dice.pick(&[1, 5, 30, 120]);
    recovery.max_disconnection = Duration::from_secs(seconds);
    recovery.skip_authorization = dice.chance(500);
    recovery.replay_ack_events = dice.chance(300);
    recovery.count_events = dice.chance(500);
    if dice.chance(250) {
        recovery.replay_order = ReplayOrder::BeforeConnect;
    }
    if is_calm {
        return recovery;
    }
    if dice.chance(300) {
        recovery.buffer_packets = dice.pick(&[1, 3, 10, 40]);
    }
    if dice.chance(150) {
        recovery.buffer_bytes = dice.pick(&[400, 2_000, 10_000]);
    }
    if dice.chance(150) {
        recovery.parked_sessions = dice.pick(&[1, 2, 3]);
    }
    if dice.chance(100) {
        recovery.replay_bytes = dice.pick(&[60, 500, 2_000]);
    }
    if dice.chance(150) {
        recovery.memberships = dice.pick(&[1, 2, 5]);
    }
    if dice.chance(200) {
        recovery.claim_burst = 1;
        recovery.claims_per_second = dice.pick(&[1, 5, 50]);
    }
    recovery
}

fn limits(dice: &mut Rng, is_calm: bool) -> Limits {
    let mut limits = Limits::default();
    if is_calm {
        return limits;
    }
    if dice.chance(150) {
        limits.queued_packets = dice.pick(&[3, 10, 30]);
    }
    if dice.chance(150) {
        limits.queued_bytes = dice.pick(&[200, 1_000, 4_000]);
    }
    if dice.chance(100) {
        limits.rooms_per_socket = dice.pick(&[1, 2, 3]);
    }
    if dice.chance(100) {
        limits.pending_acks = dice.pick(&[1, 3]);
    }
    if dice.chance(100) {
        limits.connections = dice.pick(&[7, 10]);
    }
    if dice.chance(100) {
        limits.client_offsets = dice.pick(&[1, 4]);
        limits.client_ack_bytes = dice.pick(&[8, 64]);
    }
    if dice.chance(100) {
        limits.packet_burst = dice.pick(&[20, 60]);
        limits.packets_per_second = dice.pick(&[10, 40]);
    }
    limits
}

/// From a separate random stream, so that the rest of the plan does not change.
fn bound_emissions(seed: u64, is_calm: bool, limits: &mut Limits) {
    let mut dice = Rng::keyed(seed, &[0xb025]);
    if is_calm {
        return;
    }
    if dice.chance(200) {
        limits.queue_burst_packets = dice.pick(&[2, 5, 20]);
    }
    if dice.chance(200) {
        limits.queue_burst_bytes = dice.pick(&[60, 300, 2_000]);
    }
    if dice.chance(100) {
        limits.outgoing_bytes = dice.pick(&[24, 50]);
    }
    if dice.chance(100) {
        limits.packet_burst = 30;
        limits.packets_per_second = 20;
    }
}

fn weights(dice: &mut Rng, is_calm: bool) -> Weights {
    let mut often = |most: u64| if dice.chance(550) { dice.range(1, most) } else { 0 };
    let mut weights = Weights {
        emit: 10 + often(20),
        ack: often(4),
        rooms: often(10),
        admin: often(4),
        client_emit: often(10),
        wait: 1 + often(4),
        ..Weights::default()
    };
    if is_calm {
        return weights;
    }
    weights = Weights {
        kick: often(2),
        client_leave: often(2),
        take_back: often(1),
        restart: often(2),
        forge: often(3),
        cut: 1 + often(12),
        half_open: often(8),
        abort: often(6),
        duplicate: often(3),
        break_upgrade: often(6),
        storm: often(4),
        pause: often(4),
        slow: often(4),
        down: often(3),
        server_close: often(3),
        jump: often(2),
        skew: often(2),
        ..weights
    };
    weights
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.workers {
            Some(delay) => writeln!(f, "hub and links, messages take up to {delay:?}")?,
            None => writeln!(f, "one server")?,
        }
        let (spaces, dynamic) = (self.spaces, self.dynamic);
        writeln!(f, "{spaces} namespaces, dynamic {dynamic:?}, {:?}", self.clients)?;
        writeln!(f, "{:?}", self.config)?;
        let Latency { least, most } = self.latency;
        writeln!(f, "latency {least} to {most} us, timers late by {} us", self.lateness)?;
        write!(f, "accepted after {} us, answered after ", self.accept_delay)?;
        write!(f, "{} us, reconnection {:?} ms", self.answer_delay, self.reconnection)
    }
}

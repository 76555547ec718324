//! Pools on many workers around one hub. Messages between them have delays. Only the order from the
//! hub to one pool, and from one pool to the hub, is kept.
//!
//! A connection has a pool to itself as long as there are numbers for pools, so that its messages
//! overtake those of all others.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use socketio_proto::{
    ConnectionId, Entropy, ServerConfig, Timestamp, WireId,
    engine::RequestHead,
    hub::{Delivery, Hub, HubOutput, Reply, Request},
    pool::{Pool, PoolOutput},
    server::{Admission, ServerInput, ServerOutput, Stats},
};
use socketio_proto_sim::Rng;

use crate::backend::Data;

pub struct Workers {
    hub: Hub<Data>,
    config: Arc<ServerConfig>,
    ids: Rng,
    rng: Rng,
    delay: u64,
    pools: Vec<Worker>,
    opened: usize,
    /// The worker that has each wire.
    wires: BTreeMap<WireId, usize>,
    /// On their way, by the time of their arrival.
    mails: BTreeMap<(Timestamp, u64), (usize, Mail)>,
    next_mail: u64,
    out: VecDeque<ServerOutput<Data>>,
    now: Timestamp,
}

struct Worker {
    pool: Pool<Data>,
    /// When the last message from it reaches the hub, and the last one to it.
    up_at: Timestamp,
    down_at: Timestamp,
}

enum Mail {
    Request(ConnectionId, Request),
    Reply(ConnectionId, Reply),
    Delivery(Delivery),
}

/// As many numbers as there are for pools.
const WORKERS_MAX: usize = 256;

impl Workers {
    pub fn new(
        config: Arc<ServerConfig>,
        entropy: impl Entropy + 'static,
        mut rng: Rng,
        delay: Duration,
    ) -> Self {
        let seed = rng.next();
        let hub = Hub::new(config.clone(), entropy).unwrap();
        let mut workers = Self {
            hub,
            config,
            ids: Rng::keyed(seed, &[1]),
            rng: Rng::keyed(seed, &[2]),
            delay: u64::try_from(delay.as_micros()).unwrap(),
            pools: Vec::new(),
            opened: 0,
            wires: BTreeMap::new(),
            mails: BTreeMap::new(),
            next_mail: 0,
            out: VecDeque::new(),
            now: Timestamp::ZERO,
        };
        workers.add_worker();
        workers
    }

    fn add_worker(&mut self) {
        let number = u8::try_from(self.pools.len()).unwrap();
        let seed = &mut Rng::new(u64::from(number)).entropy();
        let pool = Pool::new(self.config.clone(), number, seed).unwrap();
        self.pools.push(Worker { pool, up_at: self.now, down_at: self.now });
    }

    pub fn hub(&self) -> &Hub<Data> {
        &self.hub
    }

    pub fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    /// A message of the application to the hub.
    pub fn call<T>(&mut self, verb: impl FnOnce(&mut Hub<Data>) -> T) -> T {
        let result = verb(&mut self.hub);
        self.collect_hub();
        result
    }

    /// Whether a request for a WebSocket is legal.
    pub fn verify(&mut self, now: Timestamp, head: &RequestHead<'_>) -> bool {
        self.find(now, head).is_some() || self.pools[0].pool.verify(now, head).is_ok()
    }

    /// The worker that has the connection of a request.
    fn find(&mut self, now: Timestamp, head: &RequestHead<'_>) -> Option<usize> {
        self.pools
            .iter_mut()
            .position(|worker| matches!(worker.pool.verify(now, head), Ok(Admission::Session(_))))
    }

    pub fn input(&mut self, now: Timestamp, input: ServerInput<'_>) {
        self.now = self.now.max(now);
        let (place, is_last) = match &input {
            ServerInput::Request { wire, head, .. } => (Some(self.open_wire(*wire, head)), false),
            ServerInput::WebSocketOpened { wire, head } => {
                (Some(self.open_wire(*wire, &RequestHead { upgrade: true, ..*head })), false)
            }
            ServerInput::Body { wire, .. }
            | ServerInput::Frame { wire, .. }
            | ServerInput::CloseFrame { wire }
            | ServerInput::ControlFrame { wire } => (self.wires.get(wire).copied(), false),
            ServerInput::WireClosed { wire } => (self.wires.remove(wire), true),
            ServerInput::Timeout => return self.timeout(now),
            other => unreachable!("unknown: {other:?}"),
        };
        assert!(place.is_some() || is_last || !matches!(input, ServerInput::Request { .. }));
        if let Some(place) = place {
            let entropy = &mut Rng::new(self.ids.clone().next()).entropy();
            self.pools[place].pool.handle_input(self.now, input, entropy);
            self.collect(place);
        }
    }

    /// Chooses the worker of a wire.
    fn open_wire(&mut self, wire: WireId, head: &RequestHead<'_>) -> usize {
        let place = self.find(self.now, head).unwrap_or_else(|| {
            let is_handshake = self.pools[0].pool.verify(self.now, head).is_ok();
            if is_handshake { self.next_worker() } else { 0 }
        });
        self.wires.insert(wire, place);
        place
    }

    fn next_worker(&mut self) -> usize {
        self.opened += 1;
        self.ids.next();
        let place = self.opened % WORKERS_MAX;
        if place == self.pools.len() {
            self.add_worker();
        }
        place
    }

    pub fn set_paused(&mut self, wire: WireId, is_paused: bool) {
        let Some(place) = self.wires.get(&wire).copied() else {
            return;
        };
        let pool = &mut self.pools[place].pool;
        if is_paused {
            pool.pause(wire);
        } else {
            pool.resume(wire);
        }
        self.collect(place);
    }

    pub fn close_connection(&mut self, now: Timestamp, connection: ConnectionId) {
        self.now = self.now.max(now);
        let place = place_of(connection);
        self.pools[place].pool.close_connection(self.now, connection);
        self.collect(place);
    }

    pub fn shutdown(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        for place in 0..self.pools.len() {
            self.pools[place].pool.shutdown(self.now);
            self.collect(place);
        }
    }

    pub fn timeout(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        let now = self.now;
        while let Some(entry) = self.mails.first_entry().filter(|entry| entry.key().0 <= now) {
            let (place, mail) = entry.remove();
            self.deliver(place, mail);
        }
        if self.hub.deadline().is_some_and(|due| due <= now) {
            self.hub.handle_timeout(now);
            self.collect_hub();
            let next = self.hub.deadline();
            assert!(next.is_none_or(|next| next > now), "the hub does not move on: {next:?}");
        }
        for place in 0..self.pools.len() {
            let pool = &mut self.pools[place].pool;
            if pool.deadline().is_some_and(|due| due <= now) {
                pool.handle_input(now, ServerInput::Timeout, &mut Rng::new(0).entropy());
                self.collect(place);
            }
            let next = self.pools[place].pool.deadline();
            assert!(next.is_none_or(|next| next > now), "a pool does not move on: {next:?}");
        }
    }

    pub fn deadline(&self) -> Option<Timestamp> {
        if !self.out.is_empty() {
            return Some(self.now);
        }
        let pools = self.pools.iter().filter_map(|worker| worker.pool.deadline());
        let mail = self.mails.first_key_value().map(|((at, _), _)| *at);
        pools.chain(self.hub.deadline()).chain(mail).min()
    }

    pub fn poll(&mut self) -> Option<ServerOutput<Data>> {
        self.out.pop_front()
    }

    pub fn stats(&self) -> Stats {
        let mut stats = self.hub.stats();
        stats.connections = self.pools.iter().map(|worker| worker.pool.connections()).sum();
        stats
    }

    fn deliver(&mut self, place: usize, mail: Mail) {
        let now = self.now;
        match mail {
            Mail::Request(from, request) => {
                self.hub.handle_request(now, from, request);
                return self.collect_hub();
            }
            Mail::Reply(to, reply) => self.pools[place].pool.handle_reply(now, to, reply),
            Mail::Delivery(delivery) => {
                self.pools[place].pool.deliver(now, &delivery);
            }
        }
        self.collect(place);
    }

    /// Takes everything that a pool wants.
    fn collect(&mut self, place: usize) {
        loop {
            let pool = &mut self.pools[place].pool;
            let due = pool.deadline();
            let Some(output) = pool.poll_output() else {
                return;
            };
            assert!(due.is_some_and(|due| due <= self.now), "output is due at once: {due:?}");
            let output = match output {
                PoolOutput::Request { from, request } => {
                    self.post(place, Mail::Request(from, request));
                    continue;
                }
                PoolOutput::Respond { wire, response } => {
                    self.wires.remove(&wire);
                    ServerOutput::Respond { wire, response }
                }
                PoolOutput::Close { wire, code } => {
                    self.wires.remove(&wire);
                    ServerOutput::Close { wire, code }
                }
                PoolOutput::Send { wire, frame } => ServerOutput::Send { wire, frame },
                PoolOutput::Event(event) => ServerOutput::Event(event),
                other => panic!("unknown: {other:?}"),
            };
            self.out.push_back(output);
        }
    }

    fn collect_hub(&mut self) {
        while let Some(output) = self.hub.poll_output() {
            match output {
                HubOutput::Reply { to, reply } => self.post(place_of(to), Mail::Reply(to, reply)),
                HubOutput::Deliver(delivery) => {
                    let places = delivery.recipients().iter().map(|to| place_of(*to));
                    let mut places: Vec<usize> = places.collect();
                    places.sort_unstable();
                    places.dedup();
                    for place in places {
                        self.post(place, Mail::Delivery(delivery.clone()));
                    }
                }
                HubOutput::Event(event) => self.out.push_back(ServerOutput::Event(event)),
                other => panic!("unknown: {other:?}"),
            }
        }
    }

    fn post(&mut self, place: usize, mail: Mail) {
        let delay = Duration::from_micros(self.rng.below(self.delay + 1));
        let worker = &mut self.pools[place];
        let last = match mail {
            Mail::Request(..) => &mut worker.up_at,
            Mail::Reply(..) | Mail::Delivery(_) => &mut worker.down_at,
        };
        let at = self.now.saturating_add(delay).max(*last);
        *last = at;
        self.mails.insert((at, self.next_mail), (place, mail));
        self.next_mail += 1;
    }
}

fn place_of(connection: ConnectionId) -> usize {
    usize::from(Pool::<Data>::number_of(connection))
}

//! The world of a run: the server, the clients, the network, the application, the time. Everything
//! runs on one thread, one step at a time, and all random values come from the seed.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use socketio_proto::{
    AckId, ConnectionId, SocketKey, Timestamp, WireId,
    hub::{AckToken, ConnectRequest},
    socket::{Args, NamespaceName},
};
use socketio_proto_sim::{
    Agenda, Rng,
    client::AckToken as ClientAckToken,
    net::{Network, Transit},
};

use crate::{
    backend::Backend,
    log::Rules,
    model::{Claim, Model, Number},
    op::SPACES,
    peer::Peer,
    plan::Plan,
    tally::Tally,
    transcript::Transcript,
    uplink::Uplink,
};

/// Timers that are no later than that are as good as punctual to the server.
const TIMER_SLACK: Duration = Duration::from_millis(2);

pub struct World {
    pub plan: Plan,
    pub model: Model,
    pub uplink: Uplink,
    pub backend: Backend,
    /// What the server has drawn, where that is 32 bits.
    pub drawn: Drawn,
    /// Which of these was the first epoch of a dynamic namespace, and which one that has now, by
    /// its number.
    pub first_dynamic: usize,
    pub dynamic: Option<usize>,
    pub restarts: u64,
    pub net: Network,
    /// WebSockets on which `3probe` was sent.
    pub probes: BTreeSet<WireId>,
    /// Tells the Engine.IO session that each wire belongs to.
    pub engine_sessions: BTreeMap<WireId, u64>,
    pub peers: Vec<Peer>,
    pub clients: Vec<ClientState>,
    /// What is to happen, by its time.
    agenda: Agenda<Task>,
    /// Microseconds.
    pub now: u64,
    /// The latest moment that the server was told.
    pub server_now: Timestamp,
    /// Until when the clock of the server is behind, and by how much.
    pub skew: (u64, u64),
    /// The most that it has been behind, in microseconds.
    pub most_behind: u64,
    /// What was presented with each CONNECT, by the serial number among its credentials.
    pub claims: BTreeMap<u64, Claim>,
    pub connections: BTreeMap<ConnectionId, Connection>,
    /// The connection that a session has just left for another one, or for the same.
    pub left: Option<ConnectionId>,
    /// The most claims that have waited at once since the output was last taken.
    pub claims_waiting: usize,
    /// Wires that the server was told are over.
    pub hung_up: BTreeSet<WireId>,
    /// The client that sends the request that is taken in.
    pub sender: Option<usize>,
    pub acks: BTreeMap<AckId, Vec<Number>>,
    pub are_faults_on: bool,
    /// A handler of the application runs: the output is taken when it is through.
    pub is_in_handler: bool,
    pub tally: Tally,
    pub transcript: Transcript,
    /// What happened, in words, if somebody wants to read it.
    pub story: Option<Vec<String>>,
    /// Deliveries to clients that are tampered with, for the test that this is noticed.
    pub sabotage: Option<Sabotage>,
    stuck: (u64, u32),
}

/// A deliberate fault behind the back of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The event of this number is lost between the network and a client.
    Drop(u64),
    /// It comes twice.
    Duplicate(u64),
}

#[derive(Clone, Debug)]
pub struct Connection {
    pub client: usize,
    pub is_open: bool,
    /// A session has moved from this connection to another one, so the server closes it.
    pub is_left: bool,
}

/// What the world knows of a client.
#[derive(Debug, Default)]
pub struct ClientState {
    /// The session that it is or was in, by namespace.
    pub views: [Option<SocketKey>; 2],
    /// How many connections it has begun, and on which one its latest claim was made, by namespace.
    pub links: u64,
    pub latest: [u64; 2],
    /// All sessions that it has had, by namespace.
    pub keys: [Vec<SocketKey>; 2],
    /// Until when new wires fail, and whether the failures are silent.
    pub down: (u64, bool),
    pub duplicates_next: bool,
    /// The network has sent something twice that must not be: repetitions and violations have a
    /// reason.
    pub is_excused: bool,
    /// Numbers that the official client takes twice (H24).
    pub repeats: Vec<Number>,
    /// What it knew when it wrote its state down, by namespace.
    pub saved: [Option<View>; 2],
    /// Whether it has gone on from a state older than its last one.
    pub is_older: bool,
}

/// What a client knows of its session.
#[derive(Clone, Debug)]
pub struct View {
    pub key: SocketKey,
    pub due: VecDeque<Number>,
    /// How many emissions were addressed to the session by then.
    pub logged: usize,
}

pub enum Task {
    Transit(Transit),
    Resume(WireId),
    ResumeClient(usize, WireId),
    Decide(ConnectRequest, u64),
    Answer(AckToken, usize),
    ClientAnswer(usize, ClientAckToken, Number),
    Connect(usize, usize),
    Join(SocketKey),
    /// A stranger that does not read takes its next step.
    NonReader(WireId, u64),
}

/// The clock does not begin at zero, so that there is something before it.
const START: u64 = 1_000_000_000;

impl World {
    pub fn new(plan: Plan) -> Self {
        let drawn = Drawn::default();
        let (backend, epochs) = start(&plan, 0, &drawn);
        let names = SPACES[..plan.spaces].iter().map(|name| NamespaceName::new(name).unwrap());
        let spaces: Vec<(NamespaceName, u64)> = names.zip(epochs).collect();
        let millis = Duration::from_millis(plan.ping_interval + plan.ping_timeout);
        let rules = Rules {
            recovery: plan.recovery.clone(),
            age: plan.recovery.max_disconnection + millis,
        };
        let count = plan.clients.len();
        let first_dynamic = drawn.lock().unwrap().len();
        let mut world = Self {
            model: Model::new(rules, spaces.into_iter()),
            uplink: Uplink::default(),
            backend,
            drawn,
            first_dynamic,
            dynamic: None,
            restarts: 0,
            net: Network::new(plan.seed, count, plan.latency),
            probes: BTreeSet::new(),
            engine_sessions: BTreeMap::new(),
            peers: (0..count).map(|index| peer(&plan, index)).collect(),
            clients: (0..count).map(|_| ClientState::default()).collect(),
            agenda: Agenda::default(),
            now: START,
            server_now: Timestamp::ZERO,
            skew: (0, 0),
            most_behind: 0,
            claims: BTreeMap::new(),
            connections: BTreeMap::new(),
            left: None,
            claims_waiting: 0,
            hung_up: BTreeSet::new(),
            sender: None,
            acks: BTreeMap::new(),
            are_faults_on: !plan.is_calm,
            is_in_handler: false,
            tally: Tally { runs: 1, ..Tally::default() },
            transcript: Transcript::new(),
            story: None,
            sabotage: None,
            stuck: (0, 0),
            plan,
        };
        for client in 0..count {
            world.connect_all(client);
        }
        world
    }

    /// Lets a client join what it is to be in.
    pub fn connect_all(&mut self, client: usize) {
        let now = self.time();
        for space in 0..self.plan.spaces {
            if self.plan.clients[client].spaces & (1 << space) != 0 {
                self.peers[client].connect(now, space);
            }
        }
        self.drain_client(client);
    }

    pub fn time(&self) -> Timestamp {
        Timestamp::from_micros(self.now)
    }

    /// What the clock of the server says, which may be behind. To be told to the server at once.
    pub fn server_time(&mut self) -> Timestamp {
        let back = if self.now < self.skew.0 { self.skew.1 } else { 0 };
        let told = Timestamp::from_micros(self.now - back);
        let late = self.backend.deadline().map(|due| told.saturating_since(due));
        if late.is_some_and(|late| late > TIMER_SLACK) {
            // Its timers are late, the clock has jumped, or it did not run for a while.
            let grace = Duration::from_millis(self.plan.ping_timeout);
            self.model.in_doubt_until = told.saturating_add(grace);
        }
        self.server_now = self.server_now.max(told);
        self.backend.advance(told);
        // What the server does now may end claims that it has waited for until now.
        self.claims_waiting = self.claims_waiting.max(self.backend.stats().connects_waiting);
        // A hub and its links each have their own idea of the latest moment.
        if self.plan.workers.is_some() { self.server_now } else { told }
    }

    pub fn plan_task(&mut self, at: u64, task: Task) {
        self.agenda.plan(at, task);
    }

    /// Plans what the network has taken.
    pub fn follow_network(&mut self) {
        while let Some((at, transit)) = self.net.poll_planned() {
            self.agenda.plan(at, Task::Transit(transit));
        }
    }

    pub fn tell(&mut self, words: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            let micros = self.now - START;
            let (millis, rest) = (micros / 1_000, micros % 1_000);
            story.push(format!("      {millis:>8}.{rest:03} ms  {}", words()));
        }
    }

    /// Lets time pass, and everything happen that is due on the way.
    pub fn run_for(&mut self, micros: u64) {
        let end = self.now + micros;
        self.run_until(end, |_| false);
        self.now = self.now.max(end);
    }

    /// The same until something is the case.
    pub fn run_until(&mut self, end: u64, is_done: impl Fn(&Self) -> bool) -> bool {
        loop {
            let Some(at) = self.next_due().filter(|at| *at <= end) else {
                return is_done(self);
            };
            self.now = self.now.max(at);
            self.step();
            if is_done(self) {
                return true;
            }
        }
    }

    fn next_due(&self) -> Option<u64> {
        let agenda = self.agenda.next_due();
        let clients = (0..self.peers.len()).filter_map(|client| self.client_due(client));
        clients.chain(agenda).chain(self.server_due()).min()
    }

    fn client_due(&self, client: usize) -> Option<u64> {
        let deadline = self.peers[client].deadline()?.as_micros();
        Some(deadline + self.lateness(deadline))
    }

    pub fn server_due(&self) -> Option<u64> {
        let deadline = self.backend.deadline()?;
        if deadline <= self.server_now {
            return Some(self.now);
        }
        let deadline = deadline.as_micros();
        let due = deadline + self.lateness(deadline);
        // A clock that is behind gets there later, at the latest when it is set right.
        Some(if due < self.skew.0 { (due + self.skew.1).min(self.skew.0) } else { due })
    }

    fn lateness(&self, deadline: u64) -> u64 {
        if !self.are_faults_on || self.plan.lateness == 0 {
            return 0;
        }
        Rng::keyed(deadline, &[self.plan.seed]).below(self.plan.lateness + 1)
    }

    /// Does the next thing that is due.
    fn step(&mut self) {
        self.tally.steps += 1;
        self.stuck =
            if self.stuck.0 == self.now { (self.now, self.stuck.1 + 1) } else { (self.now, 0) };
        assert!(self.stuck.1 < 20_000, "time does not move on");
        if let Some(task) = self.agenda.take_due(self.now) {
            self.perform(task);
        } else if self.server_due().is_some_and(|due| due <= self.now) {
            self.fire_server();
        } else if let Some(client) =
            (0..self.peers.len()).find(|it| self.client_due(*it).is_some_and(|due| due <= self.now))
        {
            self.fire_client(client);
        }
    }

    fn fire_server(&mut self) {
        let told = self.server_time();
        self.backend.timeout(told);
        self.drain_server();
        let next = self.backend.deadline();
        // Workers see to it themselves; their messages may be due at once.
        let is_later = next.is_none_or(|next| next > self.server_now);
        assert!(
            is_later || self.plan.workers.is_some(),
            "the server is due again: {next:?} at {:?}",
            self.server_now
        );
        self.check_expiries();
    }

    fn fire_client(&mut self, client: usize) {
        let now = self.time();
        self.peers[client].input(now, socketio_proto::engine::ClientInput::Timeout);
        self.drain_client(client);
        let next = self.peers[client].deadline();
        assert!(next.is_none_or(|next| next > now), "client {client} is due again: {next:?}");
    }

    fn perform(&mut self, task: Task) {
        if matches!(task, Task::Decide(..) | Task::Answer(..) | Task::Join(_)) {
            self.drain_server();
        }
        match task {
            Task::Transit(transit) => self.carry(transit),
            Task::Resume(wire) => self.resume(wire),
            Task::ResumeClient(client, wire) => {
                let now = self.time();
                self.peers[client].set_paused(now, wire, false);
                self.drain_client(client);
            }
            Task::Decide(request, serial) => self.decide(request, serial),
            Task::Answer(token, number) => self.answer(token, number),
            Task::ClientAnswer(client, token, number) => {
                let now = self.time();
                self.peers[client].ack(now, token, &Args::new(&(number,)).unwrap());
                self.drain_client(client);
            }
            Task::NonReader(wire, waited) => self.go_on_not_reading(wire, waited),
            Task::Join(socket) => {
                self.join(socket, 0);
                self.drain_server();
            }
            Task::Connect(client, space) => {
                let now = self.time();
                self.peers[client].connect(now, space);
                self.drain_client(client);
            }
        }
    }

    fn resume(&mut self, wire: WireId) {
        let now = self.server_time();
        self.backend.resume(now, wire);
        self.drain_server();
    }

    /// Forgets what would happen at the server, which is gone.
    pub fn drop_server_tasks(&mut self) {
        self.agenda.retain(|task| {
            !matches!(
                task,
                Task::Transit(Transit::ServerNotices(_))
                    | Task::Decide(..)
                    | Task::Answer(..)
                    | Task::Join(_)
                    | Task::Resume(_)
                    | Task::NonReader(..)
            )
        });
    }

    /// Forgets what would happen to the clients, which are gone.
    pub fn drop_client_tasks(&mut self) {
        self.agenda.retain(|task| {
            matches!(
                task,
                Task::Transit(Transit::ServerNotices(_))
                    | Task::Decide(..)
                    | Task::Answer(..)
                    | Task::Join(_)
            )
        });
    }

    pub fn next_serial_base(client: usize) -> u64 {
        client as u64 * 1_000_000
    }
}

/// The random 32-bit numbers that a server has drawn: epochs and their increments.
pub type Drawn = Arc<Mutex<Vec<u32>>>;

/// Starts a server. Tells the epochs of its namespaces' logs.
pub fn start(plan: &Plan, restarts: u64, drawn: &Drawn) -> (Backend, Vec<u64>) {
    let workers = plan.workers.map(|delay| (delay, Rng::keyed(plan.seed, &[0x3a1])));
    let mut ids = Rng::keyed(plan.seed, &[0x1d5 + (restarts << 16)]).entropy();
    let noted = drawn.clone();
    let entropy = move |dest: &mut [u8]| {
        ids(dest);
        if let Ok(word) = <[u8; 4]>::try_from(&*dest) {
            noted.lock().unwrap().push(u32::from_le_bytes(word));
        }
    };
    let mut backend = Backend::new(plan.config.clone(), entropy, workers);
    let epochs = SPACES[..plan.spaces].iter().enumerate().map(|(space, name)| {
        if plan.dynamic == Some(space) {
            backend.add_dynamic_namespace(name);
            return 0;
        }
        // The last thing that a namespace draws is the epoch of its log.
        backend.add_namespace(name);
        u64::from(*drawn.lock().unwrap().last().unwrap())
    });
    let epochs = epochs.collect();
    (backend, epochs)
}

fn peer(plan: &Plan, client: usize) -> Peer {
    let rng = Rng::keyed(plan.seed, &[0xc11e, client as u64]);
    let serial = World::next_serial_base(client);
    let state = plan.clients[client];
    Peer::new(state.is_official, state.route, plan.reconnection, rng, serial)
}

//! The world of a run: a server with the application, clients, the network between them, and the
//! time.

mod carry;
mod clients;
mod failures;
mod freezer;
mod promise;
mod server;
mod settle;
mod time;
mod trace;
mod uplink;

pub(crate) use self::trace::Trace;

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use socketio_proto::{
    ServerConfig, SocketKey, Timestamp,
    recovery::RecoveryOutcome,
    server::Server,
    socket::{Args, Event, NamespaceName},
};

use self::{
    clients::{Client, Task},
    freezer::Freezer,
    promise::{Promise, Records},
    uplink::Uplink,
};
use crate::{
    Agenda, Application, Data, Rng,
    client::{ClientOptions, Delivery},
    net::{Latency, Network},
};

/// A server with an application, clients, and a network between them, in virtual time.
///
/// The world checks the promise of recovery by itself: each client receives exactly the recoverable
/// events that were addressed to its session, each once and in order, or it gets a new session. It
/// also checks that no event of a client arrives twice or out of order, that each side can read the
/// other, and, in [`settle`](Self::settle), that everybody comes back. A broken promise is a panic
/// with the last lines of the [`trace`](Self::trace).
///
/// The same seed and the same calls give the same world, byte for byte.
///
/// ```
/// use std::time::Duration;
///
/// use socketio_proto::server::{ServerEvent, Server};
/// use socketio_proto::socket::Event;
/// use socketio_proto::{RecoveryConfig, ServerConfig, Timestamp};
/// use socketio_proto_sim::{Fault, World, client::Delivery, net::Notice};
///
/// fn echo(server: &mut Server, now: Timestamp, event: ServerEvent<()>) {
///     match event {
///         ServerEvent::ConnectRequested { request, .. } => {
///             server.at(now).accept(request);
///         }
///         ServerEvent::Received { event, .. } => {
///             server.at(now).broadcast("/", &Default::default(), &event).unwrap();
///         }
///         _ => {}
///     }
/// }
///
/// let config = ServerConfig::new().recovery(RecoveryConfig::default());
/// let mut world = World::new(7, config, || echo);
/// let (alice, bob) = (world.add_client(&["/"]), world.add_client(&["/"]));
/// world.settle();
/// // Bob's network fails, and the server does not notice it.
/// world.fail(&Fault::Cut { client: bob, notice: Notice { client: Some(0), server: None } });
/// world.emit(alice, "/", &Event::new("hello", &("bob",)).unwrap(), Delivery::Plain);
/// world.settle();
/// let hello = world.received(bob).last().unwrap();
/// assert_eq!(hello.event.parse::<(String,)>().unwrap().0, "bob");
/// ```
pub struct World<A: Application<D>, D: Data = ()> {
    seed: u64,
    config: ServerConfig,
    make: Rc<dyn Fn() -> A>,
    server: Server<D>,
    application: A,
    /// How many processes of the server there have been before.
    restarts: u64,
    network: Network,
    clients: Vec<Client>,
    agenda: Agenda<Task>,
    /// Microseconds.
    now: u64,
    /// What waits for the process of the server.
    freezer: Freezer,
    records: Records,
    /// The socket of each session, by its public id.
    sockets: BTreeMap<String, SocketKey>,
    promise: Promise,
    uplink: Uplink,
    trace: Trace,
    stuck: (u64, u32),
}

/// An event that a client has received.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedEvent {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The event as the application emitted it, without an offset.
    pub event: Event,
    /// When it was received.
    pub at: Timestamp,
}

/// A session that a client has had.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The public id.
    pub id: String,
    /// Whether it was recovered with this CONNECT, and if not, why.
    pub outcome: Option<RecoveryOutcome>,
}

impl<A: Application<D>, D: Data> World<A, D> {
    /// Creates a world with a server and no clients. `make` creates the application, again after
    /// each restart of the server. All random values come from `seed`.
    ///
    /// # Panics
    ///
    /// If the configuration is not valid.
    pub fn new(seed: u64, config: ServerConfig, make: impl Fn() -> A + 'static) -> Self {
        let mut rng = Rng::keyed(seed, &[0x3d]);
        let least = rng.pick(&[0, 50, 1_000, 20_000]);
        let latency = Latency { least, most: least + rng.pick(&[0, 500, 10_000, 60_000]) };
        let (records, make): (Records, Rc<dyn Fn() -> A>) = (Records::default(), Rc::new(make));
        let mut application = make();
        let server =
            server::start(&config, &mut application, Rng::keyed(seed, &[0x5e, 0]), &records);
        Self {
            seed,
            config,
            make,
            server,
            application,
            restarts: 0,
            network: Network::new(seed, 0, latency),
            clients: Vec::new(),
            agenda: Agenda::default(),
            now: 0,
            freezer: Freezer::default(),
            records,
            sockets: BTreeMap::new(),
            promise: Promise::default(),
            uplink: Uplink::default(),
            trace: Trace::default(),
            stuck: (0, 0),
        }
    }

    /// Sets how long transmissions take. By default this is drawn from the seed.
    ///
    /// # Panics
    ///
    /// If the world has clients already.
    #[must_use]
    pub fn latency(mut self, latency: Latency) -> Self {
        assert!(self.clients.is_empty(), "before the first client");
        self.network = Network::new(self.seed, 0, latency);
        self
    }

    /// Adds a client that joins these namespaces, and returns its number. It is an official client
    /// or one of `socketio-proto`, with transports that are drawn from the seed.
    pub fn add_client(&mut self, namespaces: &[&str]) -> usize {
        let mut rng = Rng::keyed(self.seed, &[0xc1, self.clients.len() as u64]);
        let is_official = rng.chance(500);
        let options = ClientOptions { route: rng.pick(&clients::ROUTES), ..Default::default() };
        self.add_client_with(is_official, options, namespaces)
    }

    /// Adds an official client or one of `socketio-proto`, with options of your choice.
    pub fn add_client_with(
        &mut self,
        is_official: bool,
        options: ClientOptions,
        namespaces: &[&str],
    ) -> usize {
        let client = self.network.add_client();
        let rng = Rng::keyed(self.seed, &[0xc2, client as u64]);
        self.clients.push(Client::new(is_official, options, rng, client));
        for namespace in namespaces {
            self.join(client, namespace);
        }
        client
    }

    /// Lets a client join a namespace.
    pub fn join(&mut self, client: usize, namespace: &str) {
        self.tell(|| format!("client {client} joins {namespace}"));
        let now = self.now();
        self.clients[client].join(now, namespace);
        self.drain_client(client);
    }

    /// Lets a client leave a namespace.
    pub fn leave(&mut self, client: usize, namespace: &str) {
        // A manager that has no other socket does not wait for the end of its last connection,
        // which the model of the official client does not know.
        if self.clients[client].model.is_connected(namespace) {
            self.tell(|| format!("client {client} leaves {namespace}"));
            let now = self.now();
            self.clients[client].model.disconnect(now, namespace);
            self.drain_client(client);
        }
    }

    /// Lets a client emit an event. Returns false if the client does not accept it, for example a
    /// volatile event while it is not connected.
    pub fn emit(
        &mut self,
        client: usize,
        namespace: &str,
        event: &Event,
        delivery: Delivery,
    ) -> bool {
        self.tell(|| format!("client {client} emits {event:?}"));
        let tag = self.uplink.send(client, namespace, event, delivery);
        let now = self.now();
        let is_taken = self.clients[client].model.emit(now, namespace, event, delivery, tag);
        self.drain_client(client);
        is_taken
    }

    /// Returns the number of clients.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Whether a client considers itself connected to a namespace.
    pub fn is_connected(&self, client: usize, namespace: &str) -> bool {
        self.clients[client].model.is_connected(namespace)
    }

    /// Returns what a client has received, in order.
    pub fn received(&self, client: usize) -> &[ReceivedEvent] {
        &self.clients[client].received
    }

    /// Returns the events of a client that were acknowledged, with their answers.
    pub fn answers(&self, client: usize) -> &[(Event, Args)] {
        &self.clients[client].answers
    }

    /// Returns the sessions of a client in the order in which it learned of them. A session that was
    /// recovered has one more entry for each recovery.
    pub fn sessions(&self, client: usize) -> &[SessionInfo] {
        &self.clients[client].sessions
    }

    /// Returns the server.
    pub fn server(&self) -> &Server<D> {
        &self.server
    }

    /// Returns the application.
    pub fn application(&self) -> &A {
        &self.application
    }

    /// Lets the application do something by itself, for example because an HTTP request of another
    /// kind has arrived.
    pub fn call<T>(&mut self, f: impl FnOnce(&mut A, &mut Server<D>, Timestamp) -> T) -> T {
        let now = self.now();
        let result = f(&mut self.application, &mut self.server, now);
        self.drain_server();
        result
    }

    /// Returns the present time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now)
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.run_until(end, |_| false);
        self.now = self.now.max(end);
    }

    /// Returns the latest lines of what has happened, one thing per line.
    pub fn trace(&self) -> String {
        self.trace.lines().join("\n")
    }

    /// Writes what happens from now on into this trace.
    pub(crate) fn traced(mut self, trace: Trace) -> Self {
        self.trace = trace;
        self
    }

    fn tell(&self, words: impl FnOnce() -> String) {
        self.trace.note(self.now, &words());
    }
}

/// Breaks off because a promise is broken.
fn hold<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|problem| panic!("{problem}"))
}

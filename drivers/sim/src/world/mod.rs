//! The world of a run: a server with the application, clients, the network between them, and the
//! time.

mod carry;
mod clients;
mod engine;
mod failures;
mod freezer;
mod links;
mod nodes;
mod places;
mod promise;
mod server;
mod settle;
mod time;
mod trace;
mod uplink;

pub(crate) use self::trace::Trace;

use std::{rc::Rc, time::Duration};

use socketio_proto::{
    ServerConfig, SocketKey, Timestamp,
    recovery::RecoveryOutcome,
    server::Server,
    socket::{Args, Event, NamespaceName},
};

use self::{
    clients::{Client, Task},
    links::Links,
    nodes::{Node, Setup},
    places::Places,
    promise::Promise,
    uplink::Uplink,
};
use crate::{
    Agenda, Application, Cluster, Data, Rng,
    client::{ClientOptions, Delivery},
    net::{Latency, Network},
    script::Moment,
};

/// A server with an application or a [cluster](Self::clustered) of them, clients, and a network between them, in
/// virtual time.
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
    cluster: Option<Cluster>,
    nodes: Vec<Node<A, D>>,
    /// What connects the nodes.
    engine: Option<Links>,
    network: Network,
    clients: Vec<Client>,
    agenda: Agenda<Task>,
    /// Microseconds.
    now: u64,
    places: Places<SocketKey>,
    promise: Promise,
    uplink: Uplink,
    crashes: Vec<Crash>,
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

/// A node has crashed at a command to its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Crash {
    /// The kind of the command: the name of the variant of
    /// [`ClusterOutput`](socketio_proto::cluster::ClusterOutput).
    pub command: &'static str,
    /// When it has crashed.
    pub moment: Moment,
}

impl<A: Application<D>, D: Data> World<A, D> {
    /// Creates a world with a server and no clients. `make` creates the application, again after
    /// each restart of the server. All random values come from `seed`.
    ///
    /// # Panics
    ///
    /// If the configuration is not valid.
    pub fn new(seed: u64, config: ServerConfig, make: impl Fn() -> A + 'static) -> Self {
        Self::with_nodes(seed, config, None, make)
    }

    /// Creates a world with a cluster and no clients. Each connection of a client leads to a node
    /// that is drawn from the seed, as behind a balancer with sticky sessions. `make` creates the
    /// application of a node, again after each restart.
    ///
    /// ```
    /// use socketio_proto::server::{Server, ServerEvent};
    /// use socketio_proto::socket::Event;
    /// use socketio_proto::{RecoveryConfig, ServerConfig, Timestamp};
    /// use socketio_proto_sim::{Cluster, Fault, Restart, World};
    ///
    /// fn accept(server: &mut Server, now: Timestamp, event: ServerEvent<()>) {
    ///     if let ServerEvent::ConnectRequested { request, .. } = event {
    ///         server.at(now).accept(request);
    ///     }
    /// }
    ///
    /// let config = ServerConfig::new().recovery(RecoveryConfig::default());
    /// let mut world = World::clustered(7, config, Cluster::new(2), || accept);
    /// let client = world.add_client(&["/"]);
    /// world.settle();
    /// // The process that has the client hands its session over, while the other one emits.
    /// let node = world.node_of(client).unwrap();
    /// world.fail(&Fault::Restart { node, how: Restart::Graceful, down_ms: 60_000 });
    /// world.call_at(1 - node, |_, server, now| server.at(now).all().emit("missed", &()).unwrap());
    /// world.settle();
    /// assert_eq!(world.received(client)[0].event.name(), "missed");
    /// assert!(world.sessions(client)[1].outcome.unwrap().is_recovered());
    /// ```
    ///
    /// # Panics
    ///
    /// If the configuration is not valid.
    pub fn clustered(
        seed: u64,
        config: ServerConfig,
        cluster: Cluster,
        make: impl Fn() -> A + 'static,
    ) -> Self {
        Self::with_nodes(seed, config, Some(cluster), make)
    }

    pub(crate) fn with_nodes(
        seed: u64,
        config: ServerConfig,
        cluster: Option<Cluster>,
        make: impl Fn() -> A + 'static,
    ) -> Self {
        let mut rng = Rng::keyed(seed, &[0x3d]);
        let least = rng.pick(&[0, 50, 1_000, 20_000]);
        let latency = Latency { least, most: least + rng.pick(&[0, 500, 10_000, 60_000]) };
        let make: Rc<dyn Fn() -> A> = Rc::new(make);
        let count = cluster.as_ref().map_or(1, |cluster| cluster.nodes);
        let setup = Setup { seed, config: &config, cluster: cluster.as_ref() };
        let nodes = (0..count).map(|number| Node::start(&setup, number, 0, make()));
        let nodes: Vec<Node<A, D>> = nodes.collect();
        let is_durable = nodes.iter().all(|node| node.writes_ahead);
        let layout = cluster.as_ref().map(nodes::layout);
        let promise = layout.map(|layout| Promise::of_cluster(layout, is_durable));
        let mut world = Self {
            seed,
            config,
            make,
            nodes,
            engine: cluster.as_ref().map(|cluster| Links::new(seed, cluster)),
            cluster,
            network: Network::new(seed, 0, latency),
            clients: Vec::new(),
            agenda: Agenda::default(),
            now: 0,
            places: Places::default(),
            promise: promise.unwrap_or_default(),
            uplink: Uplink::default(),
            crashes: Vec::new(),
            trace: Trace::default(),
            stuck: (0, 0),
        };
        world.mend_links();
        world
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

    /// Returns the number of nodes: 1 unless it is a cluster.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Returns the node that has the latest connection of a client. `None` if it has none.
    pub fn node_of(&self, client: usize) -> Option<usize> {
        self.network.of_client(client).last().map(|(_, wire)| wire.node)
    }

    /// Returns the server, in a cluster the first node.
    pub fn server(&self) -> &Server<D> {
        self.server_of(0)
    }

    /// Returns a node.
    ///
    /// # Panics
    ///
    /// If there are fewer nodes.
    pub fn server_of(&self, node: usize) -> &Server<D> {
        &self.nodes[node].server
    }

    /// Returns the application, in a cluster that of the first node.
    pub fn application(&self) -> &A {
        self.application_of(0)
    }

    /// Returns the application of a node.
    ///
    /// # Panics
    ///
    /// If there are fewer nodes.
    pub fn application_of(&self, node: usize) -> &A {
        &self.nodes[node].application
    }

    /// Lets the application do something by itself, for example because an HTTP request of another
    /// kind has arrived. In a cluster it is that of the first node.
    pub fn call<T>(&mut self, f: impl FnOnce(&mut A, &mut Server<D>, Timestamp) -> T) -> T {
        self.call_at(0, f)
    }

    /// Lets the application of a node do something by itself.
    ///
    /// # Panics
    ///
    /// If there are fewer nodes.
    pub fn call_at<T>(
        &mut self,
        node: usize,
        f: impl FnOnce(&mut A, &mut Server<D>, Timestamp) -> T,
    ) -> T {
        let now = self.now();
        let Node { application, server, .. } = &mut self.nodes[node];
        let result = f(application, server, now);
        self.drain_server(node);
        result
    }

    /// Returns the crashes at commands ([`Fault::CrashAt`](crate::Fault::CrashAt)) that there were.
    pub fn crashes(&self) -> &[Crash] {
        &self.crashes
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

//! The whole server behind one input, one output queue and one deadline.
//!
//! [`Server`] is the single-threaded composition of a [`Hub`] and a [`Pool`] of connections, without
//! protocol logic of its own.
//!
//! # How to drive it
//!
//! * Whatever happens on a wire goes in through [`Server::handle_input`]; whatever the application
//!   wants is a verb of [`Server::at`].
//! * Whatever is to be done comes out of [`Server::poll_output`]. Draining is never a precondition:
//!   several calls before a drain are legal and give the same packets on each wire. The order is
//!   that of the causes per wire and among events; between wires there is none.
//! * [`Server::deadline`] says when [`Input::Timeout`] is due. It is in the past while there is
//!   output, so a driver that only looks at the deadline drains too.
//! * Whatever had arrived by the moment that a timeout is given goes in before it, or at least soon
//!   after it: see [time](crate::engine#time).
//! * A WebSocket that does not take frames is [paused](Server::pause): its frames stay in the
//!   connection's bounded queue while everything else flows. Pause it as soon as it does not take
//!   what was polled for it, and resume it when it has: what is queued while it is paused is held
//!   against its client.
//!
//! A *wire* is one HTTP exchange or one WebSocket, named by the embedder.

mod output;

pub use self::output::Output;
pub use crate::{
    hub::{Event, Reach},
    pool::{Admission, Input},
    stats::{Closed, ConnectRefusals, Refusals, RequestRefusals, Stats, Totals},
};

use alloc::{collections::VecDeque, sync::Arc};
use core::{fmt, ops::Deref};

use crate::{
    config::{ConfigError, ServerConfig},
    engine::{Refusal, RequestHead, WebSocketRequest, WebSocketResponse},
    entropy::Entropy,
    hub::{self, At, Carrier, EmitError, Hub},
    id::{ConnectionId, WireId},
    pool::{self, Pool},
    shrink, socket,
    time::Timestamp,
};

/// A server: connections, namespaces, rooms, recovery. `D` is the application's own data of a
/// socket, given back when the client recovers or when its session is over.
///
/// ```
/// use socketio_proto::engine::{Method, RequestHead};
/// use socketio_proto::server::{Input, Output, Server};
/// use socketio_proto::{ServerConfig, Timestamp, WireId};
///
/// let mut counter = 0_u8;
/// let entropy = move |dest: &mut [u8]| {
///     counter += 1;
///     dest.fill(counter);
/// };
/// let mut server = Server::<()>::new(ServerConfig::new(), entropy)?;
/// server.at(Timestamp::ZERO).add_namespace("/").unwrap();
///
/// // GET /socket.io/?EIO=4&transport=polling
/// let head = RequestHead {
///     method: Method::Get,
///     query: "EIO=4&transport=polling",
///     upgrade: false,
///     origin: None,
///     binary: false,
/// };
/// server.handle_input(Timestamp::ZERO, Input::Request { wire: WireId(1), head, body: None });
/// while let Some(output) = server.poll_output() {
///     match output {
///         Output::Respond { wire, response } => {
///             assert_eq!((wire, response.status), (WireId(1), 200));
///             assert!(response.body.starts_with(b"0{\"sid\":"));
///         }
///         Output::Send { .. } | Output::Close { .. } | Output::Event(_) => {}
///     }
/// }
/// assert!(server.deadline().is_some(), "the next ping");
/// # Ok::<(), socketio_proto::ConfigError>(())
/// ```
///
/// What is only looked up ([`data`](Hub::data), [`rooms`](Hub::rooms), …) is found here too, since
/// this dereferences to its [`Hub`].
pub struct Server<D = ()> {
    hub: Hub<D>,
    outside: Outside<D>,
}

/// What is not shared: the connections, and what the application has not been told.
struct Outside<D> {
    pool: Pool<D>,
    events: VecDeque<Event<D>>,
}

impl<D: Default> Server<D> {
    /// Makes a server without namespaces.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the configuration cannot be used.
    pub fn new(config: ServerConfig, entropy: impl Entropy + 'static) -> Result<Self, ConfigError> {
        let config = Arc::new(config);
        let hub = Hub::new(config.clone(), entropy)?;
        let pool = Pool::with_seed(config, 0, hub.seed());
        Ok(Self { hub, outside: Outside { pool, events: VecDeque::new() } })
    }

    /// Returns the verbs of an application, at the moment `now`. One earlier than before counts as
    /// that.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::server::Server;
    ///
    /// let mut server = Server::<()>::new(Default::default(), |dest: &mut [u8]| dest.fill(7))?;
    /// server.at(Timestamp::ZERO).add_namespace("/")?;
    /// assert_eq!(server.at(Timestamp::ZERO).to("lobby").emit("hello", &("all",))?.sockets, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at(&mut self, now: Timestamp) -> At<'_, D> {
        let now = self.outside.pool.advance(now);
        At::with_carrier(&mut self.hub, now, &mut self.outside)
    }

    /// Takes what happened on a wire, or that it is time. See [`Pool::handle_input`].
    pub fn handle_input(&mut self, now: Timestamp, input: Input<'_>) {
        let Self { hub, outside } = self;
        let now = outside.pool.advance(now);
        if matches!(input, Input::Timeout) {
            // Who is late for the first is late for all.
            let earliest = outside.pool.timer().min(hub.timer());
            let lateness = now.saturating_since(earliest);
            outside.pool.handle_late_timeout(now, lateness);
            hub.handle_late_timeout(now, lateness);
        } else {
            if matches!(input, Input::Request { .. } | Input::WebSocketOpened { .. }) {
                // Here it costs less than after each input.
                shrink::empty_if_large(&mut outside.events);
            }
            outside.pool.handle_input(now, input, hub.entropy());
        }
        outside.carry(hub, now);
    }

    /// Takes the next thing to do. `None` until the next call that changes something.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output<D>> {
        if let Some(event) = self.outside.events.pop_front() {
            return Some(Output::Event(event));
        }
        if let Some(answer) = self.outside.pool.poll_answer() {
            return Output::from_wire(answer);
        }
        self.outside.pool.poll_wire().and_then(Output::from_wire)
    }

    /// When [`Input::Timeout`] is due: in the past while there is output, `None` while nothing is
    /// to be waited for.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let Outside { pool, events } = &self.outside;
        if !events.is_empty() || pool.has_wire_output() {
            return Some(pool.now());
        }
        let hub = self.hub.deadline().unwrap_or(Timestamp::NEVER);
        hub.min(pool.timer()).finite()
    }

    /// Decides about a request. See [`Pool::verify`].
    ///
    /// # Errors
    ///
    /// The [`Refusal`] to answer with.
    pub fn verify(&mut self, now: Timestamp, head: &RequestHead<'_>) -> Result<Admission, Refusal> {
        self.outside.pool.verify(now, head)
    }

    /// Decides about a request that asks for a WebSocket. See [`Pool::verify_websocket`].
    ///
    /// # Errors
    ///
    /// The [`Refusal`] to answer with.
    pub fn verify_websocket(
        &mut self,
        now: Timestamp,
        head: &RequestHead<'_>,
        request: &WebSocketRequest,
    ) -> Result<WebSocketResponse, Refusal> {
        self.outside.pool.verify_websocket(now, head, request)
    }

    /// Returns the configuration, which an embedder may want for
    /// [`payload_limit`](ServerConfig::payload_limit).
    pub fn config(&self) -> &ServerConfig {
        self.outside.pool.config()
    }

    /// Stops sending on a WebSocket that does not take frames at present.
    pub fn pause(&mut self, wire: WireId) {
        self.outside.pool.pause(wire);
    }

    /// Goes on sending on a WebSocket.
    pub fn resume(&mut self, wire: WireId) {
        self.outside.pool.resume(wire);
        self.follow();
    }

    /// Closes one connection. See [`Pool::close_connection`].
    pub fn close_connection(&mut self, now: Timestamp, connection: ConnectionId) -> bool {
        let is_known = self.outside.pool.close_connection(now, connection);
        self.follow();
        is_known
    }

    /// Closes all connections at once. See [`Pool::shutdown`].
    pub fn shutdown(&mut self, now: Timestamp) {
        self.outside.pool.shutdown(now);
        self.follow();
    }

    /// Returns what the server holds and has decided. Takes O(namespaces).
    pub fn stats(&self) -> Stats {
        let mut stats = self.hub.stats();
        stats.connections = self.outside.pool.connections();
        let (total, pool) = (&mut stats.total, self.outside.pool.totals());
        total.connections_opened = pool.connections_opened;
        total.connections_closed = pool.connections_closed;
        total.requests_refused = pool.requests_refused;
        total.volatile_dropped = pool.volatile_dropped;
        total.packets_refused = pool.packets_refused;
        total.stale = total.stale.wrapping_add(pool.stale);
        stats
    }

    fn follow(&mut self) {
        let now = self.outside.pool.now();
        self.outside.carry(&mut self.hub, now);
    }
}

impl<D: Default> Carrier<D> for Outside<D> {
    fn check_room(
        &mut self,
        to: ConnectionId,
        event: &socket::Event,
        is_logged: bool,
    ) -> Result<(), EmitError> {
        self.pool.check_room(to, event, is_logged)
    }

    /// What one word of a link causes is carried out before its next one is looked at, and what the
    /// hub puts out is carried out in its order: so packets keep their order on every wire, and a
    /// connection is reported as closed after its sockets.
    fn carry(&mut self, hub: &mut Hub<D>, now: Timestamp) -> Reach {
        let mut reach = Reach::default();
        loop {
            if let Some(output) = hub.poll_output() {
                match output {
                    hub::Output::Reply { to, reply } => self.pool.handle_reply(now, to, reply),
                    hub::Output::Deliver(delivery) => {
                        self.pool.deliver_into(&delivery, &mut reach);
                    }
                    hub::Output::Event(event) => self.events.push_back(event),
                }
            } else if let Some(said) = self.pool.poll_said() {
                match said {
                    pool::Output::Request { from, request } => {
                        hub.handle_request(now, from, request);
                    }
                    pool::Output::Event(event) => self.events.push_back(event),
                    _ => {}
                }
            } else {
                return reach;
            }
        }
    }
}

impl<D> Deref for Server<D> {
    type Target = Hub<D>;

    fn deref(&self) -> &Hub<D> {
        &self.hub
    }
}

impl<D> fmt::Debug for Server<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("connections", &self.outside.pool.connections())
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}

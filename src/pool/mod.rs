//! The connections of one thread: their wires, their timers, and the limits on them.
//!
//! A [`Server`](crate::server::Server) consists of one [`Hub`](crate::hub::Hub) and one [`Pool`]. A
//! program with several threads has one pool per thread and one hub for all of them:
//!
//! * Give each input from a wire of the thread to [`Pool::handle_input`].
//! * Give each [`PoolOutput::Request`] to [`Hub::handle_request`](crate::hub::Hub::handle_request), in
//!   order. Give each [`PoolOutput::Event`] to the application, which answers through the hub.
//! * Give each [`hub::HubOutput::Reply`](crate::hub::HubOutput::Reply) to [`Pool::handle_reply`] of the
//!   pool that has the connection. Give each [`hub::HubOutput::Deliver`](crate::hub::HubOutput::Deliver)
//!   to [`Pool::deliver`] of every pool that has one of the recipients. Keep the order in which the
//!   hub outputs them. [`Pool::number_of`] returns the pool of a connection.

mod control;
mod deliver;
mod input;
mod links;
mod output;
mod requests;
mod slots;

pub(crate) use self::output::LinkReport;
pub use self::{input::ServerInput, output::PoolOutput, requests::Admission};

use alloc::{collections::VecDeque, sync::Arc};
use core::{fmt, time::Duration};

use self::links::Links;
use crate::{
    bucket::Bucket,
    config::{ConfigError, ServerConfig},
    engine::{EngineInput, EngineOutput},
    entropy::Entropy,
    hub::{Reply, ServerEvent},
    id::{ConnectionId, WireId},
    link::{Link, LinkEvent, LinkOutput},
    secret_index::Seed,
    stats::{Totals, increment},
    time::Timestamp,
};

/// The connections of one thread. `D` is the application's own data of a socket.
///
/// ```
/// use std::sync::Arc;
///
/// use socketio_proto::engine::{Method, RequestHead};
/// use socketio_proto::hub::{Hub, HubOutput};
/// use socketio_proto::pool::{Pool, PoolOutput, ServerInput};
/// use socketio_proto::{ServerConfig, Timestamp, WireId};
///
/// let config = Arc::new(ServerConfig::new());
/// let mut entropy = |dest: &mut [u8]| dest.fill(7); // a real one is random
/// let mut hub = Hub::<()>::new(config.clone(), entropy)?;
/// let mut pool = Pool::<()>::new(config, 0, &mut entropy)?;
/// let now = Timestamp::ZERO;
///
/// // GET /socket.io/?EIO=4&transport=polling
/// let query = "EIO=4&transport=polling";
/// let head =
///     RequestHead { method: Method::Get, query, upgrade: false, origin: None, binary: false };
/// pool.handle_input(now, ServerInput::Request { wire: WireId(1), head, body: None }, &mut entropy);
/// while let Some(output) = pool.poll_output() {
///     match output {
///         PoolOutput::Request { from, request } => hub.handle_request(now, from, request),
///         PoolOutput::Respond { response, .. } => assert_eq!(response.status, 200),
///         _ => {} // write to a WebSocket, or tell the application
///     }
/// }
/// while let Some(output) = hub.poll_output() {
///     match output {
///         HubOutput::Reply { to, reply } => pool.handle_reply(now, to, reply),
///         HubOutput::Deliver(delivery) => {
///             pool.deliver(now, &delivery);
///         }
///         _ => {} // tell the application
///     }
/// }
/// assert_eq!(pool.connections(), 1);
/// # Ok::<(), socketio_proto::ConfigError>(())
/// ```
pub struct Pool<D = ()> {
    number: u8,
    config: Arc<ServerConfig>,
    links: Links,
    /// Requests and events, in order.
    reports: VecDeque<LinkReport<D>>,
    /// Answers to requests that belong to no connection.
    answers: VecDeque<EngineOutput>,
    now: Timestamp,
    handshakes: Bucket,
    /// Counters of decisions that the hub does not see.
    totals: Totals,
}

impl<D> Pool<D> {
    /// Creates a pool without connections. Each pool of a hub needs a different number.
    ///
    /// The limits on [connections](crate::Limits::connections) and
    /// [handshakes](crate::Limits::handshakes_per_second) apply to each pool separately. A program
    /// with several pools divides its total limits by the number of pools. A pool has at most 2^24
    /// connections.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use socketio_proto::pool::Pool;
    ///
    /// # let mut entropy = |dest: &mut [u8]| dest.fill(7);
    /// let config = Arc::default();
    /// let pools = [0, 1].map(|number| Pool::<()>::new(Arc::clone(&config), number, &mut entropy));
    /// assert!(pools.iter().all(Result::is_ok));
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the configuration cannot be used.
    pub fn new(
        config: Arc<ServerConfig>,
        number: u8,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self::with_seed(config, number, Seed::from_entropy(entropy)))
    }

    pub(crate) fn with_seed(config: Arc<ServerConfig>, number: u8, seed: Seed) -> Self {
        Self {
            number,
            config,
            links: Links::new(seed, number),
            reports: VecDeque::new(),
            answers: VecDeque::new(),
            now: Timestamp::ZERO,
            handshakes: Bucket::default(),
            totals: Totals::default(),
        }
    }

    /// Handles an input from a wire, or a timeout. A handshake draws its session id from `entropy`.
    ///
    /// If `now` is earlier than in a previous call, the previous time is used. An input for an
    /// unknown wire, or a new wire with an id that is still in use, is ignored and counted.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::pool::{Pool, PoolOutput, ServerInput};
    /// # let now = Timestamp::ZERO;
    /// # let mut entropy = |dest: &mut [u8]| dest.fill(7);
    /// # let mut pool = Pool::<()>::new(Arc::default(), 0, &mut entropy)?;
    /// pool.handle_input(now, ServerInput::Timeout, &mut entropy);
    /// assert!(pool.poll_output().is_none(), "nothing was due");
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    #[inline]
    pub fn handle_input(
        &mut self,
        now: Timestamp,
        input: ServerInput<'_>,
        entropy: &mut dyn Entropy,
    ) {
        let now = self.advance(now);
        match input {
            ServerInput::Request { wire, head, body } => {
                self.handle_request(now, wire, &head, body, entropy);
            }
            ServerInput::WebSocketOpened { wire, head } => {
                self.handle_websocket(now, wire, &head, entropy);
            }
            ServerInput::Body { wire, body } => {
                self.handle_wire(now, wire, EngineInput::Body { wire, body });
            }
            ServerInput::Frame { wire, frame } => {
                self.handle_wire(now, wire, EngineInput::Frame { wire, frame });
            }
            ServerInput::ControlFrame { wire } => {
                self.handle_wire(now, wire, EngineInput::ControlFrame { wire });
            }
            ServerInput::CloseFrame { wire } => {
                self.handle_wire(now, wire, EngineInput::CloseFrame { wire });
            }
            ServerInput::WireClosed { wire } => {
                self.handle_wire(now, wire, EngineInput::WireClosed { wire });
                self.links.forget_wire(wire);
            }
            ServerInput::Timeout => {
                let lateness = now.saturating_since(self.links.deadline());
                self.handle_late_timeout(now, lateness);
            }
        }
    }

    /// Handles [`ServerInput::Timeout`] when the timers of the owner are late by `lateness`.
    pub(crate) fn handle_late_timeout(&mut self, now: Timestamp, lateness: Duration) {
        while let Some(connection) = self.links.pop_due(now) {
            self.with_link(connection, |link| link.handle_timeout(now, lateness));
        }
    }

    fn handle_wire(&mut self, now: Timestamp, wire: WireId, input: EngineInput) {
        match self.links.connection_of(wire) {
            Some(connection) => self.with_link(connection, |link| link.handle_input(now, input)),
            None => increment(&mut self.totals.stale),
        }
    }

    /// Handles a reply of the hub to one connection.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::hub::{Hub, HubOutput};
    /// use socketio_proto::pool::Pool;
    ///
    /// fn carry(hub: &mut Hub<()>, pools: &mut [Pool], now: Timestamp) {
    ///     while let Some(output) = hub.poll_output() {
    ///         match output {
    ///             HubOutput::Reply { to, reply } => {
    ///                 pools[usize::from(Pool::<()>::number_of(to))].handle_reply(now, to, reply);
    ///             }
    ///             HubOutput::Deliver(delivery) => pools.iter_mut().for_each(|pool| {
    ///                 pool.deliver(now, &delivery);
    ///             }),
    ///             output => println!("for the application: {output:?}"),
    ///         }
    ///     }
    /// }
    /// ```
    pub fn handle_reply(&mut self, now: Timestamp, to: ConnectionId, reply: Reply) {
        let now = self.advance(now);
        self.with_link(to, |link| link.handle_reply(now, reply));
    }

    /// Returns the number of the pool that has a connection.
    ///
    /// ```
    /// use socketio_proto::ConnectionId;
    /// use socketio_proto::pool::Pool;
    ///
    /// assert_eq!(Pool::<()>::number_of(ConnectionId::from_raw(0)), 0);
    /// ```
    pub fn number_of(connection: ConnectionId) -> u8 {
        slots::number_of(connection)
    }

    /// Returns the next output to carry out. `None` until the next call that causes output.
    ///
    /// ```
    /// use socketio_proto::pool::{Pool, PoolOutput};
    ///
    /// fn drain(pool: &mut Pool) {
    ///     while let Some(output) = pool.poll_output() {
    ///         match output {
    ///             PoolOutput::Request { from, request } => println!("to the hub: {from:?} {request:?}"),
    ///             PoolOutput::Event(event) => println!("to the application: {event:?}"),
    ///             output => println!("to a wire: {output:?}"),
    ///         }
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn poll_output(&mut self) -> Option<PoolOutput<D>> {
        if let Some(report) = self.reports.pop_front() {
            return Some(report.into());
        }
        if let Some(answer) = self.poll_answer() {
            return PoolOutput::from_wire(answer);
        }
        self.poll_wire().and_then(PoolOutput::from_wire)
    }

    /// The next request or event.
    #[inline]
    pub(crate) fn poll_report(&mut self) -> Option<LinkReport<D>> {
        self.reports.pop_front()
    }

    /// The next answer to a request that belongs to no connection.
    #[inline]
    pub(crate) fn poll_answer(&mut self) -> Option<EngineOutput> {
        self.answers.pop_front()
    }

    /// The next output for a wire of a connection.
    #[inline]
    pub(crate) fn poll_wire(&mut self) -> Option<EngineOutput> {
        self.links.poll_wire()
    }

    /// Returns when [`ServerInput::Timeout`] is due. The time is in the past while there is output.
    /// `None` means that no timer is set.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::pool::{Pool, PoolOutput, ServerInput};
    /// # let now = Timestamp::ZERO;
    /// # let mut entropy = |dest: &mut [u8]| dest.fill(7);
    /// # let mut pool = Pool::<()>::new(Arc::default(), 0, &mut entropy)?;
    /// assert_eq!(pool.deadline(), None, "no connection, no timer");
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let has_output = !self.reports.is_empty() || self.has_wire_output();
        if has_output { Some(self.now) } else { self.links.deadline().finite() }
    }

    pub(crate) fn has_wire_output(&self) -> bool {
        !self.answers.is_empty() || self.links.has_wire_output()
    }

    /// The earliest timer of the connections, whether or not there is output.
    pub(crate) fn timer(&self) -> Timestamp {
        self.links.deadline()
    }

    /// Counters of the pool, which the hub does not have.
    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Runs `f` on a link, then takes its requests and events and updates its timer.
    fn with_link(&mut self, connection: ConnectionId, f: impl FnOnce(&mut Link)) {
        let Some(link) = self.links.get_mut(connection) else {
            increment(&mut self.totals.stale);
            return;
        };
        f(link);
        while let Some(output) = link.poll_local() {
            let report = match output {
                LinkOutput::Hub(request) => LinkReport::Request { from: connection, request },
                LinkOutput::Event(event) => {
                    if let LinkEvent::Closed { reason } = &event {
                        self.totals.connections_closed.count(*reason);
                    }
                    LinkReport::Event(named(connection, event))
                }
                LinkOutput::Wire(_) => continue,
            };
            self.reports.push_back(report);
        }
        self.links.settle(connection);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.now = self.now.max(now);
        self.now
    }
}

/// Adds the connection to the event of a link.
fn named<D>(connection: ConnectionId, event: LinkEvent) -> ServerEvent<D> {
    match event {
        LinkEvent::Received { socket, namespace, event, ack } => {
            ServerEvent::Received { socket, namespace, event, ack }
        }
        LinkEvent::Upgraded => ServerEvent::ConnectionUpgraded { connection },
        LinkEvent::Closed { reason } => ServerEvent::ConnectionClosed { connection, reason },
    }
}

impl<D> fmt::Debug for Pool<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("connections", &self.links.len()).finish_non_exhaustive()
    }
}

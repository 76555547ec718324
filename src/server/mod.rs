//! The whole server behind one input, one output queue and one deadline.
//!
//! [`Server`] is the single-threaded composition of a [`Hub`] and a
//! [`Link`] per connection, without protocol logic of its own.
//!
//! # How to drive it
//!
//! * Whatever happens on a wire goes in through [`Server::handle_input`]; whatever the application
//!   wants is a plain method.
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

mod input;
mod links;
mod reach;
mod requests;
mod slots;
mod snapshot;
mod verbs;

pub use self::{
    input::{Input, Output},
    reach::Reach,
    requests::Admission,
};
pub use crate::{
    hub::Event,
    stats::{Closed, ConnectRefusals, Refusals, RequestRefusals, Stats, Totals},
};

use alloc::{collections::VecDeque, sync::Arc};
use core::fmt;

use self::links::Links;
use crate::{
    bucket::Bucket,
    config::{ConfigError, ServerConfig},
    engine,
    entropy::Entropy,
    hub::{self, Hub},
    id::{ConnectionId, WireId},
    link::{self, Delivered, Link},
    stats::increment,
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
/// server.add_namespace("/").unwrap();
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
pub struct Server<D = ()> {
    config: Arc<ServerConfig>,
    hub: Hub<D>,
    links: Links,
    /// Answers to requests that belong to no connection.
    answers: VecDeque<engine::Output>,
    /// What links have said and the hub has not heard yet.
    inbox: VecDeque<(ConnectionId, link::Output)>,
    events: VecDeque<Event<D>>,
    now: Timestamp,
    handshakes: Bucket,
    /// What the hub does not know of.
    totals: Totals,
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
        Ok(Self {
            links: Links::new(hub.seed()),
            hub,
            config,
            answers: VecDeque::new(),
            inbox: VecDeque::new(),
            events: VecDeque::new(),
            now: Timestamp::ZERO,
            handshakes: Bucket::default(),
            totals: Totals::default(),
        })
    }

    /// Takes what happened on a wire, or that it is time.
    ///
    /// A `now` earlier than a former one counts as that. A wire that is not known, or that is
    /// still in use where a new one is meant, is ignored and counted.
    pub fn handle_input(&mut self, now: Timestamp, input: Input<'_>) {
        let now = self.advance(now);
        match input {
            Input::Request { wire, head, body } => self.handle_request(now, wire, &head, body),
            Input::WebSocketOpened { wire, head } => self.handle_websocket(now, wire, &head),
            Input::Body { wire, body } => {
                self.handle_wire(now, wire, engine::Input::Body { wire, body });
            }
            Input::Frame { wire, frame } => {
                self.handle_wire(now, wire, engine::Input::Frame { wire, frame });
            }
            Input::ControlFrame { wire } => {
                self.handle_wire(now, wire, engine::Input::ControlFrame { wire });
            }
            Input::CloseFrame { wire } => {
                self.handle_wire(now, wire, engine::Input::CloseFrame { wire });
            }
            Input::WireClosed { wire } => {
                self.handle_wire(now, wire, engine::Input::WireClosed { wire });
                self.links.forget_wire(wire);
            }
            Input::Timeout => self.handle_timeout(now),
        }
        self.exchange(now);
    }

    /// Takes the next thing to do. `None` until the next call that changes something.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output<D>> {
        if let Some(event) = self.events.pop_front() {
            return Some(Output::Event(event));
        }
        if let Some(answer) = self.answers.pop_front() {
            return Output::from_wire(answer);
        }
        self.links.poll_wire().and_then(Output::from_wire)
    }

    fn handle_wire(&mut self, now: Timestamp, wire: WireId, input: engine::Input) {
        match self.links.connection_of(wire) {
            Some(connection) => self.with_link(connection, |link| link.handle_input(now, input)),
            None => increment(&mut self.totals.stale),
        }
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        // Who is late for the first is late for all.
        let earliest = self.links.deadline().min(self.hub.timer());
        let lateness = now.saturating_since(earliest);
        while let Some(connection) = self.links.pop_due(now) {
            self.with_link(connection, |link| link.handle_timeout(now, lateness));
        }
        self.hub.handle_late_timeout(now, lateness);
    }

    /// When [`Input::Timeout`] is due: in the past while there is output, `None` while nothing is
    /// to be waited for.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let has_output =
            !self.events.is_empty() || !self.answers.is_empty() || self.links.has_wire_output();
        if has_output {
            return Some(self.now);
        }
        let hub = self.hub.deadline().unwrap_or(Timestamp::NEVER);
        hub.min(self.links.deadline()).finite()
    }

    /// Returns the configuration, which an embedder may want for
    /// [`payload_limit`](ServerConfig::payload_limit).
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// Stops sending on a WebSocket that does not take frames at present.
    pub fn pause(&mut self, wire: WireId) {
        if let Some(connection) = self.links.connection_of(wire) {
            self.with_link(connection, |link| link.pause(wire));
        }
    }

    /// Goes on sending on a WebSocket.
    pub fn resume(&mut self, wire: WireId) {
        if let Some(connection) = self.links.connection_of(wire) {
            self.with_link(connection, |link| link.resume(wire));
            self.exchange(self.now);
        }
    }

    /// Returns what the server holds and has decided. Takes O(namespaces).
    pub fn stats(&self) -> Stats {
        let mut stats = self.hub.stats();
        stats.connections = self.links.len();
        let hub = stats.total;
        stats.total = Totals {
            connections_opened: self.totals.connections_opened,
            connections_closed: self.totals.connections_closed,
            requests_refused: self.totals.requests_refused,
            volatile_dropped: self.totals.volatile_dropped,
            packets_refused: self.totals.packets_refused,
            stale: hub.stale.wrapping_add(self.totals.stale),
            ..hub
        };
        stats
    }

    /// Runs `f` on a link, takes what it has to say and sees to its timer.
    fn with_link(&mut self, connection: ConnectionId, f: impl FnOnce(&mut Link)) {
        let Some(link) = self.links.get_mut(connection) else {
            increment(&mut self.totals.stale);
            return;
        };
        f(link);
        self.collect(connection);
    }

    fn collect(&mut self, connection: ConnectionId) {
        while let Some(output) = self.links.get_mut(connection).and_then(Link::poll_local) {
            self.inbox.push_back((connection, output));
        }
        self.links.settle(connection);
    }

    /// Carries everything between the hub and the links until neither has anything to say.
    ///
    /// What one word of a link causes is carried out before its next one is looked at, and what the
    /// hub puts out is carried out in its order: so packets keep their order on every wire, and a
    /// connection is reported as closed after its sockets.
    ///
    /// Returns what has become of the packets that were delivered.
    fn exchange(&mut self, now: Timestamp) -> Reach {
        let mut reach = Reach::default();
        loop {
            if let Some(output) = self.hub.poll_output() {
                self.handle_hub(now, output, &mut reach);
            } else if let Some((connection, output)) = self.inbox.pop_front() {
                match output {
                    link::Output::Hub(request) => self.hub.handle_request(now, connection, request),
                    link::Output::Event(event) => self.handle_link_event(connection, event),
                    link::Output::Wire(_) => {}
                }
            } else {
                return reach;
            }
        }
    }

    fn handle_hub(&mut self, now: Timestamp, output: hub::Output<D>, reach: &mut Reach) {
        match output {
            hub::Output::Reply { to, reply } => {
                self.with_link(to, |link| link.handle_reply(now, reply));
            }
            hub::Output::Deliver(delivery) => self.deliver(&delivery, reach),
            hub::Output::Event(event) => self.events.push_back(event),
        }
    }

    fn handle_link_event(&mut self, connection: ConnectionId, event: link::Event) {
        self.events.push_back(match event {
            link::Event::Received { socket, event, ack } => Event::Received { socket, event, ack },
            link::Event::Upgraded => Event::ConnectionUpgraded { connection },
            link::Event::Closed { reason } => {
                self.totals.connections_closed.count(reason);
                Event::ConnectionClosed { connection, reason }
            }
        });
    }

    fn deliver(&mut self, delivery: &hub::Delivery, reach: &mut Reach) {
        reach.sockets = reach.sockets.saturating_add(delivery.recipients().len());
        for to in delivery.recipients() {
            match self.links.deliver(*to, delivery) {
                Some(Delivered::Queued) => {}
                Some(Delivered::Dropped) => {
                    increment(&mut self.totals.volatile_dropped);
                    reach.dropped = reach.dropped.saturating_add(1);
                }
                Some(Delivered::Refused) => {
                    increment(&mut self.totals.packets_refused);
                    reach.refused = reach.refused.saturating_add(1);
                }
                Some(Delivered::Overflowed) => {
                    reach.closed = reach.closed.saturating_add(1);
                    self.collect(*to);
                }
                Some(Delivered::Stale) | None => increment(&mut self.totals.stale),
            }
        }
    }

    fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.now = self.now.max(now);
        self.now
    }
}

impl<D> fmt::Debug for Server<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("connections", &self.links.len())
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}

//! The connections of one thread: their wires, their timers, and the limits on them.
//!
//! A [`Pool`] is what a [`Server`](crate::server::Server) has beside its [`Hub`](crate::hub::Hub). A
//! program with several threads has a pool on each and one hub for all of them:
//!
//! * What happens on a wire of the thread goes into [`Pool::handle_input`].
//! * [`Output::Request`] goes to [`Hub::handle_request`](crate::hub::Hub::handle_request), in order.
//!   [`Output::Event`] goes to the application; what it answers goes to the hub.
//! * [`hub::Output::Reply`](crate::hub::Output::Reply) goes to [`Pool::handle_reply`] of the pool that
//!   has the connection, and [`hub::Output::Deliver`](crate::hub::Output::Deliver) to
//!   [`Pool::deliver`] of each pool that has one of the recipients, in the order in which the hub puts
//!   them out. [`Pool::number_of`] tells which pool has a connection.

mod input;
mod links;
mod output;
mod requests;
mod slots;

pub use self::{input::Input, output::Output, requests::Admission};

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::{fmt, time::Duration};

use self::links::Links;
use crate::{
    bucket::Bucket,
    config::{ConfigError, ServerConfig},
    engine::{self, CloseReason, SendError},
    entropy::Entropy,
    hub::{Delivery, EmitError, Event, Reach, Reply},
    id::{ConnectionId, WireId},
    link::{self, Delivered, Link},
    secret_index::Seed,
    socket,
    stats::{Totals, increment},
    time::Timestamp,
};

/// What a packet may have beyond its event: its type, a namespace, an id, an offset.
const ENVELOPE_BYTES: usize = 512;

/// The connections of one thread. `D` is the application's own data of a socket.
pub struct Pool<D = ()> {
    number: u8,
    config: Arc<ServerConfig>,
    links: Links,
    /// Requests and events, in order.
    said: VecDeque<Output<D>>,
    /// Answers to requests that belong to no connection.
    answers: VecDeque<engine::Output>,
    now: Timestamp,
    handshakes: Bucket,
    /// What the hub does not know of.
    totals: Totals,
}

impl<D> Pool<D> {
    /// Makes a pool without connections. Each pool of one hub has a number of its own.
    ///
    /// The limits on [connections](crate::Limits::connections) and
    /// [handshakes](crate::Limits::handshakes_per_second) are those of one pool: a program with
    /// several divides what it can bear by their number. A pool has at most 2^24 connections.
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
            said: VecDeque::new(),
            answers: VecDeque::new(),
            now: Timestamp::ZERO,
            handshakes: Bucket::default(),
            totals: Totals::default(),
        }
    }

    /// Takes what happened on a wire, or that it is time. A handshake draws its id from `entropy`.
    ///
    /// A `now` earlier than before counts as that. A wire that is not known, or that is still in use
    /// where a new one is meant, is ignored and counted.
    #[inline]
    pub fn handle_input(&mut self, now: Timestamp, input: Input<'_>, entropy: &mut dyn Entropy) {
        let now = self.advance(now);
        match input {
            Input::Request { wire, head, body } => {
                self.handle_request(now, wire, &head, body, entropy);
            }
            Input::WebSocketOpened { wire, head } => {
                self.handle_websocket(now, wire, &head, entropy);
            }
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
            Input::Timeout => {
                let lateness = now.saturating_since(self.links.deadline());
                self.handle_late_timeout(now, lateness);
            }
        }
    }

    /// [`Input::Timeout`] of an owner whose timers are late by `lateness`.
    pub(crate) fn handle_late_timeout(&mut self, now: Timestamp, lateness: Duration) {
        while let Some(connection) = self.links.pop_due(now) {
            self.with_link(connection, |link| link.handle_timeout(now, lateness));
        }
    }

    fn handle_wire(&mut self, now: Timestamp, wire: WireId, input: engine::Input) {
        match self.links.connection_of(wire) {
            Some(connection) => self.with_link(connection, |link| link.handle_input(now, input)),
            None => increment(&mut self.totals.stale),
        }
    }

    /// Takes a reply of the hub to one connection.
    pub fn handle_reply(&mut self, now: Timestamp, to: ConnectionId, reply: Reply) {
        let now = self.advance(now);
        self.with_link(to, |link| link.handle_reply(now, reply));
    }

    /// Returns the number of the pool that has a connection.
    pub fn number_of(connection: ConnectionId) -> u8 {
        slots::number_of(connection)
    }

    /// Queues a packet on those of its recipients that are in this pool. Returns what has become of
    /// it there.
    pub fn deliver(&mut self, delivery: &Delivery) -> Reach {
        let mut reach = Reach::default();
        self.deliver_into(delivery, &mut reach);
        reach
    }

    pub(crate) fn deliver_into(&mut self, delivery: &Delivery, reach: &mut Reach) {
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
                    self.with_link(*to, |_| ());
                }
                // Only here it costs nothing to look at whose it is.
                None if slots::number_of(*to) != self.number => {
                    reach.sockets = reach.sockets.saturating_sub(1);
                }
                Some(Delivered::Stale) | None => increment(&mut self.totals.stale),
            }
        }
    }

    /// Refuses an event for a connection that has no room for it. One that is replayed need not fit
    /// if its client does not read.
    pub(crate) fn check_room(
        &mut self,
        to: ConnectionId,
        event: &socket::Event,
        is_logged: bool,
    ) -> Result<(), EmitError> {
        let Some(link) = self.links.get(to).filter(|link| link.queued_bytes() > 0) else {
            return Ok(());
        };
        let packets = event.attachments().len().saturating_add(1);
        let bytes = event.wire_len().saturating_add(ENVELOPE_BYTES);
        match link.check_room(packets, bytes) {
            Err(SendError::Full) => {}
            Err(SendError::Overflow) if !is_logged => {}
            Ok(()) | Err(_) => return Ok(()),
        }
        increment(&mut self.totals.packets_refused);
        Err(EmitError::QueueFull)
    }

    /// Takes the next thing to do. `None` until the next call that changes something.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output<D>> {
        if let Some(said) = self.said.pop_front() {
            return Some(said);
        }
        if let Some(answer) = self.poll_answer() {
            return Output::from_wire(answer);
        }
        self.poll_wire().and_then(Output::from_wire)
    }

    /// The next request or event.
    #[inline]
    pub(crate) fn poll_said(&mut self) -> Option<Output<D>> {
        self.said.pop_front()
    }

    /// The next answer to a request that belongs to no connection.
    #[inline]
    pub(crate) fn poll_answer(&mut self) -> Option<engine::Output> {
        self.answers.pop_front()
    }

    /// The next thing to do with a wire of a connection.
    #[inline]
    pub(crate) fn poll_wire(&mut self) -> Option<engine::Output> {
        self.links.poll_wire()
    }

    /// When [`Input::Timeout`] is due: in the past while there is output, `None` while nothing is
    /// to be waited for.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let has_output = !self.said.is_empty() || self.has_wire_output();
        if has_output { Some(self.now) } else { self.links.deadline().finite() }
    }

    pub(crate) fn has_wire_output(&self) -> bool {
        !self.answers.is_empty() || self.links.has_wire_output()
    }

    /// The moment that the connections wait for, whatever is to be drained.
    pub(crate) fn timer(&self) -> Timestamp {
        self.links.deadline()
    }

    /// Returns the configuration.
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// Returns the number of connections.
    pub fn connections(&self) -> usize {
        self.links.len()
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
        }
    }

    /// Closes a connection as if its link had failed: its sockets are parked, and their clients
    /// come back by themselves. Returns false if it is over already.
    pub fn close_connection(&mut self, now: Timestamp, connection: ConnectionId) -> bool {
        let now = self.advance(now);
        let is_known = self.links.get(connection).is_some();
        if is_known {
            self.with_link(connection, |link| link.close(now, CloseReason::ForcedClose));
        }
        is_known
    }

    /// Closes all connections at once. Sessions are parked, and clients come back by themselves:
    /// to another process, or to this one.
    pub fn shutdown(&mut self, now: Timestamp) {
        let now = self.advance(now);
        let connections: Vec<ConnectionId> = self.links.ids().collect();
        for connection in connections {
            self.with_link(connection, |link| link.close(now, CloseReason::ServerShutdown));
        }
    }

    /// What was counted here and not by the hub.
    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Runs `f` on a link, takes what it has to say and sees to its timer.
    fn with_link(&mut self, connection: ConnectionId, f: impl FnOnce(&mut Link)) {
        let Some(link) = self.links.get_mut(connection) else {
            increment(&mut self.totals.stale);
            return;
        };
        f(link);
        while let Some(output) = link.poll_local() {
            let said = match output {
                link::Output::Hub(request) => Output::Request { from: connection, request },
                link::Output::Event(event) => {
                    if let link::Event::Closed { reason } = &event {
                        self.totals.connections_closed.count(*reason);
                    }
                    named(connection, event)
                }
                link::Output::Wire(_) => continue,
            };
            self.said.push_back(said);
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

/// The event of a link for whoever has many.
fn named<D>(connection: ConnectionId, event: link::Event) -> Output<D> {
    Output::Event(match event {
        link::Event::Received { socket, event, ack } => Event::Received { socket, event, ack },
        link::Event::Upgraded => Event::ConnectionUpgraded { connection },
        link::Event::Closed { reason } => Event::ConnectionClosed { connection, reason },
    })
}

impl<D> fmt::Debug for Pool<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("connections", &self.links.len()).finish_non_exhaustive()
    }
}

//! The whole server behind one input, one output queue and one deadline.
//!
//! [`Server`] combines a [`Hub`] and a [`Pool`] of connections on one thread. It adds no protocol
//! logic.
//!
//! # How to drive it
//!
//! * Give each input from a wire to [`Server::handle_input`]. The application acts through the
//!   methods of [`Server::at`].
//! * Carry out each output of [`Server::poll_output`]. You need not drain it between calls: several
//!   calls before a drain are legal and give the same packets on each wire. The outputs of one wire
//!   are in the order of their causes, and so are the events. Between wires there is no order.
//! * [`Server::deadline`] says when [`ServerInput::Timeout`] is due. It is in the past while there is
//!   output. So a driver that only watches the deadline also drains the output.
//! * Before a timeout, hand in all input that has arrived by then, or at least soon after it: see
//!   [time](crate::engine#time).
//! * [Pause](Server::pause) a WebSocket as soon as it does not accept a frame, and resume it when
//!   it has accepted it. Meanwhile its frames stay in the bounded queue of its connection, and all
//!   other wires continue. Frames that are queued during the pause count against the client's
//!   limits.
//!
//! A *wire* is one HTTP exchange or one WebSocket. The embedder chooses its id.

mod cluster;
mod control;
mod output;

pub use self::output::ServerOutput;
pub use crate::{
    hub::{HubOutput, Reach, ServerEvent},
    pool::{Admission, ServerInput},
    stats::{Closed, ConnectRefusals, Refusals, RequestRefusals, Stats, Totals},
};

use alloc::{collections::VecDeque, sync::Arc};
use core::{fmt, ops::Deref};

use crate::{
    cluster::ClusterOutput,
    config::{ConfigError, ServerConfig},
    entropy::Entropy,
    hub::{At, Carrier, EmitError, Hub, Snapshot},
    id::ConnectionId,
    pool::{LinkReport, Pool},
    shrink, socket,
    time::Timestamp,
};

/// A server: connections, namespaces, rooms, recovery. `D` is the application's own data of a
/// socket. The application gets it back when the client recovers or when the session ends.
///
/// ```
/// use socketio_proto::engine::{Method, RequestHead};
/// use socketio_proto::server::{Server, ServerInput, ServerOutput};
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
/// server.handle_input(Timestamp::ZERO, ServerInput::Request { wire: WireId(1), head, body: None });
/// while let Some(output) = server.poll_output() {
///     match output {
///         ServerOutput::Respond { wire, response } => {
///             assert_eq!((wire, response.status), (WireId(1), 200));
///             assert!(response.body.starts_with(b"0{\"sid\":"));
///         }
///         other => println!("later: {other:?}"),
///     }
/// }
/// assert!(server.deadline().is_some(), "the next ping");
/// # Ok::<(), socketio_proto::ConfigError>(())
/// ```
///
/// A server dereferences to its [`Hub`], so it also has the methods that only read:
/// [`data`](Hub::data), [`rooms`](Hub::rooms), and so on.
pub struct Server<D = ()> {
    hub: Hub<D>,
    outside: Outside<D>,
}

/// The connections, and the events that the application has not polled yet.
struct Outside<D> {
    pool: Pool<D>,
    events: VecDeque<ServerEvent<D>>,
    commands: VecDeque<ClusterOutput>,
}

impl<D: Default> Server<D> {
    /// Creates a server without namespaces.
    ///
    /// ```
    /// use socketio_proto::server::Server;
    /// use socketio_proto::{RecoveryConfig, ServerConfig};
    ///
    /// # fn fill_from_the_operating_system(dest: &mut [u8]) { dest.fill(7) }
    /// let config = ServerConfig::new().recovery(RecoveryConfig::new());
    /// let server = Server::<()>::new(config, fill_from_the_operating_system)?;
    /// assert_eq!(server.stats().namespaces, 0);
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the configuration cannot be used.
    pub fn new(config: ServerConfig, entropy: impl Entropy + 'static) -> Result<Self, ConfigError> {
        let config = Arc::new(config);
        let hub = Hub::new(config.clone(), entropy)?;
        let pool = Pool::with_seed(config, 0, hub.seed());
        Ok(Self::with_hub(hub, pool))
    }

    /// Returns the methods of the application, at time `now`. If `now` is earlier than in a
    /// previous call, the previous time is used.
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

    /// Handles an input from a wire, or a timeout. See [`Pool::handle_input`].
    ///
    /// ```
    /// use socketio_proto::engine::Frame;
    /// use socketio_proto::server::{Server, ServerInput};
    /// use socketio_proto::{Timestamp, WireId};
    ///
    /// /// A WebSocket has received a text.
    /// fn received(server: &mut Server, now: Timestamp, wire: WireId, text: String) {
    ///     server.handle_input(now, ServerInput::Frame { wire, frame: Frame::Text(text.into()) });
    /// }
    /// ```
    pub fn handle_input(&mut self, now: Timestamp, input: ServerInput<'_>) {
        let Self { hub, outside } = self;
        let now = outside.pool.advance(now);
        if matches!(input, ServerInput::Timeout) {
            // The lateness for the earliest timer applies to all timers.
            let earliest = outside.pool.timer().min(hub.timer());
            let lateness = now.saturating_since(earliest);
            outside.pool.handle_late_timeout(now, lateness);
            hub.handle_late_timeout(now, lateness);
        } else {
            if matches!(input, ServerInput::Request { .. } | ServerInput::WebSocketOpened { .. }) {
                // Cheaper here than after each input.
                shrink::empty_if_large(&mut outside.events);
            }
            outside.pool.handle_input(now, input, hub.entropy());
        }
        outside.carry(hub, now);
    }

    /// Returns the next output to carry out. `None` until the next call that causes output.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::server::{Server, ServerEvent, ServerOutput};
    ///
    /// fn drain(server: &mut Server, now: Timestamp) {
    ///     while let Some(output) = server.poll_output() {
    ///         match output {
    ///             ServerOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
    ///                 server.at(now).accept(request);
    ///             }
    ///             ServerOutput::Event(event) => println!("for the application: {event:?}"),
    ///             output => println!("for a wire: {output:?}"),
    ///         }
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn poll_output(&mut self) -> Option<ServerOutput<D>> {
        if let Some(event) = self.outside.events.pop_front() {
            return Some(ServerOutput::Event(event));
        }
        if let Some(command) = self.outside.commands.pop_front() {
            return Some(ServerOutput::Cluster(command));
        }
        if let Some(answer) = self.outside.pool.poll_answer() {
            return ServerOutput::from_wire(answer);
        }
        self.outside.pool.poll_wire().and_then(ServerOutput::from_wire)
    }

    /// Returns when [`ServerInput::Timeout`] is due. The time is in the past while there is output.
    /// `None` means that no timer is set.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::server::Server;
    ///
    /// /// How long a driver may sleep; `None` means until the next input.
    /// fn sleep(server: &Server, now: Timestamp) -> Option<Duration> {
    ///     server.deadline().map(|deadline| deadline.saturating_since(now))
    /// }
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let Outside { pool, events, commands } = &self.outside;
        if !events.is_empty() || !commands.is_empty() || pool.has_wire_output() {
            return Some(pool.now());
        }
        let hub = self.hub.deadline().unwrap_or(Timestamp::NEVER);
        hub.min(pool.timer()).finite()
    }

    fn with_hub(hub: Hub<D>, pool: Pool<D>) -> Self {
        let (events, commands) = (VecDeque::new(), VecDeque::new());
        Self { hub, outside: Outside { pool, events, commands } }
    }

    fn follow(&mut self) {
        let now = self.outside.pool.now();
        self.outside.carry(&mut self.hub, now);
    }
}

impl<D: Default> Carrier<D> for Outside<D> {
    fn check_room(
        &mut self,
        now: Timestamp,
        to: ConnectionId,
        event: &socket::Event,
        is_logged: bool,
    ) -> Result<(), EmitError> {
        self.pool.check_room(now, to, event, is_logged)
    }

    /// Carries out everything that one message of a link causes before it takes the next message,
    /// and keeps the order of the hub's outputs. So packets keep their order on every wire, and a
    /// connection is reported as closed after its sockets.
    fn carry(&mut self, hub: &mut Hub<D>, now: Timestamp) -> Reach {
        let mut reach = Reach::default();
        loop {
            if let Some(output) = hub.poll_output() {
                match output {
                    HubOutput::Reply { to, reply } => self.pool.handle_reply(now, to, reply),
                    HubOutput::Deliver(delivery) => {
                        self.pool.deliver_into(now, &delivery, &mut reach);
                    }
                    HubOutput::Event(event) => self.events.push_back(event),
                    HubOutput::Cluster(command) => self.commands.push_back(command),
                }
            } else if let Some(report) = self.pool.poll_report() {
                match report {
                    LinkReport::Request { from, request } => hub.handle_request(now, from, request),
                    LinkReport::Event(event) => self.events.push_back(event),
                }
            } else {
                return reach;
            }
        }
    }
}

impl<D: Clone> Server<D> {
    /// Returns everything that the next process needs to continue the sessions. See
    /// [`Hub::snapshot`].
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::server::Server;
    ///
    /// /// After `shutdown`, when all output was carried out.
    /// fn save(server: &Server<String>, now: Timestamp) -> serde_json::Result<String> {
    ///     serde_json::to_string(&server.snapshot(now))
    /// }
    /// ```
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> Snapshot<D> {
        // The hub does not see the time of every input.
        self.hub.snapshot(self.outside.pool.now().max(now))
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

//! Everything that can be set, with its default, its unit and who pays when it is raised.

use core::time::Duration;

use thiserror::Error;

/// Settings of a server; immutable once a machine was made with them.
///
/// ```
/// use core::time::Duration;
/// use socketio_proto::{RecoveryConfig, ServerConfig};
///
/// let config = ServerConfig::new()
///     .ping_interval(Duration::from_secs(10))
///     .recovery(RecoveryConfig::default());
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(crate) ping_interval: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) upgrade_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) max_payload: usize,
    pub(crate) transports: Transports,
    pub(crate) allow_upgrades: bool,
    pub(crate) limits: Limits,
    pub(crate) recovery: Option<RecoveryConfig>,
}

/// Which transports a server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transports {
    /// HTTP long-polling and WebSocket: the default.
    Both,
    /// HTTP long-polling alone; nothing is offered as an upgrade.
    PollingOnly,
    /// WebSocket alone.
    WebSocketOnly,
}

impl ServerConfig {
    /// The defaults of the reference implementation, with recovery off.
    pub fn new() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(45),
            close_timeout: Duration::from_secs(30),
            max_payload: 1_000_000,
            transports: Transports::Both,
            allow_upgrades: true,
            limits: Limits::default(),
            recovery: None,
        }
    }

    /// Time between a pong (or the handshake) and the next ping. Default 25 s. A shorter one finds
    /// lost links sooner and costs every client a packet each time.
    #[must_use]
    pub fn ping_interval(mut self, value: Duration) -> Self {
        self.ping_interval = value;
        self
    }

    /// Time a client has to answer a ping. Default 20 s.
    #[must_use]
    pub fn ping_timeout(mut self, value: Duration) -> Self {
        self.ping_timeout = value;
        self
    }

    /// Time a client has to complete an upgrade after its WebSocket was opened. Default 10 s.
    #[must_use]
    pub fn upgrade_timeout(mut self, value: Duration) -> Self {
        self.upgrade_timeout = value;
        self
    }

    /// Time a connection has to join its first namespace. Default 45 s. Raising it lets idle
    /// strangers hold memory for longer.
    #[must_use]
    pub fn connect_timeout(mut self, value: Duration) -> Self {
        self.connect_timeout = value;
        self
    }

    /// Time a closing connection has to fetch what is still queued for it. Default 30 s.
    #[must_use]
    pub fn close_timeout(mut self, value: Duration) -> Self {
        self.close_timeout = value;
        self
    }

    /// Largest body of a POST and largest WebSocket frame that a client may send, in bytes; told
    /// to the client as `maxPayload`. Default 1,000,000. The server pays with memory for one of
    /// these per connection.
    #[must_use]
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// Returns the largest body and frame in bytes, which the embedder need not read beyond.
    pub fn payload_limit(&self) -> usize {
        self.max_payload
    }

    /// Which transports are offered. Default both.
    #[must_use]
    pub fn transports(mut self, value: Transports) -> Self {
        self.transports = value;
        self
    }

    /// Whether a polling session may move to WebSocket. Default true.
    #[must_use]
    pub fn allow_upgrades(mut self, value: bool) -> Self {
        self.allow_upgrades = value;
        self
    }

    /// Bounds on what peers can make the server hold. See [`Limits`].
    #[must_use]
    pub fn limits(mut self, value: Limits) -> Self {
        self.limits = value;
        self
    }

    /// Turns connection state recovery on. Default off, as in the reference.
    #[must_use]
    pub fn recovery(mut self, value: RecoveryConfig) -> Self {
        self.recovery = Some(value);
        self
    }

    pub(crate) fn counts_events(&self) -> bool {
        self.recovery.as_ref().is_some_and(|recovery| recovery.count_events)
    }

    /// Checks that every value is usable. The constructors of the machines call it.
    ///
    /// # Errors
    ///
    /// Names the first field whose value is out of range: durations and limits must not be zero,
    /// and `max_payload` must be at least 128 bytes so that a handshake fits.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let positive = [
            ("ping_interval", !self.ping_interval.is_zero()),
            ("ping_timeout", !self.ping_timeout.is_zero()),
            ("upgrade_timeout", !self.upgrade_timeout.is_zero()),
            ("connect_timeout", !self.connect_timeout.is_zero()),
            ("close_timeout", !self.close_timeout.is_zero()),
            ("max_payload", self.max_payload >= 128),
        ];
        check(&positive)?;
        self.limits.validate()?;
        self.recovery.as_ref().map_or(Ok(()), RecoveryConfig::validate)
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Bounds on what peers can make the server hold. All are finite; none may be zero.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Engine.IO sessions at a time. Default 100,000. A handshake beyond it is refused (code 3).
    pub connections: usize,
    /// Bytes queued for one connection that does not read. Default 4 MiB. A connection over it is
    /// closed and its sockets parked: recovery is the back-pressure of last resort.
    pub queued_bytes: usize,
    /// Packets queued for one connection that does not read. Default 16,384; same consequence.
    pub queued_packets: usize,
    /// Binary attachments of one incoming packet. Default 10. More is a parse error.
    pub attachments: usize,
    /// Bytes of all attachments of one incoming packet. Default 10,000,000. More is a parse error.
    pub attachment_bytes: usize,
    /// Bytes of a namespace name in an incoming packet. Default 255. More is a parse error.
    pub namespace_name_bytes: usize,
    /// Namespaces of the server, those made by a predicate included. Default 10,000. A CONNECT
    /// that would create one more is answered with CONNECT_ERROR.
    pub namespaces: usize,
    /// Namespaces that one connection may be in. Default 64. One more is answered with
    /// CONNECT_ERROR.
    pub namespaces_per_connection: usize,
    /// Rooms of one socket, its own included. Default 1,024. A further join is refused.
    pub rooms_per_socket: usize,
    /// Bytes of a room's name. Default 255. A join with a longer one is refused.
    pub room_name_bytes: usize,
    /// Acknowledgements that one namespace may be waiting for, a broadcast counting once.
    /// Default 100,000. One more is refused.
    pub pending_acks: usize,
    /// Client offsets that one session remembers for
    /// [`Server::accept_once`](crate::server::Server::accept_once), and as many acknowledgements of
    /// its events. Default 1,024. The oldest are forgotten: an event that comes again after so many
    /// others is taken for a new one.
    pub client_offsets: usize,
    /// Bytes of the acknowledgements that one session remembers. Default 64 KiB. Those of the
    /// oldest events are forgotten: such an event is still known if it comes again, and not handled
    /// twice, but not acknowledged either.
    pub client_ack_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            queued_bytes: 4 << 20,
            queued_packets: 16_384,
            attachments: 10,
            attachment_bytes: 10_000_000,
            namespace_name_bytes: 255,
            namespaces: 10_000,
            namespaces_per_connection: 64,
            rooms_per_socket: 1_024,
            room_name_bytes: 255,
            pending_acks: 100_000,
            client_offsets: 1_024,
            client_ack_bytes: 64 << 10,
        }
    }
}

impl Limits {
    fn validate(&self) -> Result<(), ConfigError> {
        check(&[
            ("limits.connections", self.connections > 0),
            ("limits.queued_bytes", self.queued_bytes > 0),
            ("limits.queued_packets", self.queued_packets > 0),
            ("limits.attachments", self.attachments > 0),
            ("limits.attachment_bytes", self.attachment_bytes > 0),
            ("limits.namespace_name_bytes", self.namespace_name_bytes > 0),
            ("limits.namespaces", self.namespaces > 0),
            ("limits.namespaces_per_connection", self.namespaces_per_connection > 0),
            ("limits.rooms_per_socket", self.rooms_per_socket > 0),
            ("limits.room_name_bytes", self.room_name_bytes >= 20),
            ("limits.pending_acks", self.pending_acks > 0),
            ("limits.client_offsets", self.client_offsets > 0),
            ("limits.client_ack_bytes", self.client_ack_bytes > 0),
        ])
    }
}

/// Settings of connection state recovery. Each namespace has a log and sessions of its own, so the
/// bounds on them hold per namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryConfig {
    /// How long a session is kept after its link was lost. Default 2 minutes.
    pub max_disconnection: Duration,
    /// Whether a client that recovers is let in without asking the application again. Default
    /// true, as in the reference; set it to false where permission can be withdrawn meanwhile.
    pub skip_authorization: bool,
    /// Whether the missed packets follow the CONNECT answer (default) or precede it.
    pub replay_order: ReplayOrder,
    /// Whether events that ask for an acknowledgement are logged and replayed until they are
    /// acknowledged. Default false, as in the reference.
    pub replay_ack_events: bool,
    /// Whether clients of this crate are told how many of their events have arrived, so that after
    /// a recovery they send again what has not. It adds `"received":N` to the CONNECT answer, which
    /// official clients do not look at. Default false: the answer is the reference's to the byte.
    pub count_events: bool,
    /// Packets kept in the log of a namespace. Default 100,000. The oldest are evicted.
    pub buffer_packets: usize,
    /// Bytes of packets kept in the log of a namespace. Default 64 MiB. The oldest are evicted.
    pub buffer_bytes: usize,
    /// Disconnected sessions kept by a namespace. Default 100,000. The one that has been away
    /// longest is evicted and reported as expired.
    pub parked_sessions: usize,
    /// Bytes that one recovery may replay. Default 64 MiB. A session that missed more is refused.
    pub replay_bytes: usize,
    /// Past room memberships remembered per session. Default 256. Beyond it the oldest are
    /// forgotten, and a session that needs them is refused.
    pub memberships: usize,
    /// Recoveries that may be served at once before the rest have to queue. Default 4,096.
    pub claim_burst: u32,
    /// Recoveries served per second once the burst is used up. Default 4,096.
    pub claims_per_second: u32,
}

impl Default for RecoveryConfig {
    fn default() -> Self {
        Self {
            max_disconnection: Duration::from_mins(2),
            skip_authorization: true,
            replay_order: ReplayOrder::AfterConnect,
            replay_ack_events: false,
            count_events: false,
            buffer_packets: 100_000,
            buffer_bytes: 64 << 20,
            parked_sessions: 100_000,
            replay_bytes: 64 << 20,
            memberships: 256,
            claim_burst: 4_096,
            claims_per_second: 4_096,
        }
    }
}

impl RecoveryConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        check(&[
            ("recovery.max_disconnection", !self.max_disconnection.is_zero()),
            ("recovery.buffer_packets", self.buffer_packets > 0),
            ("recovery.buffer_bytes", self.buffer_bytes > 0),
            ("recovery.parked_sessions", self.parked_sessions > 0),
            ("recovery.replay_bytes", self.replay_bytes > 0),
            ("recovery.memberships", self.memberships > 0),
            ("recovery.claim_burst", self.claim_burst > 0),
            ("recovery.claims_per_second", self.claims_per_second > 0),
        ])
    }
}

/// Where the missed packets stand on the wire upon recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayOrder {
    /// CONNECT, then the missed packets, then live ones: a link that breaks in the middle of the
    /// replay causes neither loss nor duplicates.
    AfterConnect,
    /// The missed packets, then CONNECT: byte for byte what the reference sends. The official
    /// client then delivers them before its `connect` event, and twice if the link breaks between.
    BeforeConnect,
}

/// A setting that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The value of this field is too small.
    #[error("the setting `{field}` is out of range")]
    OutOfRange {
        /// The path of the field, such as `limits.attachments`.
        field: &'static str,
    },
}

/// Names the first rule that does not hold.
pub(crate) fn check(rules: &[(&'static str, bool)]) -> Result<(), ConfigError> {
    match rules.iter().find(|(_, holds)| !holds) {
        Some((field, _)) => Err(ConfigError::OutOfRange { field }),
        None => Ok(()),
    }
}

//! Everything that can be set, with its default, its unit and who pays when it is raised.

mod client;
mod error;
mod limits;
mod origins;
mod recovery;
mod subprotocols;

pub(crate) use self::error::check;
pub use self::{
    client::{ClientConfig, ClientLimits},
    error::ConfigError,
    limits::Limits,
    origins::Origins,
    recovery::{RecoveryConfig, ReplayOrder},
    subprotocols::Subprotocols,
};

use core::time::Duration;

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
    pub(crate) attachment_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) max_payload: usize,
    pub(crate) transports: Transports,
    pub(crate) allow_upgrades: bool,
    pub(crate) subprotocols: Subprotocols,
    pub(crate) origins: Origins,
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
            attachment_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(30),
            max_payload: 1_000_000,
            transports: Transports::Both,
            allow_upgrades: true,
            subprotocols: Subprotocols::default(),
            origins: Origins::default(),
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

    /// Time a client has to answer a ping. Default 20 s. It counts from the moment that the ping was
    /// due at; one that is sent late leaves at least half of the time.
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

    /// Time a client has for the next attachment of a packet that lacks some. Default 30 s. Beyond
    /// it the connection is closed and its sockets are parked. Raising it lets strangers hold
    /// [`attachment_bytes`](Limits::attachment_bytes) for longer.
    #[must_use]
    pub fn attachment_timeout(mut self, value: Duration) -> Self {
        self.attachment_timeout = value;
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

    /// Which WebSocket sub-protocol is chosen of those that a client offers. Default the first one.
    #[must_use]
    pub fn subprotocols(mut self, value: Subprotocols) -> Self {
        self.subprotocols = value;
        self
    }

    /// The pages that may use the server, over either transport. Default all of them, as in the
    /// reference. Requests of others are refused (code 4, status 403). CORS does not do that: it
    /// keeps a page from reading answers, and WebSockets know nothing of it.
    ///
    /// A request without the field `Origin` is let in: programs other than browsers have none and
    /// could send any, and a page of the server's own origin sends none with a GET. So this protects
    /// the users of browsers from other pages, and not the server from strangers.
    #[must_use]
    pub fn origins(mut self, value: Origins) -> Self {
        self.origins = value;
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
    /// `max_payload` must be at least 128 bytes so that a handshake fits, and listed origins must
    /// have the form of one, since others would never match.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let positive = [
            ("ping_interval", !self.ping_interval.is_zero()),
            ("ping_timeout", !self.ping_timeout.is_zero()),
            ("upgrade_timeout", !self.upgrade_timeout.is_zero()),
            ("connect_timeout", !self.connect_timeout.is_zero()),
            ("attachment_timeout", !self.attachment_timeout.is_zero()),
            ("close_timeout", !self.close_timeout.is_zero()),
            ("max_payload", self.max_payload >= 128),
            ("origins", self.origins.is_valid()),
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

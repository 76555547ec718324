//! Every setting, with its default, its unit, and what happens beyond it.

/// Defines `new` and one setter for each field of a struct of settings. A field that is missing here
/// does not compile.
macro_rules! setters {
    ($settings:ident { $($field:ident: $kind:ty,)+ }) => {
        impl $settings {
            /// The defaults.
            pub fn new() -> Self {
                Self::default()
            }

            $(
                #[doc = concat!(
                    "Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ")."
                )]
                #[must_use]
                pub fn $field(mut self, value: $kind) -> Self {
                    self.$field = value.into();
                    self
                }
            )+
        }

        const _: fn($settings) = |$settings { $($field: _,)+ }| ();
    };
}

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
pub(crate) use setters;

use core::time::Duration;

/// Settings of a server. They cannot change once the server exists.
///
/// ```
/// use core::time::Duration;
/// use socketio_proto::{Limits, RecoveryConfig, ServerConfig};
///
/// let config = ServerConfig::new()
///     .ping_interval(Duration::from_secs(10))
///     .limits(Limits::new().connections(10_000))
///     .recovery(RecoveryConfig::new().max_disconnection(Duration::from_secs(60)));
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
    /// Whether events to rooms that no session of this process is in are logged, too. Then a session
    /// of another process that was in such a room can be brought in. Off, because a single server
    /// has no use for it: nobody could ever miss these events.
    pub(crate) logs_vacant_rooms: bool,
}

/// The transports that a server offers.
///
/// ```
/// use socketio_proto::{ServerConfig, Transports};
///
/// let config = ServerConfig::new().transports(Transports::WebSocketOnly);
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "closed: every selection of the two transports")]
pub enum Transports {
    /// HTTP long-polling and WebSocket: the default.
    Both,
    /// HTTP long-polling only. No upgrade is offered.
    PollingOnly,
    /// WebSocket only.
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
            logs_vacant_rooms: false,
        }
    }

    /// Time between a pong (or the handshake) and the next ping. Default 25 s. A shorter interval
    /// finds lost connections sooner, and costs every client one packet each time.
    #[must_use]
    pub fn ping_interval(mut self, value: Duration) -> Self {
        self.ping_interval = value;
        self
    }

    /// Time that a client has to answer a ping. Default 20 s, from the moment at which the ping was
    /// due. If the server sends a ping late, the client still gets at least half of this time.
    #[must_use]
    pub fn ping_timeout(mut self, value: Duration) -> Self {
        self.ping_timeout = value;
        self
    }

    /// Time that a client has to complete an upgrade after it has opened the WebSocket. Default
    /// 10 s.
    #[must_use]
    pub fn upgrade_timeout(mut self, value: Duration) -> Self {
        self.upgrade_timeout = value;
        self
    }

    /// Time that a connection has to join its first namespace. Default 45 s. A longer time lets idle
    /// strangers hold memory for longer.
    ///
    /// It is also how long the application may take to decide a claim: a session that was claimed in
    /// time is held for that long.
    #[must_use]
    pub fn connect_timeout(mut self, value: Duration) -> Self {
        self.connect_timeout = value;
        self
    }

    /// Time that a client has to send the next attachment of an incomplete packet. Default 30 s.
    /// Then the connection is closed and its sockets are parked. A longer time lets strangers hold
    /// [`attachment_bytes`](Limits#structfield.attachment_bytes) for longer.
    #[must_use]
    pub fn attachment_timeout(mut self, value: Duration) -> Self {
        self.attachment_timeout = value;
        self
    }

    /// Time that the client of a closing connection has to fetch what is still queued. Default 30 s.
    #[must_use]
    pub fn close_timeout(mut self, value: Duration) -> Self {
        self.close_timeout = value;
        self
    }

    /// Largest POST body and largest WebSocket frame that a client may send, in bytes. The client
    /// learns it as `maxPayload`. Default 1,000,000, at least 128. The server may have to hold one
    /// body of this size per connection.
    #[must_use]
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// Returns [`max_payload`](Self::max_payload). The embedder can stop reading one byte beyond it.
    pub fn payload_limit(&self) -> usize {
        self.max_payload
    }

    /// The transports that the server offers. Default: both.
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

    /// How the server chooses among the WebSocket sub-protocols that a client offers. Default: the
    /// first one.
    #[must_use]
    pub fn subprotocols(mut self, value: Subprotocols) -> Self {
        self.subprotocols = value;
        self
    }

    /// The web pages that may use the server, over either transport. Default: all, as in the
    /// reference. Requests from other pages are refused (code 4, status 403). CORS does not do this:
    /// it only stops a page from reading answers, and it does not apply to WebSockets.
    ///
    /// A request without an `Origin` header is accepted: programs other than browsers can send any
    /// value or none, and a page of the server's own origin sends none with a GET. So this setting
    /// protects the users of browsers from foreign pages. It does not protect the server from
    /// strangers.
    #[must_use]
    pub fn origins(mut self, value: Origins) -> Self {
        self.origins = value;
        self
    }

    /// Bounds on what peers can make the server hold and do. See [`Limits`].
    #[must_use]
    pub fn limits(mut self, value: Limits) -> Self {
        self.limits = value;
        self
    }

    /// Turns connection state recovery on. Default: off, as in the reference.
    #[must_use]
    pub fn recovery(mut self, value: RecoveryConfig) -> Self {
        self.recovery = Some(value);
        self
    }

    /// How long packets stay in a log. A half-open link is detected only after this time, and the
    /// packets sent on it must be replayed.
    pub(crate) fn log_age(&self) -> Duration {
        let recovery = self.recovery.as_ref();
        let away = recovery.map_or(Duration::ZERO, |recovery| recovery.max_disconnection);
        away.saturating_add(self.ping_interval).saturating_add(self.ping_timeout)
    }

    pub(crate) fn counts_events(&self) -> bool {
        self.recovery.as_ref().is_some_and(|recovery| recovery.count_events)
    }

    /// Checks that every value can be used. [`Server::new`](crate::server::Server::new) and
    /// [`Hub::new`](crate::hub::Hub::new) call it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first field whose value is out of range. Durations and limits must
    /// not be zero, `max_payload` must be at least 128 bytes so that a handshake fits, and listed
    /// origins must have the form of an origin, because others would never match.
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

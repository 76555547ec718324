//! Every setting of a client, with its default, its unit, and what happens beyond it.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use smallvec::SmallVec;

use super::error::{ConfigError, check};
use crate::transport::Transport;

/// Settings of a client. They cannot change once the client exists. Where the reference has the same
/// setting, the default is the same ([protocol facts 4.1](crate::protocol#41-defaults)).
///
/// ```
/// use core::time::Duration;
/// use socketio_proto::client::ClientConfig;
/// use socketio_proto::engine::Transport;
///
/// let config = ClientConfig::new()
///     .transports(&[Transport::WebSocket])
///     .reconnection_delay_max(Duration::from_secs(30));
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the switches of the reference, all independent")]
pub struct ClientConfig {
    pub(crate) transports: SmallVec<[Transport; 2]>,
    pub(crate) upgrade: bool,
    pub(crate) remember_upgrade: bool,
    pub(crate) try_all_transports: bool,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) open_timeout: Duration,
    pub(crate) upgrade_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) reconnection: bool,
    pub(crate) reconnection_attempts: Option<u32>,
    pub(crate) reconnection_delay: Duration,
    pub(crate) reconnection_delay_max: Duration,
    pub(crate) randomization_factor: f64,
    pub(crate) retries: u32,
    pub(crate) ack_timeout: Duration,
    pub(crate) limits: ClientLimits,
}

impl ClientConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            transports: [Transport::Polling, Transport::WebSocket].into(),
            upgrade: true,
            remember_upgrade: false,
            try_all_transports: false,
            query: Vec::new(),
            open_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(20),
            reconnection: true,
            reconnection_attempts: None,
            reconnection_delay: Duration::from_secs(1),
            reconnection_delay_max: Duration::from_secs(5),
            randomization_factor: 0.5,
            retries: 3,
            ack_timeout: Duration::from_secs(10),
            limits: ClientLimits::default(),
        }
    }

    /// The transports that the client may use; it starts with the first. Default: polling, then
    /// WebSocket.
    #[must_use]
    pub fn transports(mut self, value: &[Transport]) -> Self {
        self.transports = value.into();
        self
    }

    /// Whether to upgrade from polling to WebSocket if the server offers it. Default true.
    #[must_use]
    pub fn upgrade(mut self, value: bool) -> Self {
        self.upgrade = value;
        self
    }

    /// Whether to start with WebSocket if the previous connection used it. Default false.
    #[must_use]
    pub fn remember_upgrade(mut self, value: bool) -> Self {
        self.remember_upgrade = value;
        self
    }

    /// Whether to try the next transport if one cannot be opened. Default false.
    #[must_use]
    pub fn try_all_transports(mut self, value: bool) -> Self {
        self.try_all_transports = value;
        self
    }

    /// Adds a parameter to the query string of every request.
    #[must_use]
    pub fn query_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Time that the Engine.IO handshake may take, over all transports together. Default 20 s. The
    /// reference calls it `timeout`.
    #[must_use]
    pub fn open_timeout(mut self, value: Duration) -> Self {
        self.open_timeout = value;
        self
    }

    /// Time that an upgrade may take. Then it is given up, and polling continues. Default 10 s.
    #[must_use]
    pub fn upgrade_timeout(mut self, value: Duration) -> Self {
        self.upgrade_timeout = value;
        self
    }

    /// Time that a closing connection has to send what is still queued. Default 30 s.
    #[must_use]
    pub fn close_timeout(mut self, value: Duration) -> Self {
        self.close_timeout = value;
        self
    }

    /// Time that the server has to answer a CONNECT, and the application to answer
    /// [`ClientEvent::AuthRequested`](crate::client::ClientEvent::AuthRequested). Default 20 s. The reference waits
    /// forever (C5).
    #[must_use]
    pub fn connect_timeout(mut self, value: Duration) -> Self {
        self.connect_timeout = value;
        self
    }

    /// Whether to reconnect automatically after a connection was lost or could not be opened.
    /// Default true.
    #[must_use]
    pub fn reconnection(mut self, value: bool) -> Self {
        self.reconnection = value;
        self
    }

    /// How many attempts to make in a row. Default `None`: no limit.
    #[must_use]
    pub fn reconnection_attempts(mut self, value: Option<u32>) -> Self {
        self.reconnection_attempts = value;
        self
    }

    /// Time before the first attempt; it doubles with each further one. Default 1 s.
    #[must_use]
    pub fn reconnection_delay(mut self, value: Duration) -> Self {
        self.reconnection_delay = value;
        self
    }

    /// Longest time before an attempt. Default 5 s. The shorter it is, the more clients return at the
    /// same moment to a server that has restarted.
    #[must_use]
    pub fn reconnection_delay_max(mut self, value: Duration) -> Self {
        self.reconnection_delay_max = value;
        self
    }

    /// How much a delay varies at random, as a fraction of it, from 0 to 1. Default 0.5.
    ///
    /// The longest delay varies as well, but only downwards: with the defaults it is between 2.5 s
    /// and 5 s. In the reference it does not vary (C1).
    #[must_use]
    pub fn randomization_factor(mut self, value: f64) -> Self {
        self.randomization_factor = value;
        self
    }

    /// How many more times an event of
    /// [`Client::emit_with_retries`](crate::client::Client::emit_with_retries) is sent at most, after
    /// the first. Default 3.
    #[must_use]
    pub fn retries(mut self, value: u32) -> Self {
        self.retries = value;
        self
    }

    /// Time that the server has to acknowledge such an event before it is sent again. Default 10 s.
    #[must_use]
    pub fn ack_timeout(mut self, value: Duration) -> Self {
        self.ack_timeout = value;
        self
    }

    /// Bounds on what the client holds. See [`ClientLimits`].
    #[must_use]
    pub fn limits(mut self, value: ClientLimits) -> Self {
        self.limits = value;
        self
    }

    /// Checks that every value is usable. [`Client::new`](crate::client::Client::new) calls it.
    ///
    /// # Errors
    ///
    /// Names the first field whose value is out of range: durations and limits must not be zero,
    /// there must be a transport and none twice, and the randomization factor is 0 to 1.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let is_repeated = |index: usize, transport| {
            self.transports.iter().take(index).any(|earlier| earlier == transport)
        };
        let mut transports = self.transports.iter().enumerate();
        check(&[
            ("transports", !self.transports.is_empty()),
            ("transports", !transports.any(|(index, transport)| is_repeated(index, transport))),
            ("open_timeout", !self.open_timeout.is_zero()),
            ("upgrade_timeout", !self.upgrade_timeout.is_zero()),
            ("close_timeout", !self.close_timeout.is_zero()),
            ("connect_timeout", !self.connect_timeout.is_zero()),
            ("reconnection_delay", !self.reconnection_delay.is_zero()),
            ("reconnection_delay_max", self.reconnection_delay_max >= self.reconnection_delay),
            ("randomization_factor", (0.0..=1.0).contains(&self.randomization_factor)),
            ("ack_timeout", !self.ack_timeout.is_zero()),
        ])?;
        self.limits.validate()
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Bounds on what a client holds. Every limit is finite, and none may be zero.
///
/// ```
/// use socketio_proto::client::{ClientConfig, ClientLimits};
///
/// let limits = ClientLimits::new().buffered_events(100).namespaces(4);
/// assert!(ClientConfig::new().limits(limits).validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientLimits {
    /// Bytes of the largest response or frame that is accepted from the server. Default 64 MiB.
    /// A larger one closes the connection.
    pub max_payload: usize,
    /// Bytes queued on a connection that does not take them. Default 16 MiB. A further emit is
    /// refused.
    pub queued_bytes: usize,
    /// Frames queued on a connection that does not take them. Default 65,536; same consequence.
    pub queued_packets: usize,
    /// Events that one namespace holds: those that were not sent because it is not connected, and
    /// those that a server which confirms them has not confirmed. The events with retries have the
    /// same limit for themselves. Default 10,000. A further emit is refused.
    pub buffered_events: usize,
    /// Bytes of these events. Default 16 MiB; same consequence.
    pub buffered_bytes: usize,
    /// How long such an event waits before it is given up and reported, also one with retries left.
    /// Default 10 minutes.
    pub buffered_age: Duration,
    /// Events that one namespace holds back while it waits for the answer to its CONNECT: an
    /// official server replays before that. Default 100,000. Beyond it the session is given up and
    /// the connection closed.
    pub replayed_events: usize,
    /// Bytes of these events. Default 64 MiB; same consequence.
    pub replayed_bytes: usize,
    /// Acknowledgements that one namespace waits for. Default 10,000. A further emit that asks for
    /// one is refused.
    pub pending_acks: usize,
    /// Namespaces of the client. Default 64. A further one is refused.
    pub namespaces: usize,
    /// Binary attachments in one event or acknowledgement that the client sends. Default 10, which
    /// is what servers of this crate and official servers with socket.io-parser 4.2.6 or later
    /// accept. The emit is refused
    /// ([`ClientEmitError::TooManyAttachments`](crate::client::ClientEmitError::TooManyAttachments)). If it is
    /// higher than the limit of the server, the server closes the connection: see `refusals`.
    pub sent_attachments: usize,
    /// How often in a row the server may close the connection because of the same event before that
    /// event is given up ([`Undeliverable`](crate::client::ClientEvent::Undeliverable)), and how often in
    /// a row the client may fail to read what a session continues with before it gives the session
    /// up ([`ReplayUnreadable`](crate::client::ClientEvent::ReplayUnreadable)). Default 3. The higher it
    /// is, the longer the events behind that one wait.
    pub refusals: u32,
    /// Binary attachments in one incoming packet. Default 10. More are a parse error.
    pub attachments: usize,
    /// Total bytes of the attachments in one incoming packet. Default 64 MiB. More are a parse error.
    pub attachment_bytes: usize,
    /// Bytes of a namespace name in an incoming packet. Default 255. More are a parse error.
    pub namespace_name_bytes: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            max_payload: 64 << 20,
            queued_bytes: 16 << 20,
            queued_packets: 65_536,
            buffered_events: 10_000,
            buffered_bytes: 16 << 20,
            buffered_age: Duration::from_secs(600),
            replayed_events: 100_000,
            replayed_bytes: 64 << 20,
            pending_acks: 10_000,
            namespaces: 64,
            sent_attachments: 10,
            refusals: 3,
            attachments: 10,
            attachment_bytes: 64 << 20,
            namespace_name_bytes: 255,
        }
    }
}

setters! {
    ClientLimits {
        max_payload: usize,
        queued_bytes: usize,
        queued_packets: usize,
        buffered_events: usize,
        buffered_bytes: usize,
        buffered_age: Duration,
        replayed_events: usize,
        replayed_bytes: usize,
        pending_acks: usize,
        namespaces: usize,
        sent_attachments: usize,
        refusals: u32,
        attachments: usize,
        attachment_bytes: usize,
        namespace_name_bytes: usize,
    }
}

impl ClientLimits {
    fn validate(&self) -> Result<(), ConfigError> {
        check(&[
            ("limits.max_payload", self.max_payload > 0),
            ("limits.queued_bytes", self.queued_bytes > 0),
            ("limits.queued_packets", self.queued_packets > 0),
            ("limits.buffered_events", self.buffered_events > 0),
            ("limits.buffered_bytes", self.buffered_bytes > 0),
            ("limits.buffered_age", !self.buffered_age.is_zero()),
            ("limits.replayed_events", self.replayed_events > 0),
            ("limits.replayed_bytes", self.replayed_bytes > 0),
            ("limits.pending_acks", self.pending_acks > 0),
            ("limits.namespaces", self.namespaces > 0),
            ("limits.sent_attachments", self.sent_attachments > 0),
            ("limits.refusals", self.refusals > 0),
            ("limits.attachments", self.attachments > 0),
            ("limits.attachment_bytes", self.attachment_bytes > 0),
            ("limits.namespace_name_bytes", self.namespace_name_bytes > 0),
        ])
    }
}

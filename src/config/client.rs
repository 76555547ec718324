//! Everything that can be set on a client, with its default, its unit and who pays when it is
//! raised.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use smallvec::SmallVec;

use super::error::{ConfigError, check};
use crate::transport::Transport;

/// Settings of a client; immutable once a machine was made with them. The defaults are those of
/// the reference (protocol facts 4.1) where it has the setting.
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

    /// Which transports there are, the one to begin with first. Default polling, then WebSocket.
    #[must_use]
    pub fn transports(mut self, value: &[Transport]) -> Self {
        self.transports = value.into();
        self
    }

    /// Whether to move from polling to WebSocket if both sides have it. Default true.
    #[must_use]
    pub fn upgrade(mut self, value: bool) -> Self {
        self.upgrade = value;
        self
    }

    /// Whether to begin with WebSocket if the connection before worked over it. Default false.
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

    /// Time that the Engine.IO handshake may take, all transports together. Default 20 s (`timeout`
    /// of the reference).
    #[must_use]
    pub fn open_timeout(mut self, value: Duration) -> Self {
        self.open_timeout = value;
        self
    }

    /// Time that an upgrade may take; polling goes on after it. Default 10 s.
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
    /// [`Event::AuthRequested`](crate::client::Event::AuthRequested). Default 20 s. The reference waits
    /// for ever (C5).
    #[must_use]
    pub fn connect_timeout(mut self, value: Duration) -> Self {
        self.connect_timeout = value;
        self
    }

    /// Whether to connect again by itself after a connection was lost or could not be opened.
    /// Default true.
    #[must_use]
    pub fn reconnection(mut self, value: bool) -> Self {
        self.reconnection = value;
        self
    }

    /// How many attempts in a row to make. Default `None`: no end.
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

    /// Longest time before an attempt. Default 5 s. A shorter one makes a server that comes back
    /// pay: everybody returns at once.
    #[must_use]
    pub fn reconnection_delay_max(mut self, value: Duration) -> Self {
        self.reconnection_delay_max = value;
        self
    }

    /// How far a delay is spread at random, as a part of it, from 0 to 1. Default 0.5.
    ///
    /// The spread survives the longest delay (C1): there it goes downwards only, so that with the
    /// defaults it ends up between 2.5 s and 5 s.
    #[must_use]
    pub fn randomization_factor(mut self, value: f64) -> Self {
        self.randomization_factor = value;
        self
    }

    /// How often an event of [`Client::emit_with_retries`](crate::client::Client::emit_with_retries) is
    /// sent again at most. Default 3.
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

/// Bounds on what a client holds. All are finite; none may be zero.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientLimits {
    /// Largest response or frame that is taken from the server, in bytes. Default 64 MiB. A larger
    /// one closes the connection.
    pub max_payload: usize,
    /// Bytes queued on a connection that does not take them. Default 16 MiB. A further emit is
    /// refused.
    pub queued_bytes: usize,
    /// Frames queued on a connection that does not take them. Default 65,536; same consequence.
    pub queued_packets: usize,
    /// Events of one namespace that were not sent, since it is not connected, or that a server
    /// which confirms them has not confirmed; and again as many in its retry queue. Default 10,000.
    /// A further emit is refused.
    pub buffered_events: usize,
    /// Bytes of these events. Default 16 MiB; same consequence.
    pub buffered_bytes: usize,
    /// How long an event waits there before it is given up and reported. Default 10 minutes.
    pub buffered_age: Duration,
    /// Events that one namespace holds back while it waits for the answer to its CONNECT: an
    /// official server replays before that. Default 100,000. Beyond it the session is given up and
    /// the connection closed.
    pub replayed_events: usize,
    /// Bytes of these events. Default 64 MiB; same consequence.
    pub replayed_bytes: usize,
    /// Acknowledgements that one namespace waits for. Default 10,000. One more is refused.
    pub pending_acks: usize,
    /// Namespaces. Default 64. One more is refused.
    pub namespaces: usize,
    /// Binary attachments of one event or answer that is sent. Default 10: official servers with
    /// socket.io-parser 4.2.6 or later and servers of this crate take no more. One more is refused
    /// ([`EmitError::TooManyAttachments`](crate::client::EmitError)); raised above what the server takes,
    /// the client pays: see `refusals`.
    pub sent_attachments: usize,
    /// How often in a row the server may close the connection because of the same event, before
    /// the event is given up ([`Event::Undeliverable`](crate::client::Event::Undeliverable)), and how often
    /// in a row the client cannot read what a session goes on with, before it gives the session up
    /// ([`Event::ReplayUnreadable`](crate::client::Event::ReplayUnreadable)). Default 3. Higher, the events
    /// behind it wait for longer.
    pub refusals: u32,
    /// Binary attachments of one incoming packet. Default 10. More is a parse error.
    pub attachments: usize,
    /// Bytes of all attachments of one incoming packet. Default 64 MiB. More is a parse error.
    pub attachment_bytes: usize,
    /// Bytes of a namespace name in an incoming packet. Default 255. More is a parse error.
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
            buffered_age: Duration::from_mins(10),
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

//! Settings of connection state recovery.

use core::time::Duration;

use super::error::{ConfigError, check};
use crate::bucket::Rate;

/// Settings of connection state recovery. Each namespace has its own log and sessions, so the bounds
/// apply per namespace.
///
/// ```
/// use core::time::Duration;
/// use socketio_proto::{RecoveryConfig, ServerConfig};
///
/// let recovery = RecoveryConfig::new()
///     .max_disconnection(Duration::from_secs(300))
///     .buffer_bytes(256 << 20);
/// assert!(ServerConfig::new().recovery(recovery).validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryConfig {
    /// How long a session is kept after it has lost its connection. Default 2 minutes.
    pub max_disconnection: Duration,
    /// Whether a recovering client is accepted without a
    /// [`ConnectRequested`](crate::hub::ServerEvent::ConnectRequested). Default false: the application
    /// decides about every CONNECT, and nothing is replayed before it has accepted.
    ///
    /// With `true`, a user can come back for up to `max_disconnection` after the application has
    /// blocked them, unless it also disconnects their parked sessions. The reference has that
    /// default (`skipMiddlewares`), and its documentation has since advised against it
    /// ([socketio/socket.io#5491](https://github.com/socketio/socket.io/issues/5491)). Set it where
    /// the application disconnects sessions itself when it withdraws a permission, and where asking
    /// it costs too much after a mass reconnection.
    pub skip_authorization: bool,
    /// Whether the missed packets follow the CONNECT answer (default) or precede it.
    pub replay_order: ReplayOrder,
    /// Whether events to one socket that ask for an acknowledgement are logged, and replayed until
    /// they are acknowledged. Default false, as in the reference. A broadcast that asks for
    /// acknowledgements is never replayed.
    pub replay_ack_events: bool,
    /// Whether the server tells clients of this crate how many of their events it has received, so
    /// that they resend the rest after a recovery. It adds `"received":N` to the CONNECT answer,
    /// which official clients ignore. Default false: the answer is then identical to that of the
    /// reference.
    pub count_events: bool,
    /// How long a client waits while the session that it claims, and that this server does not
    /// know, is looked up elsewhere:
    /// [`LookupRequested`](crate::hub::ServerEvent::LookupRequested). Then its recovery is refused
    /// ([`Unanswered`](crate::recovery::RecoveryRefusal::Unanswered)), and the client gets a new
    /// session. 1 second is a good value. Default `None`: this server knows all sessions, and nothing
    /// is looked up. In a [cluster](crate::cluster), other nodes are asked instead of the application,
    /// and `None` means 1 second. There, a client waits for up to ten times as long while the engine
    /// is connected and has still to answer: clients that come back at once wait for each other there.
    pub lookup_timeout: Option<Duration>,
    /// Packets kept in the log of a namespace. Default 100,000. The oldest are evicted.
    pub buffer_packets: usize,
    /// Bytes of packets kept in the log of a namespace. Default 64 MiB. The oldest are evicted.
    pub buffer_bytes: usize,
    /// Parked sessions kept by a namespace. Default 100,000. The one that has been away longest is
    /// evicted and reported as expired.
    pub parked_sessions: usize,
    /// Bytes that one recovery may replay. Default 64 MiB. The recovery of a session that missed
    /// more is refused.
    pub replay_bytes: usize,
    /// How often in a row a client may close its connection right after the same replay before its
    /// session is given up ([`RecoveryRefusal::PoisonEvent`](crate::recovery::RecoveryRefusal::PoisonEvent)).
    /// Default 5. Such a client rejects an event of the replay. Without a bound it would do so
    /// forever, and the events behind that one would never arrive.
    ///
    /// An attempt counts if the client closes on purpose (a WebSocket close frame or a close
    /// packet) within `ping_interval` + `ping_timeout`, after the replay has started to leave, and
    /// comes back without having processed any of it. A lost network never counts.
    pub replay_attempts: u32,
    /// Room changes remembered per session, for as long as the log reaches back. Default 256. Beyond
    /// it the oldest are forgotten. A recovery may then be refused if the client has missed an event
    /// from before the changes that are still known.
    pub memberships: usize,
    /// Recoveries served in one burst; further ones queue. Default 4,096. A recovery that has to
    /// examine more costs more: one more for each 256 packets of the session's rooms, whether they
    /// are replayed or not, and one more for each 32 rooms. Refused recoveries count, except those
    /// that name no session.
    ///
    /// A session has one place in the queue. A newer recovery takes the place of the older one. If it
    /// came over another connection, the older connection is closed, as in a take-over.
    /// If a client sends a new CONNECT after the turn of its recovery and before the answer, the
    /// newer recovery uses that turn, once, if it costs no more. The session that has been served
    /// least comes first, so a client that recovers again and again delays only itself. A session
    /// in the queue does not expire, and neither do its packets in the log.
    pub claim_burst: u32,
    /// Recoveries served per second once the burst is used up. Default 4,096.
    pub claims_per_second: u32,
}

impl Default for RecoveryConfig {
    fn default() -> Self {
        Self {
            max_disconnection: Duration::from_secs(120),
            skip_authorization: false,
            replay_order: ReplayOrder::AfterConnect,
            replay_ack_events: false,
            count_events: false,
            lookup_timeout: None,
            buffer_packets: 100_000,
            buffer_bytes: 64 << 20,
            parked_sessions: 100_000,
            replay_bytes: 64 << 20,
            replay_attempts: 5,
            memberships: 256,
            claim_burst: 4_096,
            claims_per_second: 4_096,
        }
    }
}

setters! {
    RecoveryConfig {
        max_disconnection: Duration,
        skip_authorization: bool,
        replay_order: ReplayOrder,
        replay_ack_events: bool,
        count_events: bool,
        lookup_timeout: Option<Duration>,
        buffer_packets: usize,
        buffer_bytes: usize,
        parked_sessions: usize,
        replay_bytes: usize,
        replay_attempts: u32,
        memberships: usize,
        claim_burst: u32,
        claims_per_second: u32,
    }
}

impl RecoveryConfig {
    pub(crate) const fn claim_rate(&self) -> Rate {
        Rate { burst: self.claim_burst, per_second: self.claims_per_second }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check(&[
            ("recovery.max_disconnection", !self.max_disconnection.is_zero()),
            ("recovery.lookup_timeout", self.lookup_timeout != Some(Duration::ZERO)),
            ("recovery.buffer_packets", self.buffer_packets > 0),
            ("recovery.buffer_bytes", self.buffer_bytes > 0),
            ("recovery.parked_sessions", self.parked_sessions > 0),
            ("recovery.replay_bytes", self.replay_bytes > 0),
            ("recovery.replay_attempts", self.replay_attempts > 0),
            ("recovery.memberships", self.memberships > 0),
            ("recovery.claim_burst", self.claim_burst > 0),
            ("recovery.claims_per_second", self.claims_per_second > 0),
        ])
    }
}

/// The order of the CONNECT answer and the missed packets in a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayOrder {
    /// CONNECT, then the missed packets, then live ones. A connection that breaks in the middle of
    /// the replay causes neither loss nor duplicates.
    AfterConnect,
    /// The missed packets, then CONNECT: byte for byte what the reference sends. Only for comparisons
    /// with the reference, since it is not exact with the official client. That client delivers the
    /// missed packets before its `connect` event, and delivers them twice if the connection breaks
    /// in between. If its application calls `disconnect()` before the answer and `connect()` right
    /// after, it may take the answer without the packets before it, and miss events.
    BeforeConnect,
}
